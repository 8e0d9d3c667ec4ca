"""Rows of the attacks that paint, turn or light the scene; none keeps within a norm."""

from functools import partial
from typing import Any

import numpy as np
from art.attacks.attack import EvasionAttack
from art.attacks.evasion import (
    CompositeAdversarialAttackPyTorch,
    GRAPHITEBlackbox,
    GRAPHITEWhiteboxPyTorch,
    ShadowAttack,
    SpatialTransformation,
)
from art.attacks.evasion.laser_attack.laser_attack import LaserBeamAttack

from art_disc.attacks.spec import NUMPY_2, AttackRequest, AttackSpec, Settings, in_tiers
from art_disc.attacks.zoo.feeding import (
    FromColour,
    around,
    guides,
    image_shape,
    one_by_one,
    runner_up,
)
from art_disc.attacks.zoo.rows import ready, scene, setting
from art_disc.core.checks import Float32Array


def _feed_grid(attack: Any, x: Float32Array, onehot: Float32Array) -> Float32Array:
    found = []
    for image, row in zip(x, onehot, strict=True):
        # ART searches the worst of the grid for a batch and keeps it for every later call
        attack.attack_trans_x = attack.attack_trans_y = attack.attack_rot = None
        found.append(attack.generate(image[None].copy(), row[None]))
    return np.concatenate(found)


def _feed_colour(
    attack: Any, x: Float32Array, onehot: Float32Array, *, lens: FromColour, classes: bool
) -> Float32Array:
    y = onehot.argmax(axis=1) if classes else onehot
    return lens.bring_back(attack.generate(lens.invert(x), y))


