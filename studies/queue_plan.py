"""What the queue of published tables runs: cells, and the tables that their rows stand in.

A cell is the least that is worth keeping: one network of a table, attacked at its budgets. Rows
that two tables print are one cell.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from art_disc.core.records import Record
from art_disc.core.records.protocols import ProtocolTableRecord
from art_disc.core.records.published import TableRecord
from art_disc.core.records.purifiers import PurifierTableRecord
from art_disc.reproduction import (
    BINARISED_TABLES,
    CERTIFICATES,
    FIGURE3,
    FIGURE5,
    FIGURE6,
    PURIFIER_TABLES,
    TABLES,
    Published,
    reproduce_binarised,
    reproduce_certificates,
    reproduce_figure3,
    reproduce_figure5,
    reproduce_figure6,
    reproduce_purifiers,
)
from art_disc.reproduction.costs import IMAGES, base_minutes, minutes_of
from art_disc.reproduction.purifier_recipes import (
    CLASSIFIERS,
    TRAININGS,
    trained_classifier,
    trained_lqvae,
)
from art_disc.reproduction.recipes import Stage
from art_disc.reproduction.rows import RowRequest, run_row
from art_disc.reproduction.tables import OWN_DATA, chosen_rows

# what is run first: the printed headline settings, then what else their tables print, then the rest
HEADLINE, SAME_TABLES, OTHERS, FIGURES = range(4)
_HEADLINE_CODES = (0, 2, 10, 50, 300)


@dataclass(frozen=True)
class Place:
    """Where cells run.

    Attributes:
        work: Folder of evaluations and adversarial images of this very code.
        data_dir: Where data sets are looked for first.
    """

    work: Path
    data_dir: str | None


@cache
def _stage(dataset: str, data_dir: str | None) -> Stage:
    """Return a data set's images and recipe, read once in a process."""
    return Stage.of(dataset, data_dir, None)


@dataclass(frozen=True)
class Cell:
    """One piece of work; `key` is of its rows, as `key_of` tells it.

    Attributes:
        name: Unique.
        key: Of the rows that it makes.
        rank: One of `HEADLINE` to `FIGURES`.
        minutes: Of one core, about.
        run: Makes the rows, or the whole record.
        first: Names of trainings that are to be there before.
    """

    name: str
    key: tuple[Any, ...]
    rank: int
    minutes: float
    run: Callable[[Place], Any]
    first: tuple[str, ...] = ()


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
    """

    name: str
    title: str
    kind: type[Any] | None
    cells: tuple[Cell, ...]
    planned: int = 0
    printed: Mapping[tuple[Any, ...], Published] | None = None

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
        return row.dataset, row.setting, row.defence.partition(",")[0] or "none", row.n_codes
    return row.dataset, row.model


def plan() -> tuple[Sheet, ...]:
    """Return every table and figure that the data at hand allow."""
    return (*_accuracies(), *_protocols(), *_purifiers(), *_whole())


def trainings() -> dict[str, Cell]:
    """Return the trainings that cells share, by their names."""
    bases = [
        Cell(
            _base(dataset, base), (), HEADLINE, base_minutes(dataset, base),
            partial(_train, dataset, "nat_pre" if base == "natural" else "adv_pre"),
        )
        for dataset in IMAGES
        for base in ("natural", "adversarial")
    ]  # fmt: skip
    classifiers = [
        Cell(
            _classifier(dataset, model, training), (), OTHERS, 10.0,
            partial(_classify, dataset, model, training),
        )
        for dataset in ("mnist", "fashion_mnist")
        for model in CLASSIFIERS
        for training in TRAININGS
    ]  # fmt: skip
    filters = [
        Cell(_filter(dataset), (), OTHERS, 30.0, partial(_fit, dataset))
        for dataset in ("mnist", "fashion_mnist")
    ]
    return {cell.name: cell for cell in (*bases, *classifiers, *filters)}


def _base(dataset: str, base: str) -> str:
    return f"{dataset}, {base} base"


def _classifier(dataset: str, model: str, training: str) -> str:
    return f"{dataset}, classifier {model}, {training}"


def _filter(dataset: str) -> str:
    return f"{dataset}, LQ-VAE"


def _train(dataset: str, setting: str, place: Place) -> None:
    _stage(dataset, place.data_dir).trained(setting, [], seed=0, verbose=False)


def _classify(dataset: str, model: str, training: str, place: Place) -> None:
    data = _stage(dataset, place.data_dir).data
    trained_classifier(data, model, training, seed=0, verbose=False)


def _fit(dataset: str, place: Place) -> None:
    trained_lqvae(_stage(dataset, place.data_dir).data, seed=0, verbose=False)


def _attack(row: Published, eps: tuple[float, ...], place: Place) -> list[Any]:
    request = RowRequest(n_ex=IMAGES[row.dataset], out=place.work, eps=eps, verbose=False)
    return run_row(row, _stage(row.dataset, place.data_dir), request)


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
    minutes = minutes_of(row) * max(1, len(eps))
    name = f"{'/'.join(map(str, key))}/eps={at}"
    first = (_base(row.dataset, row.base),)
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
                minutes_of(row),
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
        each: dict[tuple[str, str], float] = {}
        for row in rows:
            key = row.dataset, row.setting
            each[key] = each.get(key, 0) + minutes_of(row)
        cells = tuple(
            Cell(
                f"{name}/{'/'.join(key)}", key, OTHERS, minutes,
                partial(_part, reproduce_purifiers, name, *key), tuple(_networks(*key)),
            )
            for key, minutes in each.items()
        )  # fmt: skip
        if cells:
            planned = len(rows) * (3 if table.attacker == "all" else 1)
            yield Sheet(name, table.title, PurifierTableRecord, cells, planned)


def _networks(dataset: str, setting: str) -> Iterator[str]:
    """Yield the trainings that a classifier's rows need, with its substitute's."""
    model, _, substitute = setting.partition("/")
    yield _filter(dataset)
    yield from (_classifier(dataset, model, training) for training in TRAININGS)
    if substitute:
        yield _classifier(dataset, substitute, "none")


def _part(
    run: Callable[..., Any], name: str, dataset: str, model: str, place: Place
) -> Sequence[Any]:
    """Run one network of a table; its own part of the table stays in the folder of work."""
    found = run(
        name, out=place.work, datasets=(dataset,), models=(model,), n_ex=IMAGES[dataset],
        data_dir=place.data_dir, verbose=False,
    )  # fmt: skip
    return found.rows


def _whole() -> Iterator[Sheet]:
    figures = {FIGURE3: reproduce_figure3, FIGURE5: reproduce_figure5, FIGURE6: reproduce_figure6}
    calls: dict[str, tuple[int, float, Any]] = {
        **{
            name: (SAME_TABLES, 400.0, partial(
                reproduce_certificates, name, method="complete", sample="random", n_ex=300,
                verbose=False,
            ))
            for name in CERTIFICATES
        },
        **{name: (FIGURES, 20.0, call) for name, call in figures.items()},
    }  # fmt: skip
    for name, (rank, minutes, call) in calls.items():
        yield Sheet(name, name, None, (Cell(name, (), rank, minutes, partial(_all, call)),))


def _all(call: Callable[..., Record], place: Place) -> Record:
    return call(out=place.work, data_dir=place.data_dir)
