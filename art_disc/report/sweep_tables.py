"""The tables of a sweep."""

from collections.abc import Callable

from art_disc.core.records import Share
from art_disc.core.records.outcomes import RUN_STATUSES
from art_disc.core.records.sweep import SweepCell, SweepRecord
from art_disc.report.reading import clean_share, in_unit_range, show_eps
from art_disc.report.table import (
    Body,
    Cell,
    Row,
    Table,
    columns,
    number_cell,
    share_cell,
)

_MARKS = {"done": "\u2713", "failed": "\u2716", "skipped": "\u25cb"}


def progress_table(record: SweepRecord) -> Table:
    """Cells by status, and what is left."""
    left = record.planned - len(record.cells)
    rows = [(status, record.count(status)) for status in RUN_STATUSES]
    counts = (*rows, ("not run yet", left), ("planned", record.planned))
    return Table(
        label="Progress",
        caption="Cells of the plan",
        columns=columns("Cells", "#Count"),
        bodies=(Body(tuple(Row((Cell(name), number_cell(n))) for name, n in counts)),),
        look="attacks",
        sortable=False,
    )


def merged_table(record: SweepRecord) -> Table | None:
    """Clean accuracy and the worst over all cells at each budget, for each classifier."""
    groups = record.merged()
    if not groups:
        return None
    budgets = sorted({eps for one in groups.values() for eps in one.eps})
    grey = all(in_unit_range(one) for one in groups.values())
    rows = tuple(
        Row(
            (
                Cell(group[2]),
                Cell(group[0]),
                Cell(group[1]),
                share_cell(clean_share(one)),
                *(share_cell(one.worst(eps)) for eps in budgets),
            )
        )
        for group, one in groups.items()
    )
    return Table(
        label="Result",
        caption="Clean accuracy, then the examples that no cell's attack broke within eps, over "
        "all attacks, surrogates and seeds together, with the 95% Wilson interval: an upper "
        "estimate of robust accuracy, not a proof.",
        columns=columns(
            "Defence",
            "Data set",
            "Training",
            "Clean",
            *(f"eps {show_eps(eps, grey_levels=grey)}" for eps in budgets),
        ),
        bodies=(Body(rows),),
    )


def cell_table(record: SweepRecord) -> Table | None:
    """Every cell that was run, in the plan's order."""
    if not record.cells:
        return None
    return Table(
        label="All cells",
        caption="Every cell that was run; costs are per image.",
        columns=columns(
            *("Defence", "Data set", "Training", "Attack", "#eps", "Surrogate", "#Seed"),
            *("Still correct", "#Gradients", "#Queries", "#Seconds", "Status"),
        ),
        bodies=(Body(tuple(_cell(cell) for cell in record.cells)),),
    )


def _cell(cell: SweepCell) -> Row:
    n = len(cell.record.labels) if cell.record is not None else 0
    done = cell.status == "done"
    return Row(
        (
            *(Cell(text) for text in (cell.defence, cell.dataset, cell.training, cell.attack)),
            number_cell(cell.eps, f"{cell.eps:.4g}"),
            Cell(cell.surrogate),
            number_cell(cell.seed, str(cell.seed)),
            share_cell(left(cell)) if done else Cell(),
            *(_each(spent, n) for spent in (cell.gradients, cell.queries, cell.seconds)),
            Cell(_status(cell), look="status"),
        ),
        look="" if done else "not-done",
    )


def _each(spent: float, n: int) -> Cell:
    return number_cell(round(spent / n, 9), f"{spent / n:,.4g}") if n else Cell()


def _status(cell: SweepCell) -> str:
    words = f"{_MARKS[cell.status]} {cell.status}"
    return f"{words}: {cell.reason}" if cell.reason else words


def left(cell: SweepCell) -> Share | None:
    """What the cell's attack left correct within its budget."""
    return None if cell.record is None else cell.record.worst(cell.eps)


def unfinished_table(record: SweepRecord) -> Table | None:
    """Failures and skips with their reasons, failures first."""
    cells = [cell for cell in record.cells if cell.status != "done"]
    if not cells:
        return None
    rows = tuple(
        Row(
            (
                Cell(f"{_MARKS[cell.status]} {cell.status}", look=f"verdict-{cell.status}"),
                *(Cell(text) for text in (cell.attack, cell.defence, cell.dataset, cell.training)),
                number_cell(cell.eps, f"{cell.eps:.4g}"),
                Cell(cell.surrogate),
                Cell(cell.reason or "no reason given", look="status"),
            )
        )
        for cell in sorted(cells, key=lambda cell: cell.status)
    )
    return Table(
        label="Failures and skips",
        caption="Cells that gave no number, and why",
        columns=columns(
            "Status", "Attack", "Defence", "Data set", "Training", "#eps", "Surrogate", "Reason"
        ),
        bodies=(Body(rows),),
    )


def cost_tables(record: SweepRecord) -> tuple[Table, ...]:
    """The ledger by attack and by defence, with the sum of all cells."""
    by: dict[str, Callable[[SweepCell], str]] = {
        "Attack": lambda cell: cell.attack,
        "Defence": lambda cell: cell.defence,
    }
    return tuple(_ledger(record, name, key) for name, key in by.items())


def _ledger(record: SweepRecord, name: str, key: Callable[[SweepCell], str]) -> Table:
    groups: dict[str, list[SweepCell]] = {}
    for cell in record.cells:
        groups.setdefault(key(cell), []).append(cell)
    return Table(
        label=f"Cost by {name.lower()}",
        caption=f"Cost by {name.lower()}, failed cells included; gradients and queries are counted "
        "per image.",
        columns=columns(name, "#Cells", "#Gradients", "#Queries", "#Seconds"),
        bodies=(
            Body(tuple(_sums(what, cells) for what, cells in groups.items())),
            Body((_sums("all cells", list(record.cells)),)),
        ),
        look="attacks",
    )


def _sums(what: str, cells: list[SweepCell]) -> Row:
    seconds = sum(cell.seconds for cell in cells)
    return Row(
        (
            Cell(what),
            number_cell(len(cells)),
            number_cell(sum(cell.gradients for cell in cells)),
            number_cell(sum(cell.queries for cell in cells)),
            number_cell(round(seconds, 3), f"{seconds:,.1f}"),
        )
    )
