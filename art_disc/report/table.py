"""Tables as data: drawn on a page, aligned for a terminal, written as Markdown."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from art_disc.core.records import Share
from art_disc.report.document import Part
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

    @property
    def words(self) -> str:
        """All of it in one line."""
        share = self.share
        shown = () if share is None else (share.value, share.interval, share.counts)
        return " ".join(filter(None, (self.text, *shown, self.note)))


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


AnyRow = Row | Iterable[Cell | str]


@dataclass(frozen=True, slots=True)
class Table(Part):
    """A table; `label` names the box that it scrolls in."""

    shape: ClassVar[str] = "table"
    label: str
    caption: str
    columns: tuple[Column, ...]
    bodies: tuple[Body, ...]
    look: str = "wide attacks"
    sortable: bool = True

    @classmethod
    def of(
        cls,
        label: str,
        caption: str,
        heads: Sequence[str],
        rows: Iterable[AnyRow | Body],
        *,
        look: str = "wide attacks",
        sortable: bool = True,
    ) -> Self:
        """Build a table.

        Args:
            label: Name of the table.
            caption: What the reader must know to read it.
            heads: Headings; one that begins with `#` is of numbers.
            rows: Rows, each a `Row` or its cells, or bodies of them; a cell of words alone may
                be a string.
            look: Classes of the stylesheet.
            sortable: Whether a click on a heading sorts.
        """
        made = tuple(rows)
        bodies = tuple(part for part in made if isinstance(part, Body))
        plain = [part for part in made if not isinstance(part, Body)]
        if plain:
            bodies = (body(plain), *bodies)
        columns = tuple(Column(head.removeprefix("#"), head.startswith("#")) for head in heads)
        return cls(label, caption, columns, bodies, look, sortable)

    def text(self) -> str:
        """Return the rows in aligned columns, numbers to the right."""
        heads = [column.title for column in self.columns]
        lines = [heads, *self._words()]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        aligned = (
            "  ".join(
                cell.rjust(width) if column.number else cell.ljust(width)
                for cell, width, column in zip(line, widths, self.columns, strict=True)
            ).rstrip()
            for line in lines
        )
        found = [next(aligned)]
        for part in self.bodies:
            found += [part.title] if part.title else []
            found += [next(aligned) for _ in part.rows]
        return "\n".join(found)

    def markdown(self) -> str:
        """Return the rows as a table of Markdown; titles of bodies are left out."""
        heads = [column.title for column in self.columns]
        lines = [heads, ["---"] * len(heads), *self._words()]
        return "\n".join(f"| {' | '.join(map(_escaped, line))} |" for line in lines)

    def _words(self) -> Iterator[list[str]]:
        for part in self.bodies:
            for one in part.rows:
                yield [cell.words for cell in one.cells]


def _escaped(words: str) -> str:
    return words.replace("|", r"\|")


@dataclass(frozen=True, slots=True)
class Folded(Part):
    """A table that is shown at a click, of the page alone."""

    shape: ClassVar[str] = "folded"
    title: str
    table: Table


def row(*cells: Cell | str, look: str = "") -> Row:
    """Return a row; a cell of words alone may be a string.

    >>> row("pgd", look="headline-row").cells[0].text
    'pgd'
    """
    return Row(tuple(Cell(cell) if isinstance(cell, str) else cell for cell in cells), look)


def body(rows: Iterable[AnyRow], title: str = "") -> Body:
    """Return rows that belong together."""
    return Body(tuple(one if isinstance(one, Row) else row(*one) for one in rows), title)


def share_cell(share: Share | None, *, part: bool = False, look: str = "") -> Cell:
    """A share, or `not measured`."""
    if share is None:
        return Cell("not measured", sort="", look=f"missing {look}".strip())
    shown = show_share(share, part=part)
    return Cell(share=shown, sort=round(share.value, 9), look=look)


def number_cell(value: float | None, text: str | None = None) -> Cell:
    """A number as it is read, sorted as it is; empty for None."""
    if value is None:
        return Cell()
    return Cell(f"{value:,}" if text is None else text, sort=value)


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
