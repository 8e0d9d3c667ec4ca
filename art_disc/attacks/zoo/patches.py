"""Rows of the adversarial patch, in three of ART's versions."""

from functools import partial
from typing import Any

import numpy as np
from art.attacks.attack import EvasionAttack
from art.attacks.evasion import AdversarialPatch, AdversarialPatchNumpy, AdversarialPatchPyTorch
from art.estimators.classification import PyTorchClassifier

from art_disc.attacks.spec import AttackRequest, AttackSpec, Settings, in_tiers
from art_disc.attacks.zoo.feeding import around, image_shape, one_target
from art_disc.attacks.zoo.rows import ready, scene, setting
from art_disc.core.checks import Float32Array


def _feed_patch(attack: Any, x: Float32Array, onehot: Float32Array, *, scale: float) -> Any:
    attack.generate(x, onehot)
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
    if kind is AdversarialPatchNumpy:
        # it always aims, and takes the images' shape by itself
        own: dict[str, Any] = {
            "seen": partial(around, kind=_PlainLimits),
            "aim": one_target,
            "targeted": True,
        }
    else:
        channels, *sides = image_shape(request.classifier)
        # channels first and square, whatever the images are
        own = {"patch_shape": (channels, min(sides), min(sides))}
    make = ready(
        kind,
        feed=partial(_feed_patch, scale=settings["scale"]),
        scale_min=setting("scale", 0.5),
        scale_max=setting("scale"),
        learning_rate=setting("learning_rate", request.upper),
        **own,
    )
    return make(request, settings)


def _row(
    name: str, label: str, kind: Any, note: str, *, rate: float = 0.1, packages: tuple[str, ...]
) -> AttackSpec:
    return scene(
        name,
        label,
        kind,
        make=partial(_patch, kind),
        tiers=in_tiers(
            {"max_iter": 200, "learning_rate": rate, "scale": 0.5},
            smoke={"max_iter": 30},
            strong={"max_iter": 1000},
        ),
        gradients=True,
        targetable=True,
        cost=lambda s: (s["max_iter"], 2),
        packages=packages,
        note=note,
    )


ROWS: tuple[AttackSpec, ...] = (
    _row(
        "patch",
        "Adversarial patch",
        AdversarialPatch,
        "one patch for the whole batch, at random places",
        packages=("torchvision",),
    ),
    _row(
        "patch_torch",
        "Adversarial patch, ART's PyTorch code",
        AdversarialPatchPyTorch,
        "what patch runs for a classifier of ours",
        packages=("torchvision",),
    ),
    _row(
        "patch_numpy",
        "Adversarial patch, ART's NumPy code",
        AdversarialPatchNumpy,
        "aims at the commonest runner-up; given clip values in float64: ART asks whether they are "
        "floats, which float32 under NumPy 2 is not",
        # plain gradient steps, where the other two take Adam's
        rate=1.0,
        packages=(),
    ),
)
