"""What a run was asked for, what it took, and where it ran: the last section of a document."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from art_disc.core.records import Setting
from art_disc.report.document import Facts, Pairs, Section
from art_disc.report.reading import show_setting

Groups = dict[str, Mapping[str, Setting]]


def setting_rows(values: Mapping[str, Setting]) -> Pairs:
    """Word settings, in the order in which they were written."""
    return tuple((name.replace("_", " "), show_setting(value)) for name, value in values.items())


def single_values(record: Any) -> dict[str, Setting]:
    """Return the fields of a record that are one value."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return {name: v for name, v in values.items() if isinstance(v, str | int | float | None)}


def run_settings(record: Any) -> dict[str, Setting]:
    """Return a record's single values, what its `settings` hold, and its defences in words."""
    defences = getattr(record, "defences", ())
    worded = {f"defence {i}": line for i, line in enumerate(defences, 1)}
    return single_values(record) | getattr(record, "settings", {}) | worded


def settings_facts(record: Any, groups: Groups) -> Facts:
    """Return each group of settings under its name, and the record's environment."""
    where = record.environment
    environment = (
        ("created", where.created),
        ("art_disc", where.art_disc),
        ("Python", where.python),
        ("platform", where.platform),
        ("device", where.device),
        ("threads", str(where.threads)),
        *where.packages.items(),
    )
    worded = ((name, setting_rows(values)) for name, values in groups.items())
    return Facts((*worded, ("Environment", environment)))


def settings_section(record: Any, groups: Groups, title: str = "Settings") -> Section:
    """Return `settings_facts` as a section."""
    return Section.of(title, settings_facts(record, groups))
