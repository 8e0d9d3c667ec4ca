"""The certificate methods by name: a new one is a module and a line here."""

from art_disc.certificates.complete.method import by_bounds, complete
from art_disc.certificates.enumeration import by_enumeration
from art_disc.certificates.problem import Method, Problem

METHODS: dict[str, Method] = {
    "enumeration": by_enumeration,
    "bounds": by_bounds,
    "complete": complete,
}

_BOUNDED = (
    "bounds of the network are worked out in float64 and count where they exceed 0 by a tolerance: "
    "eight times the largest difference between its margins in float32 and float64 on a sample of "
    "the images, no proof for others"
)
# what verdicts of a method rest on besides `Problem.assumes`
ASSUMES = {"bounds": _BOUNDED, "complete": _BOUNDED}


def assumptions(problem: Problem, method: str) -> str:
    """Return what a method's verdicts on a problem hold for, in words."""
    if problem.target.rounded is not None or method not in ASSUMES:
        return problem.assumes
    return f"{problem.assumes}; {ASSUMES[method]}"
