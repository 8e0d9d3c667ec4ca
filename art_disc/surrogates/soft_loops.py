"""Softmax-weighted means of colours and their slopes, compiled: one pixel after the other.

All codewords are looked at, so nothing is left out. What is found of a pixel depends neither on
those beside it nor on the number of threads.
"""

from typing import Any

import numpy as np

from art_disc.codebooks import METRICS
from art_disc.core.checks import Float32Array
from art_disc.core.compiled import compiled
from art_disc.core.threads import in_threads

_L1, _L2, _L_INF = (METRICS.index(metric) for metric in ("l1", "l2", "l_inf"))
_ZERO, _HALF, _ONE, _INF, _NAN = (np.float32(x) for x in (0, 0.5, 1, np.inf, np.nan))
# no distance of l2 is less, in grey levels: the root has no usable slope; no divisor is less
_FLOOR, _TINY = np.float32(1e-6), np.float32(1e-30)
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
# pairs of pixel and codeword at once
_PAIRS = 1 << 18
# sums may be taken in any order, as vector instructions do
_loop = compiled(fastmath={"reassoc", "contract", "nsz"})


@_loop
def _farther(one: Any, other: Any) -> Any:
    return one if one > other else other


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
def _sign(x: Any) -> Any:
    return np.float32(x > _ZERO) - np.float32(x < _ZERO)


@_loop
def _slope(x: Any, y: Any, z: Any, away: Any, metric: int) -> Any:
    """Return what the slopes of a distance by each channel are times a last number, and that."""
    if metric == _L1:
        return _sign(x), _sign(y), _sign(z), _ONE
    if metric == _L2:
        return x, y, z, _ONE / away
    x = x if abs(x) == away else _ZERO
    y = y if abs(y) == away else _ZERO
    z = z if abs(z) == away else _ZERO
    # channels that are as far share the slope; at the codeword itself there is none
    return x, y, z, _ONE / _farther(abs(x) + abs(y) + abs(z), _TINY)


@_loop
def _pull(pixel: Any, codes: Any, metric: int, room: Any) -> None:
    """Write the slope of each distance by each channel, times the weight."""
    a, b, c = pixel
    for j in range(codes.shape[1]):
        x, y, z = a - codes[0, j], b - codes[1, j], c - codes[2, j]
        x, y, z, share = _slope(x, y, z, room[_AWAY, j], metric)
        share *= room[_WEIGHTS, j]
        room[_PULLS, j], room[_PULLS + 1, j], room[_PULLS + 2, j] = x * share, y * share, z * share


@_loop
def _sums(row: int, room: Any, codes: Any) -> Any:
    """Return the sum of a row, and those of its products with each channel of the codewords."""
    total = red = green = blue = _ZERO
    for j in range(codes.shape[1]):
        part = room[row, j]
        total += part
        red += part * codes[0, j]
        green += part * codes[1, j]
        blue += part * codes[2, j]
    return total, red, green, blue


@_loop
def _colours(
    pixels: Any, part: tuple[int, int], codes: Any, how: tuple[int, Any], found: tuple[Any, Any]
) -> None:
    (metric, rate), (means, slopes) = how, found
    room = np.empty((_ROWS, codes.shape[1]), np.float32)
    for i in range(part[0], part[1]):
        pixel = pixels[0, i], pixels[1, i], pixels[2, i]
        least = _distances(pixel, codes, metric, room)
        _weigh(least, rate * _PER_LN2, room)
        total, red, green, blue = _sums(_WEIGHTS, room, codes)
        if not abs(pixel[0] + pixel[1] + pixel[2]) + least < _INF:
            total = _NAN
        red, green, blue = red / total, green / total, blue / total
        means[0, i], means[1, i], means[2, i] = red, green, blue
        if not slopes.shape[2]:
            continue
        _pull(pixel, codes, metric, room)
        factor = -rate / total
        for row in range(3):
            own, by_red, by_green, by_blue = _sums(_PULLS + row, room, codes)
            slopes[row, 0, i] = (by_red - red * own) * factor
            slopes[row, 1, i] = (by_green - green * own) * factor
            slopes[row, 2, i] = (by_blue - blue * own) * factor


def colours(
    pixels: Float32Array, codes: Float32Array, how: tuple[str, float, bool], threads: int
) -> tuple[Float32Array, Float32Array]:
    """Return what `SoftBlocks.of` does, of pixels (3, n) and codewords (3, k)."""
    (metric, rate, sloped), n = how, pixels.shape[1]
    means, slopes = np.empty_like(pixels), np.empty((3, 3, n if sloped else 0), np.float32)
    rule, size = (METRICS.index(metric), np.float32(rate)), 1 + _PAIRS // codes.shape[1]

    def work(start: int) -> None:
        # whole arrays: of parts numba would have to know that their rows are apart
        _colours(pixels, (start, min(n, start + size)), codes, rule, (means, slopes))

    in_threads(work, range(0, n, size), threads)
    return means, slopes
