import math

import numpy as np
import pytest

from art_disc.core.checks import check_count, check_eps, check_images, check_labels, check_range
from art_disc.core.errors import ArtDiscError, InputError

IMAGES = np.linspace(0, 1, 2 * 3 * 4 * 5).reshape(2, 3, 4, 5)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_come_back_as_float32_of_the_same_values(dtype):
    x = IMAGES.astype(dtype)
    checked = check_images(x)
    assert checked.dtype == np.float32
    assert np.array_equal(checked, x.astype(np.float32))


@pytest.mark.parametrize("upper", [1.0, 255.0])
def test_uint8_is_scaled_once_to_the_range(upper):
    x = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    exact = np.arange(256, dtype=np.float64).reshape(x.shape) * upper / 255
    checked = check_images(x, upper=upper)
    assert checked.dtype == np.float32
    assert np.array_equal(checked, exact.astype(np.float32))
    assert x.max() == 255


def test_the_callers_array_is_not_written_to():
    for dtype in (np.uint8, np.float32, np.float64):
        x = (IMAGES * (255 if dtype == np.uint8 else 1)).astype(dtype)
        before = x.copy()
        check_images(x)
        assert np.array_equal(x, before)


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (IMAGES[0], r"4 axes .*got shape \(3, 4, 5\).*x\[None\]"),
        (IMAGES[None], "4 axes"),
        (IMAGES[:0], "at least one image"),
        ((IMAGES * 255).astype(np.int64), "uint8 in 0..255, got int64.*astype"),
        (IMAGES > 0.5, "got bool"),
        (IMAGES * 255, "divide 8-bit images by 255"),
        (IMAGES * 1.5, r"must lie in \[0, 1\], got \[0, 1.5\]; clip"),
        (IMAGES - 0.1, r"got \[-0.1, 0.9\]"),
        (np.where(IMAGES > 0.9, np.nan, IMAGES), "finite, got 12 NaN"),
        (np.where(IMAGES > 0.9, np.inf, IMAGES), "finite, got 12 NaN"),
    ],
)
def test_what_is_no_batch_of_images_is_refused(x, text):
    with pytest.raises(InputError, match=text):
        check_images(x)


def test_the_range_is_inclusive_on_both_sides():
    ends = np.array([0, 255], dtype=np.float32)
    assert check_range(ends, upper=255) is ends
    for beyond in (np.nextafter(np.float32(255), np.float32(256)), np.float32(-1e-6)):
        with pytest.raises(InputError, match="must lie in"):
            check_range(np.array([beyond], dtype=np.float32), upper=255)


@pytest.mark.parametrize(
    "y", [[2, 0, 1], np.array([[2], [0], [1]]), np.eye(3)[[2, 0, 1]], np.array([2.0, 0.0, 1.0])]
)
def test_labels_in_any_form_become_the_same_indices(y):
    labels = check_labels(y, 3, 3)
    assert labels.dtype == np.int64
    assert labels.tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("y", "text"),
    [
        ([0, 1], "3 images, got 2"),
        ([0.5, 1, 2], "no integers"),
        ([0, 1, 3], r"must lie in 0..2, got 0..3"),
        ([-1, 1, 2], "got -1..2"),
    ],
)
def test_labels_that_do_not_fit_are_refused(y, text):
    with pytest.raises(InputError, match=text):
        check_labels(y, 3, 3)


@pytest.mark.parametrize(("eps", "upper"), [(0, 1.0), (8 / 255, 1.0), (1, 1.0), (8, 255.0)])
def test_a_budget_inside_the_range_passes(eps, upper):
    assert check_eps(eps, upper=upper) == eps


def test_a_budget_above_the_range_names_both_readings():
    with pytest.raises(InputError, match=r"\[0, 1\], got 8; for 8 grey levels write 8/255 \(0.03"):
        check_eps(8)


@pytest.mark.parametrize("eps", [-0.1, math.nan, math.inf, "much", None])
def test_what_is_no_budget_is_refused(eps):
    with pytest.raises(InputError, match="eps must be"):
        check_eps(eps)


@pytest.mark.parametrize("value", [1, np.int64(7)])
def test_counts_pass_as_python_integers(value):
    assert type(check_count(value, "n")) is int
    assert check_count(value, "n") == value


@pytest.mark.parametrize("value", [0, -3, 1.0, "3", True, None])
def test_what_is_no_count_is_refused(value):
    with pytest.raises(InputError, match="n must be a whole number >= 1"):
        check_count(value, "n")


def test_own_errors_can_be_caught_as_the_built_in_ones():
    from art_disc.core import errors

    pairs = {
        errors.InputError: ValueError,
        errors.NotFittedError: (ValueError, AttributeError),
        errors.DataNotFoundError: FileNotFoundError,
        errors.FileFormatError: ValueError,
        errors.MissingExtraError: ImportError,
        errors.CertificateError: ValueError,
        errors.TheoryError: ValueError,
    }
    for own, builtin in pairs.items():
        assert issubclass(own, ArtDiscError)
        for one in builtin if isinstance(builtin, tuple) else (builtin,):
            assert issubclass(own, one)
