"""What may be done to an image, and which codewords then count as reached."""

from dataclasses import dataclass

from art_disc.core.checks import check_choice, check_eps

RULES = ("exact", "paper", "paper_float")
DOMAINS = ("real", "8bit")


@dataclass(frozen=True, slots=True)
class Threat:
    """An l_inf budget, the values that changed pixels may take, and a rule of what they reach.

    Attributes:
        eps: Budget on the [0, 1] scale; changed values stay in [0, 1].
        rule: One of `RULES`; `reachable_codes` says what they mean.
        domain: One of `DOMAINS`, likewise.

    Raises:
        InputError: An unknown word, or a budget outside [0, 1].
    """

    eps: float
    rule: str = "exact"
    domain: str = "real"

    def __post_init__(self) -> None:
        check_choice(self.rule, "rule", RULES)
        check_choice(self.domain, "domain", DOMAINS)
        object.__setattr__(self, "eps", check_eps(self.eps))
