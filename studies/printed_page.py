"""What became of every number that the papers print, by the committed result files."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from art_disc.core.records import Record, load_record
from art_disc.core.records.study import StudyRecord
from art_disc.reproduction import FIGURES, PrintedFigure, Standing, standings
from art_disc.reproduction.costs import IMAGES
from art_disc.reproduction.printed import CLEAN, Measure
from art_disc.reproduction.published import PublishedCertificate, PublishedRandomised
from art_disc.reproduction.standing import MEASURED, OUT_OF_REACH, TO_RUN
from studies.common import RESULTS, load, markdown
from studies.queue import needed
from studies.queue_plan import plan

RANDOMISED = "randomised_attack_mnist"
WORDS = (MEASURED, TO_RUN, OUT_OF_REACH)
# every test image there is, whatever else a table's size
COUNTED_ON_ALL = (CLEAN, "unable")
# of certificates, and of defences that draw
SMALLER = {PublishedCertificate: 300, PublishedRandomised: 300}


def randomised(record: StudyRecord) -> Iterator[Measure]:
    """Yield what the study of randomised discretisation measured, as `printed` tells it."""
    for row in record["rows"]:
        defence = record["settings"]["defences"][row["defence"]]
        same = "mnist", "nat_pre" if defence == "none" else "disc_nat_pre", defence, 0
        yield from ((*same, None), (*same, row["eps"]))


@cache
def tables() -> dict[str, Record]:
    """Return the committed tables by the names of their files."""
    paths = sorted((RESULTS / "tables").glob("*.json"))
    return {f"tables/{path.name}": load_record(path) for path in paths}


@cache
def found() -> tuple[Standing, ...]:
    """Return where every printed number stands by the committed result files."""
    study = tuple(randomised(load(RANDOMISED)))
    return standings({**tables(), f"{RANDOMISED}.json": study})


def images(name: str, dataset: str) -> int:
    """Return how many images of a data set were attacked or certified for a result file, at least.

    0 where it has none of them.
    """
    if name not in tables():
        return min(row["worst"]["of"] for row in load(name.removesuffix(".json"))["rows"])
    rows = getattr(tables()[name], "rows", ())
    return min((_images(row) for row in rows if _dataset(row) == dataset), default=0)


def _dataset(row: Any) -> str:
    # certificates are of MNIST, and do not say so
    return str(getattr(row, "dataset", "mnist"))


def _images(row: Any) -> int:
    """Return of how many images a row of any table is."""
    if hasattr(row, "cells"):
        return min(cell.left.total for cell in row.cells if cell.left is not None)
    return int(row.total) if hasattr(row, "total") else len(row.correct)


def full_size(one: Standing) -> bool:
    """Whether a number is of all test images at hand, or of as many as the queue asks for."""
    if one.printed.column in COUNTED_ON_ALL:
        return bool(one.files)
    dataset = one.printed.dataset
    kind = type(one.printed.published)
    asked = SMALLER.get(kind, IMAGES[dataset]) if one.files else 0
    return any(images(name, dataset) >= asked for name in one.files)


def counts() -> list[str]:
    """Return the lines that stand at the top of the tables' page: how many of each paper's."""
    every = found()
    measured, full = sum(one.word == MEASURED for one in every), sum(map(full_size, every))
    return [
        f"{measured} of the {len(every)} numbers that the papers print were measured here, {full} "
        "of them at full size: clean accuracy of all test images at hand, certificates and "
        f"defences that draw of 300, the others of {IMAGES['mnist']:,} of MNIST and Fashion-MNIST "
        f"and {IMAGES['cifar10']} of CIFAR-10 and GTSRB. [Every printed "
        "number](printed_numbers.md) says by which result file, or why not.",
        "",
        *_table("paper", every, lambda one: one.printed.paper),
        "All cells of the queue, trainings and those that were run at fewer images among them, "
        f"come to about {whole():,.0f} core-hours (`art_disc/reproduction/costs.py`).",
        "",
        f"Of {len(FIGURES)} figures and panels {len(drawn())} are made again by committed "
        f"results, {sum(not one.reason for one in FIGURES)} can be; "
        "[the others](printed_numbers.md#figures) say why not.",
    ]


def _table(head: str, numbers: Sequence[Standing], name: Callable[[Standing], str]) -> list[str]:
    cells = [(of, *_counted(own)) for of, own in groupby(numbers, name)]
    heads = (head, "printed", MEASURED, "at full size", TO_RUN, OUT_OF_REACH, "core-minutes left")
    return markdown(heads, [*cells, ("all", *_counted(numbers))])


def _counted(numbers: Iterable[Standing]) -> tuple[str, ...]:
    numbers = list(numbers)
    measured, *others = (sum(one.word == word for one in numbers) for word in WORDS)
    each = (len(numbers), measured, sum(map(full_size, numbers)), *others)
    return (*map(str, each), f"{left(numbers):.0f}" if left(numbers) else "")


def left(numbers: Iterable[Standing]) -> float:
    """Return the minutes of one core that the rows of these numbers cost, each row once."""
    rows = {one.printed.experiment: one.minutes for one in numbers if one.minutes is not None}
    return sum(rows.values())


def whole() -> float:
    """Return the hours of one core that every cell of the queue takes, with its trainings."""
    cells = {cell.name: cell for sheet in plan() for cell in sheet.cells}
    return sum(cell.minutes for cell in (*cells.values(), *needed(cells.values()))) / 60


def drawn() -> tuple[PrintedFigure, ...]:
    """Return the figures that are drawn again from a committed result file."""
    return tuple(one for one in FIGURES if _file(one).is_file())


def _file(figure: PrintedFigure) -> Path:
    return RESULTS / "tables" / f"{figure.name}.json"


def figures() -> list[str]:
    """Return a table of the figures of the papers: what each shows and where it stands."""
    minutes = {one.name: sum(cell.minutes for cell in one.cells) for one in plan()}
    rows = []
    for one in FIGURES:
        there = _file(one).is_file()
        stands = f"`tables/{one.name}.json`" if there else one.reason or "in the queue"
        left = None if there else one.minutes if one.reason else minutes[one.name]
        rows.append((one.name, one.shows, stands, "" if left is None else f"{left:.0f}"))
    return ["## Figures", "", *markdown(("figure", "shows", "stands", "core-minutes"), rows)]


def numbers() -> list[str]:
    """Return tables of every number and figure of the papers, and where each stands."""
    lines = _table("table", found(), lambda one: one.printed.name)
    for name, own in groupby(found(), lambda one: one.printed.name):
        heads = ("data", "row", "printed", "stands", "core-minutes")
        lines += [f"## {name}", "", *markdown(heads, _rows(own))]
    return [*lines, *figures()]


def _rows(numbers: Iterable[Standing]) -> Iterator[tuple[str, ...]]:
    """Yield a line for each row of a table, or several where its numbers stand differently."""

    def same(one: Standing) -> tuple[str, ...]:
        stands = ", ".join(f"`{name}`" for name in one.files) or one.reason
        minutes = "" if one.minutes is None else f"{one.minutes:.0f}"
        return one.printed.dataset, one.printed.row, stands, minutes

    for (dataset, row, stands, minutes), own in groupby(numbers, same):
        told = "; ".join(f"{one.printed.column} {one.printed.value:g}" for one in own)
        yield dataset, row, told, stands, minutes
