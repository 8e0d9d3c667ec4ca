"""Softmax-weighted means of colours and their slopes, compiled: one pixel after the other.

All codewords are looked at, so nothing is left out. What is found of a pixel depends neither on
those beside it nor on the number of threads.

Under l_inf a weight exp(-rate d) is the least of its channels' exp(-rate |a - c|), each of which is
the lesser of exp(rate a) exp(-rate c) and its reciprocal: products of what is worked out once, of
pixels and of codewords, unless they leave the range of float32.
"""

from typing import Any

import numpy as np

from art_disc.codebooks import METRICS
from art_disc.core.checks import Float32Array
from art_disc.core.compiled import compiled
from art_disc.core.threads import in_threads

_L1, _L2, _L_INF = (METRICS.index(metric) for metric in ("l1", "l2", "l_inf"))
_ZERO, _HALF, _ONE, _INF, _NAN = (np.float32(x) for x in (0, 0.5, 1, np.inf, np.nan))
# no distance of l2 is less, in grey levels: the root has no usable slope
_FLOOR = np.float32(1e-6)
# weights end here: less is lost in every sum, and products with this have all their digits
_LEAST = np.float32(-80)
_PER_LN2 = np.float32(1 / np.log(2))
# 2**t is the sum of (t ln 2)**i / i!: where |t| <= 1/2, up to i = 6 to a rounding
_P1, _P2, _P3, _P4, _P5, _P6 = (
    np.float32(np.log(2) ** i / f) for i, f in enumerate((1, 2, 6, 24, 120, 720), start=1)
)
_BIAS, _MANTISSA = np.int32(127), np.int32(23)
# of the room: distances, weights, and how weights pull at each of three channels
_AWAY, _WEIGHTS, _PULLS, _ROWS = 0, 1, 2, 5
# rate times distance, at most, of which all products and their sums have their digits
_MOST, _MIDDLE = np.float32(80), np.float32(127.5)
# a channel may be as far as the farthest where its weight is that of all but for a few roundings
_NEARLY = np.float32(1 + 2.0**-20)
# pairs of pixel and codeword at once
_PAIRS = 1 << 18
# sums may be taken in any order, as vector instructions do
_loop = compiled(fastmath={"reassoc", "contract", "nsz"})


@_loop
def _farther(one: Any, other: Any) -> Any:
    return one if one > other else other


@_loop
def _lesser(one: Any, other: Any) -> Any:
    return one if one < other else other


@_loop
def _power(t: Any) -> Any:
    """Return 2**t of t <= 0."""
    t = _farther(t, _LEAST)
    whole = np.int32(t - _HALF)
    t -= np.float32(whole)
    bits = (whole + _BIAS) << _MANTISSA
    part = _ONE + t * (_P1 + t * (_P2 + t * (_P3 + t * (_P4 + t * (_P5 + t * _P6)))))
    return part * np.int32(bits).view(np.float32)


@_loop
def _distances(pixel: Any, codes: Any, metric: int, room: Any) -> Any:
    """Write the distances to all codewords, and return the least."""
    a, b, c = pixel
    for j in range(codes.shape[1]):
        x, y, z = abs(a - codes[0, j]), abs(b - codes[1, j]), abs(c - codes[2, j])
        if metric == _L_INF:
            room[_AWAY, j] = _farther(_farther(x, y), z)
        elif metric == _L1:
            room[_AWAY, j] = x + y + z
        else:
            room[_AWAY, j] = _farther(np.sqrt(x * x + y * y + z * z), _FLOOR)
    # the bits of positive numbers rise as they do, and whole numbers are compared many at once
    bits = room.view(np.int32)
    least = bits[_AWAY, 0]
    for j in range(1, codes.shape[1]):
        least = min(least, bits[_AWAY, j])
    return np.int32(least).view(np.float32)


@_loop
def _weigh(least: Any, scale: Any, room: Any) -> None:
    for j in range(room.shape[1]):
        room[_WEIGHTS, j] = _power((least - room[_AWAY, j]) * scale)


