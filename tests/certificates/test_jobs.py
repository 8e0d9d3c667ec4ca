"""Images in several processes: the same findings, and what cannot be sent there."""

import numpy as np
import pytest

from art_disc.certificates import enumeration
from art_disc.certificates.complete import attacked, method
from art_disc.codebooks import Codebook
from art_disc.core.errors import InputError
from art_disc.metrics import Spend, certify
from tests.certificates.conftest import graded, wide


def same(one, other):
    fields = ("verdicts", "reasons", "evaluated", "free_pixels", "noise")
    assert all(getattr(one.record, f) == getattr(other.record, f) for f in fields)
    assert one.witnesses.keys() == other.witnesses.keys()
    assert all(np.array_equal(one.witnesses[i], other.witnesses[i]) for i in one.witnesses)


def not_here(*args, **options):
    msg = "this process was to send its work"
    raise AssertionError(msg)


def test_processes_find_what_one_finds(monkeypatch, tiny):
    classifier, x, labels = graded()
    options = {"eps": 0.1, "method": "complete", "spend": Spend(nodes=2, seconds=1e6)}
    monkeypatch.setattr(attacked, "_ATTACKED", 3)
    alone = certify(classifier, x, labels, verbose=False, **options)
    small = tiny(Codebook([0.2, 0.5, 0.8]), (1, 2, 2))
    few = np.random.default_rng(0).uniform(0, 1, (30, 1, 2, 2)).astype(np.float32)
    monkeypatch.setattr(enumeration, "_AT_ONCE", 64)
    counted = certify(small, few, eps=0.1, verbose=False)
    # a worker has its own modules
    monkeypatch.setattr(method, "Search", not_here)
    monkeypatch.setattr(attacked, "CodeSpaceAttack", not_here)
    monkeypatch.setattr(enumeration, "_classify", not_here)
    same(certify(classifier, x, labels, n_jobs=2, verbose=False, **options), alone)
    assert set(alone.verdicts) == {"certified", "falsified", "undecided"}
    assert any("nodes spent" in reason for reason in alone.record.reasons)
    same(certify(small, few, eps=0.1, n_jobs=2, verbose=False), counted)
    assert {"certified", "falsified"} <= set(counted.verdicts)


class Handle:
    """Something that stays in its process."""

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        msg = "a handle is of one process"
        raise TypeError(msg)


@pytest.mark.parametrize("how", ["enumeration", "complete"])
def test_what_cannot_be_sent_is_refused_with_the_cure(how):
    classifier, net, x = wide(0)
    net.handle = Handle()
    options = {"eps": 0.1, "method": how, "verbose": False}
    with pytest.raises(InputError, match=r"cannot be pickled .*handle is of one.*use n_jobs=1"):
        certify(classifier, x[:1], n_jobs=2, **options)
    assert certify(classifier, x[:1], n_jobs=1, **options)


@pytest.mark.parametrize("wrong", [0, True, 1.5, "2"])
def test_n_jobs_is_a_number_of_processes(wrong):
    classifier, _, x = wide(0)
    with pytest.raises(InputError, match="n_jobs must be a whole number other than 0"):
        certify(classifier, x[:1], eps=0.1, n_jobs=wrong, verbose=False)


def test_n_jobs_may_be_of_numpy():
    classifier, _, x = wide(0)
    assert certify(classifier, x[:1], eps=0.1, max_free=0, n_jobs=np.int64(1), verbose=False)
