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
    FromRowsAsFrames,
    around,
    as_before,
    image_shape,
    nchw,
)
from art_disc.attacks.zoo.rows import ready, scene, setting, stepping
from art_disc.attacks.zoo.steps import step_size
from art_disc.core.checks import Float32Array


def _frame_saliency(request: AttackRequest, settings: Settings) -> EvasionAttack:
    step = ready(ProjectedGradientDescent, eps_step=step_size)
    make = ready(
        FrameSaliencyAttack,
        attacker=step(request, settings),
        method="iterative_saliency",
        frame_index=2 if request.classifier.channels_first else 1,
    )
    return make(request, {})


def _rows_as_frames(classifier: Any) -> Any:
    channels, height, width = image_shape(classifier)
    return around(
        classifier,
        before=FromRowsAsFrames(channels_first=bool(classifier.channels_first)),
        input_shape=(height, 1, width, channels),
        channels_first=False,
    )


def _feed_video(
    attack: Any, x: Float32Array, onehot: Float32Array, *, classifier: Any
) -> Float32Array:
    videos = np.moveaxis(nchw(classifier, x), 1, -1)[:, :, None]
    found = attack.generate(np.ascontiguousarray(videos), onehot)
    return as_before(classifier, np.moveaxis(np.squeeze(found, 2), -1, 1))


def _flickering(request: AttackRequest, settings: Settings) -> EvasionAttack:
    make = ready(
        OverTheAirFlickeringPyTorch,
        seen=_rows_as_frames,
        feed=partial(_feed_video, classifier=request.classifier),
        eps_step=setting("eps_step", request.upper),
    )
    return make(request, settings)


ROWS: tuple[AttackSpec, ...] = (
    stepping(
        "frame_saliency",
        "Frame saliency, rows as frames, from PGD",
        FrameSaliencyAttack,
        make=_frame_saliency,
        tiers=in_tiers(
            {"max_iter": 40, "eps_step": 0.0}, smoke={"max_iter": 10}, strong={"max_iter": 100}
        ),
        norms=("inf", "2"),
        # a prediction of image and change for every row of 32
        cost=lambda s: (s["max_iter"] + 1, 2 * 33 + 2),
    ),
    scene(
        "flickering",
        "Over-the-air flickering, rows as frames",
        OverTheAirFlickeringPyTorch,
        make=_flickering,
        tiers=in_tiers(
            {"max_iter": 100, "eps_step": 0.05, "beta_0": 0.1},
            smoke={"max_iter": 15, "eps_step": 0.1},
            strong={"max_iter": 500},
        ),
        gradients=True,
        targetable=True,
        cost=lambda s: (s["max_iter"], 0),
        note="fed the image as a video, each row a frame",
    ),
)
