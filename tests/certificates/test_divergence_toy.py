"""The certificate against the truth: four pixels, two classes, every image of codewords counted.

Two codewords make 16 images, three make 81. The classifier is a table over them, so the probability
of a vote is an exact sum, and its minimum over a grid of the box, vertices included, bounds what
any certificate may claim from above. With two codewords the probability is affine in each pixel's,
which is monotone in the shift, so the vertices hold the true minimum.
"""

import itertools

import numpy as np
import pytest
from scipy.special import ndtr

from art_disc.certificates.divergence.decide import ORDERS, decide
from art_disc.certificates.divergence.invert import (
    divergence_needed,
    lowest_probability,
    pinsker_needed,
)
from art_disc.certificates.divergence.models import FixedCodesModel
from art_disc.certificates.divergence.votes import VoteLimits
from art_disc.metrics import printed_rule, reference_rule

PIXELS = 4
STEPS = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])


class Toy:
    """Random cases with one sigma, eps and set of codewords each: (case, pixel) values and votes.

    Votes are tables over code images (case, k, k, k, k): thresholds of sparse and dense sums of
    codewords, so that single pixels decide in some and all together in others.
    """

    def __init__(self, cases, codes, seed):
        rng = np.random.default_rng(seed)
        self.codes = np.array(codes)
        k = len(codes)
        self.x = rng.integers(0, 256, (cases, PIXELS)) / 255
        self.sigma, self.eps = rng.uniform(0.05, 0.5), rng.uniform(0.01, 0.3)
        weights = rng.normal(size=(cases, PIXELS))
        sparse = rng.random(cases) < 0.5
        weights[sparse] *= rng.random((sparse.sum(), PIXELS)) ** 12
        grid = np.stack(np.meshgrid(*[self.codes] * PIXELS, indexing="ij"), axis=-1)
        sums = np.einsum("np,abcdp->nabcd", weights, grid)
        cut = sums.reshape(cases, -1)[np.arange(cases), rng.integers(0, k**PIXELS, cases)]
        self.votes = (sums >= cut[:, None, None, None, None]).astype(np.float64)
        self.truth = self._truth()
        # the class that wins the clean vote is the one that is certified
        flip = self.truth[:, 2, 2, 2, 2] < 0.5
        self.truth[flip] = 1 - self.truth[flip]
        self.clean = self.truth[:, 2, 2, 2, 2]
        self.worst = self.truth.reshape(cases, -1).min(axis=1)

    def _truth(self):
        """Probabilities of the vote at 5^4 points of the box, shape (case, 5, 5, 5, 5)."""
        middles = (self.codes[1:] + self.codes[:-1]) / 2
        ends = np.concatenate([[-np.inf], middles, [np.inf]])
        shifted = np.clip(self.x[..., None] + self.eps * STEPS, 0, 1)
        marks = ndtr((ends - shifted[..., None]) / self.sigma)
        laws = np.diff(marks, axis=-1)  # case, pixel, step, code
        found = self.votes
        for pixel in range(PIXELS):
            # the first code axis left becomes the last step axis
            found = np.einsum("nabcd,nsa->nbcds", found, laws[:, pixel])
        return found

    @property
    def model(self):
        return FixedCodesModel((tuple(self.codes),), self.sigma)

    @property
    def images(self):
        return self.x.reshape(-1, 1, 2, 2)

    def decide(self, bound, budget=1.0, orders=ORDERS):
        # the exact probabilities stand for limits, which could only be worse
        # the exact sums are rounded, and rounding may make a vote sure
        top = np.maximum(0, self.clean - 1e-9)
        limits = VoteLimits(top, 1 - top)
        return decide(self.model, self.images, budget * self.eps, limits, bound, orders)


@pytest.fixture(scope="module")
def toys():
    """10,000 cases with two codewords, 2,000 with three."""
    two = [Toy(250, np.sort(np.random.default_rng(i).random(2)), i) for i in range(20)]
    two += [Toy(250, (0.0, 1.0), 1000 + i) for i in range(20)]
    three = [Toy(250, (0.1, 0.5, 0.9), 2000 + i) for i in range(8)]
    return two + three


@pytest.fixture(scope="module")
def decisions(toys):
    return {
        bound: [toy.decide(bound) for toy in toys] for bound in ("tight", "pinsker", "smoothing")
    }


def joined(parts):
    return np.concatenate(list(parts))


