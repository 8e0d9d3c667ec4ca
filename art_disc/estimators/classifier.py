"""An ART classifier that knows its defences."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, Self

import torch
from art.estimators.classification import PyTorchClassifier

from art_disc.core.errors import InputError
from art_disc.defences.preprocessor import CodebookPreprocessor
from art_disc.estimators.module import DefendedModule
from art_disc.surrogates import SurrogateLike


class DefendedClassifier(PyTorchClassifier):
    """A `PyTorchClassifier` over a `DefendedModule`; made by `build_classifier` and `defend`.

    It adds names only, no behaviour: where ART rebuilds a bare `PyTorchClassifier` around `model`,
    nothing is lost.
    """

    @property
    def defences(self) -> tuple[Any, ...]:
        """The preprocessors in the order in which they are applied."""
        return (*(self.preprocessing_defences or ()), *self.model.preprocessors)

    @property
    def base_network(self) -> torch.nn.Module:
        """The undefended torch network, shared with this classifier."""
        network: torch.nn.Module = self.model.base
        return network

    @property
    def base(self) -> Self:
        """The undefended classifier: the same network and standardisation, shared, no defence."""
        return self.with_defences(())

    @property
    def placement(self) -> str:
        """`module` or `preprocessor`: where the defences are."""
        return "preprocessor" if self.preprocessing_defences else "module"

    def with_defences(
        self, defences: Sequence[Any], *, placement: str = "module", keep: Sequence[Any] = ()
    ) -> Self:
        """Return a classifier that shares this one's network but has other defences.

        Args:
            defences: Fitted defences, applied in order; copies take this classifier's layout and
                range.
            placement: `module`, or `preprocessor` for ART's own list.
            keep: Preprocessors of ART's own that run before them, in ART's list.

        Raises:
            InputError: Unknown placement, or a defence that only ART's list can hold after one
                that lives in the module.
        """
        if placement not in ("module", "preprocessor"):
            msg = f"placement must be 'module' or 'preprocessor', got {placement!r}"
            raise InputError(msg)
        adapted = [self._adapt(defence) for defence in defences]
        inside = adapted if placement == "module" else []
        outside = [*keep, *(adapted if placement == "preprocessor" else [])]
        for defence in inside:
            if not isinstance(defence, CodebookPreprocessor):
                msg = (
                    f"{type(defence).__name__} cannot live in the module; use "
                    "placement='preprocessor'"
                )
                raise InputError(msg)
            if not defence.apply_predict:
                msg = (
                    "a defence in the module is always applied; for apply_predict=False use "
                    "placement='preprocessor'"
                )
                raise InputError(msg)
        module = DefendedModule(
            self.base_network,
            inside,
            standardisation=self.model.standardisation,
            channels_first=self.channels_first,
            upper=float(self.clip_values[1].max()),
        )
        # ART takes torch's current device, whatever the network is on
        with torch.cuda.device(self.device) if self.device.type == "cuda" else nullcontext():
            return type(self)(
                model=module, preprocessing_defences=outside or None, **self._options()
            )

    def _adapt(self, defence: Any) -> Any:
        if not isinstance(defence, CodebookPreprocessor):
            return defence
        _ = defence.map  # raises NotFittedError here, not in the first attack
        first = self.channels_first
        defence.codebook.check_channels(self.input_shape[0 if first else -1])
        return defence.with_layout(
            channels_first=first, clip_values=(0.0, float(self.clip_values[1].max()))
        )

    def _options(self) -> dict[str, Any]:
        """Return what a classifier around the same network is made with, but for the defences."""
        return {
            "loss": self._loss,
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
            surrogate: See `PixelDiscretization`; defences without a surrogate stay as they are.
        """

        def swap(defence: Any) -> Any:
            if isinstance(defence, CodebookPreprocessor):
                return defence.with_surrogate(surrogate)
            return defence

        outside = [swap(defence) for defence in self.preprocessing_defences or ()]
        inside = [swap(defence) for defence in self.model.preprocessors]
        return self.with_defences(inside, keep=outside)

    def __reduce__(self) -> tuple[Any, ...]:
        # ART's own pickling writes weight files into its data folder and leaves them there
        state = {
            "model": self.model,
            "preprocessing_defences": self.preprocessing_defences,
            **self._options(),
        }
        return _rebuild, (type(self), state)


def _rebuild(kind: type[DefendedClassifier], state: dict[str, Any]) -> DefendedClassifier:
    return kind(**state)
