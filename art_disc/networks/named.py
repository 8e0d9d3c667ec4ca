"""The networks that commands and plans know by a word."""

from collections.abc import Callable
from functools import partial

from torch import nn

from art_disc.core.checks import check_choice
from art_disc.core.errors import InputError
from art_disc.networks.architectures import default_network
from art_disc.networks.binarised import BINARIZATIONS
from art_disc.networks.binarised_networks import alexnet, binarynet_cifar, fcn1, fcn2, resnet20
from art_disc.networks.certified import SIZES, CertifiedNet
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
# for interval bounds, in a size
CERTIFIED = "certified"


def named_network(word: str) -> Callable[..., nn.Module]:
    """Return what makes the network of a word from (input_shape, nb_classes).

    `default` is `default_network`; `fcn2` is binarised, `fcn2:xnor` in another way of
    `BINARIZATIONS`, `fcn2:real` not at all; `certified:small` is a `CertifiedNet` of that size,
    `certified` a medium one.

    Raises:
        InputError: An unknown word.
    """
    name, how = _parsed(word)
    if name == CERTIFIED:
        return partial(CertifiedNet, size=how)
    return partial(BINARISED[name], binarization=how) if how else default_network


def named_signs(word: str) -> SignGradient | None:
    """Return how the signs of a word's network are differentiated; None where it has none.

    Raises:
        InputError: An unknown word.
    """
    name, how = _parsed(word)
    if name not in BINARISED or BINARIZATIONS[how].activations == "real":
        return None
    return SignGradient(BINARIZATIONS[how].estimator)


def certified_size(word: str) -> str:
    """Return the size of the `CertifiedNet` of a word.

    Raises:
        InputError: An unknown word, or that of another network.
    """
    name, size = _parsed(word)
    if name != CERTIFIED:
        msg = (
            f"network must be {' or '.join(f'{CERTIFIED}:{size}' for size in SIZES)}, got {word!r}"
        )
        raise InputError(msg)
    return size


def _parsed(word: str) -> tuple[str, str]:
    """Return the name of a word, and its binarisation or size; of `default` neither."""
    name, colon, how = word.partition(":")
    if word == "default":
        return name, ""
    if name == CERTIFIED:
        return name, check_choice(how if colon else "medium", "the network's size", SIZES)
    if name not in BINARISED:
        check_choice(word, "network", ("default", *BINARISED, CERTIFIED))
    how = how if colon else "bnn"
    return name, check_choice(how, "the network's binarization", BINARIZATIONS)
