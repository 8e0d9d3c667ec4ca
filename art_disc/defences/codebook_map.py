"""The map q(x): every pixel to its nearest codeword, as a torch module."""

from typing import Any

import torch
from torch import Tensor

from art_disc.codebooks import Codebook, nearest
from art_disc.defences.images import StepMap
from art_disc.surrogates import PixelSurrogate, channels_255


class CodebookMap(StepMap):
    """Nearest codeword forward, bit for bit; the surrogate's gradient backward.

    A pixel with NaN stays NaN, and what lies outside the range gets the nearest codeword too.

    Args:
        codebook: A fitted codebook, of [0, 1]; codewords are scaled on the way out.
        surrogate: Stand-in that is differentiated.
        **options: `channels_first` and `upper` of `StepMap`.
    """

    codewords: Tensor

    def __init__(self, codebook: Codebook, surrogate: PixelSurrogate, **options: Any) -> None:
        super().__init__(4 * (codebook.n_codes_ + 4), **options)
        # a later fit of the codebook must not change a map that is in use
        self.codebook = codebook.frozen()
        self.surrogate = surrogate
        # not in the state dict: the network's weight files stay the network's own
        self.register_buffer("codewords", torch.tensor(codebook.codewords_), persistent=False)

    def enter(self, x: Tensor) -> Tensor:
        """As `StepMap.enter`.

        Raises:
            InputError: Another channel count than the codebook's, too.
        """
        images = super().enter(x)
        self.codebook.check_channels(images.shape[1])
        return images

    def exact(self, images: Tensor) -> Tensor:
        """Return images of codewords."""
        book = self.codebook
        index = nearest(
            channels_255(images, book), book.levels, book.nearest_metric, book.ties, torch
        )
        codewords = self.codewords.to(images.device)
        if book.per_channel:
            codes = codewords[index, 0]
        else:
            codes = codewords[index].movedim(-1, 1).contiguous()
        lost = images.isnan()
        if lost.any():
            lost = lost if book.per_channel else lost.any(dim=1, keepdim=True)
            codes = codes.masked_fill(lost, torch.nan)
        return codes

    def stand_in(self, images: Tensor) -> Tensor:
        """Return the surrogate's own value."""
        return self.surrogate(images, self.codebook)
