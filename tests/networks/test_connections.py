"""Layers whose units see few inputs: which, and that nothing else ever counts."""

import copy

import pytest
import torch
from torch import nn

from art_disc.core.errors import InputError
from art_disc.networks import (
    BinarizedLinear,
    BinarizedNet,
    LocalConnections,
    RandomConnections,
    clamp_after_steps,
    load_weights,
    save_weights,
    verifiable_bnn,
    weights_hash,
)
from tests.networks.products import Products, values

IMAGE = (1, 8, 8)
WINDOWS = LocalConnections(IMAGE, kernel=4, stride=2)


def layer(connections, inputs=64, outputs=18, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return BinarizedLinear(inputs, outputs, connections=connections, **options)


@pytest.mark.parametrize("seed", [0, 1, -3, 2**70])
def test_random_units_see_as_many_different_inputs_as_said(seed):
    seen = RandomConnections(5, seed).mask(64, 30)
    assert seen.shape == (30, 64)
    assert (seen.sum(dim=1) == 5).all()
    assert torch.equal(seen, RandomConnections(5, seed).mask(64, 30))
    assert not torch.equal(seen, RandomConnections(5, seed + 1).mask(64, 30))
    # not the same for all units
    assert len(seen.unique(dim=0)) > 20


def test_local_units_see_what_a_convolution_sees():
    """Unit (feature, i, j) depends on the inputs that output (feature, i, j) of one depends on."""
    rule = LocalConnections((2, 6, 8), kernel=4, stride=2)
    assert rule.places == (2, 3)
    assert rule.fan_in == 32
    seen = rule.mask(2 * 6 * 8, 3 * 2 * 3)
    kernel = nn.Conv2d(2, 3, 4, stride=2, bias=False)
    nn.init.ones_(kernel.weight)
    x = torch.ones(1, 2, 6, 8, requires_grad=True)
    outputs = kernel(x).flatten()
    assert (3, *rule.places) == kernel(x).shape[1:]
    assert seen.shape == (len(outputs), 2 * 6 * 8)
    for unit, output in zip(seen, outputs, strict=True):
        (slope,) = torch.autograd.grad(output, x, retain_graph=True)
        assert torch.equal(slope.flatten() != 0, unit)


@pytest.mark.parametrize("rule", [RandomConnections(5), WINDOWS])
@pytest.mark.parametrize("word", ["bnn", "paper", "binary_weights", "real"])
def test_weights_of_no_connection_are_0_and_never_used(rule, word):
    made = layer(rule, binarization=word)
    seen = rule.mask(64, 18)
    assert (made.weight[~seen] == 0).all()
    # even where somebody wrote there
    other = copy.deepcopy(made)
    other.weight.data[~seen] = torch.randn(int((~seen).sum()))
    x = torch.randn(6, 64)
    assert torch.equal(made(x), other(x))
    assert (other.signs[~seen] == 0).all()
    assert ((other.signs != 0).sum(dim=1) == rule.fan_in).all()
    if word in ("bnn", "binary_weights"):
        assert set(other.signs[seen].unique().tolist()) == {-1, 1}
    outputs = other(x).sum()
    assert (torch.autograd.grad(outputs, other.weight)[0][~seen] == 0).all()


def test_an_input_that_no_unit_sees_changes_nothing_and_one_that_is_seen_does():
    made = layer(WINDOWS, binarization="binary_weights")
    x = torch.randn(1, 64)
    for pixel in range(64):
        other = x.clone()
        other[0, pixel] += 1
        changed = (made(other) != made(x))[0]
        assert torch.equal(changed, WINDOWS.mask(64, 18)[:, pixel])


@pytest.mark.parametrize("word", ["bnn", "real"])
@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.Adam(p, lr=0.3, weight_decay=0.1),
        lambda p: torch.optim.SGD(p, lr=3.0, momentum=0.9),
    ],
)
def test_they_do_not_grow_in_training(word, make):
    made = layer(RandomConnections(7), binarization=word)
    net = nn.Sequential(made, nn.BatchNorm1d(18))
    optimizer = make(net.parameters())
    clamp_after_steps(optimizer, net)
    before = made.weight.detach().clone()
    for _ in range(3):
        optimizer.zero_grad()
        net(torch.randn(16, 64)).square().mean(dim=0)[:9].sum().backward()
        optimizer.step()
        assert ((made.weight != 0).sum(dim=1) == 7).all()
    assert not torch.equal(made.weight[:9], before[:9])


