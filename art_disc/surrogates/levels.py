"""One-hot and thermometer codes of grey levels, and what a stand-in for them is."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from art_disc.core.showing import Shown
from art_disc.surrogates.pixels import Surrogate


@dataclass(frozen=True, slots=True)
class LevelCode(Shown):
    """Which code of which levels: level p of L holds the values in (p / L, (p + 1) / L].

    Attributes:
        n_levels: L, at least 2.
        one_hot: One bit a level; otherwise a thermometer, whose bits 0 to p are on at level p.
    """

    n_levels: int
    one_hot: bool

    def hard(self, x: Tensor) -> Tensor:
        """Return the exact code of images (n, c, h, w), float32 on the [0, 1] scale.

        It is float32 (n, c * L, h, w) of 0 and 1, the L bits of a channel side by side: NaN for the
        bits of a NaN, below 0 those of level 0, above 1 of the highest.
        """
        code = x.new_empty((*x.shape[:2], self.n_levels, *x.shape[2:]))
        torch.gt(x.clamp(0, 1).unsqueeze(2), self._borders(x), out=code)
        if self.one_hot:
            code[:, :, :-1] -= code[:, :, 1:].clone()
        lost = x.isnan()
        if lost.any():
            code.masked_fill_(lost.unsqueeze(2), torch.nan)
        return code.flatten(1, 2)

    def decode(self, code: Tensor) -> Tensor:
        """Return the middles (n, c, h, w) in [0, 1] of the levels of codes (n, c * L, h, w)."""
        bits = code.unflatten(1, (-1, self.n_levels))
        level: Tensor = bits.argmax(dim=2) if self.one_hot else bits.sum(dim=2) - 1
        return (level.to(torch.float32) + 0.5) / self.n_levels

    def level(self, x: Tensor) -> Tensor:
        """Return the level of every value, whole numbers (n, c, h, w)."""
        return torch.bucketize(x.detach().contiguous(), self._borders(x).flatten()[1:])

    def from_shares(self, share: Tensor) -> Tensor:
        """Return the code between levels of shares that sum to 1 over axis 2: (n, c, L, h, w)."""
        if self.one_hot:
            return share
        upper = share[:, :, 1:].flip(2).cumsum(2).flip(2)
        return torch.cat([torch.ones_like(upper[:, :, :1]), upper], dim=2)

    def middles(self, x: Tensor) -> Tensor:
        """Return the middle of each level, shape (L, 1, 1), where `x` is."""
        return (self._index(x) + 0.5) / self.n_levels

    def _index(self, x: Tensor) -> Tensor:
        index = torch.arange(self.n_levels, dtype=torch.float32, device=x.device)
        return index.view(-1, 1, 1)

    def _borders(self, x: Tensor) -> Tensor:
        # nothing lies below the lowest level
        inner = torch.arange(1, self.n_levels, dtype=torch.float64) / self.n_levels
        borders = torch.cat([inner.new_tensor([-torch.inf]), inner])
        return borders.to(torch.float32).to(x.device).view(-1, 1, 1)

    def direction(self, x: Tensor) -> Tensor:
        """Return the slope of each bit under `identity`.

        The sign of the way in which x must go to switch it on: above for all bits of a thermometer,
        but for bit 0 which is always on (L, 1, 1); above or below, as its level lies, for the bits
        of a one-hot code, less the mean of the signs, as those bits always sum to 1 (n, c, L, h,
        w). The sign for x is then right wherever the network's preference rises, or falls, from
        level to level.
        """
        index = self._index(x)
        if not self.one_hot:
            return index.sign()
        signs = (index - self.level(x).unsqueeze(2)).sign()
        return signs - signs.mean(dim=2, keepdim=True)

    def from_upper_bits(self, bits: Tensor) -> Tensor:
        """Return the code of thermometer bits 1 to L - 1 in axis 2; bit 0 is always on."""
        code = torch.cat([torch.ones_like(bits[:, :, :1]), bits], dim=2)
        if not self.one_hot:
            return code
        return code - torch.cat([bits, torch.zeros_like(bits[:, :, :1])], dim=2)


@runtime_checkable
class LevelSurrogate(Surrogate, Protocol):
    """A differentiable stand-in for the code of each channel's grey level."""

    def of_levels(self, x: Tensor, levels: LevelCode) -> Tensor:
        """Return smoothed codes (n, c, L, h, w) of images (n, c, h, w), float32 on [0, 1]."""
        ...
