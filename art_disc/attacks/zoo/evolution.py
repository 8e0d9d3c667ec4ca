"""Rows of the attacks that search pixels by evolution, and of GeoDA."""

import contextlib
import tempfile
from typing import Any

import numpy as np
from art.attacks.evasion import (
    GeoDA,
    PixelAttack,
    ThresholdAttack,
)

from art_disc.attacks.spec import AttackRequest, AttackSpec, Settings, in_tiers
from art_disc.attacks.zoo.feeding import image_shape
from art_disc.attacks.zoo.rows import blind, probabilities, ready, setting
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


def _dimension(request: AttackRequest, settings: Settings) -> float:
    return min(settings["sub_dim"], image_shape(request.classifier)[1])


def _levels(request: AttackRequest, _: Settings) -> int:
    # whole grey levels, downwards: the budget is kept
    return max(1, int(255 * request.eps / request.upper + 1e-6))


def _pixel(es: int) -> dict[str, Any]:
    return {
        "make": ready(PixelAttack, seen=probabilities, th=setting("pixels"), es=es),
        "tiers": in_tiers(
            {"pixels": 5, "max_iter": 50},
            smoke={"max_iter": 2},
            strong={"pixels": 10, "max_iter": 100},
        ),
        "norms": ("0",),
        "targetable": True,
        "cost": lambda s: (0, 400 * (s["max_iter"] + 2)),
        "least_classes": 3,
    }


ROWS: tuple[AttackSpec, ...] = (
    blind(
        "geoda",
        "GeoDA, geometric decision-based",
        GeoDA,
        make=ready(GeoDA, feed=_feed_with_basis, sub_dim=_dimension),
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
        PixelAttack,
        note="given probabilities; fails inside ART for two classes when labels are given",
        **_pixel(es=1),
    ),
    blind(
        "pixel_cma",
        "Pixel attack, CMA-ES",
        PixelAttack,
        packages=("cma",),
        repeatable=False,
        note="given probabilities; CMA-ES seeds itself by the clock; fails inside ART for two "
        "classes when labels are given",
        **_pixel(es=0),
    ),
    blind(
        "threshold",
        "Threshold attack, differential evolution",
        ThresholdAttack,
        make=ready(ThresholdAttack, seen=probabilities, th=_levels, es=1),
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
