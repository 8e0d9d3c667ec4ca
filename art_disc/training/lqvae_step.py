"""The loss of one batch of an LQ-VAE's training."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from art_disc.networks import LQVAENet
from art_disc.training.lqvae_settings import LQVAESettings


@dataclass(frozen=True, slots=True)
class StepLoss:
    """Algorithm 1's losses of a batch as one sum, whose gradient serves all three networks.

    Decoder 2's error reaches decoder 2 and, through the soft code, the encoder; decoder 1's reaches
    decoder 1 alone, since the hard code has no gradient; KL and penalty reach the encoder.

    Args:
        settings: Penalty and weights.
    """

    settings: LQVAESettings

    @property
    def penalises(self) -> bool:
        """Whether a step needs the encoder's gradient in its images."""
        how = self.settings
        return how.penalty in ("jacobian", "summed") and how.penalty_weight > 0

    def __call__(
        self, net: LQVAENet, x: Tensor, target: Tensor, normal: Tensor, direction: Tensor | None
    ) -> Tensor:
        """Return the mean loss of images, a scalar.

        Args:
            net: In train mode.
            x: Images to encode, (n, c, h, w) in [0, 1].
            target: Images to make, of the same shape and range.
            normal: Standard normal numbers (n, latent), the draws of the latent variables.
            direction: (n, latent), of the penalty.
        """
        # on the network's own scale, that of the published code's losses
        images, wanted = 2 * x - 1, 2 * target - 1
        if direction is not None:
            images.requires_grad_()
        mean, log_variance = net.encoder(images)
        z = net.moved(mean, log_variance, normal)
        loss = _squares(net.soft_decoder(net.soft(z)) - wanted)
        loss = loss + _squares(net.decoder(net.hard(z.detach())) - wanted)
        loss = loss + self.settings.kl_weight * divergence(mean, log_variance)
        if direction is not None:
            beyond = _slope(mean, direction, images) - self.settings.lipschitz
            loss = loss + self.settings.penalty_weight * beyond.square()
        return loss.mean()

    def direction(self, n: int, latent: int, generator: torch.Generator) -> Tensor | None:
        """Return in which direction of the latent space the penalty looks, (n, latent)."""
        if not self.penalises:
            return None
        if self.settings.penalty == "summed":
            return torch.ones(n, latent)
        return functional.normalize(torch.randn(n, latent, generator=generator))


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(N(mean, variance) || N(0, 1)), summed over the latent variables, (n,)."""
    parts = mean.square() + log_variance.exp() - 1 - log_variance
    return 0.5 * parts.sum(dim=1)


def _squares(difference: Tensor) -> Tensor:
    return difference.square().flatten(1).sum(dim=1)


def _slope(mean: Tensor, direction: Tensor, images: Tensor) -> Tensor:
    """Return |J^T u|_2 of every image, (n,), differentiable."""
    (gradient,) = torch.autograd.grad((mean * direction).sum(), images, create_graph=True)
    # the root has no gradient at 0, where a layer is dead
    return (_squares(gradient) + 1e-12).sqrt()


def optimizer_of(settings: LQVAESettings, net: LQVAENet) -> torch.optim.Optimizer:
    """Return the optimiser of an `LQVAE`'s settings, of all three networks."""
    if settings.optimizer == "rmsprop":
        # TensorFlow's, which the published code uses
        return torch.optim.RMSprop(
            net.parameters(), lr=settings.learning_rate, alpha=0.9, eps=1e-10
        )
    return torch.optim.Adam(
        net.parameters(), lr=settings.learning_rate, betas=(0.9, 0.99), fused=True
    )
