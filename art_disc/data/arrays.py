"""From arrays in any of the usual layouts to a `Dataset`."""

from typing import Any

import numpy as np

from art_disc.core.checks import Float32Array, check_images, check_labels
from art_disc.core.doubts import check_divided_once
from art_disc.core.errors import InputError
from art_disc.core.inputs import Inputs
from art_disc.core.layouts import channels_first
from art_disc.data.dataset import Dataset, Labels


def from_arrays(  # noqa: PLR0913 - four arrays are one argument in four parts
    x_train: Any | None,
    y_train: Any | None,
    x_test: Any,
    y_test: Any,
    *,
    name: str = "arrays",
    class_names: tuple[str, ...] | None = None,
    source: str = "arrays",
) -> Dataset:
    """Build a data set from arrays.

    Args:
        x_train: Images of shape (n, height, width), (n, height, width, channels) or (n, channels,
            height, width) with 1 or 3 channels; uint8, or floats in [0, 1]. None: no training
            part, then `y_train` is None too.
        y_train: Labels of shape (n,) or (n, 1), or one-hot rows (n, classes).
        x_test: Images, as `x_train`.
        y_test: Labels, as `y_train`.
        name: Name of the data set.
        class_names: One name a class; None: the numbers up to the largest label, or to the width
            of one-hot rows.
        source: Where the arrays came from.

    Returns:
        A data set; an array that already is contiguous float32 NCHW is shared, not copied.

    Raises:
        InputError: Another or an ambiguous layout, NaN or values out of range, labels that are
            none, counts that differ, or only one of `x_train` and `y_train`.

    Example:
        >>> import numpy as np
        >>> x = np.zeros((2, 28, 28), np.uint8)
        >>> from_arrays(None, None, x, [0, 1]).x_test.shape
        (2, 1, 28, 28)
    """
    test = to_nchw(x_test, "x_test")
    known = None if class_names is None else len(class_names)
    test_labels, nb_classes = to_labels(y_test, len(test), "y_test", known)
    if (x_train is None) != (y_train is None):
        msg = "x_train and y_train go together: give both or neither"
        raise InputError(msg)
    if x_train is None or y_train is None or np.size(x_train) == np.size(y_train) == 0:
        train, train_labels = np.zeros((0, *test.shape[1:]), np.float32), np.zeros(0, np.int64)
    else:
        train = to_nchw(x_train, "x_train")
        train_labels, train_classes = to_labels(y_train, len(train), "y_train", known)
        nb_classes = max(nb_classes, train_classes)
    return Dataset(
        name=name,
        x_train=train,
        y_train=train_labels,
        x_test=test,
        y_test=test_labels,
        class_names=class_names or tuple(str(i) for i in range(nb_classes)),
        source=source,
    )


def as_dataset(data: Any, classifier: Any = None, *, name: str = "data") -> Dataset:
    """Return a data set as it is, or one made of the arrays that a user gives in its place.

    Args:
        data: A `Dataset`; `(x, y)`, a test part alone; or `((x_train, y_train), (x_test,
            y_test))`, in the order of ART's and Keras' loaders.
        classifier: Whose layout and input range the arrays have, as where it predicts; None: they
            are what `from_arrays` takes.
        name: What the message calls the argument.

    Raises:
        InputError: None of these, or arrays that do not fit.
    """
    if isinstance(data, Dataset):
        return data
    if not _is_pair(data):
        hint = f"; load_dataset({data!r}) reads one" if isinstance(data, str) else ""
        msg = (
            f"{name} must be a Dataset (of load_dataset or from_arrays), arrays (x, y) to test on, "
            f"or ((x_train, y_train), (x_test, y_test)), got {_kind_of(data)}{hint}"
        )
        raise InputError(msg)
    (x_train, y_train), test = data if all(map(_is_pair, data)) else ((None, None), data)
    if classifier is None:
        return from_arrays(x_train, y_train, *test)
    x_test, y_test = _part_for(classifier, test[0], test[1], "test")
    train = (x_test[:0], y_test[:0])
    if x_train is not None:
        train = _part_for(classifier, x_train, y_train, "train")
    names = tuple(str(i) for i in range(classifier.nb_classes))
    return Dataset("arrays", *train, x_test, y_test, names, "arrays")


def _part_for(classifier: Any, x: Any, y: Any, part: str) -> tuple[Float32Array, Labels]:
    """Return images that a classifier takes as NCHW in [0, 1], and their labels."""
    inputs = Inputs.of(classifier)
    images = inputs.images(x, name=f"x_{part}")
    labels = check_labels(y, len(images), classifier.nb_classes, name=f"y_{part}")
    if not classifier.channels_first:
        images = np.ascontiguousarray(np.moveaxis(images, -1, 1))
    # whole levels of 0..255 come back as they were; others within one rounding of float32
    return (images if inputs.upper == 1 else images / np.float32(inputs.upper)), labels


def _is_pair(data: Any) -> bool:
    return isinstance(data, tuple) and len(data) == 2


def _kind_of(data: Any) -> str:
    return f"a tuple of {len(data)}" if isinstance(data, tuple) else f"a {type(data).__name__}"


def to_nchw(x: Any, name: str = "x") -> Float32Array:
    """Return images as contiguous float32 (n, c, h, w) in [0, 1]; `name` is for the messages."""
    images = channels_first(np.asarray(x), name)
    if images.dtype == np.uint8 and images.size:
        # one copy, in place: CIFAR-10 takes 600 MB as float32
        scaled = images.astype(np.float32, order="C")
        scaled /= np.float32(255)
        return scaled
    with np.errstate(over="ignore"):
        checked = np.ascontiguousarray(check_images(images, name=name))
    check_divided_once(float(checked.max()), name)
    return checked


def to_labels(y: Any, n: int, name: str = "y", nb_classes: int | None = None) -> tuple[Labels, int]:
    """Return labels as int64 class indices (n,), and the number of classes that they speak of.

    That is `nb_classes` where it is known, else the largest label + 1, or the width of one-hot
    rows.
    """
    labels = check_labels(y, n, nb_classes, name=name)
    width = np.shape(y)[1] if np.ndim(y) == 2 else 1
    return labels, nb_classes or max(width, int(labels.max(initial=0)) + 1)
