"""What the rows of a family have in common."""

from typing import Any

from art_disc.attacks.spec import AttackSpec

# that a cost is reckoned for, where an attack differentiates every class
CLASSES = 10


def blind(name: str, label: str, art: str, **rest: Any) -> AttackSpec:
    """Return the row of an attack that needs predictions alone, and most often takes no budget."""
    common = {"gradients": False, "bounded": False, "targetable": False}
    return AttackSpec(name=name, label=label, art=art, **(common | rest))


def minimal(name: str, label: str, art: str, **rest: Any) -> AttackSpec:
    """Return the row of a gradient attack that looks for the smallest change."""
    common = {"gradients": True, "bounded": False, "targetable": False}
    return AttackSpec(name=name, label=label, art=art, **(common | rest))


def scene(name: str, label: str, kind: Any, **rest: Any) -> AttackSpec:
    """Return the row of an attack whose change is of no norm."""
    common: dict[str, Any] = {"norms": (), "bounded": False}
    return AttackSpec(name=name, label=label, art=kind.__name__, **(common | rest))
