"""What may be done to an image, and the rules by which codewords then count as reached.

The exact rule has its own modules; those of eq. (2) of Chen et al. 2018 are here: codewords within
twice the budget of the nearest one.
"""

from dataclasses import dataclass

import numpy as np

from art_disc.codebooks import Codebook
from art_disc.codebox.boxes import WIDEN, distances_to, levels_of, slack
from art_disc.core.checks import BoolArray, Float32Array, Float64Array, check_choice, check_eps
from art_disc.core.showing import Shown

RULES = ("exact", "paper", "paper_float")
DOMAINS = ("real", "8bit")


@dataclass(frozen=True, slots=True)
class Threat(Shown):
    """An l_inf budget, the values that changed pixels may take, and a rule of what they reach.

    Attributes:
        eps: Budget on the [0, 1] scale; changed values stay in [0, 1].
        rule: One of `RULES`; `reachable_codes` says what they mean.
        domain: One of `DOMAINS`, likewise.

    Raises:
        InputError: An unknown word, or a budget outside [0, 1].
    """

    eps: float
    rule: str = "exact"
    domain: str = "real"

    def __post_init__(self) -> None:
        check_choice(self.rule, "rule", RULES)
        check_choice(self.domain, "domain", DOMAINS)
        object.__setattr__(self, "eps", check_eps(self.eps))


def paper_mask(pixels: Float32Array, codebook: Codebook, eps: float) -> BoolArray:
    """d(x, c) <= d(x, c*) + 2 eps in float64, widened outwards: sound, and conservative.

    In l1 and l2 a pixel moves by up to c eps and sqrt(c) eps, which is what counts there. Pixels
    have shape (m, c), values in [0, 1]; the result has shape (m, k).
    """
    tau = slack(codebook)
    if codebook.nearest_metric == "l2" and codebook.n_channels_ > 1:
        # d_j^2 <= d_i^2 + tau gives d_j - d_i <= tau / (d_i + d_j), and d_i + d_j >= separation
        tau = min(np.sqrt(tau), tau / max(255 * codebook.separation(), 1e-9))
    reach = (255 * eps + WIDEN) * _stretch(codebook)
    d = _distances(255 * pixels.astype(np.float64), levels_of(codebook), codebook.nearest_metric)
    return np.asarray(d <= d.min(axis=1, keepdims=True) + 2 * reach + tau)


def published_mask(pixels: Float32Array, codebook: Codebook, eps: float) -> BoolArray:
    """The same inequality as the published tables computed it; NOT sound at ties.

    Recipe: an 8-bit level v, of a pixel and of a codeword alike, is the float32 product
    v * float32(1/255); those are compared in float64, with 2 * eps in float64 and no widening. It
    gives all six Unable figures of Chen et al. 2019, Table IV (a codeword stored as 253/255 does
    not: 1.18 and 95.88 % in place of 1.30 and 95.67 %). A pixel off the 8-bit grid enters as it is.
    """
    centres = _published(codebook.codewords_)
    d = _distances(_published(pixels), centres, codebook.nearest_metric)
    return np.asarray(d <= d.min(axis=1, keepdims=True) + 2 * eps * _stretch(codebook))


def _published(values: Float32Array) -> Float64Array:
    scaled = np.float32(255) * values
    levels = np.rint(scaled)
    on_grid = np.abs(scaled - levels) < 1e-4
    result = np.where(on_grid, levels * np.float32(1 / 255), values)
    return result.astype(np.float64)


def _stretch(codebook: Codebook) -> float:
    """How far a pixel moves in the codebook's metric for each unit of l_inf."""
    c = codebook.n_channels_
    return float({"l1": c, "l2": np.sqrt(c), "l_inf": 1}[codebook.nearest_metric])


def _distances(points: Float64Array, levels: Float64Array, metric: str) -> Float64Array:
    squared = metric == "l2" and levels.shape[1] > 1
    d = np.stack([distances_to(points, level, metric) for level in levels], axis=1)
    return np.sqrt(d) if squared else d
