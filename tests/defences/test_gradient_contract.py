"""Through the whole ART classifier: the gradient is surrogate's slope times the network's."""

import numpy as np
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescent
from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
from art.estimators.classification import PyTorchClassifier
from art.preprocessing.standardisation_mean_std.numpy import StandardisationMeanStd

from art_disc import build_classifier
from art_disc.codebooks import BitDepthCodebook, Codebook, UniformCodebook
from art_disc.defences import DEFENCES, CodebookPreprocessor, InputBitDepth, PixelDiscretization
from art_disc.networks import DigitsNet
from tests.lqvae_file import lqvae_file


class PlantedZero(PixelDiscretization):
    """The surrogate in `estimate_forward` alone, as ART's documentation asks."""

    def forward(self, x, y=None):
        with torch.no_grad():
            hard = self.map(x)
        return hard + 0 * x, y


class PlantedNone(PixelDiscretization):
    """The same, cut off from the graph."""

    def forward(self, x, y=None):
        with torch.no_grad():
            return self.map(x), y


class Darken(PreprocessorPyTorch):
    """A torch preprocessor of somebody else's."""

    def __init__(self, factor=0.8):
        super().__init__(device_type="cpu")
        self.factor = factor

    def forward(self, x, y=None):
        return self.factor * x, y


def soft_slope(x, book, alpha):
    codes = book.codewords_.astype(np.float64).ravel()
    away = np.abs(x[..., None].astype(np.float64) - codes)
    weights = np.exp(-alpha * (away - away.min(axis=-1, keepdims=True)))
    weights /= weights.sum(axis=-1, keepdims=True)
    side = np.sign(x[..., None] - codes)
    mean = (weights * codes).sum(axis=-1) * (weights * side).sum(axis=-1)
    return -alpha * ((weights * codes * side).sum(axis=-1) - mean)


def slope_of(name):
    if name == "identity":
        return lambda x, _: np.ones_like(x)
    return lambda x, book: soft_slope(x, book, float(name.partition(":")[2]))


def assert_gradient_contract(classifier, x, y, slope):
    """Raise AssertionError unless gradients of every image pass the defence as they must."""
    book = classifier.defences[0].codebook
    try:
        gradient = classifier.loss_gradient(x, y)
    except ValueError as error:
        text = f"no gradient: {error}"
        raise AssertionError(text) from error
    assert (np.abs(gradient).reshape(len(x), -1).max(axis=1) > 0).all(), "an image has no gradient"
    beyond = classifier.base.loss_gradient(book.quantize(x), y)
    kinks = np.abs(x[..., None] - book.codewords_.ravel()).min(axis=-1) < 1e-5
    expected = slope(x, book) * beyond
    scale = np.abs(expected).max()
    assert np.allclose(gradient[~kinks], expected[~kinks], rtol=1e-3, atol=1e-5 * scale)


@pytest.fixture(scope="module")
def random_net():
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return DigitsNet((1, 8, 8), 10).eval()


@pytest.fixture(scope="module")
def sample(digits):
    return digits.x_test[:40].copy(), np.eye(10, dtype=np.float32)[digits.y_test[:40]]


def built(net, defence, placement="module"):
    return build_classifier(
        net, input_shape=(1, 8, 8), nb_classes=10, defences=[defence], placement=placement
    )


@pytest.mark.parametrize("placement", ["module", "preprocessor"])
@pytest.mark.parametrize("surrogate", ["identity", "soft:10", "soft:3"])
@pytest.mark.parametrize("book", [Codebook([0, 0.99]), UniformCodebook(5), BitDepthCodebook(2)])
def test_the_gradient_is_slope_times_network(random_net, sample, book, surrogate, placement):
    defence = PixelDiscretization(book, surrogate)
    slope = slope_of(surrogate)
    assert_gradient_contract(built(random_net, defence, placement), *sample, slope)
    rng = np.random.default_rng(0)
    off_grid = rng.uniform(0, 1, sample[0].shape).astype(np.float32)
    assert_gradient_contract(built(random_net, defence, placement), off_grid, sample[1], slope)


BOOKS = [name for name, row in DEFENCES.items() if issubclass(row.kind, CodebookPreprocessor)]


def whole(name, surrogate):
    """A defence of the table as one fixed function."""
    meant = DEFENCES[name].kind.meant(surrogate)
    needed = {"file": lqvae_file((1, 8, 8))} if name == "lqvae" else {}
    made = DEFENCES[name].make(**needed, **({"surrogate": surrogate} if meant else {}))
    return made.frozen(3)


def net_behind(defence, net):
    """The network, or one that takes the defence's codes."""
    shape = defence.encoded_shape((1, 8, 8))
    if shape == (1, 8, 8):
        return net
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return DigitsNet(shape, 10).eval()


