"""From which whole sum on a layer's sign changes, found exactly.

The numbers are those of the float network, read as fractions; the root of a variance, which is
none, is compared by its square.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

from art_disc.networks.integer.layers import Open


@dataclass(frozen=True, slots=True)
class Rule:
    """From which sum on a channel's sign changes: offset + start + root sqrt(variance).

    Attributes:
        direction: 1 where it is +1 from there on, -1 where it is up to there; 0 where it is the
            same whatever the sum: +1 where the number, without the offset, is not above 0.
        slope: What a sum is multiplied with before the sign.
    """

    direction: int
    slope: float
    start: Fraction
    root: Fraction
    variance: Fraction

    @classmethod
    def of(cls, given: Open, place: int) -> "Rule":
        """Read the rule of one channel off what is behind its sums."""
        norm = given.norm
        numbers = (norm.gain, norm.shift, norm.mean, norm.variance, given.bias, given.alpha)
        gain, shift, mean, variance, bias, alpha = (Fraction(float(v[place])) for v in numbers)
        unit = alpha * given.units[place]
        rise = gain * unit
        slope = abs(float(rise)) / math.sqrt(variance)
        if rise:
            return cls(1 if rise > 0 else -1, slope, (mean - bias) / unit, -shift / rise, variance)
        return cls(0, 1.0, -gain * (bias - mean), -shift, variance)

    def threshold(self, offset: Fraction, *, turned: bool) -> int:
        """Return the least sum that reaches +1, or -1 where the sign is `turned`.

        Of a falling rule that is not turned, sums have the other sign; of a constant one they are
        0.
        """
        if not self.direction:
            return 0 if _ceil(self.start, self.root, self.variance) <= 0 else 1
        start = offset + self.start
        if self.direction > 0:
            return _ceil(start, self.root, self.variance)
        least = _ceil(-start, -self.root, self.variance)
        return 1 - least if turned else least


def _ceil(start: Fraction, root: Fraction, variance: Fraction) -> int:
    """Return the least whole number that is not below start + root sqrt(variance)."""
    square = root**2 * variance
    size = math.isqrt(math.floor(square))
    least = math.floor(start) + (size if root >= 0 else -size - 2)
    while not _reaches(least - start, root, square):
        least += 1
    return least


def _reaches(value: Fraction, root: Fraction, square: Fraction) -> bool:
    """Whether value >= sqrt(square), or >= -sqrt(square) where root is negative."""
    if root >= 0:
        return value >= 0 and value**2 >= square
    return value >= 0 or value**2 <= square
