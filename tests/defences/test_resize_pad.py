"""Random resizing and padding."""

import numpy as np
import pytest
import torch
from scipy import stats

from art_disc import BilinearResize, RandomizedClassifier, ResizePad, build_classifier
from art_disc.core.errors import InputError
from art_disc.defences import parse_defence
from art_disc.defences.resize_pad import ResizePadMap
from art_disc.estimators.randomized import RandomizedModule
from art_disc.estimators.voting import Voting
from art_disc.networks import DigitsNet


def images(n=5, channels=2, size=(8, 8), seed=0):
    """Without zeros, so that a border of zeros shows where an image lies."""
    return np.random.default_rng(seed).uniform(0.1, 1, (n, channels, *size)).astype(np.float32)


def place_of(padded):
    """Top, left, height and width of what is not 0 in (c, h, w)."""
    inside = (padded != 0).any(axis=0)
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    assert inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
    return rows[0], columns[0], rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1


def resized_by_loop(image, height, width, method):
    """TensorFlow 1's resizing of (h, w) with align_corners=False, in 64 bits."""
    made = np.empty((height, width))
    for i, j in np.ndindex(height, width):
        y, x = i * image.shape[0] / height, j * image.shape[1] / width
        top, left = i * image.shape[0] // height, j * image.shape[1] // width
        if method == "nearest":
            made[i, j] = image[top, left]
            continue
        low, right = min(top + 1, image.shape[0] - 1), min(left + 1, image.shape[1] - 1)
        upper = image[top, left] + (x - left) * (image[top, right] - image[top, left])
        lower = image[low, left] + (x - left) * (image[low, right] - image[low, left])
        made[i, j] = upper + (y - top) * (lower - upper)
    return made


@pytest.mark.parametrize("size", [(8, 8), (5, 9), (9, 5)])
@pytest.mark.parametrize("method", ["nearest", "bilinear"])
@pytest.mark.parametrize(("first", "upper"), [(True, 1.0), (False, 255.0)])
def test_it_is_a_loop_over_images_and_points(size, method, first, upper):
    x = images(12, size=size) * np.float32(upper)
    options = {"channels_first": first, "clip_values": (0, upper), "method": method}
    defence = ResizePad(4, 11, 13, back=False, seed=1, **options)
    made = defence(x if first else np.ascontiguousarray(np.moveaxis(x, 1, -1)))[0]
    shape = x.shape[1:] if first else (*size, 2)
    assert defence.encoded_shape(shape) == made.shape[1:]
    made = made if first else np.moveaxis(made, -1, 1)
    short = min(size)
    assert made.shape[2:] == tuple(int(np.ceil(13 * side / short)) for side in size)
    found = set()
    for image, padded in zip(x, made, strict=True):
        top, left, height, width = place_of(padded)
        drawn = min(height, width)
        found.add((top, left, drawn))
        assert 4 <= drawn <= 11
        assert (height, width) == tuple(int(np.floor(drawn * s / short + 0.5)) for s in size)
        inner = padded[:, top : top + height, left : left + width]
        for c in range(2):
            expected = resized_by_loop(image[c].astype(np.float64), height, width, method)
            assert np.allclose(inner[c], expected, atol=1e-6 * upper)
            if method == "nearest":
                assert set(inner[c].ravel()) <= set(image[c].ravel())
    assert len(found) > 8


def test_sizes_and_places_are_each_as_likely():
    x = np.ones((40_000, 1, 2, 2), np.float32)
    made = ResizePad(2, 4, 5, back=False, seed=3)(x)[0][:, 0] != 0
    sides = made.any(axis=1).sum(axis=1)
    tops, lefts = (made.any(axis=axis).argmax(axis=1) for axis in (2, 1))
    counts = np.bincount(sides, minlength=5)[2:5]
    assert counts.sum() == 40_000
    assert stats.chisquare(counts).pvalue > 1e-3
    for side in (2, 3, 4):
        free = 5 - side + 1
        cells = np.bincount(free * tops[sides == side] + lefts[sides == side], minlength=free**2)
        assert len(cells) == free**2
        assert stats.chisquare(cells).pvalue > 1e-3


