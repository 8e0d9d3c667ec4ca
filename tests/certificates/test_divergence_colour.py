"""Divergences of noisy colours against cell probabilities by quadrature, and against exact cases.

The quadrature shares nothing with the package: lines along the third channel, whose pieces within
the cells are exact, on a fine grid of the other two channels.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp, ndtr
from torch import nn

from art_disc import build_classifier
from art_disc.certificates.divergence.colour_boxes import interior_boxes, pixel_frames
from art_disc.certificates.divergence.decide import ORDERS, decide
from art_disc.certificates.divergence.votes import VoteLimits
from art_disc.core.errors import CertificateError, InputError
from art_disc.defences.pooling import MaxPoolDownsample
from art_disc.defences.randdisc import RandDisc
from art_disc.metrics import (
    ColourCodesModel,
    GaussianModel,
    codeword_divergence,
    colour_divergence,
    divergence_model,
    kl_certify,
)

PIECES = 4


def exact(p, q, order, floor=0.0):
    """Renyi divergence of the last axis by its definition.

    What lies below the floor, which quadrature cannot see, is left out: of a sum of orders above 1
    that takes away, of KL at most floor * log(floor).
    """
    kept = (p > floor) & (q > floor)
    log_p, log_q = (np.log(np.where(kept, v, 1.0)) for v in (p, q))
    weight = np.where(kept, p, 0.0)
    if order == 1:
        return (weight * (log_p - log_q)).sum(axis=-1)
    if np.isinf(order):
        return (log_p - log_q).max(axis=-1)
    power = np.where(kept, log_p + (order - 1) * (log_p - log_q), -np.inf)
    return logsumexp(power, axis=-1) / (order - 1)


@dataclass
class Truth:
    """Laws of one pixel's codeword on a grid of its box that holds all vertices."""

    x: np.ndarray
    codes: np.ndarray
    sigma: float
    eps: float

    def __post_init__(self):
        steps = np.linspace(-1, 1, PIECES + 1)
        self.moved = np.clip(self.x[:, None] + self.eps * steps, 0, 1)
        self.clean = self._laws(self.x[:, None])[0, 0, 0]
        self.laws = self._laws(self.moved)

    def _laws(self, means):
        """Laws for all combinations of the channels' means (3, m), shape (m, m, m, k)."""
        nodes = [v + self.sigma * np.linspace(-7.5, 7.5, 101) for v in self.x[:2]]
        weights = []
        for node, mean in zip(nodes, means, strict=False):
            weight = np.exp(-(((node - mean[:, None]) / self.sigma) ** 2) / 2)
            weights.append(weight / weight.sum(axis=1, keepdims=True))
        first, second = np.meshgrid(*nodes, indexing="ij")
        pieces = []
        for i, own in enumerate(self.codes):
            low, high = np.full(first.shape, -np.inf), np.full(first.shape, np.inf)
            for j, other in enumerate(self.codes):
                if i == j:
                    continue
                # |y - own|^2 <= |y - other|^2 on the line through (first, second)
                right = (own @ own - other @ other) / 2
                right = right - (own - other)[0] * first - (own - other)[1] * second
                rise = (own - other)[2]
                with np.errstate(divide="ignore"):
                    at = right / rise
                if rise > 0:
                    low = np.maximum(low, at)
                elif rise < 0:
                    high = np.minimum(high, at)
                else:
                    low = np.where(right > 0, np.inf, low)
            part = [ndtr((high - m) / self.sigma) - ndtr((low - m) / self.sigma) for m in means[2]]
            pieces.append(np.maximum(part, 0))
        found = np.einsum("ai,bj,kcij->abck", *weights, np.array(pieces), optimize=True)
        return found / found.sum(axis=-1, keepdims=True)

    def worst(self, order, *, reverse=False):
        laws = (self.laws, self.clean) if reverse else (self.clean, self.laws)
        return exact(*laws, order, 1e-13)


def random_truths(number, seed):
    rng = np.random.default_rng(seed)
    found = []
    for case in range(number):
        codes = rng.random((rng.integers(3, 7), 3))
        # at the border the box is cut
        x = rng.random(3) if case % 2 else rng.choice([0.0, 0.02, 0.5, 0.97, 1.0], 3)
        found.append(Truth(x, codes, rng.uniform(0.08, 0.3), rng.uniform(0.01, 0.15)))
    return found


