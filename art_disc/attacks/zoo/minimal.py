"""Rows of the gradient attacks that look for the smallest change; none takes a budget."""

import contextlib
import io
from typing import Any

import numpy as np
from art.attacks.attack import EvasionAttack
from art.attacks.evasion import (
    CarliniL0Method,
    CarliniL2Method,
    CarliniLInfMethod,
    DeepFool,
    ElasticNet,
    LowProFool,
    NewtonFool,
    SaliencyMapMethod,
)
from torch import nn

from art_disc.attacks.spec import AttackRequest, AttackSpec, Settings, in_tiers
from art_disc.attacks.zoo.feeding import around, as_batch, right_ones, runner_up
from art_disc.attacks.zoo.rows import CLASSES, minimal, ready
from art_disc.core.checks import Float32Array

# how often a classifier that draws is asked for a start that misleads twice
_TRIES = 5
# of DeepFool's steps that all images are given
_FIRST_STEPS = 5


def _jsma(request: AttackRequest, settings: Settings) -> EvasionAttack:
    # with y it aims; without, it draws a wrong class for each image
    feed = as_batch if request.targeted else lambda attack, x, _: attack.generate(x)
    return ready(SaliencyMapMethod, feed=feed)(request, settings)


def _feed_few_steps_first(attack: Any, x: Float32Array, _: Float32Array) -> Any:
    """Feed all for a few of DeepFool's steps, and then what these leave for all of its steps.

    ART adds the overshoot behind the last step, so before it an image creeps up to the boundary for
    as many steps as there are, and its batch with it. Moosavi-Dezfooli et al. 2016 look behind the
    overshoot after each step; most images have crossed by the third.
    """
    steps, classifier = attack.max_iter, attack.estimator
    # by its draws an image can look as if it had crossed
    if steps <= _FIRST_STEPS or getattr(classifier, "is_random", False):
        return attack.generate(x)
    attack.set_params(max_iter=_FIRST_STEPS)
    try:
        made = attack.generate(x)
    finally:
        attack.set_params(max_iter=steps)
    before, after = (
        classifier.predict(images, batch_size=attack.batch_size).argmax(axis=1)
        for images in (x, made)
    )
    stand = before == after
    if stand.any():
        made[stand] = attack.generate(x[stand])
    return made


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

    feed = _feed_again if getattr(request.classifier, "is_random", False) else _feed_quietly
    return ready(BrendelBethgeAttack, feed=feed, batch_size=1)(request, settings)


def _as_rows(classifier: Any) -> Any:
    shape = tuple(classifier.input_shape)
    # images as they are too, of which targets are chosen
    rows = nn.Sequential(nn.Flatten(), nn.Unflatten(1, shape))
    return around(classifier, before=rows, input_shape=(int(np.prod(shape)),))


def _feed_flat(attack: Any, x: Float32Array, onehot: Float32Array) -> Any:
    return np.reshape(attack.generate(x.reshape(len(x), -1), onehot), x.shape)


def _equal(request: AttackRequest, _: Settings) -> Any:
    return np.ones(int(np.prod(request.classifier.input_shape)))


def _linf_cost(settings: Settings) -> tuple[float, float]:
    # its bound on the change falls by the factor from 1 to 1 / 256; two such rounds as a rule
    rounds = 2 * np.log(256) / -np.log(settings["decrease_factor"])
    steps = float(2 * rounds * settings["max_iter"])
    return steps, steps


# with ART's 0.01 for both, few steps do not leave the cell of a code
_CARLINI = {"learning_rate": 0.1, "initial_const": 1.0}