def test_one_size_for_all_images_or_one_for_each():
    x = images(60, 1)
    for per_image in (True, False):
        defence = ResizePad(4, 9, 12, per_image=per_image, back=False, seed=2)
        calls = [{place_of(padded) for padded in defence(x)[0]} for _ in range(6)]
        sides = [{place[2] for place in call} for call in calls]
        if per_image:
            assert all(found == set(range(4, 10)) for found in sides)
        else:
            assert all(len(found) == 1 for found in sides)
            assert len(set.union(*sides)) > 1
        assert all(len(call) > 5 for call in calls)


@pytest.mark.parametrize(
    ("side", "sides"),
    [(299, (310, 331, 331)), (32, (33, 36, 36)), (28, (29, 31, 31)), (8, (8, 9, 9))],
)
def test_the_published_sizes_at_any_side(side, sides):
    defence = ResizePad(back=False)
    assert defence._sides().of(side, side) == sides
    assert defence.encoded_shape((3, side, 2 * side)) == (3, sides[2], 2 * sides[2])
    assert ResizePad().encoded_shape((3, side, side)) == (3, side, side)


def test_what_is_not_given_follows_from_what_is():
    assert ResizePad(size=40)._sides().of(32, 32) == (33, 40, 40)
    assert ResizePad(highest=34)._sides().of(32, 32) == (33, 34, 34)
    assert ResizePad(highest=20)._sides().of(32, 32) == (20, 20, 20)
    assert ResizePad(16)._sides().of(32, 32) == (16, 36, 36)


@pytest.mark.parametrize("upper", [1.0, 255.0])
def test_the_border_has_the_value_asked_for(upper):
    x = images(20, 1) * np.float32(upper)
    options = {"clip_values": (0, upper), "back": False, "seed": 5}
    zeros, grey = (ResizePad(4, 6, 12, fill=f, **options)(x)[0] for f in (0, 0.5))
    border = zeros == 0
    assert (grey[border] == 0.5 * upper).all()
    assert np.array_equal(grey[~border], zeros[~border])
    assert border.mean() > 0.5


def test_the_way_back_is_interpolation_of_the_padded_image():
    x = images(6, 3, (10, 12))
    padded = ResizePad(9, 12, 14, back=False).frozen(3)(x)[0]
    made = ResizePad(9, 12, 14).frozen(3)(x)[0]
    assert made.shape == x.shape
    assert np.array_equal(made, BilinearResize(10, 12)(padded)[0])


@pytest.mark.parametrize("method", ["nearest", "bilinear"])
@pytest.mark.parametrize("back", [True, False])
def test_the_gradient_is_the_transposed_map(method, back):
    # with a border of zeros the map of one draw is linear
    frozen = ResizePad(5, 10, 11, method=method, back=back).frozen(2)
    x, other = images(3), images(3, seed=1)
    leaf = torch.tensor(x, requires_grad=True)
    made = frozen.forward(leaf)[0]
    weights = np.random.default_rng(2).normal(size=made.shape).astype(np.float32)
    made.backward(torch.tensor(weights))
    along = (leaf.grad.numpy().astype(np.float64) * other).sum()
    assert along == pytest.approx((weights.astype(np.float64) * frozen(other)[0]).sum(), rel=1e-4)
    assert np.allclose(frozen.estimate_gradient(x, weights), leaf.grad.numpy(), atol=1e-6)


def test_streams_are_its_own_and_freeze():
    x = images(30)
    one, same, other = (ResizePad(4, 9, 12, seed=seed) for seed in (1, 1, 2))
    first, second = one(x)[0], one(x)[0]
    torch.manual_seed(3)
    assert np.array_equal(same(x)[0], first)
    assert np.array_equal(same(x)[0], second)
    assert not np.allclose(first, second)
    assert not np.allclose(other(x)[0], first)
    frozen = ResizePad(4, 9, 12, back=False).frozen(7)
    assert not frozen.is_random
    places = {place_of(padded) for padded in frozen(x)[0]}
    assert len(places) == 1
    assert np.array_equal(frozen(x[4:5])[0], frozen(x)[0][4:5])
    draws = {place_of(frozen.map.draw(torch.tensor(x[:1]), i)[0].numpy()) for i in range(20)}
    assert len(draws) > 10


