"""The page of a sweep: plan and progress, results side by side, every cell and its cost."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from art_disc.core.records.base import Setting
from art_disc.core.records.sweep import SweepRecord
from art_disc.report.heat import Grid, heat_plot
from art_disc.report.notices import Notice
from art_disc.report.page import environment_rows, fill, made_by
from art_disc.report.reading import in_unit_range, show_eps
from art_disc.report.sweep_curves import sweep_curves
from art_disc.report.sweep_tables import (
    cell_table,
    cost_tables,
    merged_table,
    progress_table,
    unfinished_table,
)
from art_disc.report.table import Body, Cell, Row, Table, columns, heat_cell
from art_disc.report.tables import setting_rows
from art_disc.report.verdict import SYMBOLS, Banner

TEMPLATE = "sweep.html.j2"


def sweep_page(record: SweepRecord) -> str:
    """Return the page of a sweep as HTML, complete in itself.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
        FileFormatError: Cells of one classifier are about different examples.
    """
    maps = heat_maps(record)
    return fill(
        TEMPLATE,
        title=f"Sweep {record.name}",
        made_by=made_by(record),
        sub=f"{len(record.cells):,} of {record.planned:,} cells",
        banner=Banner(
            "unchecked",
            SYMBOLS["unchecked"],
            "Not checked",
            "A sweep runs attacks, not the checks of an evaluation: evaluate the defence that "
            "looks best with checks before you believe its numbers.",
        ),
        notices=tuple(_notices(record)),
        progress=progress_table(record),
        merged=merged_table(record),
        curves=sweep_curves(record),
        maps=[(heat_table(title, grids), heat_plot(title, grids)) for title, grids in maps.items()],
        unfinished=unfinished_table(record),
        costs=cost_tables(record),
        cells=cell_table(record),
        facts=(
            ("Plan", setting_rows({key: _flat(value) for key, value in record.plan.items()})),
            ("Environment", environment_rows(record.environment)),
        ),
    )


def _notices(record: SweepRecord) -> Iterator[Notice]:
    left = record.planned - len(record.cells)
    if not record.complete:
        title = f"Interrupted: {left:,} of {record.planned:,} cells were not run."
        yield Notice("alert", title, "Later cells can only lower the numbers on this page.")
    for status, level in (("failed", "warning"), ("skipped", "remark")):
        if count := record.count(status):
            title = f"{count:,} of {len(record.cells):,} cells {status}."
            yield Notice(level, title, "They broke nothing and prove nothing; reasons are below.")


def _flat(value: Any) -> Setting:
    if isinstance(value, (list, tuple)):
        return ", ".join(str(_flat(item)) for item in value)
    if isinstance(value, dict):
        return json.dumps(value)
    return f"{value:.6g}" if isinstance(value, float) else value


def heat_maps(record: SweepRecord) -> dict[str, dict[str, Grid]]:
    """For each (data set, training) and budget: the worst of each attack on each defence.

    An attack's worst is over its surrogates and seeds, example by example.
    """
    attacks = list(dict.fromkeys(cell.attack for cell in record.cells))
    groups = list(dict.fromkeys(cell.group for cell in record.cells))
    found = {
        attack: replace(
            record, cells=tuple(cell for cell in record.cells if cell.attack == attack)
        ).merged()
        for attack in attacks
    }
    told = _words_of_eps(record)
    maps: dict[str, dict[str, Grid]] = {}
    for group in groups:
        grids = maps.setdefault(" / ".join(group[:2]), {words: {} for words in told.values()})
        for eps, words in told.items():
            for attack in attacks:
                one = found[attack].get(group)
                grids[words][group[2], attack] = one.worst(eps) if one else None
    return maps


def _words_of_eps(record: SweepRecord) -> dict[float, str]:
    ranges = [in_unit_range(cell.record) for cell in record.cells if cell.record is not None]
    grey = bool(ranges) and all(ranges)
    return {
        eps: f"eps {show_eps(eps, grey_levels=grey)}"
        for eps in sorted({cell.eps for cell in record.cells})
    }


def heat_table(title: str, grids: dict[str, Grid]) -> Table:
    """The same as a table of coloured cells, one body a budget."""
    attacks = list(dict.fromkeys(a for grid in grids.values() for _, a in grid))
    defences = list(dict.fromkeys(d for grid in grids.values() for d, _ in grid))
    bodies = tuple(
        Body(
            tuple(
                Row((Cell(d), *(heat_cell(grid.get((d, a))) for a in attacks))) for d in defences
            ),
            at,
        )
        for at, grid in grids.items()
    )
    return Table(
        label=f"Defence by attack, {title}",
        caption=f"{title}: share of examples that this attack did not break, over all its "
        "surrogates and seeds; clean mistakes count as broken.",
        columns=columns("Defence", *(f"#{attack}" for attack in attacks)),
        bodies=bodies,
        look="wide attacks heatmap",
    )
