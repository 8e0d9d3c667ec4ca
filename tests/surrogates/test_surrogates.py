import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from art_disc.codebooks import METRICS, BitDepthCodebook, Codebook, UniformCodebook
from art_disc.core.errors import InputError
from art_disc.surrogates import (
    CODEWORDS,
    LEVELS,
    Custom,
    Identity,
    PixelSurrogate,
    SmoothedStep,
    SoftAssignment,
    soft_spread,
)

as_surrogate = CODEWORDS.read

ORDER = {"l1": 1, "l2": 2, "l_inf": np.inf}
ALPHAS = st.sampled_from([1.0, 10.0, 25.5, 200.0])


def test_a_vocabulary_has_the_words_of_what_it_takes():
    both = "identity, soft[:ALPHA[:LEAK]], smooth[:WIDTH]"
    assert CODEWORDS.usage == f"{both} or a callable"
    assert LEVELS.usage == f"{both}, ramp[:WIDTH] or a callable"
    assert set(LEVELS.words) - set(CODEWORDS.words) == {"ramp"}


def test_beside_ones_own_stand_in_there_are_a_blunter_a_leaking_and_a_stepped_one():
    for own, alpha in ((SoftAssignment(24), 24), (Identity(), 10)):
        soft = SoftAssignment(alpha), SoftAssignment(alpha / 4), SoftAssignment(alpha, leak=1.0)
        assert soft_spread(own) == (*soft, SmoothedStep())


def soft_by_hand(x, codes, alpha, metric):
    """g of pixels (n, c) by its definition, in float64."""
    away = np.linalg.norm(x[:, None] - codes, ORDER[metric], axis=-1)
    weights = np.exp(-alpha * (away - away.min(axis=1, keepdims=True)))
    return weights @ codes / weights.sum(axis=1, keepdims=True)


def slope_by_hand(x, codes, alpha):
    """g'(x) of scalars x (n,), codewords (k,)."""
    away = np.abs(x[:, None] - codes)
    weights = np.exp(-alpha * (away - away.min(axis=1, keepdims=True)))
    weights /= weights.sum(axis=1, keepdims=True)
    side = np.sign(x[:, None] - codes)
    means = (weights * codes).sum(axis=1), (weights * side).sum(axis=1)
    return -alpha * ((weights * codes * side).sum(axis=1) - means[0] * means[1])


def value_and_slope(surrogate, pixels, book, dtype=torch.float64):
    """g and the sum of its gradients at pixels (n, c), laid out as one image."""
    x = torch.tensor(pixels.T[None, :, None], dtype=dtype, requires_grad=True)
    value = surrogate(x, book)
    assert value.shape == x.shape
    value.sum().backward()
    return value.detach()[0, :, 0].T.numpy(), x.grad[0, :, 0].T.numpy()


@given(st.integers(0, 2**32 - 1), st.integers(1, 20), ALPHAS)
def test_soft_scalars_have_the_value_and_slope_of_the_formula(seed, k, alpha):
    rng = np.random.default_rng(seed)
    book = Codebook(rng.permutation(np.linspace(0.02, 0.98, k)) + rng.uniform(-0.01, 0.01, k))
    codes = book.codewords_.astype(np.float64)
    x = rng.uniform(-0.2, 1.2, 50)
    value, slope = value_and_slope(SoftAssignment(alpha), x[:, None], book)
    # the codewords are float32, and alpha multiplies their rounding
    near = 1e-6 * max(1.0, alpha / 20)
    assert value == pytest.approx(soft_by_hand(x[:, None], codes, alpha, "l1"), abs=near)
    expected = slope_by_hand(x, codes[:, 0], alpha)
    assert slope[:, 0] == pytest.approx(expected, rel=1e-4, abs=1e-4 * alpha)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("alpha", [1.0, 25.5])
