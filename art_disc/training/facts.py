"""What decides a training: network, data, recipe, objective and defences, in plain values."""

import json
from collections.abc import Sequence
from typing import Any

from torch import nn

from art_disc.core.errors import InputError
from art_disc.data import Dataset
from art_disc.defences import MapPreprocessor, is_ours
from art_disc.defences.preprocessor import learn_from
from art_disc.networks import weights_hash
from art_disc.surrogates import Custom
from art_disc.training.objectives import CrossEntropy, Objective
from art_disc.training.recipe import Recipe


def fit_defences(defences: Sequence[MapPreprocessor], data: Dataset) -> None:
    """Let every defence that is not fitted learn from the training images."""
    for defence in defences:
        if not is_ours(defence):
            msg = f"defences must be defences of art_disc, got {type(defence).__name__}"
            raise InputError(msg)
    learn_from(defences, data)


def training_facts(
    model: nn.Module,
    data: Dataset,
    recipe: Recipe,
    seed: int,
    objective: Objective,
    defences: Sequence[MapPreprocessor],
) -> dict[str, Any]:
    """Return what decides the weights that a training ends with; equal facts train alike."""
    facts = {
        # a network's description tells what its weights do not, such as dropout
        "network": repr(model),
        "initial": weights_hash(model),
        "data": data.fingerprint,
        "seed": int(seed),
        **recipe.facts(),
        "defences": [defence.facts() for defence in defences],
    }
    own = objective.facts()
    try:
        json.dumps(own)
    except (TypeError, ValueError) as error:
        msg = f"the facts of an objective must be plain JSON values, got {own!r}: {error}"
        raise InputError(msg) from error
    if odd := sorted(set(own) & set(facts)):
        msg = (
            f"the facts of an objective must have names of their own, got {odd[0]!r}, which is a "
            "setting of the training"
        )
        raise InputError(msg)
    return facts | own


def facts_decide(defences: Sequence[MapPreprocessor], objective: Objective) -> bool:
    """Whether facts decide the training: a user's own surrogate has a name alone."""
    own = any(isinstance(d.surrogate, Custom) for d in defences)
    # cross-entropy alone surely asks for no gradient of the images
    return not own or isinstance(objective, CrossEntropy)