@_loop
def _pull(pixel: Any, codes: Any, metric: int, room: Any) -> Any:
    """Write how steep each distance is by each channel, times the weight; see `_pull_by_products`.

    Under l_inf, channels that are as far as the farthest have all of the weight each.
    """
    a, b, c = pixel
    shared = _ZERO
    for j in range(codes.shape[1]):
        x, y, z = abs(a - codes[0, j]), abs(b - codes[1, j]), abs(c - codes[2, j])
        away, weight = room[_AWAY, j], room[_WEIGHTS, j]
        if metric == _L2:
            weight /= away
            x, y, z = x * weight, y * weight, z * weight
        elif metric == _L1:
            x = weight if x > _ZERO else _ZERO
            y = weight if y > _ZERO else _ZERO
            z = weight if z > _ZERO else _ZERO
        else:
            second = _farther(_lesser(x, y), _lesser(_farther(x, y), z))
            shared += weight if second >= away else _ZERO
            x = weight if x >= away else _ZERO
            y = weight if y >= away else _ZERO
            z = weight if z >= away else _ZERO
        room[_PULLS, j], room[_PULLS + 1, j], room[_PULLS + 2, j] = x, y, z
    return shared


@_loop
def _sums(room: Any, codes: Any) -> Any:
    """Return the sum of all weights, and those of their products with each channel of the codes."""
    total = red = green = blue = _ZERO
    for j in range(codes.shape[1]):
        part = room[_WEIGHTS, j]
        total += part
        red += part * codes[0, j]
        green += part * codes[1, j]
        blue += part * codes[2, j]
    return total, red, green, blue


@_loop
def _powers(pixel: Any, rate: Any) -> Any:
    """Return exp(-rate (a - middle)) of the three channels, and their reciprocals."""
    far = np.float64(rate) * _MIDDLE
    a, b, c = rate * np.float64(pixel[0]), rate * np.float64(pixel[1]), rate * np.float64(pixel[2])
    a, b, c = np.exp(far - a), np.exp(far - b), np.exp(far - c)
    up = np.float32(a), np.float32(b), np.float32(c)
    return up, (np.float32(1 / a), np.float32(1 / b), np.float32(1 / c))


@_loop
def _weigh_by_products(powers: Any, tables: Any, room: Any) -> None:
    (a, b, c), (d, e, f) = powers
    for j in range(tables.shape[1]):
        x = _lesser(a * tables[0, j], d * tables[3, j])
        y = _lesser(b * tables[1, j], e * tables[4, j])
        z = _lesser(c * tables[2, j], f * tables[5, j])
        room[_WEIGHTS, j] = _lesser(_lesser(x, y), z)


@_loop
def _pull_by_products(powers: Any, tables: Any, room: Any) -> Any:
    """Write weights, and those of the farthest channels; return what several may have to share."""
    (a, b, c), (d, e, f) = powers
    shared = _ZERO
    for j in range(tables.shape[1]):
        x = _lesser(a * tables[0, j], d * tables[3, j])
        y = _lesser(b * tables[1, j], e * tables[4, j])
        z = _lesser(c * tables[2, j], f * tables[5, j])
        weight = _lesser(_lesser(x, y), z) * _NEARLY
        room[_WEIGHTS, j] = weight
        room[_PULLS, j] = weight if x <= weight else _ZERO
        room[_PULLS + 1, j] = weight if y <= weight else _ZERO
        room[_PULLS + 2, j] = weight if z <= weight else _ZERO
        second = _farther(_lesser(x, y), _lesser(_farther(x, y), z))
        shared += weight if second <= weight else _ZERO
    return shared


@_loop
def _share(pixel: Any, codes: Any, room: Any) -> None:
    """Give channels that are as far an equal part of the weight, and none at the codeword itself.

    Distances say which are: of channels that are nearly as far, weights are the same to a rounding.
    """
    a, b, c = pixel
    for j in range(codes.shape[1]):
        x, y, z = abs(a - codes[0, j]), abs(b - codes[1, j]), abs(c - codes[2, j])
        away = _farther(_farther(x, y), z)
        x = _ONE if x >= away else _ZERO
        y = _ONE if y >= away else _ZERO
        z = _ONE if z >= away else _ZERO
        part = room[_WEIGHTS, j] / (x + y + z) if away > _ZERO else _ZERO
        room[_PULLS, j], room[_PULLS + 1, j], room[_PULLS + 2, j] = x * part, y * part, z * part