def test_soft_colours_have_the_value_and_slope_of_the_formula(metric, alpha):
    rng = np.random.default_rng(1)
    codes = rng.random((6, 3)).astype(np.float32)
    book = Codebook(codes, metric=metric)
    x = rng.uniform(-0.1, 1.1, (60, 3))
    value, slope = value_and_slope(SoftAssignment(alpha), x, book)
    wide = codes.astype(np.float64)
    assert value == pytest.approx(soft_by_hand(x, wide, alpha, metric), abs=1e-6)
    # central differences, away from the kinks of l1 and l_inf
    step = 1e-6
    gap = np.abs(x[:, None] - wide)
    rivals = np.diff(np.sort(gap, axis=-1), axis=-1) if metric == "l_inf" else gap
    clear = rivals.reshape(len(x), -1).min(axis=1) > 10 * step
    assert clear.sum() > 50
    for channel in range(3):
        move = step * np.eye(3)[channel]
        up, down = (soft_by_hand(x + m, wide, alpha, metric).sum(axis=1) for m in (move, -move))
        numeric = (up - down) / (2 * step)
        assert slope[clear, channel] == pytest.approx(numeric[clear], abs=1e-4 * alpha)
    assert np.abs(slope).max() > 0.1


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_large_alpha_is_the_hard_map(metric, channels):
    rng = np.random.default_rng(2)
    book = Codebook(rng.random((8, channels)), metric=metric)
    x = rng.random((500, channels)).astype(np.float32)
    wide = book.codewords_.astype(np.float64)
    away = np.sort(np.linalg.norm(x[:, None] - wide, ORDER[metric], axis=-1), axis=1)
    clear = away[:, 1] - away[:, 0] > 0.01
    value, _ = value_and_slope(SoftAssignment(5000.0), x, book)
    hard = book.codewords_[book.assign(x)]
    assert clear.sum() > 300
    assert np.abs(value - hard)[clear].max() < 1e-5
    soft, _ = value_and_slope(SoftAssignment(5.0), x, book)
    assert np.abs(soft - hard)[clear].max() > 0.05


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("k", [2, 5, 20])
def test_beyond_the_outer_codewords_the_gradient_is_exactly_zero(dtype, k):
    book = Codebook(np.random.default_rng(k).permutation(np.linspace(0.2, 0.7, k)))
    outside = np.array([-0.3, 0.0, 0.1, 0.19, 0.71, 0.8, 1.0, 1.4])[:, None]
    value, slope = value_and_slope(SoftAssignment(10.0), outside, book, dtype)
    assert not slope.any()
    assert np.ptp(value[:4]) == np.ptp(value[4:]) == 0
    inside = np.linspace(0.21, 0.69, 50)[:, None]
    assert (value_and_slope(SoftAssignment(10.0), inside, book, dtype)[1] > 1e-3).all()


@pytest.mark.parametrize("book", [UniformCodebook(4), BitDepthCodebook(2)])
def test_per_channel_codebooks_treat_channels_one_by_one(book):
    x = np.random.default_rng(3).random((40, 3))
    value, slope = value_and_slope(SoftAssignment(12.0), x, book)
    for channel in range(3):
        alone = value_and_slope(SoftAssignment(12.0), x[:, channel : channel + 1], book)
        assert value[:, channel] == pytest.approx(alone[0][:, 0])
        assert slope[:, channel] == pytest.approx(alone[1][:, 0])
    assert value == pytest.approx(
        soft_by_hand(x.reshape(-1, 1), book.codewords_, 12.0, "l1").reshape(x.shape), abs=1e-6
    )


def test_at_a_codeword_l2_has_no_nan():
    book = Codebook([[0.25, 0.5, 0.75], [0.5, 0.5, 0.5]], metric="l2")
    _, slope = value_and_slope(SoftAssignment(10.0), book.codewords_.copy(), book, torch.float32)
    assert np.isfinite(slope).all()


def test_identity_is_the_input_with_slope_one():
    x = np.random.default_rng(4).random((30, 3))
    value, slope = value_and_slope(Identity(), x, Codebook([[0, 0, 0]]))
    assert np.array_equal(value, x)
    assert (slope == 1).all()


def test_a_callable_is_used_as_it_is():
    def cube(x):
        return x**3

    x = np.random.default_rng(5).random((30, 1))
    surrogate = as_surrogate(cube)
    value, slope = value_and_slope(surrogate, x, Codebook([0.0]))
    assert value == pytest.approx(x**3)
    assert slope == pytest.approx(3 * x**2)
    assert surrogate.name == "cube"
    wrong = as_surrogate(lambda t: t[:, :0])
    with pytest.raises(InputError, match="must keep the shape"):
        wrong(torch.zeros(1, 1, 2, 2), Codebook([0.0]))


