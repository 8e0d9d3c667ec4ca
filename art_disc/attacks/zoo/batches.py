"""Rows of the attacks on a whole batch, on features, and on videos."""

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from art.attacks.attack import EvasionAttack
from art.attacks.evasion import (
    FeatureAdversariesNumpy,
    FeatureAdversariesPyTorch,
    TargetedUniversalPerturbation,
    UniversalPerturbation,
    Wasserstein,
)

from art_disc.attacks.spec import AttackRequest, AttackSpec, Settings, in_tiers
from art_disc.attacks.zoo.feeding import (
    Fed,
    guides,
    one_target,
)
from art_disc.attacks.zoo.steps import step_size
from art_disc.core.checks import Float32Array

# tenths of the regularisation that are tried where gradients are too steep for it
_SOFTENED = 3


def _universal(request: AttackRequest, settings: Settings) -> EvasionAttack:
    return UniversalPerturbation(
        request.classifier,
        attacker="pgd",
        attacker_params={
            "eps": request.eps,
            "eps_step": request.eps / 4,
            "max_iter": int(settings["inner_iter"]),
            "norm": request.order,
            "verbose": False,
        },
        delta=float(settings["delta"]),
        max_iter=int(settings["max_iter"]),
        eps=request.eps,
        norm=request.order,
        batch_size=request.batch_size,
        verbose=False,
    )


def _feed_common(attack: Any, x: Float32Array, onehot: Float32Array, *, targeted: bool) -> Any:
    return attack.generate(x, onehot if targeted else one_target(attack.estimator, x, onehot))


def _universal_targeted(request: AttackRequest, settings: Settings) -> EvasionAttack:
    attack = TargetedUniversalPerturbation(
        request.classifier,
        attacker="fgsm",
        # ART's default would move away from the target
        attacker_params={"eps": request.eps, "norm": request.order, "targeted": True},
        delta=float(settings["delta"]),
        max_iter=int(settings["max_iter"]),
        eps=request.eps,
        norm=request.order,
    )
    return Fed(attack, partial(_feed_common, targeted=request.targeted))


@contextlib.contextmanager
def _hooks_removed(estimator: Any) -> Iterator[None]:
    """Remove the hooks that `get_activations` leaves in the network, which others share."""
    layers = list(estimator.model.modules())
    before = [set(layer._forward_hooks) for layer in layers]
    try:
        yield
    finally:
        for layer, kept in zip(layers, before, strict=True):
            for key in set(layer._forward_hooks) - kept:
                del layer._forward_hooks[key]
        # what they caught, and ART's note that the hook is there
        vars(estimator).pop("_features", None)


def _feed_guides(attack: Any, x: Float32Array, onehot: Float32Array) -> Any:
    with _hooks_removed(attack.estimator):
        return attack.generate(x, x[guides(onehot)])


def _features(request: AttackRequest, settings: Settings) -> EvasionAttack:
    attack = FeatureAdversariesPyTorch(
        request.classifier,
        delta=request.eps,
        # by name ART hooks the layer once, by number at every call
        layer=request.classifier._layer_names[-1],
        max_iter=int(settings["max_iter"]),
        step_size=step_size(request, settings),
        random_start=True,
        batch_size=request.batch_size,
        verbose=False,
    )
    return Fed(attack, _feed_guides)


def _feed_each_guide(
    attack: Any, x: Float32Array, onehot: Float32Array, *, options: dict[str, float]
) -> Any:
    found = []
    for i, j in enumerate(guides(onehot)):
        # ART adds a hook at every call
        with _hooks_removed(attack.estimator):
            found.append(attack.generate(x[i : i + 1], x[j : j + 1], **options))
    return np.concatenate(found).reshape(x.shape)


def _features_numpy(request: AttackRequest, settings: Settings) -> EvasionAttack:
    attack = FeatureAdversariesNumpy(
        request.classifier,
        delta=request.eps,
        layer=len(request.classifier._layer_names) - 1,
        batch_size=request.batch_size,
    )
    options = {
        "maxiter": int(settings["max_iter"]),
        "maxls": int(settings["line_search"]),
        "eps": float(settings["width"]),
    }
    return Fed(attack, partial(_feed_each_guide, options=options))


