"""A draw proves nothing: what is just not enough leaves an image undecided, in every bound."""

import numpy as np
import pytest

from art_disc.certificates.divergence.decide import decide
from art_disc.certificates.divergence.invert import divergence_needed, pinsker_needed
from art_disc.certificates.divergence.votes import VoteLimits

LIMITS = VoteLimits(np.array([0.8, 0.8]), np.array([0.1, 0.1]))


class Given:
    """A model whose divergences are given by order and direction, infinite where none is."""

    assumes = "given"

    def __init__(self, found):
        self.found = found

    def divergence(self, images, _budget, order, *, reverse=False):
        return np.broadcast_to(self.found.get((order, reverse), np.inf), len(images))


def decided(bound, found, orders=(1.0, 2.0)):
    images = np.full((2, 1, 2, 2), 0.5)
    return decide(Given(found), images, 0.01, LIMITS, bound, orders)


def test_a_divergence_that_is_just_large_enough_for_a_draw_is_too_large():
    needed = pinsker_needed(0.8, 0.1)
    found = decided("pinsker", {(1.0, False): np.array([np.nextafter(needed, 0), needed])})
    assert found.certified.tolist() == [True, False]
    # the same gap as the decision: sqrt(2 KL) is the margin
    assert found.gap == pytest.approx([0, 0], abs=1e-12)


@pytest.mark.parametrize("order", [1.0, 2.0])
@pytest.mark.parametrize("reverse", [False, True])
def test_each_order_and_direction_decides_by_its_own_limit(order, reverse):
    needed = divergence_needed(0.8, 0.1, order, reverse=reverse)
    found = decided("tight", {(order, reverse): np.array([np.nextafter(needed, 0), needed])})
    assert found.certified.tolist() == [True, False]


def test_two_classes_that_come_to_a_draw_are_undecided():
    limits = VoteLimits(np.array([0.9]), np.array([0.1]))
    images = np.full((1, 1, 2, 2), 0.5)
    # lowest and 1 - highest meet where the lead of two classes ends
    for share, certified in ((0.99, True), (1.01, False)):
        far = share * divergence_needed(0.9, 0.1)
        found = decide(Given({(1.0, False): far}), images, 0.01, limits, "tight", (1.0,))
        assert found.certified.tolist() == [certified]
        assert (found.gap[0] > 0) == certified
        # of two classes the lead is what the label's own probability leaves
        assert found.gap[0] == pytest.approx(max(0, 2 * found.lowest[0] - 1), abs=1e-9)
