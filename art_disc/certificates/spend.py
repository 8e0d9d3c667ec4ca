"""What a search may spend on each image."""

from dataclasses import dataclass
from typing import Any

from art_disc.core.checks import check_count, check_positive
from art_disc.core.errors import InputError
from art_disc.core.showing import Shown

# methods that search nothing; one of a user's own may
_IDLE = ("enumeration", "bounds")


@dataclass(frozen=True, slots=True)
class Spend(Shown):
    """Budgets for one image; what is undecided when one is spent stays so.

    Attributes:
        nodes: Boxes of code images bounded, at least 1; of `kl_certify` different colours, those of
            most pixels first.
        seconds: Wall time of its search, above 0; all that `solver` heeds.
        megabytes: Memory that boxes bounded at once, the reduced network, and the tables of a value
            may take; above 0. `kl_certify` takes little, and does not heed it.

    Raises:
        InputError: A number outside its range.
    """

    nodes: int = 10_000
    seconds: float = 20.0
    megabytes: float = 500.0

    def __post_init__(self) -> None:
        check_count(self.nodes, "spend.nodes")
        check_positive(self.seconds, "spend.seconds")
        check_positive(self.megabytes, "spend.megabytes")


def check_spend(spend: Any, method: str | None) -> Spend:
    """Return what a method may spend, the usual for None.

    Raises:
        InputError: It is no `Spend`, or the method, none perhaps, searches nothing and so spends
            nothing.
    """
    if spend is None:
        return Spend()
    known = as_spend(spend)
    if method is None or method in _IDLE:
        what = "no certificate is asked for" if method is None else f"method {method!r} has none"
        msg = f"spend is what a search may take, and {what}; leave it out, or ask for 'complete'"
        raise InputError(msg)
    return known


def as_spend(spend: Any) -> Spend:
    """Return what is a `Spend`.

    Raises:
        InputError: It is none, a dict for example.
    """
    if not isinstance(spend, Spend):
        msg = f"spend must be a Spend, got {spend!r}; write Spend(nodes=10_000, seconds=20)"
        raise InputError(msg)
    return spend
