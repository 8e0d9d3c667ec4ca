"""The queue of published tables: what it runs, in which order, and that a stop loses nothing."""

import dataclasses
import multiprocessing
import os
import pickle
import signal
from functools import partial

import numpy as np
import pytest
from torch import nn

from art_disc.core.errors import DataNotFoundError
from art_disc.core.records import load_record
from art_disc.core.records.base import Environment
from art_disc.core.records.published import TableRecord
from art_disc.core.records.purifiers import PurifierRow, PurifierTableRecord
from art_disc.reproduction import recipes, standings
from art_disc.reproduction.costs import minutes_of
from art_disc.reproduction.published import (
    Published,
    PublishedNetwork,
    PublishedPurifier,
    PublishedRandomised,
    published,
)
from art_disc.reproduction.purifier_tables import chosen_purifiers
from art_disc.reproduction.recipes import Stage
from art_disc.reproduction.rows import RowRequest, run_row
from art_disc.reproduction.standing import TO_RUN
from studies import queue, queue_plan
from studies.queue_cells import FIGURES, HEADLINE, Cell, Place, trainings
from studies.queue_plan import Sheet, key_of, plan
from tests.reproduction.test_printed import row_of

SMALL = {
    "sign_adam.max_iter": 3, "sign_adam.eps_step": 0.1, "pgd.max_iter": 3, "apgd_ce.max_iter": 3,
    "apgd_dlr.max_iter": 3, "square.max_iter": 5, "code_space.max_iter": 2,
    "code_space.num_random_init": 1,
}  # fmt: skip
ROWS = [row for row in published("chen2018", "3") if row.setting in ("nat_pre", "disc_nat_pre")]


class Fragile(nn.Sequential):
    """A tiny network that kills its process after so many calls."""

    left = float("inf")

    def __init__(self, input_shape=(1, 28, 28), nb_classes=10):
        super().__init__(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(49, nb_classes))

    def forward(self, x):
        Fragile.left -= 1
        if Fragile.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)


