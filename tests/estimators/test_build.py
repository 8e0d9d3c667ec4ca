import numpy as np
import pytest
import torch
from art.attacks.evasion import AutoProjectedGradientDescent
from art.estimators.classification import PyTorchClassifier

from art_disc import DefendedClassifier, build_classifier
from art_disc.codebooks import Codebook, DensityCodebook
from art_disc.core.errors import InputError, NotFittedError
from art_disc.core.seeds import global_seeds
from art_disc.defences import (
    DEFENCES,
    CodebookMap,
    CodebookPreprocessor,
    ColorDepthReduction,
    InputBitDepth,
    PixelDiscretization,
)
from art_disc.networks import DigitsNet

BOOKS = [name for name, row in DEFENCES.items() if issubclass(row.kind, CodebookPreprocessor)]
SHAPE = {"input_shape": (1, 8, 8), "nb_classes": 10}


@pytest.fixture(scope="module")
def x(digits):
    return digits.x_test[:30].copy()


@pytest.fixture(scope="module")
def y(digits):
    return np.eye(10, dtype=np.float32)[digits.y_test[:30]]


@pytest.fixture(params=["module", "preprocessor"])
def placement(request):
    return request.param


@pytest.mark.parametrize("name", BOOKS)
def test_both_placements_give_the_network_behind_the_defence(digits, digits_net, x, y, name):
    made = [
        build_classifier(
            digits_net, data=digits, defences=[DEFENCES[name].make(surrogate="soft:5")], placement=p
        )
        for p in ("module", "preprocessor")
    ]
    assert [c.placement for c in made] == ["module", "preprocessor"]
    with torch.no_grad():
        expected = digits_net(torch.tensor(made[0].defences[0](x)[0])).numpy()
    for classifier in made:
        assert np.allclose(classifier.predict(x), expected, atol=1e-5)
    for ask in (lambda c: c.loss_gradient(x, y), lambda c: c.class_gradient(x, label=2)):
        a, b = map(ask, made)
        assert np.allclose(a, b, rtol=1e-4, atol=1e-6)
        assert np.abs(a).max() > 0
    assert not np.allclose(made[0].predict(x), made[0].base.predict(x), atol=0.1)


def test_another_surrogate_changes_gradients_alone(digits, digits_net, x, y, placement):
    options = {"defences": [ColorDepthReduction(5, "soft:5")], "placement": placement}
    classifier = build_classifier(digits_net, data=digits, **options)
    gradient = classifier.loss_gradient(x, y)
    other = classifier.with_surrogate("identity")
    assert other.placement == placement
    assert np.array_equal(other.predict(x), classifier.predict(x))
    # the identity's gradient is the network's own at the discretised image
    expected = classifier.base.loss_gradient(classifier.defences[0](x)[0], y)
    assert np.allclose(other.loss_gradient(x, y), expected, rtol=1e-4, atol=1e-7)
    assert not np.allclose(gradient, expected, rtol=0.1)
    assert np.array_equal(classifier.loss_gradient(x, y), gradient)


def test_the_base_and_other_defences_share_the_network(digits, digits_net, x, placement):
    options = {"defences": [InputBitDepth(1)], "placement": placement}
    classifier = build_classifier(digits_net, data=digits, **options)
    assert classifier.base_network is digits_net
    with torch.no_grad():
        plain = digits_net(torch.tensor(x)).numpy()
    assert not classifier.base.defences
    assert np.allclose(classifier.base.predict(x), plain, atol=1e-5)
    pair = [ColorDepthReduction(3), PixelDiscretization(Codebook([0.1, 0.6]))]
    other = classifier.with_defences(pair, placement=placement)
    assert [type(d) for d in other.defences] == [type(d) for d in pair]
    assert len(classifier.defences) == 1
    # in order: three levels first, then the nearest of two codewords
    with torch.no_grad():
        expected = digits_net(torch.tensor(pair[1](pair[0](x)[0])[0])).numpy()
        reverse = digits_net(torch.tensor(pair[0](pair[1](x)[0])[0])).numpy()
    assert np.allclose(other.predict(x), expected, atol=1e-5)
    assert not np.allclose(expected, reverse, atol=0.1)


