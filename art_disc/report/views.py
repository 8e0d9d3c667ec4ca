"""The views of the kinds of records, and what their documents have in common."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pkgutil import resolve_name
from typing import Any

from art_disc.core.errors import InputError
from art_disc.core.records import SCHEMA_VERSION, Record, Setting
from art_disc.core.showing import Shown
from art_disc.report.document import Document, Facts, Pairs, Part, Section
from art_disc.report.drawing import Drawing
from art_disc.report.reading import show_setting
from art_disc.report.table import Table

Groups = dict[str, Mapping[str, Setting]]


@dataclass(frozen=True, slots=True)
class View(Shown):
    """How records of one kind are shown.

    Attributes:
        document: Makes the document of a record; called with the record, or with the record and
            its pictures where `pictures` is set.
        text: Words it for a terminal; None: the text of its document.
        summary: Plain JSON for `summary.json`; None: the record's single values.
        examples: The content of `examples.csv`; None: there is none.
        pictures: Whether the document shows pictures.
        no_page: Why there is no page, in one sentence; empty: there is one.
    """

    document: Callable[..., Document]
    text: Callable[[Any], str] | None = None
    summary: Callable[[Any], dict[str, Any]] | None = None
    examples: Callable[[Any], str] | None = None
    pictures: bool = False
    no_page: str = ""


def measured(
    title: str,
    table: Callable[[Any], Table],
    plot: Callable[[Any, Any], Any],
    remarks: Callable[[Any], Iterable[Part]] = lambda _: (),
) -> View:
    """Return the view of a record that is one table, one `plot(record, axes)` of it and remarks."""

    def document(record: Any) -> Document:
        shown = table(record)
        drawing = Drawing(
            lambda figure: plot(record, figure.add_subplot()),
            f"Plot: {shown.caption}. Its numbers are in the table.",
            shown.caption,
        )
        return Document.of(
            title,
            shown.caption,
            Section.of(shown.label, drawing, shown, *remarks(record)),
            settings_section(record, {"Run": run_settings(record)}),
        )

    return View(document)


# a kind of ours is one line here; its module is read when such a record is shown
VIEWS: dict[str, str | View] = {
    "activation norms": "protocols:ACTIVATIONS",
    "bit flips": "purifiers:FLIPS",
    "certificate": "certificate:ENUMERATION",
    "certificate curve": "certificate_curve:VIEW",
    "certificate table": "published:CERTIFICATES",
    "certified curve": "certified_curve:VIEW",
    "certified figure": "certified_figure:VIEW",
    "divergence certificate": "certificate:DIVERGENCE",
    "eot convergence": "randomness:CONVERGENCE",
    "equivalence classes": "published:CLASSES",
    "evaluation": "evaluation:VIEW",
    "gradient agreement": "randomness:AGREEMENT",
    "hardness": "hardness:VIEW",
    "persistent attacker": "randomness:PERSISTENT",
    "pixel figure": "pixels:VIEW",
    "protocol table": "protocols:TABLES",
    "purifier table": "purifiers:TABLES",
    "scored draws": "randomness:DRAWS",
    "study": "study:VIEW",
    "supplied images": "supplied:SUPPLIED",
    "sweep": "sweep:VIEW",
    "table": "published:ACCURACIES",
    "transfer": "supplied:TRANSFER",
    "zoo": "zoo:VIEW",
}


def register_view(kind: str, view: View) -> None:
    """Show records of a kind of your own by this view.

    Raises:
        InputError: The kind has another view.
    """
    if VIEWS.setdefault(kind, view) is not view:
        msg = f"records of kind {kind!r} have a view; give your own kind another name"
        raise InputError(msg)


def view_of(record: Record) -> View:
    """Return the view of a record.

    Raises:
        InputError: Its kind has none.
    """
    found = VIEWS.get(record.kind)
    if found is None:
        msg = (
            f"records of kind {record.kind!r} have no view, kinds with one are "
            f"{', '.join(sorted(VIEWS))}; call art_disc.report.register_view"
        )
        raise InputError(msg)
    if isinstance(found, str):
        view: View = resolve_name(f"art_disc.report.kinds.{found}")
        return view
    return found


def as_text(record: Record) -> str:
    """Word a record for a terminal.

    Raises:
        InputError: Its kind has no view.
    """
    view = view_of(record)
    return view.text(record) if view.text else view.document(record).text()


def as_markdown(record: Record) -> str:
    """Return a record's document as Markdown.

    Raises:
        InputError: Its kind has no view.
    """
    return view_of(record).document(record).markdown()


def summarise(record: Record) -> dict[str, Any]:
    """Return the summary of a record, in plain JSON types.

    Raises:
        InputError: Its kind has no view.
    """
    summary = view_of(record).summary or single_values
    return {"kind": record.kind, "schema_version": SCHEMA_VERSION, **summary(record)}


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
        ("commit", where.commit),
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