@pytest.fixture
def tiny(tmp_path, monkeypatch, digits):
    """mnist.npz with digits of 28x28, a network of its own and a cache."""
    large = {}
    for part in ("train", "test"):
        levels = np.rint(255 * getattr(digits, f"x_{part}")[:, 0]).astype(np.uint8)
        wide = np.kron(levels, np.ones((1, 3, 3), np.uint8))
        large[f"x_{part}"] = np.pad(wide, ((0, 0), (2, 2), (2, 2)))
        large[f"y_{part}"] = getattr(digits, f"y_{part}")
    np.savez(tmp_path / "mnist.npz", **large)
    monkeypatch.setenv("ART_DISC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(recipes.EXPERIMENTS, "mnist", fragile())
    monkeypatch.setattr(Fragile, "left", float("inf"))
    return tmp_path


def fragile():
    return dataclasses.replace(recipes.EXPERIMENTS["mnist"], network=Fragile)


def attack(row, place):
    stage = Stage.of("mnist", place.data_dir, 30)
    request = RowRequest(n_ex=6, out=place.work, settings=SMALL, verbose=False)
    return run_row(row, stage, request)


def sheet(name, rows):
    cells, printed = [], {}
    for row in rows:
        key = row.dataset, row.setting, row.defence, row.n_codes
        cells.append(Cell("/".join(map(str, key)), key, HEADLINE, 1.0, partial(attack, row)))
        printed[key] = row
    return Sheet(name, "a title", TableRecord, tuple(cells), len(cells), printed)


def go(folder, out, sheets, *more):
    words = ("--data-dir", str(folder), "--work", str(folder / out / "work"), "--jobs", "1")
    queue.main([*words, "--out", str(folder / out), "--quiet", *more], sheets)


def two_sheets():
    other = [dataclasses.replace(row, clean=50.0) for row in ROWS[::-1]]
    return [sheet("chen2018-table3", ROWS), sheet("chen2019-table2", other)]


def killed(folder, out, calls):
    """Run the queue in a process of its own; whether it was killed, after so many calls."""
    recipes.EXPERIMENTS["mnist"], Fragile.left = fragile(), calls
    go(folder, out, two_sheets())


def told(folder, name):
    record = load_record(folder / f"{name}.json")
    assert record.complete
    return [dataclasses.replace(row, seconds=0) for row in record.rows], record.settings


def test_killed_anywhere_and_taken_up_again_it_ends_with_the_same_tables(tiny, monkeypatch):
    sheets, spawn = two_sheets(), multiprocessing.get_context("spawn")
    Fragile.left = 10_000
    go(tiny, "whole", sheets)
    whole, kills = 10_000 - Fragile.left, 0
    # fewer in all than a whole run makes
    for share in (8, 4, 3):
        process = spawn.Process(target=killed, args=(tiny, "parts", whole // share))
        process.start()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
    assert kills == 3
    go(tiny, "parts", sheets)
    names = [one.name for one in sheets]
    for name in names:
        assert told(tiny / "parts", name) == told(tiny / "whole", name)
    # each table has its own order and its own printed numbers; its rows were run once
    first, second = (told(tiny / "whole", name)[0] for name in names)
    assert [row.setting for row in first] == [row.setting for row in ROWS]
    assert [row.setting for row in second] == [row.setting for row in ROWS[::-1]]
    assert {row.printed_clean for row in second} == {50.0}
    assert [row.alive for row in first] == [row.alive for row in second[::-1]]
    # nothing is left to do
    monkeypatch.setattr(Fragile, "left", 1000)
    go(tiny, "parts", sheets)
    assert Fragile.left == 1000


def test_rows_older_than_their_code_or_of_other_sizes_are_run_again(tmp_path, monkeypatch):
    ran = []
    row = row_of()
    cell = Cell("a", key_of(row), HEADLINE, 1.0, lambda _: ran.append(1) or [row])
    printed = {cell.key: ROWS[0]}
    sheets = [Sheet("chen2018-table3", "", TableRecord, (cell,), 1, printed)]
    go(tmp_path, "out", sheets)
    go(tmp_path, "out", sheets)
    assert len(ran) == 1
    file = tmp_path / "out" / "chen2018-table3.json"
    made = TableRecord.load(file)
    old = dataclasses.replace(made.environment, commit="0" * 40)
    dataclasses.replace(made, environment=old).save(file)
    go(tmp_path, "out", sheets, "--keep-old")
    assert len(ran) == 1
    go(tmp_path, "out", sheets)
    assert len(ran) == 2
    monkeypatch.setitem(queue.SETTINGS, "images of mnist", 7)
    go(tmp_path, "out", sheets, "--keep-old")
    assert len(ran) == 3
    go(tmp_path, "out", sheets, "--list")
    go(tmp_path, "none", sheets, "--hours", "0")
    assert len(ran) == 3
    assert not list((tmp_path / "none").glob("*.json"))


def test_a_whole_record_of_other_settings_is_run_again(tmp_path):
    ran = []
    made = TableRecord("whole", "", (row_of(),), 1, {"n_ex": 5}, Environment.here())
    cell = Cell("a", (), HEADLINE, 1.0, lambda _: ran.append(1) or made)
    for n_ex, times in ((5, 1), (5, 1), (7, 2), (5, 2)):
        go(tmp_path, "out", [Sheet("whole", "", None, (cell,), asked={"n_ex": n_ex})])
        assert len(ran) == times
    (certificates,) = (one for one in plan() if one.name == "chen2018-table2")
    assert certificates.asked["n_ex"] == 300


def toy_sheet(cells):
    printed = {cell.key: ROWS[0] for cell in cells}
    return Sheet("chen2018-table3", "", TableRecord, tuple(cells), len(cells), printed)


def test_a_cell_that_fails_is_told_and_stops_no_other(tmp_path, capsys):
    row, broken = row_of(), [True]

    def breaks(_):
        if broken:
            msg = "no images"
            raise DataNotFoundError(msg)
        return [dataclasses.replace(row, setting="adv_pre")]

    cells = [
        Cell("bad", ("mnist", "adv_pre", "density", 2), HEADLINE, 1.0, breaks),
        Cell("good", key_of(row), HEADLINE, 1.0, lambda _: [row]),
    ]
    with pytest.raises(SystemExit) as stop:
        go(tmp_path, "out", [toy_sheet(cells)])
    assert stop.value.code == 1
    assert "failed: bad: DataNotFoundError: no images" in capsys.readouterr().err
    made = TableRecord.load(tmp_path / "out" / "chen2018-table3.json")
    assert [row.setting for row in made.rows] == ["disc_nat_pre"]
    broken.clear()
    go(tmp_path, "out", [toy_sheet(cells)])
    made = TableRecord.load(tmp_path / "out" / "chen2018-table3.json")
    assert [row.setting for row in made.rows] == ["adv_pre", "disc_nat_pre"]


def test_what_is_left_is_told_with_its_cost_and_a_bar_goes_to_its_end(tmp_path, capsys):
    rows = [row_of(), row_of(setting="adv_pre")]
    cells = [
        Cell(row.setting, key_of(row), HEADLINE, minutes, partial(lambda row, _: [row], row))
        for row, minutes in zip(rows, (90.0, 30.0), strict=True)
    ]

    def said(*more):
        words = ("--data-dir", str(tmp_path), "--work", str(tmp_path / "work"), "--jobs", "1")
        queue.main([*words, "--out", str(tmp_path / "out"), *more], [toy_sheet(cells)])
        return capsys.readouterr()

    lines = [line.split() for line in said("--list").out.splitlines()]
    assert " ".join(lines[0]) == "chen2018-table3 0/2 cells, about 120 core-minutes to come"
    assert " ".join(lines[1]).startswith("2 cells left: about 2.0 core-hours, 2.0 hours on 1 cores")
    one = said("--cells", "disc_nat_pre")
    assert "about 90 core-minutes to come" in one.out
    assert "disc_nat_pre 100%" in one.err
    assert "1/2 cells, about 30 core-minutes" in " ".join(said("--list").out.split())


def test_an_older_table_stands_until_all_its_rows_are_there_again(tmp_path):
    rows = [row_of(), row_of(setting="adv_pre"), row_of(setting="disc_adv_pre")]
    cells = [
        Cell(row.setting, key_of(row), HEADLINE, 1.0, partial(lambda row, _: [row], row))
        for row in rows
    ]
    file = tmp_path / "out" / "chen2018-table3.json"
    older = TableRecord("chen2018-table3", "", tuple(rows[:2]), 2, {}, Environment.here())
    older.save(file)
    for word in ("disc_adv_pre", "disc_nat_pre"):
        go(tmp_path, "out", [toy_sheet(cells)], "--cells", word)
        assert TableRecord.load(file) == older
    unfinished = tmp_path / "out" / "work" / "tables" / "unfinished" / file.name
    assert len(TableRecord.load(unfinished).rows) == 2
    go(tmp_path, "out", [toy_sheet(cells)])
    assert [row.setting for row in TableRecord.load(file).rows] == [row.setting for row in rows]
    assert not unfinished.exists()


def test_what_shares_a_training_waits_for_it_and_the_headline_comes_first():
    cells = queue.missing([queue.Table(one, None, None, {}, None) for one in plan()])
    ranks = [cell.rank for cell in cells]
    assert ranks == sorted(ranks)
    assert {0, FIGURES} <= set(ranks)
    names = [cell.name for cell in cells]
    assert len(set(names)) == len(names)
    there = set()
    for batch in queue.batches(cells):
        assert all(set(cell.first) <= there for cell in batch)
        there |= {cell.name for cell in batch}
    assert set(names) <= there <= set(names) | set(trainings())
    first = {cell.key[:2] for cell in cells if cell.rank == HEADLINE}
    six = ("nat_pre", "adv_pre", "disc_nat_pre", "disc_adv_pre", "disc_nat_re", "disc_adv_re")
    assert {(d, s) for d in ("mnist", "fashion_mnist") for s in six} <= first
    # they go to other processes
    assert pickle.loads(pickle.dumps(cells[0])).name == names[0]  # noqa: S301 - our own


def test_every_printed_number_that_can_be_run_is_in_the_plan():
    keys = {one.name: {cell.key for cell in one.cells} for one in plan()}
    for one in standings({}):
        row = one.printed.published
        if one.word != TO_RUN or isinstance(row, PublishedRandomised) or one.minutes == 0:
            continue
        there = keys[one.printed.name]
        if isinstance(row, Published):
            assert (row.dataset, row.setting, row.defence, row.n_codes) in there
        elif isinstance(row, PublishedNetwork):
            assert (row.dataset, row.model) in there
        elif isinstance(row, PublishedPurifier):
            # table 7 names no classifier: all are run
            assert (row.dataset, row.setting or "A", row.attack) in there
        else:
            assert there == {()}


@pytest.mark.parametrize("name", ["kyatham2020-table2", "kyatham2020-table7"])
def test_a_cell_of_purifiers_asks_for_its_own_row_alone(tmp_path, monkeypatch, name):
    def reproduce(name, *, datasets, models, attacks=(), **_):
        rows = chosen_purifiers(name, datasets=datasets, models=models, attacks=attacks)
        made = (PurifierRow(r.dataset, r.attack, r.setting, None, None, (), ("A",)) for r in rows)
        environment = Environment.here(threads=1)
        return PurifierTableRecord(name, "a title", tuple(made), len(rows), {}, environment)

    monkeypatch.setattr(queue_plan, "reproduce_purifiers", reproduce)
    (one,) = (one for one in plan() if one.name == name)
    assert len({cell.name for cell in one.cells}) == len(one.cells) > 5
    for cell in one.cells:
        found = cell.run(Place(tmp_path, None))
        assert [key_of(row) for row in found] == [cell.key]


def test_a_cell_of_a_figure_costs_each_budget_that_it_attacks_at_and_its_training_once():
    cells = {cell.name: cell for one in plan() for cell in one.cells}
    (row,) = (r for r in published("chen2018", "3") if r.setting == "disc_nat_re")
    once, thrice = minutes_of(row), minutes_of(row, 3)
    images = minutes_of(next(r for r in ROWS if r.defence != "none"))
    assert thrice - once == pytest.approx(2 * images)
    figure = cells["mnist/disc_nat_re/density/2/eps=0.1-0.2-0.3"]
    assert figure.minutes == thrice
    # six budgets, none of them printed
    bits = cells["panda2019-figure4/mnist/8b"]
    assert bits.minutes > 6 * 1000 * 0.6 / 60
    table = cells["panda2019-table2/mnist/8b"]
    assert bits.minutes - table.minutes == pytest.approx(3 * 1000 * 0.6 / 60)