@pytest.mark.parametrize("mean_std", [(0.3, 0.5), ([0.2, 0.3, 0.4], [0.5, 0.6, 0.7])])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("upper", [1.0, 255.0])
def test_standardisation_comes_between_defence_and_network(mean_std, first, upper, placement):
    rng = np.random.default_rng(0)
    shape = (3, 4, 5) if first else (4, 5, 3)
    x = (rng.random((6, *shape)) * upper).astype(np.float32)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(60, 4))
    mean, std = (np.asarray(v) * upper for v in mean_std)
    classifier = build_classifier(
        net,
        input_shape=shape,
        nb_classes=4,
        defences=[InputBitDepth(2)],
        clip_values=(0, upper),
        channels_first=first,
        preprocessing=(mean, std),
        placement=placement,
    )
    if first and mean.ndim:
        mean, std = mean[:, None, None], std[:, None, None]
    width = 64 * upper / 255
    cells = np.minimum(np.floor(x / width), 3) * width + width / 2
    with torch.no_grad():
        expected = net(torch.tensor(((cells - mean) / std).astype(np.float32))).numpy()
        plain = net(torch.tensor(((x - mean) / std).astype(np.float32))).numpy()
    assert np.allclose(classifier.predict(x), expected, atol=1e-4)
    assert np.allclose(classifier.base.predict(x), plain, atol=1e-4)


class Sum(torch.nn.Module):
    """Two logits that are zero for a black image alone."""

    def forward(self, x):
        total = x.flatten(1).sum(dim=1)
        return torch.stack([total, -total], dim=1)


def test_bytes_are_read_as_fractions_of_255(digits, digits_net):
    data = digits.x_test[:20]
    levels = np.rint(255 * data).astype(np.uint8)
    before = levels.copy()
    for upper in (1.0, 255.0):
        classifier = build_classifier(
            digits_net, **SHAPE, defences=[ColorDepthReduction(4)], clip_values=(0, upper)
        )
        floats = levels.astype(np.float32) / np.float32(255) * np.float32(upper)
        assert np.allclose(classifier.predict(levels), classifier.predict(floats), atol=1e-4)
        # level 3 lies midway between the codewords 0 and 6: a tie, which goes to the first
        tied = PixelDiscretization(Codebook(np.array([[0.0], [6 / 255]], dtype=np.float32)))
        exact = build_classifier(
            Sum(), input_shape=(1, 2, 2), nb_classes=2, defences=[tied], clip_values=(0, upper)
        )
        assert (exact.predict(np.full((1, 1, 2, 2), 3, dtype=np.uint8)) == 0).all()
    assert np.array_equal(levels, before)


def test_any_float_precision_runs_and_nothing_is_written_to(digits_net, x, y, placement):
    defences = [ColorDepthReduction(4)]
    classifier = build_classifier(digits_net, **SHAPE, defences=defences, placement=placement)
    asks = (
        classifier.predict,
        lambda v: classifier.loss_gradient(v, y),
        classifier.class_gradient,
    )
    for ask in asks:
        expected = ask(x)
        for dtype in (np.float64, np.float32):
            given = x.astype(dtype)
            assert np.allclose(ask(given), expected, rtol=1e-4, atol=1e-6)
            assert np.array_equal(given, x)
            assert given.dtype == dtype


@pytest.mark.parametrize("defences", [(), (ColorDepthReduction(4),)])
def test_a_classifier_says_no_to_integers(digits_net, x, defences):
    classifier = build_classifier(digits_net, **SHAPE, defences=defences)
    with pytest.raises(InputError, match=r"got int64"):
        classifier.predict(x.astype(np.int64))


def test_data_fit_an_unfitted_defence(digits, digits_net, x):
    defence = PixelDiscretization(DensityCodebook(3, 0.2))
    with pytest.raises(NotFittedError, match=r"call fit\(x_train\) first"):
        build_classifier(digits_net, **SHAPE, defences=[defence])
    classifier = build_classifier(digits_net, data=digits, defences=[defence])
    expected = DensityCodebook(3, 0.2).fit(digits.x_train).codewords_
    assert np.array_equal(classifier.defences[0].codebook.codewords_, expected)
    assert (classifier.input_shape, classifier.nb_classes) == ((1, 8, 8), 10)
    # a fitted one keeps what it has
    own = PixelDiscretization(Codebook([0.3, 0.4]))
    kept = build_classifier(digits_net, data=digits, defences=[own])
    assert set(np.unique(kept.defences[0](x)[0])) == {np.float32(0.3), np.float32(0.4)}


def test_the_network_is_evaluated_not_trained():
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.5), torch.nn.Linear(64, 10))
    assert net.training
    classifier = build_classifier(net, **SHAPE)
    x = np.full((1, 1, 8, 8), 0.5, dtype=np.float32)
    assert np.array_equal(classifier.predict(x), classifier.predict(x))
    assert not net.training


