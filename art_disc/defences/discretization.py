"""Pixel discretisation by a codebook, colour-depth reduction and input bit depth."""

from typing import Any

from art_disc.codebooks import BitDepthCodebook, Codebook, UniformCodebook
from art_disc.defences.preprocessor import CodebookPreprocessor
from art_disc.surrogates import SurrogateLike


class PixelDiscretization(CodebookPreprocessor):
    """Replace every pixel by its nearest codeword.

    Args:
        codebook: Fitted, or learned by `fit` from training images.
        surrogate: Backward pass: a surrogate, a name (`soft`, `soft:25.5`, `identity`) or a
            callable on images in [0, 1].
        channels_first: Images are (n, c, h, w); otherwise (n, h, w, c).
        clip_values: Input range, (0, 1) or (0, 255).
        apply_fit: Discretise in ART's `fit` too.
        apply_predict: Discretise in ART's `predict` and gradients.
        device_type: Where ART's NumPy path runs, `cpu` or `gpu`.

    Source: Chen et al. 2018, section 4.1, T; Chen et al. 2019.
    """

    def __init__(
        self, codebook: Codebook, surrogate: SurrogateLike = "soft", **options: Any
    ) -> None:
        super().__init__(codebook, surrogate, **options)


class ColorDepthReduction(CodebookPreprocessor):
    """Round each channel to the nearest of k equally spaced values i/(k-1).

    Args:
        n_codes: Bins k, 2 to 256.
        surrogate: Backward pass, as for `PixelDiscretization`.
        **options: Keyword options of `PixelDiscretization`.

    Source: Chen et al. 2019, section on uniform discretisation.
    """

    def __init__(self, n_codes: int = 8, surrogate: SurrogateLike = "soft", **options: Any) -> None:
        super().__init__(UniformCodebook(n_codes), surrogate, **options)


class InputBitDepth(CodebookPreprocessor):
    """Keep the first bits of each channel, at the centre of their cell.

    Args:
        bits: 1 to 8; 8 is not the identity, it adds half a grey level.
        surrogate: Backward pass, as for `PixelDiscretization`.
        **options: Keyword options of `PixelDiscretization`.

    Source: Panda et al. 2019, eq. (2).
    """

    def __init__(
        self, bits: int = 2, surrogate: SurrogateLike = "identity", **options: Any
    ) -> None:
        super().__init__(BitDepthCodebook(bits), surrogate, **options)
