"""Whether an image's scores are its own: the same whatever its batch is, each time they are asked.

A network may look at its batch (statistics, attention or whitening over it) or draw without saying
so. That is measured: images are scored beside their own copies, beside others, alone, and shuffled.

**What stands beside an image changes nothing.** A kernel sums a row in the same order whatever the
other rows hold, so at the same size of batch and in the same place an image gets the same scores to
the last bit. What differs there is a network that looks at its batch, or that draws.

**Size and place change the order of sums.** What differs there is float noise: it has no limit that
fits all networks (activations of 10,000 that cancel lose four digits), so it is measured too, and
who compares scores leaves it `FACTOR` times as much room.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from art_disc.core.checks import Float32Array, Float64Array, IntArray
from art_disc.estimators.applied import behind
from art_disc.estimators.contract import top_of

# images of float32 or codes, and a batch size, to scores (n, classes)
Score = Callable[[NDArray[Any], int], Any]

# differences in units of an image's largest score, at least 1: those that float32 leaves between
# equal sums (our networks: below 1e-6), and those beyond which no class can be told from noise
SAME, COARSE = 1e-5, 1e-2
# room for what other images and batches may show
FACTOR = 10.0
# what moves an image's scores in one pass of 20 escapes so many looks once in a million
_LOOKS = 270
_PLACES, _ALONE, _WIDTH, _AT_ONCE, _VALUES = 64, 256, 128, 1024, 1 << 25


@dataclass(frozen=True, slots=True)
class Steadiness:
    """Largest differences between the scores of one image, in units of its largest (at least 1).

    Attributes:
        chance: Between predictions of the very same batch.
        company: Between batches that differ in the other images alone.
        noise: Over all batches, those of other sizes and orders among them.
        trouble: Why a batch could not be scored; empty where all were.
        moved: Numbers of the images that alone would raise the `doubt`, rising.
    """

    chance: float
    company: float
    noise: float
    trouble: str = ""
    moved: tuple[int, ...] = ()

    @property
    def doubt(self) -> str:
        """Why an image's scores are not its own; empty where they are."""
        if self.trouble:
            return f"not every batch of its images has scores: {self.trouble}"
        if not self.chance <= SAME:
            return (
                f"two predictions of the same batch differ by {self.chance:.2g} of the largest "
                "score: it is random, and nothing averages over its draws"
            )
        if not self.company <= SAME:
            return (
                "what stands beside an image in its batch changes its scores by "
                f"{self.company:.2g} of the largest: it looks at the batch, or it is random"
            )
        if not self.noise <= COARSE:
            return (
                "the size of its batch, or the place in it, changes an image's scores by "
                f"{self.noise:.2g} of the largest: it looks at the batch, or it is random"
            )
        return ""


