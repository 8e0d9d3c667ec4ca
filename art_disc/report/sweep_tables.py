"""The tables of a sweep."""

from collections import defaultdict

from art_disc.core.records.outcomes import RUN_STATUSES
from art_disc.core.records.sweep import SweepCell, SweepRecord
from art_disc.report.reading import clean_share, in_unit_range, show_eps
from art_disc.report.table import Cell, Row, Table, body, number_cell, run_row, spent_row

_MARKS = {"done": "\u2713", "failed": "\u2716", "skipped": "\u25cb"}


def progress_table(record: SweepRecord) -> Table:
    """Cells by status, and what is left."""
    counts = [(status, record.count(status)) for status in RUN_STATUSES]
    counts += [("not run yet", record.planned - len(record.cells)), ("planned", record.planned)]
    return Table.of(
        "Progress",
        "Cells of the plan",
        ("Cells", "#Count"),
        counts,
        look="attacks",
        sortable=False,
    )


def merged_table(record: SweepRecord) -> Table:
    """Clean accuracy and the worst over all cells at each budget, for each classifier."""
    groups = record.merged()
    budgets = sorted({eps for one in groups.values() for eps in one.eps})
    grey = all(in_unit_range(one) for one in groups.values())
    return Table.of(
        "Result",
        "Clean accuracy, then the examples that no cell's attack broke within eps, over "
        "all attacks, surrogates and seeds together, with the 95% Wilson interval: an upper "
        "estimate of robust accuracy, not a proof.",
        (
            *("Defence", "Data set", "Training", "Clean"),
            *(f"eps {show_eps(eps, grey_levels=grey)}" for eps in budgets),
        ),
        (
            (
                *(defence, dataset, training, clean_share(one)),
                *(one.worst(eps) for eps in budgets),
            )
            for (dataset, training, defence), one in groups.items()
        ),
    )


def cell_table(record: SweepRecord) -> Table:
    """Every cell that was run, in the plan's order."""
    return Table.of(
        "All cells",
        "Every cell that was run; costs are per image.",
        (
            *("Defence", "Data set", "Training", "Attack", "#eps", "Surrogate", "#Seed"),
            *("Still correct", "#Gradients", "#Queries", "#Seconds", "Status"),
        ),
        map(_cell, record.cells),
    )


def _cell(cell: SweepCell) -> Row:
    n = len(cell.record.labels) if cell.record is not None else 0
    left = None if cell.record is None else cell.record.worst(cell.eps)
    return run_row(
        cell,
        *(cell.defence, cell.dataset, cell.training, cell.attack),
        number_cell(cell.eps, f"{cell.eps:.4g}"),
        cell.surrogate,
        number_cell(cell.seed, str(cell.seed)),
        left if cell.status == "done" else "",
        *(_each(spent, n) for spent in (cell.gradients, cell.queries, cell.seconds)),
        mark=f"{_MARKS[cell.status]} ",
    )


def _each(spent: float, n: int) -> Cell:
    return number_cell(round(spent / n, 9), f"{spent / n:,.4g}") if n else Cell()


def unfinished_table(record: SweepRecord) -> Table:
    """Failures and skips with their reasons, failures first."""
    cells = [cell for cell in record.cells if cell.status != "done"]
    return Table.of(
        "Failures and skips",
        "Cells that gave no number, and why",
        ("Status", "Attack", "Defence", "Data set", "Training", "#eps", "Surrogate", "Reason"),
        (
            (
                Cell(f"{_MARKS[cell.status]} {cell.status}", look=f"verdict-{cell.status}"),
                *(cell.attack, cell.defence, cell.dataset, cell.training),
                number_cell(cell.eps, f"{cell.eps:.4g}"),
                cell.surrogate,
                Cell(cell.reason or "no reason given", look="status"),
            )
            for cell in sorted(cells, key=lambda cell: cell.status)
        ),
    )


def cost_tables(record: SweepRecord) -> tuple[Table, ...]:
    """The ledger by attack and by defence, with the sum of all cells."""
    return tuple(_costs(record, by) for by in ("attack", "defence"))


def _costs(record: SweepRecord, by: str) -> Table:
    groups: dict[str, list[SweepCell]] = defaultdict(list)
    for cell in record.cells:
        groups[getattr(cell, by)].append(cell)
    return Table.of(
        f"Cost by {by}",
        f"Cost by {by}, failed cells included; gradients and queries are counted per image.",
        (by.capitalize(), "#Cells", "#Gradients", "#Queries", "#Seconds"),
        (
            body(spent_row(what, cells) for what, cells in groups.items()),
            body([spent_row("all cells", record.cells)]),
        ),
        look="attacks",
    )
