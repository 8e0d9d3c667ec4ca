"""Training by interval bounds on the code box: what it computes, and that it teaches."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

import art_disc as ad
from art_disc.bounds import boxes_of, live
from art_disc.bounds.graph import Graph
from art_disc.bounds.piecewise import Relu
from art_disc.certificates.complete import method
from art_disc.core.errors import CertificateError, InputError
from art_disc.estimators.module import BehindMaps
from art_disc.networks import CertifiedNet, ParametrisedRamp, ibp_initialised_
from art_disc.training import (
    Adversary,
    Certified,
    CodeAdversary,
    certified,
    ibp_accuracy,
    loop,
    train,
)
from art_disc.training.regularisers import relu_balance, tightness

EPS = 0.2
# what is asked of a network that was trained at EPS: the digits have few levels, and with a budget
# 1 % smaller two of them, 96 and 159, would no longer be free
ASKED = 0.124


def net_of(seed=0, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return ibp_initialised_(CertifiedNet((1, 8, 8), 10, size="small", **options))


@pytest.fixture(scope="module")
def defence(digits):
    return ad.PixelDiscretization(ad.DensityCodebook(n_codes=2, radius=0.6).fit(digits.x_train))


@pytest.fixture(scope="module")
def objective():
    return Certified(EPS, warm_up=0.1, ramp=0.5, tightness=0.5, relu_balance=0.5)


def taught(digits, defence, objective, **options):
    net = net_of()
    settings = {"epochs": 12, "learning_rate": 3e-3, "gradient_clip": 10.0, "verbose": False}
    settings |= {"population_statistics": True} | options
    result = train(net, digits, objective=objective, defences=[defence], **settings)
    return ad.build_classifier(net, data=digits, defences=[defence]), result


@pytest.fixture(scope="module")
def classifier(digits, defence, objective):
    return taught(digits, defence, objective)[0]


def certified_share(classifier, digits):
    x, y = digits.x_test[:200], digits.y_test[:200]
    options = {"eps": ASKED, "method": "bounds", "verbose": False}
    return ad.metrics.certify(classifier, x, y, **options).record.certified_accuracy


def test_250_steps_teach_what_a_certificate_proves(classifier, digits):
    share = certified_share(classifier, digits)
    assert share > 0.35
    # IBP alone is a part of what `bounds` proves
    x, y = torch.tensor(digits.x_test[:200]), torch.tensor(digits.y_test[:200])
    assert share >= ibp_accuracy(classifier.model, x, y, eps=ASKED) > 0.35


def test_without_the_robust_loss_nothing_is_proved(digits, defence, objective, monkeypatch):
    monkeypatch.setattr(certified, "worst_cross_entropy", lambda least: 0 * least.sum())
    plain = dataclasses.replace(objective, tightness=0.0, relu_balance=0.0)
    classifier, result = taught(digits, defence, plain)
    assert result.accuracy > 0.9
    assert certified_share(classifier, digits) < 0.05


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_its_bounds_are_those_of_the_certificate(classifier, digits, monkeypatch, dtype):
    """Bit for bit up to the order of sums in float64; in float32 within 1e-5 of the largest."""
    seen = []

    def noted(*args):
        found = bounds(*args)
        seen.append(found)
        return found

    bounds = method.root_bounds
    monkeypatch.setattr(method, "root_bounds", noted)
    certified_share(classifier, digits)
    expected = seen[0]
    assert len(expected) > 100
    index = list(expected)
    x, y = torch.tensor(digits.x_test[index]), torch.tensor(digits.y_test[index])
    module = certified.checked(classifier.model)
    with torch.no_grad():
        ends = [end.to(dtype) for end in certified.reached(module, x, ASKED)[:2]]
        network = BehindMaps(module).to(dtype)
        graph, _ = live(network, ends[0])
        least = certified.margins(graph, boxes_of(graph, *ends), y).amin(dim=1)
        network.to(torch.float32)
    found, right = least.double().numpy(), np.array(list(expected.values()))
    error = 1e-12 if dtype == torch.float64 else 1e-5
    assert np.abs(found - right).max() <= error * np.abs(right).max()


def test_the_loss_is_the_sum_that_it_says(classifier, digits):
    x, y = torch.tensor(digits.x_test[:20]), torch.tensor(digits.y_test[:20])
    module = certified.checked(classifier.model)
    objective = Certified(EPS, kappa=0.4, warm_up=0.2, ramp=0.4)

    def loss(progress):
        draws = torch.Generator()
        return float(objective(module, x, y, progress=progress, generator=draws).detach())

    with torch.no_grad():
        clean = nn.functional.cross_entropy(module(x), y)
        graph, _ = live(BehindMaps(module), certified.coded(module, x))
        for progress, weight in ((0.1, 0.0), (0.2, 0.0), (0.4, 0.3), (0.6, 0.6), (0.9, 0.6)):
            ends = certified.reached(module, x, objective.eps_at(progress))[:2]
            low, high = boxes_of(graph, *ends)[-1]
            least = certified.margins(graph, boxes_of(graph, *ends), y)
            worst = (-least).exp().sum(dim=1).log1p().mean()
            expected = (1 - weight) * clean + weight * worst
            assert loss(progress) == pytest.approx(float(expected), rel=1e-5)
            # folded into the last layer, margins are no looser than those of the logits' box
            own = torch.nn.functional.one_hot(y, 10).bool()
            apart = low[own][:, None] - high[~own].reshape(len(x), 9)
            assert (least >= apart - 1e-5).all()


def test_budgets_rise_as_the_schedule_says():
    objective = Certified(0.4, warm_up=0.1, ramp=0.4, leak=0.02)
    at = [objective.eps_at(p) for p in (0, 0.1, 0.15, 0.2, 0.35, 0.5, 0.99)]
    # a s^4 up to s = 1/4, with a = 1 / (m^4 + 4 m^3 (1 - m)), then a line to 1
    scale = 1 / (0.25**4 + 4 * 0.25**3 * 0.75)
    shares = [0, 0, scale * 0.125**4, scale * 0.25**4, 1 - scale * 4 * 0.25**3 * 0.375, 1, 1]
    assert at == pytest.approx([0.4 * share for share in shares], abs=1e-12)
    assert [objective.share_at(p) for p in (0, 0.1, 0.3, 0.5, 0.9)] == pytest.approx(
        [0, 0, 0.5, 1, 1]
    )
    assert [objective.leak_at(p) for p in (0, 0.5, 0.625, 0.75, 0.99)] == pytest.approx(
        [0.02, 0.02, 0.01, 0, 0]
    )
    at_once = Certified(0.4, warm_up=0.0, ramp=0.0)
    assert at_once.eps_at(0) == 0.4


def graph_of(*weights):
    """Return a graph of products and ReLUs, one input and as many hidden layers as weights."""
    layers = [layer for w in weights for layer in (_scaled(w), nn.ReLU())]
    return live(nn.Sequential(*layers, _scaled(1.0)).double(), torch.ones(1, 1).double())[0]


def _scaled(weight):
    made = nn.Linear(1, 1, bias=False)
    nn.init.constant_(made.weight, weight)
    return made


def test_tightness_is_what_boxes_grow_by_beyond_twice():
    low, high = torch.zeros(2, 1).double(), torch.ones(2, 1).double()
    for weights, expected in (((1.0,), 0), ((2.0,), 0), ((4.0,), 0.5), ((4.0, 2.0), 0.625)):
        graph = graph_of(*weights)
        found = tightness(graph, boxes_of(graph, low, high)).detach()
        assert float(found) == pytest.approx(expected)
    graph = graph_of(4.0)
    assert float(tightness(graph, boxes_of(graph, low, low)).detach()) == 0


def test_balance_is_lost_where_one_side_outweighs_the_other():
    graph = Graph((Relu(),), ((0,),), (torch.Size((4,)), torch.Size((4,))))

    def balance(*middles):
        middle = torch.tensor([middles]).double()
        return float(relu_balance(graph, [(middle - 0.1, middle + 0.1)]))

    assert balance(1, -1, 2, -2) == 0
    # sums 4 and 1; squares from the mean 0.75: 3.25^2 and 1.75^2, so 0.29 of each other
    assert balance(4, -1, 0, 0) == pytest.approx((0.25 + 0.5 - 1.75**2 / 3.25**2) / 0.5)
    assert balance(1, 1, 1, 1) == 0


def test_terms_act_in_the_ramp_alone(digits, defence):
    x, y = torch.tensor(digits.x_test[:20]), torch.tensor(digits.y_test[:20])
    # boxes that grow, and neurons most of which are active
    net = net_of().eval()
    with torch.no_grad():
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                layer.bias.fill_(1.0)
                layer.weight.fill_(10.0)
    module = certified.checked(ad.build_classifier(net, data=digits, defences=[defence]).model)
    for name in ("tightness", "relu_balance"):
        plain = Certified(0.4, warm_up=0.2, ramp=0.4)
        other = dataclasses.replace(plain, **{name: 2.0})
        differ = [
            float(o(module, x, y, progress=p, generator=torch.Generator()).detach())
            for p in (0.1, 0.4, 0.6)
            for o in (plain, other)
        ]
        assert differ[0] == differ[1]
        assert differ[2] < differ[3]
        assert differ[4] == differ[5]


def test_statistics_are_of_clean_images_even_beside_an_adversary(digits, defence):
    few = digits.subset(n_train=96, n_test=20, stratified=True)
    nets = []
    for adversary in (None, Adversary(0.3, steps=1)):
        net = net_of()
        objective = Certified(EPS, warm_up=0.0, ramp=0.9, adversary=adversary)
        options = {"epochs": 1, "batch_size": 96, "learning_rate": 1e-9, "verbose": False}
        train(net, few, objective=objective, defences=[defence], **options)
        nets.append(net)
    for (name, buffer), (_, other) in zip(*(net.named_buffers() for net in nets), strict=True):
        assert torch.equal(buffer, other), name
    counts = [b for n, b in nets[1].named_buffers() if n.endswith("num_batches_tracked")]
    assert counts == [1] * 3


@pytest.mark.parametrize("adversary", [Adversary(0.3, steps=5), CodeAdversary(0.3)])
def test_a_mixed_loss_has_the_concrete_loss_of_moved_images(
    classifier, digits, adversary, monkeypatch
):
    def never(*_):
        raise AssertionError

    # all weight on the concrete loss: no bounds
    monkeypatch.setattr(certified, "boxes_of", never)
    x, y = torch.tensor(digits.x_test[:50]), torch.tensor(digits.y_test[:50])
    module = certified.checked(classifier.model)

    def loss(objective, progress):
        drawn = torch.Generator().manual_seed(0)
        return float(objective(module, x, y, progress=progress, generator=drawn).detach())

    options = {"kappa": 1, "warm_up": 0.2, "ramp": 0.5}
    alone, mixed = Certified(EPS, **options), Certified(EPS, adversary=adversary, **options)
    added = [loss(mixed, at) - loss(alone, at) for at in (0.1, 0.21, 0.45, 0.9)]
    # nobody moves images in the warm-up; then the budget grows as that of the bounds
    assert added[0] == 0
    assert added[1] == pytest.approx(0, abs=0.01)
    assert added[3] > 0.1
    assert added[3] >= added[2] >= added[1]


def test_a_ramp_is_capped_where_it_learns_to():
    ramp = ParametrisedRamp((3,), cap=2.0)
    x = torch.tensor([[-1.0, 0.5, 3.0]])
    assert ramp(x).tolist() == [pytest.approx([0, 0.5, 2.0])]
    ramp.leak.fill_(0.1)
    assert ramp(x).tolist() == [pytest.approx([-0.1, 0.5, 2.1])]
    ramp.leak.fill_(0.0)
    ramp(x).sum().backward()
    # d cap / d log cap = cap, where the cap is met
    assert ramp.log_cap.grad.tolist() == pytest.approx([0, 0, 2.0])


def test_ramps_leak_in_the_first_half_and_learn_their_caps(digits, defence):
    few = digits.subset(n_train=128, n_test=20, stratified=True)
    net = net_of(activation="ramp")
    objective, leaks = Certified(EPS, leak=0.05), []

    def seen(_, module):
        leaks.append(float(module.base.layers[2].leak))

    options = {"epochs": 4, "batch_size": 64, "learning_rate": 1e-2, "verbose": False}
    train(net, few, objective=objective, defences=[defence], on_epoch=seen, **options)
    assert leaks[0] == pytest.approx(0.05)
    assert leaks[-1] == 0
    caps = [m.log_cap for m in net.modules() if isinstance(m, ParametrisedRamp)]
    assert len(caps) == 3
    assert all(float(cap.detach().abs().max()) > 1e-3 for cap in caps)


def test_what_was_stopped_goes_on_to_the_weights_of_a_run_without_a_stop(
    digits, defence, objective, tmp_path, monkeypatch
):
    monkeypatch.setattr(loop, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    few = digits.subset(n_train=128, n_test=20, stratified=True)
    own = {"epochs": 4, "batch_size": 64, "averaging": 0.7, "augment": "shift", "verbose": False}
    options = own | {"objective": objective, "defences": [defence], "milestones": (0.5,)}

    def stop(epoch, _):
        if epoch == 3:
            raise KeyboardInterrupt

    whole = train(net_of(activation="ramp"), few, **options)
    options["checkpoint"] = tmp_path / "half.npz"
    with pytest.raises(KeyboardInterrupt):
        train(net_of(activation="ramp"), few, on_epoch=stop, **options)
    assert train(net_of(activation="ramp"), few, **options) == whole


def test_weights_begin_with_the_deviation_of_ibp():
    net = net_of(3)
    layers = [m for m in net.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    for layer in layers[1:-1]:
        expected = (2 * np.pi) ** 0.5 / layer.weight[0].numel()
        assert float(layer.weight.detach().std()) == pytest.approx(expected, rel=0.1)
    # torch's own law, which is wider
    assert float(layers[-1].weight.detach().std()) > 0.04


@pytest.mark.parametrize(
    ("size", "batch_norm", "weights"), [("small", False, 166_406), ("medium", True, 822_106)]
)
def test_the_networks_have_the_weights_that_are_told(size, batch_norm, weights):
    net = CertifiedNet(size=size, batch_norm=batch_norm)
    assert sum(p.numel() for p in net.parameters()) == weights
    assert net(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"eps": 0}, "eps must be"),
        ({"eps": 2}, r"a budget in \(0, 1\]"),
        ({"kappa": 1.1}, r"kappa must be a weight in \[0, 1\]"),
        ({"ramp": -0.1}, "ramp must be a share"),
        ({"tightness": -1}, "tightness"),
        ({"adversary": 0.1}, "or None, got float"),
    ],
)
def test_what_does_not_fit_is_refused(options, text):
    with pytest.raises(InputError, match=text):
        Certified(**{"eps": 0.1} | options)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"defences": ()}, InputError, "only defence, got none"),
        ({"defences": ["noise:sigma=0.1"]}, InputError, "only defence, got GaussianNoise"),
        ({"precision": "bfloat16"}, InputError, "needs precision='float32'"),
        (
            {"net": nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.GELU())},
            CertificateError,
            "for GELU",
        ),
    ],
)
def test_what_no_box_can_be_made_for_is_refused(digits, defence, options, error, text):
    few = digits.subset(n_train=32, n_test=20, stratified=True)
    net = options.pop("net", None) or net_of()
    settings = {"epochs": 1, "defences": [defence], "verbose": False} | options
    with pytest.raises(error, match=text):
        train(net, few, objective=Certified(EPS), **settings)
