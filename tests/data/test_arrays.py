import numpy as np
import pytest

from art_disc.core.errors import InputError
from art_disc.data import Dataset, from_arrays

GREY = np.arange(5 * 6 * 7, dtype=np.uint8).reshape(5, 6, 7)
COLOUR = np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 1, 0])


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    ("images", "nchw"),
    [
        (GREY, GREY[:, None]),
        (GREY[..., None], GREY[:, None]),
        (GREY[:, None], GREY[:, None]),
        (COLOUR, COLOUR.transpose(0, 3, 1, 2)),
        (COLOUR.transpose(0, 3, 1, 2), COLOUR.transpose(0, 3, 1, 2)),
    ],
)
def test_every_layout_and_type_becomes_nchw_float32(images, nchw, dtype):
    given = images if dtype == np.uint8 else (images / 255).astype(dtype)
    before = given.copy()
    data = from_arrays(None, None, given, LABELS)
    assert data.x_test.dtype == np.float32
    assert data.x_test.flags.c_contiguous
    assert data.input_shape == nchw.shape[1:]
    if dtype == np.float16:
        assert np.abs(data.x_test - nchw / 255).max() < 1e-3
    else:
        assert np.array_equal(255 * data.x_test, nchw.astype(np.float32))
    assert np.array_equal(given, before)


@pytest.mark.parametrize(
    "labels",
    [LABELS, LABELS[:, None], np.eye(3)[LABELS], LABELS.astype(np.uint16), [0, 1, 2, 1, 0]],
)
def test_every_kind_of_label_becomes_an_index(labels):
    data = from_arrays(COLOUR, labels, COLOUR, labels)
    assert data.y_test.dtype == data.y_train.dtype == np.int64
    assert np.array_equal(data.y_train, LABELS)
    assert data.class_names == ("0", "1", "2")


def test_classes_are_counted_over_both_parts_and_by_the_width_of_one_hot_rows():
    assert from_arrays(GREY, LABELS + 6, GREY, LABELS).nb_classes == 9
    assert from_arrays(None, None, GREY, np.eye(20)[LABELS]).nb_classes == 20


def test_contiguous_float32_is_shared_and_not_copied():
    x = np.zeros((5, 1, 6, 7), np.float32)
    assert np.shares_memory(from_arrays(x, LABELS, x, LABELS).x_train, x)


def test_no_training_part_is_an_empty_one():
    data = from_arrays(None, None, COLOUR, LABELS)
    assert data.x_train.shape == (0, 3, 6, 7)
    assert data.y_train.shape == (0,)
    empty = from_arrays(COLOUR[:0], LABELS[:0], COLOUR, LABELS)
    assert empty.fingerprint == data.fingerprint


def _with(value):
    x = np.full((5, 6, 7), 0.5)
    x[2, 3, 4] = value
    return x


@pytest.mark.parametrize(
    ("images", "text"),
    [
        (_with(np.nan), "x_test must be finite, got 1"),
        (_with(np.inf), "must be finite"),
        (_with(1e300), "must be finite"),
        (_with(1.01), r"must lie in \[0, 1\]"),
        (_with(-0.01), r"must lie in \[0, 1\]"),
        (_with(200.0), "divide 8-bit images by 255"),
        (GREY.astype(np.int64), "floats in .* or uint8"),
        (np.zeros((5, 3, 8, 3), np.uint8), "ambiguous"),
        (np.zeros((5, 1, 8, 1), np.uint8), "ambiguous"),
        (np.zeros((5, 4, 8, 2), np.uint8), "1 or 3 channels"),
        (np.zeros((5, 42), np.uint8), "must have shape"),
        (np.zeros((0, 6, 7), np.uint8), "at least one image"),
    ],
)
def test_what_is_no_batch_of_images_is_refused(images, text):
    with pytest.raises(InputError, match=text):
        from_arrays(None, None, images, LABELS[: len(images)])


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (LABELS[:4], "one label for each of the 5 images, got 4"),
        (LABELS - 1, "must lie in"),
        (LABELS + 0.5, "no integers"),
        (np.where(LABELS, np.nan, 0), "NaN"),
        (np.full((5, 3), 1 / 3), "one-hot"),
        (np.ones((5, 3)), "one-hot"),
        (np.array(list("abcde")), "class indices"),
        (np.zeros((5, 1, 1), int), "class indices"),
    ],
)
def test_what_is_no_label_is_refused(labels, text):
    with pytest.raises(InputError, match=text):
        from_arrays(None, None, GREY, labels)


def test_labels_beyond_the_named_classes_are_refused():
    with pytest.raises(InputError, match=r"0\.\.1"):
        from_arrays(None, None, GREY, LABELS, class_names=("cat", "dog"))


@pytest.mark.parametrize("pair", [(GREY, None), (None, LABELS)])
def test_half_a_training_part_is_refused(pair):
    with pytest.raises(InputError, match="go together"):
        from_arrays(*pair, GREY, LABELS)


def test_training_labels_without_images_are_refused():
    with pytest.raises(InputError, match="x_train"):
        from_arrays(GREY[:0], LABELS, GREY, LABELS)


def test_parts_of_different_shape_are_refused():
    with pytest.raises(InputError, match=r"\(3, 6, 7\) and \(1, 6, 7\)"):
        from_arrays(COLOUR, LABELS, GREY, LABELS)


X, Y = np.zeros((2, 1, 4, 4), np.float32), np.zeros(2, np.int64)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"x_test": X.astype(np.float64)}, "float32"),
        ({"x_train": X[0]}, "float32 of shape"),
        ({"y_test": Y.astype(np.int32)}, "int64"),
        ({"y_train": Y[:1]}, "one label for each of 2"),
        ({"x_test": X[:0], "y_test": Y[:0]}, "at least one test image"),
        ({"test_ids": np.arange(3)}, "one id for each"),
    ],
)
def test_the_constructor_refuses_parts_that_do_not_fit(fields, text):
    whole = {"x_train": X, "y_train": Y, "x_test": X, "y_test": Y}
    with pytest.raises(InputError, match=text):
        Dataset(name="n", class_names=("0",), source="s", **{**whole, **fields})
