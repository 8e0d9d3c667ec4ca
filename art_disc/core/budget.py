"""How far an image may be moved: one norm, one tolerance, for attacks, scores and certificates."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_disc.core.checks import Float32Array
from art_disc.core.errors import InputError

# By how much of the input range float32 may carry x + eps beyond the budget. What an evaluation
# forgives an attack, a certificate must cover: both take it from here.
BUDGET_TOLERANCE = 1e-6

NORMS = {"inf": "inf", "linf": "inf", "l_inf": "inf", np.inf: "inf", "2": "2", "l2": "2", 2: "2"}


def check_norm(norm: Any) -> str:
    """Return `inf` or `2`.

    Raises:
        InputError: Another norm.
    """
    if norm not in NORMS:
        msg = f"norm must be 'inf' or 2, got {norm!r}"
        raise InputError(msg)
    return NORMS[norm]


def each_budget(eps: Any) -> list[Any]:
    """Return one budget or several, in a list or an array, as a list; none of them is checked.

    Raises:
        InputError: There is none.
    """
    budgets = np.ravel(np.asarray(eps, dtype=object)).tolist()
    if not budgets:
        msg = f"eps must hold at least one budget, got {eps!r}; write 0.1 or [0.1, 0.2]"
        raise InputError(msg)
    return list(budgets)


def perturbation_norm(adversarial: Float32Array, x: Float32Array, norm: str) -> NDArray[np.float64]:
    """Norm of each example's change, shape (n,), in the input range."""
    change = (adversarial.astype(np.float64) - x).reshape(len(x), -1)
    order = np.inf if norm == "inf" else 2
    return np.asarray(np.linalg.norm(change, ord=order, axis=1))


@dataclass(frozen=True, slots=True)
class Budget:
    """The ball around an image in which a change is adversarial.

    Attributes:
        eps: Its radius in the input range.
        norm: `inf` or `2`.
        upper: Top of the input range, 1 or 255.
    """

    eps: float
    norm: str = "inf"
    upper: float = 1.0

    @property
    def tolerance(self) -> float:
        """By how much a change may exceed it, in the input range."""
        return BUDGET_TOLERANCE * self.upper

    @property
    def limit(self) -> float:
        """The largest change that counts."""
        return self.eps + self.tolerance

    def holds(self, adversarial: Float32Array, x: Float32Array) -> NDArray[np.bool_]:
        """For each example, shape (n,), whether its change is within the budget."""
        return np.asarray(perturbation_norm(adversarial, x, self.norm) <= self.limit)
