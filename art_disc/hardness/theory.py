"""Lemma 1 and Proposition 1 of Chen et al. 2018, tried on images of the idealised model."""

import math
import warnings
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from art_disc.codebooks import Codebook, DensityCodebook
from art_disc.codebox import reachable_codes
from art_disc.core.checks import BoolArray, Float32Array, check_count
from art_disc.core.errors import CodebookWarning, InputError
from art_disc.core.records.base import Share
from art_disc.core.seeds import derive_seed
from art_disc.data.idealized import IdealizedImages
from art_disc.data.lemma1 import Lemma1


@dataclass(frozen=True, slots=True)
class Lemma1Simulation:
    """How often density estimation kept what Lemma 1 promises.

    Attributes:
        lemma: The promise; its radius was used.
        n_images: Images learned from in each run.
        held: Runs whose codewords were within nu of the true ones, one each.
        worst: Largest `code_distance` of a run, [0, 1] scale, or infinity.
        seed: Seed of all runs.
    """

    lemma: Lemma1
    n_images: int
    held: Share
    worst: float
    seed: int


@dataclass(frozen=True, slots=True)
class Proposition1Simulation:
    """How many pixels a budget `eps` can bring to another codeword.

    Attributes:
        lemma: The promise.
        eps: Budget in each channel, [0, 1] scale.
        promised: Whether the proof covers this budget: eps < 3 Gamma/8 - nu.
        drawn: Pixels drawn from the model that can come to another codeword.
        worst: Ordered pairs of codewords (i, j) for which a pixel of i with the largest noise,
            towards j, can come to another codeword.
        seed: Seed of the pixels.
    """

    lemma: Lemma1
    eps: float
    promised: bool
    drawn: Share
    worst: Share
    seed: int


def code_distance(model: IdealizedImages, codewords: Any) -> float:
    """Smallest nu for which codewords are a nu-approximation of the true ones, one each.

    Args:
        model: Holds the true codewords, Gamma apart.
        codewords: Shape (k', c), [0, 1] scale, in any order.

    Returns:
        Largest l_inf distance of a codeword from its true one; infinity where two are nearest to
        the same one, or k' is not k. Below Gamma/2 no other pairing is closer.

    Raises:
        InputError: Another number of channels.
    """
    found, true = np.asarray(codewords, np.float64), model.codewords.astype(np.float64)
    if found.ndim != 2 or found.shape[1] != true.shape[1]:
        msg = f"codewords must have shape (k, {true.shape[1]}), got {found.shape}"
        raise InputError(msg)
    away = np.abs(found[:, None] - true).max(axis=-1)
    nearest = away.argmin(axis=1)
    one_each = np.array_equal(np.sort(nearest), np.arange(len(true)))
    return float(away.min(axis=1).max()) if one_each else math.inf


def simulate_lemma1(
    model: IdealizedImages,
    n_images: int,
    *,
    delta: float = 0.01,
    runs: int = 100,
    form: str = "printed",
    seed: int = 0,
) -> Lemma1Simulation:
    """Learn codewords from fresh images with the lemma's radius and count the runs that hold.

    Args:
        model: Gives images over skeletons of independent pixels, so that all of them count in N.
        n_images: Images a run, >= 1.
        delta: Probability of failure that the lemma allows.
        runs: Repetitions, >= 1.
        form: Of nu: `printed` or `tight`.
        seed: Seed of the images.

    Raises:
        InputError: An argument does not fit.
        TheoryError: The lemma's conditions do not hold, with the reason.

    Source: Chen et al. 2018, Lemma 1.
    """
    height, width = model.shape
    lemma = model.lemma1(check_count(n_images, "n_images") * height * width, delta, form=form)
    distances = []
    for run in range(check_count(runs, "runs")):
        rng = np.random.default_rng(derive_seed(seed, "lemma1", run))
        images, _ = model.sample(n_images, random_state=rng)
        codebook = DensityCodebook(model.n_codes, lemma.radius)
        with warnings.catch_warnings():
            # too few codewords are a run that failed
            warnings.simplefilter("ignore", CodebookWarning)
            codebook.fit(images)
        distances.append(code_distance(model, codebook.codewords_))
    held = sum(distance <= lemma.nu for distance in distances)
    return Lemma1Simulation(lemma, n_images, Share(held, runs), max(distances), seed)


