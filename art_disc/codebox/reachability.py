"""Which codewords a budget lets each pixel reach, and how many code images that makes."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from art_disc.codebooks import Codebook, check_codebook
from art_disc.codebox.boxes import box, levels_of, slack, to_units
from art_disc.codebox.cells import cells_1d
from art_disc.codebox.colours import colour_mask
from art_disc.codebox.distinct import distinct
from art_disc.codebox.grid import grid_mask_1d, grid_mask_colour
from art_disc.codebox.rules import Threat, paper_mask, published_mask
from art_disc.core.checks import BoolArray, Float32Array, Float64Array, check_images
from art_disc.core.layouts import check_channels

_CHUNK_BITS = 1 << 24


def reachable_codes(
    x: Any,
    codebook: Codebook,
    *,
    eps: float,
    rule: str = "exact",
    domain: str = "real",
    channels_first: bool = True,
) -> BoolArray:
    """Codewords that a pixel can be assigned to after a change of at most `eps` in each channel.

    Changed values stay in [0, 1]. Ties count for both sides, whatever the codebook's `ties`, and
    budgets are widened outwards by 4e-4 grey levels against rounding (see `codebox.boxes`).

    Args:
        x: Images, shape (n, c, h, w), floats in [0, 1] or uint8.
        codebook: A fitted codebook.
        eps: l_inf budget on the [0, 1] scale.
        rule: `exact`; `paper`: d(x, c) <= d(x, c*) + 2 eps, a superset; `paper_float`: that
            inequality with the rounding of the published tables, for counts only, NOT sound.
        domain: What changed values may be: `real`, or `8bit`, the levels v/255, where ties go as
            the codebook breaks them. It matters to the exact rule alone.
        channels_first: Otherwise images are (n, h, w, c).

    Returns:
        Shape (n, units, k); a unit is a pixel, row by row, or for a `per_channel` codebook one
        channel of a pixel, in NCHW order.

    Raises:
        InputError: An argument does not fit.
        CertificateError: `8bit`, and a pixel has no level within the budget.

    Source: Chen et al. 2018, eq. (2), for `paper`.
    """
    threat = Threat(eps, rule, domain)
    return unit_mask(checked_units(x, codebook, channels_first=channels_first), codebook, threat)


def log2_images(mask: BoolArray) -> Float64Array:
    """log2 of the number of code images |S(x)| for each image, shape (n,).

    `mask` is what `reachable_codes` returned, shape (n, units, k).
    """
    return np.asarray(np.log2(mask.sum(axis=-1)).sum(axis=-1))


def checked_units(x: Any, codebook: Codebook, *, channels_first: bool = True) -> Float32Array:
    """Check images and split them into units, shape (n, units, d).

    Raises:
        InputError: No images in [0, 1], or of other channels than the codewords.
    """
    images = check_images(x)
    check_channels(
        check_codebook(codebook).check_channels, images.shape[1:], channels_first=channels_first
    )
    return to_units(images, codebook, channels_first=channels_first)


def masks_of(units: Float32Array, codebook: Codebook, threat: Threat) -> Iterator[BoolArray]:
    """Yield the masks of units (n, units, d), of as many images at once as memory should hold."""
    size = max(1, _CHUNK_BITS // max(1, units.shape[1] * codebook.n_codes_))
    for first in range(0, len(units), size):
        yield unit_mask(units[first : first + size], codebook, threat)


def unit_mask(
    units: Float32Array, codebook: Codebook, threat: Threat, *, enough: int | None = None
) -> BoolArray:
    """`reachable_codes` of checked units (n, units, d), shape (n, units, k).

    With `enough` a unit that reaches as many codewords need not have more of them marked.
    """
    flat = units.reshape(-1, units.shape[-1])
    if threat.rule != "exact":
        by_rule = paper_mask if threat.rule == "paper" else published_mask
        mask = by_rule(flat, codebook, threat.eps)
    elif codebook.n_channels_ == 1:
        mask = _scalar_mask(flat[:, 0], codebook, threat)
    else:
        colours, where = distinct(flat)
        if threat.domain == "8bit":
            mask = grid_mask_colour(
                colours, codebook, threat.eps, colour_mask(colours, codebook, threat.eps)
            )
        else:
            mask = colour_mask(colours, codebook, threat.eps, enough=enough)
        mask = mask[where]
    return mask.reshape(*units.shape[:2], codebook.n_codes_)


def _scalar_mask(values: Float32Array, codebook: Codebook, threat: Threat) -> BoolArray:
    if threat.domain == "8bit":
        return grid_mask_1d(values, codebook, threat.eps)
    low, high = box(values[:, None], threat.eps)
    start, end = cells_1d(levels_of(codebook)[:, 0], slack(codebook))
    return (high >= start) & (low <= end)
