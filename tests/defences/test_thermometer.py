"""Codes of levels: ART's values, the surrogates' gradients, and classifiers that take codes."""

import copy
import pickle
import time

import numpy as np
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescent
from art.defences.preprocessor import ThermometerEncoding
from art.defences.preprocessor.preprocessor import Preprocessor
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from art_disc import GaussianNoise, SignAdamBPDA, Thermometer, build_classifier
from art_disc.codebooks import Codebook
from art_disc.core.errors import InputError
from art_disc.defences import ColorDepthReduction, PixelDiscretization
from art_disc.defences import images as maps
from art_disc.estimators import RandomizedClassifier, encoded_shape
from art_disc.networks import DigitsNet
from art_disc.surrogates import Ramp, SmoothedStep, SoftAssignment

ENCODINGS = ("thermometer", "one_hot")


def images(n_levels):
    """Every grey level, random values, and the floats beside the borders: (1, 3, 16, 16)."""
    grey = np.arange(256, dtype=np.float32) / np.float32(255)
    any_value = np.random.default_rng(n_levels).random(256).astype(np.float32)
    border = (np.arange(256) % (n_levels + 1)).astype(np.float32) / np.float32(n_levels)
    ends = np.where(np.arange(256) % 2, np.float32(-1), np.float32(2))
    beside = np.where(np.arange(256) % 3, np.nextafter(border, ends), border)
    return np.stack([grey, any_value, beside.astype(np.float32)]).reshape(1, 3, 16, 16)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("upper", [1.0, 255.0])
@pytest.mark.parametrize("n_levels", range(2, 33))
def test_the_values_are_arts(n_levels, upper, first):
    # one layout and range each in turn, or ART would take a minute
    if (n_levels + first) % 2 != (upper == 255):
        return
    x = images(n_levels) * np.float32(upper)
    x = x if first else np.ascontiguousarray(np.moveaxis(x, 1, -1))
    art = ThermometerEncoding((0, upper), n_levels, channels_first=first)(x.copy())[0]
    ours = Thermometer(n_levels, channels_first=first, clip_values=(0, upper))(x)[0]
    assert ours.shape == art.shape
    assert np.array_equal(ours, art)


def test_the_bits_of_a_channel_by_hand():
    x = np.array([[[[0.0]], [[0.5]], [[0.51]]]], dtype=np.float32)
    # 0.5 is a border of four levels and belongs to the level below
    codes = Thermometer(4)(x)[0].ravel().tolist()
    assert codes == [1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0]
    codes = Thermometer(4, "one_hot")(x)[0].ravel().tolist()
    assert codes == [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]


reals = st.floats(width=32, allow_nan=False) | st.floats(0, 1, width=32)


@given(x=arrays(np.float32, (1, 2, 2, 3), elements=reals), n_levels=st.integers(2, 40))
def test_one_hot_has_one_bit_and_a_thermometer_sums_it_up(x, n_levels):
    bits = {e: Thermometer(n_levels, e)(x)[0].reshape(1, 2, n_levels, 2, 3) for e in ENCODINGS}
    assert set(np.unique(bits["one_hot"])) <= {0, 1}
    assert (bits["one_hot"].sum(axis=2) == 1).all()
    summed = bits["one_hot"][:, :, ::-1].cumsum(axis=2)[:, :, ::-1]
    assert np.array_equal(bits["thermometer"], summed)
    clipped = np.clip(x, 0, 1)
    for encoding in ENCODINGS:
        defence = Thermometer(n_levels, encoding)
        middles = defence.decode(defence(x)[0])
        assert np.abs(middles - clipped).max() <= 0.5 / n_levels + 1e-6
        assert np.array_equal(defence(middles)[0], defence(x)[0])


