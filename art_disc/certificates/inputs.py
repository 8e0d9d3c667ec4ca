"""What every certificate asks of a classifier, whatever decides it."""

from typing import Any

import numpy as np

from art_disc.core.errors import CertificateError


def input_top(classifier: Any) -> float:
    """Return the top of a classifier's input range, 1 or 255.

    Raises:
        CertificateError: Its clip values are neither (0, 1) nor (0, 255).
    """
    clip = getattr(classifier, "clip_values", None)
    low, high = (np.asarray(v) for v in clip) if clip is not None else (np.asarray(-1.0),) * 2
    if low.any() or np.unique(high).tolist() not in ([1.0], [255.0]):
        msg = f"a certificate needs clip_values (0, 1) or (0, 255), got {clip!r}"
        raise CertificateError(msg)
    return float(high.max())


def applied_defences(classifier: Any) -> tuple[Any, ...]:
    """Return what happens to an input before the network, in order.

    ART's list comes first, then what the classifier calls its `defences`, of which that list is a
    part where it keeps the contract of `estimators.contract`.
    """
    listed = tuple(getattr(classifier, "preprocessing_operations", None) or ())
    inside = getattr(getattr(classifier, "model", None), "preprocessors", ())
    claimed = getattr(classifier, "defences", inside)
    steps = (*listed, *(d for d in claimed if not any(d is step for step in listed)))
    return tuple(d for d in steps if getattr(d, "apply_predict", True) and not _is_identity(d))


def _is_identity(step: Any) -> bool:
    """Whether this is ART's standardisation by mean 0 and deviation 1."""
    mean, std = getattr(step, "mean", None), getattr(step, "std", None)
    if mean is None or std is None:
        return False
    return bool(np.all(np.asarray(mean) == 0) and np.all(np.asarray(std) == 1))
