import math
from types import SimpleNamespace

import numpy as np
import pytest

from art_disc.core.doubts import doubt_of_range
from art_disc.core.errors import InputError
from art_disc.core.inputs import Inputs
from art_disc.core.layouts import other_layout

WIDE = SimpleNamespace(
    clip_values=(np.float32(0), np.float32(255)), input_shape=(1, 2, 2), nb_classes=3
)


def test_they_are_read_off_an_art_classifier():
    inputs = Inputs.of(WIDE)
    assert inputs == Inputs(255.0, (1, 2, 2), 3)
    x = np.arange(8, dtype=np.uint8).reshape(2, 1, 2, 2)
    assert np.array_equal(inputs.images(x), x.astype(np.float32))
    assert inputs.labels([2, 1], 2).tolist() == [2, 1]
    assert inputs.budget(8) == 8
    # the diagonal of the range
    assert inputs.budget(500, norm="2") == 500
    with pytest.raises(InputError, match="input range"):
        inputs.budget(511, norm=2)
    with pytest.raises(InputError, match="input range"):
        inputs.budget(500)


def test_what_is_not_known_is_not_asked():
    inputs = Inputs.of(SimpleNamespace(clip_values=(0, 1)))
    assert inputs.images(np.ones((1, 5, 6, 7))).shape == (1, 5, 6, 7)
    assert inputs.labels([7], 1).tolist() == [7]
    assert inputs.budget(1e9, norm=2) == 1e9
    with pytest.raises(InputError, match=r"SimpleNamespace has no clip_values.*\(0, 1\)"):
        Inputs.of(SimpleNamespace(clip_values=None))


@pytest.mark.parametrize(
    ("got", "shape", "hint"),
    [
        ((4, 5, 3), (3, 4, 5), "(x, -1, 1)"),
        ((3, 4, 5), (4, 5, 3), "(x, 1, -1)"),
        ((3, 4, 5), (3, 4, 5), ""),
        ((5, 4, 3), (3, 4, 5), ""),
        ((3, 3, 3), (3, 3, 3), ""),
        ((4, 5), (3, 4, 5), ""),
    ],
)
def test_a_layout_is_named_where_it_explains_all(got, shape, hint):
    assert hint in other_layout(got, shape)
    assert bool(other_layout(got, shape)) == bool(hint)
    if hint:
        axes = {"(x, -1, 1)": (-1, 1), "(x, 1, -1)": (1, -1)}[hint]
        assert np.moveaxis(np.zeros((2, *got)), *axes).shape[1:] == shape


@pytest.mark.parametrize(
    ("values", "upper", "doubt"),
    [
        ([0, 128, 255], 1, "8-bit levels"),
        ([0, 3, 1], 1, "8-bit levels"),
        ([0, 2, 1], 1, ""),
        ([0.5, 128.5, 200.1], 1, "divide"),
        ([-2.1, 2.6, -1.5, 2.2], 1, "standardise"),
        ([-0.5, 1.5, 1.0, 0.0], 1, ""),
        # one value far away, as attacks try them
        ([40.5, *[0.5] * 9], 1, ""),
        ([math.nan, 128.5, 200.1], 1, "divide"),
        ([math.nan] * 3, 1, ""),
        ([0.0, 0.0], 255, ""),
        ([0.0, 0.7], 255, r"looks like \[0, 1\]"),
        ([0.0, 1.2], 255, ""),
        ([-3.0, 0.7], 255, ""),
        ([], 1, ""),
    ],
)
def test_a_range_is_doubted_where_most_of_a_batch_speaks_against_it(values, upper, doubt):
    found = doubt_of_range(np.array(values, dtype=np.float32), upper)
    assert bool(found) == bool(doubt)
    assert doubt.replace("\\", "") in found
