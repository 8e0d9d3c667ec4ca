"""From a document to HTML: every value is escaped, and the page runs its one script alone."""

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

from art_disc.report.document import Document
from art_disc.report.drawing import need
from art_disc.report.heat import PALETTE

TEMPLATE, SCRIPT = "document.html.j2", "sort.js"


def render(document: Document, made_by: str) -> str:
    """Return a page as HTML, complete in itself; its last line says what it was made of.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    text = _script()
    # the page's policy names this script by its content, so no other one can run
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    templates = _environment(need("jinja2"))
    page: str = templates.get_template(TEMPLATE).render(
        document=document, made_by=made_by, script=text, script_hash=digest, heat=PALETTE
    )
    return page


@cache
def _environment(jinja2: Any) -> Any:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("art_disc.report"),
        autoescape=True,
        # an undefined name is an error, not a gap in the page
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _script() -> str:
    return (files("art_disc.report") / "templates" / SCRIPT).read_text(encoding="utf-8")


def made_by(record: Any) -> str:
    """The page's last line: what made it, from what."""
    return (
        f"Made by art_disc {record.environment.art_disc} from record.json alone, schema of record "
        f"kind \u201c{record.kind}\u201d; recorded {record.environment.created}."
    )
