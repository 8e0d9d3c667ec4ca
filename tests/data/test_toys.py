import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from art_disc.core.errors import InputError
from art_disc.data.toys import linear_problem


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    shape=st.tuples(st.sampled_from([1, 3]), st.integers(1, 6), st.integers(1, 6)),
    codes=st.none() | st.integers(2, 20),
)
def test_the_worst_direction_flips_just_beyond_the_radius_and_nothing_does_below(
    seed, shape, codes
):
    toy = linear_problem(20, seed, shape, codes)
    towards = np.where(toy.y, -1, 1)[:, None] * np.sign(toy.w)
    clear = toy.radius > 1e-4
    for factor, flipped in ((0.999, False), (1.001, True)):
        step = (factor * toy.radius[:, None] * towards).reshape(toy.x.shape)
        moved = toy.x.astype(np.float64) + step
        assert moved.min() >= 0
        assert moved.max() <= 1
        assert ((toy.predict(moved) != toy.y) == flipped)[clear].all()
    noise = np.random.default_rng(seed).uniform(-1, 1, toy.x.shape)
    below = toy.x + 0.999 * toy.radius.reshape(-1, 1, 1, 1) * noise
    assert (toy.predict(below) == toy.y)[clear].all()


def test_images_classes_and_radii_are_of_use_to_an_attack():
    toy = linear_problem(200)
    assert toy.x.shape == (200, 1, 4, 4)
    assert toy.x.dtype == toy.w.dtype == np.float32
    assert toy.x.min() >= np.float32(0.3)
    assert toy.x.max() <= np.float32(0.7)
    assert toy.radius.max() < 0.25
    assert 80 <= toy.y.sum() <= 120
    # any budget between divides the examples
    assert np.quantile(toy.radius, 0.1) < 0.04
    assert np.quantile(toy.radius, 0.9) > 0.1


def test_codes_are_the_only_values():
    toy = linear_problem(50, nb_codes=5)
    assert np.array_equal(np.unique(toy.x), toy.levels)
    assert len(toy.levels) == 5
    assert (toy.predict(toy.x) == toy.y).all()


def test_the_seed_decides_all():
    one, two, other = linear_problem(seed=3), linear_problem(seed=3), linear_problem(seed=4)
    assert np.array_equal(one.x, two.x)
    assert not np.array_equal(one.w, other.w)


def test_as_a_data_set():
    data = linear_problem(12).as_dataset()
    assert (data.nb_classes, data.input_shape, len(data.x_test)) == (2, (1, 4, 4), 12)


@pytest.mark.parametrize(
    "arguments", [{"n": 0}, {"shape": (4, 4)}, {"shape": (0, 4, 4)}, {"nb_codes": 1}]
)
def test_impossible_problems_are_refused(arguments):
    with pytest.raises(InputError):
        linear_problem(**arguments)
