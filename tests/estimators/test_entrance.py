"""What an ART classifier's own methods make of what their user may have meant otherwise."""

import copy
import warnings

import numpy as np
import pytest
import torch
from art.attacks.evasion import (
    FastGradientMethod,
    HopSkipJump,
    NewtonFool,
    ProjectedGradientDescent,
    SquareAttack,
    ZooAttack,
)
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_disc import (
    BitDepthCodebook,
    Codebook,
    ColorDepthReduction,
    GaussianNoise,
    PixelDiscretization,
    RandDisc,
    build_classifier,
    defend,
)
from art_disc.core.errors import InputError, InputWarning
from art_disc.trials.ledger import Ledger

SHAPE = {"input_shape": (1, 8, 8), "nb_classes": 10}


@pytest.fixture
def x(digits):
    return digits.x_test[:6]


def plain(net, *, upper=1.0, **options):
    return PyTorchClassifier(
        net,
        loss=nn.CrossEntropyLoss(),
        clip_values=(0, upper),
        preprocessing=None,
        device_type="cpu",
        **SHAPE,
        **options,
    )


def asked(classifier, x):
    y = np.zeros(len(x), dtype=int)
    return {
        "predict": lambda: classifier.predict(x),
        "loss_gradient": lambda: classifier.loss_gradient(x, y),
        "class_gradient": lambda: classifier.class_gradient(x, 0),
        "compute_loss": lambda: classifier.compute_loss(x, y),
        "get_activations": lambda: classifier.get_activations(x, -1, 8),
    }


METHODS = sorted(asked(None, []))
MISREAD = {
    "levels as floats": (1.0, lambda x: np.rint(255 * x), "divide by 255.*clip_values"),
    "levels that were resized": (1.0, lambda x: 254.7 * x + 0.1, "divide images of 0..255 by 255"),
    "standardised": (1.0, lambda x: (x - 0.5) / 0.1, r"preprocessing=\(mean, std\)"),
    "a unit range": (255.0, lambda x: x, r"looks like \[0, 1\]; multiply by 255"),
}


@pytest.mark.parametrize("what", MISREAD)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("defences", [(), (ColorDepthReduction(4),), (GaussianNoise(0.1),)])
def test_images_of_another_range_are_warned_about_once(digits_net, x, method, what, defences):
    upper, change, text = MISREAD[what]
    options = {"clip_values": (0, upper), "defences": defences}
    # ART leaves hooks in a network whose activations it was asked for
    classifier = build_classifier(copy.deepcopy(digits_net), **SHAPE, **options)
    ask = asked(classifier, change(x).astype(np.float32))[method]
    with pytest.warns(InputWarning, match=rf"expected images in \[0, {upper:g}\], got.*{text}"):
        ask()
    ask()


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x,
        lambda x: 1 - x,
        lambda x: x + 0.9,
        lambda x: x - 0.9,
        lambda x: np.where(x > 0.9, np.nan, x),
        lambda x: np.where(x > 0.9, np.inf, x),
        lambda x: np.full_like(x, np.nan),
        np.zeros_like,
        lambda x: np.rint(x) * 2,
    ],
)
def test_what_attacks_ask_on_their_way_is_no_mistake(digits_net, x, change):
    build_classifier(digits_net, **SHAPE).predict(change(x).astype(np.float32))
    far = x.copy()
    far[:, :, 0, :3] = 40
    build_classifier(digits_net, **SHAPE).predict(far)


@pytest.mark.parametrize(
    "make",
    [
        lambda c: FastGradientMethod(c, eps=0.9),
        lambda c: ProjectedGradientDescent(c, eps=0.3, eps_step=0.1, max_iter=3, verbose=False),
        lambda c: SquareAttack(c, eps=0.3, max_iter=5, verbose=False),
        lambda c: ZooAttack(c, max_iter=3, use_resize=False, nb_parallel=4, verbose=False),
        lambda c: NewtonFool(c, max_iter=3, verbose=False),
        lambda c: HopSkipJump(c, max_iter=1, max_eval=20, init_eval=5, verbose=False),
    ],
)
def test_attacks_run_without_a_warning(digits_net, digits, make):
    classifier = build_classifier(digits_net, **SHAPE, defences=[ColorDepthReduction(4)])
    x, y = digits.x_test[:2], digits.y_test[:2]
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        make(classifier).generate(x, np.eye(10, dtype=np.float32)[y])


def test_a_defence_of_another_range_in_arts_list_warns_once(digits_net, x):
    defence = PixelDiscretization(Codebook([[0.1], [0.8]]))
    classifier = plain(digits_net, upper=255.0, preprocessing_defences=[defence])
    with pytest.warns(InputWarning, match="PixelDiscretization: expected.*divide by 255"):
        classifier.predict(np.rint(255 * x))
    classifier.predict(np.rint(255 * x))
    wide = PixelDiscretization(Codebook([[0.1], [0.8]]), clip_values=(0, 255))
    with pytest.warns(InputWarning, match="multiply by 255"):
        plain(digits_net, preprocessing_defences=[wide]).predict(x)
    with pytest.raises(InputError, match=r"is for images of \(0.*the classifier takes \(0, 255\)"):
        defend(classifier, ColorDepthReduction(4))


def test_a_defence_that_draws_in_arts_list_says_what_to_use(digits_net, x):
    classifier = plain(digits_net, preprocessing_defences=[RandDisc(2)])
    with pytest.warns(InputWarning, match=r"RandDisc draws.*build_classifier\(model"):
        classifier.predict(x)
    classifier.predict(x)
    # a frozen one is a function, and to call one by itself is to ask for a draw
    plain(digits_net, preprocessing_defences=[RandDisc(2).frozen(0)]).predict(x)
    assert RandDisc(2)(x)[0].shape == x.shape


