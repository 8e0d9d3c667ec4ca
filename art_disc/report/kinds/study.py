"""Studies: measurements of their own, whose single numbers are listed."""

from art_disc.core.records.study import StudyRecord
from art_disc.report.document import Document, Section
from art_disc.report.reading import show_setting
from art_disc.report.settings import settings_section
from art_disc.report.table import Table
from art_disc.report.views import View


def _document(record: StudyRecord) -> Document:
    single = {k: v for k, v in record.results.items() if isinstance(v, str | int | float)}
    rows = ((name.replace("_", " "), show_setting(value)) for name, value in single.items())
    return Document.of(
        f"Study {record.name}",
        f"{len(record.results)} results",
        Section.of("Numbers", Table.of("Numbers", "Single results", ("result", "value"), rows)),
        settings_section(record, {}),
    )


VIEW = View(
    _document,
    no_page="a study is a script's own measurement, README.md and docs/ show its numbers",
)
