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
    Fed,
    FromColour,
    around,
    at_targets,
    guides,
    image_shape,
    one_by_one,
    runner_up,
)
from art_disc.attacks.zoo.rows import scene
from art_disc.core.checks import Float32Array
from art_disc.core.errors import InputError


def _feed_grid(attack: Any, x: Float32Array, onehot: Float32Array) -> Float32Array:
    found = []
    for image, row in zip(x, onehot, strict=True):
        # ART searches the worst of the grid for a batch and keeps it for every later call
        attack.attack_trans_x = attack.attack_trans_y = attack.attack_rot = None
        found.append(attack.generate(image[None].copy(), row[None]))
    return np.concatenate(found)


def _spatial(request: AttackRequest, settings: Settings) -> EvasionAttack:
    attack = SpatialTransformation(
        request.classifier,
        max_translation=float(settings["max_translation"]),
        num_translations=int(settings["num_translations"]),
        max_rotation=float(settings["max_rotation"]),
        num_rotations=int(settings["num_rotations"]),
        verbose=False,
    )
    return Fed(attack, _feed_grid)


def _feed_shadow(attack: Any, x: Float32Array, onehot: Float32Array, *, targeted: bool) -> Any:
    # away from the label its gradient vanishes where the network is sure
    goal = onehot if targeted else runner_up(attack.estimator, x, onehot)
    return one_by_one(attack, x, goal)


def _shadow(request: AttackRequest, settings: Settings) -> EvasionAttack:
    attack = ShadowAttack(
        request.classifier,
        sigma=float(settings["sigma"]),
        nb_steps=int(settings["nb_steps"]),
        learning_rate=float(settings["learning_rate"]),
        # ART's own weights, which are for large photographs, times a factor
        lambda_tv=0.3 * float(settings["smoothness"]),
        lambda_c=1.0 * float(settings["smoothness"]),
        lambda_s=0.5 * float(settings["smoothness"]),
        batch_size=int(settings["samples"]),
        targeted=True,
        verbose=False,
    )
    return Fed(attack, partial(_feed_shadow, targeted=request.targeted))


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
    colour = around(classifier, before=lens, input_shape=(*canvas, 3), channels_first=False)
    attack = LaserBeamAttack(
        colour,
        iterations=int(settings["iterations"]),
        # wavelength [nm], angle, bias and width [pixels]
        max_laser_beam=(780.0, 3.14, float(canvas[1]), max(2, canvas[1] // 4)),
        random_initializations=int(settings["restarts"]),
    )
    return Fed(attack, partial(_feed_colour, lens=lens, classes=True))


def _composite(request: AttackRequest, settings: Settings) -> EvasionAttack:
    classifier = request.classifier
    shape = image_shape(classifier)
    if max(shape[1:]) > 32 or shape[0] not in (1, 3):
        msg = f"ART's composite attack is written for 3 x 32 x 32 images, got {shape}"
        raise InputError(msg)
    lens = FromColour(shape, (32, 32), first_in=True, first_out=classifier.channels_first)
    colour = around(classifier, before=lens, input_shape=(3, 32, 32), channels_first=True)
    limit = float(min(request.eps, 1.0))
    attack = CompositeAdversarialAttackPyTorch(
        colour,
        pgd_epsilon=(-limit, limit),
        max_iter=int(settings["max_iter"]),
        max_inner_iter=int(settings["max_inner_iter"]),
        batch_size=request.batch_size,
        verbose=False,
    )
    return Fed(attack, partial(_feed_colour, lens=lens, classes=False))


def _feed_stickers(attack: Any, x: Float32Array, onehot: Float32Array) -> Any:
    """Feed guides; an image of which ART's arithmetic makes NaN stays as it was.

    Its boost subtracts distances, and both are infinite where a classifier that draws took no
    step for adversarial.
    """
    chosen = guides(onehot)
    made = attack.generate(x, onehot[chosen], mask=np.ones_like(x), x_tar=x[chosen])
    lost = ~np.isfinite(made).reshape(len(made), -1).all(axis=1)
    return np.where(lost[:, None, None, None], x, made)


def _graphite_blackbox(request: AttackRequest, settings: Settings) -> EvasionAttack:
    _, height, width = image_shape(request.classifier)
    patch = max(2, min(height, width) // 7)
    attack = GRAPHITEBlackbox(
        request.classifier,
        noise_size=(width, height),
        net_size=(width, height),
        heat_patch_size=(patch, patch),
        num_xforms_mask=int(settings["transforms"]),
        num_xforms_boost=int(settings["transforms"]),
        num_boost_queries=int(settings["queries"]),
        blur_kernels=[0],
        batch_size=request.batch_size,
    )
    return Fed(attack, _feed_stickers)


def _graphite_whitebox(request: AttackRequest, settings: Settings) -> EvasionAttack:
    _, height, width = image_shape(request.classifier)
    attack = GRAPHITEWhiteboxPyTorch(
        request.classifier,
        net_size=(width, height),
        num_xforms=int(settings["transforms"]),
        step_size=float(settings["step_size"]),
        steps=int(settings["steps"]),
        first_steps=int(settings["first_steps"]),
        patch_removal_size=max(2, min(height, width) // 7),
        patch_removal_interval=max(1, min(height, width) // 7),
        blur_kernels=[0],
        batch_size=request.batch_size,
    )
    return Fed(attack, partial(at_targets, targeted=request.targeted))


ROWS: tuple[AttackSpec, ...] = (
    scene(
        "spatial",
        "Spatial transformation, worst of a grid",
        SpatialTransformation,
        make=_spatial,
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
        make=_shadow,
        tiers=in_tiers(
            {
                "sigma": 0.1,
                "nb_steps": 100,
                "learning_rate": 0.3,
                "samples": 32,
                "smoothness": 0.1,
            },
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
        make=_graphite_blackbox,
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
        make=_graphite_whitebox,
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
        cost=lambda s: (
            40 * s["max_iter"] * s["max_inner_iter"],
            6 * s["max_iter"],
        ),
        packages=("kornia",),
        note="written for 3 x 32 x 32: fed the image on such a canvas, grey as colour and back",
    ),
)
