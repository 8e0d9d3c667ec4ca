import numpy as np
import pytest

from art_disc.codebooks import BitDepthCodebook, UniformCodebook
from art_disc.core.errors import InputError

LEVELS = np.arange(256)


def image(values):
    return np.asarray(values, dtype=np.float32).reshape(1, 1, 1, -1)


@pytest.mark.parametrize("bits", range(1, 9))
def test_bit_depth_is_the_floor_of_equation_2_on_every_grey_level(bits):
    width = 256 / 2**bits
    expected = np.floor(LEVELS / width) * width + width / 2
    got = BitDepthCodebook(bits).quantize(image(LEVELS / 255))
    assert np.array_equal(got.ravel(), (expected / 255).astype(np.float32))


@pytest.mark.parametrize("bits", range(1, 9))
def test_bit_depth_is_the_floor_off_the_grid(bits):
    width = 256 / 2**bits
    scaled = np.random.default_rng(bits).uniform(0, 255, 5000)
    # a float this near to a border may be rounded over it
    scaled = scaled[np.abs(scaled / width - np.rint(scaled / width)) * width > 1e-4]
    expected = np.floor(scaled / width) * width + width / 2
    got = 255.0 * BitDepthCodebook(bits).quantize(image(scaled / 255)).ravel()
    assert len(scaled) > 4000
    assert np.abs(got - expected).max() < 1e-4


@pytest.mark.parametrize("bits", range(1, 9))
def test_a_border_goes_up_and_what_is_just_below_down(bits):
    width = 256 // 2**bits
    borders = np.arange(width, 256, width)
    book = BitDepthCodebook(bits)
    cell = np.arange(1, 2**bits)
    at = image(borders / 255)
    assert np.array_equal(book.assign(at.reshape(-1, 1)).ravel(), cell)
    below = image((borders - 0.01) / 255)
    assert np.array_equal(book.assign(below.reshape(-1, 1)).ravel(), cell - 1)


def test_eight_bits_add_half_a_level():
    got = BitDepthCodebook(8).quantize(image(LEVELS / 255)).ravel()
    assert np.abs(255 * got - LEVELS - 0.5).max() < 1e-4


@pytest.mark.parametrize("bits", range(1, 9))
def test_centred_codewords_are_the_means_of_the_same_cells(bits):
    printed, centred = BitDepthCodebook(bits), BitDepthCodebook(bits, centred=True)
    levels = image(LEVELS / 255)
    cells = printed.assign(levels.reshape(-1, 1)).ravel()
    assert np.array_equal(centred.assign(levels.reshape(-1, 1)).ravel(), cells)
    means = [LEVELS[cells == cell].mean() for cell in range(2**bits)]
    assert np.abs(255 * centred.codewords_.ravel() - means).max() < 1e-4
    assert np.array_equal(centred.quantize(levels), levels) == (bits == 8)
    assert repr(BitDepthCodebook(3, centred=True)) == "BitDepthCodebook(bits=3, centred=True)"


@pytest.mark.parametrize("k", [2, 3, 8, 17, 256])
def test_uniform_bins_are_rounding_of_equal_steps(k):
    x = np.random.default_rng(k).random(5000).astype(np.float32)
    steps = x.astype(np.float64) * (k - 1)
    clear = np.abs(steps - np.floor(steps) - 0.5) > 1e-4
    expected = np.rint(steps) / (k - 1)
    got = UniformCodebook(k).quantize(image(x)).ravel()
    assert clear.sum() > 4000
    assert np.array_equal(got[clear], expected[clear].astype(np.float32))


@pytest.mark.parametrize("k", [4, 6, 16, 52])
def test_a_value_halfway_goes_to_the_lower_bin(k):
    # 255 / (k - 1) is a whole number, an odd one, so half steps are exact in float32
    step = 255 // (k - 1)
    halves = (np.arange(k - 1) + 0.5) * step
    x = (halves / 255).astype(np.float32)
    exact = np.float32(255) * x == halves
    assert exact.any()
    index = UniformCodebook(k).assign(x[:, None]).ravel()
    assert np.array_equal(index[exact], np.arange(k - 1)[exact])


def test_colour_channels_are_mapped_one_by_one():
    x = np.random.default_rng(0).random((2, 3, 4, 5)).astype(np.float32)
    for book in (UniformCodebook(5), BitDepthCodebook(3)):
        whole = book.quantize(x)
        for channel in range(3):
            alone = book.quantize(x[:, channel : channel + 1])
            assert np.array_equal(whole[:, channel : channel + 1], alone)
        assert book.assign(np.moveaxis(x, 1, -1)).shape == (2, 4, 5, 3)


def test_values_outside_the_range_go_to_the_outer_codewords():
    for book in (UniformCodebook(4), BitDepthCodebook(2)):
        got = book.quantize(image([-3, -0.01, 1.01, 7])).ravel()
        ends = book.codewords_[[0, 0, -1, -1], 0]
        assert np.array_equal(got, ends)


@pytest.mark.parametrize("k", [1, 0, 257, 2.0, "8", True])
def test_impossible_bins_are_refused(k):
    with pytest.raises(InputError, match="n_codes"):
        UniformCodebook(k)


@pytest.mark.parametrize("bits", [0, 9, -1, 1.5, None])
def test_impossible_bits_are_refused(bits):
    with pytest.raises(InputError, match="bits"):
        BitDepthCodebook(bits)