def test_the_truth_is_that_of_a_plain_sum(toys):
    toy = toys[3]
    middle = toy.codes.mean()
    for case in range(5):
        total = 0.0
        for code in np.ndindex(2, 2, 2, 2):
            p = 1.0
            for pixel, bit in enumerate(code):
                value = toy.x[case, pixel] + toy.eps * STEPS[(0, 1, 3, 4)[pixel]]
                low = ndtr((middle - min(max(value, 0), 1)) / toy.sigma)
                p *= low if bit == 0 else 1 - low
            total += p * toy.votes[case][code]
        got = toy.truth[case, 0, 1, 3, 4]
        assert min(abs(got - total), abs(got - (1 - total))) < 1e-12


@pytest.mark.parametrize("bound", ["tight", "pinsker", "smoothing"])
def test_the_certified_probability_never_exceeds_the_true_one(toys, decisions, bound):
    worst = joined(toy.worst for toy in toys)
    found = decisions[bound]
    lowest = joined(d.lowest for d in found)
    certified = joined(d.certified for d in found)
    assert len(worst) == 12_000
    assert (lowest <= worst).all()
    assert (worst[certified] > 0.5).all()
    assert (joined(d.gap for d in found) <= np.maximum(0, 2 * worst - 1) + 1e-12).all()
    assert 500 < certified.sum() < 11_500


def test_one_percent_more_would_be_caught(toys, decisions):
    worst = joined(toy.worst for toy in toys)
    lowest = joined(d.lowest for d in decisions["tight"])
    assert (1.01 * lowest > worst).sum() > 20
    # so would a budget that is 1 % too small
    some = toys[::4]
    short = joined(toy.decide("tight", budget=0.99).lowest for toy in some)
    assert (short > joined(toy.worst for toy in some)).sum() > 20


def test_tight_certifies_whatever_pinsker_does_and_more(decisions):
    tight, pinsker = (joined(d.certified for d in decisions[b]) for b in ("tight", "pinsker"))
    assert not (pinsker & ~tight).any()
    assert (tight & ~pinsker).sum() > 100
    low, lower = (joined(d.lowest for d in decisions[b]) for b in ("tight", "pinsker"))
    assert (low >= lower - 1e-6).all()


def test_other_orders_certify_what_kl_does_not(toys, decisions):
    every = joined(d.certified for d in decisions["tight"])
    alone = joined(toy.decide("tight", orders=(1.0,)).certified for toy in toys)
    assert not (alone & ~every).any()
    assert (every & ~alone).sum() > 20


def test_the_printed_and_the_coded_rule_certify_images_that_are_lost(toys, decisions):
    worst = joined(toy.worst for toy in toys)
    margin = 2 * joined(toy.clean for toy in toys) - 1
    kl = joined(d.kl for d in decisions["pinsker"])
    lost = worst < 0.5
    printed, coded = printed_rule(margin, kl), reference_rule(margin, kl)
    assert (printed & lost).sum() > 1000
    assert (coded & lost).sum() > 10
    right = kl < pinsker_needed((1 + margin) / 2, (1 - margin) / 2)
    # the printed sign picks the complement of what Pinsker proves
    clear = np.abs(kl - margin**2 / 2) > 1e-9
    assert (printed[clear] == ~right[clear]).all()
    assert not (right & lost).any()


def test_certified_shrinks_with_the_budget(toys):
    for toy in toys[::16]:
        parts = [toy.decide("tight", budget=b) for b in (0.25, 0.5, 1.0, 2.0)]
        for less, more in itertools.pairwise(parts):
            assert not (more.certified & ~less.certified).any()
            assert (more.lowest <= less.lowest + 1e-6).all()


def test_one_pixel_that_decides_leaves_nothing_to_gain():
    # the vote is the code of one pixel, the others are far from every threshold
    toy = Toy(1, (0.0, 1.0), 7)
    p, q = ndtr(2.0), ndtr(0.5)  # x = 0.2 and its shift to 0.425, threshold 0.5, sigma 0.15
    model = FixedCodesModel(((0.0, 1.0),), 0.15)
    kl = model.divergence(np.array([[[[0.2]]]]), 0.225, 1.0)
    assert lowest_probability(p, kl)[0] == pytest.approx(q, abs=1e-6)
    assert kl[0] < divergence_needed(p, 1 - p)
    assert toy.worst[0] <= toy.clean[0]


def test_a_smaller_limit_certifies_less(toys):
    toy = toys[30]
    exact = VoteLimits(toy.clean, 1 - toy.clean)
    less = VoteLimits(0.97 * toy.clean, 1 - 0.97 * toy.clean)
    first, second = (
        decide(toy.model, toy.images, toy.eps, limits, "tight", ORDERS) for limits in (exact, less)
    )
    assert not (second.certified & ~first.certified).any()
    assert (second.lowest <= first.lowest).all()
