"""The binarised networks of the papers and their real twins: one class, several definitions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from art_disc.core.checks import check_choice
from art_disc.core.errors import InputError
from art_disc.core.showing import Shown
from art_disc.networks.architectures import ResNet32
from art_disc.networks.binarised import Binarization, OutputScale, as_binarization
from art_disc.networks.connections import Connections
from art_disc.networks.layers import convolution, first_layer, linear
from art_disc.networks.remembered import Remembered

# the published pairs, whose binary and full-precision networks differ in width too
CIFAR_WIDTHS = {
    "binary": (384, 384, 768, 768, 1536, 512),
    "full": (128, 128, 256, 256, 512, 512),
}
ALEXNET_WIDTHS = {"binary": (192, 576, 1152, 768, 256), "full": (64, 192, 384, 256, 256)}
_ALEXNET = ((11, 4, 2, True), (5, 1, 2, True), (3, 1, 1, False), (3, 1, 1, False), (3, 1, 1, True))
Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Convolution(Shown):
    """One convolution and what pools its output.

    Attributes:
        width: Channels of its output.
        kernel: Side of its kernel; `stride` and `padding` as for `nn.Conv2d`.
        pool: Side of the windows of max pooling, at every second place; 0: none.
    """

    width: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1
    pool: int = 0

    def side(self, before: int) -> int:
        """Return the side of its output."""
        made = (before + 2 * self.padding - self.kernel) // self.stride + 1
        return (made - self.pool) // 2 + 1 if self.pool else made


class BinarizedNet(Remembered):
    """Convolutions, then fully connected layers, each with batch normalisation behind it.

    What a layer takes is binarised at its entry: convolution or product, pooling, normalisation,
    and then the sign; ReLU before the pooling where weights are scaled (XNOR-Net), and behind the
    normalisation where activations are real. Before batch normalisation a bias would change
    nothing: those layers have none.

    Args:
        input_shape: (c, h, w).
        nb_classes: Number of logits.
        convolutions: The first layers; may be none.
        widths: Units of the hidden fully connected layers.
        binarization: Of all but the first and last layer; `real` makes the twin of full precision.
        first: `binary` or `real` weights of the first layer, whose input is real.
        last: `binary`; `real_weights`, of binarised inputs; `real`, of inputs cut off at -1 and 1
            where weights are `binary`.
        output: What makes logits of the last layer's outputs: `norm`, `scale` (`OutputScale`) or
            `none`.
        dropout: Share of the last hidden layer's outputs that training drops, before their
            normalisation.
        connections: For each of the first hidden fully connected layers which inputs its units see;
            of None, and of those that follow, all.

    Raises:
        InputError: An unknown word, no hidden layer, images too small for the convolutions, or
            connections that do not fit.
    """

    def __init__(  # noqa: PLR0913 - each is a choice of its own
        self,
        input_shape: Shape,
        nb_classes: int,
        *,
        convolutions: Sequence[Convolution] = (),
        widths: Sequence[int] = (),
        binarization: Binarization | str = "bnn",
        first: str = "binary",
        last: str = "real_weights",
        output: str = "none",
        dropout: float = 0.0,
        connections: Sequence[Connections | None] = (),
    ) -> None:
        super().__init__()
        how, shape = as_binarization(binarization), input_shape
        _check_connections(connections, widths)
        if not convolutions and not widths:
            msg = "expected convolutions or widths of hidden layers, got neither"
            raise InputError(msg)
        kinds = iter([first_layer(how, first)] + (len(convolutions) + len(widths)) * [how])
        layers: list[nn.Module] = []
        for each in convolutions:
            layers += _convolved(shape, each, next(kinds), how)
            shape = each.width, each.side(shape[1]), each.side(shape[2])
            _check_sides(shape, input_shape)
        layers.append(nn.Flatten())
        units = shape[0] * shape[1] * shape[2]
        for place, width in enumerate(widths):
            seen = connections[place] if place < len(connections) else None
            inner: list[nn.Module] = [linear(units, width, next(kinds), connections=seen)]
            if dropout and place == len(widths) - 1:
                inner.append(nn.Dropout(dropout))
            layers += _activated(inner, how, nn.BatchNorm1d(width))
            units = width
        self.layers = nn.Sequential(*layers, *_last(units, nb_classes, how, last, output))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, nb_classes) of images (n, c, h, w) in [0, 1]."""
        logits: Tensor = self.layers(x)
        return logits


def _convolved(
    shape: Shape, each: Convolution, kind: Binarization, how: Binarization
) -> list[nn.Module]:
    size = each.kernel, each.stride, each.padding
    inner: list[nn.Module] = [convolution(shape[0], each.width, *size, how=kind, bias=False)]
    pool = [nn.MaxPool2d(each.pool, 2)] if each.pool else []
    return _activated(inner, how, *pool, nn.BatchNorm2d(each.width))


def _activated(inner: list[nn.Module], how: Binarization, *behind: nn.Module) -> list[nn.Module]:
    if how.activations == "real":
        return [*inner, *behind, nn.ReLU()]
    return [*inner, *([nn.ReLU()] if how.weights == "scaled" else []), *behind]


def _last(
    units: int, nb_classes: int, how: Binarization, last: str, output: str
) -> Iterable[nn.Module]:
    kind = {
        "binary": how,
        "real_weights": replace(how, weights="real"),
        "real": replace(how, weights="real", activations="real"),
    }[check_choice(last, "last", ("binary", "real_weights", "real"))]
    if last == "real" and how.weights == "binary" and how.activations != "real":
        yield nn.Hardtanh()
    check_choice(output, "output", ("norm", "scale", "none"))
    yield linear(units, nb_classes, kind, bias=output != "norm")
    if output != "none":
        yield nn.BatchNorm1d(nb_classes) if output == "norm" else OutputScale()


