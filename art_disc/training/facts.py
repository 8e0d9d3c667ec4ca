"""What decides a training beside its recipe: adversary and defences."""

from collections.abc import Sequence
from typing import Any

from art_disc.core.errors import InputError
from art_disc.data import Dataset
from art_disc.defences import CodebookPreprocessor, MapPreprocessor, SurrogatePreprocessor
from art_disc.training.adversary import Adversary


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


def defence_facts(
    defences: Sequence[MapPreprocessor], adversary: Adversary | None
) -> dict[str, Any]:
    """Return what decides a training beside its recipe, in plain values."""
    facts: dict[str, Any] = {}
    if adversary is not None:
        # natural training has the key that it always had
        facts["adversary"] = adversary.facts()
    if defences:
        facts["defences"] = [_defence_fact(defence) for defence in defences]
    return facts


def _defence_fact(defence: MapPreprocessor) -> list[Any]:
    if isinstance(defence, CodebookPreprocessor):
        codes = [[float(level) for level in code] for code in defence.codebook.levels]
        return [defence.describe(), defence.surrogate.name, codes]
    if isinstance(defence, SurrogatePreprocessor):
        return [defence.describe(), defence.surrogate.name]
    return [defence.describe()]
