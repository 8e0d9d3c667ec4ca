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

import numpy as np
from numpy.typing import ArrayLike

from art_disc.certificates.divergence.cells import shift_divergence
from art_disc.certificates.divergence.colour_boxes import Boxes, interior_boxes
from art_disc.certificates.divergence.gaussian import check_order
from art_disc.codebox import distinct
from art_disc.core.checks import Float64Array, check_count, check_positive
from art_disc.core.errors import CertificateError, InputError

# along each of two axes; twice as many cost four times as much
N_BOXES = 24
# the least order above 1 that rounding leaves something of
_LEAST = 1 + 1e-4
_OUTWARD = 1 + 2.0**-40
_VALUES_AT_ONCE = 1 << 18
# channels above this have cells that no boxes are made for
_CHANNELS = 3


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
    if codes.shape[1] > _CHANNELS and _line(codes) is None:
        msg = (
            f"codewords of {codes.shape[1]} channels that form neither a grid nor a line: no "
            f"divergence of their cells is proven for more than {_CHANNELS} channels; use such, or "
            "model=GaussianModel(sigma), which holds for whatever is made of the noisy image"
        )
        raise CertificateError(msg)
    return codes


def _line(codes: Float64Array) -> Float64Array | None:
    """Return the unit vector along codewords (k, c) on one line; None where they are on none."""
    way = codes - codes[0]
    length = np.linalg.norm(way, axis=1)
    if not length.any():
        # a single one: any direction will do
        return np.full(codes.shape[1], codes.shape[1] ** -0.5)
    unit: Float64Array = way[length.argmax()] / length.max()
    off = np.abs(way - (way @ unit)[:, None] * unit).max()
    return unit if off <= 2.0**-48 * (length.max() + np.abs(codes).max()) else None


def colour_divergence(  # noqa: PLR0913 - everything after the codewords is a keyword
    x: ArrayLike,
    codewords: ArrayLike,
    *,
    sigma: float,
    eps: float,
    order: float = 1.0,
    reverse: bool = False,
    n_boxes: int = N_BOXES,
) -> Float64Array:
    """Upper bound of the largest divergence of whole colour images from their shifted ones.

    Args:
        x: Images in [0, 1], shape (n, c, ...) or (n, c); every pixel is replaced by a codeword.
        codewords: Shape (k, c), on the scale of `x`. The time grows with k^2 for many of them.
        sigma: Standard deviation of the noise on that scale, > 0.
        eps: l_inf budget on that scale, >= 0; the adversary stays in [0, 1].
        order: At least 1; 1 is KL. Infinity gives infinity, unless the codewords lie on a line.
        reverse: D_order(shifted || clean), not D_order(clean || shifted): that of the noise, unless
            the codewords lie on a line.
        n_boxes: Columns along two axes that the space around a pixel is cut into, >= 1. More of
            them bring the bound closer to the exact maximum.

    Returns:
        Nats, shape (n,).

    Raises:
        InputError: An argument does not fit.
        CertificateError: More than three channels.

    >>> red_or_blue = [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.5, 1.0, 0.5]]
    >>> colour_divergence([[0.4, 0.3, 0.5]], red_or_blue, sigma=0.25, eps=0.05).round(3).tolist()
    [0.038]
    """
    codes, images = colour_codes(codewords), np.asarray(x, dtype=np.float64)
    sigma, order = check_positive(sigma, "sigma"), check_order(order)
    eps, n_boxes = check_positive(eps, "eps", zero=True), check_count(n_boxes, "n_boxes")
    if images.ndim < 2 or images.shape[1] != codes.shape[1]:
        msg = f"expected images of shape (n, {codes.shape[1]}, ...), got {images.shape}"
        raise InputError(msg)
    # resizing may leave the range by rounding
    if not (np.abs(images - 0.5) <= 0.5 + 1e-6).all():
        msg = "expected images in [0, 1] without NaN; divide those in 0..255 by 255"
        raise InputError(msg)
    colours, place = distinct(np.moveaxis(images, 1, -1).reshape(-1, codes.shape[1]))
    low = np.minimum(colours, np.maximum(colours - eps, 0.0))
    high = np.maximum(colours, np.minimum(colours + eps, 1.0))
    single = _pixels(np.stack([colours, low, high]), codes, sigma, order, n_boxes, reverse)
    return np.asarray(single[place].reshape(len(images), -1).sum(axis=1) * _OUTWARD)


