"""Exact arithmetic: no tolerance, and verdicts of the rounded classifier that predicts."""

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_disc.bounds import RoundedNetwork
from art_disc.certificates.complete import branch
from art_disc.certificates.target import find_target
from art_disc.codebooks import Codebook
from art_disc.core.errors import CertificateError, InputError
from art_disc.defences import PixelDiscretization
from art_disc.estimators import build_classifier, defend
from art_disc.metrics import certify, rounded_classifier
from art_disc.networks import ResNet32
from tests.certificates.test_complete import case


@pytest.mark.parametrize("kind", ["residual", "average_pool", "hard_tanh", "constants"])
def test_verdicts_are_those_of_enumeration_of_the_rounded_classifier(
    monkeypatch, assert_witnesses, kind
):
    monkeypatch.setattr(branch, "LEAF", 1)
    seen = set()
    for seed in range(3):
        classifier, x, eps = case(kind, seed)
        short = rounded_classifier(classifier, bits=6)
        labels = short.predict(x).argmax(axis=1)
        options = {"eps": eps, "verbose": False}
        exact = certify(short, x, labels, **options)
        found = certify(short, x, labels, method="complete", **options)
        bounded = certify(short, x, labels, method="bounds", **options)
        assert found.verdicts == exact.verdicts
        assert found.classifier is short
        assert_witnesses(found, short, x, labels, eps)
        proved = np.array(bounded.verdicts) == "certified"
        assert (np.array(exact.verdicts)[proved] == "certified").all()
        for certificate in (exact, found, bounded):
            assert certificate.record.settings["arithmetic"] == "exact"
            assert "tolerance" not in certificate.record.assumes
        seen |= set(found.verdicts)
    assert {"certified", "falsified"} <= seen


