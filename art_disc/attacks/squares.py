"""Whether the squares of Andriushchenko et al. 2020 (Square attack) fit into an image."""

import math


def fitting_fraction(p_init: float, height: int, width: int, norm: str) -> float:
    """Return the largest fraction up to `p_init` whose first square fits; 0: none does.

    The side of a square is round(sqrt(fraction * height * width)), in l2 odd and 3 at least, and
    its place is drawn from range(image's side - square's side), which must not be empty. Of most
    square images the published 0.8 fits; of others the square may be longer than the shorter side.

    >>> fitting_fraction(0.8, 32, 32, "inf"), fitting_fraction(0.8, 8, 12, "inf")
    (0.8, 0.5104166666666666)
    """
    longest, least = min(height, width) - 1, 1
    if norm == "2":
        longest, least = longest - (longest + 1) % 2, 3
    if longest < least:
        return 0.0
    side = max(round(math.sqrt(p_init * height * width)), least)
    if side <= longest:
        return p_init
    return longest**2 / (height * width)
