"""The exact k-medoids of at most 256 levels, by dynamic programming over intervals of levels."""

import numpy as np
from numpy.typing import NDArray

from art_disc.codebooks.objective import Levels, Sums, distances


def exact_medoids(levels: NDArray[np.uint8], weights: Levels, k: int, objective: str) -> Levels:
    """Indices of the k levels that minimise the weighted cost, rising.

    The cells of sorted scalars are intervals, so the best partition of the first j levels into i
    intervals follows from those into i - 1. Equal costs: the lowest split and the lowest level.

    Args:
        levels: Distinct values, shape (m,), rising.
        weights: Their counts, shape (m,).
        k: Codewords, 1..m.
        objective: `l1` or `sqeuclidean`.
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
