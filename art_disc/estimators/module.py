"""Defence, standardisation and network in one torch module."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from art_disc.core.errors import InputError
from art_disc.defences.images import divided
from art_disc.defences.preprocessor import MapPreprocessor
from art_disc.networks import SignGradient

_OWN = SignGradient()


class DefendedModule(nn.Module):
    """network((defences(x) - mean) / std).

    Some of ART's attacks rebuild a bare classifier around `classifier.model` and some call that
    module directly; what lives here survives them all. What it rests on besides the network is read
    from one place each, and cannot be set: sealed copies of the defences, whose maps it runs, and
    the buffers `mean` and `std`.

    Args:
        base: The network; it is shared, not copied.
        defences: Fitted defences, applied in order.
        standardisation: (mean, std), numbers or one a channel, applied after the defences.
        channels_first: Layout of the images.
        upper: Top of the input range, 1 or 255.
        through: How the network is differentiated where its activations are binarised.

    Raises:
        InputError: `through` is no `SignGradient`.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        base: nn.Module,
        defences: Sequence[MapPreprocessor] = (),
        *,
        standardisation: tuple[Any, Any] | None = None,
        channels_first: bool = True,
        upper: float = 1.0,
        through: SignGradient = _OWN,
    ) -> None:
        super().__init__()
        # a class derived from it may do anything to logits
        if type(through) is not SignGradient:
            msg = f"through must be a SignGradient, got {type(through).__name__}; give one"
            raise InputError(msg)
        self._preprocessors = tuple(defence.sealed() for defence in defences)
        # for torch, which finds modules here; `forward` asks the defences
        self.maps = nn.ModuleList(defence.map for defence in self._preprocessors)
        self._standardised = standardisation is not None
        self._channels_first = channels_first
        self._upper = upper
        self._through = through
        mean, std = standardisation or (0.0, 1.0)
        self.register_buffer("mean", self._per_channel(mean), persistent=False)
        self.register_buffer("std", self._per_channel(std), persistent=False)
        self.base = base

    def _per_channel(self, values: Any) -> Tensor:
        tensor = torch.tensor(np.asarray(values), dtype=torch.float32)
        return tensor.view(-1, 1, 1) if tensor.ndim == 1 and self.channels_first else tensor

    @property
    def preprocessors(self) -> tuple[MapPreprocessor, ...]:
        """The sealed defences, in the order in which they are applied."""
        return self._preprocessors

    @property
    def channels_first(self) -> bool:
        """Layout of the images."""
        return self._channels_first

    @property
    def upper(self) -> float:
        """Top of the input range."""
        return self._upper

    @property
    def through(self) -> SignGradient:
        """How the network's signs are differentiated, and the temperature of its logits."""
        return self._through

    @property
    def standardisation(self) -> tuple[Any, Any] | None:
        """(mean, std), float32 numbers or one a channel, or None."""
        if not self._standardised:
            return None
        mean, std = (
            (buffer.flatten() if buffer.shape[1:] == (1, 1) else buffer).numpy(force=True)
            for buffer in (self.mean, self.std)
        )
        return mean, std

    @property
    def options(self) -> dict[str, Any]:
        """What a module around the same network is made with, but for defences and `through`."""
        names = ("standardisation", "channels_first", "upper")
        return {name: getattr(self, name) for name in names}

    def forward(self, x: Tensor) -> Any:
        """Return what the network returns.

        Args:
            x: Images in the input range; floats of any precision, or uint8.

        Raises:
            InputError: Another integer type, or what a defence refuses.
        """
        x = self._enter(x)
        for defence in self._preprocessors:
            x = defence.map(x)
        return self._classify(x)

    def _enter(self, x: Tensor) -> Tensor:
        if x.dtype == torch.uint8:
            x = divided(x.to(torch.float32), 255) * self.upper
        elif not x.is_floating_point():
            msg = f"expected float or uint8 images, got {x.dtype}; convert with .astype('float32')"
            raise InputError(msg)
        return x.to(torch.float32)

    def standardised(self, x: Tensor) -> Tensor:
        """Return (x - mean) / std; x itself where there is no standardisation."""
        return (x - self.mean) / self.std if self._standardised else x

    def _classify(self, x: Tensor) -> Any:
        return self._through.logits(self.base, self.standardised(x))


class BehindMaps(nn.Module):
    """What a defended module does to the image that its last map returns.

    Args:
        module: Shared, not copied.
    """

    def __init__(self, module: DefendedModule) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Any:
        """Return the network's logits, before any temperature of its gradients."""
        return self.module.base(self.module.standardised(x))
