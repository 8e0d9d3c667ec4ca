"""Words by which the signs of a binarised network are differentiated in another way."""

from typing import Any

from art_disc.core.errors import InputError
from art_disc.defences.meaning import meaning
from art_disc.networks.sign_gradient import SIGN_GRADIENTS, SignGradient, has_signs


def sign_gradient(classifier: Any, surrogate: Any) -> SignGradient | None:
    """Return what a surrogate means to the network of a classifier; None where it means a defence.

    Raises:
        InputError: It means signs, and the network has none; or the network has signs, and neither
            it nor a defence takes the surrogate.
    """
    gradient: SignGradient | None = SIGN_GRADIENTS.find(surrogate)
    signs = has_signs(classifier.base_network)
    if gradient is not None and not signs:
        msg = (
            f"surrogate {surrogate!r} is for binarised activations, and the network has none; its "
            "gradient is its own"
        )
        raise InputError(msg)
    if gradient is None and signs and meaning(classifier.defences, surrogate) is None:
        msg = (
            f"neither network nor defence takes the surrogate {surrogate!r}; of the network's "
            f"signs it must be {SIGN_GRADIENTS.usage}"
        )
        raise InputError(msg)
    return gradient


def own_signs(classifier: Any) -> SignGradient | None:
    """Return how the signs of a classifier's network are differentiated; None where it has none."""
    if not has_signs(classifier.base_network):
        return None
    through: SignGradient = getattr(classifier.model, "through", SignGradient())
    return through.of(classifier.base_network)
