"""Rows of the attacks that need predictions alone."""

import contextlib
import tempfile
from typing import Any

import numpy as np
from art.attacks.evasion import (
    BoundaryAttack,
    GeoDA,
    HopSkipJump,
    PixelAttack,
    SignOPTAttack,
    SimBA,
    SquareAttack,
    ThresholdAttack,
    VirtualAdversarialMethod,
    ZooAttack,
)

from art_disc.attacks.random_search import RandomSearch
from art_disc.attacks.spec import AttackRequest, AttackSpec, Settings, in_tiers
from art_disc.attacks.squares import fitting_fraction
from art_disc.attacks.zoo.feeding import image_shape
from art_disc.attacks.zoo.rows import blind, probabilities, ready, setting
from art_disc.core.checks import Float32Array


def fit_squares(classifier: Any, norm: str, settings: Settings) -> tuple[Settings, str]:
    """Fit `p_init` of ART's Square to the shape of the images."""
    height, width = image_shape(classifier)[1:]
    if norm == "2" and 5 * (height // 5) > width:
        why = "starts in l2 from five squares, a fifth of the height each, side by side"
        return settings, f"{why}: wider than images of {height} x {width}"
    fraction = fitting_fraction(settings["p_init"], height, width, norm)
    if not fraction:
        return settings, f"has no square that fits into images of {height} x {width}"
    return {**settings, "p_init": fraction}, ""


def _fit_square_images(classifier: Any, _: str, settings: Settings) -> tuple[Settings, str]:
    height, width = image_shape(classifier)[1:]
    refusal = "" if height == width else f"is for square images, these are {height} x {width}"
    return settings, refusal


def _is_large(request: AttackRequest, _: Settings) -> bool:
    return min(image_shape(request.classifier)[1:]) >= 64


def _parallel(request: AttackRequest, settings: Settings) -> int:
    return int(min(settings["nb_parallel"], np.prod(request.classifier.input_shape)))


_UNSEEDED = "draws from an unseeded generator, so that no seed repeats it"

RANDOM_SEARCH = blind(
    "random_search",
    "Random search (blind guessing)",
    RandomSearch,
    make=ready(RandomSearch, batch_size=500),
    tiers=in_tiers({"max_iter": 1000}, smoke={"max_iter": 100}, strong={"max_iter": 10_000}),
    norms=("inf", "2"),
    bounded=True,
    cost=lambda s: (0, s["max_iter"]),
)


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
        "square",
        "Square attack (queries only)",
        SquareAttack,
        tiers=in_tiers(
            {"max_iter": 1000, "p_init": 0.8, "nb_restarts": 1},
            smoke={"max_iter": 100},
            strong={"max_iter": 5000},
        ),
        norms=("inf", "2"),
        bounded=True,
        cost=lambda s: (0, 3 * s["max_iter"] * s["nb_restarts"]),
        fit=fit_squares,
        note="p_init is lowered where the first square would not fit into images that are none; in "
        "l2 refused where its start does not",
    ),
    blind(
        "hop_skip_jump",
        "HopSkipJump",
        HopSkipJump,
        tiers=in_tiers(
            {"max_iter": 20, "max_eval": 1000, "init_eval": 100, "init_size": 100},
            smoke={"max_iter": 4, "max_eval": 100, "init_eval": 20},
            strong={"max_iter": 50, "max_eval": 10000},
        ),
        norms=("inf", "2"),
        cost=lambda s: (0, s["init_size"] + s["max_iter"] * (s["max_eval"] + 40)),
        repeatable=False,
        note=_UNSEEDED,
    ),
    blind(
        "boundary",
        "Boundary attack",
        BoundaryAttack,
        tiers=in_tiers(
            {"max_iter": 500, "num_trial": 10, "sample_size": 10, "init_size": 100},
            smoke={"max_iter": 20, "num_trial": 3, "sample_size": 5},
            strong={"max_iter": 5000, "num_trial": 25, "sample_size": 20},
        ),
        cost=lambda s: (0, s["init_size"] + 2 * s["max_iter"] * s["num_trial"] * s["sample_size"]),
        repeatable=False,
        note=_UNSEEDED,
    ),
    blind(
        "sign_opt",
        "Sign-OPT",
        SignOPTAttack,
        tiers=in_tiers(
            {"num_trial": 100, "max_iter": 100, "query_limit": 4000, "k": 50},
            smoke={"num_trial": 10, "max_iter": 5, "query_limit": 500, "k": 10},
            strong={"max_iter": 1000, "query_limit": 20000, "k": 200},
        ),
        cost=lambda s: (0, s["query_limit"] + 2 * s["k"] + 500),
    ),
    blind(
        "simba",
        "SimBA, pixels",
        SimBA,
        # the dimension is checked even where the attack is on pixels
        make=ready(SimBA, seen=probabilities, attack="px", freq_dim=1, batch_size=1),
        tiers=in_tiers(
            {"max_iter": 1000, "epsilon": 0.3}, smoke={"max_iter": 100}, strong={"max_iter": 3000}
        ),
        targetable=True,
        cost=lambda s: (0, 2 * s["max_iter"] + 2),
        note="given probabilities, which it insists on",
    ),
    blind(
        "zoo",
        "ZOO, zeroth-order optimisation",
        ZooAttack,
        make=ready(
            ZooAttack,
            # the coarse grids that it starts from are for large images
            use_resize=_is_large,
            use_importance=_is_large,
            nb_parallel=_parallel,
            batch_size=1,
        ),
        tiers=in_tiers(
            {
                "learning_rate": 0.01,
                "max_iter": 100,
                "binary_search_steps": 3,
                "initial_const": 1e-3,
                "nb_parallel": 128,
                "variable_h": 0.2,
            },
            smoke={
                "learning_rate": 0.3,
                "max_iter": 15,
                "binary_search_steps": 2,
                "initial_const": 1.0,
                "nb_parallel": 32,
            },
            strong={"max_iter": 1000, "binary_search_steps": 9},
        ),
        targetable=True,
        cost=lambda s: (
            0,
            s["binary_search_steps"] * s["max_iter"] * (2 * s["nb_parallel"] + 2) + 10,
        ),
        note="finite differences about as wide as a cell; thinner ones see a flat function",
    ),
    blind(
        "vat",
        "Virtual adversarial method",
        VirtualAdversarialMethod,
        make=ready(VirtualAdversarialMethod, seen=probabilities),
        tiers=in_tiers(
            {"max_iter": 2, "finite_diff": 0.2}, smoke={"max_iter": 1}, strong={"max_iter": 10}
        ),
        bounded=True,
        # one prediction a pixel; for 1,000 pixels
        cost=lambda s: (0, 1000 * s["max_iter"] + 2),
        note="given probabilities; finite differences about as wide as a cell, as for zoo",
    ),
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
        fit=_fit_square_images,
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
