"""Boxes that can be tried, for networks of `studies.random_networks`."""

import itertools

import numpy as np
import pytest
import torch

from studies.random_networks import make_network


def make_box(seed):
    """Return a box of images (2, 5, 5) with six free values, its corners and points inside."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 1, 50)
    high = low.copy()
    free = rng.choice(50, 6, replace=False)
    high[free] += rng.uniform(0.1, 1.5, 6)
    corners = np.array(list(itertools.product((0, 1), repeat=6)))
    shares = np.concatenate([corners, rng.uniform(0, 1, (40, 6))])
    points = np.repeat(low[None], len(shares), axis=0)
    points[:, free] += shares * (high - low)[free]
    # exactly the ends, whatever the sum rounds to
    points = np.clip(points, low, high)
    arrays = (low[None], high[None], points)
    return tuple(torch.from_numpy(a.reshape(-1, 2, 5, 5)) for a in arrays)


@pytest.fixture(scope="session")
def network():
    """`make_network`."""
    return make_network


@pytest.fixture(scope="session")
def box():
    """`make_box`."""
    return make_box
