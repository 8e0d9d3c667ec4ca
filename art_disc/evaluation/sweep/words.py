"""The words of a plan file: attacks, trainings, sources of gradients, numbers, durations."""

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from art_disc.attacks import SUITES, AttackSpec, attack_table
from art_disc.core import words
from art_disc.core.errors import ArtDiscError, InputError
from art_disc.core.words import parse_number
from art_disc.defences import MapPreprocessor, parse_defences
from art_disc.defences.meaning import change, check_known
from art_disc.estimators import encoded_shape
from art_disc.networks import SignGradient, named_network
from art_disc.networks.sign_gradient import SIGN_GRADIENTS
from art_disc.training.adversary import METHODS, Adversary
from art_disc.training.words import NetworkWords

_TRAINING: Mapping[str, type] = {"epochs": int, "seed": int, "learning_rate": float}
_ADVERSARY: Mapping[str, type] = {"eps": float, "steps": int, "step_size": float}
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}


@dataclass(frozen=True, slots=True)
class PlannedAttack:
    """One attack of a plan.

    Attributes:
        label: As cells name it: `pgd`, or `pgd:max_iter=20` where the plan sets something.
        spec: From the table of attacks.
        settings: All of its settings.
    """

    label: str
    spec: AttackSpec
    settings: dict[str, Any]

    @property
    def changes(self) -> dict[str, Any]:
        """The settings in the form that `evaluate` takes."""
        return {f"{self.spec.name}.{name}": value for name, value in self.settings.items()}


def split_word(text: str) -> tuple[str, dict[str, str]]:
    """Return name and options of `NAME:key=value,key=value`; refuse an option that is none."""
    name, _, rest = text.partition(":")
    options: dict[str, str] = {}
    for item in filter(None, rest.split(",")):
        key, equals, value = item.partition("=")
        if not equals or not value or key in options:
            msg = f"expected {name}:key=value,... with each key once, got {item!r} in {text!r}"
            raise InputError(msg)
        options[key.strip()] = value.strip()
    return name.strip(), options


def parse_attacks(words: Sequence[str], tier: str) -> tuple[PlannedAttack, ...]:
    """Return the attacks of a plan; a suite (`quick`) stands for its members, in its own tier.

    A label that would mean two different things is refused.
    """
    found: dict[str, PlannedAttack] = {}
    for word in words:
        name, options = split_word(word)
        if name in SUITES:
            if options:
                msg = f"a suite takes no settings, got {word!r}; name the attack: pgd:max_iter=20"
                raise InputError(msg)
            rows = attack_table(name)
        else:
            rows = attack_table([name], {f"{name}.{k}": v for k, v in options.items()}, tier)
        changed = ",".join(f"{key}={options[key]}" for key in sorted(options))
        for spec, settings in rows:
            row = PlannedAttack(f"{spec.name}:{changed}" if changed else spec.name, spec, settings)
            other = found.setdefault(row.label, row)
            if other.settings != row.settings:
                msg = (
                    f"{row.label} is asked for with different settings ({word!r} and before); "
                    "write those of one out: pgd:max_iter=20"
                )
                raise InputError(msg)
    return tuple(found.values())


def parse_training(text: str) -> NetworkWords:
    """Return the network of `natural:epochs=5`, `pgd:eps=0.1,network=fcn2` or `given:...`."""
    method, words = split_word(text)
    if method == "given":
        return _given(text, words)
    if method not in ("natural", *METHODS):
        msg = (
            "training must be natural, pgd:eps=..., single_step:eps=... or "
            f"given:model=MODULE:FACTORY,weights=FILE, got {text!r}"
        )
        raise InputError(msg)
    network = words.pop("network", "default")
    named_network(network)
    known = _TRAINING if method == "natural" else {**_TRAINING, **_ADVERSARY}
    if odd := sorted(set(words) - set(known)):
        msg = f"{method} takes network, {', '.join(known)}, got {', '.join(odd)}"
        raise InputError(msg)
    values = {key: parse_number(value, known[key], key) for key, value in words.items()}
    if method != "natural" and "eps" not in values:
        msg = f"{method} needs the budget that it trains against, for example {method}:eps=0.1"
        raise InputError(msg)
    own = {key: values.pop(key) for key in _TRAINING if key in values}
    adversary = None if method == "natural" else Adversary(method=method, **values)
    return NetworkWords(network=network, adversary=adversary, name=text, **own)


