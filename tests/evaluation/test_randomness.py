"""Draws whose probability is known, and an attack that needs more of them than it has."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from art_disc import GaussianNoise, build_classifier
from art_disc.core.errors import InputError
from art_disc.core.records.draws import persistent_curve
from art_disc.core.records.randomness import ConvergenceRecord
from art_disc.data.toys import linear_problem
from art_disc.evaluation import eot_convergence, score_draws


class OnePixel(nn.Module):
    """Class 1 where the pixel exceeds a half, and sure of it."""

    def forward(self, x):
        score = 1000 * (x.flatten(1)[:, 0] - 0.5)
        return torch.stack([-score, score], dim=1)


def pixels(*values, each):
    return np.repeat(np.float32(values), each).reshape(-1, 1, 1, 1)


@pytest.fixture(scope="module")
def pixel():
    return build_classifier(
        OnePixel(), input_shape=(1, 1, 1), nb_classes=2, defences=[GaussianNoise(0.1)]
    )


def test_right_draws_follow_the_binomial_law(pixel):
    n, each = 20, 2000
    x = pixels(0.5, 0.55, 0.7, each=each)
    found = score_draws(pixel, x, np.ones(len(x)), n=n, seed=3)
    right = np.array(found.right).reshape(3, each)
    for counts, value in zip(right, (0.5, 0.55, 0.7), strict=True):
        law = stats.binom.pmf(np.arange(n + 1), n, stats.norm.cdf((value - 0.5) / 0.1))
        seen = np.bincount(counts, minlength=n + 1)
        common = each * law >= 5
        expected = np.append(each * law[common], each * law[~common].sum())
        merged = np.append(seen[common], seen[~common].sum())
        keep = expected > 0
        wanted = expected[keep] * each / expected[keep].sum()
        assert stats.chisquare(merged[keep], wanted).pvalue > 1e-4
    # a sure network: the mean of probabilities is the share of votes, but for a tie
    assert found.vote_correct == tuple(2 * r > n for r in found.right)
    clear = 2 * np.array(found.right) != n
    mean, vote = np.array(found.mean_correct), np.array(found.vote_correct)
    assert (mean == vote)[clear].mean() > 0.98


def test_the_persistent_attacker_of_known_draws(pixel):
    x = pixels(0.6, each=4000)
    curve = persistent_curve(score_draws(pixel, x, np.ones(len(x)), n=30, seed=0))
    p = stats.norm.cdf(1)
    for t in (1, 2, 5, 10, 20):
        assert curve.at(t) == pytest.approx(1 - p**t, abs=4 * curve.errors[t - 1] + 1e-9)
        assert curve.errors[t - 1] < 0.01


def test_labels_decide_what_is_right(pixel):
    x = pixels(0.6, each=50)
    one, zero = (score_draws(pixel, x, np.full(50, label), n=5, seed=1) for label in (1, 0))
    assert tuple(5 - r for r in one.right) == zero.right
    assert one.share("any").count + zero.share("all").count == 50


def test_draws_repeat_by_seed_and_leave_the_streams_alone(pixel):
    x, y = pixels(0.55, each=100), np.ones(100)
    state = pixel.model.maps[0].stream.generator.get_state()
    first = score_draws(pixel, x, y, n=7, seed=1)
    assert score_draws(pixel, x, y, n=7, seed=1).right == first.right
    assert score_draws(pixel, x, y, n=7, seed=2).right != first.right
    assert torch.equal(pixel.model.maps[0].stream.generator.get_state(), state)
    # batches have draws of their own
    rows = score_draws(pixel, x, y, n=7, seed=1, batch_size=50).right
    assert rows[:50] != rows[50:]


def test_what_does_not_draw_is_refused(pixel):
    with pytest.raises(InputError, match="frozen draws"):
        score_draws(pixel.frozen(0), pixels(0.5, each=2), [1, 1])
    with pytest.raises(InputError, match="n must be a whole number"):
        score_draws(pixel, pixels(0.5, each=2), [1, 1], n=0)


class Rippled(nn.Module):
    """w.x + b, and ripples that the noise averages away although they rule a single gradient."""

    def __init__(self, w, b, height, rate=2000.0):
        super().__init__()
        self.w, self.b, self.height, self.rate = torch.tensor(w), b, height, rate

    def forward(self, x):
        flat = x.flatten(1)
        ripples = self.height * torch.sin(self.rate * flat).sum(dim=1)
        score = flat @ self.w + self.b + ripples
        return torch.stack([-score, score], dim=1) / 2


def rippled(toy, height, **options):
    options = {"vote_samples": 20} | options
    return build_classifier(
        Rippled(toy.w, toy.b, height),
        input_shape=toy.x.shape[1:],
        nb_classes=2,
        defences=[GaussianNoise(0.005)],
        **options,
    )


@pytest.fixture(scope="module")
def toy():
    return linear_problem(n=40, seed=1, shape=(1, 8, 8))


def test_without_ripples_every_number_of_draws_reaches_the_closed_form(toy):
    found = eot_convergence(
        rippled(toy, 0.0), toy.x, toy.y, eps=0.1, draws=(5, 1), gradients=40, verbose=False
    )
    assert [(p.draws, p.steps, p.gradients) for p in found.points] == [(1, 40, 40), (5, 8, 40)]
    assert [p.eps_step for p in found.points] == pytest.approx([2.5 * 0.1 / 40, 2.5 * 0.1 / 8])
    clear = np.abs(toy.radius - 0.1) > 0.01
    for point in found.points:
        assert np.array_equal(np.array(point.correct)[clear], (toy.radius > 0.1)[clear])
    assert found.clean.value == 1
    assert 0 < found.worst.value < 1
    assert found.compare(1, 5)[2] > 0.1


def test_too_few_draws_are_seen(toy):
    # a single gradient has the right sign with probability 1/2 + asin(w / (height rate)) / pi
    chosen = toy.radius > 0.02
    x, y, radius = toy.x[chosen], toy.y[chosen], toy.radius[chosen]
    found = eot_convergence(
        rippled(toy, 0.005), x, y, eps=0.1, draws=(1, 40), gradients=400, verbose=False
    )
    assert found.clean.value == 1
    few, many = found.point(1).share, found.point(40).share
    assert few.value > many.value + 0.2
    # many draws find all that is well inside the budget, and nothing outside it
    assert not np.array(found.point(40).correct)[radius < 0.05].any()
    assert np.array(found.point(40).correct)[radius > 0.11].all()
    only_few, only_many, p = found.compare(1, 40)
    assert only_many > only_few
    assert p < 0.05
    assert found.worst.count <= many.count


def test_a_run_repeats_by_seed_alone_and_round_trips(toy, tmp_path):
    x, y = toy.x[:8].copy(), toy.y[:8]
    classifier = rippled(toy, 0.005)
    options = {"eps": 0.1, "draws": (1, 4), "gradients": 8, "verbose": False}
    torch.manual_seed(1)
    one = eot_convergence(classifier, x, y, **options)
    classifier.predict(x)
    np.random.seed(7)
    state = np.random.get_state()[1].copy()
    two = eot_convergence(classifier, x, y, **options)
    assert [p.draw_correct for p in one.points] == [p.draw_correct for p in two.points]
    assert np.array_equal(np.random.get_state()[1], state)
    assert np.array_equal(x, toy.x[:8])
    assert ConvergenceRecord.load(one.save(tmp_path / "convergence.json")) == one


def test_gradients_must_do_for_one_step(toy):
    with pytest.raises(InputError, match="gradients >= 50"):
        eot_convergence(rippled(toy, 0.0), toy.x, toy.y, eps=0.1, gradients=20)
    with pytest.raises(InputError, match="eps > 0"):
        eot_convergence(rippled(toy, 0.0), toy.x, toy.y, eps=0.0)
