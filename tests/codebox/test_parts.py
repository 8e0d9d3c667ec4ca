"""Work that is cut into parts gives what it gives in one piece, ends included."""

import numpy as np
import pytest

from art_disc.codebooks import Codebook
from art_disc.codebox import Threat
from art_disc.codebox.colours import colour_mask
from art_disc.codebox.cubes import points_in_cells
from art_disc.codebox.sizes import class_sizes


def drawn(seed, n, channels):
    levels = np.random.default_rng(seed).integers(0, 256, (n, channels))
    return levels.astype(np.float32) / np.float32(255)


@pytest.mark.parametrize("metric", ["l1", "l2", "l_inf"])
def test_colours_in_parts(metric, monkeypatch):
    book = Codebook(drawn(0, 9, 3), metric=metric)
    pixels = drawn(1, 101, 3)
    whole = colour_mask(pixels, book, 0.1)
    sizes = class_sizes(pixels, book, Threat(0.1))
    assert (whole.sum(axis=1) == sizes).all()
    assert sizes.max() > 2
    monkeypatch.setattr("art_disc.codebox.colours.ROOM", 90)
    monkeypatch.setattr("art_disc.codebox.lists.ROOM", 90)
    monkeypatch.setattr("art_disc.codebox.sizes._MASK_BITS", 90)
    assert np.array_equal(colour_mask(pixels, book, 0.1), whole)
    assert np.array_equal(class_sizes(pixels, book, Threat(0.1)), sizes)


@pytest.mark.parametrize("room", [2, 1 << 16])
def test_the_upper_end_of_a_box_that_cubes_leave_is_found(room, monkeypatch):
    # two cubes of half side 6 cover -6 <= y < 6 at x = 10, and the point at 6 is as far from all
    monkeypatch.setattr("art_disc.codebox.cubes._POINTS", room)
    low, high = np.array([0.0, -6.0]), np.array([10.0, 6.0])
    centre, rivals = np.array([16.0, 0.0]), np.array([[12.0, -3.0], [12.0, 0.0]])
    columns = (np.repeat(v[..., None], 3, axis=-1) for v in (low, high, centre, rivals.T))
    found = points_in_cells(*columns, 0.0)
    assert found.T.tolist() == [[10.0, 6.0]] * 3
