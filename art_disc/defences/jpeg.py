"""JPEG compression: Pillow's own value, the gradient of a differentiable JPEG."""

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from art_disc.core.errors import InputError
from art_disc.defences.images import StepMap, divided
from art_disc.defences.jpeg_codec import JpegCodec, tables
from art_disc.defences.jpeg_model import DctModel, jpeg_model
from art_disc.defences.preprocessor import SurrogatePreprocessor
from art_disc.surrogates import Identity, Surrogate, SurrogateLike, Vocabulary

# tensors of an image's size that autograd keeps of the model, roughly
_COPIES = 20


class JpegMap(StepMap):
    """Each image through Pillow's JPEG forward, bit for bit; the surrogate's gradient backward.

    Values outside the range are those of its ends. A NaN spoils its image.
    """

    def __init__(self, codec: JpegCodec, surrogate: Surrogate, **options: Any) -> None:
        super().__init__(_COPIES, unit=False, **options)
        self.codec = codec
        self.surrogate = surrogate

    def enter(self, x: Tensor) -> Tensor:
        """As `StepMap.enter`; refuse images that are neither grey nor RGB."""
        images = super().enter(x)
        check_planes(images.shape[1])
        return images

    def _levels(self, images: Tensor) -> NDArray[np.uint8]:
        """Return the nearest 8-bit levels, shape (n, h, w, c); ties go to the even one."""
        # 64 bits hold a float32 times 255, so no value is rounded across a tie
        levels = images.detach().to("cpu", torch.float64) * (255 / self.upper)
        levels = levels.nan_to_num(0.0).clamp(0, 255).round().to(torch.uint8)
        return levels.movedim(1, -1).contiguous().numpy()

    def exact(self, images: Tensor) -> Tensor:
        """Return decoded images."""
        pictures = self._levels(images)
        for picture in pictures:
            picture[:] = self.codec.through(picture)
        levels = torch.from_numpy(pictures).movedim(-1, 1).contiguous().to(images.device)
        lost = images.isnan().flatten(1).any(dim=1)
        made = divided(levels.to(torch.float32), 255) * self.upper
        return made.masked_fill(lost[:, None, None, None], torch.nan)

    def stand_in(self, images: Tensor) -> Tensor:
        """Return the images themselves, or the model's, with the tables that Pillow used."""
        if not isinstance(self.surrogate, DctModel):
            return images.clone()
        used = images.new_tensor(self._tables(images))
        scale = 255 / self.upper
        rounding = self.surrogate.rounded
        return jpeg_model(images * scale, used, self.codec.subsampling, rounding) / scale

    def _tables(self, images: Tensor) -> NDArray[np.float32]:
        """Return the tables of every image, shape (n, c, 8, 8), or (1, c, 8, 8) if all alike."""
        channels = images.shape[1]
        if self.codec.quality is not None:
            return tables(int(self.codec.quality), channels)[None]
        found = [self.codec.quality_for(picture) for picture in self._levels(images)]
        return np.stack([tables(quality, channels) for quality in found])


def check_planes(channels: int) -> None:
    """Refuse images that are neither grey nor RGB."""
    if channels not in (1, 3):
        msg = f"JPEG is for images of 1 or 3 channels, got {channels}; check channels_first"
        raise InputError(msg)


class JpegCompression(SurrogatePreprocessor):
    """Encode every image as JPEG and decode it again, in memory.

    Values are rounded to the nearest 8-bit level, encoded and decoded by Pillow: the value is that
    of the library, bit for bit. Grey images and RGB.

    Args:
        quality: Pillow's, 1 to 100; None: 75, or what the ratio asks for.
        ratio: In place of a quality, each image is compressed by this factor: the highest quality
            at which raw bytes (a byte a value) by compressed bytes are at least the ratio. The
            paper has 4 and does not say of what; here headers and tables do not count, which are
            about 600 bytes in colour and alone more than a quarter of a 28 x 28 or 32 x 32 image.
            The quality is found by bisection, and is 1 where none suffices.
        subsampling: `4:2:0` (Pillow's default), `4:2:2` or `4:4:4`; without meaning for grey.
        surrogate: Backward pass: `dct` or `dct:ALPHA`, a differentiable JPEG with logistic steps
            (`DctModel`) and the quantisation tables that Pillow used; `dct-identity`, the same with
            its rounding differentiated straight through; `identity`.
        **options: Keyword options of `MapPreprocessor`.

    Raises:
        InputError: A parameter does not fit, or both quality and ratio are given.

    Source: Dziugaite, Ghahramani, Roy 2016; the ratio and the surrogate Zhang, Liang 2019,
    section 5.2.
    """

    params = ("quality", "ratio", "subsampling", *SurrogatePreprocessor.params)
    vocabulary = Vocabulary(
        "dct[:ALPHA], dct-identity or identity",
        {"dct": DctModel, "dct-identity": partial(DctModel, None), "identity": Identity},
        (DctModel, Identity),
    )

    def __init__(
        self,
        quality: int | None = None,
        *,
        ratio: float | None = None,
        subsampling: str = "4:2:0",
        surrogate: SurrogateLike = "dct",
        **options: Any,
    ) -> None:
        self.quality = quality
        self.ratio = ratio
        self.subsampling = subsampling
        super().__init__(surrogate, **options)

    def _check_params(self) -> None:
        if self.quality is None and self.ratio is None:
            self.quality = 75
        super()._check_params()

    def _make_map(self) -> JpegMap:
        codec = JpegCodec(self.quality, self.ratio, self.subsampling)
        return JpegMap(codec, self.surrogate, **self._layout())

    def check_channels(self, channels: int) -> None:
        """Refuse images that are neither grey nor RGB."""
        check_planes(channels)

    def spread(self) -> tuple[Surrogate, ...]:
        """Return its own kind of model at the paper's and at a blunter alpha, and straight."""
        return DctModel(), DctModel(10.0), DctModel(None)