@given(x=arrays(np.float32, (1, 1, 2, 2), elements=reals), step=st.floats(0, 2, width=32))
def test_a_thermometer_only_rises(x, step):
    defence = Thermometer(7)
    assert (defence(x + np.float32(step))[0] >= defence(x)[0]).all()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_map_is_total_and_a_nan_spoils_its_own_bits_alone(encoding):
    x = np.full((1, 2, 2, 2), 0.3, dtype=np.float32)
    x[0, :, 0, 0] = -np.inf, np.inf
    x[0, 1, 1, 1] = np.nan
    code = Thermometer(5, encoding)(x)[0].reshape(2, 5, 2, 2)
    ends = np.array([0, 1], dtype=np.float32).reshape(2, 1, 1, 1)
    edge = Thermometer(5, encoding)(ends)[0].reshape(2, 5)
    assert np.array_equal(code[:, :, 0, 0], edge)
    lost = np.isnan(code)
    assert lost[1, :, 1, 1].all()
    assert lost.sum() == 5


def test_parts_change_nothing(monkeypatch):
    x = np.random.default_rng(0).random((5, 3, 4, 4)).astype(np.float32)
    defence = Thermometer(6)

    def both():
        leaf = torch.tensor(x, requires_grad=True)
        code = defence.forward(leaf)[0]
        (code * torch.arange(code.numel()).view(code.shape)).sum().backward()
        return code.detach().numpy(), leaf.grad.numpy()

    whole = both()
    monkeypatch.setattr(maps, "MEMORY_BYTES", 1)
    assert maps.images_at_once(torch.tensor(x), defence.map.copies) == 1
    assert all(np.array_equal(a, b) for a, b in zip(both(), whole, strict=True))
    assert defence(x[:0])[0].shape == (0, 18, 4, 4)


# slow codes of one value, in 64 bits, written from the definitions


def shares(v, n, score):
    weights = np.array([score(v - (j + 0.5) / n) for j in range(n)])
    weights = np.exp(weights - weights.max())
    return weights / weights.sum()


def bits_of(share, encoding):
    if encoding == "one_hot":
        return share
    return np.array([share[i:].sum() for i in range(len(share))])


def slow_soft(alpha, leak=0.0):
    def code(v, n, encoding):
        inside = min(max(v, 0.5 / n), 1 - 0.5 / n)
        made = bits_of(shares(inside, n, lambda d: -alpha * abs(d)), encoding)
        return made + leak * (v - inside) * slopes(v, n, encoding)

    return code


def slow_smooth(width):
    def code(v, n, encoding):
        return bits_of(shares(v, n, lambda d: -(d**2) / (2 * (width or 0.3 / n) ** 2)), encoding)

    return code


def slow_ramp(width):
    def code(v, n, encoding):
        w = width or 1 / n
        rise = [1.0] + [min(max((v - i / n) / w + 1, 0), 1) for i in range(1, n)] + [0.0]
        rise = np.array(rise)
        return rise[:-1] - rise[1:] if encoding == "one_hot" else rise[:-1]

    return code


def slopes(v, n, encoding):
    if encoding == "thermometer":
        return np.array([0.0] + [1.0] * (n - 1))
    level = 0
    while level < n - 1 and v > (level + 1) / n:
        level += 1
    signs = [-1.0] * level + [0.0] + [1.0] * (n - 1 - level)
    return np.array(signs) - sum(signs) / n


def slow_identity(v, n, encoding):
    # differentiated within one level, where the slopes stand still
    return v * slopes(v, n, encoding)


