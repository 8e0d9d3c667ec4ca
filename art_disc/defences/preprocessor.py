"""What every defence that is a torch map has in common as an ART preprocessor."""

import warnings
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, Self, TypeGuard

import numpy as np
import torch
from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
from numpy.typing import NDArray
from torch import Tensor, nn

from art_disc.core.checks import Float32Array
from art_disc.core.errors import InputError, InputWarning, NotFittedError
from art_disc.core.sealing import Sealable
from art_disc.core.words import check_known
from art_disc.data import Dataset
from art_disc.defences.images import StepMap, doubt_of_images
from art_disc.defences.traits import Traits
from art_disc.surrogates import CODEWORDS, LEVELS, SurrogateLike

ClipValues = tuple[float, float]


def check_clip_values(clip_values: Any) -> ClipValues:
    """Return (0, 1) or (0, 255), numbers or arrays of one number, as floats; refuse others."""
    try:
        # ART holds one number a channel too: all alike they are that number
        low, high = (float(np.unique(value).item()) for value in clip_values)
    # a tensor with a graph is a RuntimeError
    except (TypeError, ValueError, RuntimeError):
        low, high = -1.0, -1.0
    if (low, high) not in ((0.0, 1.0), (0.0, 255.0)):
        msg = (
            f"clip_values must be (0, 1) or (0, 255), got {clip_values!r}; put another "
            "normalisation between defence and network with preprocessing=(mean, std)"
        )
        raise InputError(msg)
    return low, high


