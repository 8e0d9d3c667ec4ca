"""Rows of the attacks that search pixels by evolution, and of GeoDA."""

import contextlib
import tempfile
from functools import partial
from typing import Any

import numpy as np
from art.attacks.attack import EvasionAttack
from art.attacks.evasion import (
    GeoDA,
    PixelAttack,
    ThresholdAttack,
)

from art_disc.attacks.spec import AttackRequest, AttackSpec, Settings, in_tiers
from art_disc.attacks.zoo.feeding import Fed, around, image_shape
from art_disc.attacks.zoo.rows import blind
from art_disc.core.checks import Float32Array


def cosine_basis(sub_dim: int, size: int) -> Float32Array:
    """Return the low frequencies of an image as columns, shape (size^2, sub_dim^2).

    What ART's GeoDA computes, with a function that NumPy 2 no longer has, and keeps in a file.
    """
    n = max(size, sub_dim)
    frequencies, pixels = np.arange(sub_dim), np.arange(size)
    waves = np.cos(np.outer(frequencies, 2 * pixels + 1) * np.pi / (2 * n))
    waves *= np.sqrt(2 / n)
    waves[0] = np.sqrt(1 / n)
    # u, the frequency across, varies slowest; rows of pixels before columns
    basis = np.einsum("ux,vy->yxuv", waves, waves)
    return np.asarray(basis.reshape(size * size, sub_dim * sub_dim), dtype=np.float32)


def _feed_with_basis(attack: Any, x: Float32Array, onehot: Float32Array) -> Any:
    # it looks for its basis in the working folder, and would leave it there
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        size = x.shape[2]
        np.save(f"2d_dct_basis_{attack.sub_dim}_{size}.npy", cosine_basis(attack.sub_dim, size))
        return attack.generate(x, onehot)


def _geoda(request: AttackRequest, settings: Settings) -> EvasionAttack:
    attack = GeoDA(
        request.classifier,
        norm=request.order,
        sub_dim=min(int(settings["sub_dim"]), image_shape(request.classifier)[1]),
        max_iter=int(settings["max_iter"]),
        batch_size=request.batch_size,
        verbose=False,
    )
    return Fed(attack, _feed_with_basis)


def _pixel(es: int, request: AttackRequest, settings: Settings) -> EvasionAttack:
    return PixelAttack(
        around(request.classifier, probabilities=True),
        th=int(settings["pixels"]),
        es=es,
        max_iter=int(settings["max_iter"]),
        targeted=request.targeted,
    )


def _threshold(request: AttackRequest, settings: Settings) -> EvasionAttack:
    upper = float(np.max(request.classifier.clip_values[1]))
    return ThresholdAttack(
        around(request.classifier, probabilities=True),
        # whole grey levels, downwards: the budget is kept
        th=max(1, int(255 * request.eps / upper + 1e-6)),
        es=1,
        max_iter=int(settings["max_iter"]),
        targeted=request.targeted,
    )


_PIXEL = in_tiers(
    {"pixels": 5, "max_iter": 50}, smoke={"max_iter": 2}, strong={"pixels": 10, "max_iter": 100}
)


ROWS: tuple[AttackSpec, ...] = (
    blind(
        "geoda",
        "GeoDA, geometric decision-based",
        "GeoDA",
        make=_geoda,
        tiers=in_tiers(
            {"sub_dim": 10, "max_iter": 1000}, smoke={"max_iter": 500}, strong={"max_iter": 4000}
        ),
        norms=("inf", "2"),
        cost=lambda s: (0, 2 * s["max_iter"]),
        note="for square images; given the file of its cosine basis, for which ART calls np.mat, "
        "gone in NumPy 2",
    ),
    blind(
        "pixel_de",
        "Pixel attack, differential evolution",
        "PixelAttack",
        make=partial(_pixel, 1),
        tiers=_PIXEL,
        norms=("0",),
        targetable=True,
        cost=lambda s: (0, 400 * (s["max_iter"] + 2)),
        least_classes=3,
        note="given probabilities; fails inside ART for two classes when labels are given",
    ),
    blind(
        "pixel_cma",
        "Pixel attack, CMA-ES",
        "PixelAttack",
        make=partial(_pixel, 0),
        tiers=_PIXEL,
        norms=("0",),
        targetable=True,
        cost=lambda s: (0, 400 * (s["max_iter"] + 2)),
        least_classes=3,
        packages=("cma",),
        repeatable=False,
        note="given probabilities; CMA-ES seeds itself by the clock; fails inside ART for two "
        "classes when labels are given",
    ),
    blind(
        "threshold",
        "Threshold attack, differential evolution",
        "ThresholdAttack",
        make=_threshold,
        tiers=in_tiers({"max_iter": 20}, smoke={"max_iter": 1}, strong={"max_iter": 100}),
        norms=("inf",),
        bounded=True,
        targetable=True,
        # ART's population grows with the pixels
        cost=lambda s: (0, 800 * (s["max_iter"] + 2)),
        least_classes=3,
        note="given probabilities; fails inside ART for two classes when labels are given",
    ),
)