def line(slope, at):
    """Class 1 where the codeword of the one pixel exceeds `at`."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(1, 2))
    net[1].weight.data = torch.tensor([[0.0], [slope]])
    net[1].bias.data = torch.tensor([0.0, -slope * at])
    return build_classifier(
        net,
        input_shape=(1, 1, 1),
        nb_classes=2,
        defences=[PixelDiscretization(Codebook([0.0, 1.0]))],
    )


@pytest.mark.parametrize("method", ["enumeration", "bounds", "complete"])
def test_the_least_margin_counts_and_a_tie_does_not(method):
    x = np.full((1, 1, 1, 1), 0.45, np.float32)
    options = {"eps": 0.1, "method": method, "verbose": False}
    assert rounded_classifier(line(1.0, 1.0)).base_network.bits == 10
    tiny = rounded_classifier(line(2.0**-24, 2.0), bits=24)
    assert certify(tiny, x, [0], **options).verdicts == ("certified",)
    assert certify(line(2.0**-24, 2.0), x, [0], **options).verdicts == ("undecided",)
    equal = certify(line(1.0, 1.0), x, [0], arithmetic="exact", **options)
    assert equal.verdicts == ("undecided",)
    # where the scores are equal, predict says 0; asked for 1, that is no success of the attack
    assert certify(rounded_classifier(line(1.0, 1.0)), x, [0], **options).verdicts == ("undecided",)
    over = certify(line(1.0, 1 - 2.0**-8), x, [0], arithmetic="exact", **options)
    assert over.verdicts == (("undecided",) if method == "bounds" else ("falsified",))


def test_predictions_do_not_depend_on_batches_and_keep_the_image():
    classifier, x, _ = case("convolution", 0)
    short = rounded_classifier(classifier, bits=8)
    assert rounded_classifier(short) is short
    before = x.copy()
    whole = short.predict(x)
    assert np.array_equal(x, before)
    for batch_size in (1, 5):
        assert np.array_equal(short.predict(x, batch_size=batch_size), whole)
    assert (whole.max(axis=1) == 0).all()
    close = classifier.predict(x) - classifier.predict(x).max(axis=1, keepdims=True)
    assert np.abs(whole - close).max() < 0.3


@pytest.mark.parametrize("option", ["upper", "channels_last"])
def test_range_and_layout_are_kept(tiny, option):
    options = {"upper": {"upper": 255.0}, "channels_last": {"channels_first": False}}[option]
    shape = (2, 3, 1) if option == "channels_last" else (1, 2, 3)
    classifier = tiny(Codebook([0.0, 253 / 255]), shape, seed=4, **options)
    x = np.random.default_rng(0).random((20, *shape), dtype=np.float32)
    x, eps = (255 * x, 51.0) if option == "upper" else (x, 0.2)
    short = rounded_classifier(classifier)
    found = certify(short, x, eps=eps, method="complete", verbose=False)
    assert found.verdicts == certify(short, x, eps=eps, verbose=False).verdicts
    assert len(set(found.verdicts)) == 2


def test_a_network_too_deep_for_float64_and_an_unknown_arithmetic_are_refused():
    net = ResNet32((1, 8, 8), 3, depth=20, width=2).eval()
    classifier = build_classifier(
        net,
        input_shape=(1, 8, 8),
        nb_classes=3,
        defences=[PixelDiscretization(Codebook([0.2, 0.8]))],
    )
    x = np.full((1, 1, 8, 8), 0.1, np.float32)
    options = {"eps": 0.01, "method": "complete", "verbose": False}
    with pytest.raises(CertificateError, match=r"needs \d+ bits.*use fewer bits than 4"):
        certify(classifier, x, arithmetic="exact", **options)
    with pytest.raises(InputError, match="arithmetic must be one of"):
        certify(classifier, x, arithmetic="fuzzy", **options)


@pytest.mark.parametrize("bits", [-1, 0, 53, 2.5, True])
def test_bits_are_a_whole_number_that_float64_has(bits):
    with pytest.raises(InputError, match="bits must be a whole number from 1 to 52"):
        rounded_classifier(line(1.0, 1.0), bits=bits)


def weighted(*rows):
    net = nn.Sequential(nn.Flatten(), nn.Linear(len(rows[0]), 2))
    net[1].weight.data, net[1].bias.data = torch.tensor(rows), torch.zeros(2)
    return net


def behind(net, *codewords):
    return build_classifier(
        net,
        input_shape=(1, 1, 3),
        nb_classes=2,
        defences=[PixelDiscretization(Codebook(list(codewords)))],
    )


def refused(classifier, words):
    x = np.full((1, 1, 1, 3), 0.9, np.float32)
    for arithmetic in ("float", "exact"):
        with pytest.raises(CertificateError, match=words):
            certify(classifier, x, [0], eps=0.1, method="complete", arithmetic=arithmetic)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([2.0**60, 1.0, -(2.0**60)], "exact sums in float64 have 52"),
        ([1 / 3, 1.0, 1.0], "must be multiples of 2\\^-10"),
        ([np.inf, 1.0, 1.0], "must be multiples of 2\\^-10"),
    ],
)
def test_numbers_that_were_loaded_later_are_checked(values, words):
    """A state dict is copied into the very numbers that were checked."""
    short = rounded_classifier(behind(weighted([0.0, 0.5, 0.0], [1.0, 1.0, 1.0]), 0.0, 1.0))
    state = {name: value.clone() for name, value in short.model.state_dict().items()}
    name = next(name for name, value in state.items() if value.ndim == 2)
    state[name][1] = torch.tensor(values, dtype=torch.float64)
    short.model.load_state_dict(state)
    refused(short, words)


def test_factors_of_inputs_that_were_loaded_later_are_checked():
    short = rounded_classifier(behind(weighted([0.0, 0.5, 0.0], [1.0, 1.0, 1.0]), 0.0, 1.0))
    short.base_network.factor.neg_()
    refused(short, "factors of inputs positive")


def test_another_codebook_is_another_range_of_inputs():
    """Sums that are exact for codewords up to 2^-20 are not for those up to 1."""
    q = 2.0**-20
    short = rounded_classifier(
        behind(weighted([0.0, 2 * q, 0.0], [2.0**29, 3 * q, -(2.0**29)]), 0.0, q), bits=20
    )
    x = np.zeros((1, 1, 1, 3), np.float32)
    assert certify(short, x, [0], eps=0.0, method="complete", verbose=False).verdicts
    refused(
        short.with_defences([PixelDiscretization(Codebook([0.0, 2.0**-10, 1.0]))]),
        "exact sums in float64 have 52",
    )


def test_a_rounded_network_is_exact_on_images_of_codewords_alone():
    short = rounded_classifier(behind(weighted([0.0, 0.5, 0.0], [1.0, 1.0, 1.0]), 0.0, 1.0))
    assert find_target(short).arithmetic == "exact"
    # sums are checked for what the codebook makes, and not for what is made of that
    first, network = PixelDiscretization(Codebook([0.0, 1.0])), short.base_network
    then = short.with_defences([first, PixelDiscretization(Codebook([0.1, 0.7]))])
    assert find_target(then).arithmetic == "float"
    plain = PyTorchClassifier(
        network, loss=nn.CrossEntropyLoss(), input_shape=(1, 1, 3), nb_classes=2,
        clip_values=(0.0, 1.0), preprocessing=(0.3, 0.7), device_type="cpu",
    )  # fmt: skip
    assert find_target(defend(plain, [first])).arithmetic == "float"


class Derived(RoundedNetwork):
    """May compute anything."""


def test_a_class_derived_from_the_rounded_network_is_none():
    short = rounded_classifier(behind(weighted([0.0, 0.5, 0.0], [1.0, 1.0, 1.0]), 0.0, 1.0))
    short.base_network.__class__ = Derived
    refused(short, "Derived may compute something else than a RoundedNetwork")


def test_a_method_of_the_rounded_network_that_was_exchanged_is_refused():
    short = rounded_classifier(behind(weighted([0.0, 0.5, 0.0], [1.0, 1.0, 1.0]), 0.0, 1.0))
    vars(short.base_network)["entry"] = short.base_network.entry
    refused(short, "entry of this RoundedNetwork was exchanged")
