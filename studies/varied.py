"""Presets of certified training with some of their settings changed, as commands write it."""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

from art_disc.training import Certified, CodeAdversary, Preset
from art_disc.training.recipe import Recipe

NETWORK = ("size", "batch_norm", "activation")


def varied(preset: Preset, changes: Sequence[str]) -> Preset:
    """Return a preset with changes of its network, objective or settings, `NAME=VALUE` each.

    An adversary has the budget that is trained at; `warm_up` is the objective's.
    """
    names = [change.partition("=")[0] for change in changes]
    if twice := {name for name in names if names.count(name) > 1}:
        msg = f"expected each name once, got {', '.join(sorted(twice))} again"
        raise SystemExit(msg)
    network, objective, settings = dict(preset.network), preset.objective, dict(preset.settings)
    own = {field.name for field in fields(Certified)} - {"eps", "adversary"} | {"train_eps"}
    known = {field.name for field in fields(Recipe)}
    for change in sorted(changes, key=lambda change: change.startswith("adversary=")):
        name, _, text = change.partition("=")
        if name in NETWORK:
            network[name] = _value(text)
        elif name in own:
            objective = replace(objective, **{name.removeprefix("train_"): _value(text)})
        elif name == "adversary" and re.fullmatch(r"codes(:\d+)?", text):
            steps = {"steps": int(text[6:])} if text[6:] else {}
            objective = replace(objective, adversary=CodeAdversary(objective.eps, **steps))
        elif name in known:
            settings[name] = _value(text)
        else:
            names = ", ".join(sorted({*NETWORK, *own, *known, "adversary"}))
            msg = f"expected NAME=VALUE of {names} (adversary=codes[:STEPS]), got {change}"
            raise SystemExit(msg)
    return Preset(network, objective, settings)


def _value(text: str) -> Any:
    # True and False as Python writes them, and numbers without a digit before the point, too
    for read in (lambda: json.loads(text.lower()), lambda: float(text)):
        with suppress(ValueError):
            return read()
    return text
