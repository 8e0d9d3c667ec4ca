import numpy as np
import pytest
import torch
from art.defences.postprocessor import Rounded
from art.defences.preprocessor import FeatureSqueezing
from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
from art.estimators.classification import PyTorchClassifier
from art.preprocessing.standardisation_mean_std.numpy import StandardisationMeanStd

from art_disc import DefendedClassifier, build_classifier, defend
from art_disc.codebooks import Codebook, DensityCodebook
from art_disc.core.errors import InputError, NotFittedError
from art_disc.defences import ColorDepthReduction, InputBitDepth, PixelDiscretization

MEAN, STD = 90.0, 60.0


class Darken(PreprocessorPyTorch):
    def __init__(self):
        super().__init__(device_type="cpu")

    def forward(self, x, y=None):
        return 0.7 * x, y


class OwnLoss(torch.nn.CrossEntropyLoss):
    pass


@pytest.fixture
def net():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 5)).eval()


@pytest.fixture
def x():
    return (255 * np.random.default_rng(0).random((10, 1, 8, 8))).astype(np.float32)


def art_classifier(net, **options):
    settings = {
        "model": net,
        "loss": OwnLoss(),
        "optimizer": torch.optim.SGD(net.parameters(), lr=0.5),
        "input_shape": (1, 8, 8),
        "nb_classes": 5,
        "clip_values": (0, 255),
        "preprocessing": (MEAN, STD),
        "device_type": "cpu",
    }
    return PyTorchClassifier(**{**settings, **options})


def logits(net, x):
    with torch.no_grad():
        return net(torch.tensor(((x - MEAN) / STD).astype(np.float32))).numpy()


def four(x):
    """Colour depth of four levels on the 255 scale, by its formula."""
    return np.rint(x / 85) * 85


@pytest.mark.parametrize("placement", ["module", "preprocessor"])
def test_a_users_classifier_keeps_all_that_it_has(net, x, placement):
    own = art_classifier(net)
    before = own.predict(x)
    made = defend(own, ColorDepthReduction(4), placement=placement)
    assert isinstance(made, DefendedClassifier)
    assert np.allclose(made.predict(x), logits(net, four(x)), atol=1e-4)
    assert np.allclose(made.base.predict(x), before, atol=1e-4)
    assert not np.allclose(made.predict(x), before, atol=0.01)
    assert made.loss is own.loss
    assert made.optimizer is own.optimizer
    assert [float(v) for v in made.clip_values] == [0, 255]
    assert made.base_network[1] is net[1]
    # the one that was given is as it was
    assert np.array_equal(own.predict(x), before)
    assert not own.preprocessing_defences


@pytest.mark.parametrize("placement", ["module", "preprocessor"])
def test_defences_are_applied_in_order_after_those_that_were_there(net, x, placement):
    own = art_classifier(net, preprocessing_defences=[Darken()])
    made = defend(own, [ColorDepthReduction(4), InputBitDepth(1)], placement=placement)
    assert [type(d) for d in made.defences] == [Darken, ColorDepthReduction, InputBitDepth]
    halves = np.where(four(0.7 * x) >= 128, 192.0, 64.0)
    assert np.allclose(made.predict(x), logits(net, halves), atol=1e-4)
    again = defend(made, ColorDepthReduction(2), placement=placement)
    assert len(again.defences) == 4
    assert np.allclose(again.predict(x), logits(net, np.where(halves > 128, 255, 0)), atol=1e-4)
    assert len(made.defences) == 3


def test_gradients_pass_the_whole_chain(net, x):
    own = art_classifier(net, preprocessing_defences=[Darken()])
    y = np.eye(5, dtype=np.float32)[np.arange(10) % 5]
    made = defend(own, ColorDepthReduction(4, "identity"))
    bare = art_classifier(net)
    expected = 0.7 * bare.loss_gradient(four(0.7 * x).astype(np.float32), y)
    assert np.allclose(made.loss_gradient(x, y), expected, rtol=1e-4, atol=1e-8)


