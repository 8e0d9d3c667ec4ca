"""Networks told in words, and made again of them."""

import copy
import json

import pytest
import torch
from torch import nn

from art_disc.core.errors import FileFormatError
from art_disc.networks import (
    BINARIZATIONS,
    BinarizedNet,
    CertifiedNet,
    Connections,
    DigitsNet,
    MadryMnistNet,
    RandomConnections,
    ResNet32,
    binarynet_cifar,
    fcn2,
    load_weights,
    save_weights,
    verifiable_bnn,
    with_int8,
)
from art_disc.networks.again import network_of, plain_arguments
from art_disc.networks.remembered import Remembered

GREY = (1, 8, 8)
SPARSE = [RandomConnections(5, seed=3), None]
NETWORKS = {
    "digits": lambda: DigitsNet(GREY, 3),
    "madry": MadryMnistNet,
    "resnet": lambda: ResNet32((3, 8, 8), 4, width=4, binarization="bnn", first="real"),
    "certified": lambda: CertifiedNet(GREY, 10, size="small", activation="ramp"),
    "fcn": lambda: fcn2(GREY, 10, widths=(8, 8), binarization=BINARIZATIONS["paper"]),
    "sparse": lambda: fcn2(GREY, 10, widths=(8, 8), connections=SPARSE),
    "local": lambda: verifiable_bnn((1, 13, 13), features=(2, 2), windows=((7, 3), (2, 1))),
    "convolutions": lambda: binarynet_cifar(
        (3, 8, 8), widths=(4,) * 6, hidden=(8,), binarization="xnor"
    ),
}


def through_json(network):
    return type(network).__name__, json.loads(json.dumps(plain_arguments(network)))


def predicted(network):
    shape = network.arguments()["input_shape"]
    x = torch.rand((4, *shape), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        return network.eval()(x)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_made_again(name):
    network = NETWORKS[name]()
    for copied in (network, copy.deepcopy(network)):
        before = torch.random.get_rng_state()
        twin = network_of(*through_json(copied))
        assert torch.equal(torch.random.get_rng_state(), before)
        assert type(twin) is type(network)
        twin.load_state_dict(network.state_dict())
        assert torch.equal(predicted(twin), predicted(network))


def test_every_class_of_a_whole_network_here_is_among_them():
    made = {type(make()) for make in NETWORKS.values()}
    assert made == set(Remembered.__subclasses__())


def test_weights_of_which_the_signs_alone_are_known_are_told_as_well(tmp_path):
    network = NETWORKS["fcn"]()
    file = save_weights(network, tmp_path / "signs.npz", signs="bits")
    load_weights(network, file)
    twin = network_of(*through_json(network))
    load_weights(twin, save_weights(network, tmp_path / "again.npz"))
    assert torch.equal(predicted(twin), predicted(network))


class Every(Connections):
    """All but the first input."""

    def mask(self, inputs, outputs):
        seen = torch.ones((outputs, inputs), dtype=torch.bool)
        seen[:, 0] = False
        return seen


def changed():
    network = DigitsNet()
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.ReLU6())
    return network


def contiguous():
    network = NETWORKS["certified"]()
    return network.to(memory_format=torch.contiguous_format)


class Own(DigitsNet):
    """May do anything."""


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Linear(2, 2),
        changed,
        contiguous,
        Own,
        lambda: fcn2(GREY, 10, widths=(8,), connections=[Every()]),
        lambda: with_int8(fcn2(GREY, 10, widths=(8, 8))),
    ],
    ids=["foreign", "other layers", "other memory", "derived", "own connections", "int8"],
)
def test_what_words_do_not_tell_of_has_none(make):
    assert plain_arguments(make()) is None


@pytest.mark.parametrize(
    "words",
    [
        ("GoneNet", {}),
        ("DigitsNet", {"colour": 1}),
        ("DigitsNet", {"input_shape": [1, 2, 2]}),
        ("DigitsNet", {"input_shape": {"kind": "Voting"}}),
        ("LQVAENet", {}),
    ],
)
def test_a_network_that_this_release_has_not_is_refused(words):
    with pytest.raises(FileFormatError):
        network_of(*words)


def test_arguments_are_told_by_name_with_their_defaults():
    network = BinarizedNet(GREY, 3, widths=(4,))
    told = network.arguments()
    assert told["input_shape"] == GREY
    assert told["widths"] == (4,)
    assert told["binarization"] == "bnn"
