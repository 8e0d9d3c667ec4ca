"""Inception v3 for Inception-size images, under the names of the published weights."""

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from art_disc.core.errors import InputError

# a convolution: its name, channels out, kernel (h, w)
_Conv = tuple[str, int, tuple[int, int]]
# convolutions one after the other; those of an inner list all take what came before it
_Path = list[_Conv | list[_Conv]]

_SCALINGS = {
    "tensorflow": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
_LEAST = 75
# from this side on, the auxiliary classifier's pooled map is at least 5x5
_LEAST_AUXILIARY = 299


class InceptionV3(nn.Module):
    """Inception v3, with parameters named and shaped as in torchvision's `inception_v3`.

    Published weights go in with `load_weights(InceptionV3(auxiliary=True), "inception_v3.pth")`;
    nothing is downloaded here. torchvision's ImageNet weights came from TensorFlow and want
    `scaling="tensorflow"`, although its own transform normalises by ImageNet's mean and deviation:
    with those weights torchvision's `transform_input` undoes that again. `scaling="imagenet"` is
    for networks that were trained on so normalised images with `transform_input=False`.

    Args:
        input_shape: (3, h, w), h and w at least 75; the published size is 299x299.
        nb_classes: Number of logits.
        scaling: `tensorflow` (to [-1, 1]) or `imagenet` (mean and deviation of each channel).
        auxiliary: Whether there is a second classifier on the 17x17 maps, for training and because
            published files hold it; it changes nothing in `forward`, and needs sides >= 299.

    Raises:
        InputError: The images are not RGB or too small, or the scaling is unknown.

    Source: Szegedy, Vanhoucke, Ioffe, Shlens, Wojna 2016, section 6 and Table 1, in the form of
    the weights that TensorFlow and torchvision published.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        input_shape: tuple[int, int, int] = (3, 299, 299),
        nb_classes: int = 1000,
        scaling: Literal["tensorflow", "imagenet"] = "tensorflow",
        *,
        auxiliary: bool = False,
    ) -> None:
        super().__init__()
        _check(input_shape, scaling, auxiliary=auxiliary)
        self.scaling = scaling
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in _SCALINGS[scaling])
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)
        self.order = []
        for name, layer in _layers():
            self.add_module(name, layer)
            self.order.append(name)
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(2048, nb_classes)
        self.AuxLogits = _Auxiliary(nb_classes) if auxiliary else None
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def extra_repr(self) -> str:
        """Return what the weights do not tell."""
        return f"scaling={self.scaling}"

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, nb_classes) of RGB images (n, 3, h, w) in [0, 1]."""
        return self._head(self._run(self._scaled(x), self.order))

    def with_auxiliary(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and the auxiliary classifier's logits, each (n, nb_classes).

        Args:
            x: RGB images (n, 3, h, w) in [0, 1].

        Raises:
            InputError: The network was made without `auxiliary=True`.
        """
        if self.AuxLogits is None:
            msg = "this network has no auxiliary classifier; make it with auxiliary=True"
            raise InputError(msg)
        branching = self.order.index("Mixed_7a")
        maps = self._run(self._scaled(x), self.order[:branching])
        extra: Tensor = self.AuxLogits(maps)
        return self._head(self._run(maps, self.order[branching:])), extra

    def _scaled(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std

    def _run(self, maps: Tensor, names: Sequence[str]) -> Tensor:
        for name in names:
            maps = getattr(self, name)(maps)
        return maps

    def _head(self, maps: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.dropout(maps.mean(dim=(2, 3))))
        return logits


def _check(input_shape: tuple[int, int, int], scaling: str, *, auxiliary: bool) -> None:
    least = _LEAST_AUXILIARY if auxiliary else _LEAST
    if input_shape[0] != 3 or min(input_shape[1:]) < least:
        need = " with its auxiliary classifier" if auxiliary else ""
        msg = f"InceptionV3{need} needs RGB images of at least {least}x{least}, got {input_shape}"
        raise InputError(msg)
    if scaling not in _SCALINGS:
        msg = f"scaling must be one of {', '.join(_SCALINGS)}, got {scaling!r}"
        raise InputError(msg)


class _Convolution(nn.Module):
    """Convolution without bias, batch normalisation, ReLU."""

    def __init__(
        self, into: int, out: int, kernel: tuple[int, int], stride: int = 1, *, pad: bool = True
    ) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2) if pad else (0, 0)
        self.conv = nn.Conv2d(into, out, kernel, stride=stride, padding=padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv(x)))


class _Mixed(nn.Module):
    """Parallel paths over the same maps, and a pooled one as the last; channels side by side.

    Args:
        into: Channels in.
        paths: The convolutions.
        pooled: Channels of the 1x1 convolution after a 3x3 mean; None: the maps are halved, by the
            last convolution of every path and by a 3x3 maximum.
    """

    def __init__(self, into: int, paths: Sequence[_Path], pooled: int | None) -> None:
        super().__init__()
        self.paths: list[list[list[str]]] = []
        self.out = into if pooled is None else pooled
        for path in paths:
            channels, names = into, []
            for place, step in enumerate(path):
                keeps = pooled is not None or place < len(path) - 1
                stage = step if isinstance(step, list) else [step]
                for name, out, kernel in stage:
                    layer = _Convolution(channels, out, kernel, 1 if keeps else 2, pad=keeps)
                    self.add_module(name, layer)
                channels = sum(out for _, out, _ in stage)
                names.append([name for name, _, _ in stage])
            self.paths.append(names)
            self.out += channels
        if pooled is not None:
            self.branch_pool = _Convolution(into, pooled, (1, 1))

    def forward(self, x: Tensor) -> Tensor:
        results = []
        for path in self.paths:
            maps = x
            for names in path:
                maps = torch.cat([getattr(self, name)(maps) for name in names], dim=1)
            results.append(maps)
        if "branch_pool" in self._modules:
            # the published weights count the border's zeros in the mean
            results.append(self.branch_pool(functional.avg_pool2d(x, 3, stride=1, padding=1)))
        else:
            results.append(functional.max_pool2d(x, 3, stride=2))
        return torch.cat(results, dim=1)


class _Auxiliary(nn.Module):
    """The second classifier, over 768 maps of at least 17x17."""

    def __init__(self, nb_classes: int) -> None:
        super().__init__()
        self.conv0 = _Convolution(768, 128, (1, 1))
        self.conv1 = _Convolution(128, 768, (5, 5), pad=False)
        self.fc = nn.Linear(768, nb_classes)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.conv1(self.conv0(functional.avg_pool2d(x, 5, stride=3)))
        logits: Tensor = self.fc(maps.mean(dim=(2, 3)))
        return logits


def _layers() -> Iterator[tuple[str, nn.Module]]:
    """Yield the named layers from the scaled image to the 2048 maps, in order."""
    yield "Conv2d_1a_3x3", _Convolution(3, 32, (3, 3), 2, pad=False)
    yield "Conv2d_2a_3x3", _Convolution(32, 32, (3, 3), pad=False)
    yield "Conv2d_2b_3x3", _Convolution(32, 64, (3, 3))
    yield "maxpool1", nn.MaxPool2d(3, stride=2)
    yield "Conv2d_3b_1x1", _Convolution(64, 80, (1, 1))
    yield "Conv2d_4a_3x3", _Convolution(80, 192, (3, 3), pad=False)
    yield "maxpool2", nn.MaxPool2d(3, stride=2)
    channels = 192
    for letter, pooled in zip("bcd", (32, 64, 64), strict=True):
        layer = _Mixed(channels, _SQUARE, pooled)
        yield f"Mixed_5{letter}", layer
        channels = layer.out
    yield "Mixed_6a", _Mixed(channels, _FIRST_HALVING, None)
    for letter, inner in zip("bcde", (128, 160, 160, 192), strict=True):
        yield f"Mixed_6{letter}", _Mixed(768, _long(inner), 192)
    yield "Mixed_7a", _Mixed(768, _SECOND_HALVING, None)
    yield "Mixed_7b", _Mixed(1280, _FORKED, 192)
    yield "Mixed_7c", _Mixed(2048, _FORKED, 192)


def _long(inner: int) -> list[_Path]:
    """Return the paths with kernels of length 7 (Figure 6 of the source, n = 7)."""
    wide, tall = (1, 7), (7, 1)
    chain: _Path = [("branch7x7dbl_1", inner, (1, 1))]
    for place, kernel in enumerate((tall, wide, tall, wide), start=2):
        chain.append((f"branch7x7dbl_{place}", 192 if place == 5 else inner, kernel))
    return [
        [("branch1x1", 192, (1, 1))],
        [
            ("branch7x7_1", inner, (1, 1)),
            ("branch7x7_2", inner, wide),
            ("branch7x7_3", 192, tall),
        ],
        chain,
    ]


# Figure 5 of the source, whose single 3x3 is a 5x5 in the published weights
_SQUARE: list[_Path] = [
    [("branch1x1", 64, (1, 1))],
    [("branch5x5_1", 48, (1, 1)), ("branch5x5_2", 64, (5, 5))],
    [
        ("branch3x3dbl_1", 64, (1, 1)),
        ("branch3x3dbl_2", 96, (3, 3)),
        ("branch3x3dbl_3", 96, (3, 3)),
    ],
]
# Figure 10 of the source
_FIRST_HALVING: list[_Path] = [
    [("branch3x3", 384, (3, 3))],
    [
        ("branch3x3dbl_1", 64, (1, 1)),
        ("branch3x3dbl_2", 96, (3, 3)),
        ("branch3x3dbl_3", 96, (3, 3)),
    ],
]
_SECOND_HALVING: list[_Path] = [
    [("branch3x3_1", 192, (1, 1)), ("branch3x3_2", 320, (3, 3))],
    [
        ("branch7x7x3_1", 192, (1, 1)),
        ("branch7x7x3_2", 192, (1, 7)),
        ("branch7x7x3_3", 192, (7, 1)),
        ("branch7x7x3_4", 192, (3, 3)),
    ],
]
# Figure 7 of the source
_FORKED: list[_Path] = [
    [("branch1x1", 320, (1, 1))],
    [
        ("branch3x3_1", 384, (1, 1)),
        [("branch3x3_2a", 384, (1, 3)), ("branch3x3_2b", 384, (3, 1))],
    ],
    [
        ("branch3x3dbl_1", 448, (1, 1)),
        ("branch3x3dbl_2", 384, (3, 3)),
        [("branch3x3dbl_3a", 384, (1, 3)), ("branch3x3dbl_3b", 384, (3, 1))],
    ],
]