def test_postprocessing_is_kept(net, x):
    made = defend(art_classifier(net, postprocessing_defences=Rounded(1)), ColorDepthReduction(4))
    assert np.allclose(made.predict(x), np.round(logits(net, four(x)), 1), atol=0.051)
    assert np.allclose(made.predict(x), np.round(made.predict(x), 1), atol=1e-6)


@pytest.mark.parametrize("preprocessing", [None, (0.0, 1.0), StandardisationMeanStd(MEAN, STD)])
def test_other_standardisations(net, x, preprocessing):
    own = art_classifier(net, preprocessing=preprocessing)
    made = defend(own, ColorDepthReduction(4))
    expected = own.predict(four(x).astype(np.float32))
    assert np.allclose(made.predict(x), expected, rtol=1e-4, atol=1e-3)


def test_a_single_numpy_defence_runs_before_the_module(net, x):
    own = art_classifier(
        net, preprocessing_defences=FeatureSqueezing((0, 255), 3), preprocessing=None
    )
    made = defend(own, ColorDepthReduction(4))
    squeezed = own.preprocessing_defences[0](x)[0]
    with torch.no_grad():
        expected = net(torch.tensor(four(squeezed).astype(np.float32))).numpy()
    assert np.allclose(made.predict(x), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "placement", "text"),
    [
        ({"clip_values": None}, "module", "no clip_values"),
        ({"clip_values": (-1, 1)}, "module", r"must be \(0, 1\) or \(0, 255\)"),
        ({"preprocessing": Darken()}, "module", r"must be \(mean, std\), got Darken"),
        (
            {"preprocessing_defences": [FeatureSqueezing((0, 255), 3)]},
            "preprocessor",
            "FeatureSqueezing runs in ART's NumPy path",
        ),
        (
            {"preprocessing_defences": [FeatureSqueezing((0, 255), 3), Darken()]},
            "module",
            "holds one preprocessor",
        ),
        ({}, "elsewhere", "placement must be"),
    ],
)
# ART itself only warns of lists that it cannot run
def test_classifiers_that_cannot_be_kept_are_refused(net, options, placement, text):
    with pytest.raises(InputError, match=text):
        defend(art_classifier(net, **options), ColorDepthReduction(4), placement=placement)


def test_what_is_no_classifier_or_does_not_fit_is_refused(net):
    with pytest.raises(InputError, match="expected an ART PyTorchClassifier, got Sequential"):
        defend(net, ColorDepthReduction(4))
    own = art_classifier(net)
    with pytest.raises(NotFittedError):
        defend(own, PixelDiscretization(DensityCodebook()))
    with pytest.raises(InputError, match=r"3 channel\(s\), got 1"):
        defend(own, PixelDiscretization(Codebook([[0, 0, 0], [1, 1, 1]])))
    with pytest.raises(InputError, match="Darken cannot live in the module"):
        defend(own, Darken())
    inside = defend(own, ColorDepthReduction(4))
    with pytest.raises(InputError, match="keep placement='module'"):
        defend(inside, ColorDepthReduction(2), placement="preprocessor")


def test_a_surrogate_can_be_changed_beside_foreign_defences(net, x):
    made = defend(art_classifier(net, preprocessing_defences=[Darken()]), ColorDepthReduction(4))
    other = made.with_surrogate("soft:3")
    assert [type(d) for d in other.defences] == [Darken, ColorDepthReduction]
    assert np.array_equal(other.predict(x), made.predict(x))
    y = np.eye(5, dtype=np.float32)[np.arange(10) % 5]
    assert not np.allclose(other.loss_gradient(x, y), made.loss_gradient(x, y))


def test_a_built_classifier_can_be_defended_again(net, x):
    built = build_classifier(net, input_shape=(1, 8, 8), nb_classes=5, clip_values=(0, 255))
    made = defend(built, [InputBitDepth(2), ColorDepthReduction(2)])
    assert [type(d) for d in made.defences] == [InputBitDepth, ColorDepthReduction]
    assert not built.defences
