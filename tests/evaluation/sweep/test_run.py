"""Small sweeps in this process: stopping, going on, failing, growing."""

import importlib
import json
import shutil
import threading
from contextlib import nullcontext

import pytest
import torch

from art_disc.codebooks import Codebook
from art_disc.core.errors import ArtDiscError, FileFormatError, FolderBusyError, InputError
from art_disc.core.files import write_json
from art_disc.core.journal import only_one
from art_disc.core.records.sweep import SweepRecord
from art_disc.evaluation.sweep import Execution, SweepInterrupted, run, run_sweep, work
from art_disc.evaluation.sweep.journal import CellJournal

HERE = Execution(jobs=1)


def go(plan, out, **options):
    return run_sweep(plan, out, execution=HERE, verbose=False, **options)


@pytest.fixture(scope="module")
def whole(tiny, tmp_path_factory):
    """The tiny sweep, run at once."""
    out = tmp_path_factory.mktemp("whole")
    return go(tiny(), out), out


@pytest.fixture
def jobs_of(monkeypatch, tmp_path):
    """Return a plan's cells as they go to the workers, and run none."""

    def of(plan):
        jobs = []
        with monkeypatch.context() as patch:
            patch.setattr(run, "serial", lambda left: iter(jobs.extend(left) or ()))
            patch.setattr(run, "closing", nullcontext)
            go(plan, tmp_path)
        return jobs

    return of


@pytest.fixture
def spy(monkeypatch):
    """Count the evaluations, and let one of them raise."""
    calls = []
    raises = {}
    real = work.evaluate

    def evaluate(*args, **kwargs):
        calls.append((kwargs["attacks"][0], kwargs["eps"], kwargs["through"]))
        if error := raises.get(len(calls)):
            raise error
        return real(*args, **kwargs)

    monkeypatch.setattr(work, "evaluate", evaluate)
    return calls, raises


@pytest.mark.parametrize("chain", ["{}", "{} + noise:sigma=0.1", "noise:sigma=0.1 + {}"])
def test_another_codebook_in_the_same_file_is_another_sweep(tiny, jobs_of, tmp_path, chain):
    file = tmp_path / "book.npz"
    Codebook([[0.0], [1.0]]).save(file)
    plan = tiny(defences=[chain.format(file)], surrogates=["own"], attacks=["fgsm"])
    before = [job.content for job in jobs_of(plan)]
    assert [job.content for job in jobs_of(plan)] == before
    Codebook([[0.0], [0.9]]).save(file)
    with pytest.raises(InputError, match="another content"):
        jobs_of(plan)


def test_every_cell_is_a_record_of_its_own(whole):
    record, out = whole
    # 2 eps x (fgsm, square) on the bare network, 2 eps x (fgsm twice, square) on the defended one
    assert (len(record.cells), record.planned, record.complete) == (10, 10, True)
    assert record.count("done") == 10
    for cell in record.cells:
        rows = cell.record.outcomes
        assert {row.attack for row in rows} == {cell.attack.partition(":")[0]}
        assert cell.record.eps == (cell.eps,)
        assert len(cell.record.labels) == 8
        assert cell.seconds > 0
        if cell.attack == "fgsm":
            assert cell.gradients == 8
        else:
            assert cell.gradients == 0
            assert cell.queries > 0
            assert rows[0].settings["max_iter"] == 5
    known = {(c.defence, c.surrogate): c.record.outcomes[-1].knowledge for c in record.cells}
    assert known["density:n_codes=2,radius=0.6", "base"] == "base"
    assert known["density:n_codes=2,radius=0.6", "own"] == "bpda"
    assert known["none", "none"] == "none"
    assert SweepRecord.load(out / "record.json") == record
    assert {"plan.json", "cells.jsonl", "summary.json", "report.html"} <= {
        p.name for p in out.iterdir()
    }


