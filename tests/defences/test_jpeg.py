"""JPEG: Pillow's value, and the gradient of an independently checked model."""

import io
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.fft import dctn, idctn
from scipy.special import expit

from art_disc import JpegCompression, build_classifier
from art_disc.core.errors import InputError
from art_disc.defences import DctModel, parse_defence
from art_disc.defences import images as maps
from art_disc.defences.jpeg_codec import JpegCodec, data_bytes, encoded, tables
from art_disc.defences.jpeg_model import jpeg_model, soft_round
from art_disc.surrogates import Identity

SIZES = ((16, 16), (13, 21), (8, 8), (7, 5), (9, 3), (1, 1), (33, 18))


def by_pillow(picture, **options):
    """A picture (h, w, c) of bytes through a file."""
    file = io.BytesIO()
    Image.fromarray(picture.squeeze(-1) if picture.shape[2] == 1 else picture).save(
        file, "JPEG", **options
    )
    return np.asarray(Image.open(file)).reshape(picture.shape), file.getvalue()


def pictures(n, size, channels, low=0, high=256):
    return np.random.default_rng(3).integers(low, high, (n, *size, channels), dtype=np.uint8)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("options", [{}, {"quality": 20}, {"quality": 90, "subsampling": "4:4:4"}])
def test_the_value_is_pillows_in_every_layout_and_range(size, channels, options):
    bytes_ = pictures(3, size, channels)
    expected = np.stack([by_pillow(picture, **options)[0] for picture in bytes_])
    for upper in (1.0, 255.0):
        for first in (True, False):
            x = bytes_.astype(np.float32) / np.float32(255 / upper)
            made = JpegCompression(**options, channels_first=first, clip_values=(0, upper))(
                np.moveaxis(x, -1, 1) if first else x
            )[0]
            wanted = (expected / np.float32(255) * np.float32(upper)).astype(np.float32)
            assert np.array_equal(np.moveaxis(made, 1, -1) if first else made, wanted)
            assert 0 <= made.min() <= made.max() <= upper


def test_pillows_own_defaults_are_the_defaults():
    picture = pictures(1, (24, 24), 3)[0]
    assert by_pillow(picture)[1] == by_pillow(picture, quality=75, subsampling="4:2:0")[1]


@given(level=st.integers(0, 254), bits=st.integers(-3, 3))
def test_values_go_to_the_nearest_level(level, bits):
    # at the border between two levels to the last bit; a flat block at quality 100 comes back whole
    value = np.float32((level + 0.5) / 255)
    for _ in range(abs(bits)):
        value = np.nextafter(value, np.float32(bits), dtype=np.float32)
    exact = 255 * Fraction(float(value))
    nearest = level + (
        exact > level + Fraction(1, 2) or (exact == level + Fraction(1, 2) and level % 2)
    )
    made = JpegCompression(100)(np.full((1, 1, 8, 8), value))[0]
    assert np.array_equal(made, np.full_like(made, np.float32(nearest) / np.float32(255)))


def test_what_lies_outside_is_the_end_of_the_range_and_a_nan_spoils_its_image():
    x = np.random.default_rng(0).uniform(-1, 2, (3, 1, 9, 9)).astype(np.float32)
    x[1, 0, 2, 2] = np.inf
    made = JpegCompression()(x)[0]
    assert np.array_equal(made, JpegCompression()(np.clip(x, 0, 1))[0])
    x[0, 0, 4, 4] = np.nan
    lost = JpegCompression()(x)[0]
    assert np.isnan(lost[0]).all()
    assert np.array_equal(lost[1:], made[1:])


def hard_model(picture, quality, subsampling):
    values = torch.tensor(picture).movedim(-1, 0)[None].float()
    used = torch.tensor(tables(quality, picture.shape[2]))[None]
    made = jpeg_model(values, used, subsampling, lambda units, _: units.round())
    return made[0].movedim(0, -1).clamp(0, 255).numpy()


