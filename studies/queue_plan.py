"""What the queue of published tables runs: cells, and the tables that their rows stand in.

A cell is the least that is worth keeping: one network of a table, attacked at its budgets; of
purifiers, by one attack. Rows that two tables print are one cell.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from art_disc.core.records import Record
from art_disc.core.records.certified import CertifiedFigureRecord
from art_disc.core.records.protocols import ProtocolTableRecord
from art_disc.core.records.published import TableRecord
from art_disc.core.records.purifiers import PurifierTableRecord
from art_disc.reproduction import (
    BINARISED_TABLES,
    CERTIFICATES,
    CERTIFIED_FIGURES,
    FIGURE3,
    FIGURE5,
    FIGURE6,
    PIXEL_FIGURES,
    PURIFIER_TABLES,
    RANDOMISED_TABLES,
    TABLES,
    Published,
    reproduce_binarised,
    reproduce_certificates,
    reproduce_certified,
    reproduce_figure3,
    reproduce_figure5,
    reproduce_figure6,
    reproduce_pixels,
    reproduce_purifiers,
    reproduce_randomised,
)
from art_disc.reproduction.costs import IMAGES, RANDOMISED_MINUTES, VOTED_MINUTES, minutes_of
from art_disc.reproduction.printed import kind_of
from art_disc.reproduction.purifier_recipes import TRAININGS
from art_disc.reproduction.randomised_run import in_words
from art_disc.reproduction.rows import RowRequest, run_row
from art_disc.reproduction.tables import OWN_DATA, chosen_rows
from studies.queue_cells import (
    FIGURES,
    HEADLINE,
    OTHERS,
    SAME_TABLES,
    Cell,
    Place,
    base_name,
    classifier_name,
    filter_name,
    stage,
)

_HEADLINE_CODES = (0, 2, 10, 50, 300)


@dataclass(frozen=True)
class Sheet:
    """One result file.

    Attributes:
        name: Of the table or figure.
        title: What it compares.
        kind: Of its record; None: a cell makes the whole record.
        cells: In the order of its rows.
        planned: Rows that it will have.
        printed: What the paper prints of a cell's rows, by the cell's key.
        asked: Settings that a whole record must have to count.
    """

    name: str
    title: str
    kind: type[Any] | None
    cells: tuple[Cell, ...]
    planned: int = 0
    printed: Mapping[tuple[Any, ...], Published] | None = None
    asked: Mapping[str, Any] = field(default_factory=dict)

    def shown(self, key: tuple[Any, ...], row: Any) -> Any:
        """Return a cell's row with what this very table prints of it."""
        if self.printed is None:
            return row
        own = self.printed[key]
        here = row.eps == own.eps
        return replace(
            row,
            printed_clean=own.clean,
            printed_robust=own.robust if here else None,
            printed_steps=own.steps if here else 0,
        )


def key_of(row: Any) -> tuple[Any, ...]:
    """Return what tells the cell that made a row of a table."""
    if hasattr(row, "setting"):
        return row.dataset, row.setting, kind_of(row.defence), row.n_codes
    if hasattr(row, "line"):
        return row.dataset, row.defence
    if hasattr(row, "attack"):
        return row.dataset, row.model, row.attack
    return row.dataset, row.model


# of each table of certificates
_CERTIFIED = {"method": "complete", "sample": "random", "n_ex": 300}


def plan() -> tuple[Sheet, ...]:
    """Return every table and figure that the data at hand allow."""
    return (*_accuracies(), *_protocols(), *_purifiers(), *_randomised(), *_certified(), *_whole())


def _attack(row: Published, eps: tuple[float, ...], place: Place) -> list[Any]:
    request = RowRequest(n_ex=IMAGES[row.dataset], out=place.work, eps=eps, verbose=False)
    return run_row(row, stage(row.dataset, place.data_dir), request)


def _accuracies() -> Iterator[Sheet]:
    for name, table in TABLES.items():
        rows = [row for row in chosen_rows(name) if row.dataset not in OWN_DATA]
        cells = tuple(_accuracy(row, name, table.eps) for row in rows)
        if cells:
            printed = {cell.key: row for cell, row in zip(cells, rows, strict=True)}
            planned = len(cells) * max(1, len(table.eps))
            yield Sheet(name, table.title, TableRecord, cells, planned, printed)


def _accuracy(row: Published, table: str, eps: tuple[float, ...]) -> Cell:
    key = row.dataset, row.setting, row.defence, row.n_codes
    at = "-".join(f"{value:.4g}" for value in eps) or "printed"
    minutes = minutes_of(row, max(1, len(eps)))
    name = f"{'/'.join(map(str, key))}/eps={at}"
    first = (base_name(row.dataset, row.base),)
    return Cell(name, key, _rank(row, table), minutes, partial(_attack, row, eps), first)


def _rank(row: Published, table: str) -> int:
    if "-table" not in table:
        return FIGURES
    grey = row.dataset in ("mnist", "fashion_mnist")
    density = row.defence in ("none", "density")
    if density and (grey or (row.training == "pre" and row.n_codes in _HEADLINE_CODES)):
        return HEADLINE
    return SAME_TABLES if density else OTHERS


def _protocols() -> Iterator[Sheet]:
    for name, table in BINARISED_TABLES.items():
        rows = [row for row in table.rows() if row.dataset not in OWN_DATA]
        rank = OTHERS if "-table" in name else FIGURES
        cells = tuple(
            Cell(
                f"{name}/{row.dataset}/{row.model}", (row.dataset, row.model), rank,
                minutes_of(row, len(table.budgets(row))),
                partial(_part, reproduce_binarised, name, row.dataset, row.model),
            )
            for row in rows
        )  # fmt: skip
        if cells:
            planned = sum(max(1, len(table.budgets(row))) for row in rows)
            yield Sheet(name, table.title, ProtocolTableRecord, cells, planned)