ROWS: tuple[AttackSpec, ...] = (
    minimal(
        "deepfool",
        "DeepFool",
        DeepFool,
        make=ready(
            DeepFool,
            feed=_feed_few_steps_first,
            nb_grads=lambda request, _: min(10, request.classifier.nb_classes),
        ),
        # the overshoot of Moosavi-Dezfooli et al. 2016: ART's 1e-6 leaves images on the boundary,
        # where rounding decides what a pass in another batch says
        tiers=in_tiers(
            {"max_iter": 50, "epsilon": 0.02}, smoke={"max_iter": 20}, strong={"max_iter": 100}
        ),
        # where the first steps leave all
        cost=lambda s: (
            CLASSES * (s["max_iter"] + _FIRST_STEPS + 2),
            s["max_iter"] + _FIRST_STEPS + 6,
        ),
        note=f"all its steps only for images whose class the first {_FIRST_STEPS} do not change",
    ),
    minimal(
        "newtonfool",
        "NewtonFool",
        NewtonFool,
        tiers=in_tiers(
            {"max_iter": 100, "eta": 0.05}, smoke={"max_iter": 20}, strong={"max_iter": 500}
        ),
        cost=lambda s: (s["max_iter"], 2 * s["max_iter"] + 3),
    ),
    minimal(
        "jsma",
        "Saliency map method (JSMA)",
        SaliencyMapMethod,
        make=_jsma,
        tiers=in_tiers({"theta": 0.1, "gamma": 1.0}, smoke={"theta": 0.4}, strong={"theta": 0.05}),
        norms=("0",),
        targetable=True,
        # a step changes two pixels by theta; an upper bound for 1,000 pixels
        cost=lambda s: (500 / s["theta"], 500 / s["theta"]),
        note="not given true labels: it aims at a class that it draws",
    ),
    AttackSpec(
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
        gradients=True,
        bounded=False,
        targetable=False,
        packages=("numba",),
        repeatable=False,
        note="fed singly: in a batch ART masks the true classes of all images; compiles for 40 s",
    ),
    minimal(
        "lowprofool",
        "LowProFool",
        LowProFool,
        make=ready(
            LowProFool,
            seen=_as_rows,
            feed=_feed_flat,
            aim=runner_up,
            norm=2,
            # success is the predicted class, as everywhere here
            threshold=None,
            importance=_equal,
        ),
        tiers=in_tiers(
            {"n_steps": 100, "lambd": 1.5, "eta": 0.2, "eta_decay": 0.98},
            smoke={"n_steps": 20},
            strong={"n_steps": 500, "eta_decay": 0.995},
        ),
        targetable=True,
        cost=lambda s: (s["n_steps"], s["n_steps"] + 2),
        note="for tables: fed flat rows with equal importances, and the runner-up class as target",
    ),
    minimal(
        "cw_l2",
        "Carlini and Wagner, l2",
        CarliniL2Method,
        tiers=in_tiers(
            {**_CARLINI, "binary_search_steps": 5, "max_iter": 50},
            smoke={"binary_search_steps": 3, "max_iter": 10},
            # the original's
            strong={
                "learning_rate": 0.01,
                "initial_const": 0.001,
                "binary_search_steps": 9,
                "max_iter": 1000,
            },
        ),
        targetable=True,
        cost=lambda s: (
            2 * s["binary_search_steps"] * s["max_iter"],
            11 * s["binary_search_steps"] * s["max_iter"],
        ),
        note="mixes hard predictions with surrogate gradients; weak on coarse codebooks",
    ),
    minimal(
        "cw_l0",
        "Carlini and Wagner, l0",
        CarliniL0Method,
        tiers=in_tiers(
            {**_CARLINI, "binary_search_steps": 3, "max_iter": 20},
            smoke={"binary_search_steps": 2, "max_iter": 10},
            strong={"binary_search_steps": 5, "max_iter": 200},
        ),
        norms=("0",),
        targetable=True,
        cost=lambda s: (
            10 * s["binary_search_steps"] * s["max_iter"],
            110 * s["binary_search_steps"] * s["max_iter"],
        ),
        note="mixes hard predictions with surrogate gradients; weak on coarse codebooks",
    ),
    minimal(
        "cw_linf",
        "Carlini and Wagner, l_inf",
        CarliniLInfMethod,
        tiers=in_tiers(
            {
                "learning_rate": 0.1,
                "max_iter": 20,
                "decrease_factor": 0.8,
                "initial_const": 1e-2,
                "largest_const": 20.0,
                "const_factor": 4.0,
            },
            smoke={"max_iter": 10, "decrease_factor": 0.7, "const_factor": 8.0},
            strong={
                "max_iter": 100,
                "decrease_factor": 0.9,
                "initial_const": 1e-5,
                "const_factor": 2.0,
            },
        ),
        norms=("inf",),
        targetable=True,
        cost=_linf_cost,
        note="weaker than the original, says ART's issue 1374",
    ),
    minimal(
        "elastic_net",
        "Elastic net (EAD)",
        ElasticNet,
        tiers=in_tiers(
            {"learning_rate": 0.01, "binary_search_steps": 9, "max_iter": 100, "beta": 1e-3},
            smoke={"learning_rate": 0.1, "binary_search_steps": 6, "max_iter": 15},
            strong={"max_iter": 1000},
        ),
        norms=("1",),
        targetable=True,
        cost=lambda s: (
            2 * s["binary_search_steps"] * s["max_iter"],
            2 * s["binary_search_steps"] * s["max_iter"] + 10,
        ),
    ),
)
