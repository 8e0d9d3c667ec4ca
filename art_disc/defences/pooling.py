"""Max-pooling to a smaller image, and the bilinear way back, as defences that can be chained."""

from functools import partial
from typing import Any, Self

from torch import Tensor
from torch.nn import functional

from art_disc.core.checks import check_count
from art_disc.core.errors import InputError
from art_disc.defences.images import FunctionMap
from art_disc.defences.preprocessor import MapPreprocessor
from art_disc.defences.resizing import ResizingPreprocessor, bilinear

# eps up to which the paper takes a filter size and a stride
TABLE_1 = ((0.02, 1, 1), (0.05, 1, 2), (0.07, 2, 3), (0.1, 2, 4), (0.3, 2, 7))


def pooled(images: Tensor, filter_size: int, stride: int, *, back: bool) -> Tensor:
    """Return the highest value of every window that lies in images (n, c, h, w).

    The result is (n, c, h', w'), or resized to the size of the input where it goes `back`.
    """
    height, width = images.shape[2:]
    check_window(filter_size, height, width)
    small = functional.max_pool2d(images, filter_size, stride)
    return bilinear(small, height, width) if back else small


def check_window(filter_size: int, height: int, width: int) -> None:
    """Refuse a window that is larger than the image."""
    if filter_size > min(height, width):
        msg = f"filter_size must fit into images of {height} x {width}, got {filter_size}"
        raise InputError(msg)


class MaxPoolDownsample(ResizingPreprocessor):
    """Keep the highest value of every window, and go back to the input's size by interpolation.

    A perturbation of at most eps moves no window's maximum by more than eps. With a stride above
    the filter size some pixels are never read. Where several pixels of a window are highest, the
    first of them has the gradient.

    The paper's pipeline pools, discretises the small image and then goes back. It is three
    defences in a row, so that the discretisation (its draws, its certificate) works on the small
    image as on any other and each pooled image is drawn from many times::

        defences=[
            MaxPoolDownsample(2, 7, resize=False), RandDisc.preset("mnist"), BilinearResize(28, 28)
        ]

    Args:
        filter_size: Side of a window, >= 1.
        stride: From one window to the next, >= 1.
        resize: Go back to the input's size; if not, the small image is what comes out.
        **options: Keyword options of `MapPreprocessor`.

    Raises:
        InputError: A number below 1.

    Source: Zhang, Liang 2019, section 5.1 (certified accuracy); the interpolation of its code.
    """

    params = ("filter_size", "stride", "resize", *MapPreprocessor.params)
    pools = True

    def __init__(
        self, filter_size: int, stride: int, *, resize: bool = True, **options: Any
    ) -> None:
        self.filter_size = filter_size
        self.stride = stride
        self.resize = resize
        super().__init__(**options)

    @classmethod
    def published(cls, eps: float, **options: Any) -> Self:
        """Return the down-sampling of the paper's Table 1.

        The published code certifies with several and keeps the best on the test images, so a
        choice of one's own belongs on training images.

        Args:
            eps: Budget on [0, 1], above 0 and at most 0.3.
            **options: Other arguments of the constructor.

        Raises:
            InputError: The table has no such budget.
        """
        for highest, filter_size, stride in TABLE_1:
            if 0 < eps <= highest:
                return cls(filter_size, stride, **options)
        msg = f"the table is for eps above 0 and at most {TABLE_1[-1][0]}, got {eps!r}"
        raise InputError(msg)

    def _check_params(self) -> None:
        self.filter_size = check_count(self.filter_size, "filter_size")
        self.stride = check_count(self.stride, "stride")
        super()._check_params()

    def _make_map(self) -> FunctionMap:
        pool = partial(pooled, filter_size=self.filter_size, stride=self.stride, back=self.resize)
        return FunctionMap(pool, **self._layout())

    def new_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size of the pooled image, or that of the input; refuse too small a one."""
        check_window(self.filter_size, height, width)
        if self.resize:
            return height, width
        first, second = ((side - self.filter_size) // self.stride + 1 for side in (height, width))
        return first, second


class BilinearResize(ResizingPreprocessor):
    """Resize images by interpolation, as TensorFlow 1 does by default: no half-pixel offset.

    Args:
        height: Of the images that come out, >= 1.
        width: Of the images that come out, >= 1.
        **options: Keyword options of `MapPreprocessor`.

    Raises:
        InputError: A number below 1.

    Source: the code of Zhang, Liang 2019.
    """

    params = ("height", "width", *MapPreprocessor.params)
    pools = True

    def __init__(self, height: int, width: int, **options: Any) -> None:
        self.height = height
        self.width = width
        super().__init__(**options)

    def _check_params(self) -> None:
        self.height = check_count(self.height, "height")
        self.width = check_count(self.width, "width")
        super()._check_params()

    def _make_map(self) -> FunctionMap:
        resize = partial(bilinear, height=self.height, width=self.width)
        return FunctionMap(resize, **self._layout())

    def new_size(self, height: int, width: int) -> tuple[int, int]:  # noqa: ARG002 - of any image
        """Return the fixed size."""
        return self.height, self.width