def test_a_cell_counts_what_evaluate_counts(whole, digits):
    """The same attack through the front door, on a network loaded from the run folder."""
    import art_disc as ad
    from art_disc.networks import DigitsNet, load_weights

    record, out = whole
    network = DigitsNet()
    load_weights(network, next((out / "networks").iterdir()))
    book = ad.DensityCodebook(n_codes=2, radius=0.6).fit(digits.x_train)
    classifier = ad.build_classifier(
        network.eval(), data=digits, defences=[ad.PixelDiscretization(book)]
    )
    data = digits.subset(n_test=8, stratified=True)
    found = ad.evaluate(
        classifier, data, eps=0.3, attacks=["fgsm"], surrogates=[], checks=None, verbose=False
    ).record
    cells = {c.surrogate: c for c in record.cells if c.defence != "none" and c.eps == 0.3}
    for surrogate, knowledge in (("own", "bpda"), ("base", "base")):
        (ours,) = cells[surrogate].record.select(attack="fgsm", scored_on="defended")
        (theirs,) = found.select(scored_on="defended", knowledge=knowledge)
        assert ours.correct == theirs.correct
        assert ours.perturbation == theirs.perturbation


def test_seeds_and_trainings_make_other_cells(tiny, tmp_path):
    plan = tiny(
        defences=["none"],
        eps=[0.2],
        attacks=["square:max_iter=5"],
        seeds=[0, 7],
        trainings=["natural:epochs=3", "pgd:eps=0.1,steps=2,epochs=1"],
    )
    record = go(plan, tmp_path)
    assert [cell.record.seed for cell in record.cells] == [0, 7, 0, 7]
    changes = [cell.record.outcomes[-1].correct for cell in record.cells]
    sizes = [cell.record.outcomes[-1].perturbation for cell in record.cells]
    assert len(set(zip(changes, sizes, strict=True))) > 2
    weights = [cell.record.network["weights"] for cell in record.cells]
    assert weights[0] == weights[1] != weights[2] == weights[3]
    assert record.cells[2].record.network["training"].startswith("pgd:eps=0.1,steps=2,epochs=1")


def test_merged_is_the_worst_of_all_cells_of_a_classifier(whole):
    record, _ = whole
    merged = record.merged()
    assert set(merged) == {cell.group for cell in record.cells}
    for group, together in merged.items():
        mine = [cell for cell in record.cells if cell.group == group]
        assert together.eps == (0.1, 0.3)
        for eps in together.eps:
            alive = [True] * 8
            for cell in mine:
                if cell.eps <= eps:
                    survives = cell.record.survives(cell.eps)
                    alive = [a and b for a, b in zip(alive, survives, strict=True)]
            assert together.survives(eps) == tuple(alive)


def test_cells_of_different_examples_are_not_put_together(whole):
    import dataclasses

    record, _ = whole
    first = record.cells[0]
    other = dataclasses.replace(first.record, labels=first.record.labels[::-1])
    cells = (dataclasses.replace(first, record=other), *record.cells[1:])
    with pytest.raises(FileFormatError, match="labels"):
        dataclasses.replace(record, cells=cells).merged()


def test_what_is_done_is_not_run_again(tiny, whole, spy, timeless, tmp_path):
    record, out = whole
    calls, _ = spy
    # the record of the shared folder is not to be written anew, with another date
    again = go(tiny(), shutil.copytree(out, tmp_path / "again"))
    assert calls == []
    assert again.cells == record.cells


@pytest.mark.parametrize("at", [1, 4, 10])
def test_interrupted_and_resumed_is_as_if_nothing_had_been(
    tiny, whole, spy, timeless, tmp_path, at
):
    calls, raises = spy
    raises[at] = KeyboardInterrupt()
    with pytest.raises(SweepInterrupted) as stop:
        go(tiny(), tmp_path)
    assert len(stop.value.partial.cells) == at - 1
    assert not stop.value.partial.complete
    assert SweepRecord.load(tmp_path / "record.json") == stop.value.partial
    # a kill in the middle of a line as well
    if at > 1:
        journal = tmp_path / "cells.jsonl"
        journal.write_bytes(journal.read_bytes()[:-20])
    told = []
    record = go(tiny(), tmp_path, announce=told.append)
    assert any("cut off" in line for line in told) == (at > 1)
    lost = 1 if at > 1 else 0
    assert f"10 cells: {at - 1 - lost} done, {11 - at + lost} left" in told[-1]
    assert len(calls) == 11 + lost
    assert timeless(record) == timeless(whole[0])


