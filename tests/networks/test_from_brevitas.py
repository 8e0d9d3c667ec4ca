"""Binary networks of Brevitas beside what is made of them."""

import copy
import sys

import numpy as np
import pytest
import torch
from art.attacks.evasion import FastGradientMethod
from torch import nn

import art_disc as ad
from art_disc.core.errors import InputError, MissingExtraError
from art_disc.networks import (
    BinarizedConv2d,
    BinarizedLinear,
    SignActivation,
    fcn2,
    from_brevitas,
    load_weights,
    save_weights,
)
from tests.networks.products import Products, values


def test_without_brevitas_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "brevitas", None)
    with pytest.raises(MissingExtraError, match=r"art-disc\[brevitas\]"):
        from_brevitas(nn.Linear(2, 2))


def test_an_activation_is_a_scaled_sign_with_the_gradient_of_its_estimator():
    x = torch.tensor([-1.0, -0.25, -0.0, 0.4, 0.75], requires_grad=True)
    made = SignActivation(0.5)(x)
    assert made.tolist() == [-0.5, -0.5, 0.5, 0.5, 0.5]
    made.sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 1, 0]
    assert repr(SignActivation(0.5)) != repr(SignActivation(0.5, estimator="identity"))
    for options in ({"scale": 0.0}, {"estimator": "tanh"}):
        with pytest.raises(InputError):
            SignActivation(**options)


@pytest.fixture
def theirs():
    return pytest.importorskip("brevitas.nn", reason="the extra brevitas is missing")


def network(theirs, seed=0, shape=(1, 8, 8), **more):
    from brevitas.quant import SignedBinaryActPerTensorConst, SignedBinaryWeightPerTensorConst

    weights, act = SignedBinaryWeightPerTensorConst, SignedBinaryActPerTensorConst
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(
            theirs.QuantConv2d(shape[0], 8, 3, stride=2, padding=1, weight_quant=weights),
            nn.BatchNorm2d(8),
            theirs.QuantIdentity(act_quant=act),
            nn.Flatten(),
            theirs.QuantLinear(128, 32, bias=False, weight_quant=weights, **more),
            nn.BatchNorm1d(32),
            theirs.QuantIdentity(act_quant=act),
            theirs.QuantLinear(32, 10, bias=True, weight_quant=weights, weight_scaling_const=1.0),
        )
        net(torch.rand(64, *shape))
    return net.eval()


def test_logits_and_gradients_are_those_of_brevitas(theirs):
    net = network(theirs)
    before = copy.deepcopy(net.state_dict())
    made = from_brevitas(net)
    assert all(torch.equal(before[name], t) for name, t in net.state_dict().items())
    x = torch.rand(32, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    scores, gradients = [], []
    for one in (net, made):
        given = x.clone().requires_grad_()
        scores.append(one(given))
        nn.functional.cross_entropy(scores[-1], torch.arange(32) % 10).backward()
        gradients.append(given.grad)
    assert torch.allclose(*scores, atol=1e-5)
    assert gradients[0].abs().max() > 0
    assert torch.allclose(*gradients, atol=1e-6)
    kinds = [BinarizedConv2d, SignActivation, BinarizedLinear, SignActivation, BinarizedLinear]
    assert [type(one) for one in made if type(one) in kinds] == kinds
    with Products() as seen:
        made(x)
    assert [values(weight) for _, weight in seen.found] == 3 * [{-1, 1}]
    assert [values(given) for given, _ in seen.found[1:]] == 2 * [{-1, 1}]


def test_it_is_attacked_and_saved_like_any_binarised_network(theirs, digits, tmp_path):
    made = from_brevitas(network(theirs))
    classifier = ad.build_classifier(made, data=digits)
    x, y = digits.x_test[:50], digits.y_test[:50]
    found = {
        word: classifier.with_surrogate(word).loss_gradient(x, y).tobytes()
        for word in ("ste_identity", "ste_hard_tanh:2", "ste_polynomial")
    }
    assert len(set(found.values())) == 3
    labels = classifier.predict(x)
    moved = FastGradientMethod(classifier, eps=0.3).generate(x, labels.argmax(axis=1))
    assert (classifier.predict(moved).argmax(axis=1) != labels.argmax(axis=1)).mean() > 0.2
    again = from_brevitas(network(theirs, seed=1))
    load_weights(again, save_weights(made, tmp_path / "w.npz", signs="bits"))
    assert np.array_equal(ad.build_classifier(again, data=digits).predict(x), labels)
    with pytest.raises(InputError, match="cannot be trained"):
        made.train()(torch.rand(4, 1, 8, 8))


def test_modules_of_more_bits_stay(theirs):
    net = nn.Sequential(theirs.QuantIdentity(return_quant_tensor=True), network(theirs)).eval()
    made = from_brevitas(net)
    assert type(made[0]) is theirs.QuantIdentity
    x = torch.rand(16, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(made(x), net(x), atol=1e-5)
    assert net[0].return_quant_tensor


def test_what_has_no_counterpart_is_refused(theirs):
    from brevitas.quant import Int8ActPerTensorFloat

    with pytest.raises(InputError, match="the weights alone may be quantised, got output"):
        from_brevitas(network(theirs, output_quant=Int8ActPerTensorFloat))
    for net in (fcn2((1, 4, 4), widths=(4,)), theirs.QuantLinear(2, 2)):
        with pytest.raises(InputError, match="of one bit"):
            from_brevitas(net)
