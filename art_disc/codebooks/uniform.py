"""Data-independent codebooks: colour-depth bins and bit-depth cells, applied per channel."""

import numpy as np

from art_disc.codebooks.codebook import Codebook
from art_disc.core.checks import check_count
from art_disc.core.errors import InputError


class UniformCodebook(Codebook):
    """Colour-depth bins i/(k-1), i = 0..k-1, applied to each channel by itself.

    A value halfway between two bins goes to the lower one, as in the published code (the text of
    Chen et al. 2019 rounds it up).

    Args:
        n_codes: Bins k, 2 to 256.

    Raises:
        InputError: `n_codes` is no whole number in 2..256.
    """

    def __init__(self, n_codes: int = 8) -> None:
        self.n_codes = n_codes
        self._settle()

    def _settle(self) -> None:
        k = check_count(self.n_codes, "n_codes", least=2)
        if k > 256:
            msg = f"n_codes must lie in 2..256, got {k}"
            raise InputError(msg)
        self.metric, self.per_channel, self.ties = "l_inf", True, "lowest"
        self._adopt((np.arange(k) / (k - 1)).astype(np.float32)[:, None])


class BitDepthCodebook(Codebook):
    """Centres of the 2^bits equal cells of 0..256, applied to each channel by itself.

    I -> floor(I / w) w + w / 2 with w = 256 / 2^bits on the 255 scale, so a value on a border goes
    up; with 8 bits the map adds half a level and is not the identity.

    Args:
        bits: 1 to 8.
        centred: floor(I / w) w + (w - 1) / 2 in its place, the mean of a cell's grey levels: the
            same cells of 8-bit images, codewords that lie symmetrically in 0..255, and at 8 bits
            the identity on them. Borders lie half a level lower.

    Raises:
        InputError: `bits` is no whole number in 1..8.

    Source: Panda, Chakraborty, Roy 2019, eq. (2).
    """

    def __init__(self, bits: int = 2, centred: bool = False) -> None:
        self.bits = bits
        self.centred = centred
        self._settle()

    def _settle(self) -> None:
        if check_count(self.bits, "bits") > 8:
            msg = f"bits must lie in 1..8, got {self.bits}"
            raise InputError(msg)
        width = 256 / 2**self.bits
        self.metric, self.per_channel, self.ties = "l_inf", True, "highest"
        inner = (width - 1) / 2 if self.centred else width / 2
        centres = (np.arange(2**self.bits) * width + inner) / 255
        self._adopt(centres.astype(np.float32)[:, None])