def test_the_time_limit_starts_no_cell(tiny, whole, timeless, spy, tmp_path):
    calls, _ = spy
    record = go(tiny(), tmp_path, time_limit=1e-9)
    assert (calls, record.cells, record.complete) == ([], (), False)
    # the plan's own limit, and the caller's over it
    assert go(tiny(time_limit="0.001s"), tmp_path).cells == ()
    record = go(tiny(time_limit="0.001s"), tmp_path, time_limit="1h")
    assert timeless(record) == timeless(whole[0])


def test_a_cell_that_breaks_is_a_row_and_is_tried_again_when_asked(
    tiny, whole, spy, timeless, tmp_path
):
    calls, raises = spy
    raises[2] = RuntimeError("out of luck")
    record = go(tiny(), tmp_path)
    assert record.complete
    assert [c.reason for c in record.cells if c.status == "failed"] == ["RuntimeError: out of luck"]
    assert len(calls) == 10
    assert go(tiny(), tmp_path).count("failed") == 1
    assert len(calls) == 10
    record = go(tiny(), tmp_path, retry_failed=True)
    assert len(calls) == 11
    assert timeless(record) == timeless(whole[0])


def test_what_an_attack_refuses_is_skipped_with_its_reason(tiny, tmp_path):
    plan = tiny(norm="2", attacks=["sign_adam"], eps=[0.5], defences=["none"])
    (cell,) = go(plan, tmp_path).cells
    assert cell.status == "skipped"
    assert "inf only" in cell.reason
    assert go(plan, tmp_path).cells == (cell,)
    (again,) = go(plan, tmp_path, retry_failed=True).cells
    assert (again.status, again.reason) == (cell.status, cell.reason)


def test_a_changed_plan_is_refused_and_more_cells_are_taken_when_asked(
    tiny, spy, timeless, tmp_path
):
    calls, _ = spy
    small = tiny(attacks=["fgsm"], surrogates=["own"], defences=["none"])
    first = go(small, tmp_path)
    wider = tiny(attacks=["fgsm"], surrogates=["own"])
    with pytest.raises(InputError, match=r"2 cells more .*defences.*--extend"):
        go(wider, tmp_path)
    for changes in ({"batch_size": 4}, {"n_ex": 7}, {"threads": 2}):
        changed = tiny(attacks=["fgsm"], surrogates=["own"], defences=["none"], **changes)
        with pytest.raises(InputError, match=f"{next(iter(changes))}; give another --out"):
            go(changed, tmp_path, extend=True)
    with pytest.raises(InputError, match="1 of its cells are not in this one"):
        go(tiny(attacks=["fgsm"], eps=[0.1], defences=["none"]), tmp_path, extend=True)
    assert len(calls) == 2
    record = go(wider, tmp_path, extend=True)
    assert len(calls) == 4
    assert record.cells[:2] == first.cells
    assert len(record.cells) == record.planned == 4


def test_other_weights_are_another_sweep(tiny, tmp_path):
    from art_disc.networks import DigitsNet, save_weights

    plan = tiny(attacks=["fgsm"], surrogates=["own"], defences=["none"])
    go(plan, tmp_path)
    (file,) = (tmp_path / "networks").iterdir()
    save_weights(DigitsNet(), file)
    with pytest.raises(InputError, match="data, weights"):
        go(plan, tmp_path)


