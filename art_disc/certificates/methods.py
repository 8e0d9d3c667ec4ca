"""The certificate methods by name: a new one is a module and a line here."""

from collections.abc import Callable
from typing import Any

from art_disc.bounds.margins import FLOAT32
from art_disc.certificates.complete.method import by_bounds, complete
from art_disc.certificates.complete.network import graph_of
from art_disc.certificates.enumeration import by_enumeration
from art_disc.certificates.problem import Method, Problem
from art_disc.certificates.solver.method import by_solver
from art_disc.certificates.solver.twin import check_solvable
from art_disc.certificates.target import Target

METHODS: dict[str, Method] = {
    "enumeration": by_enumeration,
    "bounds": by_bounds,
    "complete": complete,
    "solver": by_solver,
}

_BOUNDED = (
    "bounds of the network are worked out in float64 and count where they exceed 0 by a tolerance: "
    "eight times the largest difference between its margins in float32 and float64 on a sample of "
    "the images, no proof for others; sixteen times what scores of some code images of the image "
    "itself differ by from the classifier's; at least the same part as above of the largest logit "
    "in the image's box; and what rounding of the bounds can amount to, and of the network in "
    f"float32, were every step off by {FLOAT32:.2g} of the sum of its terms' sizes, no proof for "
    "that; no bound counts where values could be too large for float32"
)
# what verdicts of a method rest on besides `Problem.assumes`
ASSUMES = {"bounds": _BOUNDED, "complete": _BOUNDED}

# what refuses a target that a method cannot decide images of a shape for
CHECKS: dict[str, Callable[[Target, tuple[int, ...]], Any]] = {
    "bounds": graph_of,
    "complete": graph_of,
    "solver": check_solvable,
}


def assumptions(problem: Problem, method: str) -> str:
    """Return what a method's verdicts on a problem hold for, in words."""
    words = [problem.assumes]
    if not problem.target.is_exact and method in ASSUMES:
        words.append(ASSUMES[method])
    device = getattr(getattr(problem.target.classifier, "device", None), "type", "cpu")
    if device == "cuda" and not problem.target.is_exact:
        words.append("predictions with torch.backends.cudnn.allow_tf32 = False, as they were made")
    return "; ".join(words)
