"""Medoids moved within their cells over all the data, where that lowers the total cost.

Both objectives are sums over the channels, so what a cell costs from any colour is a sum of one
number a channel, read off the cell's histograms: no distance between two pixels is computed.
"""

import numpy as np
from numpy.typing import NDArray

from art_disc.codebooks.objective import Levels, Sums, nearest_rows


def refine(
    values: NDArray[np.uint8], weights: Levels, codes: Sums, objective: str, rounds: int
) -> tuple[Sums, float]:
    """Move every codeword to the best value of its cell, then reassign; at most `rounds` times.

    Codes (k, c) are some of the distinct values (m, c), whose counts are `weights` (m,). Returns
    the codewords and their cost, all on the 255 scale; 0 rounds only assign.
    """
    label, away = nearest_rows(values, codes, objective)
    for _ in range(rounds):
        moved = _best_of_cells(values, weights, label, codes, objective)
        if np.array_equal(moved, codes):
            break
        codes = moved
        label, away = nearest_rows(values, codes, objective)
    return codes, float(weights @ away)


def _best_of_cells(
    values: NDArray[np.uint8], weights: Levels, label: Levels, codes: Sums, objective: str
) -> Sums:
    cost = np.zeros(len(values))
    now = np.zeros(len(codes))
    for i in range(values.shape[1]):
        from_level = _cost_from_levels(values[:, i], weights, label, len(codes), objective)
        cost += from_level[label, values[:, i]]
        now += from_level[np.arange(len(codes)), codes[:, i].astype(np.int64)]
    least = np.full(len(codes), np.inf)
    np.minimum.at(least, label, cost)
    rows = np.flatnonzero(cost == least[label])
    cells, first = np.unique(label[rows], return_index=True)
    moved = codes.copy()
    better = least[cells] < now[cells]
    moved[cells[better]] = values[rows[first[better]]]
    return moved


def _cost_from_levels(
    channel: NDArray[np.uint8], weights: Levels, label: Levels, k: int, objective: str
) -> Sums:
    """What each cell costs in one channel from each of the 256 levels, shape (k, 256)."""
    bins = label * 256 + channel
    histogram = np.bincount(bins, weights.astype(np.float64), minlength=256 * k).reshape(k, 256)
    gap = np.abs(np.arange(256.0)[:, None] - np.arange(256.0))
    # whole numbers below 2**53, so the product is exact in any order of summation
    return np.asarray(histogram @ (gap if objective == "l1" else gap * gap))
