"""Tables as data: drawn on a page, aligned for a terminal, written as Markdown."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from art_disc.core.records import Share
from art_disc.core.showing import Shown
from art_disc.report.document import Part
from art_disc.report.reading import ledger, percent


@dataclass(frozen=True, slots=True)
class ShareText:
    """A share in words: percentage, its 95% Wilson interval and the counts."""

    value: str
    interval: str
    counts: str


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


# a whole number is shown with its thousands apart, a share as `share_cell` does
Content = Cell | str | int | Share | None
AnyRow = Row | Iterable[Content]


@dataclass(frozen=True, slots=True)
class Table(Shown, Part):
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
            rows: Rows, each a `Row` or the contents of its cells, or bodies of them.
            look: Classes of the stylesheet.
            sortable: Whether a click on a heading sorts.
        """
        made = tuple(rows)
        plain = body(one for one in made if not isinstance(one, Body))
        bodies = tuple(one for one in (plain, *made) if isinstance(one, Body) and one.rows)
        columns = tuple(Column(head.removeprefix("#"), head.startswith("#")) for head in heads)
        return cls(label, caption, columns, bodies, look, sortable)

    @classmethod
    def each(
        cls,
        label: str,
        caption: str,
        columns: Mapping[str, Callable[[Any], Content]],
        items: Iterable[Any],
        look: str = "wide attacks",
    ) -> Self:
        """Build a table with a row for each item; `columns`: what each heading shows of it."""
        rows = ([show(item) for show in columns.values()] for item in items)
        return cls.of(label, caption, tuple(columns), rows, look=look)

    def __bool__(self) -> bool:
        return bool(self.bodies)

    def text(self) -> str:
        """Return the rows in aligned columns, numbers to the right."""
        lines = list(self._words())
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
        heads, *rows = self._words()
        lines = [heads, ["---"] * len(heads), *rows]
        escaped = ([words.replace("|", r"\|") for words in line] for line in lines)
        return "\n".join(f"| {' | '.join(line)} |" for line in escaped)

    def _words(self) -> Iterator[list[str]]:
        yield [column.title for column in self.columns]
        yield from ([cell.words for cell in one.cells] for part in self.bodies for one in part.rows)


@dataclass(frozen=True, slots=True)
class Folded(Part):
    """A table that is shown at a click, of the page alone."""

    shape: ClassVar[str] = "folded"
    title: str
    table: Table


def row(*contents: Content, look: str = "") -> Row:
    """Return a row of cells.

    >>> [cell.words for cell in row("pgd", 1234, Share(1, 2), None).cells]
    ['pgd', '1,234', '50.0% [9.5%, 90.5%] 1 of 2', 'not measured']
    """
    return Row(tuple(map(_cell, contents)), look)


def _cell(content: Content) -> Cell:
    if isinstance(content, Cell):
        return content
    if isinstance(content, str):
        return Cell(content)
    return number_cell(content) if isinstance(content, int) else share_cell(content)


def body(rows: Iterable[AnyRow], title: str = "") -> Body:
    """Return rows that belong together."""
    return Body(tuple(one if isinstance(one, Row) else row(*one) for one in rows), title)


def share_cell(share: Share | None, *, part: bool = False) -> Cell:
    """A share, or `not measured`; `part`: it is of a part of the record's examples."""
    if share is None:
        return Cell("not measured", sort="", look="missing")
    low, high = (percent(limit, share.total) for limit in share.interval)
    counts = f"{share.count} of {share.total}{' (part)' if part else ''}"
    shown = ShareText(percent(share.value, share.total), f"[{low}, {high}]", counts)
    return Cell(share=shown, sort=round(share.value, 9))


def run_row(run: Any, *contents: Content, mark: str = "") -> Row:
    """Return a row of something that was run; the last cell is its `status` and `reason`."""
    words = f"{mark}{run.status}{': ' if run.reason else ''}{run.reason}"
    look = "" if run.status == "done" else "not-done"
    return row(*contents, Cell(words, look="status"), look=look)


def spent_row(what: str, runs: Sequence[Any]) -> Row:
    """Return a row of the number of runs and of what they cost together."""
    gradients, queries, seconds = ledger(runs).values()
    return row(what, len(runs), gradients, queries, number_cell(seconds, f"{seconds:,.1f}"))


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