def _pixels(
    box: Float64Array, codes: Float64Array, sigma: float, order: float, n_boxes: int, reverse: bool
) -> Float64Array:
    """Bounds of single pixels; `box` holds them, their low and high ends, shape (3, m, c)."""
    unit = _line(codes)
    if unit is not None:
        middle = box[0] @ unit
        ends = np.sort(box[1:] * unit, axis=0).sum(axis=2)
        # the order of summation may differ in the last digit
        low, high = np.minimum(ends[0], middle), np.maximum(ends[1], middle)
        return shift_divergence(
            middle, codes @ unit, sigma=sigma, low=low, high=high, order=order, reverse=reverse
        )
    if reverse or np.isinf(order):
        return _noise(np.abs(box[1:] - box[0]).max(axis=0) / sigma, order)
    # channels that are missing neither move nor tell codewords apart
    missing = _CHANNELS - codes.shape[1]
    box, codes = np.pad(box, ((0, 0), (0, 0), (0, missing))), np.pad(codes, ((0, 0), (0, missing)))
    rows = max(1, _VALUES_AT_ONCE // (len(codes) * (n_boxes + 2) ** 2))
    chunks = [box[:, i : i + rows] for i in range(0, box.shape[1], rows)]
    parts = [_at_vertices(chunk, codes, sigma, order, n_boxes) for chunk in chunks]
    return np.concatenate([*parts, np.zeros(0)])


def _noise(shift: Float64Array, order: float) -> Float64Array:
    """Divergence of the noise alone, for shifts in standard deviations, shape (..., c)."""
    square = (shift**2).sum(axis=-1)
    return np.where(square > 0, order * np.maximum(square, 1e-300) / 2, 0.0)


def _at_vertices(
    box: Float64Array, codes: Float64Array, sigma: float, order: float, n_boxes: int
) -> Float64Array:
    """Largest bound over the eight vertices; `box` as in `_pixels`, for three channels."""
    boxes = interior_boxes(box[0], codes, sigma, n_boxes)
    masses, moments = boxes.masses(np.zeros((box.shape[1], 3))), boxes.moments()
    worst = np.zeros(box.shape[1])
    for corner in itertools.product((1, 2), repeat=3):
        ends = np.stack([box[end, :, i] for i, end in enumerate(corner)], axis=1)
        shift = np.einsum("pij,pj->pi", boxes.frames, ends - box[0]) / sigma
        noise = _noise((ends - box[0]) / sigma, order)
        if order == 1:
            found = noise - _hidden_kl(boxes, masses, moments, shift)
        else:
            found = _renyi(boxes, masses, shift, max(order, _LEAST))
        worst = np.maximum(worst, np.minimum(found, noise))
    return worst


def _hidden_kl(
    boxes: Boxes, masses: Float64Array, moments: Float64Array, shift: Float64Array
) -> Float64Array:
    """Lower bound of what KL loses within the boxes, shape (P,)."""
    square = (shift**2).sum(axis=1, keepdims=True)
    error = boxes.error * (1 + np.sqrt(square))
    moved = boxes.masses(shift) - error
    kept = (masses > 4 * error) & (moved > 4 * error)
    ratio = np.log(np.where(kept, moved, 1.0)) - np.log(np.where(kept, masses, 1.0))
    lost = masses * (square / 2 + ratio) - np.einsum("pki,pi->pk", moments, shift)
    # the slopes of the line above in its masses and moments; 2 for the log's curvature
    lost -= error * (square / 2 + np.abs(ratio) + 2 + np.abs(shift).sum(axis=1, keepdims=True))
    return np.asarray(np.where(kept, np.maximum(lost, 0.0), 0.0).sum(axis=1))


def _renyi(boxes: Boxes, masses: Float64Array, shift: Float64Array, order: float) -> Float64Array:
    """Upper bound of the finer observation's divergence of finite order > 1, shape (P,)."""
    square = (shift**2).sum(axis=1, keepdims=True)
    error = boxes.error * (1 + order * np.sqrt(square))
    between = boxes.masses((1 - order) * shift) - error
    clean, moved = masses + error, boxes.masses(shift) - error
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