def flat(classes=10):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, classes))


class Broken(torch.nn.Module):
    def forward(self, x):
        return torch.full((len(x), 10), torch.nan)


ART = PyTorchClassifier(
    flat(), torch.nn.CrossEntropyLoss(), (1, 8, 8), 10, clip_values=(0, 1), device_type="cpu"
)


@pytest.mark.parametrize(
    ("model", "options", "text"),
    [
        (flat(9), SHAPE, r"finite logits of shape \(n, 10\), got \(2, 9\)"),
        (Broken(), SHAPE, "finite logits"),
        (torch.nn.Sequential(flat(), torch.nn.Softmax(1)), SHAPE, "got probabilities"),
        (flat(), {**SHAPE, "input_shape": (1, 9, 8)}, "the network fails on images of shape"),
        (flat(), {**SHAPE, "input_shape": (8, 8)}, "three axes"),
        (flat(), {**SHAPE, "nb_classes": 1}, "at least 2 classes"),
        (flat(), {}, "give data=..., or input_shape="),
        (flat(), {"input_shape": (1, 8, 8)}, "give data="),
        (len, SHAPE, "model must be a torch module, got builtin_function_or_method"),
        (ART, SHAPE, "got PyTorchClassifier; use defend"),
        (flat(), {**SHAPE, "clip_values": (-1, 1)}, r"clip_values must be \(0, 1\)"),
        (flat(), {**SHAPE, "placement": "both"}, "placement must be 'module' or 'preprocessor'"),
        (
            flat(),
            {**SHAPE, "defences": [PixelDiscretization(Codebook([[0, 0, 0], [1, 1, 1]]))]},
            r"expected pixels of 3 channel\(s\), got 1",
        ),
        (flat(), {**SHAPE, "defences": [abs]}, "must be preprocessors, .* got builtin"),
    ],
)
def test_what_does_not_fit_is_refused_when_it_is_built(model, options, text):
    with pytest.raises(InputError, match=text):
        build_classifier(model, **options)


class ZeroMap(CodebookMap):
    """The exact map with no gradient to speak of."""

    def forward(self, x):
        with torch.no_grad():
            hard = super().forward(x)
        return hard + 0 * x


class PlantedZero(PixelDiscretization):
    def _make_map(self):
        return ZeroMap(self.codebook, self.surrogate)


@pytest.mark.parametrize("loss", ["cross_entropy", "difference_logits_ratio", None])
def test_apgd_that_rebuilds_the_classifier_still_sees_the_surrogate(digits, digits_net, loss):
    x, y = digits.x_test[:40], digits.y_test[:40]

    def accuracy(defence):
        classifier = build_classifier(digits_net, data=digits, defences=[defence])
        attack = AutoProjectedGradientDescent(
            classifier,
            eps=0.3,
            eps_step=0.3,
            max_iter=8,
            nb_random_init=1,
            batch_size=64,
            loss_type=loss,
            verbose=False,
        )
        with global_seeds(0):
            adversarial = attack.generate(x, y)
        return np.mean(classifier.predict(adversarial).argmax(axis=1) == y)

    book = Codebook(np.linspace(0, 1, 5))
    assert accuracy(PixelDiscretization(book)) < accuracy(PlantedZero(book)) - 0.3


def test_the_classifier_lives_where_the_model_does(digits_net):
    classifier = build_classifier(digits_net, **SHAPE, defences=[ColorDepthReduction(4)])
    assert isinstance(classifier, DefendedClassifier)
    assert classifier.device == next(digits_net.parameters()).device
    assert {t.device.type for t in classifier.model.buffers()} == {"cpu"}
    meta = DigitsNet().to("meta")
    with pytest.raises(InputError, match="ART runs on cpu or cuda, got meta"):
        build_classifier(meta, **SHAPE)
    split = DigitsNet()
    split.head.to("meta")
    with pytest.raises(InputError, match="must be on one device"):
        build_classifier(split, **SHAPE)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_on_a_gpu_everything_is_there_and_agrees(x, y):
    torch.manual_seed(0)
    net = DigitsNet()
    made = []
    for device in ("cpu", "cuda"):
        own = DigitsNet()
        own.load_state_dict(net.state_dict())
        made.append(build_classifier(own.to(device), **SHAPE, defences=[ColorDepthReduction(4)]))
    assert made[1].device.type == "cuda"
    assert np.allclose(made[0].predict(x), made[1].predict(x), atol=1e-4)
    assert np.allclose(made[0].loss_gradient(x, y), made[1].loss_gradient(x, y), atol=1e-4)
