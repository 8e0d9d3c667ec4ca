"""Filling the templates: every value is escaped."""

from typing import Any

from art_disc.core.records import Environment
from art_disc.report.extras import need


def fill(template: str, **values: Any) -> str:
    """Fill a template of this room; an undefined name is an error, not a gap in the page.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    jinja2 = need("jinja2")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("art_disc.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page: str = environment.get_template(template).render(**values)
    return page


def environment_rows(environment: Environment) -> tuple[tuple[str, str], ...]:
    """Where and when the record was made."""
    return (
        ("created", environment.created),
        ("art_disc", environment.art_disc),
        ("Python", environment.python),
        ("platform", environment.platform),
        ("device", environment.device),
        ("threads", str(environment.threads)),
        *((name, version) for name, version in environment.packages.items()),
    )
