"""Max-pooling and the bilinear way back."""

import numpy as np
import pytest
import torch

from art_disc import build_classifier
from art_disc.core.errors import InputError
from art_disc.defences import (
    BilinearResize,
    MaxPoolDownsample,
    RandDisc,
    RandomPreprocessor,
    parse_defence,
)


def images(n=3, channels=2, size=(9, 11)):
    return np.random.default_rng(0).random((n, channels, *size)).astype(np.float32)


def pooled_by_loop(image, filter_size, stride):
    rows = range(0, image.shape[0] - filter_size + 1, stride)
    columns = range(0, image.shape[1] - filter_size + 1, stride)
    return np.array(
        [[image[i : i + filter_size, j : j + filter_size].max() for j in columns] for i in rows]
    )


def resized_by_loop(image, height, width):
    """TensorFlow 1's `resize_bilinear` with align_corners=False, in 64 bits."""
    made = np.empty((height, width))
    for i in range(height):
        for j in range(width):
            y, x = i * image.shape[0] / height, j * image.shape[1] / width
            top, left = int(y), int(x)
            low, right = min(top + 1, image.shape[0] - 1), min(left + 1, image.shape[1] - 1)
            upper = image[top, left] + (x - left) * (image[top, right] - image[top, left])
            lower = image[low, left] + (x - left) * (image[low, right] - image[low, left])
            made[i, j] = upper + (y - top) * (lower - upper)
    return made


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    ("filter_size", "stride"), [(1, 1), (1, 2), (2, 3), (2, 4), (2, 7), (9, 1)]
)
def test_it_is_a_loop_over_windows_and_points(filter_size, stride, first):
    x = images()
    given = x if first else np.ascontiguousarray(np.moveaxis(x, 1, -1))
    options = {"channels_first": first, "clip_values": (0, 255)}
    small = MaxPoolDownsample(filter_size, stride, resize=False, **options)
    back = MaxPoolDownsample(filter_size, stride, **options)
    made, whole = small(given)[0], back(given)[0]
    assert small.encoded_shape(given.shape[1:]) == made.shape[1:]
    assert back.encoded_shape(given.shape[1:]) == whole.shape[1:] == given.shape[1:]
    made, whole = (m if first else np.moveaxis(m, -1, 1) for m in (made, whole))
    for i in range(3):
        for c in range(2):
            expected = pooled_by_loop(x[i, c], filter_size, stride)
            assert np.array_equal(made[i, c], expected)
            assert np.allclose(whole[i, c], resized_by_loop(expected, 9, 11), atol=1e-6)
    if (filter_size, stride) == (1, 1):
        assert np.array_equal(whole, x)


def test_there_is_no_half_pixel_offset():
    row = np.float32([0.0, 1.0, 4.0]).reshape(1, 1, 1, 3)
    expected = [0, 0.5, 1, 2.5, 4, 4]
    made = BilinearResize(1, 6)(row)[0]
    assert np.allclose(made.ravel(), expected)
    column = BilinearResize(6, 1)(row.reshape(1, 1, 3, 1))[0]
    assert np.allclose(column.ravel(), expected)
    torchs = torch.nn.functional.interpolate(torch.tensor(row), (1, 6), mode="bilinear")
    assert not np.allclose(torchs.numpy().ravel(), expected)
    # 7 * (1 / 7) is above 1 in float32: rows of the image must come back as they are
    four = images(1, 1, (4, 4))
    assert np.array_equal(BilinearResize(28, 28)(four)[0][:, :, ::7, ::7], four)


def test_a_wide_stride_reads_few_pixels_and_maxima_alone_have_a_gradient():
    sizes = {(1, 1): 784, (1, 2): 196, (2, 3): 81, (2, 4): 49, (2, 7): 16}
    for (filter_size, stride), number in sizes.items():
        shape = MaxPoolDownsample(filter_size, stride, resize=False).encoded_shape((1, 28, 28))
        assert shape[1] * shape[2] == number
    x = images(1, 1, (28, 28))
    defence = MaxPoolDownsample(2, 7)
    before = defence(x)[0]
    read = 0
    for place in np.ndindex(28, 28):
        other = x.copy()
        other[0, 0, *place] = 2.0
        read += not np.array_equal(defence(other)[0], before)
    assert read == 64
    leaf = torch.tensor(x, requires_grad=True)
    defence.forward(leaf)[0].sum().backward()
    with_gradient = np.argwhere(leaf.grad.numpy()[0, 0])
    assert len(with_gradient) == 16
    highest = {tuple(np.argwhere(x[0, 0] == v)[0]) for v in pooled_by_loop(x[0, 0], 2, 7).ravel()}
    assert set(map(tuple, with_gradient)) == highest
    assert leaf.grad.sum() == pytest.approx(784, rel=1e-5)