def test_connections_survive_copies_and_fresh_weights_and_tell_themselves(tmp_path):
    one, other = (
        BinarizedNet(IMAGE, 10, widths=(18, 6), connections=(WINDOWS, RandomConnections(4, seed)))
        for seed in (0, 1)
    )
    assert "RandomConnections(fan_in=4, seed=1)" in repr(other)
    assert "LocalConnections(shape=(1, 8, 8), kernel=4, stride=2)" in repr(one)
    assert repr(one) != repr(other)
    assert weights_hash(one) != weights_hash(other)
    for layer_ in (one.layers[3], copy.deepcopy(one).layers[3]):
        layer_.reset_parameters()
        assert ((layer_.weight != 0).sum(dim=1) == 4).all()
    file = save_weights(one, tmp_path / "one.npz")
    twin = BinarizedNet(IMAGE, 10, widths=(18, 6), connections=(WINDOWS, RandomConnections(4, 0)))
    load_weights(twin, file)
    x = torch.rand(5, *IMAGE)
    assert torch.equal(twin.eval()(x), one.eval()(x))


def test_weights_of_other_connections_are_refused(tmp_path):
    one, other = (
        nn.Sequential(layer(RandomConnections(5, seed)), nn.BatchNorm1d(18)) for seed in (0, 1)
    )
    file = save_weights(one, tmp_path / "one.npz")
    before = weights_hash(other)
    with pytest.raises(InputError, match="other connections than those of 0, Random"):
        load_weights(other, file)
    assert weights_hash(other) == before


def test_a_twin_of_full_precision_has_the_same_connections():
    nets = [
        BinarizedNet(IMAGE, 10, widths=(18, 6), connections=(WINDOWS,), binarization=word)
        for word in ("bnn", "real")
    ]
    assert ((nets[1].layers[1].weight != 0).sum(dim=1) == 16).all()
    assert nets[0](torch.rand(2, *IMAGE)).shape == nets[1](torch.rand(2, *IMAGE)).shape


@pytest.mark.parametrize("shared", [False, True])
def test_the_preset_has_two_hidden_layers_of_small_fan_in(shared):
    net = verifiable_bnn(shared=shared).eval()
    first, second, last = [m for m in net.modules() if hasattr(m, "weight") and m.weight.ndim > 1]
    signs = first.signs
    assert signs.shape == ((8, 1, 7, 7) if shared else (512, 784))
    assert ((signs != 0).flatten(1).sum(dim=1) == 49).all()
    assert second.signs.shape == (128, 512)
    assert ((second.signs != 0).sum(dim=1) == 32).all()
    assert last.weight.shape == (10, 128)
    with Products() as seen, torch.no_grad():
        net(torch.rand(3, 1, 28, 28))
    assert [values(weight) for _, weight in seen.found[:2]] == [
        {-1, 1} if shared else {-1, 0, 1}, {-1, 0, 1}
    ]  # fmt: skip
    # what is behind real weights takes signs too
    assert [values(x) for x, _ in seen.found[1:]] == [{-1, 1}] * 2


@pytest.mark.parametrize("shared", [False, True])
def test_a_hidden_unit_of_the_preset_rests_on_a_patch_of_pixels(shared):
    """Second units see two windows of 7 pixels, 3 apart, each way: 10 x 10 pixels."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = verifiable_bnn(shared=shared).eval()
    hidden = net.layers[:-1]
    for row, column in ((0, 0), (9, 14), (27, 27)):
        # so that every unit of the first layer that sees the pixel turns
        dark, bright = torch.zeros(2, 1, 1, 28, 28)
        dark[..., row, column], bright[..., row, column] = -1, 1
        changed = (hidden(bright) != hidden(dark)).view(8, 4, 4).any(dim=0)
        near = torch.tensor(
            [
                [6 * i <= row < 6 * i + 10 and 6 * j <= column < 6 * j + 10 for j in range(4)]
                for i in range(4)
            ]
        )
        assert torch.equal(changed, near)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: RandomConnections(0), "fan_in must be a whole number >= 1"),
        (lambda: RandomConnections(3, seed=0.5), "seed must be a whole number"),
        (lambda: layer(RandomConnections(65)), "at most the 64 inputs of the layer, got 65"),
        (lambda: LocalConnections(IMAGE, 9), "must tile inputs"),
        (lambda: LocalConnections(IMAGE, 3, 2), "a multiple of stride"),
        (lambda: LocalConnections(IMAGE, 2, 3), "stride <= kernel"),
        (lambda: layer(WINDOWS, outputs=17), "multiple of its 9 windows as units, got 64 and 17"),
        (lambda: layer(WINDOWS, inputs=65), "must have the 64 inputs"),
        (lambda: layer(WINDOWS, binarization="xnor"), "scales are of all inputs"),
        (lambda: layer(WINDOWS, binarization="xnor_k"), "scales are of all inputs"),
        (
            lambda: BinarizedNet(IMAGE, 10, widths=(18,), connections=(WINDOWS, None)),
            "at most 1 widths",
        ),
        (lambda: BinarizedNet(IMAGE, 10, widths=(18,), connections=(5,)), "must be Connections"),
        (lambda: verifiable_bnn(features=(8,)), "features and windows of as many layers"),
        (lambda: verifiable_bnn(windows=((7, 3), (3, 2))), "must tile inputs"),
    ],
)
def test_what_does_not_fit_is_refused(make, text):
    with pytest.raises(InputError, match=text):
        make()
