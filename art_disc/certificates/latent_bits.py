"""Which bits of an LQ-VAE's code a budget can flip.

The means of all images within the budget lie in a box; bits whose part of it lies on one side of
both thresholds are fixed.
"""

import torch
from torch import Tensor, nn

from art_disc.bounds import crown_ibp, magnitudes, trace
from art_disc.core.budget import BUDGET_TOLERANCE
from art_disc.networks import LQVAENet

# a perturbed image is rounded to float32, and so are thresholds
_ROUNDED = 2.0**-22
_BEYOND = BUDGET_TOLERANCE + _ROUNDED


class _Means(nn.Module):
    """The means of images on [0, 1], as bounds follow them."""

    def __init__(self, network: LQVAENet) -> None:
        super().__init__()
        self.encoder = network.encoder

    def forward(self, x: Tensor) -> Tensor:
        """Return means (n, latent)."""
        made: Tensor = self.encoder(2 * x - 1)[0]
        return made


@torch.no_grad()
def reachable_bits(network: LQVAENet, x: Tensor, eps: float, *, batch_size: int = 16) -> Tensor:
    """Return the bits of all images within an l_inf budget: -1, +1, or 0 where both may be.

    The box of the means is the meet of that of linear bounds (CROWN-IBP), and of each mean's
    Lipschitz bound in l2 times the length of the longest perturbation within budget and [0, 1];
    both are widened by what rounding in float64 can amount to, and by what it is seen to amount to
    in float32 (`bounds.magnitudes`). At a threshold a bit may be both. Images may exceed the budget
    by `BUDGET_TOLERANCE`, as attacks may.

    Args:
        network: In eval mode.
        x: Images (n, c, h, w) in [0, 1].
        eps: The budget on [0, 1].
        batch_size: Images at once.

    Returns:
        (n, latent).

    Raises:
        CertificateError: A layer of the encoder has no bounds.
    """
    graph = trace(_Means(network), tuple(x.shape[1:]), torch.float64)
    lipschitz = network.lipschitz_bounds()
    found = []
    for images in x.to(torch.float64).split(batch_size):
        ends = [images - eps - _BEYOND, images + eps + _BEYOND]
        low, high = (end.clamp(0, 1) for end in ends)
        error = magnitudes(graph, low, high).error[:, None]
        bounds = crown_ibp(graph, low, high)
        rows = torch.eye(network.latent, dtype=torch.float64).expand(len(images), -1, -1)
        longest = torch.maximum(high - images, images - low).flatten(1).norm(dim=1, keepdim=True)
        means, length = graph(images), lipschitz * longest * (1 + _ROUNDED)
        least = torch.maximum(bounds.lower(rows), means - length) - error
        most = torch.minimum(-bounds.lower(-rows), means + length) + error
        inner, outer = network.eta * (1 - _ROUNDED), network.eta * (1 + _ROUNDED)
        inside = (least > -inner) & (most < inner)
        outside = (least > outer) | (most < -outer)
        found.append(inside.to(torch.int64) - outside.to(torch.int64))
    return torch.cat(found)
