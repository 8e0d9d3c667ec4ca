"""Which codewords a budget lets each pixel reach, and how many code images that makes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_disc.codebooks import Codebook
from art_disc.codebox.boxes import BoolArray, IntArray, box, levels_of, slack, to_units
from art_disc.codebox.cells_1d import reachable_1d
from art_disc.codebox.cells_colour import colour_mask
from art_disc.codebox.grid import grid_mask_1d, grid_mask_colour
from art_disc.codebox.rules import paper_mask, published_mask
from art_disc.core.checks import Float32Array, check_choice, check_eps, check_images

RULES = ("exact", "paper", "paper_float")
DOMAINS = ("real", "8bit")
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
    images, budget = _check(x, codebook, eps, (rule, domain), channels_first=channels_first)
    units = to_units(images, codebook, channels_first=channels_first)
    return unit_mask(units, codebook, budget, rule=rule, domain=domain)


def free_pixels(
    x: Any,
    codebook: Codebook,
    *,
    eps: float,
    rule: str = "exact",
    domain: str = "real",
    channels_first: bool = True,
) -> IntArray:
    """Count, for each image, the units that can reach more than one codeword.

    Arguments and errors as for `reachable_codes`.

    Returns:
        Shape (n,).
    """
    images, budget = _check(x, codebook, eps, (rule, domain), channels_first=channels_first)
    units = to_units(images, codebook, channels_first=channels_first)
    size = images_at_once(units.shape[1], codebook.n_codes_)
    counts = [
        (
            unit_mask(units[i : i + size], codebook, budget, rule=rule, domain=domain).sum(axis=-1)
            > 1
        ).sum(axis=1)
        for i in range(0, len(units), size)
    ]
    return np.concatenate(counts).astype(np.int64)


def log2_images(mask: BoolArray) -> NDArray[np.float64]:
    """log2 of the number of code images |S(x)| for each image.

    Args:
        mask: What `reachable_codes` returned, shape (n, units, k).

    Returns:
        Shape (n,).
    """
    sizes: NDArray[np.float64] = np.log2(mask.sum(axis=-1)).sum(axis=-1)
    return sizes


def images_at_once(units: int, codes: int) -> int:
    """Images whose masks fit the memory budget."""
    return max(1, _CHUNK_BITS // max(1, units * codes))


def unit_mask(
    units: Float32Array, codebook: Codebook, eps: float, *, rule: str, domain: str
) -> BoolArray:
    """`reachable_codes` of checked units (n, units, d), shape (n, units, k)."""
    flat = units.reshape(-1, units.shape[-1])
    if rule != "exact":
        mask = (paper_mask if rule == "paper" else published_mask)(flat, codebook, eps)
    elif codebook.n_channels_ == 1:
        mask = _scalar_mask(flat[:, 0], codebook, eps, domain)
    else:
        colours, where = np.unique(flat, axis=0, return_inverse=True)
        mask = colour_mask(colours, codebook, eps)
        if domain == "8bit":
            mask = grid_mask_colour(colours, codebook, eps, mask)
        mask = mask[where.reshape(-1)]
    return mask.reshape(*units.shape[:2], codebook.n_codes_)


def _scalar_mask(values: Float32Array, codebook: Codebook, eps: float, domain: str) -> BoolArray:
    if domain == "8bit":
        return grid_mask_1d(values, codebook, eps)
    low, high = box(values, eps)
    return reachable_1d(low, high, levels_of(codebook)[:, 0], slack(codebook))


def _check(
    x: Any, codebook: Codebook, eps: float, words: tuple[str, str], *, channels_first: bool
) -> tuple[Float32Array, float]:
    rule, domain = words
    check_choice(rule, "rule", RULES)
    check_choice(domain, "domain", DOMAINS)
    images = check_images(x)
    codebook.check_channels(images.shape[1 if channels_first else -1])
    return images, check_eps(eps)