def steadiness(
    score: Score,
    x: Float32Array,
    *,
    upper: float,
    rows: int,
    prepared: Callable[[Float32Array], NDArray[Any]] = lambda x: x,
) -> Steadiness:
    """Measure how steady the scores of images are.

    Every image is scored at least four times, and few ones more often: what moves an image's
    scores by chance, in one pass of 20, is seen but once in a million.

    Args:
        score: From images and a batch size to scores (n, classes).
        x: Images, n >= 1, in any layout.
        upper: Top of their range; black, white and random images stand beside them too.
        rows: A batch size that must be among those tried.
        prepared: Makes what `score` takes of images.
    """
    rng = np.random.default_rng(0)
    noise = rng.random((14, *x.shape[1:]), dtype=np.float32)
    others = np.float32(upper) * np.concatenate([0 * noise[:1], 0 * noise[:1] + 1, noise])
    at_once = min(_AT_ONCE, max(1, _VALUES // x[0].size))
    found = []
    for start in range(0, len(x), at_once):
        made = prepared(np.concatenate([x[start : start + at_once], others]))
        found.append(_measured(score, made, len(made) - len(others), rows, rng))
    return Steadiness(
        chance=max(part.chance for part in found),
        company=max(part.company for part in found),
        noise=max(part.noise for part in found),
        trouble=next((part.trouble for part in found if part.trouble), ""),
        moved=tuple(at_once * i + number for i, part in enumerate(found) for number in part.moved),
    )


def steadiness_of(classifier: Any, x: Float32Array, *, rows: int) -> Steadiness:
    """Measure how steady a classifier of the contract is; of one that draws, its network.

    That is given one frozen draw of the images.
    """
    if not classifier.is_random:
        return steadiness(
            lambda given, size: classifier.predict(given, batch_size=size),
            x, upper=top_of(classifier), rows=rows,
        )  # fmt: skip
    defences = classifier.frozen(0).defences
    return steadiness(
        lambda given, size: network_scores(classifier, given, size),
        x, upper=top_of(classifier), rows=rows, prepared=partial(behind, defences),
    )  # fmt: skip


def network_scores(classifier: Any, given: NDArray[Any], batch_size: int) -> Float32Array:
    """Return what the network alone says of what defences made, shape (n, classes)."""
    network, parts = classifier.base_network.eval(), []
    with torch.no_grad():
        for start in range(0, len(given), batch_size):
            part = torch.tensor(given[start : start + batch_size], device=classifier.device)
            parts.append(network(classifier.standardised(part)).cpu().numpy())
    return np.concatenate(parts)


def _measured(
    score: Score, pool: NDArray[Any], n: int, rows: int, rng: np.random.Generator
) -> Steadiness:
    """Measure the first `n` images of a pool; the others stand beside them."""
    places = np.resize(np.arange(n), max(n, _PLACES))
    looks = max(4, 1 + math.ceil(_LOOKS / len(places)))
    companies = _companies(places, n, len(pool), looks, rng)
    same = _beside(score, pool, places, next(companies))
    finite = np.isfinite(same).all(axis=1)
    if not finite.all():
        reason, bad = "some scores are NaN or infinite", np.unique(places[~finite])
        return Steadiness(0.0, 0.0, math.inf, reason, tuple(bad.tolist()))
    scale = np.maximum(1.0, np.abs(same).max(axis=1))

    def off(scores: Float64Array, of: IntArray) -> Float64Array:
        apart, largest = np.abs(scores - same[of]).max(axis=1) / scale[of], np.zeros(n)
        np.maximum.at(largest, places[of], np.nan_to_num(apart, nan=math.inf))
        return largest

    every = np.arange(len(places))
    try:
        chance, *company = (off(_beside(score, pool, places, c), every) for c in companies)
        some = np.unique(np.linspace(0, len(places) - 1, _ALONE).astype(int))
        alone = off(_scores(score, pool[places[some]], 1), some)
        order = rng.permutation(np.resize(np.arange(len(pool)), max(len(pool), rows)))
        known = order < n
        shuffled = off(_scores(score, pool[order], rows)[known], order[known])
    except Exception as error:  # noqa: BLE001 - the user's code may raise anything of a batch
        return Steadiness(0.0, 0.0, math.inf, f"{type(error).__name__}: {error}")
    beside = np.max(company, axis=0)
    noise = np.max([chance, beside, alone, shuffled], axis=0)
    moved = np.flatnonzero((chance > SAME) | (beside > SAME) | (noise > COARSE))
    return Steadiness(
        float(chance.max()), float(beside.max()), float(noise.max()), moved=tuple(moved.tolist())
    )


def _companies(
    places: IntArray, n: int, size: int, looks: int, rng: np.random.Generator
) -> Iterator[IntArray]:
    """Yield what stands beside the images: their copies, twice, the others, and all mixed."""
    yield from (places, places, np.resize(np.arange(n, size), len(places)))
    for _ in range(looks - 3):
        yield rng.integers(size, size=len(places))


def _beside(score: Score, pool: NDArray[Any], places: IntArray, company: IntArray) -> Float64Array:
    """Return the scores of images at even places, beside a company at the odd ones."""
    width = 2 * min(_WIDTH // 2, max(1, _VALUES // (2 * pool[0].size)))
    both = np.stack([places, company], axis=1).reshape(-1)
    return _scores(score, pool[both], width)[::2]


def _scores(score: Score, given: NDArray[Any], size: int) -> Float64Array:
    return np.asarray(score(given, size), dtype=np.float64)