@pytest.mark.parametrize(
    ("channels", "subsampling"), [(1, "4:2:0"), (3, "4:4:4"), (3, "4:2:2"), (3, "4:2:0")]
)
def test_the_model_with_hard_rounding_is_pillow_to_a_few_levels(channels, subsampling):
    for size in SIZES:
        picture = pictures(1, size, channels, 60, 196)[0]
        away = np.abs(
            hard_model(picture, 100, subsampling)
            - by_pillow(picture, quality=100, subsampling=subsampling)[0]
        )
        # steps are 1 here, so a coefficient that is rounded the other way moves little
        assert away.max() <= (2 if channels == 1 else 5)
        assert away.mean() < (0.6 if channels == 1 else 1.2)
    medians = []
    for quality in (30, 50, 75, 90):
        # its coefficients lie near multiples of the steps: few are rounded the other way
        before = pictures(1, (32, 40), channels, 60, 196)[0]
        picture, _ = by_pillow(before, quality=quality, subsampling=subsampling)
        after, _ = by_pillow(picture, quality=quality, subsampling=subsampling)
        medians.append(np.median(np.abs(hard_model(picture, quality, subsampling) - after)))
        wrong = np.abs(hard_model(picture, quality - 9, subsampling) - after)
        assert np.median(wrong) > 2 * medians[-1]
    assert max(medians) <= 1.2


@pytest.mark.parametrize("quality", [1, 30, 75, 100])
def test_the_tables_are_those_in_the_file(quality):
    for channels in (1, 3):
        _, file = by_pillow(pictures(1, (8, 8), channels)[0], quality=quality)
        found = Image.open(io.BytesIO(file)).quantization
        made = tables(quality, channels)
        assert made.shape == (channels, 8, 8)
        assert made[0].ravel().tolist() == found[0]
        assert made[-1].ravel().tolist() == found[channels > 1]
    # coarser to the right and downwards: rows of frequencies, not the file's zigzag
    if quality == 75:
        assert tables(75, 1)[0, 0, :4].tolist() == [8, 6, 5, 8]
        assert tables(75, 1)[0, :4, 0].tolist() == [8, 6, 7, 7]


def test_soft_rounding_joins_whole_numbers_by_logistic_curves():
    units = torch.linspace(-3, 3, 601, dtype=torch.float64)
    for rate in (0.1, 3.0, 20.0):
        made = soft_round(units, torch.tensor(rate, dtype=torch.float64)).numpy()
        # between two whole numbers a logistic function, moved and scaled to meet both
        inside = expit(rate * np.linspace(-0.5, 0.5, 101))
        inside = (inside - inside[0]) / (inside[-1] - inside[0])
        assert np.allclose(made[300:400], inside[:-1], atol=1e-12)
        assert np.allclose(made[::100], np.arange(-3, 4), atol=1e-12)
        assert np.allclose(made, -made[::-1], atol=1e-12)
        assert (np.diff(made) > 0).all()
    assert np.allclose(soft_round(units, torch.tensor(1e-4)).numpy(), units, atol=1e-6)
    clear = np.abs(np.abs(units.numpy()) % 1 - 0.5) > 0.1
    steep = soft_round(units, torch.tensor(400.0)).numpy()
    assert np.allclose(steep[clear], np.round(units.numpy())[clear], atol=1e-6)


def soft_by_scipy(image, table, alpha):
    """A grey 8 x 8 image on [0, 1], by other code: with sums of logistic functions."""
    units = dctn(255 * image.astype(np.float64) - 128, norm="ortho") / table
    rate = alpha * table / 255
    below = np.floor(units)
    low, high = expit(-rate / 2), expit(rate / 2)
    made = below + (expit(rate * (units - below - 0.5)) - low) / (high - low)
    return (idctn(made * table, norm="ortho") + 128) / 255


@pytest.mark.parametrize("alpha", [40.0, 10.0])
def test_the_gradient_is_that_of_the_soft_model(alpha):
    rng = np.random.default_rng(1)
    x = rng.random((3, 1, 8, 8)).astype(np.float32)
    weights = rng.normal(size=x.shape)
    leaf = torch.tensor(x, requires_grad=True)
    defence = JpegCompression(50, surrogate=f"dct:{alpha:g}")
    defence.forward(leaf)[0].backward(torch.tensor(weights, dtype=torch.float32))
    table, h = tables(50, 1)[0].astype(np.float64), 1e-5
    for i, place in ((0, (0, 0)), (1, (3, 5)), (2, (7, 7)), (2, (1, 0))):
        up, down = x[i, 0].astype(np.float64), x[i, 0].astype(np.float64)
        up[place] += h
        down[place] -= h
        change = soft_by_scipy(up, table, alpha) - soft_by_scipy(down, table, alpha)
        expected = (weights[i, 0] * change).sum() / (2 * h)
        assert leaf.grad[i, 0][place].item() == pytest.approx(expected, rel=2e-3, abs=2e-3)