def _purifiers() -> Iterator[Sheet]:
    for name, table in PURIFIER_TABLES.items():
        rows = [row for row in table.rows if row.dataset not in OWN_DATA]
        whole = table.attacker == "all"
        # of table 7 other attacks are its options
        cells = tuple(
            Cell(
                f"{name}/{row.dataset}/{row.setting}{'' if whole else f'/{row.attack}'}",
                (row.dataset, row.setting, row.attack),
                # printed of one network, which is not named: the others last
                FIGURES if whole and row.setting != "A" else OTHERS, minutes_of(row),
                partial(
                    _part, reproduce_purifiers, name, row.dataset, row.setting,
                    attacks=() if whole else (row.attack,),
                ),
                tuple(_networks(row.dataset, row.setting, whole)),
            )
            for row in rows
        )  # fmt: skip
        if cells:
            planned = len(rows) * (3 if whole else 1)
            yield Sheet(name, table.title, PurifierTableRecord, cells, planned)


def _randomised() -> Iterator[Sheet]:
    for name, table in RANDOMISED_TABLES.items():
        dataset, base = table.datasets[-1], "nat" if table.base == "natural" else "adv"
        rank = FIGURES if table.dataset in OWN_DATA and "-figure" in name else OTHERS
        cells = tuple(
            Cell(
                f"{name}/{dataset}/{in_words(defence, number)}",
                (
                    dataset, f"{'disc_' * (defence != 'none')}{base}_pre",
                    in_words(defence, number), 0,
                ), rank,
                # queries cost what they cost
                len(table.eps) * RANDOMISED_MINUTES * max(number or 100, 20) / 100,
                partial(_drawn, name, defence, number), (base_name(dataset, table.base),),
            )
            for defence in table.defences
            for number in table.numbers(defence)
        )  # fmt: skip
        yield Sheet(name, table.title, TableRecord, cells, len(cells) * len(table.eps))


def _drawn(name: str, defence: str, number: int, place: Place) -> list[Any]:
    found = reproduce_randomised(
        name, out=place.work, defences=(defence,), gradients=(number,) if number else (),
        data_dir=place.data_dir, verbose=False,
    )  # fmt: skip
    return [row for row in found.rows if (row.defence or "none") == in_words(defence, number)]


def _certified() -> Iterator[Sheet]:
    for name, figure in CERTIFIED_FIGURES.items():
        minutes = VOTED_MINUTES[figure.dataset]
        cells = tuple(
            Cell(
                f"{name}/{line.words}", (figure.dataset, line.words), FIGURES,
                minutes[0] + len(line.eps) * minutes[1],
                partial(_voted, name, line.words), (base_name(figure.dataset, "natural"),),
            )
            for line in figure.lines
        )  # fmt: skip
        planned = sum(len(line.eps) for line in figure.lines)
        yield Sheet(name, figure.title, CertifiedFigureRecord, cells, planned)


def _voted(name: str, words: str, place: Place) -> Sequence[Any]:
    return reproduce_certified(
        name, out=place.work, lines=(words,), data_dir=place.data_dir, verbose=False
    ).rows


def _networks(dataset: str, setting: str, whole: bool) -> Iterator[str]:
    """Yield the trainings that a classifier's rows need, with its substitute's.

    `whole`: attacked with the filter, which no other training of the classifier stands beside.
    """
    model, _, substitute = setting.partition("/")
    yield filter_name(dataset)
    trainings = ("none",) if whole else tuple(TRAININGS)
    yield from (classifier_name(dataset, model, training) for training in trainings)
    if substitute:
        yield classifier_name(dataset, substitute, "none")


def _part(
    run: Callable[..., Any], name: str, dataset: str, model: str, place: Place, **options: Any
) -> Sequence[Any]:
    """Run a cell's rows; their own part of the table stays in the folder of work."""
    found = run(
        name, out=place.work, datasets=(dataset,), models=(model,), n_ex=IMAGES[dataset],
        data_dir=place.data_dir, verbose=False, **options,
    )  # fmt: skip
    return found.rows


def _whole() -> Iterator[Sheet]:
    figures: dict[str, tuple[float, Any]] = {
        FIGURE3: (45.0, reproduce_figure3),
        FIGURE5: (3.0, reproduce_figure5),
        FIGURE6: (15.0, reproduce_figure6),
    }
    calls: dict[str, tuple[int, float, Any]] = {
        **{
            # the first decides for all: one network at one set of budgets
            name: (SAME_TABLES, 5.0 if place else 400.0, partial(
                reproduce_certificates, name, verbose=False, **_CERTIFIED
            ))
            for place, name in enumerate(CERTIFICATES)
        },
        **{name: (FIGURES, minutes, call) for name, (minutes, call) in figures.items()},
        **{name: (FIGURES, 1.0, partial(reproduce_pixels, name)) for name in PIXEL_FIGURES},
    }  # fmt: skip
    for name, (rank, minutes, call) in calls.items():
        cell = Cell(name, (), rank, minutes, partial(_all, call))
        asked = _CERTIFIED if name in CERTIFICATES else {}
        yield Sheet(name, name, None, (cell,), asked=asked)


def _all(call: Callable[..., Record], place: Place) -> Record:
    return call(out=place.work, data_dir=place.data_dir)