class BlockedMap(ResizePadMap):
    """The same draws, and no gradient."""

    def transform(self, images, draws):
        return super().transform(images.detach(), draws) + 0 * images.sum()


class PlantedZero(ResizePad):
    def _random_map(self, **options):
        made = super()._random_map(**options)
        made.__class__ = BlockedMap
        return made


def test_attacks_see_through_the_mean_of_draws_and_not_through_a_zero_gradient(
    digits, digits_net, accuracy_after_pgd
):
    def left(kind):
        options = {"eot_samples": 5, "vote_samples": 10}
        defence = kind(8, 9, 9, method="bilinear", seed=3)
        classifier = build_classifier(digits_net, data=digits, defences=[defence], **options)
        assert isinstance(classifier, RandomizedClassifier)
        return accuracy_after_pgd(classifier)

    clean, planted = left(PlantedZero)
    assert clean > 0.6
    # the start alone moves a few
    assert planted > clean - 0.15
    assert left(ResizePad)[1] < 0.2


def test_a_network_can_take_the_padded_image(digits):
    with torch.random.fork_rng():
        torch.manual_seed(5)
        net = DigitsNet((1, 12, 12), 10).eval()
    defence = ResizePad(8, 11, 12, back=False)
    module = RandomizedModule(net, [defence], voting=Voting(eot_samples=3, vote_samples=4))
    x = torch.tensor(digits.x_test[:6], requires_grad=True)
    module(x)[:, 3].sum().backward()
    assert (x.grad.flatten(1).abs().amax(dim=1) > 0).all()
    frozen = defence.frozen(4)
    with torch.no_grad():
        assert module(x).shape == (6, 10)
        expected = torch.log_softmax(net(frozen.forward(x)[0]), dim=1)
        found = RandomizedModule(net, [frozen]).log_probs(x, 1)[0]
    assert torch.allclose(found, expected, atol=1e-5)


def test_lines_of_the_table():
    made = parse_defence("resizepad:lowest=30,highest=34,size=36,method=bilinear,back=false,seed=2")
    assert made.describe() == (
        "ResizePad(lowest=30, highest=34, size=36, method='bilinear', fill=0.0, per_image=True, "
        "back=False, seed=2)"
    )
    assert parse_defence("resizepad:fill=1/2,per_image=false").fill == 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lowest": 5, "highest": 4}, "expected lowest <= highest <= size, got 5, 4, None"),
        ({"highest": 9, "size": 8}, "expected lowest <= highest <= size"),
        ({"lowest": 0}, "lowest must be a whole number >= 1"),
        ({"size": 8.0}, "size must be a whole number >= 1"),
        ({"method": "cubic"}, "method must be one of nearest, bilinear, got 'cubic'"),
        ({"fill": 1.5}, r"fill must be a number in \[0, 1\], got 1.5"),
        ({"fill": True}, "fill must be"),
        ({"seed": 0.5}, "seed must be a whole number"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        ResizePad(**options)


def test_an_image_for_which_the_sizes_do_not_rise_is_refused():
    defence = ResizePad(lowest=20)
    for call in (lambda: defence(images()), lambda: defence.encoded_shape((2, 8, 8))):
        with pytest.raises(InputError, match="for images of 8 x 8, got 20, 9, 9"):
            call()


def test_a_classifier_is_built_around_a_network_for_the_padded_image(digits):
    with torch.random.fork_rng():
        torch.manual_seed(5)
        net = DigitsNet((1, 12, 12), 10).eval()
    defence = ResizePad(8, 11, 12, back=False)
    options = {"input_shape": (1, 8, 8), "nb_classes": 10, "defences": [defence]}
    classifier = build_classifier(net, **options, eot_samples=3, vote_samples=4)
    x, y = digits.x_test[:6].copy(), np.eye(10, dtype=np.float32)[digits.y_test[:6]]
    assert classifier.encoded_shape == (1, 12, 12)
    assert classifier.predict(x).shape == (6, 10)
    slopes = np.abs(classifier.loss_gradient(x, y)).reshape(6, -1).max(axis=1)
    assert slopes.min() > 0
    with pytest.raises(InputError, match="must return logits, got probabilities"):
        build_classifier(torch.nn.Sequential(net, torch.nn.Softmax(1)), **options)