def _check_connections(given: Sequence[Connections | None], widths: Sequence[int]) -> None:
    odd = [one for one in given if not (one is None or isinstance(one, Connections))]
    if odd or len(given) > len(widths):
        msg = (
            f"connections must be Connections or None for each of at most {len(widths)} widths, "
            f"got {list(given)}; see RandomConnections and LocalConnections"
        )
        raise InputError(msg)


def _check_sides(shape: Shape, given: Shape) -> None:
    if min(shape[1:]) < 1:
        msg = f"images of {given} are too small for these convolutions; give larger ones"
        raise InputError(msg)


def _usual(binarization: Binarization | str, **binary: str) -> dict[str, Any]:
    """Return first and last layer and output as published: XNOR-Net's are real."""
    scaled = as_binarization(binarization).weights == "scaled"
    return {"first": "real", "last": "real"} if scaled else {"first": "binary", **binary}


def fcn1(
    input_shape: Shape = (1, 28, 28),
    nb_classes: int = 10,
    *,
    widths: Sequence[int] = (6144,) * 4,
    binarization: Binarization | str = "bnn",
    **options: Any,
) -> BinarizedNet:
    """Return the MNIST network 784-6144x4-10; further options are those of `BinarizedNet`.

    The published code's last layer is `last="real"`, with `dropout=0.5`.

    Source: Panda, Chakraborty, Roy 2019, section 4 (FCN1).
    """
    made = {**_usual(binarization, last="real_weights"), **options}
    return BinarizedNet(input_shape, nb_classes, widths=widths, binarization=binarization, **made)


def fcn2(input_shape: Shape = (1, 28, 28), nb_classes: int = 10, **options: Any) -> BinarizedNet:
    """Return the MNIST network 784-600x4-10; options as for `fcn1`.

    Source: Panda, Chakraborty, Roy 2019, section 4 (FCN2).
    """
    return fcn1(input_shape, nb_classes, **{"widths": (600,) * 4, **options})


def binarynet_cifar(
    input_shape: Shape = (3, 32, 32),
    nb_classes: int = 10,
    *,
    widths: str | Sequence[int] = "binary",
    hidden: Sequence[int] = (1024, 1024),
    binarization: Binarization | str = "bnn",
    **options: Any,
) -> BinarizedNet:
    """Return BinaryNet's CIFAR network: six convolutions, pooled after every second one.

    With the same widths `binarization="real"` is its twin of full precision.

    Args:
        input_shape: (c, h, w), sides of 8 and more.
        nb_classes: Number of logits.
        widths: Six numbers of channels, or the published ones: `binary`, or `full` of the network
            of full precision, three times as narrow but for the last.
        hidden: Units of the fully connected layers.
        binarization: As for `BinarizedNet`.
        **options: Those of `BinarizedNet`.

    Raises:
        InputError: Not six widths, or as for `BinarizedNet`.

    Source: Hubara et al. 2016, section 2.1, in the widths of the published PyTorch code.
    """
    channels = _widths(widths, CIFAR_WIDTHS)
    convolutions = [Convolution(n, pool=2 * (i % 2)) for i, n in enumerate(channels)]
    made = {**_usual(binarization, last="binary", output="norm"), **options}
    return BinarizedNet(
        input_shape, nb_classes, convolutions=convolutions, widths=hidden,
        binarization=binarization, **made,
    )  # fmt: skip


def alexnet(
    input_shape: Shape = (3, 224, 224),
    nb_classes: int = 1000,
    *,
    widths: str | Sequence[int] = "binary",
    hidden: Sequence[int] = (4096, 4096),
    binarization: Binarization | str = "bnn",
    **options: Any,
) -> BinarizedNet:
    """Return AlexNet for 224x224 images; arguments as for `binarynet_cifar`, five widths.

    Source: Krizhevsky 2014 (one tower), with batch normalisation.
    """
    channels = _widths(widths, ALEXNET_WIDTHS)
    shapes = zip(channels, _ALEXNET, strict=True)
    convolutions = [Convolution(n, k, s, p, 3 * pooled) for n, (k, s, p, pooled) in shapes]
    made = {**_usual(binarization, last="binary", output="norm"), **options}
    return BinarizedNet(
        input_shape, nb_classes, convolutions=convolutions, widths=hidden,
        binarization=binarization, **made,
    )  # fmt: skip


def _widths(given: str | Sequence[int], published: Mapping[str, tuple[int, ...]]) -> Sequence[int]:
    if isinstance(given, str):
        return published[check_choice(given, "widths", published)]
    if len(given) != len(published["binary"]):
        msg = f"widths must be {len(published['binary'])} numbers of channels, got {given}"
        raise InputError(msg)
    return given


def resnet20(
    input_shape: Shape = (3, 32, 32),
    nb_classes: int = 10,
    *,
    binarization: Binarization | str = "bnn",
    **options: Any,
) -> ResNet32:
    """Return a `ResNet32` of 20 layers, binarised (`bnn`, `xnor`) or `real`.

    Source: He, Zhang, Ren, Sun 2016, section 4.2; Panda, Chakraborty, Roy 2019, section 4.
    """
    usual = _usual(binarization, last="real")
    return ResNet32(
        input_shape, nb_classes, binarization=binarization, **{"depth": 20, **usual, **options}
    )