def _given(text: str, words: Mapping[str, str]) -> NetworkWords:
    """Return the user's own network; it is not trained, so it comes with weights."""
    if set(words) != {"model", "weights"}:
        msg = f"a network of your own is given:model=MODULE:FACTORY,weights=FILE, got {text!r}"
        raise InputError(msg)
    if not Path(words["weights"]).is_file():
        msg = f"no such weight file: {words['weights']}; art_disc.networks.save_weights writes one"
        raise InputError(msg)
    return NetworkWords(model=words["model"], weights=words["weights"], name=text)


_SIDES = (28, 32)


def gradient_sources(
    defence: str, surrogates: Sequence[str], signs: SignGradient | None = None
) -> tuple[str, ...]:
    """Return those of `surrogates` that differ for this defence, in order.

    `own` is the defence as it is written. A surrogate that says the same as the defence's own is
    `own` too, and so is every one that neither this defence nor the network's `signs` take. A
    defence that encodes images is refused.
    """
    made = parse_defences(defence)
    if _encodes(made):
        msg = (
            f"{defence} encodes images, and the networks of a sweep, which all its defences share, "
            "take images; run it with art-disc evaluate, which trains a network on the codes"
        )
        raise InputError(msg)
    seen: dict[str, str] = {}
    for word in surrogates:
        name = "own"
        if word == "base":
            name = "base" if made else "own"
        elif (gradient := SIGN_GRADIENTS.find(word)) is not None:
            name = "own" if signs in (None, gradient) else gradient.name
        elif word != "own":
            check_known(word)
            changed = (change(defence, word) for defence in made)
            name = " + ".join(surrogate.name for surrogate in changed if surrogate) or "own"
        seen.setdefault(name, name if name in ("own", "base") else word)
    return tuple(seen.values())


def told_apart(
    spec: AttackSpec, sources: Sequence[str], signs: SignGradient | None, *, draws: bool
) -> tuple[str, ...]:
    """Return those sources that make a difference to an attack; `none` where it takes none."""
    if not spec.gradients:
        return ("none",)
    if spec.behind:
        sources = ("own", *(word for word in sources if SIGN_GRADIENTS.find(word)))
    first: dict[object, str] = {}
    for word in sources:
        seen = spec.sees(signs if word == "own" else SIGN_GRADIENTS.find(word), draws=draws)
        first.setdefault(seen or word, word)
    return tuple(first.values())


def _encodes(defences: Sequence[MapPreprocessor]) -> bool:
    """Whether a network of images could not follow; a fixed size is for the dry run to judge."""
    shapes = {encoded_shape(defences, (1, side, side)) for side in _SIDES}
    return (len(shapes) > 1 and shapes != {(1, side, side) for side in _SIDES}) or any(
        shape[0] != 1 for shape in shapes
    )


def parse_duration(value: Any) -> float:
    """Return seconds > 0 from `2h`, `1h30m`, `90s`, or a number of seconds.

    >>> parse_duration("1h30m")
    5400.0
    """
    text = str(value).strip()
    if re.fullmatch(r"(\d+(\.\d+)?[hms])+", text):
        seconds = sum(
            float(size) * _UNITS[unit] for size, unit in re.findall(r"([\d.]+)([hms])", text)
        )
    else:
        try:
            seconds = float(text)
        except ValueError:
            seconds = 0.0
    if not 0 < seconds < float("inf"):
        msg = f"a time limit is 2h, 15m, 90s or a number of seconds > 0, got {value!r}"
        raise InputError(msg)
    return seconds


def naming(key: str) -> AbstractContextManager[None]:
    """Put the plan's key before the message of any error of this package inside the block."""
    return words.naming(f"plan key {key!r}", ArtDiscError)
