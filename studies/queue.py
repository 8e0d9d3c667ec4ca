"""Every published table that the data at hand allow, one cell after another.

    python -m studies.queue --data-dir DIR        the same as `make tables`
    python -m studies.queue --list                what is done and what is left, with its cost

A row is kept unless the code that it rests on has changed since. It is written down before the next
is begun, and attacks that are finished are kept under --work, so a queue that is stopped, also by a
kill, goes on where it was and ends with the same tables. A table takes the place of an older file
under --out when it has all of that one's rows; until then it fills up in --work. A cell that fails
is told at the end and stops no other. The rows that matter most come first; networks that rows
share are trained once.
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


@dataclass(frozen=True)
class Failed:
    """What a cell ended with in place of rows."""

    reason: str


@dataclass
class Table:
    """A result file that fills up.

    Attributes:
        sheet: What it is of.
        folder: Where `NAME.json` is.
        unfinished: Where it fills up while it lacks rows of the file that is there.
        rows: What is there, by the cell's key; a whole record by `()`.
        environment: Of the oldest row.
        older: Keys of the file that it has to cover.
    """

    sheet: Sheet
    folder: Path
    unfinished: Path
    rows: dict[tuple[Any, ...], list[Any]]
    environment: Environment
    older: frozenset[tuple[Any, ...]] = frozenset()

    @classmethod
    def of(cls, sheet: Sheet, folder: Path, unfinished: Path, *, old: bool = False) -> "Table":
        """Read what is there already and rests on the present code; `old`: or on an older one."""
        table = cls(sheet, folder, unfinished, {}, Environment.here(threads=1))
        shown, filling = (_record(place / table.file) for place in (folder, unfinished))
        # what fills up is younger than what is shown
        for record in [r for r in (shown, filling) if r and table._keeps(r, old=old)]:
            if not table.rows:
                table.environment = record.environment
            table.rows |= _by_key(record) if sheet.kind else {(): [record]}
        if sheet.kind and shown:
            table.older = frozenset(_by_key(shown)) & {cell.key for cell in sheet.cells}
        return table

    def _keeps(self, record: Any, *, old: bool) -> bool:
        """Whether a record is of these sizes and no older than its code."""
        if self.sheet.kind is None:
            found = {name: record.settings.get(name) for name in self.sheet.asked}
            asked = found == dict(self.sheet.asked)
        else:
            asked = record.settings == SETTINGS
        return asked and (old or current(record.environment.commit))

    @property
    def file(self) -> str:
        return f"{self.sheet.name}.json"

    def takes(self, cell: Cell) -> bool:
        """Whether rows of this cell belong here."""
        return any(own.name == cell.name for own in self.sheet.cells)

    def add(self, cell: Cell, found: Any) -> None:
        """Write what a cell made into the file, in the table's order."""
        if self.sheet.kind is None:
            self.rows[()] = [found]
            found.save(self.folder / self.file)
            return
        self.rows[cell.key] = [self.sheet.shown(cell.key, row) for row in found]
        order = [own.key for own in self.sheet.cells if own.key in self.rows]
        rows = tuple(row for key in order for row in self.rows[key])
        record = self.sheet.kind(
            self.sheet.name, self.sheet.title, rows, self.sheet.planned, SETTINGS, self.environment
        )
        covers = self.older <= self.rows.keys()
        record.save((self.folder if covers else self.unfinished) / self.file)
        if covers:
            (self.unfinished / self.file).unlink(missing_ok=True)


def _by_key(record: Any) -> dict[tuple[Any, ...], list[Any]]:
    """Return a table's rows by the key of the cell that made them."""
    found: dict[tuple[Any, ...], list[Any]] = {}
    for row in record.rows:
        found.setdefault(key_of(row), []).append(row)
    return found


def _record(path: Path) -> Any:
    """Return the record of a file; None where there is none that can be read."""
    try:
        return load_record(path)
    except ArtDiscError:
        return None


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
        for name in (*(other for own in cell.first for other in known[own].first), *cell.first):
            ranks[name] = min(cell.rank, ranks.get(name, cell.rank))
    return [replace(known[name], rank=rank) for name, rank in ranks.items()]


def batches(cells: Sequence[Cell]) -> Iterator[list[Cell]]:
    """Yield what may run side by side: of each rank first its trainings, then its cells."""
    first = needed(cells)
    for rank in sorted({cell.rank for cell in cells}):
        own = [cell for cell in first if cell.rank == rank]
        # a training that needs another one waits for it
        yield from filter(None, ([c for c in own if not c.first], [c for c in own if c.first]))
        yield [cell for cell in cells if cell.rank == rank]


def run(
    cells: Sequence[Cell], tables: Sequence[Table], place: Place, options: Any
) -> dict[str, str]:
    """Run cells and write down what each made before the next is begun; return what failed."""
    total = sum(cell.minutes for cell in (*cells, *needed(cells)))
    until, failed = time.time() + 3600 * options.hours, {}
    with tqdm(total=total, bar_format=_BAR, smoothing=0, disable=options.quiet) as bar:
        for batch in batches(cells):
            by_name = {cell.name: cell for cell in batch}
            with closing(_results(batch, place, options.jobs, until)) as results:
                for name, found in results:
                    cell = by_name[name]
                    if isinstance(found, Failed):
                        failed[name] = found.reason
                        bar.write(f"{name} failed: {found.reason}")
                    for table in tables:
                        if found is not None and name not in failed and table.takes(cell):
                            table.add(cell, found)
                    bar.set_description_str(name, refresh=False)
                    bar.update(min(cell.minutes, total - bar.n))
    return failed


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
        except Exception as error:  # noqa: BLE001 - told at the end
            return cell.name, Failed(f"{type(error).__name__}: {error}")
    return None


def told(tables: Sequence[Table], cells: Sequence[Cell], jobs: int) -> list[str]:
    """Return what is done and what is left, with about what it costs."""
    lines = []
    asked = {cell.name for cell in cells}
    for table in tables:
        own = [cell for cell in table.sheet.cells if cell.name in asked]
        minutes = sum(cell.minutes for cell in own)
        done = sum(cell.key in table.rows for cell in table.sheet.cells)
        cost = f", about {minutes:.0f} core-minutes to come" if own else ""
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
    parser.add_argument("--cells", nargs="+", help="cells whose name has one of these in it")
    parser.add_argument("--rank", type=int, default=3, help="0: the headline rows alone; 3: all")
    parser.add_argument("--keep-old", action="store_true", help="rows older than their code too")
    parser.add_argument("--list", action="store_true", help="say what is left and end")
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--out", type=Path, default=common.RESULTS / "tables")
    options = parser.parse_args(words)
    every = sheets if sheets is not None else plan()
    chosen = [one for one in every if not options.only or one.name in options.only]
    unfinished = Path(options.work) / "tables" / "unfinished"
    tables = [Table.of(one, options.out, unfinished, old=options.keep_old) for one in chosen]
    cells = [cell for cell in missing(tables) if cell.rank <= options.rank]
    if options.cells:
        cells = [cell for cell in cells if any(word in cell.name for word in options.cells)]
    print("\n".join(told(tables, cells, options.jobs)))
    if not options.list:
        place = Place(common.work_folder(options, "tables"), options.data_dir)
        with only_one(place.work, "queue"):
            failed = run(cells, tables, place, options)
        if failed:
            parser.exit(1, "".join(f"failed: {name}: {why}\n" for name, why in failed.items()))


if __name__ == "__main__":
    main()
