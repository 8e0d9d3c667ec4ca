"""The table of attacks, and ART's classes that are not in it."""

from art_disc.attacks import ATTACKS, TIERS, AttackSpec
from art_disc.attacks.zoo.discovery import LEFT_OUT
from art_disc.report import Table


def attack_list() -> Table:
    """Return the table of attacks: name, ART's class, norms, needs, cost, and notes."""
    return Table.of(
        "Attacks",
        "The table of attacks; passes an image: gradients + queries in each tier",
        ("name", "attack", "ART's class", "norm", "needs", "passes an image", "note"),
        map(_attack_row, ATTACKS.values()),
    )


def _attack_row(spec: AttackSpec) -> tuple[str, ...]:
    needs = "gradients" if spec.gradients else "predictions"
    norms = ", ".join(f"l_{n}" if n == "inf" else f"l{n}" for n in spec.norms) or "none"
    return (
        spec.name,
        spec.label,
        spec.art or "none",
        norms if spec.bounded or not spec.norms else f"{norms} (smallest)",
        ", ".join((needs, *spec.packages)),
        " / ".join(f"{_passes(spec, tier)}" for tier in TIERS),
        "; ".join(filter(None, (spec.note, "not repeatable" * (not spec.repeatable)))),
    )


def _passes(spec: AttackSpec, tier: str) -> str:
    gradients, queries = spec.cost(spec.tiers[tier])
    return f"{gradients:.0f}+{queries:.0f}"


def left_out_list() -> Table:
    """Return ART's classes that are not in the table, and why."""
    heads = ("ART's class", "why it is left out")
    return Table.of("Left out", "ART's classes that are left out", heads, LEFT_OUT.items())
