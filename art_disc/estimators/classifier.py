"""An ART classifier that knows its defences."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import torch
from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
from torch import Tensor

from art_disc.core.errors import InputError
from art_disc.core.layouts import check_channels
from art_disc.defences.given import as_defences
from art_disc.defences.meaning import check_meaning
from art_disc.defences.preprocessor import MapPreprocessor, is_ours
from art_disc.defences.straight_through import StraightThrough
from art_disc.defences.traits import any_draws, traits
from art_disc.estimators.applied import applied
from art_disc.estimators.describe import describe_signs, describe_voting
from art_disc.estimators.fixed import FixedModule
from art_disc.estimators.mean_loss import own_loss
from art_disc.estimators.module import DefendedModule
from art_disc.estimators.numpy_steps import NumpySteps
from art_disc.estimators.places import check_kept, check_places
from art_disc.estimators.saving import save_classifier
from art_disc.estimators.shapes import check_standardisation, encoded_shape
from art_disc.estimators.signs import sign_gradient
from art_disc.estimators.voting import Voting
from art_disc.networks import SignGradient
from art_disc.surrogates import Identity, SurrogateLike


class DefendedClassifier(FixedModule):
    """A `PyTorchClassifier` over a `DefendedModule`; made by `build_classifier` and `defend`.

    It adds names and checks of what comes in, and leaves the network in eval mode after `fit`:
    where ART rebuilds a bare `PyTorchClassifier` around `model`, nothing is lost. It keeps the
    `WhiteBoxClassifier` contract.

    Its defences are sealed copies: later changes of the objects that they were made from mean
    nothing to it, and to change them another classifier is made. The network is shared, and may be
    trained on.
    """

    model: DefendedModule

    # class and module where a defence draws; `randomized` names them, which builds on this class
    _drawing: ClassVar[tuple[type["DefendedClassifier"], Callable[..., DefendedModule]]]

    def _shown(self) -> dict[str, Any]:
        names = ("input_shape", "nb_classes", "clip_values", "channels_first")
        shown = {"network": self.base_network, "defences": self.defences}
        shown |= {name: getattr(self, name) for name in names}
        if self.clip_values is not None:
            shown["clip_values"] = tuple(float(value.max()) for value in self.clip_values)
        if self.standardisation is not None:
            shown["standardisation"] = self.standardisation
        return shown | describe_voting(self) | describe_signs(self)

    @property
    def defences(self) -> tuple[Any, ...]:
        """The preprocessors in the order in which they are applied in prediction.

        Those for training alone (`apply_predict=False`) are in `preprocessing_defences` only.
        """
        return (*applied(self.preprocessing_operations), *self.model.preprocessors)

    @property
    def base_network(self) -> torch.nn.Module:
        """The undefended torch network, shared with this classifier."""
        return self.model.base

    @property
    def standardisation(self) -> tuple[Any, Any] | None:
        """(mean, std) between the defences and the network, or None."""
        return self.model.standardisation

    def standardised(self, given: torch.Tensor) -> torch.Tensor:
        """Return what defences made, shape (n, ...), as the base network takes it."""
        return self.model.standardised(given)

    def graph_logits(self, x: torch.Tensor) -> torch.Tensor:
        """Return the scores of images (n, ...) that ART's gradients are taken of, with graph."""
        if not self.all_framework_preprocessing:
            preprocessed: Tensor = NumpySteps.apply(x, self)  # type: ignore[no-untyped-call]
            output = self.model(preprocessed)
        else:
            output = self._predict_framework(x)[0]
        return output if isinstance(output, torch.Tensor) else output[-1]

    @property
    def base(self) -> "DefendedClassifier":
        """The undefended classifier: the same network and standardisation, shared, no defence.

        Raises:
            InputError: The network takes encoded images, so none is left without its encoder; see
                `has_base`.
        """
        return self.with_defences(())

    @property
    def encoded_shape(self) -> tuple[int, int, int]:
        """Shape of an image behind the defences: what the network takes."""
        first = self.channels_first
        return encoded_shape(self.defences, tuple(self.input_shape), channels_first=first)

    @property
    def has_base(self) -> bool:
        """Whether the network takes images as they are, so that there is an undefended `base`."""
        return self.encoded_shape == tuple(self.input_shape)

    @property
    def is_random(self) -> bool:
        """Whether two predictions of the same images may differ; then it has `predict_draws`."""
        return any(traits(defence).is_random for defence in self.defences)

    @property
    def placement(self) -> str:
        """`module` or `preprocessor`: where the defences are."""
        return "preprocessor" if applied(self.preprocessing_operations) else "module"

    def with_defences(
        self,
        defences: Sequence[Any],
        *,
        placement: str = "module",
        keep: Sequence[Any] = (),
        voting: Voting | None = None,
        through: SignGradient | None = None,
    ) -> "DefendedClassifier":
        """Return a classifier that shares this one's network but has other defences.

        Args:
            defences: Fitted defences, applied in order; copies take this classifier's layout and
                range. If one of them draws, the result is a `RandomizedClassifier`.
            placement: `module`, or `preprocessor` for ART's own list.
            keep: Preprocessors of ART's own that run before them, in ART's list.
            voting: How draws are made and counted; None: as here.
            through: How the signs of a binarised network are differentiated; None: as here.

        Raises:
            InputError: Unknown placement, a defence that only ART's list can hold after one that
                lives in the module, one that draws in ART's list, or defences that make another
                shape than the encoded one which the network takes.
        """
        if placement not in ("module", "preprocessor"):
            msg = f"placement must be 'module' or 'preprocessor', got {placement!r}"
            raise InputError(msg)
        adapted = self._adapted(as_defences(defences), keep)
        inside = adapted if placement == "module" else []
        outside = [*keep, *(adapted if placement == "preprocessor" else [])]
        check_places(inside, outside)
        check_kept(self, keep)
        voting = voting or getattr(self.model, "voting", None)
        kind, module = self._shaped(inside, voting, through or self.model.through)
        # ART takes torch's current device, whatever the network is on
        with torch.cuda.device(self.device) if self.device.type == "cuda" else nullcontext():
            return kind(model=module, preprocessing_defences=outside or None, **self._options())

    def _shaped(
        self, inside: Sequence[MapPreprocessor], voting: Voting | None, through: SignGradient
    ) -> tuple[type["DefendedClassifier"], DefendedModule]:
        """Return the class that such defences need, and the module."""
        drawing, module = self._drawing
        own, options = isinstance(self, drawing), {**self.model.options, "through": through}
        if any_draws(inside):
            made = module(self.base_network, inside, voting=voting, **options)
            return (type(self) if own else drawing), made
        plain = DefendedModule(self.base_network, inside, **options)
        return (DefendedClassifier if own else type(self)), plain

    def _adapted(self, defences: Sequence[Any], keep: Sequence[Any]) -> list[Any]:
        """Return copies of the defences for this classifier's layout and range, checked."""
        images, first = tuple(self.input_shape), self.channels_first
        shape = encoded_shape(keep, images, channels_first=first)
        adapted: list[Any] = []
        for place, defence in enumerate(defences):
            made = self._adapt(defence, place, shape) if is_ours(defence) else defence
            shape = encoded_shape([made], shape, channels_first=first)
            adapted.append(made)
        if self.defences and shape != self.encoded_shape:
            msg = (
                f"the network takes images of shape {self.encoded_shape} from its defences, these "
                f"would give it {shape}; build another classifier around a network for that shape"
            )
            raise InputError(msg)
        if shape != images:
            check_standardisation(self.model, shape)
        return adapted

    def _adapt(
        self, defence: MapPreprocessor, place: int, shape: tuple[int, int, int]
    ) -> MapPreprocessor:
        _ = defence.map  # raises NotFittedError here, not in the first attack
        first = self.channels_first
        axis = 0 if first else -1
        check_channels(defence.check_channels, shape, channels_first=first)
        defence = defence.with_place(place)
        # codes are 0 and 1, whatever the range of the images; a smaller image keeps its range
        coded = shape[axis] != self.input_shape[axis]
        upper = 1.0 if coded else float(self.clip_values[1].max())
        return defence.with_layout(channels_first=first, clip_values=(0.0, upper))

    def _options(self) -> dict[str, Any]:
        """Return what a classifier around the same network is made with, but for the defences."""
        return {
            "loss": own_loss(self._loss),
            "optimizer": self._optimizer,
            "input_shape": self.input_shape,
            "nb_classes": self.nb_classes,
            "channels_first": self.channels_first,
            "clip_values": tuple(float(value.max()) for value in self.clip_values),
            "postprocessing_defences": self.postprocessing_defences,
            "preprocessing": None,
            "device_type": self.device_type,
        }

    def with_surrogate(self, surrogate: SurrogateLike) -> Self:
        """Return the same classifier, its defences differentiated by another surrogate.

        Args:
            surrogate: Of a binarised network's signs `ste_identity`, `ste_hard_tanh`, `ste_clipped`
                or `ste_polynomial`, with a temperature of the logits (`ste_hard_tanh:16`), or a
                `SignGradient`. Else a word or object that one of the defences takes (`mix:20` of
                `RandDisc`, `dct` of `JpegCompression`, others see `PixelDiscretization`); those to
                which it says nothing stay as they are. Through `identity` somebody else's torch
                preprocessors in ART's list are differentiated as if they were not there
                (`StraightThrough`) if they keep the images' shape; through any other surrogate of
                codebooks by their own gradient.

        Raises:
            InputError: No defence takes it; the message lists what they take.
        """
        through = sign_gradient(self, surrogate)
        if through is not None:
            return self.with_each_defence(lambda defence: defence, through=through)
        check_meaning(self.defences, surrogate)

        def swap(defence: Any) -> Any:
            meant = traits(defence).meant(surrogate)
            if meant is None:
                return defence
            if is_ours(defence):
                return defence.with_surrogate(surrogate)
            foreign = defence.preprocessor if isinstance(defence, StraightThrough) else defence
            if isinstance(meant, Identity) and isinstance(foreign, PreprocessorPyTorch):
                return StraightThrough(foreign) if self._kept(foreign) else foreign
            return foreign

        return self.with_each_defence(swap)

    def _kept(self, foreign: PreprocessorPyTorch) -> bool:
        """Whether a preprocessor keeps the shape of this classifier's images."""
        images = torch.zeros((2, *self.input_shape), device=self.device)
        with torch.no_grad():
            value, _ = foreign.forward(images)
        return bool(value.shape == images.shape)

    def with_each_defence(
        self,
        change: Callable[[Any], Any],
        *,
        voting: Voting | None = None,
        through: SignGradient | None = None,
    ) -> Self:
        """Return the same kind of classifier with each defence changed in its place, or kept.

        Draws are made and counted as `voting` says, and a network's signs differentiated as
        `through` says; None: as here.
        """
        outside = [change(defence) for defence in self.preprocessing_operations]
        inside = [change(defence) for defence in self.model.preprocessors]
        made = self.with_defences(inside, keep=outside, voting=voting, through=through)
        return cast("Self", made)

    def save(self, filename: str | Path, path: str | Path | None = None) -> Path:
        """Write the whole classifier into a folder, and return it; `load_classifier` reads it.

        It holds network, defences with codebooks, surrogates and the state of their streams,
        standardisation, layout, range and voting: a JSON, and npz files without pickles. A network
        of another class than this package's is told by its weights alone: `load_classifier` is
        given what makes it. No optimiser is kept. A saved classifier that is there is replaced in
        one step, so that a stop leaves the old one or the new one.

        Args:
            filename: The folder, new, empty or that of a saved classifier; by ART's name.
            path: Where it lies; None: as `filename` says (ART's own takes its data folder).

        Raises:
            InputError: Something else is there, or something of the classifier is the user's own,
                a preprocessor or a function as surrogate for example; the message says what to do.
        """
        return save_classifier(self, filename if path is None else Path(path) / filename)

    def __reduce__(self) -> tuple[Any, ...]:
        # ART's own pickling writes weight files into its data folder and leaves them there
        state = {
            "model": self.model,
            "preprocessing_defences": list(self.preprocessing_operations),
            **self._options(),
        }
        return _rebuild, (type(self), state)


def _rebuild(kind: type[DefendedClassifier], state: dict[str, Any]) -> DefendedClassifier:
    return kind(**state)
