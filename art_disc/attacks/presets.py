"""ART's attacks with parameters, in two tiers, and what each costs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from art.attacks.attack import EvasionAttack
from art.attacks.evasion import (
    AutoProjectedGradientDescent,
    FastGradientMethod,
    ProjectedGradientDescent,
    SquareAttack,
)

from art_disc.attacks.sign_adam import SignAdamBPDA
from art_disc.core.errors import InputError

Settings = Mapping[str, float | int]


@dataclass(frozen=True, slots=True)
class Request:
    """What an attack is made for: classifier, budget, norm, target and batch size."""

    classifier: Any
    eps: float
    norm: str
    targeted: bool
    batch_size: int

    @property
    def common(self) -> dict[str, Any]:
        """Keyword arguments that ART's attacks share."""
        return {
            "estimator": self.classifier,
            "eps": self.eps,
            "targeted": self.targeted,
            "batch_size": self.batch_size,
        }

    @property
    def order(self) -> float:
        """Norm as ART writes it."""
        return np.inf if self.norm == "inf" else 2


@dataclass(frozen=True, slots=True)
class AttackSpec:
    """One attack of the evaluation.

    Attributes:
        name: Name in tables and in `--set NAME.key=value`.
        label: Full name.
        make: Makes ART's object from a request and settings.
        settings: Settings and their values in the `standard` tier.
        quick: Values that differ in the `quick` tier; None: not in that tier.
        norms: Norms that it knows, `inf` and `2`.
        gradients: Whether it differentiates the classifier.
        targetable: Whether it can aim at a class.
        cost: Passes an image, (gradients, queries), from its settings.
    """

    name: str
    label: str
    make: Callable[[Request, Settings], EvasionAttack]
    settings: Settings
    quick: Settings | None
    norms: tuple[str, ...]
    gradients: bool
    targetable: bool
    cost: Callable[[Settings], tuple[float, float]]

    def refuses(self, norm: str, nb_classes: int, *, targeted: bool) -> str:
        """Return why it cannot run so, or an empty string."""
        if norm not in self.norms:
            return f"knows the norms {', '.join(self.norms)} only"
        if targeted and not self.targetable:
            return "cannot aim at a class"
        if self.name == "apgd_dlr" and nb_classes < 3:
            return "the DLR loss needs at least 3 classes"
        return ""


def _step(request: Request, settings: Settings) -> float:
    """Step size; 0 means 2.5 budgets spread over the steps (Madry et al. 2018)."""
    return float(settings["eps_step"]) or 2.5 * request.eps / settings["max_iter"]


def _fgsm(request: Request, settings: Settings) -> EvasionAttack:
    return FastGradientMethod(
        **request.common,
        norm=request.order,
        num_random_init=int(settings["num_random_init"]),
    )


def _pgd(request: Request, settings: Settings) -> EvasionAttack:
    return ProjectedGradientDescent(
        **request.common,
        norm=request.order,
        eps_step=_step(request, settings),
        max_iter=int(settings["max_iter"]),
        num_random_init=int(settings["num_random_init"]),
        verbose=False,
    )


def _apgd(loss: str) -> Callable[[Request, Settings], EvasionAttack]:
    def make(request: Request, settings: Settings) -> EvasionAttack:
        return AutoProjectedGradientDescent(
            **request.common,
            norm=request.order,
            # the step that Croce and Hein 2020 start from
            eps_step=2 * request.eps,
            max_iter=int(settings["max_iter"]),
            nb_random_init=int(settings["num_random_init"]),
            loss_type=loss,
            verbose=False,
        )

    return make


def _sign_adam(request: Request, settings: Settings) -> EvasionAttack:
    return SignAdamBPDA(
        **request.common,
        eps_step=_step(request, settings),
        max_iter=int(settings["max_iter"]),
        verbose=False,
    )


def _square(request: Request, settings: Settings) -> EvasionAttack:
    return SquareAttack(
        estimator=request.classifier,
        eps=request.eps,
        norm=request.order,
        max_iter=int(settings["max_iter"]),
        p_init=float(settings["p_init"]),
        nb_restarts=int(settings["nb_restarts"]),
        batch_size=request.batch_size,
        verbose=False,
    )


def _iterations(settings: Settings) -> float:
    return settings["max_iter"] * max(1, settings["num_random_init"])