def test_tensors_and_arrays_are_read_alike(digits_net, x):
    classifier = build_classifier(digits_net, **SHAPE, defences=[GaussianNoise(0.1)]).frozen(0)
    y = np.array([1, 2, 3, 4, 5, 6])
    expected = classifier.loss_gradient(x, np.eye(10, dtype=np.float32)[y])
    assert np.abs(expected).max() > 0
    levels = torch.tensor(np.rint(255 * x).astype(np.uint8))
    for images, labels in (
        (torch.tensor(x), torch.tensor(y)),
        (levels, torch.eye(10)[y]),
        (levels, torch.tensor(y)),
    ):
        found = classifier.loss_gradient(images, labels)
        assert isinstance(found, torch.Tensor)
        assert np.allclose(found.numpy(), expected, atol=1e-7)


def test_soft_labels_and_ties_are_weights_of_the_loss(digits_net, x):
    classifier = build_classifier(digits_net, **SHAPE)
    y = np.full((6, 10), 0.1, dtype=np.float32)
    leaf = torch.tensor(x, requires_grad=True)
    nn.CrossEntropyLoss()(digits_net(leaf), torch.tensor(y)).backward()
    assert np.allclose(classifier.loss_gradient(x, y), leaf.grad.numpy(), atol=1e-7)
    # two classes that tie, as ART's attacks make of equal scores
    two = np.eye(10, dtype=np.float32)[[0] * 6] + np.eye(10, dtype=np.float32)[[3] * 6]
    assert np.isfinite(classifier.loss_gradient(x, two)).all()


@pytest.mark.parametrize("label", [-1, np.array([0, 1, 2, 3, 4, -1])])
def test_a_negative_class_is_refused(digits_net, x, label):
    with pytest.raises(InputError, match=r"label must lie in 0\.\.9, got -1"):
        build_classifier(digits_net, **SHAPE).class_gradient(x, label)


@pytest.mark.parametrize("labels", ["numbers", "one-hot"])
def test_fit_takes_both_kinds_of_labels_and_bytes(x, labels):
    y = np.array([1, 2, 3, 4, 5, 6])
    weights = []
    for images, given in (
        (x, np.eye(10, dtype=np.float32)[y]),
        (np.rint(255 * x).astype(np.uint8), y if labels == "numbers" else np.eye(10)[y]),
    ):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        classifier = build_classifier(net, **SHAPE, optimizer=optimizer)
        classifier.fit(images, given, nb_epochs=1, batch_size=6)
        weights.append(net[1].weight.detach().numpy().copy())
    assert np.allclose(*weights, atol=1e-6)
    with pytest.raises(InputError, match="y must"):
        classifier.fit(x, y + 6)


@pytest.mark.parametrize("defences", [(), (PixelDiscretization(Codebook([[0.1] * 3, [0.9] * 3])),)])
@pytest.mark.parametrize("channels_first", [True, False])
def test_a_shape_the_wrong_way_round_is_named_when_a_classifier_is_built(defences, channels_first):
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.LazyLinear(4))
    net(torch.zeros(1, 3, 8, 8))

    class Moved(nn.Module):
        def forward(self, x):
            return net(x if channels_first else x.movedim(-1, 1))

    shape = (8, 8, 3) if channels_first else (3, 8, 8)
    with pytest.raises(InputError, match=rf"channels_first={not channels_first}"):
        build_classifier(
            Moved(),
            input_shape=shape,
            nb_classes=4,
            channels_first=channels_first,
            defences=defences,
        )


def test_a_defence_names_a_layout_that_is_the_wrong_way_round():
    image = np.zeros((2, 32, 32, 3), dtype=np.float32)
    book = Codebook([[0.1] * 3, [0.9] * 3])
    with pytest.raises(InputError, match=r"wrong way round; give channels_first=False.*-1, 1"):
        PixelDiscretization(book)(image)
    with pytest.raises(InputError, match=r"wrong way round; give channels_first=True.*1, -1"):
        PixelDiscretization(book, channels_first=False)(np.moveaxis(image, -1, 1))
    with pytest.raises(InputError, match="per_channel=True"):
        PixelDiscretization(book)(np.zeros((2, 5, 6, 7), dtype=np.float32))
    # codewords a channel do not mind
    assert PixelDiscretization(BitDepthCodebook(2))(image)[0].shape == image.shape


@pytest.mark.parametrize("labels", [[3, 1, 4, 1, 5, 9], [7] * 6])
def test_a_class_an_image_is_one_pass_backward_with_the_gradients_of_arts_many(
    digits_net, x, labels
):
    classifier, labels = build_classifier(digits_net, **SHAPE), np.array(labels)
    ledger = Ledger()
    with ledger.watching(classifier.base_network):
        ours = classifier.class_gradient(x, labels)
    assert ledger.gradients == len(x)
    arts = plain(digits_net).class_gradient(x, labels)
    assert ours.shape == arts.shape == (6, 1, 1, 8, 8)
    assert np.allclose(ours, arts, rtol=1e-4, atol=1e-6)
    assert np.abs(arts).max() > 0.01
    # nothing of it stays
    assert classifier.predict(x).shape == (6, 10)
    with pytest.raises(ValueError, match="out of range"):
        classifier.class_gradient(x, np.array([0, 1, 2, 3, 4, 10]))
    assert classifier.class_gradient(x).shape == (6, 10, 1, 8, 8)
