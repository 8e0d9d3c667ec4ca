"""Certificates that are stopped and go on: nothing is decided twice, and nothing is mixed."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from art_disc.certificates import enumeration, ledger, run
from art_disc.certificates.complete import attacked, method
from art_disc.certificates.methods import METHODS
from art_disc.codebooks import Codebook
from art_disc.core.errors import FileFormatError, FolderBusyError, InputError
from art_disc.core.journal import only_one
from art_disc.defences import PixelDiscretization
from art_disc.metrics import Certificate, Spend, certify
from art_disc.networks import weights_hash
from tests.certificates.conftest import graded
from tests.certificates.test_jobs import same

SPEND = Spend(nodes=20, seconds=1e6)
OPTIONS = {"eps": 0.1, "method": "complete", "spend": SPEND, "verbose": False}


@pytest.fixture(scope="module")
def task():
    return graded()


@pytest.fixture
def work(monkeypatch):
    """Note which images are attacked and searched, and stop where that is to be more."""

    class Work:
        attacked, searched, most = 0, (), (np.inf, np.inf)

    search, attack = method.Search, attacked.falsified

    def watched(scene, index, spend, bound):
        if len(Work.searched) == Work.most[1]:
            raise KeyboardInterrupt
        # an image is told by what it shows
        Work.searched += (scene.problem.images[index].tobytes(),)
        return search(scene, index, spend, bound)

    def counted(problem, seed):
        if Work.attacked >= Work.most[0]:
            raise KeyboardInterrupt
        Work.attacked += len(problem.images)
        return attack(problem, seed)

    monkeypatch.setattr(method, "Search", watched)
    monkeypatch.setattr(attacked, "falsified", counted)
    monkeypatch.setattr(attacked, "_ATTACKED", 2)
    monkeypatch.setattr(method, "_SEARCHED", 1)
    return Work


NEVER = np.inf


@pytest.mark.parametrize(
    "stops", [[(0, 0)], [(2, NEVER)], [(NEVER, 1)], [(4, NEVER), (2, 1), (NEVER, 1), (NEVER, 1)]]
)
def test_a_stopped_certificate_loses_nothing(task, work, tmp_path, stops):
    whole = certify(*task, **OPTIONS)
    attacked, searched = work.attacked, work.searched
    assert attacked >= 8
    assert len(searched) >= 3
    assert set(whole.verdicts) == {"certified", "falsified", "undecided"}
    done = []
    for work.most in [*stops, (NEVER, NEVER)]:
        work.attacked, work.searched = 0, ()
        if work.most == (NEVER, NEVER):
            same(certify(*task, out=tmp_path, **OPTIONS), whole)
        else:
            with pytest.raises(KeyboardInterrupt):
                certify(*task, out=tmp_path, **OPTIONS)
        done.append((work.attacked, work.searched))
    assert sum(count for count, _ in done) == attacked
    assert sorted(image for _, images in done for image in images) == sorted(searched)
    # a certificate that is whole is found again
    work.attacked, work.searched = 0, ()
    same(certify(*task, out=tmp_path, **OPTIONS), whole)
    assert (work.attacked, work.searched) == (0, ())
    assert Certificate.load(tmp_path).record.verdicts == whole.verdicts


def test_a_tail_cut_by_a_kill_costs_one_image(task, work, tmp_path):
    whole = certify(*task, out=tmp_path, **OPTIONS)
    path = tmp_path / ledger.FILE
    content = path.read_bytes()
    for cut in (1, 30, len(content.splitlines()[-1]) + 40):
        path.write_bytes(content[:-cut])
        work.searched = ()
        same(certify(*task, out=tmp_path, **OPTIONS), whole)
        assert len(work.searched) == 1 + (cut > 40)
    path.write_bytes(content.replace(b'"verdict"', b'"verdikt"', 1))
    with pytest.raises(FileFormatError, match=r"line 2 is damaged.*delete that line"):
        certify(*task, out=tmp_path, **OPTIONS)
    path.write_bytes(content[content.index(b"\n") + 1 :])
    with pytest.raises(FileFormatError, match="line 1 is damaged"):
        certify(*task, out=tmp_path, **OPTIONS)
    # the certificate itself does not rest on it
    path.unlink()
    same(Certificate.load(tmp_path), whole)


def test_with_more_to_spend_the_undecided_alone_are_searched_on(task, work, tmp_path):
    few = certify(*task, out=tmp_path, **OPTIONS | {"spend": Spend(nodes=1, seconds=1e6)})
    decided = [i for i, v in enumerate(few.verdicts) if v != "undecided"]
    assert few.count("undecided") >= 2
    work.attacked, work.searched = 0, ()
    larger = OPTIONS | {"spend": Spend(nodes=150, seconds=1e6)}
    more = certify(*task, out=tmp_path, **larger)
    assert work.attacked == 0
    assert len(work.searched) == few.count("undecided") > more.count("undecided")
    assert [more.verdicts[i] for i in decided] == [few.verdicts[i] for i in decided]
    same(more, certify(*task, **larger))
    with pytest.raises(InputError, match="made with a larger spend_nodes"):
        certify(*task, out=tmp_path, **OPTIONS | {"spend": Spend(nodes=1, seconds=1e6)})


def test_enumeration_goes_on_too(tiny, monkeypatch, tmp_path):
    monkeypatch.setattr(enumeration, "_AT_ONCE", 8)
    classifier = tiny(Codebook([0.2, 0.5, 0.8]), (1, 2, 2))
    x = np.random.default_rng(0).uniform(0, 1, (30, 1, 2, 2)).astype(np.float32)
    options = {"eps": 0.1, "verbose": False}
    whole = certify(classifier, x, **options)
    classify, seen = enumeration._classify, []

    def watched(enumerations, *rest):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append([each.problem.images[each.index].tobytes() for each in enumerations])
        classify(enumerations, *rest)

    monkeypatch.setattr(enumeration, "_classify", watched)
    with pytest.raises(KeyboardInterrupt):
        certify(classifier, x, max_free=1, out=tmp_path, **options)
    first = [image for part in seen for image in part]
    seen.clear()
    monkeypatch.setattr(
        enumeration, "_classify", lambda e, *rest: (seen.append(len(e)), classify(e, *rest))
    )
    small = certify(classifier, x, max_free=1, out=tmp_path, **options)
    assert sum(seen) + len(first) == int((np.array(whole.record.log2_images) <= 1.01).sum())
    seen.clear()
    found = certify(classifier, x, out=tmp_path, **options)
    assert found.verdicts == whole.verdicts
    assert sum(seen) == small.count("undecided") > 0


def test_a_method_that_keeps_nothing_is_kept_in_the_end(task, monkeypatch, tmp_path):
    calls = []

    def shy(problem, options):
        calls.append(len(problem.to_decide))
        return METHODS["bounds"](problem, dataclasses.replace(options, keep=lambda _: None))

    monkeypatch.setitem(METHODS, "shy", shy)
    options = {"eps": 0.1, "method": "shy", "out": tmp_path, "verbose": False}
    same(certify(*task, **options), certify(*task, **options))
    assert calls == [10, 0]


def changed(task, what):
    """A task that differs from the given one, and options for it."""
    classifier, x, y = task
    if what == "images":
        return (classifier, np.roll(x, 1, axis=0), y), {}
    if what == "labels":
        return (classifier, x, np.roll([1, *y[1:]], 2)), {}
    if what in ("weights", "scores"):
        return graded(seed=4, lead=5.4), {}
    if what == "codebook":
        defence = PixelDiscretization(Codebook([0.2, 0.81]))
        return (classifier.with_defences([defence]), x, y), {}
    values = {"eps": 0.11, "rule": "paper", "domain": "8bit", "method": "bounds"}
    values |= {"arithmetic": "exact", "batch_size": 7}
    # what a search may take is of `complete` alone
    return task, {what: values[what]} | ({"spend": None} if what == "method" else {})


@pytest.mark.parametrize(
    "what",
    ["images", "labels", "weights", "codebook", "eps", "rule", "domain", "method", "batch_size"],
)
def test_findings_of_something_else_are_refused(task, tmp_path, what):
    options = {"eps": 0.1, "method": "enumeration", "max_free": 0, "verbose": False}
    certify(*task, out=tmp_path, **options)
    files = tmp_path / ledger.FILE, tmp_path / "record.json"
    before = [file.read_bytes() for file in files]
    other, changes = changed(task, what)
    if what == "domain":
        other = (other[0], np.rint(255 * other[1]).astype(np.uint8), other[2])
    with pytest.raises(InputError, match=rf"findings of other .*{what}.*another folder"):
        certify(*other, out=tmp_path, **options | changes)
    assert [file.read_bytes() for file in files] == before


def test_other_versions_scores_and_noise_are_refused(task, tmp_path, monkeypatch):
    options = {"eps": 0.1, "max_free": 0, "out": tmp_path, "verbose": False}
    certify(*task, **options)
    with monkeypatch.context() as patch:
        patch.setattr(run.Environment, "decisive", {"packages": {}, "commit": "another"})
        with pytest.raises(InputError, match=r"other .*commit"):
            certify(*task, **options)
    scores = run.scores_told
    with monkeypatch.context() as patch:
        patch.setattr(run, "scores_told", lambda s: scores(s + 1e-3))
        with pytest.raises(InputError, match="other scores"):
            certify(*task, **options)
        patch.setattr(run, "scores_told", lambda s: scores(s + 1e-9))
        certify(*task, **options)
    measured = run.measured
    with monkeypatch.context() as patch:
        patch.setattr(run, "measured", lambda *a: dataclasses.replace(measured(*a), noise=1e-3))
        with pytest.raises(InputError, match="may be less sure"):
            certify(*task, **options)


def test_two_processes_do_not_share_a_folder(task, tmp_path):
    with (
        only_one(tmp_path, "certificate"),
        pytest.raises(FolderBusyError, match="already running a certificate"),
    ):
        certify(*task, eps=0.1, max_free=0, out=tmp_path, verbose=False)


def test_a_buffer_that_no_state_dict_holds_tells_networks_apart():
    def net(value):
        made = nn.Linear(1, 1)
        nn.init.ones_(made.weight)
        nn.init.ones_(made.bias)
        made.register_buffer("shift", torch.tensor(value), persistent=False)
        return made

    assert weights_hash(net(1.0)) == weights_hash(net(1.0)) != weights_hash(net(2.0))
