"""Which defences a classifier can hold, and where."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from art_disc.core.errors import InputError
from art_disc.defences.preprocessor import is_ours
from art_disc.defences.traits import traits


def check_places(inside: Sequence[Any], outside: Sequence[Any]) -> None:
    """Refuse a defence where it cannot work, or not as it says."""
    for defence in inside:
        if not is_ours(defence):
            msg = (
                f"{type(defence).__name__} cannot live in the module; use placement='preprocessor'"
            )
            raise InputError(msg)
        if not defence.apply_predict:
            msg = (
                "a defence in the module is always applied; for apply_predict=False use "
                "placement='preprocessor'"
            )
            raise InputError(msg)
    for defence in outside:
        if traits(defence).is_random:
            msg = (
                f"{type(defence).__name__} draws, and in ART's list one draw would answer for all; "
                "use placement='module', where draws are averaged"
            )
            raise InputError(msg)


def check_kept(classifier: Any, keep: Sequence[Any]) -> None:
    """Refuse a first preprocessor in ART's list that is ours, but for another range or layout."""
    upper, first = float(np.max(classifier.clip_values[1])), classifier.channels_first
    for defence in keep[:1]:
        if is_ours(defence) and (
            defence.clip_values[1] != upper or defence.channels_first != first
        ):
            msg = (
                f"{type(defence).__name__} in preprocessing_defences is for images of "
                f"{defence.clip_values} with channels_first={defence.channels_first}, the "
                f"classifier takes (0, {upper:g}) with channels_first={first}; make it with the "
                "classifier's clip_values and channels_first"
            )
            raise InputError(msg)