@pytest.fixture(scope="module")
def truths():
    return random_truths(16, 3)


def bound_of(truth, order=1.0, **options):
    given = {"sigma": truth.sigma, "eps": truth.eps, "order": order} | options
    return colour_divergence(truth.x[None], truth.codes, **given)[0]


def noise_of(truth, order=1.0):
    away = np.abs(truth.moved - truth.x[:, None]).max(axis=1)
    return order * (away**2).sum() / (2 * truth.sigma**2)


@pytest.mark.parametrize("order", [1.0, 1.3, 2.0, 6.0, 12.0])
def test_no_shift_within_the_box_beats_the_bound(truths, order):
    tightness = []
    for truth in truths:
        grid, got = truth.worst(order), bound_of(truth, order)
        assert grid.max() <= got * (1 + 1e-5)
        assert got <= noise_of(truth, order) * (1 + 1e-9)
        # the exact maximum lies at a vertex
        ends = grid[::PIECES, ::PIECES, ::PIECES]
        assert grid.max() <= ends.max() * (1 + 1e-9)
        tightness.append((got - grid.max()) / (noise_of(truth, order) - grid.max()))
    # how much of what the codewords hide the bound gives away
    assert np.mean(tightness) < {1.0: 0.12, 1.3: 0.12, 2.0: 0.15}.get(order, 1.0)


@pytest.mark.parametrize("order", [1.0, 2.0, 6.0])
def test_the_reverse_direction_holds_too(truths, order):
    for truth in truths:
        got = bound_of(truth, order, reverse=True)
        assert truth.worst(order, reverse=True).max() <= got * (1 + 1e-9)
        assert got == pytest.approx(noise_of(truth, order), rel=1e-9)


def test_finer_boxes_only_lower_the_bound(truths):
    for truth, order in itertools.product(truths[:6], (1.0, 3.0)):
        if (order - 1) * noise_of(truth, order) > 10:
            continue  # rounding counts exp of that times over
        found = [bound_of(truth, order, n_boxes=n) for n in (1, 2, 4, 8, 16, 32, 64)]
        assert all(fine <= coarse + 1e-6 for coarse, fine in itertools.pairwise(found))
        exact_one = truth.worst(order).max()
        assert exact_one <= found[-1] * (1 + 1e-5)
        # first order: the excess shrinks with the width of the columns
        assert found[-1] - exact_one < 0.4 * (found[-3] - exact_one) + 1e-6


@pytest.mark.parametrize("order", [1.0, 2.0, 5.0])
def test_a_grid_of_colours_is_approached_from_above(order):
    levels = [64 / 255, 192 / 255]
    grid = np.array(list(itertools.product(levels, repeat=3)))
    x = np.random.default_rng(0).integers(0, 256, (1, 3, 12)) / 255
    options = {"sigma": 32 / 255, "eps": 3 / 255, "order": order}
    exact_one = sum(codeword_divergence(x[:, i], levels, **options)[0] for i in range(3))
    coarse, fine = (colour_divergence(x, grid, **options, n_boxes=n)[0] for n in (24, 96))
    assert exact_one < fine < coarse < 1.3 * exact_one
    assert fine < 1.07 * exact_one


def two_codes_exact(x, low, high, codes, sigma, order, *, reverse=False):
    """Cell probabilities are Phi of a projection; the vertices are gone through one by one."""
    unit = (codes[1] - codes[0]) / np.linalg.norm(codes[1] - codes[0])
    middle = (codes[0] + codes[1]) @ unit / 2

    def law(y):
        away = (middle - y @ unit) / sigma
        return np.array([ndtr(away), ndtr(-away)])

    found = []
    for ends in itertools.product(*zip(low, high, strict=True)):
        laws = (law(np.array(ends)), law(x)) if reverse else (law(x), law(np.array(ends)))
        found.append(exact(*laws, order))
    return max(found)


@given(st.integers(0, 10**6), st.sampled_from([1.0, 1.5, 4.0, np.inf]), st.booleans())
def test_two_colours_are_exact_in_both_directions(seed, order, reverse):
    rng = np.random.default_rng(seed)
    codes, sigma, eps = rng.random((2, 3)), rng.uniform(0.1, 0.5), rng.uniform(0.01, 0.2)
    x = rng.choice([0.0, 0.3, 0.55, 1.0], 3)
    box = np.clip(x - eps, 0, 1), np.clip(x + eps, 0, 1)
    truth = two_codes_exact(x, *box, codes, sigma, order, reverse=reverse)
    options = {"sigma": sigma, "order": order, "reverse": reverse}
    got = colour_divergence(x[None], codes, eps=eps, **options)[0]
    assert truth * (1 - 1e-12) <= got <= truth * (1 + 1e-6) + 1e-9
    # a palette of greys is a line too
    third = (codes[0] + codes[1]) / 2
    more = colour_divergence(x[None], [*codes, third], eps=eps, **options)[0]
    assert np.isfinite(more)


