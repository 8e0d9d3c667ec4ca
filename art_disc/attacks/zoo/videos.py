"""Rows of the attacks on videos, fed with an image whose rows are the frames."""

from functools import partial
from typing import Any

import numpy as np
from art.attacks.attack import EvasionAttack
from art.attacks.evasion import (
    FrameSaliencyAttack,
    OverTheAirFlickeringPyTorch,
    ProjectedGradientDescent,
)

from art_disc.attacks.spec import AttackRequest, AttackSpec, Settings, in_tiers
from art_disc.attacks.zoo.feeding import (
    Fed,
    FromRowsAsFrames,
    around,
    as_before,
    image_shape,
    nchw,
)
from art_disc.attacks.zoo.steps import step_size
from art_disc.core.checks import Float32Array


def _frame_saliency(request: AttackRequest, settings: Settings) -> EvasionAttack:
    inner = ProjectedGradientDescent(
        **request.common,
        norm=request.order,
        eps_step=step_size(request, settings),
        max_iter=int(settings["max_iter"]),
        verbose=False,
    )
    return FrameSaliencyAttack(
        request.classifier,
        attacker=inner,
        method="iterative_saliency",
        frame_index=2 if request.classifier.channels_first else 1,
        batch_size=request.batch_size,
        verbose=False,
    )


def _feed_video(
    attack: Any, x: Float32Array, onehot: Float32Array, *, classifier: Any
) -> Float32Array:
    videos = np.moveaxis(nchw(classifier, x), 1, -1)[:, :, None]
    found = attack.generate(np.ascontiguousarray(videos), onehot)
    return as_before(classifier, np.moveaxis(np.squeeze(found, 2), -1, 1))


def _flickering(request: AttackRequest, settings: Settings) -> EvasionAttack:
    channels, height, width = image_shape(request.classifier)
    first = bool(request.classifier.channels_first)
    videos = around(
        request.classifier,
        before=FromRowsAsFrames(channels_first=first),
        input_shape=(height, 1, width, channels),
        channels_first=False,
    )
    attack = OverTheAirFlickeringPyTorch(
        videos,
        eps_step=float(settings["eps_step"]) * float(np.max(request.classifier.clip_values[1])),
        max_iter=int(settings["max_iter"]),
        beta_0=float(settings["beta_0"]),
        batch_size=request.batch_size,
        targeted=request.targeted,
        verbose=False,
    )
    return Fed(attack, partial(_feed_video, classifier=request.classifier))


ROWS: tuple[AttackSpec, ...] = (
    AttackSpec(
        name="frame_saliency",
        label="Frame saliency, rows as frames, from PGD",
        art="FrameSaliencyAttack",
        make=_frame_saliency,
        tiers=in_tiers(
            {"max_iter": 40, "eps_step": 0.0}, smoke={"max_iter": 10}, strong={"max_iter": 100}
        ),
        norms=("inf", "2"),
        gradients=True,
        targetable=True,
        # a prediction of image and change for every row of 32
        cost=lambda s: (s["max_iter"] + 1, 2 * 33 + 2),
    ),
    AttackSpec(
        name="flickering",
        label="Over-the-air flickering, rows as frames",
        art="OverTheAirFlickeringPyTorch",
        make=_flickering,
        tiers=in_tiers(
            {"max_iter": 100, "eps_step": 0.05, "beta_0": 0.1},
            smoke={"max_iter": 15, "eps_step": 0.1},
            strong={"max_iter": 500},
        ),
        norms=(),
        bounded=False,
        gradients=True,
        targetable=True,
        cost=lambda s: (s["max_iter"], 0),
        note="fed the image as a video, each row a frame",
    ),
)
