"""Rows of the adversarial patch, in three of ART's versions."""

from functools import partial
from typing import Any

import numpy as np
from art.attacks.attack import EvasionAttack
from art.attacks.evasion import (
    AdversarialPatch,
    AdversarialPatchNumpy,
    AdversarialPatchPyTorch,
)
from art.estimators.classification import PyTorchClassifier

from art_disc.attacks.spec import AttackRequest, AttackSpec, Settings, Tiers, in_tiers
from art_disc.attacks.zoo.feeding import (
    Fed,
    around,
    one_target,
)
from art_disc.attacks.zoo.rows import scene
from art_disc.core.checks import Float32Array


def _feed_patch(
    attack: Any, x: Float32Array, onehot: Float32Array, *, scale: float, choose: bool
) -> Any:
    attack.generate(x, one_target(attack.estimator, x, onehot) if choose else onehot)
    return attack.apply_patch(x, scale=scale)


class _PlainLimits(PyTorchClassifier):
    """A classifier that tells its clip values as float64, which NumPy derives from float.

    `AdversarialPatchNumpy` asks whether their mean is a float; ART keeps them as float32, which
    under NumPy 1 became a float64 on the way.
    """

    @property
    def clip_values(self) -> tuple[np.float64, np.float64]:
        """Lowest and highest value of the input."""
        low, high = (np.float64(np.max(value)) for value in super().clip_values)
        return low, high


def _patch(kind: Any, request: AttackRequest, settings: Settings) -> EvasionAttack:
    upper = float(np.max(request.classifier.clip_values[1]))
    shape = tuple(request.classifier.input_shape)
    numpy_only = kind is AdversarialPatchNumpy
    attack = kind(
        around(request.classifier, kind=_PlainLimits) if numpy_only else request.classifier,
        scale_min=float(settings["scale"]) / 2,
        scale_max=float(settings["scale"]),
        learning_rate=float(settings["learning_rate"]) * upper,
        max_iter=int(settings["max_iter"]),
        batch_size=request.batch_size,
        targeted=numpy_only or request.targeted,
        verbose=False,
        # the NumPy one takes the images' shape by itself
        **({} if numpy_only else {"patch_shape": shape}),
    )
    # the NumPy one always aims
    choose = numpy_only and not request.targeted
    return Fed(attack, partial(_feed_patch, scale=float(settings["scale"]), choose=choose))


def _with_rate(rate: float) -> Tiers:
    return in_tiers(
        {"max_iter": 200, "learning_rate": rate, "scale": 0.5},
        smoke={"max_iter": 30},
        strong={"max_iter": 1000},
    )


_PATCH: dict[str, Any] = {
    "tiers": _with_rate(0.1),
    "gradients": True,
    "targetable": True,
    "cost": lambda s: (s["max_iter"], 2),
}


ROWS: tuple[AttackSpec, ...] = (
    scene(
        "patch",
        "Adversarial patch",
        AdversarialPatch,
        make=partial(_patch, AdversarialPatch),
        packages=("torchvision",),
        note="one patch for the whole batch, at random places",
        **_PATCH,
    ),
    scene(
        "patch_torch",
        "Adversarial patch, ART's PyTorch code",
        AdversarialPatchPyTorch,
        make=partial(_patch, AdversarialPatchPyTorch),
        packages=("torchvision",),
        note="what patch runs for a classifier of ours",
        **_PATCH,
    ),
    scene(
        "patch_numpy",
        "Adversarial patch, ART's NumPy code",
        AdversarialPatchNumpy,
        make=partial(_patch, AdversarialPatchNumpy),
        note="aims at the commonest runner-up; given clip values in float64: ART asks whether they "
        "are floats, which float32 under NumPy 2 is not",
        # plain gradient steps, where the other two take Adam's
        **(_PATCH | {"tiers": _with_rate(1.0)}),
    ),
)
