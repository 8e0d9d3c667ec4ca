"""Medoids without our swaps: exact ones of 256 levels, and scikit-learn-extra's where it is."""

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_disc.codebooks.objective import Levels, Sums, distances
from art_disc.core.errors import MissingExtraError


def exact_medoids(levels: NDArray[np.uint8], weights: Levels, k: int, objective: str) -> Levels:
    """Indices of the k levels that minimise the weighted cost, rising.

    The cells of sorted scalars are intervals, so the best partition of the first j levels into i
    intervals follows from those into i - 1. Equal costs: the lowest split and the lowest level.
    Levels (m,) are distinct and rising, `weights` (m,) their counts.
    """
    cost, medoid = _intervals(levels, weights, objective)
    m = len(levels)
    best = cost[0].copy()
    splits = np.zeros((k, m), dtype=np.int64)
    for i in range(1, k):
        # total[s, j]: levels before s in i intervals, s..j in one more
        total = np.full((m, m), np.inf)
        total[1:] = best[:-1, None] + cost[1:]
        splits[i] = total.argmin(axis=0)
        best = total.min(axis=0)
    found = []
    last = m - 1
    for i in range(k - 1, -1, -1):
        first = int(splits[i, last])
        found.append(int(medoid[first, last]))
        last = first - 1
    return np.array(found[::-1], dtype=np.int64)


def _intervals(levels: NDArray[np.uint8], weights: Levels, objective: str) -> tuple[Sums, Levels]:
    """Cost of every interval of levels by its best medoid (inf where empty), and that medoid."""
    m = len(levels)
    away = weights[:, None] * distances(levels[:, None, None], levels[None, :, None], objective)
    # before[i, j]: what the levels 0..i-1 cost from level j
    before = np.concatenate([np.zeros((1, m)), np.cumsum(away, axis=0)])
    cost = np.full((m, m), np.inf)
    medoid = np.zeros((m, m), dtype=np.int64)
    for j in range(m):
        part = before[j + 1 :, j] - before[: j + 1, j, None]
        better = part < cost[: j + 1, j:]
        cost[: j + 1, j:][better] = part[better]
        medoid[: j + 1, j:][better] = j
    return cost, medoid


_METRICS = {"l1": "manhattan", "sqeuclidean": "sqeuclidean"}


def extra_medoids(values: NDArray[np.uint8], weights: Levels, k: int, objective: str) -> Levels:
    """Indices of k medoids among points (m, c) by PAM; it has no weights, so points repeat."""
    kind = _load()
    rows = np.repeat(np.arange(len(values)), weights)
    solver = kind(
        n_clusters=k, metric=_METRICS[objective], method="pam", init="build", max_iter=10_000
    )
    solver.fit(values[rows].astype(np.float64))
    return np.asarray(rows[solver.medoid_indices_], dtype=np.int64)


def _load() -> Any:
    try:
        return import_module("sklearn_extra.cluster").KMedoids
    except (ImportError, ValueError) as error:
        # a wheel built for NumPy 1 fails under NumPy 2 with a ValueError about sizes
        msg = (
            f'solver="scikit-learn-extra" cannot import that library ({error}); run: '
            'pip install "art-disc[kmedoids]", or under NumPy 2, for which its wheel is not built: '
            "pip install cython setuptools and then "
            "pip install --no-build-isolation --no-binary scikit-learn-extra scikit-learn-extra "
            '(needs a C compiler); solver="swap" needs neither'
        )
        raise MissingExtraError(msg) from error
