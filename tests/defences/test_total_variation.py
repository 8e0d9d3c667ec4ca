"""Total-variation minimisation: its objective, its steps and its gradient."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from art_disc import TotalVariation, build_classifier
from art_disc.core.errors import InputError
from art_disc.defences import Unrolled, parse_defence
from art_disc.defences import images as maps
from art_disc.surrogates import Identity

KINDS = ("anisotropic", "isotropic")


def images(n=4, channels=2, size=(6, 5), seed=0):
    return np.random.default_rng(seed).random((n, channels, *size)).astype(np.float32)


def objective_by_loop(z, x, weight, kind, smoothing):
    """The objective of one image (c, h, w), pixel by pixel in 64 bits."""
    total = 0.5 * ((z - x) ** 2).sum()
    channels, height, width = z.shape
    for c, i, j in np.ndindex(channels, height, width):
        down = z[c, i + 1, j] - z[c, i, j] if i + 1 < height else 0.0
        right = z[c, i, j + 1] - z[c, i, j] if j + 1 < width else 0.0
        squares = [down**2, right**2] if kind == "anisotropic" else [down**2 + right**2]
        total += weight * sum(np.sqrt(s + smoothing**2) - smoothing for s in squares)
    return total


@pytest.mark.parametrize("kind", KINDS)
def test_objective_and_slope_are_those_of_a_loop(kind):
    rng = np.random.default_rng(1)
    z, x = rng.random((2, 2, 4, 3)), rng.random((2, 2, 4, 3))
    descent = TotalVariation(0.3, kind=kind, smoothing=0.07).descent
    got = descent.objective(torch.tensor(z), torch.tensor(x)).numpy()
    expected = [objective_by_loop(z[i], x[i], 0.3, kind, 0.07) for i in range(2)]
    assert np.allclose(got, expected, rtol=1e-12)
    slope = descent.slope(torch.tensor(z), torch.tensor(x)).numpy()
    h = 1e-6
    for place in ((0, 0, 0, 0), (0, 1, 3, 2), (1, 0, 2, 0), (1, 1, 0, 2), (1, 1, 1, 1)):
        up, down = z.copy(), z.copy()
        up[place] += h
        down[place] -= h
        i = place[0]
        change = objective_by_loop(up[i], x[i], 0.3, kind, 0.07) - objective_by_loop(
            down[i], x[i], 0.3, kind, 0.07
        )
        assert slope[place] == pytest.approx(change / (2 * h), abs=1e-7)


def test_two_pixels_move_as_the_closed_form_says():
    pair = np.float32([0.2, 0.8]).reshape(1, 1, 1, 2)
    # one step, by hand
    d, s, rate = 0.6, 0.05, 0.02
    move = rate * 0.2 * d / np.hypot(d, s)
    made = TotalVariation(0.2, 1, smoothing=s, step_size=rate)(pair)[0].ravel()
    assert np.allclose(made, [0.2 + move, 0.8 - move], atol=1e-7)
    # in the end their difference is 2 lambda less, and they meet where it was smaller than that
    for weight, expected in ((0.1, [0.3, 0.7]), (0.25, [0.45, 0.55]), (0.5, [0.5, 0.5])):
        made = TotalVariation(weight, 3000, smoothing=0.01)(pair)[0].ravel()
        assert np.allclose(made, expected, atol=5e-3)


def test_a_square_of_four_pixels_by_hand():
    square = np.float32([[0.0, 1.0], [0.0, 0.5]]).reshape(1, 1, 2, 2)
    rate, weight, s = 0.01, 0.2, 0.1
    a, b, c = 1 / np.hypot(1, s), 0.5 / np.hypot(0.5, s), -0.5 / np.hypot(0.5, s)
    expected = np.array([[a, -a + c], [b, -c - b]])
    options = {"smoothing": s, "step_size": rate}
    made = TotalVariation(weight, 1, kind="anisotropic", **options)(square)[0]
    assert np.allclose(made - square, rate * weight * expected, atol=1e-7)
    # of one pixel alone both differences count together: of the lower left down is 0
    top = np.sqrt(1 + s**2)
    a, c = 1 / top, -0.5 / np.hypot(0.5, s)
    made = TotalVariation(weight, 1, kind="isotropic", **options)(square)[0]
    expected = np.array([[a, -a + c], [b, -c - b]])
    assert np.allclose(made - square, rate * weight * expected, atol=1e-7)
    # where both differences are there, their common length divides them
    corner = np.float32([[0.0, 0.3], [0.4, 0.0]]).reshape(1, 1, 2, 2)
    made = TotalVariation(weight, 1, kind="isotropic", **options)(corner)[0]
    along, across = np.array([0.4, 0.3]) / np.sqrt(0.25 + s**2)
    assert made[0, 0, 0, 0] == pytest.approx(rate * weight * (along + across), abs=1e-7)


@pytest.mark.parametrize("kind", KINDS)
@given(
    weight=st.floats(0.01, 2),
    smoothing=st.floats(0.005, 0.5),
    seed=st.integers(0, 99),
    size=st.sampled_from([(5, 4), (1, 7), (6, 1), (1, 1), (2, 2)]),
)
def test_no_step_raises_the_objective_moves_the_mean_or_leaves_the_range(
    kind, weight, smoothing, seed, size
):
    x = np.random.default_rng(seed).choice([0.0, 0.3, 0.4, 1.0], (2, 1, *size))
    defence = TotalVariation(weight, 1, kind=kind, smoothing=smoothing)
    descent, images_ = defence.descent, torch.tensor(x)
    z = images_
    for _ in range(12):
        before, after = z, z - descent.step_size * descent.slope(z, images_)
        fall = descent.objective(before, images_) - descent.objective(after, images_)
        # at a rate of 1 / curvature a step wins at least half of rate times squared slope
        least = descent.step_size / 2 * descent.slope(before, images_).square().sum((1, 2, 3))
        assert (fall >= least - 1e-12).all()
        z = after
    assert torch.allclose(z.mean((1, 2, 3)), images_.mean((1, 2, 3)), atol=1e-9)
    flat = x.reshape(2, -1)
    assert (z.flatten(1).numpy() >= flat.min(axis=1)[:, None] - 1e-12).all()
    assert (z.flatten(1).numpy() <= flat.max(axis=1)[:, None] + 1e-12).all()
    made = TotalVariation(weight, 12, kind=kind, smoothing=smoothing)(x.astype(np.float32))[0]
    assert np.allclose(made, z.numpy(), atol=1e-5)


def test_a_step_that_is_too_long_can_raise_the_objective():
    x = images()
    descent = TotalVariation(0.2).descent
    board = torch.tensor(np.indices((8, 8)).sum(axis=0) % 2 * 0.01 + 0.5)[None, None]
    long = board - 3 * descent.step_size * descent.slope(board, board)
    assert descent.objective(long, board) > descent.objective(board, board)
    assert not np.allclose(TotalVariation(0.2, step_size=0.2)(x)[0], TotalVariation(0.2)(x)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_constant_images_stay(kind):
    x = np.full((2, 3, 7, 5), 0.3, dtype=np.float32)
    x[1] = 1.0
    assert np.array_equal(TotalVariation(0.4, kind=kind)(x)[0], x)


@pytest.mark.parametrize("kind", KINDS)
def test_many_steps_lead_to_the_optimum_that_another_solver_finds(kind):
    x = images(1, 1, (5, 4), seed=3).astype(np.float64)
    made = TotalVariation(0.1, 4000, kind=kind, smoothing=0.02)(x)[0]
    best = minimize(
        lambda z: objective_by_loop(z.reshape(x[0].shape), x[0], 0.1, kind, 0.02),
        x.ravel(),
        method="L-BFGS-B",
        options={"ftol": 1e-14, "gtol": 1e-9, "maxiter": 3000, "maxfun": 10**6},
    )
    assert np.allclose(made.ravel(), best.x, atol=2e-4)
    assert np.abs(made - x).max() > 0.1


def test_the_kinds_differ_and_the_default_smooths(digits):
    x = digits.x_test[:20].copy()
    descent = TotalVariation().descent
    made = TotalVariation()(x)[0]
    before, after = (descent.objective(torch.tensor(z), torch.tensor(x)) for z in (x, made))
    assert (after < 0.95 * before).all()
    assert not np.allclose(made, TotalVariation(kind="isotropic")(x)[0], atol=0.01)
    assert descent.step_size == pytest.approx(1 / 33)


@pytest.mark.parametrize("first", [True, False])
def test_layout_and_range_do_not_matter(first):
    x = images()
    options = {"channels_first": first, "clip_values": (0, 255)}
    given_ = 255 * x if first else np.ascontiguousarray(255 * np.moveaxis(x, 1, -1))
    made = TotalVariation(0.3, **options)(given_)[0]
    made = made if first else np.moveaxis(made, -1, 1)
    assert np.allclose(made, 255 * TotalVariation(0.3)(x)[0], atol=1e-3)
    # no image and no channel knows of the others
    alone = TotalVariation(0.3)(x[2:3, 1:])[0]
    assert np.allclose(alone[0, 0], TotalVariation(0.3)(x)[0][2, 1], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_is_that_of_the_iteration(kind, monkeypatch):
    defence = TotalVariation(0.3, 7, kind=kind)
    x = torch.tensor(images(2, 1, (3, 4)), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(defence.descent, (x,))
    weights = np.random.default_rng(4).normal(size=tuple(x.shape))
    (expected,) = torch.autograd.grad(defence.descent(x), x, torch.tensor(weights))

    def slope(surrogate="unrolled"):
        leaf = x.detach().float().requires_grad_()
        made = defence.with_surrogate(surrogate).forward(leaf)[0]
        made.backward(torch.tensor(weights, dtype=torch.float32))
        return leaf.grad.numpy()

    assert np.allclose(slope(), expected.numpy(), atol=1e-5)
    assert np.array_equal(slope("identity"), weights.astype(np.float32))
    assert not np.allclose(slope(), weights, atol=0.05)
    monkeypatch.setattr(maps, "MEMORY_BYTES", 1)
    assert np.allclose(slope(), expected.numpy(), atol=1e-5)


class PlantedZero(TotalVariation):
    """No gradient passes."""

    def forward(self, x, y=None):
        with torch.no_grad():
            hard = self.map(x)
        return hard + 0 * x, y


def test_attacks_see_through_it_and_not_through_a_zero_gradient(
    digits, digits_net, accuracy_after_pgd
):
    def left(defence):
        return accuracy_after_pgd(
            build_classifier(digits_net, data=digits, defences=[defence], placement="preprocessor")
        )

    clean, planted = left(PlantedZero(0.1))
    assert planted == clean > 0.8
    for surrogate in ("unrolled", "identity"):
        assert left(TotalVariation(0.1, surrogate=surrogate))[1] < 0.3


def test_lines_of_the_table():
    made = parse_defence("tv:weight=1/4,steps=3,kind=isotropic,smoothing=.1,surrogate=identity")
    assert (
        made.describe() == "TotalVariation(weight=0.25, steps=3, kind='isotropic', smoothing=0.1)"
    )
    assert made.surrogate == Identity()
    default = parse_defence("tv")
    assert (default.weight, default.steps, default.surrogate) == (0.2, 20, Unrolled())
    assert default.surrogate.name == "unrolled"
    assert default.spread() == (Unrolled(),)
    assert default.with_surrogate("soft") is default


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": 0}, "weight must be a number > 0, got 0"),
        ({"weight": float("nan")}, "weight must be"),
        ({"smoothing": 0}, "smoothing must be a number > 0"),
        ({"step_size": -0.1}, "step_size must be a number > 0"),
        ({"step_size": True}, "step_size must be"),
        ({"steps": 0}, "steps must be a whole number >= 1"),
        ({"kind": "both"}, "kind must be one of anisotropic, isotropic, got 'both'"),
        ({"surrogate": "dct"}, "surrogate must be unrolled or identity, got 'dct'"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        TotalVariation(**options)
