"""Rows of the gradient attacks that look for the smallest change; none takes a budget."""

import contextlib
import io
from functools import partial
from typing import Any

import numpy as np
from art.attacks.attack import EvasionAttack
from art.attacks.evasion import (
    DeepFool,
    LowProFool,
    NewtonFool,
    SaliencyMapMethod,
)

from art_disc.attacks.spec import AttackRequest, AttackSpec, Settings, in_tiers
from art_disc.attacks.zoo.feeding import Fed, FromFlat, around, at_targets, right_ones
from art_disc.attacks.zoo.rows import CLASSES, minimal
from art_disc.core.checks import Float32Array

# how often a classifier that draws is asked for a start that misleads twice
_TRIES = 5


def _deepfool(request: AttackRequest, settings: Settings) -> EvasionAttack:
    return DeepFool(
        request.classifier,
        max_iter=int(settings["max_iter"]),
        nb_grads=min(10, request.classifier.nb_classes),
        batch_size=request.batch_size,
        verbose=False,
    )


def _newtonfool(request: AttackRequest, settings: Settings) -> EvasionAttack:
    return NewtonFool(
        request.classifier,
        max_iter=int(settings["max_iter"]),
        eta=float(settings["eta"]),
        batch_size=request.batch_size,
        verbose=False,
    )


def _feed_jsma(attack: Any, x: Float32Array, onehot: Float32Array, *, targeted: bool) -> Any:
    # with y it aims; without, it draws a wrong class for each image
    return attack.generate(x, onehot) if targeted else attack.generate(x)


def _jsma(request: AttackRequest, settings: Settings) -> EvasionAttack:
    attack = SaliencyMapMethod(
        request.classifier,
        theta=float(settings["theta"]),
        gamma=float(settings["gamma"]),
        batch_size=request.batch_size,
        verbose=False,
    )
    return Fed(attack, partial(_feed_jsma, targeted=request.targeted))


def _feed_quietly(attack: Any, x: Float32Array, onehot: Float32Array) -> Any:
    # its progress bars cannot be turned off
    with contextlib.redirect_stderr(io.StringIO()):
        return right_ones(attack, x, onehot)


def _feed_again(attack: Any, x: Float32Array, onehot: Float32Array) -> Any:
    """Feed images singly, again where a start misled once but not at ART's second look."""
    made = x.copy()
    for i in range(len(x)):
        for _ in range(_TRIES):
            with contextlib.suppress(AssertionError):
                made[i : i + 1] = _feed_quietly(attack, x[i : i + 1], onehot[i : i + 1])
                break
    return made


def _brendel_bethge(request: AttackRequest, settings: Settings) -> EvasionAttack:
    # ART leaves it out of its own list: the module needs numba
    from art.attacks.evasion.brendel_bethge import BrendelBethgeAttack

    attack = BrendelBethgeAttack(
        request.classifier,
        norm=request.order,
        targeted=False,
        steps=int(settings["steps"]),
        lr=float(settings["lr"]),
        binary_search_steps=int(settings["binary_search_steps"]),
        init_size=int(settings["init_size"]),
        batch_size=1,
    )
    random = getattr(request.classifier, "is_random", False)
    return Fed(attack, _feed_again if random else _feed_quietly)


def _feed_flat(attack: Any, x: Float32Array, onehot: Float32Array, *, targeted: bool) -> Any:
    rows = x.reshape(len(x), -1)
    return np.reshape(at_targets(attack, rows, onehot, targeted=targeted), x.shape)


def _lowprofool(request: AttackRequest, settings: Settings) -> EvasionAttack:
    shape = tuple(request.classifier.input_shape)
    features = int(np.prod(shape))
    flat = around(request.classifier, before=FromFlat(shape), input_shape=(features,))
    attack = LowProFool(
        flat,
        n_steps=int(settings["n_steps"]),
        # success is the predicted class, as everywhere here
        threshold=None,
        lambd=float(settings["lambd"]),
        eta=float(settings["eta"]),
        eta_decay=float(settings["eta_decay"]),
        importance=np.ones(features),
        verbose=False,
    )
    return Fed(attack, partial(_feed_flat, targeted=request.targeted))


ROWS: tuple[AttackSpec, ...] = (
    minimal(
        "deepfool",
        "DeepFool",
        "DeepFool",
        make=_deepfool,
        tiers=in_tiers({"max_iter": 50}, smoke={"max_iter": 20}, strong={"max_iter": 100}),
        norms=("2",),
        cost=lambda s: (CLASSES * (s["max_iter"] + 1), s["max_iter"] + 3),
    ),
    minimal(
        "newtonfool",
        "NewtonFool",
        "NewtonFool",
        make=_newtonfool,
        tiers=in_tiers(
            {"max_iter": 100, "eta": 0.05}, smoke={"max_iter": 20}, strong={"max_iter": 500}
        ),
        norms=("2",),
        cost=lambda s: (CLASSES * s["max_iter"], 2 * s["max_iter"] + 3),
    ),
    minimal(
        "jsma",
        "Saliency map method (JSMA)",
        "SaliencyMapMethod",
        make=_jsma,
        tiers=in_tiers({"theta": 0.1, "gamma": 1.0}, smoke={"theta": 0.4}, strong={"theta": 0.05}),
        norms=("0",),
        targetable=True,
        # a step changes two pixels by theta; an upper bound for 1,000 pixels
        cost=lambda s: (500 / s["theta"], 500 / s["theta"]),
        note="not given true labels: it aims at a class that it draws",
    ),
    minimal(
        "brendel_bethge",
        "Brendel and Bethge",
        "BrendelBethgeAttack",
        make=_brendel_bethge,
        tiers=in_tiers(
            {"steps": 200, "lr": 1e-2, "binary_search_steps": 10, "init_size": 100},
            smoke={"steps": 10},
            # ART's own
            strong={"steps": 1000, "lr": 1e-3},
        ),
        norms=("inf", "2"),
        cost=lambda s: (s["steps"], s["steps"] + s["binary_search_steps"] + s["init_size"] + 5),
        packages=("numba",),
        repeatable=False,
        note="fed singly: in a batch ART masks the true classes of all images; compiles for 40 s",
    ),
    minimal(
        "lowprofool",
        "LowProFool",
        "LowProFool",
        make=_lowprofool,
        tiers=in_tiers(
            {"n_steps": 100, "lambd": 1.5, "eta": 0.2, "eta_decay": 0.98},
            smoke={"n_steps": 20},
            strong={"n_steps": 500, "eta_decay": 0.995},
        ),
        norms=("2",),
        targetable=True,
        cost=lambda s: (s["n_steps"], s["n_steps"] + 2),
        note="for tables: fed flat rows with equal importances, and the runner-up class as target",
    ),
)