def test_no_maximum_moves_by_more_than_the_perturbation():
    x, eps = images(20, 1, (28, 28)), np.float32(0.1)
    moved = x + np.random.default_rng(1).uniform(-eps, eps, x.shape).astype(np.float32)
    small = MaxPoolDownsample(2, 4, resize=False)
    assert np.abs(small(moved)[0] - small(x)[0]).max() <= eps


def test_a_chain_discretises_the_small_image(digits, digits_net):
    x = digits.x_test[:12].copy()
    chain = [
        MaxPoolDownsample(2, 3, resize=False),
        RandDisc(centres=[0.1, 0.9], sigma=0.2),
        BilinearResize(8, 8),
    ]
    classifier = build_classifier(digits_net, data=digits, defences=chain, eot_samples=4)
    twin = classifier.frozen(3).with_samples(eot=1, vote=1)
    image = torch.tensor(x)
    frozen = [d for d in twin.defences if isinstance(d, RandomPreprocessor)]
    pooled = torch.nn.functional.max_pool2d(image, 2, 3)
    assert pooled.shape == (12, 1, 3, 3)
    small = frozen[0].forward(pooled)[0]
    assert set(np.unique(small.numpy())) == {np.float32(0.1), np.float32(0.9)}
    large = BilinearResize(8, 8).forward(small)[0]
    with torch.no_grad():
        expected = torch.log_softmax(digits_net(large), dim=1).numpy()
    assert np.allclose(twin.predict(x), expected, atol=1e-5)
    assert classifier.predict(x).shape == (12, 10)
    labels = np.eye(10, dtype=np.float32)[digits.y_test[:12]]
    assert np.abs(classifier.loss_gradient(x, labels)).reshape(12, -1).max(axis=1).min() > 0


def test_a_chain_keeps_the_range_of_the_images(digits, digits_net):
    x = digits.x_test[:12].copy()

    def predictions(upper):
        chain = [
            MaxPoolDownsample(2, 3, resize=False),
            RandDisc(2, n_samples=9, seed=4),
            BilinearResize(8, 8),
        ]
        options = {"clip_values": (0, upper), "preprocessing": (0.0, upper), "defences": chain}
        classifier = build_classifier(digits_net, input_shape=(1, 8, 8), nb_classes=10, **options)
        return classifier.predict(upper * x)

    assert np.allclose(predictions(255.0), predictions(1.0), atol=1e-3)


def test_the_published_choice():
    for eps, expected in (
        (0.01, (1, 1)),
        (0.02, (1, 1)),
        (0.05, (1, 2)),
        (0.1, (2, 4)),
        (0.3, (2, 7)),
    ):
        pool = MaxPoolDownsample.published(eps, resize=False)
        assert (pool.filter_size, pool.stride) == expected
        assert not pool.resize
    for eps in (0, 0.31, -1, float("nan")):
        with pytest.raises(InputError, match=r"eps above 0 and at most 0\.3"):
            MaxPoolDownsample.published(eps)


def test_lines_of_the_table():
    pool = parse_defence("maxpool:filter_size=3,stride=5,resize=false")
    assert pool.describe() == "MaxPoolDownsample(filter_size=3, stride=5, resize=False)"
    assert (
        parse_defence("bilinear:height=5,width=6").describe() == "BilinearResize(height=5, width=6)"
    )


def test_what_does_not_fit_is_refused():
    for options in ({"filter_size": 0, "stride": 1}, {"filter_size": 2, "stride": 1.5}):
        with pytest.raises(InputError, match=r"(filter_size|stride) must be a whole number >= 1"):
            MaxPoolDownsample(**options)
    with pytest.raises(InputError, match="height must be a whole number >= 1"):
        BilinearResize(0, 3)
    large = MaxPoolDownsample(10, 1)
    for call in (lambda: large(images()), lambda: large.encoded_shape((2, 9, 11))):
        with pytest.raises(InputError, match="must fit into images of 9 x 11, got 10"):
            call()
