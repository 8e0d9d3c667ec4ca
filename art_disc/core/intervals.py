"""Confidence limits for a share that was counted."""

from scipy import stats

from art_disc.core.errors import InputError


def _check(successes: int, total: int, confidence: float) -> None:
    if not (0 <= successes <= total and total >= 1 and 0 < confidence < 1):
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