@pytest.mark.parametrize("upper", [1.0, 255.0])
def test_the_straight_models(upper):
    rng = np.random.default_rng(2)

    def slope(channels, surrogate, **options):
        x = (upper * rng.random((2, channels, 10, 12))).astype(np.float32)
        weights = rng.normal(size=x.shape).astype(np.float32)
        leaf = torch.tensor(x, requires_grad=True)
        defence = JpegCompression(60, surrogate=surrogate, clip_values=(0, upper), **options)
        defence.forward(leaf)[0].backward(torch.tensor(weights))
        return leaf.grad.numpy(), weights

    grey, weights = slope(1, "dct-identity")
    assert np.allclose(grey, weights, atol=1e-4)
    same, weights = slope(3, "identity")
    assert np.array_equal(same, weights)
    full, weights = slope(3, "dct-identity", subsampling="4:4:4")
    assert np.allclose(full, weights, atol=1e-3)
    # colour differences are blurred; a change that is alike in all channels has none
    blurred, weights = slope(3, "dct-identity")
    assert not np.allclose(blurred, weights, atol=0.1)
    assert np.allclose(blurred.sum(axis=1), weights.sum(axis=1), atol=1e-3)


def test_chunks_of_the_backward_pass_change_nothing(monkeypatch):
    x = np.random.default_rng(5).random((4, 3, 9, 9)).astype(np.float32)

    def slope():
        leaf = torch.tensor(x, requires_grad=True)
        JpegCompression(ratio=3).forward(leaf)[0].square().sum().backward()
        return leaf.grad.numpy()

    whole = slope()
    monkeypatch.setattr(maps, "MEMORY_BYTES", 1)
    assert np.allclose(slope(), whole, atol=1e-6)


def test_bytes_of_data_are_those_of_the_scan():
    # a block of mid grey: 2 bits for no difference in brightness, 4 for the end of the block
    flat = np.full((8, 8, 1), 128, np.uint8)
    assert data_bytes(encoded(flat, 75, "4:2:0")) == 1
    assert data_bytes(encoded(np.full((8, 32, 1), 128, np.uint8), 75, "4:2:0")) == 3
    noise = pictures(1, (40, 40), 3)[0]
    file = encoded(noise, 75, "4:2:0")
    assert 500 < len(file) - data_bytes(file) < 700


@pytest.mark.parametrize("ratio", [2, 4, 9.5])
def test_a_ratio_is_reached_by_the_highest_quality_that_does(digits, ratio):
    smooth = np.kron(pictures(3, (5, 4), 3), np.ones((1, 6, 6, 1), np.uint8))
    grey = (255 * digits.x_test[:6].transpose(0, 2, 3, 1)).round().astype(np.uint8)
    found = set()
    for picture in (*smooth, *grey, *pictures(2, (16, 16), 3)):
        sizes = [data_bytes(encoded(picture, q, "4:2:0")) for q in range(1, 101)]
        reached = [q for q in range(1, 101) if sizes[q - 1] <= picture.size / ratio]
        quality = JpegCodec(None, ratio, "4:2:0").quality_for(picture)
        found.add(quality)
        if not reached:
            assert quality == 1
            continue
        assert sizes[quality - 1] <= picture.size / ratio
        assert quality == 100 or sizes[quality] > picture.size / ratio
        assert quality >= 0.9 * max(reached)
    assert len(found) > 2