@pytest.mark.parametrize("name", BOOKS)
@pytest.mark.parametrize("surrogate", ["identity", "soft:10"])
def test_every_row_of_the_table_passes_gradients_of_a_trained_net(
    digits, digits_net, sample, name, surrogate
):
    defence = DEFENCES[name].make(surrogate=surrogate)
    classifier = build_classifier(digits_net, data=digits, defences=[defence])
    assert_gradient_contract(classifier, *sample, slope_of(surrogate))


@pytest.mark.parametrize("planted", [PlantedZero, PlantedNone])
def test_a_surrogate_in_estimate_forward_alone_is_found_out(random_net, sample, planted):
    slope = slope_of("soft:10")
    honest = PixelDiscretization(UniformCodebook(5), "soft:10")
    wrong = planted(UniformCodebook(5), "soft:10")
    classifier = built(random_net, wrong, "preprocessor")
    assert np.array_equal(wrong(sample[0])[0], honest(sample[0])[0])
    with pytest.raises(AssertionError, match="no gradient"):
        assert_gradient_contract(classifier, *sample, slope)
    assert_gradient_contract(built(random_net, honest, "preprocessor"), *sample, slope)


def test_another_slope_is_found_out(random_net, sample):
    classifier = built(random_net, PixelDiscretization(UniformCodebook(5), "soft:10"))
    with pytest.raises(AssertionError):
        assert_gradient_contract(classifier, *sample, slope_of("soft:9"))


def test_the_planted_defence_seems_robust_and_the_real_one_is_not(digits_net, sample):
    x, y = sample

    def accuracy(defence):
        classifier = built(digits_net, defence, "preprocessor")
        attack = ProjectedGradientDescent(
            classifier, eps=0.3, eps_step=0.06, max_iter=10, batch_size=64, verbose=False
        )
        return np.mean(classifier.predict(attack.generate(x, y)).argmax(axis=1) == y.argmax(axis=1))

    book = UniformCodebook(4)
    planted, real = accuracy(PlantedZero(book)), accuracy(PixelDiscretization(book))
    clean = np.mean(
        digits_net(torch.tensor(book.quantize(x))).argmax(dim=1).numpy() == y.argmax(axis=1)
    )
    assert planted == clean >= 0.85
    assert real < 0.3


@pytest.mark.parametrize("name", BOOKS)
def test_beside_another_torch_preprocessor_the_chain_rule_holds(digits, digits_net, sample, name):
    x, y = sample
    defence = DEFENCES[name].make(surrogate="soft:10")
    alone = build_classifier(digits_net, data=digits, defences=[defence], placement="preprocessor")
    both = build_classifier(
        digits_net, data=digits, defences=[Darken(0.8), defence], placement="preprocessor"
    )
    dark = (np.float32(0.8) * x).astype(np.float32)
    assert np.allclose(both.predict(x), alone.predict(dark), atol=1e-5)
    expected = np.float32(0.8) * alone.loss_gradient(dark, y)
    assert np.allclose(both.loss_gradient(x, y), expected, rtol=1e-4, atol=1e-7)
    assert np.abs(expected).max() > 0


@pytest.mark.parametrize("surrogate", ["identity", "soft:10"])
@pytest.mark.parametrize("name", DEFENCES)
def test_arts_numpy_path_gives_the_same(digits, digits_net, sample, name, surrogate):
    x, y = sample
    defence = whole(name, surrogate)
    net = net_behind(defence, digits_net)
    fused = build_classifier(net, data=digits, defences=[defence], placement="preprocessor")
    by_numpy = PyTorchClassifier(
        model=net,
        loss=torch.nn.CrossEntropyLoss(),
        input_shape=(1, 8, 8),
        nb_classes=10,
        clip_values=(0, 1),
        preprocessing_defences=[defence],
        preprocessing=StandardisationMeanStd(0, 1),
        device_type="cpu",
    )
    assert fused.all_framework_preprocessing
    assert not by_numpy.all_framework_preprocessing
    assert np.allclose(by_numpy.predict(x), fused.predict(x), atol=1e-5)
    for label in (None, 3):
        a, b = (c.class_gradient(x, label=label) for c in (by_numpy, fused))
        # float32 sums over codewords lose digits of the largest slope, not of each
        assert np.allclose(a, b, rtol=1e-4, atol=2e-6 * np.abs(b).max())
        assert np.abs(a).max() > 0
    a, b = (c.loss_gradient(x, y) for c in (by_numpy, fused))
    assert np.allclose(a, b, rtol=1e-4, atol=1e-7)
    assert np.abs(a).max() > 0


@pytest.mark.parametrize("apply_predict", [True, False])
def test_a_defence_that_is_switched_off_does_nothing(digits_net, sample, apply_predict):
    x, _ = sample
    defence = InputBitDepth(1, apply_predict=apply_predict)
    classifier = built(digits_net, defence, "preprocessor")
    same = np.allclose(classifier.predict(x), classifier.base.predict(x))
    assert same != apply_predict
