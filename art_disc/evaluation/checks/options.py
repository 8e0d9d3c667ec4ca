"""Which checks are asked for, and the thresholds that they pass by."""

from dataclasses import dataclass, field

from art_disc.core.checks import check_count
from art_disc.core.errors import InputError
from art_disc.core.records.outcomes import CHECK_TIERS
from art_disc.core.showing import Shown

# every check there is
IDS = tuple(f"C{i}" for i in range(1, 22))


@dataclass(frozen=True, slots=True)
class Thresholds(Shown):
    """Where the checks draw their lines.

    What the literature states is kept; the rest was chosen on defences that are known to be broken
    and known to hold (`studies/check_calibration.py` and its committed result).

    Attributes:
        forward: Largest difference of logits that are to be equal, relative to their size.
        surrogate_step: Least share of points whose true loss one signed step raises.
        surrogate_luck: Chance with which a gradient of noise may look better than random signs.
        unbounded: Least success of an attack that may change everything.
        convergence: Largest drop of accuracy by doubled steps and restarts, in [0, 1].
        loss_change: Largest change of the loss over the last 10 steps, relative to its range.
        black_box: Largest drop of accuracy by attacks without gradients, in [0, 1].
        transfer: Largest drop of accuracy by transferred attacks, in [0, 1].
        spread: Change between predictions of one image from which a model is random.
        eot: Largest drop of accuracy by doubling the draws of the gradient, in [0, 1].
        draws: Least number of fresh draws that a random model is scored on.
        planted: Least share of planted examples that the attack finds.
        planted_random: Largest share that random search finds.
    """

    forward: float = 1e-5
    surrogate_step: float = 0.6
    surrogate_luck: float = 0.001
    unbounded: float = 0.99
    convergence: float = 0.005
    loss_change: float = 0.05
    black_box: float = 0.002
    transfer: float = 0.002
    spread: float = 1e-4
    eot: float = 0.005
    draws: int = 20
    planted: float = 0.95
    planted_random: float = 0.05


@dataclass(frozen=True, slots=True)
class Checks(Shown):
    """Which checks run, and on how many examples.

    Args:
        tier: `quick`, `standard` or `full`; each contains the one before.
        n_ex: The first so many examples are used by the attacks that a check asks for.
        n_decision: The first so many by decision-based attacks, which take thousands of queries.
        n_random: The first so many by random search and planted examples.
        only: Run these checks of the tier alone, `("C3", "C8")`; the others count as not run.
        thresholds: Where the lines are.

    Raises:
        InputError: Unknown tier or a count below 1.
    """

    tier: str = "quick"
    n_ex: int = 200
    n_decision: int = 50
    n_random: int = 100
    only: tuple[str, ...] = ()
    thresholds: Thresholds = field(default_factory=Thresholds)

    def __post_init__(self) -> None:
        if self.tier not in CHECK_TIERS:
            msg = f"checks must be one of {', '.join(CHECK_TIERS)}, or None, got {self.tier!r}"
            raise InputError(msg)
        if strange := [name for name in self.only if name not in IDS]:
            msg = f"only holds names from {IDS[0]} to {IDS[-1]}, got {', '.join(map(str, strange))}"
            raise InputError(msg)
        for name in ("n_ex", "n_decision", "n_random"):
            check_count(getattr(self, name), name)
