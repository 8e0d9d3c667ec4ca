"""A certificate method of one's own: one function, one line, and what the front lets through."""

import numpy as np
import pytest

from art_disc.certificates.methods import METHODS
from art_disc.certificates.problem import Finding, Options, Problem
from art_disc.certificates.target import find_target
from art_disc.codebooks import Codebook
from art_disc.codebox import Threat, reachability
from art_disc.core.errors import CertificateError, InputError
from art_disc.core.records import load_record
from art_disc.metrics import certify

EPS = 0.1
X = np.random.default_rng(0).uniform(0, 1, (30, 1, 2, 2)).astype(np.float32)


def by_sampling(problem, options):
    """Try random changes: it falsifies what it can and certifies nothing."""
    rng, upper = np.random.default_rng(0), problem.target.upper
    findings = {}
    for index in problem.to_decide:
        signs = rng.choice([-1, 1], (64, *problem.images.shape[1:]))
        tried = problem.images[index] + problem.threat.eps * upper * signs
        witness = problem.witness_among(index, np.clip(tried, 0, upper).astype(np.float32))
        findings[index] = (
            Finding("undecided", "no change that was tried does harm", evaluated=len(tried))
            if witness is None
            else Finding("falsified", witness=witness, evaluated=len(tried))
        )
    return findings


@pytest.mark.parametrize("upper", [1.0, 255.0])
def test_a_method_of_ones_own_is_one_line(monkeypatch, tmp_path, tiny, assert_witnesses, upper):
    monkeypatch.setitem(METHODS, "sampling", by_sampling)
    classifier = tiny(Codebook([0.2, 0.5, 0.8]), (1, 2, 2), upper=upper)
    x, eps = X * np.float32(upper), EPS * upper
    labels = classifier.predict(x).argmax(axis=1)
    labels[:3] = (labels[:3] + 1) % 3
    options = {"eps": eps, "verbose": False}
    found = certify(classifier, x, labels, method="sampling", **options)
    exact = certify(classifier, x, labels, **options)
    assert found.record.method == "sampling"
    assert found.record.eps == eps
    assert found.record.settings["labels"] == "given"
    assert found.verdicts[:3] == ("falsified",) * 3
    assert found.count("certified") == 0
    assert found.count("falsified") > 3
    assert found.count("undecided") > 0
    for mine, true in zip(found.verdicts, exact.verdicts, strict=True):
        assert (mine, true) != ("falsified", "certified")
    assert_witnesses(found, classifier, x, labels, eps)
    assert load_record(found.save(tmp_path) / "record.json") == found.record


def answers(**changes):
    """Make a method that finds nothing but for what it says of the first image it has to decide."""

    def method(problem, options):
        first, *_ = problem.to_decide
        nothing = dict.fromkeys(problem.to_decide, Finding("undecided", "not tried"))
        return nothing | {first: Finding(**changes)}

    return method


FAR, NEAR = np.float32(1) - X[0].round(), X[0].copy()


@pytest.mark.parametrize(
    "method",
    [
        lambda problem, options: {},
        answers(verdict="certified", reason="I feel like it"),
        answers(verdict="undecided"),
        answers(verdict="banana"),
        answers(verdict="falsified"),
        answers(verdict="certified", witness=FAR),
        answers(verdict="falsified", witness=FAR),
        answers(verdict="falsified", witness=NEAR),
    ],
)
def test_a_method_that_cannot_be_right_is_refused(monkeypatch, tiny, method):
    monkeypatch.setitem(METHODS, "wrong", method)
    classifier = tiny(Codebook([0.2, 0.8]), (1, 2, 2))
    with pytest.raises(CertificateError, match=r"method must answer|image 0: got"):
        certify(classifier, X, eps=EPS, method="wrong", verbose=False)