def test_a_network_of_ones_own_is_swept_with_its_weights(tiny, digits, tmp_path, monkeypatch):
    from art_disc.networks import save_weights

    (tmp_path / "swept.py").write_text(
        "from torch import nn\n\n\n"
        "def make():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    network = importlib.import_module("swept").make()
    save_weights(network, "w.npz", header={"line": "by hand"})
    plan = tiny(trainings=["given:model=swept:make,weights=w.npz"], attacks=["fgsm"], eps=[0.3])
    record = go(plan, tmp_path / "out")
    part = digits.part(8, stratified=True)
    right = network(torch.from_numpy(part.x_test)).argmax(1).numpy() == part.y_test
    bare = next(cell.record for cell in record.cells if cell.defence == "none")
    assert bare.defended_correct == tuple(right)
    assert [cell.record.network["training"] for cell in record.cells] == ["by hand"] * 3
    assert go(plan, tmp_path / "out").cells == record.cells, "and goes on"
    save_weights(swapped(network), "w.npz")
    with pytest.raises(InputError, match="data, weights"):
        go(plan, tmp_path / "out")


def swapped(network):
    with torch.no_grad():
        network[1].bias.add_(1)
    return network


def test_a_busy_folder_and_a_foreign_one_are_refused(tiny, tmp_path):
    with only_one(tmp_path, "sweep"), pytest.raises(FolderBusyError):
        go(tiny(), tmp_path)
    write_json(tmp_path / "plan.json", {"kind": "something else"})
    with pytest.raises(FileFormatError, match="no plan"):
        go(tiny(), tmp_path)


def test_data_that_is_not_the_plans_is_a_failed_cell(tiny, jobs_of, tmp_path):
    import dataclasses

    jobs = jobs_of(tiny(attacks=["fgsm"]))
    line = work.run_job(dataclasses.replace(jobs[0], fingerprint="other")).line
    with CellJournal(tmp_path / "cells.jsonl") as journal:
        journal.append(line)
    (cell,) = journal.cells({jobs[0].content: 0})
    assert (cell.status, "every machine" in cell.reason) == ("failed", True)


def test_cells_in_threads_of_one_process_do_not_share_their_draws(tiny, jobs_of):
    """A Dask worker may have several threads; ART draws from NumPy's one global stream."""
    jobs = jobs_of(tiny(attacks=["square:max_iter=20"], defences=["none"], seeds=[0, 1, 2]))
    assert len(jobs) == 6

    def correct(finished):
        rows = json.loads(finished.line)["cell"]["record"]["outcomes"]
        return [row["perturbation"] for row in rows]

    alone = [correct(work.run_job(job)) for job in jobs]
    found = [None] * 6

    def one(i):
        found[i] = correct(work.run_job(jobs[i]))

    threads = [threading.Thread(target=one, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == alone


def test_a_random_defence_starts_anew_in_every_cell(tiny, jobs_of):
    """A cell's numbers must not depend on which cells ran before it in the same process."""
    plan = tiny(
        defences=["noise:sigma=0.4"],
        attacks=["pgd:max_iter=1"],
        surrogates=["own"],
        eps=[0.05],
        seeds=[0, 1],
        n_ex=20,
    )
    first, second = jobs_of(plan)

    def found(job):
        rows = json.loads(work.run_job(job).line)["cell"]["record"]["outcomes"]
        return [row["draw_correct"] for row in rows]

    alone = found(second)
    assert found(first) != alone
    assert found(second) == alone


def test_the_seed_of_a_cell_is_the_defences_too(tiny, jobs_of, digits):
    """The same draws for one seed whatever ran before, others for another."""
    first, second = jobs_of(
        tiny(
            defences=["noise:sigma=0.4"],
            attacks=["pgd:max_iter=1"],
            surrogates=["own"],
            eps=[0.2],
            seeds=[0, 1],
        )
    )

    def scores(job):
        classifier, _ = work.classifier_of(job, "cpu")
        return classifier.predict(digits.x_test[:4]).tolist()

    assert scores(first) == scores(first)
    assert scores(first) != scores(second)


def test_errors_are_told_before_any_cell(tiny, tmp_path, spy):
    calls, _ = spy
    for changes in (
        {"datasets": ["nowhere.npz"]},
        {"n_ex": 10**6},
        {"defences": ["nowhere.npz"]},
    ):
        with pytest.raises(ArtDiscError):
            go(tiny(**changes), tmp_path / next(iter(changes)))
    assert calls == []
