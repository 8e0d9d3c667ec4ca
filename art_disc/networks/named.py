"""The networks that commands and plans know by a word."""

from collections.abc import Callable
from functools import partial

from torch import nn

from art_disc.core.checks import check_choice
from art_disc.networks.architectures import default_network
from art_disc.networks.binarised import BINARIZATIONS
from art_disc.networks.binarised_networks import alexnet, binarynet_cifar, fcn1, fcn2, resnet20
from art_disc.networks.sign_gradient import SignGradient
from art_disc.networks.verifiable import verifiable_bnn

# made of (input_shape, nb_classes); `bnn` unless they are told otherwise
BINARISED: dict[str, Callable[..., nn.Module]] = {
    "fcn1": fcn1,
    "fcn2": fcn2,
    "binarynet_cifar": binarynet_cifar,
    "resnet20": resnet20,
    "alexnet": alexnet,
    "verifiable_bnn": verifiable_bnn,
}


def named_network(word: str) -> Callable[..., nn.Module]:
    """Return what makes the network of a word from (input_shape, nb_classes).

    `default` is `default_network`; `fcn2` is binarised, `fcn2:xnor` in another way of
    `BINARIZATIONS`, `fcn2:real` not at all.

    Raises:
        InputError: An unknown word.
    """
    name, how = _parsed(word)
    return partial(BINARISED[name], binarization=how) if how else default_network


def named_signs(word: str) -> SignGradient | None:
    """Return how the signs of a word's network are differentiated; None where it has none.

    Raises:
        InputError: An unknown word.
    """
    _, how = _parsed(word)
    if not how or BINARIZATIONS[how].activations == "real":
        return None
    return SignGradient(BINARIZATIONS[how].estimator)


def _parsed(word: str) -> tuple[str, str]:
    """Return name and binarisation of a word; of `default` no binarisation."""
    name, colon, how = word.partition(":")
    if word == "default":
        return name, ""
    if name not in BINARISED:
        check_choice(word, "network", ("default", *BINARISED))
    how = how if colon else "bnn"
    return name, check_choice(how, "the network's binarization", BINARIZATIONS)
