"""The map q(x): every pixel to its nearest codeword, as a torch module."""

import torch
from torch import Tensor, nn

from art_disc.codebooks import Codebook, nearest
from art_disc.defences.images import as_float_images
from art_disc.surrogates import Surrogate, channels_255, straight_through

_MEMORY_BYTES = 1 << 28


class CodebookMap(nn.Module):
    """Nearest codeword forward, bit for bit; the surrogate's gradient backward.

    Total on the reals: attacks step outside the clip range and get the nearest codeword too. A
    pixel with NaN stays NaN: some attacks try such candidates (ART's Square in l2), and they must
    fail as loudly as on the bare network.

    Args:
        codebook: A fitted codebook.
        surrogate: Stand-in that is differentiated.
        channels_first: Images are (n, c, h, w); otherwise (n, h, w, c).
        upper: Top of the input range, 1 or 255; codewords are scaled by it on the way out.
    """

    codewords: Tensor

    def __init__(
        self,
        codebook: Codebook,
        surrogate: Surrogate,
        *,
        channels_first: bool = True,
        upper: float = 1.0,
    ) -> None:
        super().__init__()
        # a later fit of the codebook must not change a map that is in use
        self.codebook = codebook.frozen()
        self.surrogate = surrogate
        self.channels_first = channels_first
        self.upper = upper
        # not in the state dict: the network's weight files stay the network's own
        self.register_buffer("codewords", torch.tensor(codebook.codewords_), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return images of codewords.

        Args:
            x: Images, floats of any precision in [0, upper], or uint8.

        Returns:
            float32 of the same shape.

        Raises:
            InputError: Not four axes, another integer type, or another channel count.
        """
        images = self._enter(x)
        codes = straight_through(images, self._hard, self._soft, self._chunk(images))
        return self._leave(codes)

    def soft(self, x: Tensor) -> Tensor:
        """Return the surrogate's own value, differentiable, in the layout and range of `x`."""
        return self._leave(self._soft(self._enter(x)))

    def _enter(self, x: Tensor) -> Tensor:
        images = as_float_images(x, 1.0 if x.dtype == torch.uint8 else self.upper)
        if self.upper != 1 and x.dtype != torch.uint8:
            images = images / self.upper
        images = images if self.channels_first else images.movedim(-1, 1)
        self.codebook.check_channels(images.shape[1])
        return images

    def _leave(self, images: Tensor) -> Tensor:
        images = images if self.channels_first else images.movedim(1, -1)
        return images if self.upper == 1 else images * self.upper

    def _chunk(self, images: Tensor) -> int:
        """Images at once such that k distances a pixel, kept by autograd, fit the budget."""
        numbers = max(1, images[0].numel()) * (self.codebook.n_codes_ + 4) if len(images) else 1
        return max(1, _MEMORY_BYTES // (4 * 4 * numbers))

    def _hard(self, images: Tensor) -> Tensor:
        return torch.cat([self._assign(part) for part in images.split(self._chunk(images))])

    def _assign(self, images: Tensor) -> Tensor:
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

    def _soft(self, images: Tensor) -> Tensor:
        return self.surrogate(images, self.codebook)
