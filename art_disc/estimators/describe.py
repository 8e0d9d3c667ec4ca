"""A classifier's defences and votes in words and numbers, for records."""

from typing import Any

import torch

from art_disc.core.records import Environment, Setting
from art_disc.defences.traits import traits
from art_disc.networks import SignGradient


def defence_lines(classifier: Any) -> tuple[str, ...]:
    """Return one line a defence."""
    return tuple(traits(defence).describe() for defence in getattr(classifier, "defences", ()))


def describe_voting(classifier: Any) -> dict[str, Setting]:
    """Return how a classifier that draws averages and votes; nothing of another."""
    voting = getattr(classifier, "voting", None)
    if voting is None:
        return {}
    names = ("eot_samples", "vote_samples", "vote", "output", "gradient")
    return {name: getattr(voting, name) for name in names}


def describe_signs(classifier: Any) -> dict[str, Setting]:
    """Return how the signs of a binarised network are differentiated; nothing of its own way."""
    through = getattr(getattr(classifier, "model", None), "through", SignGradient())
    return {} if through == SignGradient() else {"sign_gradient": through.name}


def environment_of(classifier: Any) -> Environment:
    """Return this process and the classifier's device."""
    device = str(getattr(classifier, "device", "cpu"))
    return Environment.here(device=device, threads=torch.get_num_threads())
