"""What decides a training: network, data, recipe, adversary and defences, in plain values."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from art_disc.core.errors import InputError
from art_disc.data import Dataset
from art_disc.defences import (
    ClusterPreprocessor,
    CodebookPreprocessor,
    MapPreprocessor,
    ModelledPreprocessor,
    SurrogatePreprocessor,
)
from art_disc.networks import weights_hash
from art_disc.surrogates import Custom
from art_disc.training.adversary import Adversary
from art_disc.training.recipe import Recipe


def fit_defences(defences: Sequence[MapPreprocessor], data: Dataset) -> None:
    """Let every defence that is not fitted learn from the training images.

    Raises:
        InputError: Something else than a defence of ours.
    """
    for defence in defences:
        if not isinstance(defence, MapPreprocessor):
            msg = f"defences must be defences of art_disc, got {type(defence).__name__}"
            raise InputError(msg)
        if not defence.is_fitted:
            defence.learn(data.x_train)


def training_facts(
    model: nn.Module,
    data: Dataset,
    recipe: Recipe,
    seed: int,
    adversary: Adversary | None,
    defences: Sequence[MapPreprocessor],
) -> dict[str, Any]:
    """Return what decides the weights that a training ends with; equal facts train alike.

    Args:
        model: Before the training; its description tells what its weights do not, such as dropout.
        data: Training images and labels.
        recipe: The settings.
        seed: Of every stream.
        adversary: Or None.
        defences: Fitted.
    """
    return {
        "network": repr(model),
        "initial": weights_hash(model),
        "data": data.fingerprint,
        "seed": int(seed),
        **recipe.facts(),
        "adversary": None if adversary is None else adversary.facts(),
        "defences": [_defence_fact(defence) for defence in defences],
    }


def can_be_told(defences: Sequence[MapPreprocessor], adversary: Adversary | None) -> bool:
    """Whether facts decide the training: a user's own surrogate has a name alone."""
    own = any(isinstance(getattr(d, "surrogate", None), Custom) for d in defences)
    return adversary is None or not own


def _defence_fact(defence: MapPreprocessor) -> list[Any]:
    if isinstance(defence, CodebookPreprocessor):
        codes = [[float(level) for level in code] for code in defence.codebook.levels]
        return [defence.describe(), defence.surrogate.name, codes]
    if isinstance(defence, SurrogatePreprocessor | ClusterPreprocessor | ModelledPreprocessor):
        return [defence.describe(), defence.surrogate.name]
    return [defence.describe()]
