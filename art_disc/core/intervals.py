"""Confidence limits for a share that was counted, and for the difference of two of them."""

from collections.abc import Sequence
from math import sqrt

from scipy import stats

from art_disc.core.checks import number_of
from art_disc.core.errors import InputError


def _check(successes: int, total: int, confidence: float) -> None:
    if not (0 <= successes <= total and total >= 1 and 0 < number_of(confidence) < 1):
        msg = (
            "expected 0 <= successes <= total, total >= 1 and 0 < confidence < 1, got "
            f"{successes}, {total}, {confidence}"
        )
        raise InputError(msg)


def wilson_interval(successes: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided Wilson score interval of a share (Wilson 1927).

    >>> [round(limit, 4) for limit in wilson_interval(98, 100)]
    [0.93, 0.9945]
    """
    _check(successes, total, confidence)
    ci = stats.binomtest(successes, total).proportion_ci(confidence, method="wilson")
    return float(ci.low), float(ci.high)


def clopper_pearson_lower(successes: int, total: int, confidence: float = 0.99) -> float:
    """One-sided exact lower limit of a share (Clopper and Pearson 1934).

    >>> round(clopper_pearson_lower(9640, 10000), 4)
    0.9594
    """
    _check(successes, total, confidence)
    if successes == 0:
        return 0.0
    return float(stats.beta.ppf(1 - confidence, successes, total - successes + 1))


def clopper_pearson_interval(
    successes: int, total: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Two-sided exact interval of a share (Clopper and Pearson 1934).

    >>> [round(limit, 4) for limit in clopper_pearson_interval(98, 100)]
    [0.9296, 0.9976]
    """
    _check(successes, total, confidence)
    one_sided = (1 + confidence) / 2
    low = clopper_pearson_lower(successes, total, one_sided)
    return low, 1 - clopper_pearson_lower(total - successes, total, one_sided)


def mcnemar(only_a: int, only_b: int) -> float:
    """Exact two-sided p value, in (0, 1], that two paired shares are equal (McNemar 1947).

    Under that hypothesis each pair that differs, by being right under a alone or under b alone, is
    a fair coin, whatever the pairs that agree; where none differs p is 1.

    Raises:
        InputError: A count is negative.

    >>> round(mcnemar(6, 16), 4)
    0.0525
    """
    if min(only_a, only_b) < 0:
        msg = f"expected counts >= 0 of the pairs that differ, got {only_a}, {only_b}"
        raise InputError(msg)
    if only_a == only_b:
        return 1.0
    return float(stats.binomtest(only_a, only_a + only_b).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted for their number, in the same order (Holm 1979).

    Raises:
        InputError: A value outside [0, 1].

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    if any(not 0 <= p <= 1 for p in p_values):
        msg = f"expected p values in [0, 1], got {list(p_values)}"
        raise InputError(msg)
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, p_values[place] * (len(p_values) - rank)))
        adjusted[place] = largest
    return adjusted


def paired_difference(
    both: int, only_a: int, only_b: int, neither: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Two-sided score interval, in [-1, 1], of the difference of two paired shares, a minus b.

    Wilson's intervals of the two shares, squared and added with their correlation, which is
    corrected for continuity where it is positive (Newcombe 1998, Statistics in Medicine 17:
    2635-2650, method 10).

    Args:
        both: Pairs right under a and under b.
        only_a: Pairs right under a alone.
        only_b: Pairs right under b alone.
        neither: Pairs right under neither.
        confidence: Coverage aimed at, in (0, 1).

    Raises:
        InputError: A count is negative, all are 0, or the confidence is outside (0, 1).

    >>> [round(limit, 4) for limit in paired_difference(59, 6, 16, 80)]
    [-0.1186, -0.0046]
    """
    counts = (both, only_a, only_b, neither)
    n = sum(counts)
    if min(counts) < 0 or n < 1:
        msg = f"expected four counts >= 0, not all 0, got {', '.join(map(str, counts))}"
        raise InputError(msg)
    a, b = both + only_a, both + only_b
    cross = float(both * neither - only_a * only_b)
    if cross > 0:
        cross = max(cross - n / 2, 0.0)
    scale = sqrt(a * (n - a) * b * (n - b))
    phi = cross / scale if scale else 0.0
    return _around((only_a - only_b) / n, (a, n), (b, n), phi, confidence)


def unpaired_difference(
    successes_a: int, total_a: int, successes_b: int, total_b: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Two-sided score interval, in [-1, 1], of the difference of shares of two samples, a minus b.

    Wilson's intervals of the two shares, squared and added (Newcombe 1998, Statistics in Medicine
    17: 873-890, method 10); the confidence aimed at is in (0, 1).

    Raises:
        InputError: Counts that cannot be, or the confidence is outside (0, 1).

    >>> [round(limit, 4) for limit in unpaired_difference(56, 70, 48, 80)]
    [0.0524, 0.3339]
    """
    _check(successes_a, total_a, confidence)
    _check(successes_b, total_b, confidence)
    difference = successes_a / total_a - successes_b / total_b
    return _around(difference, (successes_a, total_a), (successes_b, total_b), 0.0, confidence)


def _around(
    difference: float, a: tuple[int, int], b: tuple[int, int], phi: float, confidence: float
) -> tuple[float, float]:
    """Newcombe's limits: of two counts, each with its total, whose correlation is phi."""
    (low_a, high_a), (low_b, high_b) = (wilson_interval(*count, confidence) for count in (a, b))
    share_a, share_b = a[0] / a[1], b[0] / b[1]
    down = _added(share_a - low_a, high_b - share_b, phi)
    up = _added(high_a - share_a, share_b - low_b, phi)
    return max(difference - down, -1.0), min(difference + up, 1.0)


def _added(first: float, second: float, phi: float) -> float:
    # rounding may leave a square just below 0 where phi is 1
    return sqrt(max(first**2 - 2 * phi * first * second + second**2, 0.0))
