"""A classifier's defences and votes in words and numbers, for records."""

from typing import Any

import torch

from art_disc.core.records import Environment, Setting


def defence_lines(classifier: Any) -> tuple[str, ...]:
    """Return one line a defence."""
    return tuple(_line(defence) for defence in getattr(classifier, "defences", ()))


def _line(defence: Any) -> str:
    if hasattr(defence, "describe"):
        return str(defence.describe())
    inner = getattr(defence, "preprocessor", defence)
    words = ", ".join(f"{k}={getattr(inner, k, None)!r}" for k in getattr(inner, "params", ()))
    return f"{type(inner).__name__}({words})" if words else type(inner).__name__


def describe_voting(classifier: Any) -> dict[str, Setting]:
    """Return how a classifier that draws averages and votes; nothing of another."""
    voting = getattr(classifier, "voting", None)
    if voting is None:
        return {}
    names = ("eot_samples", "vote_samples", "vote", "output", "gradient")
    return {name: getattr(voting, name) for name in names}


def environment_of(classifier: Any) -> Environment:
    """Return this process and the classifier's device."""
    device = str(getattr(classifier, "device", "cpu"))
    return Environment.here(device=device, threads=torch.get_num_threads())