def _laser(request: AttackRequest, settings: Settings) -> EvasionAttack:
    classifier = request.classifier
    shape = image_shape(classifier)
    canvas = shape[1:]
    lens = FromColour(shape, canvas, first_in=False, first_out=classifier.channels_first)
    make = ready(
        LaserBeamAttack,
        seen=partial(around, before=lens, input_shape=(*canvas, 3), channels_first=False),
        feed=partial(_feed_colour, lens=lens, classes=True),
        # wavelength [nm], angle, bias and width [pixels]
        max_laser_beam=(780.0, 3.14, float(canvas[1]), max(2, canvas[1] // 4)),
        random_initializations=setting("restarts"),
    )
    return make(request, settings)


def _fit_canvas(classifier: Any, _: str, settings: Settings) -> tuple[Settings, str]:
    shape = image_shape(classifier)
    fits = max(shape[1:]) <= 32 and shape[0] in (1, 3)
    return settings, "" if fits else f"is written for 3 x 32 x 32 images, these are {shape}"


def _composite(request: AttackRequest, settings: Settings) -> EvasionAttack:
    classifier = request.classifier
    shape = image_shape(classifier)
    lens = FromColour(shape, (32, 32), first_in=True, first_out=classifier.channels_first)
    limit = float(min(request.eps, 1.0))
    make = ready(
        CompositeAdversarialAttackPyTorch,
        seen=partial(around, before=lens, input_shape=(3, 32, 32), channels_first=True),
        feed=partial(_feed_colour, lens=lens, classes=False),
        pgd_epsilon=(-limit, limit),
    )
    return make(request, settings)


def _feed_stickers(attack: Any, x: Float32Array, onehot: Float32Array) -> Any:
    """Feed guides; an image of which ART's arithmetic makes NaN stays as it was.

    Its boost subtracts distances, and both are infinite where a classifier that draws took no
    step for adversarial.
    """
    chosen = guides(onehot)
    made = attack.generate(x, onehot[chosen], mask=np.ones_like(x), x_tar=x[chosen])
    lost = ~np.isfinite(made).reshape(len(made), -1).all(axis=1)
    return np.where(lost[:, None, None, None], x, made)


def _size(request: AttackRequest, _: Settings) -> tuple[int, int]:
    height, width = image_shape(request.classifier)[1:]
    return width, height


def _seventh(request: AttackRequest, _: Settings, least: int = 2) -> int:
    return max(least, min(image_shape(request.classifier)[1:]) // 7)


ROWS: tuple[AttackSpec, ...] = (
    scene(
        "spatial",
        "Spatial transformation, worst of a grid",
        SpatialTransformation,
        make=ready(SpatialTransformation, feed=_feed_grid),
        tiers=in_tiers(
            {
                "max_translation": 10.0,
                "num_translations": 3,
                "max_rotation": 30.0,
                "num_rotations": 13,
            },
            smoke={"num_rotations": 5},
            strong={"num_translations": 5, "num_rotations": 31},
        ),
        gradients=False,
        targetable=False,
        cost=lambda s: (0, s["num_translations"] ** 2 * s["num_rotations"] + 2),
        note="fed singly: for a batch ART looks for one transformation",
    ),
    scene(
        "shadow",
        "Shadow attack",
        ShadowAttack,
        make=ready(
            ShadowAttack,
            feed=one_by_one,
            # away from the label its gradient vanishes where the network is sure
            aim=runner_up,
            # ART's own weights, which are for large photographs, times a factor
            lambda_tv=setting("smoothness", 0.3),
            lambda_c=setting("smoothness", 1.0),
            lambda_s=setting("smoothness", 0.5),
            batch_size=setting("samples"),
            targeted=True,
        ),
        tiers=in_tiers(
            {"sigma": 0.1, "nb_steps": 100, "learning_rate": 0.3, "samples": 32, "smoothness": 0.1},
            smoke={"nb_steps": 20, "samples": 8, "learning_rate": 1.0},
            strong={"nb_steps": 300, "samples": 400},
        ),
        gradients=True,
        targetable=True,
        cost=lambda s: (s["nb_steps"] * s["samples"], 2),
        note="takes one image, and with y it aims: without a target at the runner-up class",
    ),
    scene(
        "laser_beam",
        "Laser beam",
        LaserBeamAttack,
        make=_laser,
        tiers=in_tiers(
            {"iterations": 50, "restarts": 5},
            smoke={"iterations": 10, "restarts": 2},
            strong={"iterations": 100, "restarts": 20},
        ),
        gradients=False,
        targetable=False,
        cost=lambda s: (0, 2 * s["iterations"] * s["restarts"] + 2),
        breaks_inside_art="np.asfarray is gone (laser_attack.py:315)" * NUMPY_2,
        note="fed colour images, channels last; grey is their mean",
    ),
    scene(
        "graphite_blackbox",
        "GRAPHITE, hard labels",
        GRAPHITEBlackbox,
        make=ready(
            GRAPHITEBlackbox,
            feed=_feed_stickers,
            noise_size=_size,
            net_size=_size,
            heat_patch_size=lambda *asked: (_seventh(*asked),) * 2,
            num_xforms_mask=setting("transforms"),
            num_xforms_boost=setting("transforms"),
            num_boost_queries=setting("queries"),
            blur_kernels=[0],
        ),
        tiers=in_tiers(
            {"transforms": 20, "queries": 1000},
            smoke={"transforms": 2, "queries": 50},
            strong={"transforms": 100, "queries": 20000},
        ),
        gradients=False,
        targetable=False,
        # its heat map tries every place of the patch; for 1,000 of them
        cost=lambda s: (0, s["queries"] + 1100 * s["transforms"]),
        packages=("cv2", "kornia"),
        note="aims at the class of the next image of another class, from that image",
    ),
    scene(
        "graphite_whitebox",
        "GRAPHITE, white box",
        GRAPHITEWhiteboxPyTorch,
        make=ready(
            GRAPHITEWhiteboxPyTorch,
            aim=runner_up,
            net_size=_size,
            num_xforms=setting("transforms"),
            patch_removal_size=_seventh,
            patch_removal_interval=partial(_seventh, least=1),
            blur_kernels=[0],
        ),
        tiers=in_tiers(
            {"transforms": 20, "step_size": 0.05, "steps": 50, "first_steps": 200},
            smoke={"transforms": 3, "step_size": 0.3, "steps": 2, "first_steps": 10},
            strong={"transforms": 100, "first_steps": 500},
        ),
        gradients=True,
        targetable=True,
        cost=lambda s: (
            s["transforms"] * (s["first_steps"] + 100 * s["steps"]),
            s["transforms"] * 200,
        ),
        packages=("cv2", "kornia"),
        note="always aims: without a target at the runner-up class",
    ),
    scene(
        "composite",
        "Composite attack (hue, saturation, rotation, brightness, contrast, PGD)",
        CompositeAdversarialAttackPyTorch,
        make=_composite,
        tiers=in_tiers(
            {"max_iter": 5, "max_inner_iter": 10},
            smoke={"max_iter": 2, "max_inner_iter": 4},
            strong={"max_iter": 10, "max_inner_iter": 20},
        ),
        gradients=True,
        targetable=False,
        cost=lambda s: (40 * s["max_iter"] * s["max_inner_iter"], 6 * s["max_iter"]),
        packages=("kornia",),
        fit=_fit_canvas,
        note="written for 3 x 32 x 32: fed the image on such a canvas, grey as colour and back",
    ),
)
