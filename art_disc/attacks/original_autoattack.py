"""AutoAttack as its authors publish it, called on an ART classifier; a package of the user's."""

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from numpy.typing import NDArray
from torch import nn

from art_disc.attacks.base import OwnAttack, drawn_seed
from art_disc.attacks.squares import fitting_fraction
from art_disc.core.checks import BoolArray, Float32Array, check_choice
from art_disc.core.errors import InputError, MissingExtraError
from art_disc.estimators.applied import applied

# of the package's Square, as published
_P_INIT = 0.8
VERSIONS = ("standard", "plus", "rand")


class _InUnitRange(nn.Module):
    """The classifier's model on images in [0, 1], which is all that the package knows."""

    def __init__(self, model: nn.Module, upper: float) -> None:
        super().__init__()
        self.model, self.upper = model, upper

    def forward(self, x: torch.Tensor) -> Any:
        return self.model(x if self.upper == 1 else x * self.upper)


@dataclass(eq=False, repr=False, kw_only=True)
class OriginalAutoAttack(OwnAttack):
    """The package `autoattack` on `estimator.model`, unchanged (Croce and Hein 2020).

    The defence has to live in the model, as `placement="module"` puts it there; a classifier with
    ART preprocessors is refused, since the package would not see them. An image that the package
    cannot break comes back as it was.

    Args:
        estimator: An ART `PyTorchClassifier` that returns logits, NCHW.
        eps: Budget in the input range.
        norm: infinity or 2.
        version: `standard`, `plus`, or `rand` for a randomised defence.
        n_iter: Steps of APGD and FAB; 100 is the package's own.
        n_queries: Of Square; 5000 is the package's own.
        batch_size: Images at once.

    Raises:
        MissingExtraError: The package is not installed.
        InputError: Preprocessors in ART's list, another layout, norm or version.
    """

    eps: float
    norm: float = np.inf
    version: str = "standard"
    n_iter: int = 100
    n_queries: int = 5000
    batch_size: int = 250

    _estimator_requirements = (BaseEstimator, LossGradientsMixin)

    def _check_params(self) -> None:
        super()._check_params()
        check_choice(self.version, "version", VERSIONS)
        if self.norm not in (np.inf, 2):
            msg = f"norm must be infinity or 2, got {self.norm!r}"
            raise InputError(msg)
        if applied(self.estimator.preprocessing_operations):
            msg = (
                "the package attacks the model alone and would bypass ART's preprocessors; build "
                "the classifier with placement='module' and preprocessing inside it"
            )
            raise InputError(msg)
        if not self.estimator.channels_first:
            msg = "the package takes NCHW images; build the classifier with channels_first=True"
            raise InputError(msg)

    def _run(self, x: Float32Array, labels: NDArray[np.int64], free: BoolArray) -> Float32Array:
        if not free.all():
            msg = "the package autoattack knows no mask; use pgd or sign_adam, or leave mask out"
            raise InputError(msg)
        upper = float(np.max(self.estimator.clip_values[1]))
        found = self._package(upper).run_standard_evaluation(
            torch.from_numpy(x / np.float32(upper)), torch.from_numpy(labels), bs=self.batch_size
        )
        return np.asarray(found.cpu().numpy() * np.float32(upper), dtype=np.float32)

    def _package(self, upper: float) -> Any:
        try:
            package: Any = importlib.import_module("autoattack")
        except ImportError:
            msg = (
                "the package autoattack is not installed; get it from its authors "
                "(github.com/fra31/auto-attack), or use ART's own with the attack 'autoattack'"
            )
            raise MissingExtraError(msg) from None
        adversary = package.AutoAttack(
            _InUnitRange(self.estimator.model, upper).eval(),
            norm="Linf" if self.norm == np.inf else "L2",
            eps=self.eps / upper,
            # the package seeds torch itself; from NumPy's stream, a run can be repeated
            seed=drawn_seed(),
            verbose=False,
            version=self.version,
            device=str(self.estimator.device),
        )
        targets = min(9, self.estimator.nb_classes - 1)
        for part in (adversary.apgd, adversary.apgd_targeted, adversary.fab):
            part.n_iter = self.n_iter
        for part in (adversary.apgd_targeted, adversary.fab):
            part.n_target_classes = targets
        adversary.square.n_queries = self.n_queries
        height, width = self.estimator.input_shape[1:]
        if height != width:
            # its first squares would be cut off at the image's edge
            norm = "inf" if self.norm == np.inf else "2"
            adversary.square.p_init = fitting_fraction(_P_INIT, height, width, norm)
        return adversary