def test_with_a_ratio_each_image_has_its_own_quality_forward_and_backward():
    x = np.concatenate([pictures(1, (16, 16), 3), pictures(1, (16, 16), 3, 120, 136)])
    codec = JpegCodec(None, 4.0, "4:2:0")
    one, other = (codec.quality_for(picture) for picture in x)
    assert one != other
    images = torch.tensor(x.transpose(0, 3, 1, 2) / np.float32(255))
    leaf = images.clone().requires_grad_()
    together = JpegCompression(ratio=4).forward(leaf)[0]
    together.square().sum().backward()
    for i, quality in enumerate((one, other)):
        single = images[i : i + 1].clone().requires_grad_()
        alone = JpegCompression(quality).forward(single)[0]
        alone.square().sum().backward()
        assert torch.equal(alone[0], together[i])
        assert torch.allclose(single.grad[0], leaf.grad[i], atol=1e-5)
        assert not torch.allclose(single.grad[0], leaf.grad[1 - i], atol=1e-2)


class PlantedZero(JpegCompression):
    """No gradient passes."""

    def forward(self, x, y=None):
        with torch.no_grad():
            hard = self.map(x)
        return hard + 0 * x, y


def test_attacks_see_through_it_and_not_through_a_zero_gradient(
    digits, digits_net, accuracy_after_pgd
):
    def left(defence):
        return accuracy_after_pgd(
            build_classifier(digits_net, data=digits, defences=[defence], placement="preprocessor")
        )

    clean, planted = left(PlantedZero(75))
    assert planted == clean > 0.85
    for surrogate in ("dct", "dct-identity", "identity"):
        assert left(JpegCompression(75, surrogate=surrogate))[1] < 0.3


def test_lines_of_the_table():
    made = parse_defence("jpeg:quality=40,subsampling=4:4:4,surrogate=dct:10")
    assert made.describe() == "JpegCompression(quality=40, subsampling='4:4:4')"
    assert made.surrogate == DctModel(10.0)
    assert parse_defence("jpeg").describe() == "JpegCompression(quality=75, subsampling='4:2:0')"
    made = parse_defence("jpeg:ratio=4,surrogate=dct-identity")
    assert made.describe() == "JpegCompression(ratio=4.0, subsampling='4:2:0')"
    assert made.surrogate.name == "dct-identity"
    assert DctModel().name == "dct(alpha=40)"


def test_surrogates_are_exchanged_where_they_say_something(digits, digits_net):
    defence = JpegCompression()
    assert defence.with_surrogate("soft:3") is defence
    assert defence.with_surrogate("identity").surrogate == Identity()
    assert defence.surrogate == DctModel()
    assert {type(s) for s in defence.spread()} == {DctModel}
    classifier = build_classifier(digits_net, data=digits, defences=[defence])
    y = np.eye(10, dtype=np.float32)[digits.y_test[:5]]
    slopes = [
        classifier.with_surrogate(s).loss_gradient(digits.x_test[:5].copy(), y)
        for s in ("identity", DctModel(), DctModel(None))
    ]
    assert np.allclose(slopes[0], slopes[2], atol=1e-5)
    assert not np.allclose(slopes[0], slopes[1], atol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quality": 0}, "quality must be a whole number from 1 to 100, got 0"),
        ({"quality": 101}, "quality must be"),
        ({"quality": 75.0}, "quality must be"),
        ({"quality": True}, "quality must be"),
        ({"ratio": 0}, "ratio must be a number > 0"),
        ({"ratio": float("inf")}, "ratio must be"),
        ({"quality": 75, "ratio": 4}, "give quality or ratio, got quality=75 and ratio=4"),
        ({"subsampling": "4:1:1"}, "subsampling must be one of 4:4:4, 4:2:2, 4:2:0"),
        ({"surrogate": "soft"}, r"surrogate must be dct\[:ALPHA\], dct-identity or identity"),
        ({"surrogate": "dct:0"}, "surrogate must be dct"),
        ({"surrogate": "dct-identity:3"}, "surrogate must be dct"),
        ({"surrogate": 3}, "surrogate must be dct"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        JpegCompression(**options)


def test_other_numbers_of_channels_are_refused():
    with pytest.raises(InputError, match="1 or 3 channels, got 2; check channels_first"):
        JpegCompression()(np.zeros((1, 2, 8, 8), np.float32))
    with pytest.raises(InputError, match="got 4"):
        JpegCompression().check_channels(4)
    with pytest.raises(InputError, match="alpha must be a number > 0"):
        DctModel(-1.0)
