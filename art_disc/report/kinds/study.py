"""Studies: measurements of their own, whose numbers are listed as they were written."""

from collections.abc import Iterator, Sequence
from typing import Any

from art_disc.core.records.study import StudyRecord
from art_disc.report.document import Document, Section
from art_disc.report.reading import show_setting
from art_disc.report.table import Table
from art_disc.report.views import View, settings_section


def _document(record: StudyRecord) -> Document:
    rows = {name: value for name, value in record.results.items() if _is_rows(value)}
    single = {name: value for name, value in record.results.items() if name not in rows}
    numbers = Table.of("Numbers", "Single results", ("result", "value"), _leaves(single))
    return Document.of(
        f"Study {record.name}",
        f"{len(record.results)} results",
        Section.of("Numbers", numbers),
        Section.of("Rows", *(_table(_words(name), value) for name, value in rows.items())),
        settings_section(record, {"Machine": record.machine}),
    )


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(entry, dict) for entry in value)


def _table(name: str, entries: Sequence[Any]) -> Table:
    rows = [dict(_leaves(entry)) for entry in entries]
    heads = tuple(dict.fromkeys(head for row in rows for head in row))
    return Table.of(name, name, heads, ([row.get(head, "") for head in heads] for row in rows))


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Name and word every single value of plain JSON; of inner rows only how many there are."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}, {_words(key)}" if name else _words(key))
    elif _is_rows(value):
        yield name, f"{len(value)} entries"
    else:
        yield name, show_setting(value)


def _words(key: str) -> str:
    return key.replace("_", " ")


VIEW = View(_document)
