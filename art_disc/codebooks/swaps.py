"""Weighted k-medoids by swaps, each of which lowers the total cost.

The cost change of all swaps (any medoid, one candidate) is found in one pass over the points, as in
FasterPAM (Schubert and Rousseeuw 2021). Candidates come in small boxes of neighbouring colours, and
only points that are nearer to the box than to their second medoid can gain from any of them.
"""

from collections.abc import Iterator
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from art_disc.codebooks.objective import Levels, Sums, distances

_BOX = 64


class SwapSearch:
    """k medoids among weighted points, improved until no single swap helps.

    The points (m, c) are distinct, on the 255 scale; `medoids` (k,) are indices of them.
    """

    def __init__(self, values: NDArray[np.uint8], weights: Levels, objective: str) -> None:
        self.values = values.astype(np.float64)
        self.weights = weights.astype(np.float64)
        self.objective = objective
        self.medoids: Levels = np.empty(0, dtype=np.int64)
        self.n_swaps = 0
        m = len(values)
        # farther than any two pixels: stands for the second medoid where there is none
        far = values.shape[1] * 255.0**2 + 1
        self._first, self._second = np.full(m, -1), np.full(m, -1)
        self._near, self._next = np.full(m, far), np.full(m, far)

    @property
    def cost(self) -> float:
        """Weighted sum of the distances to the nearest medoid."""
        return float(self.weights @ self._near)

    def start(self, k: int, rng: np.random.Generator) -> None:
        """Choose k medoids as k-means++ does: by chance, in proportion to their present cost."""
        while len(self.medoids) < k:
            share = self.weights * self._near if len(self.medoids) else self.weights
            steps = np.cumsum(share)
            chosen = int(np.searchsorted(steps, rng.random() * steps[-1], side="right"))
            # rounding could reach past the end, or onto a point of no cost
            chosen = chosen if chosen < len(share) and share[chosen] > 0 else int(share.argmax())
            self.medoids = np.append(self.medoids, chosen)
            self._take_in(len(self.medoids) - 1)

    def run(self) -> None:
        """Swap while any swap lowers the cost."""
        boxes = list(_boxes(self.values))
        gains = self._removal()
        quiet = 0
        for box in cycle(boxes):
            if quiet == len(boxes):
                break
            quiet += 1
            while True:
                change, out, candidate = self._best(box, gains)
                if change >= 0:
                    break
                self._swap(out, candidate)
                gains = self._removal()
                quiet = 1

    def _removal(self) -> Sums:
        """What the cost would rise by without each medoid."""
        rise = self.weights * (self._next - self._near)
        return np.bincount(self._first, rise, minlength=len(self.medoids)).astype(np.float64)

    def _best(self, box: Levels, removal: Sums) -> tuple[float, int, int]:
        """Change of cost, medoid to leave and point to enter of the best swap into a box."""
        inside = self.values[box]
        low, high = inside.min(axis=0), inside.max(axis=0)
        least = distances(self.values, np.clip(self.values, low, high), self.objective)
        rows = np.flatnonzero(least < self._next)
        rows = rows[np.argsort(self._first[rows], kind="stable")]
        owner, near, second = self._first[rows], self._near[rows], self._next[rows]
        weights = self.weights[rows]
        away = distances(inside[:, None], self.values[rows][None], self.objective)
        starts = np.flatnonzero(np.diff(owner, prepend=-1))
        change = np.tile(removal, (len(box), 1))
        # a point whose medoid leaves goes to the candidate where that is nearer than its second
        saved = weights * (np.clip(away, near, second) - second)
        change[:, owner[starts]] += np.add.reduceat(saved, starts, axis=1)
        change += (np.minimum(away - near, 0) @ weights)[:, None]
        row, out = divmod(int(change.argmin()), change.shape[1])
        return float(change[row, out]), out, int(box[row])

    def _swap(self, out: int, candidate: int) -> None:
        self.medoids[out] = candidate
        self.n_swaps += 1
        if len(self.medoids) == 1:
            self._near = distances(self.values, self.values[candidate], self.objective)
            return
        lost = np.flatnonzero((self._first == out) | (self._second == out))
        self._take_in(out)
        away = distances(
            self.values[lost][:, None], self.values[self.medoids][None], self.objective
        )
        order = np.argsort(away, axis=1, kind="stable")[:, :2]
        pair = np.take_along_axis(away, order, axis=1)
        self._first[lost], self._second[lost] = order.T
        self._near[lost], self._next[lost] = pair.T

    def _take_in(self, index: int) -> None:
        """Let every point know the medoid of this index, as if it had none there before."""
        away = distances(self.values, self.values[self.medoids[index]], self.objective)
        nearer = away < self._near
        between = ~nearer & (away < self._next)
        self._second = np.where(nearer, self._first, np.where(between, index, self._second))
        self._next = np.where(nearer, self._near, np.where(between, away, self._next))
        self._first = np.where(nearer, index, self._first)
        self._near = np.where(nearer, away, self._near)


def swapped(
    values: NDArray[np.uint8], weights: Levels, k: int, objective: str, rng: np.random.Generator
) -> SwapSearch:
    """Return the search of `SwapSearch` from one start, finished."""
    search = SwapSearch(values, weights, objective)
    search.start(k, rng)
    search.run()
    return search


def _boxes(values: Sums) -> Iterator[Levels]:
    """Indices in groups of neighbours, by halving along the widest channel."""
    todo = [np.arange(len(values))]
    while todo:
        rows = todo.pop()
        if len(rows) <= _BOX:
            yield rows
            continue
        widest = int(np.ptp(values[rows], axis=0).argmax())
        order = rows[np.argsort(values[rows, widest], kind="stable")]
        todo += [order[len(order) // 2 :], order[: len(order) // 2]]
