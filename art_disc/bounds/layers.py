"""Which layers of torch have bounds: one registered function a layer, module or function."""

import operator
from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.nn import functional

from art_disc.bounds.affine import Dense, Reshape, Scale, Sum
from art_disc.bounds.convolutions import Convolution, TransposedConvolution
from art_disc.bounds.graph import Step
from art_disc.bounds.maxima import Maxima
from art_disc.bounds.piecewise import HardTanh, LeakyRelu, Ramp, Relu
from art_disc.bounds.smooth import Tanh
from art_disc.core.errors import CertificateError
from art_disc.networks import ParametrisedRamp

Shape = tuple[int, ...]
# a layer and the shape of its input: its steps, of which none is the identity; they hold the
# layer's own numbers, so that what is made of a layer that is trained can be differentiated
Layer = Callable[[Any, Shape], list[Step]]
LAYERS: dict[Any, Layer] = {}


def layer(*kinds: Any) -> Callable[[Layer], Layer]:
    """Register a function as the one that makes steps of these types of module."""

    def register(make: Layer) -> Layer:
        LAYERS.update(dict.fromkeys(kinds, make))
        return make

    return register


def refuse(what: str, cure: str = "") -> NoReturn:
    """Say which layer has no bounds.

    Raises:
        CertificateError: Always.
    """
    known = ", ".join(sorted(kind.__name__ for kind in LAYERS))
    msg = f"no bounds for {what}; {cure or f'there are bounds for {known}'}"
    raise CertificateError(msg)


def _pair(value: Any) -> tuple[int, int]:
    first, second = (value, value) if isinstance(value, int) else value
    return int(first), int(second)


@layer(nn.Linear)
def _linear(module: nn.Linear, shape: Shape) -> list[Step]:
    if len(shape) != 1:
        refuse(f"Linear on images of shape {shape}", "flatten them first")
    return [Dense((module.weight,), module.bias)]


@layer(nn.Conv2d)
def _convolution(module: nn.Conv2d, shape: Shape) -> list[Step]:
    if module.padding_mode != "zeros" or module.padding == "same":
        refuse(
            f"Conv2d with padding={module.padding!r}, padding_mode={module.padding_mode!r}",
            "numbers of zeros have bounds",
        )
    padding = (0, 0) if module.padding == "valid" else _pair(module.padding)
    return [Convolution(module.weight, _offset(module), _windowed(module, padding), shape)]


@layer(nn.ConvTranspose2d)
def _transposed(module: nn.ConvTranspose2d, shape: Shape) -> list[Step]:
    options, beyond = _windowed(module, _pair(module.padding)), _pair(module.output_padding)
    return [TransposedConvolution(module.weight, _offset(module), options, shape, beyond)]


def _windowed(module: Any, padding: tuple[int, int]) -> dict[str, Any]:
    """Return what torch's functional form of a convolution takes beside the weight."""
    options = {"stride": _pair(module.stride), "padding": padding}
    return options | {"dilation": _pair(module.dilation), "groups": module.groups}


def _offset(module: Any) -> Tensor | None:
    return None if module.bias is None else module.bias[:, None, None]


@layer(nn.BatchNorm1d, nn.BatchNorm2d)
def _normalisation(module: nn.BatchNorm2d, shape: Shape) -> list[Step]:
    if module.training or module.running_mean is None or module.running_var is None:
        refuse(f"{type(module).__name__} by the batch's own statistics", "call model.eval()")
    return [normalisation(module, module.running_mean, module.running_var, shape)]


def normalisation(
    module: nn.BatchNorm1d | nn.BatchNorm2d, mean: Tensor, variance: Tensor, shape: Shape
) -> Scale:
    """Return what batch normalisation does with these statistics, each a number a channel."""
    factor = 1 / (variance + module.eps).sqrt()
    if module.weight is not None:
        factor = factor * module.weight
    offset = -mean * factor
    terms = offset.abs()
    if module.bias is not None:
        offset, terms = offset + module.bias, terms + module.bias.abs()
    kept = (-1, *(1,) * (len(shape) - 1))
    return Scale(factor.view(kept), offset.view(kept), shape, terms.view(kept))


@layer(nn.ReLU)
def _relu(module: Any, shape: Shape) -> list[Step]:  # noqa: ARG001
    return [Relu()]


@layer(nn.LeakyReLU)
def _leaky_relu(module: nn.LeakyReLU, shape: Shape) -> list[Step]:  # noqa: ARG001
    slope = float(module.negative_slope)
    if slope < 0:
        refuse(f"LeakyReLU with negative_slope={slope:g}", "it must not fall")
    return [LeakyRelu(slope)]


@layer(nn.Hardtanh, nn.ReLU6)
def _hard_tanh(module: nn.Hardtanh, shape: Shape) -> list[Step]:  # noqa: ARG001
    return [HardTanh(float(module.min_val), float(module.max_val))]


@layer(nn.Tanh)
def _tanh(module: Any, shape: Shape) -> list[Step]:  # noqa: ARG001
    return [Tanh()]


@layer(ParametrisedRamp)
def _ramp(module: ParametrisedRamp, shape: Shape) -> list[Step]:
    leak, cap = float(module.leak), module.log_cap.exp()
    if not 0 <= leak <= 1 or torch.broadcast_shapes(cap.shape, shape) != shape:
        refuse(
            f"ParametrisedRamp of shape {tuple(cap.shape)} with leak {leak:g} on values {shape}",
            "the leak must lie in [0, 1], and the shape fit",
        )
    # with a cap of 1 for all neurons, kinks are numbers
    return [Scale(1 / cap, None, shape), Ramp(leak), Scale(cap, None, shape)]


