"""The one place that runs an attack: streams, counts, steps, time, and what an attack returns."""

import contextlib
import time
from functools import partial

import numpy as np
import pytest
import torch
from art.attacks.attack import EvasionAttack
from art.attacks.evasion import ProjectedGradientDescent
from art.estimators.classification import PyTorchClassifier
from hypothesis import given
from hypothesis import strategies as st

import art_disc as ad
from art_disc.core.budget import BUDGET_TOLERANCE, Budget
from art_disc.core.seeds import derive_seed
from art_disc.trials import Trial, run_trial
from art_disc.trials.time_limit import TrialTimeoutError
from art_disc.trials.trial import AttackOutputError, sanitise

N = 10


class Planted(EvasionAttack):
    """An attack that does what it is told."""

    _estimator_requirements = ()

    def __init__(self, estimator, act):
        super().__init__(estimator=estimator)
        self._act = act

    def generate(self, x, y=None, **_):
        return self._act(self.estimator, x, y)


@pytest.fixture(scope="module")
def plain(digits, digits_net):
    return ad.build_classifier(digits_net, data=digits)


@pytest.fixture(scope="module")
def noisy(digits, digits_net):
    noise = ad.GaussianNoise(0.3)
    return ad.build_classifier(
        digits_net, data=digits, defences=[noise], eot_samples=2, vote_samples=3
    )


@pytest.fixture
def trial(digits, plain):
    def make(act, source=plain, **options):
        given = {
            "budget": Budget(0.2),
            "seeds": partial(derive_seed, 7),
            "batch_size": 4,
        }
        x, y = digits.x_test[:N], digits.y_test[:N]
        return Trial(lambda: Planted(source, act), source, x, y, **(given | options))

    return make


def pgd(estimator, x, y):
    options = {"eps": 0.2, "eps_step": 0.05, "max_iter": 3, "num_random_init": 1}
    return ProjectedGradientDescent(estimator, **options, verbose=False).generate(x, y)


def test_every_batch_begins_all_streams_anew(trial, noisy):
    drawn = []

    def act(estimator, x, y):
        logits = estimator.predict(x[:1] * 0)
        drawn.append((float(logits[0, 0]), np.random.rand(), torch.rand(1).item()))
        return x

    run_trial(trial(act, noisy))
    noisy.predict(np.zeros((3, 1, 8, 8), dtype=np.float32))
    np.random.rand()
    run_trial(trial(act, noisy))
    assert drawn[:3] == drawn[3:]
    # and every batch has its own
    assert all(len(set(values)) == 3 for values in zip(*drawn[:3], strict=True))
    run_trial(trial(act, noisy, seeds=lambda _: 1))
    assert drawn[6] == drawn[7] == drawn[8] != drawn[0]


def test_the_streams_are_afterwards_where_they_were(trial, noisy):
    def states():
        (own,) = [m.stream.generator for m in noisy.model.modules() if hasattr(m, "stream")]
        return own.get_state(), torch.get_rng_state(), torch.from_numpy(np.random.get_state()[1])

    before = [state.clone() for state in states()]
    run_trial(trial(pgd, noisy))
    assert all(map(torch.equal, before, states()))

    def fails(*_):
        np.random.rand()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        run_trial(trial(fails, noisy))
    assert all(map(torch.equal, before, states()))


def test_the_attack_is_given_copies_one_hot_rows_and_its_own_targets(trial, digits, plain):
    seen = []

    def act(estimator, x, y):
        x[:] = 0
        seen.append(y)
        return x

    made = run_trial(trial(act, targeted=True))
    assert not made.images.any()
    assert digits.x_test[:N].any()
    scores = plain.predict(digits.x_test[:N]).copy()
    scores[np.arange(N), digits.y_test[:N]] = -np.inf
    aimed = np.concatenate(seen)
    assert [len(y) for y in seen] == [4, 4, 2]
    assert np.array_equal(aimed.argmax(axis=1), scores.argmax(axis=1))
    assert np.array_equal(aimed.sum(axis=1), np.ones(N))
    run_trial(trial(act, batch_size=None))
    assert np.array_equal(seen[-1].argmax(axis=1), digits.y_test[:N])