@pytest.mark.parametrize("upper", [1.0, 255.0])
@pytest.mark.parametrize(
    ("domain", "level", "is_witness"),
    [
        ("real", 135.0, True),
        ("real", 135 + 2e-4, True),
        ("real", 135 + 4e-4, False),
        ("real", 130.4, True),
        ("8bit", 130.0, True),
        ("8bit", 130.4, False),
        ("8bit", 136.0, False),
    ],
)
def test_a_witness_keeps_to_the_budget_and_the_domain(
    thresholded, domain, level, is_witness, upper
):
    classifier = thresholded(
        Codebook([0.2, 0.8]), (1, 2, 2), upper / 2, clip_values=(0.0, upper), scale=10 / upper
    )
    x = np.full((1, 1, 2, 2), 115 / 255 * upper, dtype=np.float32)
    zero = np.zeros(1, dtype=np.int64)
    threat = Threat(20 / 255, domain=domain)
    problem = Problem.of(find_target(classifier), threat, x, zero, np.eye(2)[zero])
    found = problem.witness_among(0, np.full_like(x, level / 255 * upper))
    assert (found is not None) == is_witness


def problem_of(classifier, level, label, eps):
    upper = classifier.clip_values[1]
    x = np.full((1, 1, 2, 2), level * upper, dtype=np.float32)
    labels = np.array([label])
    # of scores by which no clean image is lost
    return Problem.of(find_target(classifier), Threat(eps), x, labels, np.eye(2)[labels])


@pytest.mark.parametrize("upper", [1.0, 255.0])
@pytest.mark.parametrize(
    ("clean", "level", "is_witness"),
    [(10, 0, True), (10, -2, False), (245, 255, True), (245, 257, False)],
)
def test_a_witness_keeps_to_the_range(thresholded, clean, level, is_witness, upper):
    classifier = thresholded(
        Codebook([0.2, 0.8]), (1, 2, 2), upper / 2, clip_values=(0.0, upper), scale=10 / upper
    )
    problem = problem_of(classifier, clean / 255, int(clean < 100), 20 / 255)
    changed = np.full((1, 1, 2, 2), level / 255 * upper, dtype=np.float32)
    assert (problem.witness_among(0, changed) is not None) == is_witness


@pytest.mark.parametrize(("lead", "is_witness"), [(0.5, False), (2, True)])
def test_a_witness_is_wrong_by_more_than_float_sums_differ(thresholded, lead, is_witness):
    # by so many times 1e-5, which is the least whatever the scores are
    classifier = thresholded(Codebook([0.2, 0.8]), (1, 2, 2), 0.5, scale=lead * 1e-5 / 0.3)
    problem = problem_of(classifier, 0.49, 0, 0.1)
    changed = np.full((1, 1, 2, 2), 0.55, dtype=np.float32)
    assert (problem.witness_among(0, changed) is not None) == is_witness


def test_a_witness_is_no_image_of_the_callers(tiny):
    classifier = tiny(Codebook([0.2, 0.8]), (1, 2, 2))
    labels = (classifier.predict(X).argmax(axis=1) + 1) % 3
    found = certify(classifier, X, labels, eps=EPS, verbose=False)
    assert len(found.witnesses) == len(X)
    assert not any(np.shares_memory(witness, X) for witness in found.witnesses.values())


def test_the_most_that_can_be_enumerated_is_2_to_the_40():
    assert Options(40, 1, verbose=False).max_free == 40
    with pytest.raises(InputError, match=r"max_free must lie in 0\.\.40, got 41"):
        Options(41, 1, verbose=False)


def test_an_unknown_method_is_refused_with_those_there_are(tiny):
    with pytest.raises(InputError, match=r"method must be one of enumeration.*, got 'guess'"):
        certify(tiny(Codebook([0.2, 0.8]), (1, 2, 2)), X, eps=EPS, method="guess")


def test_images_keep_their_own_masks_whatever_memory_holds_at_once(monkeypatch, tiny):
    classifier = tiny(Codebook([0.2, 0.5, 0.8]), (1, 2, 2))
    labels = np.arange(len(X)) % 3
    whole = certify(classifier, X, labels, eps=EPS, verbose=False)
    assert len(set(whole.verdicts)) > 1
    for images_at_once in (1, 7):
        monkeypatch.setattr(reachability, "_CHUNK_BITS", images_at_once * 4 * 3)
        parts = certify(classifier, X, labels, eps=EPS, verbose=False)
        assert parts.verdicts == whole.verdicts
        assert parts.record.evaluated == whole.record.evaluated
        assert parts.record.free_pixels == whole.record.free_pixels