def _feed_softened(attack: Any, x: Float32Array, onehot: Float32Array) -> Any:
    """Feed it with weaker steps where exp(regularization * gradient) overflows."""
    asked = attack.regularization
    try:
        for _ in range(_SOFTENED):
            try:
                return attack.generate(x, onehot)
            except ValueError as error:
                if "Overflow" not in str(error):
                    raise
            attack.set_params(regularization=attack.regularization / 10)
        return attack.generate(x, onehot)
    finally:
        attack.set_params(regularization=asked)


def _wasserstein(request: AttackRequest, settings: Settings) -> EvasionAttack:
    attack = Wasserstein(
        request.classifier,
        targeted=request.targeted,
        regularization=float(settings["regularization"]),
        eps=float(settings["eps"]),
        eps_step=float(settings["eps_step"]),
        eps_iter=int(settings["eps_iter"]),
        max_iter=int(settings["max_iter"]),
        conjugate_sinkhorn_max_iter=int(settings["sinkhorn_iter"]),
        projected_sinkhorn_max_iter=int(settings["sinkhorn_iter"]),
        batch_size=request.batch_size,
        verbose=False,
    )
    return Fed(attack, _feed_softened)


ROWS: tuple[AttackSpec, ...] = (
    AttackSpec(
        name="universal",
        label="Universal perturbation, from PGD",
        art="UniversalPerturbation",
        make=_universal,
        tiers=in_tiers(
            {"max_iter": 20, "inner_iter": 10, "delta": 0.1},
            smoke={"max_iter": 5, "inner_iter": 5},
            strong={"max_iter": 50, "inner_iter": 40, "delta": 0.0},
        ),
        norms=("inf", "2"),
        gradients=True,
        targetable=False,
        cost=lambda s: (s["max_iter"] * s["inner_iter"], 5 * s["max_iter"] + 2),
        note="one change for the whole batch",
    ),
    AttackSpec(
        name="universal_targeted",
        label="Targeted universal perturbation, from FGSM",
        art="TargetedUniversalPerturbation",
        make=_universal_targeted,
        tiers=in_tiers(
            {"max_iter": 20, "delta": 0.1}, smoke={"max_iter": 5}, strong={"max_iter": 100}
        ),
        norms=("inf", "2"),
        gradients=True,
        targetable=True,
        cost=lambda s: (s["max_iter"], 4 * s["max_iter"] + 3),
        note="one change for the whole batch; without a target it aims at the commonest runner-up",
    ),
    AttackSpec(
        name="feature_adversaries",
        label="Feature adversaries, PyTorch",
        art="FeatureAdversariesPyTorch",
        make=_features,
        tiers=in_tiers(
            {"max_iter": 100, "eps_step": 0.0}, smoke={"max_iter": 30}, strong={"max_iter": 500}
        ),
        norms=("inf",),
        gradients=True,
        targetable=False,
        cost=lambda s: (2 * s["max_iter"], 0),
        note="guided by the next image of another class; on the network's output; the hook that "
        "ART leaves in the network is removed",
    ),
    AttackSpec(
        name="feature_adversaries_numpy",
        label="Feature adversaries, L-BFGS on finite differences",
        art="FeatureAdversariesNumpy",
        make=_features_numpy,
        tiers=in_tiers(
            {"max_iter": 20, "line_search": 10, "width": 0.1},
            smoke={"max_iter": 2, "line_search": 3},
            strong={"max_iter": 200, "line_search": 20},
        ),
        norms=("inf",),
        gradients=False,
        targetable=False,
        # SciPy takes finite differences at every point of its line search; for 1,000 pixels
        cost=lambda s: (0, 1000 * (s["max_iter"] + 1) * (s["line_search"] + 1)),
        note="fed singly, guided as the one above; differences about as wide as a cell",
    ),
    AttackSpec(
        name="wasserstein",
        label="Wasserstein",
        art="Wasserstein",
        make=_wasserstein,
        tiers=in_tiers(
            {
                "eps": 0.3,
                "eps_step": 0.1,
                "eps_iter": 10,
                "regularization": 100.0,
                "max_iter": 100,
                "sinkhorn_iter": 100,
            },
            smoke={"eps": 1.0, "max_iter": 8, "sinkhorn_iter": 10},
            strong={"max_iter": 400, "sinkhorn_iter": 400},
        ),
        norms=(),
        bounded=False,
        gradients=True,
        targetable=True,
        cost=lambda s: (s["max_iter"], s["max_iter"] + 2),
        note="its budget is a transport distance; ART's regularisation of 3000 overflows here",
    ),
)
