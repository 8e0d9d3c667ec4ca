"""How a row is written: what families of attacks share, and making one from settings by name."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from art.attacks.attack import EvasionAttack

from art_disc.attacks.spec import AttackRequest, AttackSpec, Maker, Settings
from art_disc.attacks.zoo.feeding import Aim, Fed, Feed, around, as_batch

# that a cost is reckoned for, where an attack differentiates every class
CLASSES = 10

# what an attack that insists on them is given in place of the classifier
probabilities = partial(around, probabilities=True)


def ready(
    kind: Any,
    *,
    seen: Callable[[Any], Any] = lambda classifier: classifier,
    feed: Feed = as_batch,
    aim: Aim | None = None,
    **options: Any,
) -> Maker:
    """Return the maker of an attack whose arguments are known by their names.

    It is given what it takes of the request (eps, norm, target, batch size), of its row's settings,
    and the options; the later of these counts.

    Args:
        kind: The attack's class.
        seen: From the classifier to what the attack is given in its place.
        feed: How the attack gets its images.
        aim: Chooses the targets of an attack that always aims, where the request has none.
        options: Further arguments; a function is called with request and settings.
    """
    known = inspect.signature(kind).parameters

    def make(request: AttackRequest, settings: Settings) -> EvasionAttack:
        given = {k: v for k, v in (request.arguments | dict(settings)).items() if k in known}
        for name, value in options.items():
            given[name] = value(request, settings) if callable(value) else value
        attack: EvasionAttack = kind(seen(request.classifier), **given)
        if feed is as_batch and aim is None:
            return attack
        return Fed(attack, feed, None if request.targeted else aim)

    return make


def setting(name: str, factor: float = 1) -> Callable[[AttackRequest, Settings], float]:
    """Return an option that is a setting of another name, times a factor."""
    return lambda _, settings: factor * settings[name]


def row(name: str, label: str, kind: Any, *, make: Maker | None = None, **rest: Any) -> AttackSpec:
    """Return the row of an attack, ART's or our own; without a maker, it is made by `ready`."""
    art = kind.__name__ if kind.__module__.startswith("art.") else ""
    return AttackSpec(name, label, art, make or ready(kind), **rest)


# along gradients, within a budget
stepping = partial(row, norms=("inf", "2"), gradients=True, targetable=True)
# with predictions alone, and most often without a budget
blind = partial(row, norms=("2",), gradients=False, bounded=False, targetable=False)
# along gradients, to the smallest change
minimal = partial(row, norms=("2",), gradients=True, bounded=False, targetable=False)
# a change of no norm
scene = partial(row, norms=(), bounded=False)
