"""What evaluations, checks and certificates ask of a classifier, whoever made it.

`DefendedClassifier` keeps this contract; so does any class with the same names. A certificate by
enumeration asks for `Classifier` alone, and for a class that it knows
(`art_disc.certificates.known`); evaluations and checks, which attack it and look inside, for
`WhiteBoxClassifier`, and of one that draws for `RandomClassifier`.
"""

from collections.abc import Callable
from inspect import get_annotations
from typing import Any, Protocol, Self

import numpy as np
import torch
from torch import Tensor, nn

from art_disc.core.checks import Float32Array, IntArray
from art_disc.core.errors import InputError
from art_disc.core.inputs import Inputs
from art_disc.estimators.voting import Voting
from art_disc.surrogates import SurrogateLike


class Classifier(Protocol):
    """ART's names for a classifier of images in a known range.

    Attributes:
        input_shape: Of one image, in the classifier's layout.
        nb_classes: Number of classes.
        clip_values: Bottom and top of the input range, numbers or arrays.
        channels_first: Whether images are (c, h, w).
    """

    input_shape: tuple[int, int, int]
    nb_classes: int
    clip_values: Any
    channels_first: bool

    def predict(self, x: Any, batch_size: int = 128, **options: Any) -> Any:
        """Return scores of images (n, ...), shape (n, classes)."""


class WhiteBoxClassifier(Classifier, Protocol):
    """A classifier that an evaluation can attack, differentiate and look into.

    ART's attacks ask for ART's own base classes besides.

    Attributes:
        device: Where its network is.
        model: Defences and network in one module, from images to scores: what attacks
            differentiate.
        base_network: The undefended network alone; queries and gradients are counted there.
        standardisation: (mean, std) between defences and network, or None.
        defences: The preprocessors in the order in which they are applied in prediction, each from
            images to as many images; none that is for training alone.
        placement: `module` or `preprocessor`: where the defences are.
        is_random: Whether two predictions of the same images may differ; then it is a
            `RandomClassifier`.
        has_base: Whether the network takes images as they are, so that there is an undefended one.
        base: The same network without a defence.
    """

    device: torch.device
    model: nn.Module
    base_network: nn.Module
    standardisation: tuple[Any, Any] | None
    defences: tuple[Any, ...]
    placement: str
    is_random: bool
    has_base: bool
    base: "WhiteBoxClassifier"

    def standardised(self, given: Tensor) -> Tensor:
        """Return what defences made as the base network takes it."""

    def graph_logits(self, x: Tensor) -> Tensor:
        """Return scores of images, shape (n, classes), with the graph of their gradients."""

    def loss_gradient(self, x: Any, y: Any, **options: Any) -> Any:
        """Return the gradient of the loss at each image, as ART's attacks take it."""

    def with_surrogate(self, surrogate: SurrogateLike) -> Self:
        """Return the same classifier, differentiated through another surrogate.

        Raises:
            InputError: No defence takes it.
        """

    def with_each_defence(self, change: Callable[[Any], Any]) -> Self:
        """Return the same kind of classifier with each defence changed in its place."""


class RandomClassifier(WhiteBoxClassifier, Protocol):
    """A classifier whose defence makes fresh draws.

    Attributes:
        voting: How draws become one row of scores.
        eot_samples: Draws an image where a gradient is taken.
        vote_samples: Draws an image in `predict`.
    """

    voting: Voting
    eot_samples: int
    vote_samples: int

    def predict_draws(self, x: Any, n: int, seed: int | None = None) -> Float32Array:
        """Return log-probabilities of single fresh draws, shape (n, images, classes)."""

    def with_samples(self, *, eot: int | None = None, vote: int | None = None) -> Self:
        """Return the same classifier with other numbers of draws."""

    def with_seed(self, seed: int) -> Self:
        """Return the same classifier at the beginning of other streams."""

    def frozen(self, seed: int) -> Self:
        """Return a deterministic twin: each call makes the same draws."""


def lacking(classifier: Any, contract: type) -> tuple[str, ...]:
    """Return the names of a contract that a classifier lacks; no property is evaluated.

    >>> lacking(object(), Classifier)
    ('channels_first', 'clip_values', 'input_shape', 'nb_classes', 'predict')
    """
    parts = [part for kind in contract.__mro__ for part in (vars(kind), get_annotations(kind))]
    asked = {name for part in parts for name in part if not name.startswith("_")}
    kind = type(classifier)
    # the class first: a property that is there may raise, or build another classifier
    return tuple(n for n in sorted(asked) if not (hasattr(kind, n) or hasattr(classifier, n)))


def check_classifier(classifier: Any) -> WhiteBoxClassifier:
    """Return a classifier that keeps the contract.

    Raises:
        InputError: It does not; the message says what it lacks.
    """
    missing = lacking(classifier, WhiteBoxClassifier)
    if not missing and classifier.is_random:
        missing = lacking(classifier, RandomClassifier)
    if missing:
        cure = "build_classifier(model, data=data) makes one of a torch network"
        if not isinstance(classifier, nn.Module):
            cure += (
                ", defend(classifier, []) of an ART PyTorchClassifier; one of your own keeps the "
                f"contract of art_disc.estimators.contract, this one lacks {', '.join(missing)}"
            )
        kind = type(classifier).__name__
        msg = f"expected a classifier of build_classifier, got {kind}; {cure}"
        raise InputError(msg)
    kept: WhiteBoxClassifier = classifier
    return kept


def check_draws(classifier: Any) -> RandomClassifier:
    """Return a classifier that makes fresh draws.

    Raises:
        InputError: It makes none.
    """
    if not getattr(classifier, "is_random", False) or lacking(classifier, RandomClassifier):
        what = "frozen draws" if hasattr(classifier, "predict_draws") else "no draws"
        msg = (
            f"expected a classifier with a defence that draws, got {type(classifier).__name__} "
            f"with {what}; build it with build_classifier(model, defences=[RandDisc(...)])"
        )
        raise InputError(msg)
    kept: RandomClassifier = classifier
    return kept


def top_of(classifier: Classifier) -> float:
    """Return the top of the input range, 1 or 255."""
    return float(np.max(classifier.clip_values[1]))


def images_and_labels(classifier: Any, x: Any, y: Any) -> tuple[Float32Array, IntArray, float]:
    """Return images and labels as a classifier takes them, and the top of its input range.

    Raises:
        InputError: The classifier does not keep the contract, or images or labels do not fit it.
    """
    inputs = Inputs.of(check_classifier(classifier))
    images = inputs.images(x)
    return images, inputs.labels(y, len(images)), inputs.upper