@pytest.mark.parametrize("order", [1.0, 1.5, 4.0])
def test_a_colour_out_of_reach_changes_nothing_and_one_percent_less_is_caught(order):
    rng = np.random.default_rng(8)
    for _ in range(10):
        codes, x, eps = rng.uniform(0.3, 0.7, (2, 3)), rng.uniform(0.3, 0.7, 3), 0.05
        truth = two_codes_exact(x, x - eps, x + eps, codes, 0.15, order)
        # no line, so this is the refinement; the nearest face is met exactly
        far = [*codes, [3.0, -2.0, 2.5]]
        got = colour_divergence(x[None], far, sigma=0.15, eps=eps, order=order)[0]
        assert truth * (1 - 1e-12) <= got <= 1.002 * truth
        less = colour_divergence(x[None], far, sigma=0.15, eps=0.99 * eps, order=order)[0]
        assert less < truth


@given(st.integers(0, 10**6), st.integers(2, 9), st.sampled_from([0.01, 0.1, 1.0]))
@settings(max_examples=40)
def test_every_box_lies_within_one_cell(seed, k, sigma):
    rng = np.random.default_rng(seed)
    codes, x = rng.random((k, 3)), rng.random((5, 3))
    if seed % 3 == 0:
        # faces that are parallel to columns, and ties
        codes, x = np.unique(np.rint(2 * codes) / 2, axis=0), np.rint(2 * x) / 2
    if len(codes) == 1:
        return
    boxes = interior_boxes(x, codes, sigma, 6)
    assert np.abs(boxes.frames @ np.swapaxes(boxes.frames, 1, 2) - np.eye(3)).max() < 1e-12
    finite = np.clip(boxes.planes, -50, 50)
    cell = np.full(boxes.shape[0] * boxes.shape[1], -1)
    rows = np.arange(len(boxes.pixel))
    for step in range(8):
        # middles, which tell whose cell it is, then corners and inner points
        share = rng.choice([0.0, 1e-3, 0.5, 1.0] if step else [0.5], (3, len(boxes.pixel)))
        ends = [(finite[c], finite[c + 1]) for c in boxes.column] + [np.clip(boxes.ends, -50, 50)]
        z = np.stack([a + (b - a) * s for (a, b), s in zip(ends, share, strict=True)], axis=1)
        y = x[boxes.pixel] + sigma * np.einsum("mij,mi->mj", boxes.frames[boxes.pixel], z)
        away = ((y[:, None] - codes) ** 2).sum(axis=2)
        if not step:
            cell[boxes.cell] = away.argmin(axis=1)
        # on a face two codewords are equally near, up to the rounding of squares of 50 deviations
        assert (away[rows, cell[boxes.cell]] <= away.min(axis=1) + 1e-10).all()
    # and what is not boxed in is little
    assert boxes.masses(np.zeros((5, 3))).sum(axis=1).max() <= 1 + 1e-12


def test_masses_and_moments_against_draws():
    rng = np.random.default_rng(1)
    codes, x = rng.random((4, 3)), rng.random((1, 3))
    boxes = interior_boxes(x, codes, 0.3, 4)
    shift = np.array([[0.3, -0.2, 0.4]])
    z = rng.standard_normal((60_000, 3))
    for mean, weight in ((0 * shift, z), (shift, None)):
        columns = [np.searchsorted(boxes.planes, (z + mean)[:, i]) - 1 for i in (0, 1)]
        mass, moment = np.zeros(4), np.zeros((4, 3))
        for cell, first, second, low, high in zip(
            boxes.cell, *boxes.column, *boxes.ends, strict=True
        ):
            inside = (columns[0] == first) & (columns[1] == second)
            inside &= ((z + mean)[:, 2] > low) & ((z + mean)[:, 2] < high)
            mass[cell] += inside.mean()
            moment[cell] += (z * inside[:, None]).mean(axis=0)
        assert boxes.masses(mean)[0] == pytest.approx(mass, abs=1e-2)
        if weight is not None:
            assert boxes.moments()[0] == pytest.approx(moment, abs=2e-2)


