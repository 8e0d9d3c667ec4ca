"""The latent-quantised variational autoencoder: encoder, quantisers and decoders.

Source: Kyatham, Mishra, Yadav, Mishra, Prathosh 2020, section "Proposed method" and tables 8 and 9.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from art_disc.core.checks import check_count, check_positive
from art_disc.core.errors import FileFormatError, InputError
from art_disc.core.layouts import check_shape
from art_disc.networks.lqvae_layers import LatentEncoder, Stack, default_stack, latent_decoder
from art_disc.networks.norms import norm_bound
from art_disc.networks.weights import load_weights, save_weights, weights_header

# half of a standard normal variable lies within
QUARTILE = 0.67449
# farther from 0 soft codes are flat, and half a log-variance is no more: attacks go far away
_FLAT, _MOST = 2.0**20, 40.0


def hard_code(z: Tensor, eta: float) -> Tensor:
    """Return H: +1 where |z| <= eta, else -1, shape of `z`; a NaN stays one.

    Source: Kyatham et al. 2020, eq. 2.
    """
    code = torch.where(z.abs() <= eta, z.new_tensor(1.0), z.new_tensor(-1.0))
    return torch.where(z.isnan(), z, code)


def soft_code(z: Tensor, eta: float, c: float) -> Tensor:
    """Return H's stand-in u / (c + |u|) with u = eta^2 - z^2, values in (-1, 1), shape of `z`.

    Its largest value, at z = 0, is eta^2 / (c + eta^2), which is no code of H: 0.83 with the
    published code's eta of 0.1 and c of 0.002. Beyond 2^20 there is no slope,
    and float32 knew none at such c.

    Source: Kyatham et al. 2020, eq. 4.
    """
    inside = eta**2 - z.clamp(-_FLAT, _FLAT).square()
    return inside / (c + inside.abs())


class LQVAENet(nn.Module):
    """Encoder, quantiser H and decoder 1, and decoder 2, by which the encoder is trained.

    Inside, images are 2 x - 1, the scale of the published code.

    Args:
        input_shape: (c, h, w) of the images.
        latent: Bits of a code.
        eta: Threshold > 0 of H.
        soft_c: c > 0 of the soft quantiser.
        noise: What sigma N is multiplied by, >= 0, where latent variables are drawn.
        stack: The layers; None: `default_stack`.
        linear_encoder: Whether means are linear functions of the pixels, and variances 1; the stack
            says the layers of the decoders alone then.

    Raises:
        InputError: A value does not fit.
    """

    def __init__(  # noqa: PLR0913 - each is a choice of its own
        self,
        input_shape: tuple[int, int, int] = (1, 28, 28),
        *,
        latent: int = 64,
        eta: float = QUARTILE,
        soft_c: float = 0.1,
        noise: float = 1.0,
        stack: Stack | None = None,
        linear_encoder: bool = False,
    ) -> None:
        super().__init__()
        if len(input_shape) != 3:
            msg = f"input_shape must be (channels, height, width), got {input_shape}"
            raise InputError(msg)
        channels, height, width = (check_count(side, "input_shape") for side in input_shape)
        self.input_shape = (channels, height, width)
        self.latent = check_count(latent, "latent")
        self.eta = check_positive(eta, "eta")
        self.soft_c = check_positive(soft_c, "soft_c")
        self.noise = check_positive(noise, "noise", zero=True)
        self.stack = stack or default_stack(self.input_shape)
        self.linear_encoder = bool(linear_encoder)
        own = None if self.linear_encoder else self.stack
        self.encoder = LatentEncoder(self.input_shape, self.latent, own)
        self.decoder = latent_decoder(self.input_shape, self.latent, self.stack)
        self.soft_decoder = latent_decoder(self.input_shape, self.latent, self.stack)

    def extra_repr(self) -> str:
        """Return the numbers that its layers do not show."""
        return f"eta={self.eta:g}, soft_c={self.soft_c:g}, noise={self.noise:g}"

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and log-variances, (n, latent) each, of images (n, c, h, w) in [0, 1].

        Raises:
            InputError: Images of another shape than it was made for.
        """
        check_shape(tuple(x.shape), self.input_shape, taker="this LQVAE")
        # convolutions of another order in memory round otherwise
        means: tuple[Tensor, Tensor] = self.encoder((2 * x - 1).contiguous())
        return means

    def drawn(self, x: Tensor, normal: Tensor | None) -> Tensor:
        """Return latent variables (n, latent): the means of images, moved by noise sigma `normal`.

        `normal` holds standard normal numbers, (n, latent); None: the means themselves.
        """
        mean, log_variance = self.encode(x)
        return mean if normal is None else self.moved(mean, log_variance, normal)

    def moved(self, mean: Tensor, log_variance: Tensor, normal: Tensor) -> Tensor:
        """Return mean + noise * sigma * normal, of a sigma that is finite."""
        return mean + self.noise * (0.5 * log_variance).clamp(max=_MOST).exp() * normal

    def hard(self, z: Tensor) -> Tensor:
        """Return the codes of latent variables, -1 and +1."""
        return hard_code(z, self.eta)

    def soft(self, z: Tensor, c: float | None = None) -> Tensor:
        """Return the soft codes of latent variables, with c of its own or this one."""
        return soft_code(z, self.eta, self.soft_c if c is None else c)

    def decode(self, codes: Tensor) -> Tensor:
        """Return decoder 1's images (n, c, h, w) in [0, 1] of codes (n, latent)."""
        made: Tensor = (self.decoder(codes) + 1) / 2
        return made

    def forward(self, x: Tensor, normal: Tensor | None = None) -> Tensor:
        """Return purified images in [0, 1] of images in [0, 1]; see `drawn`."""
        return self.decode(self.hard(self.drawn(x, normal)))

    def lipschitz_bound(self, order: float = 2) -> float:
        """Return L with |mean(x) - mean(x')| <= L |x - x'| for all images on [0, 1].

        The product of upper bounds of the layers' norms (`norm_bound`), which real arithmetic
        keeps, and of leaky ReLUs' slopes. It holds for any weights, and means little for those that
        were not trained to have a small one; infinite where there is another layer or encoder.

        Args:
            order: Of both norms, 2 or inf.
        """
        bound = self._features_bound(order)
        return bound if math.isinf(bound) else bound * norm_bound(self.encoder.mean, order)

    def lipschitz_bounds(self) -> Tensor:
        """Return that of l2 for each mean by itself, (latent,) in float64: often less."""
        if math.isinf(bound := self._features_bound()):
            return torch.full((self.latent,), math.inf, dtype=torch.float64)
        rows: Tensor = self.encoder.mean.weight.detach().to("cpu", torch.float64).norm(dim=1)
        return bound * rows * (1 + 1e-10)

    def _features_bound(self, order: float = 2) -> float:
        """Bound what the layers before the means stretch by; infinite as `lipschitz_bound` is."""
        own = self.encoder
        known = type(own) is LatentEncoder and type(own.body) is nn.Sequential
        bound = 2.0 if known and type(own.mean) is nn.Linear else math.inf
        for layer in own.body if math.isfinite(bound) else ():
            if type(layer) is nn.Linear or type(layer) is nn.Conv2d:
                bound *= norm_bound(layer, order)
            elif type(layer) is nn.LeakyReLU:
                bound *= max(1.0, abs(layer.negative_slope))
            elif type(layer) is not nn.Flatten:
                return math.inf
        return math.inf if math.isnan(bound) else bound

    @classmethod
    def blank(cls, **arguments: Any) -> Self:
        """Return a network whose weights are still to come; no global stream is drawn from."""
        with torch.random.fork_rng(devices=()):
            return cls(**arguments)

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        names = ("input_shape", "latent", "eta", "soft_c", "noise", "stack", "linear_encoder")
        return {name: getattr(self, name) for name in names}

    def settings(self) -> dict[str, Any]:
        """Return the arguments of the constructor, in plain values."""
        return self.arguments() | {"stack": asdict(self.stack)}

    def save(self, path: str | Path, *, header: Mapping[str, Any] = {}) -> Path:
        """Write settings and weights as npz, in one step; nothing of it is a pickle."""
        return save_weights(self, path, header={"lqvae": self.settings(), **header})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Return the network, in eval mode, that `save` wrote.

        Raises:
            DataNotFoundError: No such file.
            FileFormatError: Damaged, or of something else.
        """
        try:
            settings = dict(weights_header(path)["lqvae"])
            settings["stack"] = Stack(**settings["stack"])
            made = cls.blank(**settings)
            load_weights(made, path)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, FileFormatError):
                raise
            msg = f"{path} holds no LQVAE: {error}; save one with LQVAE.save"
            raise FileFormatError(msg) from error
        return made.eval()