def test_an_object_with_a_name_gets_the_codebook_too():
    class Mean:
        name = "mean"

        def __call__(self, x, codebook):
            return x * 0 + float(codebook.codewords_.mean())

    mean = Mean()
    assert as_surrogate(mean) is mean
    assert isinstance(mean, PixelSurrogate)
    value, _ = value_and_slope(mean, np.zeros((2, 1)), Codebook([0.25, 0.75]))
    assert (value == 0.5).all()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("identity", Identity()),
        ("soft", SoftAssignment(10.0)),
        ("soft:25.5", SoftAssignment(25.5)),
        (SoftAssignment(3.0), SoftAssignment(3.0)),
        (Custom(torch.sin, "s"), Custom(torch.sin, "s")),
    ],
)
def test_names_and_objects_become_surrogates(given, expected):
    assert as_surrogate(given) == expected
    assert as_surrogate(given).name == expected.name


def test_the_name_tells_alpha():
    assert SoftAssignment(25.5).name == "soft(alpha=25.5)"


@pytest.mark.parametrize(
    "bad", ["", "hard", "soft:x", "soft:-1", "soft:nan", "identity:1", 3, None]
)
def test_what_is_no_surrogate_is_refused(bad):
    with pytest.raises(InputError, match="surrogate must be identity, soft"):
        as_surrogate(bad)


@pytest.mark.parametrize("alpha", [0, -1.0, float("nan"), float("inf")])
def test_alpha_must_be_positive(alpha):
    with pytest.raises(InputError, match="alpha must be a number > 0"):
        SoftAssignment(alpha)


def test_a_leak_goes_on_beyond_the_outer_codewords_and_changes_nothing_between():
    book = Codebook([0.2, 0.7])
    x = np.array([[0.0], [0.1], [0.3], [0.45], [0.6], [0.8], [1.0]])
    flat, slope = value_and_slope(SoftAssignment(10), x, book)
    leaky, steep = value_and_slope(as_surrogate("soft:10:0.5"), x, book)
    beyond = x - x.clip(0.2, 0.7)
    assert leaky == pytest.approx(flat + 0.5 * beyond, abs=1e-6)
    assert steep == pytest.approx(np.where(beyond != 0, 0.5, slope), abs=1e-5)
    assert (slope[beyond != 0] == 0).all()
    assert as_surrogate("soft:10:0.5").name == "soft(alpha=10, leak=0.5)"
    with pytest.raises(InputError, match="leak"):
        SoftAssignment(10, leak=-1)
    with pytest.raises(InputError, match="LEAK"):
        as_surrogate("soft:1:2:3")


def test_smoothed_step_is_one_sigmoid_for_two_grey_codewords():
    book = Codebook(np.array([[0.2], [0.8]], dtype=np.float32))
    x = torch.linspace(-0.5, 1.5, 41).reshape(1, 1, 41, 1)
    width = 0.3
    ours = SmoothedStep(width)(x, book)
    # the gap over the width squared is the sigmoid's slope at the border, midway
    sigmoid = 0.2 + 0.6 * torch.sigmoid((x - 0.5) * 0.6 / width**2)
    assert torch.allclose(ours, sigmoid, atol=1e-5)


def test_smoothed_step_is_the_posterior_mean_of_a_colour():
    rng = np.random.default_rng(0)
    words = rng.random((5, 3)).astype(np.float32)
    x = torch.tensor(rng.random((1, 3, 4, 2)), dtype=torch.float32)
    ours = SmoothedStep(0.2)(x, Codebook(words, metric="l1"))
    for row in range(4):
        for column in range(2):
            pixel = x[0, :, row, column].numpy().astype(float)
            density = np.exp(-((pixel - words.astype(float)) ** 2).sum(1) / (2 * 0.2**2))
            mean = (density[:, None] * words).sum(0) / density.sum()
            assert np.allclose(ours[0, :, row, column], mean, atol=1e-5)


def test_smoothed_step_scales_with_the_codebook_and_reaches_beyond_it():
    grey = Codebook(np.array([[0.25], [0.75]], dtype=np.float32))
    x = torch.tensor([[[[0.0]], [[0.5]], [[1.0]]]], requires_grad=True).reshape(3, 1, 1, 1)
    x.retain_grad()
    SmoothedStep()(x, grey).sum().backward()
    # 0.3 gaps: slope gap / w^2 = 1 / (0.09 gap), at the border a quarter of it times the gap
    assert float(x.grad[1]) == pytest.approx(0.25 / 0.09, rel=1e-4)
    assert float(x.grad[0]) > 0
    assert float(x.grad[2]) > 0
    assert as_surrogate("smooth").name == "smooth"
    assert as_surrogate("smooth:0.1").name == "smooth(width=0.1)"
    with pytest.raises(InputError, match="width must be"):
        SmoothedStep(0)