def test_the_last_axis_is_normal_to_the_nearest_face():
    codes = np.array([[0.2, 0.2, 0.2], [0.8, 0.2, 0.2], [0.2, 0.7, 0.3], [0.9, 0.9, 0.9]])
    frames = pixel_frames(np.array([[0.45, 0.2, 0.2], [0.2, 0.4, 0.2]]), codes)
    for frame, other in zip(frames, (1, 2), strict=True):
        normal = codes[other] - codes[0]
        assert abs(frame[2] @ normal) == pytest.approx(np.linalg.norm(normal), rel=1e-12)


def test_pixels_add_up_one_by_one():
    rng = np.random.default_rng(2)
    codes, x = rng.random((5, 3)), rng.integers(0, 256, (3, 3, 5, 4)) / 255
    x[1, :, 2:] = x[1, :, :1]  # repeated colours
    before, options = x.copy(), {"sigma": 0.1, "eps": 0.03}
    for order in (1.0, 2.0):
        got = colour_divergence(x, codes[::-1], **options, order=order)
        pixels = np.moveaxis(x, 1, -1).reshape(-1, 3)
        single = [colour_divergence(p[None], codes, **options, order=order)[0] for p in pixels]
        assert got == pytest.approx(np.reshape(single, (3, -1)).sum(axis=1), rel=1e-9)
        noisy = np.clip(x + 1e-4, 0, 1)  # no 8-bit colours
        assert colour_divergence(noisy, codes, **options, order=order) == pytest.approx(
            got, rel=1e-2
        )
    assert np.array_equal(x, before)
    assert not colour_divergence(x, codes, sigma=0.1, eps=0.0).any()
    assert np.isinf(colour_divergence(x, codes, **options, order=np.inf)).all()
    one = [[0.1, 0.5, 0.3]] * 2
    assert colour_divergence(x, one, **options).max() < 1e-9
    kl, near = (colour_divergence(x, codes, **options, order=o) for o in (1.0, 1.0 + 1e-9))
    assert near == pytest.approx(kl, rel=1e-3)


def test_two_channels_are_a_plane_of_three():
    rng = np.random.default_rng(4)
    codes, x = rng.random((4, 2)), rng.random((1, 2, 7))
    got = colour_divergence(x, codes, sigma=0.15, eps=0.02)
    flat = np.concatenate([codes, np.zeros((4, 1))], axis=1)
    # at 0 the third channel may move, but tells no codewords apart: more noise is observed
    third = colour_divergence(
        np.concatenate([x, np.zeros((1, 1, 7))], axis=1), flat, sigma=0.15, eps=0.02
    )
    assert 0 < got[0] <= third[0]
    assert got[0] < GaussianModel(0.15).divergence(x, 0.02, 1.0)[0]


@pytest.fixture(scope="module")
def votes():
    """Two pixels and two classes: 40 images whose votes are tables over pairs of codewords."""
    rng = np.random.default_rng(11)
    sigma, eps, codes = 0.2, 0.06, rng.random((4, 3))
    images = rng.random((40, 3, 1, 2))
    tables = (rng.random((40, 4, 4)) < 0.5).astype(float)
    clean, worst = [], []
    for image, table in zip(images, tables, strict=True):
        pair = [Truth(image[:, 0, i], codes, sigma, eps) for i in (0, 1)]
        first, second = (truth.laws.reshape(-1, 4) for truth in pair)
        every = first @ table @ second.T
        middle = pair[0].clean @ table @ pair[1].clean
        ahead = middle >= 0.5
        clean.append(middle if ahead else 1 - middle)
        worst.append(every.min() if ahead else 1 - every.max())
    return ColourCodesModel(tuple(map(tuple, codes)), sigma), eps, images, clean, worst


@pytest.mark.parametrize("bound", ["tight", "pinsker", "smoothing"])
def test_certificates_never_contradict_the_exact_vote(votes, bound):
    model, eps, images, clean, worst = votes
    top = np.array(clean) - 1e-6
    found = decide(model, images, eps, VoteLimits(top, 1 - top), bound, ORDERS)
    assert (found.lowest <= worst).all()
    assert (np.array(worst)[found.certified] > 0.5).all()
    if bound != "smoothing":
        assert 3 < found.certified.sum() < 40
        noise = GaussianModel(model.sigma)
        plain = decide(noise, images, eps, VoteLimits(top, 1 - top), bound, ORDERS)
        assert (found.lowest >= plain.lowest - 1e-9).all()
        assert (found.lowest > plain.lowest + 0.01).sum() > 10


