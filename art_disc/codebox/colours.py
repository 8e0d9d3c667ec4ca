"""Which codewords colours reach in the real domain, many colours at once.

`codebox.cells` says why the answers are exact. Arrays have the colours last, and channels first:
boxes (c, m), codewords to try (c, r, m).
"""

import itertools

import numpy as np

from art_disc.codebooks import Codebook, distance
from art_disc.codebox.boxes import box, levels_of, slack
from art_disc.codebox.cubes import linf_reachable
from art_disc.codebox.lists import ROOM, alike, listed
from art_disc.codebox.margins import l2_reachable
from art_disc.codebox.rules import paper_mask
from art_disc.core.checks import BoolArray, Float32Array, Float64Array

_CORNERS_UP_TO = 4
# a level that pads a list of codewords: it wins nowhere
_FAR = 1e6


def colour_mask(
    pixels: Float32Array, codebook: Codebook, eps: float, *, enough: int | None = None
) -> BoolArray:
    """Codewords (m, k) that pixels (m, c > 1) in [0, 1] reach in the real domain.

    Only codewords that the paper's rule lets through are looked at, as wanted ones and as rivals:
    any other is beaten everywhere in the box. Cheap answers come first, then exact ones; pixels of
    which `enough` codewords are known by then are not looked at further.
    """
    mask = np.empty((len(pixels), codebook.n_codes_), dtype=bool)
    size = max(1, ROOM // codebook.n_codes_)
    for first in range(0, len(pixels), size):
        part = slice(first, first + size)
        mask[part] = _mask(pixels[part], codebook, eps, enough or codebook.n_codes_)
    return mask


def _mask(pixels: Float32Array, codebook: Codebook, eps: float, enough: int) -> BoolArray:
    allowed = paper_mask(pixels, codebook, eps)
    low, high = (side.T for side in box(pixels, eps))
    levels = np.vstack([levels_of(codebook), np.full(codebook.n_channels_, _FAR)]).T
    counts = allowed.sum(axis=1)
    mask = np.zeros((len(pixels), codebook.n_codes_ + 1), dtype=bool)
    mask[:, :-1] = allowed & (counts == 1)[:, None]
    several = np.flatnonzero(counts > 1)
    for part in alike(counts[several], codebook.n_channels_):
        rows = several[part]
        codes = listed(allowed[rows].T, pad=codebook.n_codes_)
        mask[rows, codes] = _reached(
            low[:, rows], high[:, rows], levels[:, codes], codebook, enough
        )
    return mask[:, :-1]


def _reached(
    low: Float64Array, high: Float64Array, levels: Float64Array, codebook: Codebook, enough: int
) -> BoolArray:
    """Which of the codewords (c, r, m) listed for some boxes (c, m) win in them, shape (r, m)."""
    metric, tau = codebook.nearest_metric, slack(codebook)
    rule = _RULES[metric]
    reached = np.zeros(levels.shape[1:], dtype=bool)
    _accept_corners(reached, low, high, levels, metric)
    wanted = np.argwhere(~reached & (levels[0] < _FAR) & (reached.sum(axis=0) < enough))
    # those that win at a corner are the rivals that most of the others lose to
    first = np.take_along_axis(levels, listed(reached, pad=-1)[None], axis=1)
    for rivals in (first, levels):
        size = max(1, ROOM // rivals[:, :, 0].size)
        wins = [
            rule(low[:, row], high[:, row], levels[:, code, row], rivals[:, :, row], tau)
            for code, row in (part.T for part in np.split(wanted, range(size, len(wanted), size)))
        ]
        wanted = wanted[np.concatenate(wins)]
    reached[tuple(wanted.T)] = True
    return reached


def _accept_corners(
    reached: BoolArray, low: Float64Array, high: Float64Array, levels: Float64Array, metric: str
) -> None:
    """Mark the codes of the centre and, for few channels, of the corners of every box."""
    shares = [(0.5,) * len(low)]
    if len(low) <= _CORNERS_UP_TO:
        shares += itertools.product((0.0, 1.0), repeat=len(low))
    for share in shares:
        points = low + np.array(share)[:, None] * (high - low)
        best = distance(list(points), list(levels), metric, np).argmin(axis=0)
        reached[best, np.arange(len(best))] = True


def _l1_reachable(
    low: Float64Array, high: Float64Array, centre: Float64Array, levels: Float64Array, tau: float
) -> BoolArray:
    """Whether `centre` (c, m) wins, or loses by at most `tau`, at its projection onto each box."""
    points = list(np.clip(centre, low, high))
    nearest = distance(points, list(levels), "l1", np).min(axis=0)
    return np.asarray(nearest - distance(points, list(centre), "l1", np) >= -tau)


_RULES = {"l1": _l1_reachable, "l2": l2_reachable, "l_inf": linf_reachable}
