"""Every published table that the data at hand allow, one cell after another.

    python -m studies.queue --data-dir DIR        the same as `make tables`
    python -m studies.queue --list                what is done and what is left, with its cost

A row is kept unless the code that it rests on has changed since. It is written down before the next
is begun, and attacks that are finished are kept under --work, so a queue that is stopped, also by a
kill, goes on where it was and ends with the same tables. The rows that matter most come first;
networks that rows share are trained once.
"""

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from art_disc.core.errors import ArtDiscError, FolderBusyError
from art_disc.core.journal import only_one
from art_disc.core.processes import in_processes
from art_disc.core.provenance import commit
from art_disc.core.records import Environment, load_record
from art_disc.reproduction.costs import IMAGES
from studies import common, provenance
from studies.queue_cells import Cell, Place, trainings
from studies.queue_plan import Sheet, key_of, plan

SETTINGS = {"queue": True, "seed": 0, **{f"images of {name}": n for name, n in IMAGES.items()}}
_BAR = "{desc} {percentage:3.0f}%|{bar}| {elapsed} so far, {remaining} left{postfix}"


@dataclass
class Table:
    """A result file that fills up.

    Attributes:
        sheet: What it is of.
        folder: Where `NAME.json` is.
        rows: What is there, by the cell's key; a whole record by `()`.
        environment: Of the oldest row.
    """

    sheet: Sheet
    folder: Path
    rows: dict[tuple[Any, ...], list[Any]]
    environment: Environment

    @classmethod
    def of(cls, sheet: Sheet, folder: Path, *, old: bool = False) -> "Table":
        """Read what is there already and rests on the present code; `old`: or on an older one."""
        table = cls(sheet, folder, {}, Environment.here(threads=1))
        record = table._kept(old=old)
        if record is not None:
            table.environment = record.environment
            for row in record.rows if sheet.kind else ():
                table.rows.setdefault(key_of(row), []).append(row)
            if not sheet.kind:
                table.rows[()] = [record]
        return table

    def _kept(self, *, old: bool) -> Any:
        """Return the record in the folder; None if it is of other sizes or older than its code."""
        try:
            record: Any = load_record(self.path)
        except ArtDiscError:
            return None
        asked = self.sheet.kind is None or record.settings == SETTINGS
        return record if asked and (old or current(record.environment.commit)) else None

    @property
    def path(self) -> Path:
        return self.folder / f"{self.sheet.name}.json"

    def takes(self, cell: Cell) -> bool:
        """Whether rows of this cell belong here."""
        return any(own.name == cell.name for own in self.sheet.cells)

    def add(self, cell: Cell, found: Any) -> None:
        """Write what a cell made into the file, in the table's order."""
        if self.sheet.kind is None:
            self.rows[()] = [found]
            found.save(self.path)
            return
        self.rows[cell.key] = [self.sheet.shown(cell.key, row) for row in found]
        order = [own.key for own in self.sheet.cells if own.key in self.rows]
        rows = tuple(row for key in order for row in self.rows[key])
        self.sheet.kind(
            self.sheet.name, self.sheet.title, rows, self.sheet.planned, SETTINGS, self.environment
        ).save(self.path)


def current(made: str) -> bool:
    """Whether what was made at a commit rests on code that is still the same."""
    if made == commit():
        return True
    return not made.partition("-")[1] and provenance.changed(made, provenance.TABLES) == ()


def missing(tables: Sequence[Table]) -> list[Cell]:
    """Return the cells whose rows lack in some table, the most important first."""
    found: dict[str, Cell] = {}
    for table in tables:
        for cell in table.sheet.cells:
            if cell.key not in table.rows:
                other = found.setdefault(cell.name, cell)
                # a cell of two tables is as important as in the one where it is more so
                found[cell.name] = min(other, cell, key=lambda one: one.rank)
    return sorted(found.values(), key=lambda cell: cell.rank)


def needed(cells: Iterable[Cell]) -> list[Cell]:
    """Return the trainings that cells share, before the first rank that needs them."""
    known = trainings()
    ranks: dict[str, int] = {}
    for cell in cells:
        for name in cell.first:
            ranks[name] = min(cell.rank, ranks.get(name, cell.rank))
    return [replace(known[name], rank=rank) for name, rank in ranks.items()]