class Brightness(nn.Module):
    def forward(self, x):
        excess = x.flatten(1).sum(dim=1) - 3.0
        return nn.functional.pad(excess[:, None], (1, 0))


def defended(defences, shape=(3, 1, 2)):
    return build_classifier(Brightness(), input_shape=shape, nb_classes=2, defences=defences)


def test_a_classifier_with_loose_colours_is_certified():
    codes = np.array([[0.1, 0.2, 0.1], [0.9, 0.8, 0.7], [0.2, 0.6, 0.9], [0.9, 0.3, 0.2]])
    x = np.random.default_rng(6).random((12, 3, 1, 2)).astype(np.float32)
    classifier = defended([RandDisc(sigma=0.25, centres=codes)])
    record = kl_certify(classifier, x, eps=0.02, draws=2000, verbose=False)
    model = divergence_model(classifier)
    assert isinstance(model, ColourCodesModel)
    assert "finer observation" in record.assumes
    stored = np.array(model.codewords)
    table = (stored.sum(axis=1)[:, None] + stored.sum(axis=1) > 3.0).astype(float)
    certified = 0
    for image, verdict, lowest in zip(x, record.verdicts, record.lowest, strict=True):
        pair = [Truth(image[:, 0, i].astype(float), stored, 0.25, 0.02) for i in (0, 1)]
        every = pair[0].laws.reshape(-1, 4) @ table @ pair[1].laws.reshape(-1, 4).T
        middle = pair[0].clean @ table @ pair[1].clean
        worst = every.min() if middle > 0.5 else 1 - every.max()
        assert lowest <= worst
        if verdict == "certified":
            certified += 1
            assert worst > 0.5
    assert certified >= 3


def test_which_model_a_codebook_has():
    loose = [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    found = divergence_model(defended([RandDisc(sigma=0.1, centres=loose)]))
    assert found == ColourCodesModel(((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), 0.1)
    x = np.random.default_rng(0).random((2, 3, 4, 4))
    pooled = divergence_model(
        defended(
            [MaxPoolDownsample(2, 2, resize=False), RandDisc(sigma=0.1, centres=loose)], (3, 4, 4)
        )
    )
    small = x.reshape(2, 3, 2, 2, 2, 2).max(axis=(3, 5))
    expected = found.divergence(small, 0.05, 1.0)
    assert pooled.divergence(x, 0.05, 1.0) == pytest.approx(expected)
    assert found.shift(x, 0.05) == pytest.approx(0.05 * np.sqrt(48) / 0.1)
    with pytest.raises(CertificateError, match="channel"):
        found.divergence(x[:, :2], 0.05, 1.0)
    with pytest.raises(CertificateError, match="3 channels"):
        ColourCodesModel(((0.0,) * 4, (1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 1.0, 0.0)), 0.1)
    # on a line any number of channels is scalar
    assert ColourCodesModel(((0.0,) * 4, (1.0,) * 4, (0.25,) * 4), 0.1).divergence(
        np.full((1, 4, 1, 1), 0.5), 0.05, 1.0, reverse=True
    ) == pytest.approx(
        codeword_divergence(
            [[1.0]], [0.0, 2.0, 0.5], sigma=0.1, eps=0.1, upper=np.inf, reverse=True
        ),
        rel=1e-6,
    )


def test_refusals():
    x, codes = np.full((1, 3), 0.5), np.eye(3)
    for word, bad, options in (
        ("sigma", x, {"sigma": 0.0}),
        ("eps", x, {"eps": -1.0}),
        ("order", x, {"order": 0.5}),
        ("n_boxes", x, {"n_boxes": 0}),
        ("divide", 255 * x, {}),
        ("divide", x * np.nan, {}),
        ("shape", x[:, :2], {}),
    ):
        with pytest.raises(InputError, match=word):
            colour_divergence(bad, codes, **{"sigma": 0.1, "eps": 0.1} | options)
    with pytest.raises(InputError, match="codewords"):
        colour_divergence(x, np.where(codes > 0, np.inf, codes), sigma=0.1, eps=0.1)