PRESETS: dict[str, AttackSpec] = {
    spec.name: spec
    for spec in (
        AttackSpec(
            name="fgsm",
            label="Fast gradient sign method",
            make=_fgsm,
            settings={"num_random_init": 0},
            quick={},
            norms=("inf", "2"),
            gradients=True,
            targetable=True,
            cost=lambda _: (1, 1),
        ),
        AttackSpec(
            name="pgd",
            label="Projected gradient descent, random starts",
            make=_pgd,
            settings={"max_iter": 40, "num_random_init": 2, "eps_step": 0.0},
            quick={"max_iter": 20, "num_random_init": 1},
            norms=("inf", "2"),
            gradients=True,
            targetable=True,
            cost=lambda s: (_iterations(s), 2),
        ),
        AttackSpec(
            name="apgd_ce",
            label="AutoPGD, cross-entropy",
            make=_apgd("cross_entropy"),
            settings={"max_iter": 50, "num_random_init": 1},
            quick=None,
            norms=("inf", "2"),
            gradients=True,
            targetable=True,
            cost=lambda s: (_iterations(s), 2 * _iterations(s)),
        ),
        AttackSpec(
            name="apgd_dlr",
            label="AutoPGD, difference of logits ratio",
            make=_apgd("difference_logits_ratio"),
            settings={"max_iter": 50, "num_random_init": 1},
            quick=None,
            norms=("inf", "2"),
            gradients=True,
            targetable=False,
            cost=lambda s: (_iterations(s), 2 * _iterations(s)),
        ),
        AttackSpec(
            name="sign_adam",
            label="Sign-Adam BPDA (the papers' own)",
            make=_sign_adam,
            settings={"max_iter": 100, "eps_step": 0.0},
            quick={"max_iter": 20},
            norms=("inf",),
            gradients=True,
            targetable=True,
            cost=lambda s: (s["max_iter"], 1),
        ),
        AttackSpec(
            name="square",
            label="Square attack (queries only)",
            make=_square,
            settings={"max_iter": 1000, "p_init": 0.8, "nb_restarts": 1},
            quick={"max_iter": 100},
            norms=("inf", "2"),
            gradients=False,
            targetable=False,
            cost=lambda s: (0, 3 * s["max_iter"] * s["nb_restarts"]),
        ),
    )
}

TIERS = ("quick", "standard")


def attack_table(
    choice: str | list[str], changes: Mapping[str, float | int | str] = {}
) -> list[tuple[AttackSpec, dict[str, float | int]]]:
    """Return the attacks of a tier, or those named, with their settings.

    Args:
        choice: `quick`, `standard`, or names of `PRESETS`, as a list or joined by commas.
        changes: `NAME.setting` to value, over the tier's own; text is read as a number.

    Raises:
        InputError: Unknown tier, attack or setting.
    """
    quick = choice == "quick"
    if isinstance(choice, str) and choice in TIERS:
        names = [name for name, spec in PRESETS.items() if not quick or spec.quick is not None]
    else:
        words = choice.split(",") if isinstance(choice, str) else list(choice)
        names = [word.strip() for word in words]
    for name in names:
        if name not in PRESETS:
            known = ", ".join((*TIERS, *PRESETS))
            msg = f"unknown attack {name!r}; known: {known}, or ART attack objects"
            raise InputError(msg)
    changed = parse_settings(changes)
    if idle := sorted(set(changed) - set(names)):
        msg = f"settings for {', '.join(idle)}, which is not run; attacks: {', '.join(names)}"
        raise InputError(msg)
    rows = []
    for name in names:
        spec = PRESETS[name]
        own = dict(spec.settings) | (dict(spec.quick or {}) if quick else {})
        rows.append((spec, own | changed.get(name, {})))
    return rows


def parse_settings(
    changes: Mapping[str, float | int | str],
) -> dict[str, dict[str, float | int]]:
    """Return settings by attack from `NAME.setting` keys.

    Raises:
        InputError: Unknown attack or setting, or a value that is no number.
    """
    from fractions import Fraction

    result: dict[str, dict[str, float | int]] = {}
    for key, value in changes.items():
        name, _, setting = key.partition(".")
        if name not in PRESETS or setting not in PRESETS[name].settings:
            known = [f"{n}.{s}" for n, spec in PRESETS.items() for s in spec.settings]
            msg = f"unknown setting {key!r}; known: {', '.join(known)}"
            raise InputError(msg)
        try:
            number = Fraction(value)
        except (TypeError, ValueError, OverflowError, ZeroDivisionError):
            msg = f"{key} must be a number, got {value!r}"
            raise InputError(msg) from None
        kind = type(PRESETS[name].settings[setting])
        if kind is int and number.denominator != 1:
            msg = f"{key} must be a whole number, got {value!r}"
            raise InputError(msg)
        result.setdefault(name, {})[setting] = kind(number)
    return result