class MapPreprocessor(Sealable, Traits, PreprocessorPyTorch):
    """A defence that is one torch module, its gradient the one that autograd finds there.

    ART differentiates `forward` of torch preprocessors and calls `estimate_forward` in its NumPy
    path only, so both must lead to the same gradient. A subclass sets its own attributes first,
    then calls this constructor, which checks them and makes the map; what others need to know of
    it (`Traits`) it answers itself where the general answer is not its own.

    A parameter that is set, by `set_params` or as an attribute, makes the map anew. A classifier
    holds a sealed copy, of which nothing can be set: what it predicts, what is certified and what
    is described are one.

    Args:
        channels_first: Images are (n, c, h, w); otherwise (n, h, w, c).
        clip_values: Input range, (0, 1) or (0, 255).
        apply_fit: Applied in ART's `fit` too.
        apply_predict: Applied in ART's `predict` and gradients.
        device_type: Where ART's NumPy path runs, `cpu` or `gpu`.
    """

    params: ClassVar[tuple[str, ...]] = (
        "channels_first",
        "clip_values",
        "apply_fit",
        "apply_predict",
    )
    # parameters of the constructor that are set through one of `params`
    shorthands: ClassVar[tuple[str, ...]] = ()
    # those of `params` that are set later and no argument of the constructor
    set_later: ClassVar[tuple[str, ...]] = ()
    unsealed = frozenset({"_alone", "_warned_of"})
    how_to_change = (
        "build the classifier again, from a defence of other parameters; with_surrogate, "
        "with_defences and with_each_defence of the classifier return another one too"
    )
    # whether it is called by itself, not by a classifier in whose list it is
    _alone = False
    # what its user was warned of
    _warned_of: frozenset[str] = frozenset()

    def __init__(
        self,
        *,
        channels_first: bool = True,
        clip_values: ClipValues = (0.0, 1.0),
        apply_fit: bool = False,
        apply_predict: bool = True,
        device_type: str = "cpu",
    ) -> None:
        super().__init__(
            device_type=device_type,
            is_fitted=True,
            apply_fit=apply_fit,
            apply_predict=apply_predict,
        )
        self.channels_first = channels_first
        self.clip_values = clip_values
        self._map: nn.Module | None = None
        self._check_params()

    def _check_params(self) -> None:
        """Check the attributes and make the map anew; ART calls this after `set_params`."""
        self.clip_values = check_clip_values(self.clip_values)
        made = self._make_map()
        self._map = made._seal() if isinstance(made, Sealable) else made

    def set_params(self, **params: Any) -> None:
        """Set parameters by name, and make the map anew.

        Raises:
            InputError: A value does not fit, or no parameter has such a name; nothing is changed
                then.
            SealedError: It is that of a classifier.
        """
        # ART's own passes over names that it does not know
        known = (*self.shorthands, *self.params)
        check_known(params, known, f"parameter of {type(self).__name__}")
        with self._or_as_before():
            for name, value in params.items():
                setattr(self, name, value)
            self._check_params()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in self.params:
            self.__dict__["_map"] = None

    def sealed(self) -> Self:
        """Return a copy that nothing can change, or itself if it is one.

        Raises:
            NotFittedError: The defence has not learned yet what it has to learn.
        """
        _ = self.map
        return super().sealed()

    @abstractmethod
    def _make_map(self) -> nn.Module | None:
        """Return the torch module of the present attributes, or None before `fit`."""

    @property
    def map(self) -> nn.Module:
        """The torch module that does the work.

        Raises:
            NotFittedError: The defence has not learned yet what it has to learn.
        """
        if self._map is None:
            # a parameter was set, or what it rests on was fitted by itself meanwhile
            self._check_params()
        if self._map is None:
            msg = (
                f"{type(self).__name__} is not fitted; call fit(x_train) first, or give the images "
                "to learn from: build_classifier(model, data=data, defences=...)"
            )
            raise NotFittedError(msg)
        return self._map

    def learn(self, x: Float32Array) -> None:
        """Learn from training images (n, c, h, w) in [0, 1] what there is to learn."""

    def check_channels(self, channels: int) -> None:
        """Refuse images of another number of channels than it is made for, where that matters."""

    def encoded_shape(self, input_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return the shape that images of `input_shape`, without the batch axis, leave with."""
        return input_shape

    def __call__(self, x: Any, y: Any = None) -> tuple[Any, Any]:
        """Return the defended images as an array, and `y` as it came; see `forward`."""
        self._alone = True
        try:
            made: tuple[Any, Any] = super().__call__(x, y)
        finally:
            self._alone = False
        return made

    def forward(self, x: Tensor, y: Any = None) -> tuple[Tensor, Any]:
        """Return the defended images, float32, and `y` as it came.

        ART's classifiers call it for the defences in their lists; what is probably a mistake there
        is warned about once.

        Args:
            x: Images (n, c, h, w), or (n, h, w, c), in the clip range or outside it; float or
                uint8.
            y: Labels.

        Raises:
            InputError: No such batch of images.
            NotFittedError: There is something to learn first.
        """
        if not self._alone:
            for kind, doubt in self._doubts(x).items():
                if doubt and kind not in self._warned_of:
                    self._warned_of |= {kind}
                    warnings.warn(f"{type(self).__name__}: {doubt}", InputWarning, stacklevel=2)
        return self.map(x), y

    def estimate_forward(self, x: Tensor, y: Any = None) -> Tensor:
        """Return the surrogate's own value, if any, which ART's NumPy path differentiates."""
        step = self.map
        made: Tensor = step.soft(x) if isinstance(step, StepMap) else self.forward(x, y)[0]
        return made

    def estimate_gradient(self, x: NDArray[Any], grad: NDArray[Any]) -> NDArray[Any]:
        """Return the gradient of `estimate_forward` with respect to images, of their shape.

        `grad` is that with respect to what comes out, (n, ...). Of several classes, which ART's own
        method does not know, both have one more axis, (n, classes, ...).
        """
        several = grad.ndim == x.ndim + 1
        leaf = torch.tensor(x, device=self.device).requires_grad_()
        made = self.estimate_forward(leaf)
        found = [
            torch.autograd.grad(
                made, leaf, torch.tensor(one, device=self.device).to(made), retain_graph=True
            )[0].numpy(force=True)
            for one in (grad.swapaxes(0, 1) if several else grad[None])
        ]
        return np.stack(found, axis=1) if several else found[0]

    def _doubts(self, x: Tensor) -> dict[str, str]:
        """Return what may be a mistake in a classifier's list, by name: words, or ""."""
        return {"range": doubt_of_images(x, self.clip_values[1])}

    def with_surrogate(self, surrogate: SurrogateLike) -> Self:
        """Return the same defence with another backward pass.

        Args:
            surrogate: As for the constructor. A defence of another kind comes back itself for the
                surrogates of codebooks and levels, which say nothing to it.

        Raises:
            InputError: Nothing that this defence takes, nor such a surrogate.
        """
        own = self.meant(surrogate)
        if own is not None:
            return self._changed(surrogate=own)
        common = (CODEWORDS, LEVELS)
        if self.vocabulary in common or all(words.find(surrogate) is None for words in common):
            self.vocabulary.read(surrogate)
        return self

    def _layout(self) -> dict[str, Any]:
        """Return what a map is told of the images."""
        return {"channels_first": self.channels_first, "upper": self.clip_values[1]}

    def with_layout(self, *, channels_first: bool, clip_values: ClipValues) -> Self:
        """Return the same defence for another layout and input range."""
        return self._changed(channels_first=channels_first, clip_values=clip_values)

    def _changed(self, **params: Any) -> Self:
        twin = self._unsealed_copy()
        twin.set_params(**params)
        return twin

    def described(self) -> dict[str, Any]:
        """Return every parameter but layout, range and when it is applied."""
        return {k: getattr(self, k) for k in self.params if k not in MapPreprocessor.params}

    def _shown(self) -> dict[str, Any]:
        """Return what describes it, its surrogate, and layout and range that are not the usual."""
        own = {} if self.surrogate is None else {"surrogate": self.surrogate.name}
        usual = {"channels_first": True, "clip_values": (0.0, 1.0)}
        layout = {k: getattr(self, k) for k, v in usual.items() if getattr(self, k) != v}
        return {**self.described(), **own, **layout}


class SurrogatePreprocessor(MapPreprocessor):
    """A defence whose map is exact in `forward` and differentiated by an exchangeable surrogate.

    How it is differentiated is no part of what it is: `describe` leaves the surrogate out.

    Args:
        surrogate: An object or a word of the defence's `vocabulary`.
        **options: Keyword options of `MapPreprocessor`, or of the next class in line.

    Raises:
        InputError: Another surrogate.
    """

    params = ("surrogate", *MapPreprocessor.params)

    def __init__(self, surrogate: SurrogateLike, **options: Any) -> None:
        self.surrogate: Any = surrogate
        super().__init__(**options)

    def _check_params(self) -> None:
        self.surrogate = self.vocabulary.read(self.surrogate)
        super()._check_params()

    def described(self) -> dict[str, Any]:
        """Return the parameters that are given, but for the surrogate."""
        every = super().described()
        return {k: v for k, v in every.items() if k != "surrogate" and v is not None}


def is_ours(defence: Any) -> TypeGuard[MapPreprocessor]:
    """Whether a defence is one torch module of this package's kind."""
    return isinstance(defence, MapPreprocessor)


def learn_from(defences: Iterable[Any], data: Dataset) -> None:
    """Let our defences that are not fitted learn from the training images.

    Raises:
        InputError: There are none.
    """
    for defence in defences:
        if is_ours(defence) and not defence.is_fitted:
            data.check_training(f"for {defence.describe()} to learn from")
            defence.learn(data.x_train)