SLOW = {
    "soft": slow_soft(10),
    "soft:4:0.5": slow_soft(4, 0.5),
    "smooth": slow_smooth(None),
    "smooth:0.2": slow_smooth(0.2),
    "ramp": slow_ramp(None),
    "ramp:0.3": slow_ramp(0.3),
    "identity": slow_identity,
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", SLOW)
def test_the_gradient_is_that_of_a_slow_code(name, encoding):
    n, step = 6, 1e-6
    rng = np.random.default_rng(3)
    # off the borders, the middles and the ends of the ramps, where codes have kinks
    cells = rng.integers(-4, 28, (2, 2, 3, 4)) + rng.uniform(0.2, 0.8, (2, 2, 3, 4))
    x = (cells / 24).astype(np.float32)
    kinks = np.concatenate([np.arange(0, 13) / 12, np.arange(1, 6) / 6 - 0.3])
    clear = np.abs(x[..., None] - kinks).min(axis=-1) > 1e-3
    upstream = rng.normal(size=(2, 2, n, 3, 4)).astype(np.float32)
    expected = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        v, g = float(x[place]), upstream[place[0], place[1], :, place[2], place[3]]
        up, down = (SLOW[name](v + s * step, n, encoding) for s in (1, -1))
        expected[place] = ((up - down) / (2 * step)) @ g
    flat = upstream.reshape(2, 2 * n, 3, 4)
    for upper in (1.0, 255.0):
        defence = Thermometer(n, encoding, name, clip_values=(0, upper))
        leaf = torch.tensor(x * np.float32(upper), requires_grad=True)
        code = defence.forward(leaf)[0]
        assert np.array_equal(code.detach().numpy(), Thermometer(n, encoding)(x)[0])
        code.backward(torch.tensor(flat))
        found = leaf.grad.numpy() * upper
        assert np.allclose(found[clear], expected[clear], rtol=1e-3, atol=1e-4)
        again = defence.estimate_gradient(leaf.detach().numpy(), flat) * upper
        assert np.allclose(again, found, rtol=1e-4, atol=1e-5)
    assert clear.mean() > 0.8
    assert np.abs(expected[clear]).max() > 0.5


def test_identity_leaves_no_value_without_a_gradient():
    x = np.linspace(-0.5, 1.5, 64, dtype=np.float32).reshape(1, 1, 8, 8)
    for encoding in ENCODINGS:
        defence = Thermometer(5, encoding, "identity")
        code = defence(x)[0]
        weights = np.zeros_like(code) + np.arange(5, dtype=np.float32)[None, :, None, None]
        assert (defence.estimate_gradient(x, weights) > 0).all()


@pytest.mark.parametrize("value", [0.0, 1 / 6, 0.5])
def test_a_ramp_has_its_slope_at_the_ends_of_a_level_too(value):
    x = np.full((1, 1, 1, 1), value, dtype=np.float32)
    defence = Thermometer(6, surrogate="ramp")
    assert (defence.estimate_gradient(x, np.ones((1, 6, 1, 1), np.float32)) >= 6).all()


def test_surrogates_are_named_and_others_refused():
    defence = Thermometer(4)
    assert defence.surrogate == SoftAssignment()
    assert defence.with_surrogate("ramp").surrogate == Ramp()
    assert defence.with_surrogate("ramp:0.25").surrogate.name == "ramp(width=0.25)"
    assert defence.with_surrogate("smooth").surrogate == SmoothedStep()
    assert defence.surrogate == SoftAssignment()
    with pytest.raises(InputError, match="width must be a number > 0"):
        Ramp(-1)

    class Other:
        name = "other"

        def __call__(self, x, codebook):
            return x

    with pytest.raises(InputError, match=r"surrogate must be .*ramp.*, got <.*Other"):
        Thermometer(4, surrogate=Other())
    # it is for the bits of level codes
    for ramp in ("ramp", Ramp()):
        with pytest.raises(InputError, match=r"surrogate must be identity, soft.*, got .*[rR]amp"):
            PixelDiscretization(Codebook([0, 1]), ramp)
    x = np.zeros((1, 1, 2, 2), dtype=np.float32)
    with pytest.raises(InputError, match=r"must return codes \(1, 4, 2, 2\), got \(1, 1, 2, 2\)"):
        Thermometer(4, surrogate=lambda t: t).estimate_gradient(x, np.zeros((1, 4, 2, 2)))


@pytest.mark.parametrize("levels", [1, 0, 257, 2.5, True, "8", None])
def test_other_numbers_of_levels_are_refused(levels):
    with pytest.raises(InputError, match="n_levels must be a whole number from 2 to 256"):
        Thermometer(levels)


def test_other_encodings_are_refused():
    with pytest.raises(InputError, match="encoding must be one of thermometer, one_hot, got 'hot'"):
        Thermometer(4, "hot")


def test_it_is_much_faster_than_arts():
    x = np.random.default_rng(0).random((4, 3, 32, 32)).astype(np.float32)
    start = time.perf_counter()
    art = ThermometerEncoding((0, 1), 16, channels_first=True)(x.copy())[0]
    theirs = time.perf_counter() - start
    defence, ours = Thermometer(16), []
    for _ in range(5):
        start = time.perf_counter()
        code = defence(x)[0]
        ours.append(time.perf_counter() - start)
    assert np.array_equal(code, art)
    assert theirs > 50 * sorted(ours)[2]


# classifiers that take codes


def net(shape=(5, 8, 8), seed=1):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return DigitsNet(shape, 10).eval()


SHAPE = {"input_shape": (1, 8, 8), "nb_classes": 10}


@pytest.fixture(scope="module")
def sample(digits):
    return digits.x_test[:12].copy(), np.eye(10, dtype=np.float32)[digits.y_test[:12]]


@pytest.mark.parametrize("placement", ["module", "preprocessor"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_classifier_is_the_network_on_codes(sample, encoding, placement):
    x, y = sample
    defence, network = Thermometer(5, encoding), net()
    classifier = build_classifier(network, defences=[defence], placement=placement, **SHAPE)
    assert classifier.encoded_shape == (5, 8, 8)
    assert not classifier.has_base
    with torch.no_grad():
        expected = network(torch.tensor(defence(x)[0])).numpy()
    assert np.allclose(classifier.predict(x), expected, atol=1e-6)
    code = torch.tensor(defence(x)[0], requires_grad=True)
    torch.nn.functional.cross_entropy(network(code), torch.tensor(y.argmax(1))).backward()
    slope = defence.estimate_gradient(x, code.grad.numpy())
    scale = np.abs(slope).max()
    found = classifier.loss_gradient(x, y)
    assert scale > 0
    # ART sums the loss over the batch, torch takes the mean
    assert np.allclose(found / np.abs(found).max(), slope / scale, atol=1e-4)
    for twin in (copy.deepcopy(classifier), pickle.loads(pickle.dumps(classifier))):  # noqa: S301 - our own bytes
        assert np.array_equal(twin.predict(x), classifier.predict(x))
        assert twin.encoded_shape == (5, 8, 8)


def test_other_layouts_and_ranges_say_the_same(sample):
    x, _ = sample
    expected = build_classifier(net(), defences=[Thermometer(5)], **SHAPE).predict(x)
    big = build_classifier(net(), defences=[Thermometer(5)], clip_values=(0, 255), **SHAPE)
    levels = np.round(x * 16) * 255 / 16
    assert np.allclose(big.predict(levels.astype(np.float32)), expected, atol=1e-5)

    class Last(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, codes):
            assert codes.shape[1:] == (8, 8, 5)
            return self.inner(codes.movedim(-1, 1))

    last = build_classifier(
        Last(net()),
        defences=[Thermometer(5)],
        input_shape=(8, 8, 1),
        nb_classes=10,
        channels_first=False,
    )
    assert last.encoded_shape == (8, 8, 5)
    assert np.allclose(last.predict(np.moveaxis(x, 1, -1)), expected, atol=1e-6)


def test_shapes_add_up_along_a_chain():
    chain = [ColorDepthReduction(4), Thermometer(5), Thermometer(2)]
    assert encoded_shape(chain, (3, 8, 8)) == (30, 8, 8)
    assert encoded_shape(chain, (8, 8, 3), channels_first=False) == (8, 8, 30)
    assert encoded_shape([], (3, 8, 8)) == (3, 8, 8)
    theirs = ThermometerEncoding((0, 1), 7, channels_first=True)
    assert encoded_shape([theirs], (2, 4, 4)) == (14, 4, 4)


def test_what_somebody_elses_preprocessor_does_to_the_shape_is_not_guessed():
    class Theirs(Preprocessor):
        """Halves the images, fails or returns rows, as it is told."""

        def __init__(self, does, apply_predict=True):
            super().__init__(is_fitted=True, apply_fit=True, apply_predict=apply_predict)
            self.does = does

        def __call__(self, x, y=None):
            if self.does == "fail":
                msg = "wants colour"
                raise ValueError(msg)
            return (x[:, :, ::2, ::2] if self.does == "halve" else x.reshape(len(x), -1)), y

    assert encoded_shape([Theirs("halve")], (3, 8, 8)) == (3, 4, 4)
    with pytest.raises(
        InputError, match=r"Theirs fails on one image .*\(3, 8, 8\): .*wants colour"
    ):
        encoded_shape([Theirs("fail")], (3, 8, 8))
    with pytest.raises(InputError, match=r"Theirs must return images .* got \(1, 192\)"):
        encoded_shape([Theirs("rows")], (3, 8, 8))
    # what is for training alone is not asked
    assert encoded_shape([Theirs("fail", apply_predict=False)], (3, 8, 8)) == (3, 8, 8)


def test_a_network_for_other_shapes_is_told_the_shape():
    told = r"fails on encoded images of shape \(5, 8, 8\): .*make it for \(5, 8, 8\)"
    with pytest.raises(InputError, match=told):
        build_classifier(net((1, 8, 8)), defences=[Thermometer(5)], **SHAPE)


def test_there_is_no_undefended_classifier():
    classifier = build_classifier(net(), defences=[Thermometer(5)], **SHAPE)
    told = r"takes images of shape \(5, 8, 8\) from its defences, these would give it \(1, 8, 8\)"
    with pytest.raises(InputError, match=told):
        _ = classifier.base
    with pytest.raises(InputError, match=r"would give it \(6, 8, 8\)"):
        classifier.with_defences([Thermometer(6)])
    other = classifier.with_defences([Thermometer(5, "one_hot")])
    assert other.encoded_shape == (5, 8, 8)
    soft, ramp = classifier, classifier.with_surrogate("ramp")
    assert ramp.defences[0].surrogate == Ramp()
    assert soft.defences[0].surrogate == SoftAssignment()


def test_standardisation_is_for_the_encoded_channels(sample):
    for good in ((0.5, 2.0), ([0.5] * 5, [2.0] * 5)):
        made = build_classifier(net(), defences=[Thermometer(5)], preprocessing=good, **SHAPE)
        with torch.no_grad():
            codes = torch.tensor(Thermometer(5)(sample[0])[0])
            expected = net()((codes - 0.5) / 2).numpy()
        assert np.allclose(made.predict(sample[0]), expected, atol=1e-6)
    shape = {"input_shape": (3, 8, 8), "nb_classes": 10}
    with pytest.raises(InputError, match=r"\(15, 8, 8\): expected one number or 15 .*mean of 3"):
        build_classifier(
            net((15, 8, 8)),
            defences=[Thermometer(5)],
            preprocessing=([0.5] * 3, [0.2] * 3),
            **shape,
        )


@pytest.mark.parametrize("upper", [1.0, 255.0])
def test_noise_before_or_behind_the_codes_keeps_its_size(sample, upper):
    x = sample[0] * np.float32(upper)
    options = {**SHAPE, "clip_values": (0, upper)}
    before = build_classifier(net(), defences=[GaussianNoise(0.1), Thermometer(5)], **options)
    behind = build_classifier(net(), defences=[Thermometer(5), GaussianNoise(0.1)], **options)
    for made in (before, behind):
        assert isinstance(made, RandomizedClassifier)
        assert np.isfinite(made.predict(x)).all()
        assert np.abs(made.loss_gradient(x, sample[1])).max() > 0
        # the network is asked what it keeps in memory with an image of codes
        with torch.enable_grad():
            assert made.model(torch.tensor(x, requires_grad=True)).shape == (12, 10)
    noise = behind.defences[1].frozen(1)
    assert np.std(noise(np.zeros((1, 5, 8, 8), np.float32))[0]) == pytest.approx(0.1, rel=0.2)


# the exact worst case of a linear model on codes


class Toy:
    """A linear score of codes whose bits of one pixel all pull the same way as x rises."""

    def __init__(self, encoding, n_levels=8, n=60, seed=0):
        rng = np.random.default_rng(seed)
        self.x = rng.uniform(0.15, 0.8, (n, 1, 3, 3)).astype(np.float32)
        way = rng.choice([-1.0, 1.0], (1, 3, 3))
        gains = rng.uniform(0.2, 1, (n_levels, 3, 3)) * way
        gains[0] = 0
        # what level p of a pixel is worth
        self.worth = gains.cumsum(axis=0)
        weights = self.worth if encoding == "one_hot" else gains
        scores = self.score_of(self.level(self.x))
        self.b = -float(np.median(scores))
        self.y = (scores + self.b > 0).astype(np.int64)
        linear = torch.nn.Linear(weights.size, 2)
        with torch.no_grad():
            w = torch.tensor(weights.ravel(), dtype=torch.float32)
            linear.weight.copy_(torch.stack([-w, w]) / 2)
            linear.bias.copy_(torch.tensor([-self.b, self.b]) / 2)
        self.net = torch.nn.Sequential(torch.nn.Flatten(), linear)
        self.n_levels, self.encoding = n_levels, encoding

    def level(self, x):
        return np.clip(np.ceil(x * 8) - 1, 0, 7).astype(int)

    def score_of(self, level):
        rows, cols = np.indices((3, 3))
        return self.worth[level[:, 0], rows, cols].sum(axis=(1, 2))

    def worst(self, eps):
        """Lowest margin within `eps`, every pixel at its worst reachable level."""
        low, high = self.level(self.x - eps), self.level(self.x + eps)
        index = np.arange(8)
        inside = (index >= low[..., None]) & (index <= high[..., None])
        sign = np.where(self.y == 1, 1.0, -1.0)
        value = sign[:, None, None, None, None] * np.moveaxis(self.worth, 0, -1)[None, None]
        return np.where(inside, value, np.inf).min(axis=-1).sum(axis=(1, 2, 3)) + sign * self.b

    def classifier(self, defence):
        return build_classifier(self.net, input_shape=(1, 3, 3), nb_classes=2, defences=[defence])


def pgd(classifier, toy, eps):
    attack = ProjectedGradientDescent(
        classifier, eps=eps, eps_step=eps / 4, max_iter=8, batch_size=128, verbose=False
    )
    return attack.generate(toy.x, toy.y)


def sign_adam(classifier, toy, eps):
    attack = SignAdamBPDA(classifier, eps=eps, eps_step=eps / 4, max_iter=12, verbose=False)
    return attack.generate(toy.x, toy.y)


@pytest.mark.parametrize("attack", [pgd, sign_adam])
@pytest.mark.parametrize("surrogate", ["soft", "soft:30", "smooth", "ramp", "identity"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_attacks_reach_exactly_the_worst_reachable_codes(encoding, surrogate, attack):
    toy, eps = Toy(encoding), 0.09
    classifier = toy.classifier(Thermometer(8, encoding, surrogate))
    assert (classifier.predict(toy.x).argmax(axis=1) == toy.y).all()
    adversarial = attack(classifier, toy, eps)
    assert np.abs(adversarial - toy.x).max() <= eps + 1e-6
    fooled = classifier.predict(adversarial).argmax(axis=1) != toy.y
    less, more = toy.worst(eps - 1e-5), toy.worst(eps + 1e-5)
    assert not fooled[more > 1e-4].any()
    assert fooled[less < -1e-4].all()
    assert 0 < fooled.sum() < len(fooled)


class Bare(Thermometer):
    """The same codes without a surrogate: plain comparisons under autograd."""

    def _make_map(self):
        made = super()._make_map()
        made.forward = lambda x: made.code.hard(x) + 0 * x.repeat(1, made.code.n_levels, 1, 1)
        return made


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_without_a_surrogate_an_attack_finds_nothing(encoding):
    toy, eps = Toy(encoding), 0.09
    classifier = toy.classifier(Bare(8, encoding))
    assert np.array_equal(
        classifier.predict(toy.x), toy.classifier(Thermometer(8, encoding)).predict(toy.x)
    )
    adversarial = pgd(classifier, toy, eps)
    assert (classifier.predict(adversarial).argmax(axis=1) == toy.y).all()
    # although there is something to find
    assert (toy.worst(eps) < 0).any()