def batches(cells: Sequence[Cell]) -> Iterator[list[Cell]]:
    """Yield what may run side by side: of each rank first its trainings, then its cells."""
    first = needed(cells)
    for rank in sorted({cell.rank for cell in cells}):
        yield [cell for cell in first if cell.rank == rank]
        yield [cell for cell in cells if cell.rank == rank]


def run(cells: Sequence[Cell], tables: Sequence[Table], place: Place, options: Any) -> None:
    """Run cells and write down what each made before the next is begun."""
    total = sum(cell.minutes for cell in (*cells, *needed(cells)))
    until = time.time() + 3600 * options.hours
    with tqdm(total=total, bar_format=_BAR, smoothing=0, disable=options.quiet) as bar:
        for batch in batches(cells):
            by_name = {cell.name: cell for cell in batch}
            with closing(_results(batch, place, options.jobs, until)) as results:
                for name, found in results:
                    cell = by_name[name]
                    for table in tables:
                        if found is not None and table.takes(cell):
                            table.add(cell, found)
                    bar.set_description_str(name, refresh=False)
                    bar.update(min(cell.minutes, total - bar.n))


def _results(
    cells: Sequence[Cell], place: Place, jobs: int, until: float
) -> Generator[tuple[str, Any]]:
    work = partial(_run_one, place, until)
    if jobs == 1:
        found: Iterable[Any] = map(work, cells)
    else:
        found = in_processes(work, cells, jobs, threads=1, cure="fewer --jobs")
    yield from filter(None, found)


def _run_one(place: Place, until: float, cell: Cell) -> tuple[str, Any] | None:
    """Run a cell unless it is too late: joblib takes cells ahead of their turn."""
    torch.set_num_threads(1)
    while time.time() < until:
        try:
            return cell.name, cell.run(place)
        except FolderBusyError:
            # two tables may print one network: the other cell's attacks are taken over then
            time.sleep(30)
    return None


def told(tables: Sequence[Table], cells: Sequence[Cell], jobs: int) -> list[str]:
    """Return what is done and what is left, with about what it costs."""
    lines = []
    left = {cell.name for cell in cells}
    for table in tables:
        own = [cell for cell in table.sheet.cells if cell.name in left]
        minutes = sum(cell.minutes for cell in own)
        done = len(table.sheet.cells) - len(own)
        cost = f", about {minutes:.0f} core-minutes left" if own else ""
        lines.append(f"{table.sheet.name:20} {done}/{len(table.sheet.cells)} cells{cost}")
    shared = sum(cell.minutes for cell in needed(cells))
    hours = (shared + sum(cell.minutes for cell in cells)) / 60
    lines.append(
        f"{len(cells)} cells left: about {hours:.1f} core-hours, {hours / jobs:.1f} hours on "
        f"{jobs} cores; {shared / 60:.1f} of shared trainings, cached ones among them"
    )
    return lines


def main(words: Sequence[str] | None = None, sheets: Sequence[Sheet] | None = None) -> None:
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2, help="processes, each with one thread")
    parser.add_argument("--hours", type=float, default=float("inf"), help="no cell starts later")
    parser.add_argument("--only", nargs="+", help="these tables alone: chen2018-table3, ...")
    parser.add_argument("--rank", type=int, default=3, help="0: the headline rows alone; 3: all")
    parser.add_argument("--keep-old", action="store_true", help="rows older than their code too")
    parser.add_argument("--list", action="store_true", help="say what is left and end")
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--out", type=Path, default=common.RESULTS / "tables")
    options = parser.parse_args(words)
    every = sheets if sheets is not None else plan()
    chosen = [one for one in every if not options.only or one.name in options.only]
    tables = [Table.of(sheet, options.out, old=options.keep_old) for sheet in chosen]
    cells = [cell for cell in missing(tables) if cell.rank <= options.rank]
    print("\n".join(told(tables, cells, options.jobs)))
    if not options.list:
        place = Place(common.work_folder(options, "tables"), options.data_dir)
        with only_one(place.work, "queue"):
            run(cells, tables, place, options)


if __name__ == "__main__":
    main()
