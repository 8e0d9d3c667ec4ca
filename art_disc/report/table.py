"""Tables as data: the page has one macro that draws any of them."""

from dataclasses import dataclass

from art_disc.core.records import Share
from art_disc.report.reading import ShareText, percent, show_share


@dataclass(frozen=True, slots=True)
class Column:
    """Heading of a column; `number` sets its cells to the right."""

    title: str
    number: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell.

    Attributes:
        text: What it says; it comes before the share where it has both.
        share: A share with its interval and counts.
        sort: What its column is sorted by where that is not what it says.
        look: Classes of the stylesheet.
        note: A second line, set smaller.
    """

    text: str = ""
    share: ShareText | None = None
    sort: float | str | None = None
    look: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """Cells under the columns of a table; the first one heads the row."""

    cells: tuple[Cell, ...]
    look: str = ""


@dataclass(frozen=True, slots=True)
class Body:
    """Rows that belong together, under a title if it is not empty; sorting stays within them."""

    rows: tuple[Row, ...]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `label` names the box that it scrolls in."""

    label: str
    caption: str
    columns: tuple[Column, ...]
    bodies: tuple[Body, ...]
    look: str = "wide attacks"
    sortable: bool = True


def columns(*titles: str) -> tuple[Column, ...]:
    """Headings; one that begins with `#` is of numbers.

    >>> columns("eps", "#Seconds")[1]
    Column(title='Seconds', number=True)
    """
    return tuple(Column(title.removeprefix("#"), title.startswith("#")) for title in titles)


def share_cell(share: Share | None, *, part: bool = False, look: str = "") -> Cell:
    """A share, or `not measured`."""
    if share is None:
        return Cell("not measured", sort="", look=f"missing {look}".strip())
    told = show_share(share, part=part)
    return Cell(share=told, sort=round(share.value, 9), look=look)


def number_cell(value: float | None, text: str | None = None) -> Cell:
    """A number as it is read, sorted as it is; empty for None."""
    if value is None:
        return Cell()
    return Cell(f"{value:,}" if text is None else text, sort=value)


def plain(rows: tuple[tuple[str, ...], ...], *, title: str = "") -> Body:
    """Rows of words alone."""
    return Body(tuple(Row(tuple(Cell(text) for text in row)) for row in rows), title)


def heat_cell(share: Share | None) -> Cell:
    """A share as a percentage on the colour of its tenth: `heat-0` to `heat-10`."""
    if share is None:
        return Cell("not measured", look="missing")
    return Cell(
        percent(share.value, share.total),
        sort=round(share.value, 9),
        look=f"heat heat-{round(10 * share.value)}",
        note=f"{share.count} of {share.total}",
    )
