"""Rows of the attacks on a whole batch, on features, and on videos whose frames are image rows."""

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from art.attacks.attack import EvasionAttack
from art.attacks.evasion import (
    FeatureAdversariesNumpy,
    FeatureAdversariesPyTorch,
    FrameSaliencyAttack,
    OverTheAirFlickeringPyTorch,
    ProjectedGradientDescent,
    TargetedUniversalPerturbation,
    UniversalPerturbation,
    Wasserstein,
)

from art_disc.attacks.spec import AttackRequest, AttackSpec, Settings, in_tiers
from art_disc.attacks.zoo.feeding import (
    FromRowsAsFrames,
    around,
    as_before,
    guides,
    image_shape,
    nchw,
    one_target,
)
from art_disc.attacks.zoo.rows import blind, ready, scene, setting, stepping
from art_disc.attacks.zoo.steps import step_size
from art_disc.core.checks import Float32Array

# tenths of the regularisation that are tried where gradients are too steep for it
_SOFTENED = 3


def _budget(request: AttackRequest, _: Settings) -> float:
    return request.eps


def _last_layer(request: AttackRequest, _: Settings) -> str:
    # by name ART hooks the layer once, by number at every call
    return str(request.classifier._layer_names[-1])


def _inner_pgd(request: AttackRequest, settings: Settings) -> dict[str, Any]:
    return {
        "eps": request.eps,
        "eps_step": request.eps / 4,
        "max_iter": settings["inner_iter"],
        "norm": request.order,
        "verbose": False,
    }


def _inner_fgsm(request: AttackRequest, _: Settings) -> dict[str, Any]:
    # ART's default would move away from the target
    return {"eps": request.eps, "norm": request.order, "targeted": True}


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
    options = {
        "maxiter": int(settings["max_iter"]),
        "maxls": int(settings["line_search"]),
        "eps": float(settings["width"]),
    }
    make = ready(
        FeatureAdversariesNumpy,
        feed=partial(_feed_each_guide, options=options),
        delta=_budget,
        layer=len(request.classifier._layer_names) - 1,
    )
    return make(request, {})


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
        "universal",
        "Universal perturbation, from PGD",
        UniversalPerturbation,
        make=ready(UniversalPerturbation, attacker="pgd", attacker_params=_inner_pgd),
        tiers=in_tiers(
            {"max_iter": 20, "inner_iter": 10, "delta": 0.1},
            smoke={"max_iter": 5, "inner_iter": 5},
            strong={"max_iter": 50, "inner_iter": 40, "delta": 0.0},
        ),
        targetable=False,
        cost=lambda s: (s["max_iter"] * s["inner_iter"], 5 * s["max_iter"] + 2),
        note="one change for the whole batch",
    ),
    stepping(
        "universal_targeted",
        "Targeted universal perturbation, from FGSM",
        TargetedUniversalPerturbation,
        make=ready(
            TargetedUniversalPerturbation,
            aim=one_target,
            attacker="fgsm",
            attacker_params=_inner_fgsm,
        ),
        tiers=in_tiers(
            {"max_iter": 20, "delta": 0.1}, smoke={"max_iter": 5}, strong={"max_iter": 100}
        ),
        cost=lambda s: (s["max_iter"], 4 * s["max_iter"] + 3),
        note="one change for the whole batch; without a target it aims at the commonest runner-up",
    ),
    stepping(
        "feature_adversaries",
        "Feature adversaries, PyTorch",
        FeatureAdversariesPyTorch,
        make=ready(
            FeatureAdversariesPyTorch,
            feed=_feed_guides,
            delta=_budget,
            layer=_last_layer,
            step_size=step_size,
            random_start=True,
        ),
        tiers=in_tiers(
            {"max_iter": 100, "eps_step": 0.0}, smoke={"max_iter": 30}, strong={"max_iter": 500}
        ),
        norms=("inf",),
        targetable=False,
        # the guides pass too, without a gradient
        cost=lambda s: (s["max_iter"], s["max_iter"]),
        note="guided by the next image of another class; on the network's output; the hook that "
        "ART leaves in the network is removed",
    ),
    blind(
        "feature_adversaries_numpy",
        "Feature adversaries, L-BFGS on finite differences",
        FeatureAdversariesNumpy,
        make=_features_numpy,
        tiers=in_tiers(
            {"max_iter": 20, "line_search": 10, "width": 0.1},
            smoke={"max_iter": 2, "line_search": 3},
            strong={"max_iter": 200, "line_search": 20},
        ),
        norms=("inf",),
        bounded=True,
        # SciPy takes finite differences at every point of its line search; for 1,000 pixels
        cost=lambda s: (0, 1000 * (s["max_iter"] + 1) * (s["line_search"] + 1)),
        note="fed singly, guided as the one above; differences about as wide as a cell",
    ),
    scene(
        "wasserstein",
        "Wasserstein",
        Wasserstein,
        make=ready(
            Wasserstein,
            feed=_feed_softened,
            # its own, of transport
            norm="wasserstein",
            conjugate_sinkhorn_max_iter=setting("sinkhorn_iter"),
            projected_sinkhorn_max_iter=setting("sinkhorn_iter"),
        ),
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
        gradients=True,
        targetable=True,
        cost=lambda s: (s["max_iter"], s["max_iter"] + 2),
        note="its budget is a transport distance; ART's regularisation of 3000 overflows here",
    ),
    stepping(
        "frame_saliency",
        "Frame saliency, rows as frames, from PGD",
        FrameSaliencyAttack,
        make=_frame_saliency,
        tiers=in_tiers(
            {"max_iter": 40, "eps_step": 0.0}, smoke={"max_iter": 10}, strong={"max_iter": 100}
        ),
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