@layer(nn.Flatten)
def _flatten(module: nn.Flatten, shape: Shape) -> list[Step]:
    if module.start_dim != 1 or module.end_dim not in (-1, len(shape)):
        refuse(f"{module}", "Flatten() keeps the batch axis alone")
    return [Reshape(shape, (prod(shape),))]


@layer(nn.Unflatten)
def _unflatten(module: nn.Unflatten, shape: Shape) -> list[Step]:
    if module.dim in (0, -len(shape) - 1):
        refuse(f"{module}", "leave the batch axis as it is")
    return [Reshape(shape, tuple(module(torch.empty(1, *shape)).shape[1:]))]


@layer(nn.Identity)
def _identity(module: Any, shape: Shape) -> list[Step]:  # noqa: ARG001
    return []


@layer(nn.Dropout, nn.Dropout2d)
def _dropout(module: nn.Dropout, shape: Shape) -> list[Step]:  # noqa: ARG001
    if module.training:
        refuse(f"{type(module).__name__} in training", "call model.eval()")
    return []


def _windows(shape: Shape, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Tensor:
    """Places of the inputs of each window, -1 for those beyond the border."""
    # 0 is what unfold pads with
    places = torch.arange(1, prod(shape) + 1, dtype=torch.float64).reshape(shape)
    columns = functional.unfold(places[:, None], kernel, dilation, padding, stride)
    return columns.transpose(1, 2).flatten(0, 1).long() - 1


def _pooled(shape: Shape, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Shape:
    sides = zip(shape[1:], kernel, stride, padding, dilation, strict=True)
    return (shape[0], *((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sides))


@layer(nn.MaxPool2d)
def _max_pool(module: nn.MaxPool2d, shape: Shape) -> list[Step]:
    if module.ceil_mode or module.return_indices:
        refuse(f"{module}", "leave out ceil_mode and return_indices")
    stride = module.stride or module.kernel_size
    options = [_pair(v) for v in (module.kernel_size, stride, module.padding, module.dilation)]
    return [Maxima(_windows(shape, *options), shape, _pooled(shape, *options))]


@layer(nn.AvgPool2d)
def _average_pool(module: nn.AvgPool2d, shape: Shape) -> list[Step]:
    if module.ceil_mode:
        refuse("AvgPool2d with ceil_mode=True", "leave it out")
    kernel, padding = _pair(module.kernel_size), _pair(module.padding)
    stride = _pair(module.stride or module.kernel_size)
    count = module.divisor_override or prod(kernel)
    weight = torch.full((shape[0], 1, *kernel), 1 / count, dtype=torch.float64)
    options = {"stride": stride, "padding": padding, "dilation": (1, 1), "groups": shape[0]}
    average = Convolution(weight, None, options, shape)
    if module.count_include_pad or module.divisor_override or not any(padding):
        return [average]
    # a window counts what lies within the image
    inside = average.linear(torch.ones(1, *shape, dtype=torch.float64))[0]
    return [average, Scale(1 / inside, None, tuple(inside.shape))]


def _even(module: Any, shape: Shape) -> tuple[int, int]:
    """Side of the windows of adaptive pooling, where all are alike."""
    wanted = [n or size for n, size in zip(_pair(module.output_size), shape[1:], strict=True)]
    if any(size % n for size, n in zip(shape[1:], wanted, strict=True)):
        refuse(f"{module} on images of shape {shape}", "sides must be multiples of it")
    return _pair([size // n for size, n in zip(shape[1:], wanted, strict=True)])


@layer(nn.AdaptiveAvgPool2d)
def _adaptive_average(module: nn.AdaptiveAvgPool2d, shape: Shape) -> list[Step]:
    return _average_pool(nn.AvgPool2d(_even(module, shape)), shape)


@layer(nn.AdaptiveMaxPool2d)
def _adaptive_max(module: nn.AdaptiveMaxPool2d, shape: Shape) -> list[Step]:
    return _max_pool(nn.MaxPool2d(_even(module, shape)), shape)


def arithmetic(function: Any, operands: Sequence[Any], shape: Shape) -> list[Step]:
    """Return the step of +, -, *, / or - of values (None) and constants (numbers, tensors).

    Raises:
        CertificateError: No affine function of the values.
    """
    signs = {operator.add: (1, 1), operator.sub: (1, -1)}.get(function)
    if signs and list(operands) == [None, None]:
        return [Sum(signs)]
    if function is operator.neg:
        return [Scale(-torch.ones((), dtype=torch.float64), None, shape)]
    first, second = operands
    if first is second is None:
        refuse(f"{function.__name__} of what is not constant")
    constant = _broadcast(second if first is None else first, shape)
    one = torch.ones((), dtype=torch.float64)
    if signs:
        # value + c, value - c, c + value, c - value
        turned = first is not None
        factor, sign = (one * signs[1], 1) if turned else (one, signs[1])
        return [Scale(factor, sign * constant, shape)]
    if function is operator.mul:
        return [Scale(constant, None, shape)]
    if function is operator.truediv and first is None:
        return [Scale(1 / constant, None, shape)]
    refuse(f"{function.__name__} of what is not constant")


def _broadcast(constant: Any, shape: Shape) -> Tensor:
    # a copy: what is bounded must not change with what it was read from
    value = torch.as_tensor(constant, dtype=torch.float64).detach().clone()
    if value.ndim > len(shape) and value.shape[0] == 1:
        value = value[0]
    if torch.broadcast_shapes(value.shape, shape) != shape:
        refuse(f"a constant of shape {tuple(value.shape)} beside values of {shape}")
    return value
