"""LQ-VAE as a torch module: exact code and decoder 1 forward, a stand-in for H backward."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from art_disc.core.checks import check_positive
from art_disc.core.showing import Shown
from art_disc.defences.draws import Draws, RandomMap
from art_disc.defences.images import StepMap, divided, images_at_once
from art_disc.networks import LQVAENet
from art_disc.surrogates import Identity, Surrogate, Vocabulary, straight_through


@runtime_checkable
class CodeSurrogate(Surrogate, Protocol):
    """A differentiable stand-in for the quantiser H."""

    def code(self, z: Tensor, network: LQVAENet) -> Tensor:
        """Return what decoder 1 is differentiated at, of latent variables z (n, latent)."""
        ...


@dataclass(frozen=True, slots=True)
class SoftCode(Shown):
    """The paper's soft quantiser, in front of decoder 1: u / (c + |u|), u = eta^2 - z^2.

    Encoder, soft quantiser and decoder 1 are one smooth function, whose gradient this is.

    Args:
        c: > 0; None: that of the fitted LQ-VAE. A small one, as the published 0.002, leaves hardly
            a gradient away from the thresholds: attack through a larger one too.

    Raises:
        InputError: `c` is no positive number.

    Source: Kyatham et al. 2020, eq. 4 and "White box attacks with BPDA".
    """

    c: float | None = None

    def __post_init__(self) -> None:
        if self.c is not None:
            check_positive(self.c, "c")

    @property
    def name(self) -> str:
        """`softcode`, with its c if it has one of its own."""
        return "softcode" if self.c is None else f"softcode(c={self.c:g})"

    def code(self, z: Tensor, network: LQVAENet) -> Tensor:
        """Return soft codes."""
        return network.soft(z, self.c)


@dataclass(frozen=True, slots=True)
class LatentIdentity(Shown):
    """H forward, and backward as if it were not there: decoder 1 is differentiated at the code.

    Source: Athalye, Carlini, Wagner 2018, section 4.1 (BPDA with the identity).
    """

    name: ClassVar[str] = "latent"

    def code(self, z: Tensor, network: LQVAENet) -> Tensor:
        """Return hard codes with the gradient of z."""
        return straight_through(z, network.hard, torch.clone, max(1, len(z)))


@dataclass(frozen=True, slots=True)
class Tent(Shown):
    """H forward, eta - |z| backward: decoder 1 is differentiated at the code.

    H falls as z leaves 0 to either side. The identity has the wrong sign on one of them, the soft
    quantiser hardly a slope far away; this has the right sign everywhere.
    """

    name: ClassVar[str] = "tent"

    def code(self, z: Tensor, network: LQVAENet) -> Tensor:
        """Return hard codes with the gradient of eta - |z|."""
        return straight_through(z, network.hard, lambda v: network.eta - v.abs(), max(1, len(z)))


# what an LQ-VAE is differentiated through
CODES = Vocabulary(
    "softcode[:C], latent, tent or identity",
    {"softcode": SoftCode, "latent": LatentIdentity, "tent": Tent, "identity": Identity},
)


def copies(network: LQVAENet) -> int:
    """Return how many float32 numbers autograd keeps of a value of an image, at most."""
    (channels, height, width), stack = network.input_shape, network.stack
    areas = [side * other for side, other in stack.sides(height, width)]
    place, kept = 0, 0
    for wide, stride in stack.down:
        place += stride - 1
        kept += 0 if network.linear_encoder else wide * areas[place]
    for wide, stride in stack.up:
        place = max(0, place - stride + 1)
        kept += wide * areas[place]
    room = stack.down[-1][0] * areas[-1]
    # what a layer makes, and what its activation makes of that; between them the dense layers
    kept = 2 * (kept + room + 2 * stack.hidden + 2 * network.latent) + 3 * channels * areas[0]
    return math.ceil(kept / (channels * areas[0]))


def soft(
    network: LQVAENet, surrogate: Surrogate, images: Tensor, normal: Tensor | None = None
) -> Tensor:
    """Return the stand-in of purified images in [0, 1]; `normal` as for `LQVAENet.drawn`."""
    if not isinstance(surrogate, CodeSurrogate):
        return images.clone()
    return network.decode(surrogate.code(network.drawn(images, normal), network))


class MeanMap(StepMap):
    """Images purified from the means of their latent variables."""

    def __init__(self, network: LQVAENet, surrogate: Surrogate, **options: Any) -> None:
        super().__init__(copies(network), **options)
        self.network = network
        self.surrogate = surrogate

    def changed(self, images: Tensor) -> Tensor:
        """Return purified images; see `StepMap`."""
        exact = type(self.surrogate) in (LatentIdentity, Tent)
        # its graph fits, and so one pass serves value and gradient
        if exact and len(images) <= images_at_once(images, self.copies):
            return self.stand_in(images)
        return super().changed(images)

    def exact(self, images: Tensor) -> Tensor:
        """Return purified images; see `StepMap`."""
        made: Tensor = self.network(images)
        return made

    def stand_in(self, images: Tensor) -> Tensor:
        """Return their stand-in."""
        return soft(self.network, self.surrogate, images)

    def of_bits(self, bits: Tensor) -> Tensor:
        """Return what leaves the map of codes given as bits (n, ...), 0 for -1 and 1 for +1."""
        return self.leave(self.network.decode(2 * bits.flatten(1) - 1))


class SampledMap(RandomMap):
    """Images purified from one draw of their latent variables."""

    def __init__(self, network: LQVAENet, surrogate: Surrogate, **options: Any) -> None:
        super().__init__(**options)
        self.network = network
        self.surrogate = surrogate

    def transform(self, images: Tensor, draws: Draws) -> Tensor:
        """Return one draw of purified images; see `RandomMap`."""
        normal = draws.normal((len(images), self.network.latent), images.device)
        # each image with its own numbers, so that both passes may go in parts
        rows = torch.cat([normal, divided(images, self.upper).flatten(1)], dim=1)
        chunk = images_at_once(images, copies(self.network))

        def hard(rows: Tensor) -> Tensor:
            parts = (self._parted(part, images.shape[1:]) for part in rows.split(chunk))
            return torch.cat([self.network(part, drawn) for drawn, part in parts])

        def stand_in(rows: Tensor) -> Tensor:
            drawn, part = self._parted(rows, images.shape[1:])
            return soft(self.network, self.surrogate, part, drawn)

        return straight_through(rows, hard, stand_in, chunk) * self.upper

    def _parted(self, rows: Tensor, shape: torch.Size) -> tuple[Tensor, Tensor]:
        """Return the random numbers and the images of rows that hold both."""
        latent = self.network.latent
        return rows[:, :latent], rows[:, latent:].unflatten(1, shape)