def simulate_proposition1(
    model: IdealizedImages,
    lemma: Lemma1,
    eps: float,
    *,
    codewords: Any = None,
    n_pixels: int = 2000,
    seed: int = 0,
) -> Proposition1Simulation:
    """Count the pixels of the model that a budget `eps` can bring to another codeword.

    No attack is run: `reachable_codes` decides exactly whether some change of at most `eps` in each
    channel, within [0, 1], does it; a tie counts as another codeword.

    Args:
        model: Gives the pixels.
        lemma: What is promised of the codewords, from `model.lemma1`.
        eps: Budget in each channel, in [0, 1]; beyond `lemma.tolerance()` the result says where
            failures begin.
        codewords: Learned codewords, shape (k, c), within nu of the true ones; None: for each pair
            (i, j) the worst that are, both shifted by nu so that j's region grows into i's.
        n_pixels: Pixels drawn, >= 1.
        seed: Seed of the pixels.

    Raises:
        InputError: An argument does not fit, or `codewords` is no nu-approximation.

    Source: Chen et al. 2018, Proposition 1.
    """
    rng = np.random.default_rng(derive_seed(seed, "proposition1"))
    which = rng.choice(model.n_codes, size=check_count(n_pixels, "n_pixels"), p=model.prior)
    pixels = model.add_noise(which[:, None, None], random_state=rng)[:, :, 0, 0]
    ordered = None if codewords is None else _ordered(model, lemma, codewords)
    moved = np.zeros(n_pixels, dtype=bool)
    pairs = list(permutations(range(model.n_codes), 2))
    failed = 0
    for i, j in pairs:
        codes = _worst_codes(model, lemma.nu, i, j) if ordered is None else ordered
        rows = np.flatnonzero(which == i)
        worst = _towards(model.codewords[i : i + 1], codes[j], model.largest_noise)
        movable = _movable(np.concatenate([worst, pixels[rows]]), codes, i, eps)
        failed += int(movable[0])
        moved[rows] |= movable[1:]
    return Proposition1Simulation(
        lemma,
        eps,
        eps < lemma.tolerance("proven"),
        Share(int(moved.sum()), n_pixels),
        Share(failed, len(pairs)),
        seed,
    )


def _ordered(model: IdealizedImages, lemma: Lemma1, codewords: Any) -> Float32Array:
    """Return the codewords in the order of the true ones that they stand for."""
    distance = code_distance(model, codewords)
    if distance > lemma.nu:
        msg = (
            f"codewords must be within nu = {lemma.nu:.4g} of the true ones, one each; the "
            f"farthest is {distance:.4g} away"
        )
        raise InputError(msg)
    found = np.asarray(codewords, np.float32)
    away = np.abs(found[:, None] - model.codewords).max(axis=-1)
    ordered: Float32Array = found[away.argmin(axis=0)]
    return ordered


def _worst_codes(model: IdealizedImages, nu: float, i: int, j: int) -> Float32Array:
    true = model.codewords.astype(np.float64)
    codes = true.copy()
    codes[[i, j]] -= nu * np.sign(true[j] - true[i])
    return codes.clip(0, 1).astype(np.float32)


def _movable(pixels: Float32Array, codes: Float32Array, i: int, eps: float) -> BoolArray:
    """Which pixels of code i, shape (m, c), some change of at most eps brings to another."""
    images = np.moveaxis(pixels[None, None], -1, 1)
    reach = reachable_codes(images, Codebook(codes), eps=eps)[0]
    others: BoolArray = np.delete(reach, i, axis=1).any(axis=1)
    return others


def _towards(pixels: Float32Array, goal: Float32Array, eps: float) -> Float32Array:
    """Move each channel towards the goal by at most eps, and not past it."""
    step = np.clip(goal.astype(np.float64) - pixels, -eps, eps)
    return (pixels + step).astype(np.float32)
