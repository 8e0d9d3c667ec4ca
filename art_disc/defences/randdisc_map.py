"""Noisy pixels to their nearest centre, or to a mean of the centres, as a torch module."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from art_disc.codebooks import Codebook
from art_disc.core.checks import check_rate
from art_disc.core.showing import Shown
from art_disc.defences.centres import CentreRule, FixedCentres
from art_disc.defences.draws import Draws, RandomMap
from art_disc.defences.images import divided
from art_disc.surrogates import Identity, Vocabulary

# 40 / t^2 of the paper, where the pixels' range t is 1
PAPERS_ALPHA = 40.0


@dataclass(frozen=True, slots=True)
class Mixture(Shown):
    """The gradient of RandMix on the draws of the value, through pixels and centres.

    Args:
        alpha: Inverse temperature > 0, in 1 / squared range of [0, 1]; None: a RandMix's own, the
            paper's 40 for RandDisc.

    Raises:
        InputError: `alpha` is no positive number.

    Source: Zhang, Liang 2019, section 3 (eq. 3) and section 5 (RandDisc attacked through RandMix).
    """

    alpha: float | None = None

    def __post_init__(self) -> None:
        if self.alpha is not None:
            check_rate(self.alpha, "alpha")

    @property
    def name(self) -> str:
        """`mix`, with its alpha if it has one of its own."""
        return "mix" if self.alpha is None else f"mix(alpha={self.alpha:g})"

    def __call__(self, x: Tensor, codebook: Codebook) -> Tensor:
        """Return the mean of a codebook's codewords, whatever its metric; see `PixelSurrogate`."""
        pixels = x.flatten(1).unsqueeze(1) if codebook.per_channel else x.flatten(2)
        codewords = torch.tensor(codebook.codewords_.T, device=x.device).expand(len(x), -1, -1)
        alpha = self.alpha or PAPERS_ALPHA
        return assign(pixels, codewords, alpha, alpha).reshape(x.shape)


class ClusterMap(RandomMap):
    """x + sigma * N(0, 1), then every pixel replaced by what the centres of its image make of it.

    A NaN in a picked pixel spreads to its image; elsewhere it stays in its own pixel.
    `alpha` and `slope` are those of `assign`.
    """

    def __init__(
        self,
        centres: CentreRule,
        sigma: float,
        alpha: float | None,
        slope: float | None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.centres = centres
        self.sigma = sigma
        self.alpha = alpha
        self.slope = slope
        self.discrete = alpha is None and isinstance(centres, FixedCentres)

    def transform(self, images: Tensor, draws: Draws) -> Tensor:
        """Return images of centres or of means; see `RandomMap`."""
        pixels = divided(images, self.upper).flatten(2)
        with torch.no_grad():
            picked = self.centres(pixels, draws)
            noise = self.sigma * draws.normal(tuple(pixels.shape), pixels.device)
        made = assign(pixels + noise, picked.of(pixels), self.alpha, self.slope)
        return made.reshape(images.shape) * self.upper


def _away(noisy: Tensor, centres: Tensor, j: int) -> Tensor:
    """Return squared l2 distances (n, p) of pixels (n, c, p) to centre j of (n, c, k)."""
    return (noisy - centres[:, :, j, None]).square_().sum(dim=1)


def _nearest(noisy: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Return the nearest centre (n, c, p) of every pixel, and its squared distance (n, p).

    A tie goes to the centre that was picked first.
    """
    least = _away(noisy, centres, 0)
    index = torch.zeros_like(least, dtype=torch.int64)
    for j in range(1, centres.shape[2]):
        away = _away(noisy, centres, j)
        closer = away < least
        least = torch.where(closer, away, least)
        index = torch.where(closer, j, index)
    nearest = centres.gather(2, index.unsqueeze(1).expand_as(noisy))
    lost = least.isnan()
    if lost.any():
        nearest = nearest.masked_fill(lost.unsqueeze(1), torch.nan)
    return nearest, least


def _mean(noisy: Tensor, centres: Tensor, alpha: float) -> Tensor:
    """Return sum_j c_j w_j with w = softmax_j(-alpha |v - c_j|^2), shape (n, c, p)."""
    nearest, least = _nearest(noisy, centres)
    total, lean = torch.zeros_like(least), torch.zeros_like(noisy)
    for j in range(centres.shape[2]):
        weight = (least - _away(noisy, centres, j)).mul_(alpha).exp_()
        total += weight
        lean += weight.unsqueeze(1) * (centres[:, :, j, None] - nearest)
    return nearest + lean / total.unsqueeze(1)


def assign(noisy: Tensor, centres: Tensor, alpha: float | None, slope: float | None) -> Tensor:
    """Return what centres (n, c, k) make of pixels (n, c, p).

    `alpha` is the inverse temperature of the mean; None: the nearest centre, the first of a tie.
    `slope` is that of the mean that is differentiated in both; None: the identity, in the pixels.
    """
    made: Tensor = _Assignment.apply(noisy, centres, alpha, slope)  # type: ignore[no-untyped-call]
    return made


class _Assignment(torch.autograd.Function):
    """The nearest centre or the mean forward; backward the mean's gradient, in closed form.

    Nothing but pixels and centres is kept. Everything is relative to the nearest centre: where one
    centre has nearly all weight, a mean that is subtracted would leave rounding noise, and its
    sign would be a step of the attack.
    """

    @staticmethod
    def forward(
        ctx: Any, noisy: Tensor, centres: Tensor, alpha: float | None, slope: float | None
    ) -> Tensor:
        ctx.save_for_backward(noisy, centres)
        ctx.slope = slope
        return _nearest(noisy, centres)[0] if alpha is None else _mean(noisy, centres, alpha)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        # with e_j = g . (c_j - c), c the nearest centre, and pull_j = w_j (e_j - sum_l w_l e_l):
        # pixel v has 2 alpha sum_j pull_j (c_j - c), centre j has the sum over the pixels of
        # w_j g + 2 alpha pull_j (v - c_j)
        if ctx.slope is None:
            return grad, None, None, None
        noisy, centres = ctx.saved_tensors
        nearest, least = _nearest(noisy, centres)
        total, lean = torch.zeros_like(least), torch.zeros_like(least)
        for j in range(centres.shape[2]):
            weight = (least - _away(noisy, centres, j)).mul_(ctx.slope).exp_()
            total += weight
            lean += weight * (grad * (centres[:, :, j, None] - nearest)).sum(dim=1)
        lean /= total
        for_pixels = torch.zeros_like(noisy)
        for_centres = torch.zeros_like(centres) if ctx.needs_input_grad[1] else None
        for j in range(centres.shape[2]):
            centre = centres[:, :, j, None]
            weight = (least - _away(noisy, centres, j)).mul_(ctx.slope).exp_() / total
            step = centre - nearest
            pull = (weight * ((grad * step).sum(dim=1) - lean)).mul_(2 * ctx.slope).unsqueeze(1)
            for_pixels += pull * step
            if for_centres is not None:
                own = weight.unsqueeze(1) * grad + pull * (noisy - centre)
                for_centres[:, :, j] = own.sum(dim=2)
        return for_pixels, for_centres, None, None


# what RandDisc and RandMix are differentiated through
MIXTURES = Vocabulary("mix[:ALPHA] or identity", {"mix": Mixture, "identity": Identity})
