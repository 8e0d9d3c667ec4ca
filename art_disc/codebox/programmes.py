"""Small linear programmes, many in step: is the least of some linear functions high enough?

Is there a point v of a box where slope_j . v + offset_j >= level for all j? The simplex method on
the dual programme (largest z with z <= slope_j . v + offset_j) starts from one function and the
corner of the box that is best for it. Each basis gives a point, and weights of a mean of the
functions. An answer is given only where it can be read off: the point is high enough, or the mean
is too low all over the box. So an inverse that has lost digits costs an answer, and spoils none.
"""

from dataclasses import dataclass

import numpy as np

from art_disc.core.checks import BoolArray, Float64Array, IntArray

_EXCHANGES = 60
# a step that divides by less is not taken, and a point that breaks no rule by more is the best
_PIVOT = 1e-9


def has_point_above(
    low: Float64Array, high: Float64Array, slope: Float64Array, offset: Float64Array, level: float
) -> IntArray:
    """1 where boxes (c, m) have such a point, -1 where not, 0 where neither could be shown, (m,).

    The functions have `slope` (c, r, m) and `offset` (r, m), r >= 1.
    """
    middle = (low + high) / 2
    centred = offset + (slope * middle[:, None]).sum(axis=0)
    state = _Programmes.start((high - low) / 2, slope, centred)
    answers = np.zeros(low.shape[1], dtype=np.int64)
    which = np.arange(low.shape[1])
    for _ in range(_EXCHANGES):
        point = state.point()
        answers[which[state.lowest(point) >= level]] = 1
        answers[which[state.highest() < level]] = -1
        going = state.exchange(point) & (answers[which] == 0)
        state, which = state.only(going), which[going]
        if not len(which):
            break
    return answers


@dataclass(frozen=True, slots=True)
class _Programmes:
    """Largest z with rules . (v, z) <= limits, for m programmes, each with a basis of c + 1 rules.

    Attributes:
        half: Half the sides of the boxes, (c, m); v lies within them.
        rules: Shape (c + 1, r + 2 c, m): z - slope . v for the r functions, then v and -v.
        limits: Shape (r + 2 c, m).
        basis: The rules that hold with equality, shape (c + 1, m).
        inverse: Of their rows, shape (c + 1, c + 1, m); the last row holds the weights, >= 0.
    """

    half: Float64Array
    rules: Float64Array
    limits: Float64Array
    basis: IntArray
    inverse: Float64Array

    @classmethod
    def start(cls, half: Float64Array, slope: Float64Array, offset: Float64Array) -> "_Programmes":
        """The function that is lowest at its best corner, and the faces of that corner."""
        c, r, m = slope.shape
        axes, all_ = np.arange(c), np.arange(m)
        rules = np.zeros((c + 1, r + 2 * c, m))
        rules[:c, :r], rules[c, :r] = -slope, 1.0
        rules[axes, r + axes], rules[axes, r + c + axes] = 1.0, -1.0
        first = (offset + (np.abs(slope) * half[:, None]).sum(axis=0)).argmin(axis=0)
        toward = slope[:, first, all_]
        inverse = np.zeros((c + 1, c + 1, m))
        inverse[axes, axes] = np.where(toward < 0, -1.0, 1.0)
        inverse[c, :c], inverse[c, c] = np.abs(toward), 1.0
        basis = np.vstack([r + axes[:, None] + c * (toward < 0), first])
        return cls(half, rules, np.concatenate([offset, half, half]), basis, inverse)

    def only(self, kept: BoolArray) -> "_Programmes":
        """Some of the programmes."""
        half, rules, limits = self.half[:, kept], self.rules[..., kept], self.limits[:, kept]
        return _Programmes(half, rules, limits, self.basis[:, kept], self.inverse[..., kept])

    def point(self) -> Float64Array:
        """(v, z) where the rules of the basis hold with equality, shape (c + 1, m)."""
        limits = np.take_along_axis(self.limits, self.basis, axis=0)
        return np.asarray((self.inverse * limits).sum(axis=1))

    def lowest(self, point: Float64Array) -> Float64Array:
        """Least value of the functions at the point of the box next to v, shape (m,)."""
        c, r = len(self.half), len(self.limits) - 2 * len(self.half)
        v = np.clip(point[:c], -self.half, self.half)
        values = self.limits[:r] - (self.rules[:c, :r] * v[:, None]).sum(axis=0)
        return np.asarray(values.min(axis=0))

    def highest(self) -> Float64Array:
        """Largest value in the box of the mean of the basis' functions, shape (m,)."""
        c, r = len(self.half), len(self.limits) - 2 * len(self.half)
        weights = np.where(self.basis < r, np.maximum(self.inverse[c], 0.0), 0.0)
        total = weights.sum(axis=0)
        rules = np.take_along_axis(self.rules[:c], self.basis[None], axis=1)
        limits = np.take_along_axis(self.limits, self.basis, axis=0)
        slope = (weights * rules).sum(axis=1)
        height = (weights * limits).sum(axis=0) + (np.abs(slope) * self.half).sum(axis=0)
        return np.where(total > 0.5, height / np.maximum(total, 0.5), np.inf)

    def exchange(self, point: Float64Array) -> BoolArray:
        """Let the rule that is broken most enter each basis; false where none enters or leaves."""
        all_ = np.arange(point.shape[1])
        broken = (self.rules * point[:, None]).sum(axis=0) - self.limits
        enters = broken.argmax(axis=0)
        share = (self.rules[:, enters, all_][:, None] * self.inverse).sum(axis=0)
        ratios = np.full(share.shape, np.inf)
        np.divide(self.inverse[-1], share, out=ratios, where=share > _PIVOT)
        leaves = ratios.argmin(axis=0)
        goes = (broken[enters, all_] > _PIVOT) & np.isfinite(ratios[leaves, all_])
        divisor = np.where(goes, share[leaves, all_], 1.0)
        share[leaves, all_] -= 1.0
        self.inverse[...] -= (self.inverse[:, leaves, all_] / divisor)[:, None] * share
        self.basis[leaves, all_] = enters
        return np.asarray(goes)