def test_gradients_and_queries_are_counted_for_each_draw(trial, noisy):
    def act(estimator, x, y):
        estimator.loss_gradient(x, y)
        estimator.predict(x)
        return x

    assert vars_of(run_trial(trial(act))) == (N, N)
    assert vars_of(run_trial(trial(act, noisy))) == (2 * N, 3 * N)
    # a classifier of ART's around the same module is counted at the network that is named
    bare = PyTorchClassifier(
        noisy.model, torch.nn.CrossEntropyLoss(), input_shape=(1, 8, 8), nb_classes=10
    )
    assert vars_of(run_trial(trial(act, bare, counted_at=noisy.base_network))) == (2 * N, 3 * N)


def vars_of(result):
    return result.gradients, result.queries


def test_an_attack_that_takes_too_long_is_stopped(trial):
    def act(estimator, x, y):
        start = time.perf_counter()
        while time.perf_counter() - start < 20:
            with contextlib.suppress(Exception):
                time.sleep(0.01)
        return x

    start = time.perf_counter()
    with pytest.raises(TrialTimeoutError, match=r"0\.2 s"):
        run_trial(trial(act, seconds=0.2))
    assert time.perf_counter() - start < 5


def walks_back(estimator, x, y):
    """PGD that ends at the clean image."""
    pgd(estimator, x, y)
    return x


def test_an_earlier_iterate_is_taken_where_that_is_asked_for(trial, plain, noisy, digits):
    followed = run_trial(trial(walks_back, follow=True))
    steps = followed.steps.fields(N)
    assert len(steps["by_step"]) == len(steps["loss_by_step"]) == 3
    moved = np.abs(followed.images - digits.x_test[:N]).max(axis=(1, 2, 3))
    assert 0 < moved.max() <= 0.2 + BUDGET_TOLERANCE
    clean, right = (
        plain.predict(images).argmax(axis=1) == digits.y_test[:N]
        for images in (digits.x_test[:N], followed.images)
    )
    assert np.array_equal(moved > 0, clean & ~right)
    for left in (trial(walks_back), trial(walks_back, noisy, follow=True)):
        made = run_trial(left)
        assert np.array_equal(made.images, digits.x_test[:N])
        assert made.steps.fields(N) == {}


def test_what_is_done_is_told_batch_by_batch(trial):
    done = []
    result = run_trial(trial(pgd, advance=done.append))
    assert done == [4, 4, 2]
    assert result.attack == "Planted"
    assert result.seconds > 0


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (lambda x: x[:, 0], r"shape \(4, 1, 8, 8\)"),
        (lambda x: x * np.float32("nan"), "NaN or infinity in 4"),
        (lambda _: None, "shape"),
    ],
)
def test_what_is_no_image_is_refused(trial, broken, words):
    with pytest.raises(AttackOutputError, match=words):
        run_trial(trial(lambda _, x, __: broken(x)))


@given(st.floats(-3, 3), st.sampled_from([1.0, 255.0]))
def test_pixels_are_brought_into_the_range_and_no_farther(value, upper):
    x = np.full((2, 1, 1, 1), 0.5 * upper, dtype=np.float32)
    made = sanitise(np.full(x.shape, value * upper), x, upper)
    assert made.dtype == np.float32
    assert made == pytest.approx(np.clip(value, 0, 1) * upper)


def test_an_image_with_nan_may_count_as_the_clean_one():
    x = np.full((2, 1, 1, 2), 0.5, dtype=np.float32)
    moved = np.array([[0.1, np.nan], [0.2, 0.3]]).reshape(x.shape)
    made = sanitise(moved, x, 1.0, nan_is_clean=True)
    assert made.ravel() == pytest.approx([0.5, 0.5, 0.2, 0.3])


@pytest.mark.parametrize(("norm", "size"), [("inf", 1.0), ("2", 2.0)])
@pytest.mark.parametrize("upper", [1.0, 255.0])
def test_a_budget_holds_up_to_its_tolerance(norm, size, upper):
    x = np.full((1, 1, 2, 2), 0.5 * upper, dtype=np.float32)
    moved = x + np.float32(0.25 * upper)
    for share, inside in ((1, True), (1 - 5e-7, True), (1 - 1e-4, False)):
        assert Budget(0.25 * size * upper * share, norm, upper).holds(moved, x)[0] == inside
