r"""Divergence of noisy colours that are replaced by the nearest of codewords that form no grid.

The cells of codewords in three dimensions are polyhedra, whose probabilities have no closed form.
An upper bound of the divergence needs none of them:

**A finer observation.** Cut space into boxes. Let I_i be the union of those that lie within the
cell of codeword i (`colour_boxes`), and observe i where the noisy pixel y lies in I_i, and y
itself elsewhere. The codeword is a function of that, so by data processing no divergence of the
codewords exceeds that of the finer observation (van Erven, Harremoes 2014, theorem 9). With the
laws p of x + sigma N and q of the shifted pixel, P_i = p(I_i), Q_i = q(I_i), s the shift in
standard deviations and z = (y - x) / sigma, the latter is

- KL = |s|^2 / 2 - sum_i (int_{I_i} p log(p / q) - P_i log(P_i / Q_i)), where log(p / q) =
  |s|^2 / 2 - <s, z>, so the integral takes P_i and the first moments of I_i;
- D_a = a |s|^2 / 2 + log(1 - sum_i g_i) / (a - 1), where g_i = R_i - P_i^a Q_i^(1 - a)
  exp(-a (a - 1) |s|^2 / 2), because p^a q^(1 - a) is exp(a (a - 1) |s|^2 / 2) times the Gaussian
  density around -(a - 1) s, of which R_i is the mass on I_i.

Each is the divergence of the noise, less what is not seen of it within I_i, which is never
negative (Jensen, Hoelder). So the bound never exceeds that of the noise, any I_i may be left out,
and it falls to the exact value as the boxes get finer. No estimate enters. For infinite orders the
largest ratio of the observed y is infinite, as for the noise.

**Vertices.** Cells are convex in any dimension, so D_a(clean || shifted) of the codewords is convex
in the shift (`cells`) and largest at a vertex of the box, where the bound is taken. Boxes are
the same for clean and shifted pixels. For D_a(shifted || clean) nothing like it is known, and the
divergence of the noise stands in, at the farthest vertex.

**Codewords on a line** have slabs for cells, so only the noise along the line counts: they are
scalar codewords, exact and proven in both directions.

Rounding is outward: masses and moments are moved by a bound of their error.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from art_disc.certificates.divergence.colour_boxes import Boxes, interior_boxes
from art_disc.core.checks import Float64Array
from art_disc.core.errors import CertificateError, InputError

# the least order above 1 that rounding leaves something of
_LEAST = 1 + 1e-4
# the least distance of two codewords, of the largest one
_APART = 2.0**-32
# channels above this have cells that no boxes are made for
CHANNELS = 3


def colour_codes(codewords: ArrayLike) -> Float64Array:
    """Return different codewords as float64, shape (k, c).

    Raises:
        InputError: No finite array of that shape.
        CertificateError: More than three channels, unless the codewords lie on a line.
    """
    codes = np.asarray(codewords, dtype=np.float64)
    if codes.ndim != 2 or codes.size == 0 or not np.isfinite(codes).all():
        msg = f"expected finite codewords of shape (k, channels), got an array of {codes.shape}"
        raise InputError(msg)
    codes = np.unique(codes, axis=0)
    _check_apart(codes)
    if codes.shape[1] > CHANNELS and line_of(codes) is None:
        msg = (
            f"codewords of {codes.shape[1]} channels that form neither a grid nor a line: no "
            f"divergence of their cells is proven for more than {CHANNELS} channels; use such, or "
            "model=GaussianModel(sigma), which holds for whatever is made of the noisy image"
        )
        raise CertificateError(msg)
    return codes


def _check_apart(codes: Float64Array) -> None:
    """Refuse codewords whose cells rounding could mix up: borders tilt where they nearly meet."""
    if len(codes) < 2:
        return
    scale = np.abs(codes - codes[0]).max()
    if not 2.0**-512 < scale < 2.0**512:
        msg = f"expected codewords of moderate size, got some that are {scale:g} apart"
        raise InputError(msg)
    nearest = cKDTree(codes / scale).query(codes / scale, k=2)[0][:, 1].min()
    if nearest < _APART * (1 + np.abs(codes).max() / scale):
        msg = (
            f"two codewords are {scale * nearest:g} apart, others {scale:g}: no divergence of "
            "their cells is proven in float64; merge them"
        )
        raise CertificateError(msg)


def line_of(codes: Float64Array) -> Float64Array | None:
    """Return the unit vector along codewords (k, c) on one line; None where they are on none."""
    way = codes - codes[0]
    scale = np.abs(way).max()
    if not scale:
        # a single one: any direction will do
        return np.full(codes.shape[1], codes.shape[1] ** -0.5)
    # lengths of what is scaled neither overflow nor vanish
    way = way / scale
    length = np.linalg.norm(way, axis=1)
    unit: Float64Array = way[length.argmax()] / length.max()
    off = np.abs(way - (way @ unit)[:, None] * unit).max()
    return unit if off <= 2.0**-48 * (length.max() + np.abs(codes).max() / scale) else None


def noise_divergence(shift: Float64Array, order: float) -> Float64Array:
    """Divergence of the noise alone, for shifts in standard deviations, shape (..., c)."""
    square = (shift**2).sum(axis=-1)
    return np.where(square > 0, order * np.maximum(square, 1e-300) / 2, 0.0)


def at_vertices(
    box: Float64Array, codes: Float64Array, sigma: float, orders: Sequence[float], n_boxes: int
) -> Float64Array:
    """Upper bounds of the largest divergences of single pixels from shifted ones.

    Args:
        box: Pixels, and the low and high ends of where they are moved to, shape (3, m, 3).
        codes: Different codewords (k >= 2, 3).
        sigma: Standard deviation of the noise.
        orders: Finite, at least 1.
        n_boxes: As for `colour_divergence`.

    Returns:
        Nats, shape (orders, m).
    """
    boxes = interior_boxes(box[0], codes, sigma, n_boxes)
    masses, moments = boxes.masses(np.zeros((box.shape[1], 3))), boxes.moments()
    worst = np.zeros((len(orders), box.shape[1]))
    for corner in itertools.product((1, 2), repeat=3):
        ends = np.stack([box[end, :, i] for i, end in enumerate(corner)], axis=1)
        away = (ends - box[0]) / sigma
        shift = np.einsum("pij,pj->pi", boxes.frames, away)
        moved = boxes.masses(shift)
        for row, order in zip(worst, orders, strict=True):
            noise = noise_divergence(away, order)
            if order == 1:
                found = noise - _hidden_kl(boxes, masses, moments, moved, shift)
            else:
                found = _renyi(boxes, masses, moved, shift, max(order, _LEAST))
            np.maximum(row, np.minimum(found, noise), out=row)
    return worst


def _hidden_kl(
    boxes: Boxes,
    masses: Float64Array,
    moments: Float64Array,
    moved: Float64Array,
    shift: Float64Array,
) -> Float64Array:
    """Lower bound of what KL loses within the boxes, shape (P,)."""
    square = (shift**2).sum(axis=1, keepdims=True)
    error = boxes.error * (1 + np.sqrt(square))
    moved = moved - error
    kept = (masses > 4 * error) & (moved > 4 * error)
    ratio = np.log(np.where(kept, moved, 1.0)) - np.log(np.where(kept, masses, 1.0))
    lost = masses * (square / 2 + ratio) - np.einsum("pki,pi->pk", moments, shift)
    # the slopes of the line above in its masses and moments; 2 for the log's curvature
    lost -= error * (square / 2 + np.abs(ratio) + 2 + np.abs(shift).sum(axis=1, keepdims=True))
    return np.asarray(np.where(kept, np.maximum(lost, 0.0), 0.0).sum(axis=1))


def _renyi(
    boxes: Boxes, masses: Float64Array, moved: Float64Array, shift: Float64Array, order: float
) -> Float64Array:
    """Upper bound of the finer observation's divergence of finite order > 1, shape (P,)."""
    square = (shift**2).sum(axis=1, keepdims=True)
    error = boxes.error * (1 + order * np.sqrt(square))
    between = boxes.masses((1 - order) * shift) - error
    clean, moved = masses + error, moved - error
    kept = moved > error
    ratio = np.log(clean) - np.log(np.where(kept, moved, 1.0))
    power = order * (order - 1) * square / 2
    with np.errstate(over="ignore"):
        share = clean * np.exp((order - 1) * ratio - power)
        share *= 1 + 2.0**-46 * (1 + power + (order - 1) * np.abs(ratio))
    hidden = np.where(kept, np.maximum(between - share, 0.0), 0.0).sum(axis=1)
    # rounding of the sum, which is below 1
    seen = np.maximum(1 - hidden, 0.0) + 2.0**-46
    found: Float64Array = (power[:, 0] + np.log(seen)) / (order - 1)
    return np.maximum(found, 0.0)