@_loop
def _slopes(i: int, pixel: Any, codes: Any, rule: Any, room: Any, slopes: Any) -> None:
    """Write how each channel of the pixel moves the means, from the pulls."""
    factor, means = rule
    for channel in range(3):
        own = by_red = by_green = by_blue = _ZERO
        for j in range(codes.shape[1]):
            # pulls are away from the codeword
            part = np.copysign(room[_PULLS + channel, j], pixel[channel] - codes[channel, j])
            own += part
            by_red += part * codes[0, j]
            by_green += part * codes[1, j]
            by_blue += part * codes[2, j]
        slopes[channel, 0, i] = (by_red - means[0] * own) * factor
        slopes[channel, 1, i] = (by_green - means[1] * own) * factor
        slopes[channel, 2, i] = (by_blue - means[2] * own) * factor


@_loop
def _near(pixel: Any, rate: Any) -> Any:
    """Whether products of all codewords have their digits."""
    a, b, c = abs(pixel[0] - _MIDDLE), abs(pixel[1] - _MIDDLE), abs(pixel[2] - _MIDDLE)
    return rate * (_farther(_farther(a, b), c) + _MIDDLE) <= _MOST


@_loop
def _colours(
    pixels: Any, part: tuple[int, int], codes: Any, how: tuple[int, Any, Any], found: Any
) -> None:
    (metric, rate, tables), (means, slopes) = how, found
    room, sloped = np.empty((_ROWS, codes.shape[1]), np.float32), slopes.shape[2] > 0
    for i in range(part[0], part[1]):
        pixel = pixels[0, i], pixels[1, i], pixels[2, i]
        by_products = tables.shape[1] > 0 and _near(pixel, rate)
        least, shared = _ZERO, _ZERO
        if by_products and sloped:
            shared = _pull_by_products(_powers(pixel, rate), tables, room)
        elif by_products:
            _weigh_by_products(_powers(pixel, rate), tables, room)
        else:
            least = _distances(pixel, codes, metric, room)
            _weigh(least, rate * _PER_LN2, room)
        total, red, green, blue = _sums(room, codes)
        if not abs(pixel[0] + pixel[1] + pixel[2]) + least < _INF:
            total = _NAN
        red, green, blue = red / total, green / total, blue / total
        means[0, i], means[1, i], means[2, i] = red, green, blue
        if not sloped:
            continue
        if not by_products:
            shared = _pull(pixel, codes, metric, room)
        if shared > _ZERO:
            _share(pixel, codes, room)
        _slopes(i, pixel, codes, (-rate / total, (red, green, blue)), room, slopes)


def _tables(codes: Float32Array, metric: str, rate: Any) -> Float32Array:
    """Return exp(rate (c - middle)) of all codewords and its reciprocals, or none where unused."""
    if metric != "l_inf" or 2 * rate * _MIDDLE > _MOST:
        return np.empty((6, 0), dtype=np.float32)
    powers = np.exp(np.float64(rate) * (codes.astype(np.float64) - _MIDDLE))
    return np.concatenate([powers, 1 / powers]).astype(np.float32)


def colours(
    pixels: Float32Array, codes: Float32Array, how: tuple[str, float, bool], threads: int
) -> tuple[Float32Array, Float32Array]:
    """Return what `SoftBlocks.of` does, of pixels (3, n) and codewords (3, k)."""
    (metric, _, sloped), rate, n = how, np.float32(how[1]), pixels.shape[1]
    means, slopes = np.empty_like(pixels), np.empty((3, 3, n if sloped else 0), np.float32)
    rule = METRICS.index(metric), rate, _tables(codes, metric, rate)
    size = 1 + _PAIRS // codes.shape[1]

    def work(start: int) -> None:
        # whole arrays: of parts numba would have to know that their rows are apart
        _colours(pixels, (start, min(n, start + size)), codes, rule, (means, slopes))

    in_threads(work, range(0, n, size), threads)
    return means, slopes
