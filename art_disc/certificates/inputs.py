"""What every certificate asks of a classifier, whatever decides it."""

from typing import Any

import numpy as np

from art_disc.core.errors import CertificateError
from art_disc.core.records.base import Environment


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


def environment_of(classifier: Any) -> Environment:
    """Return this process and the classifier's device."""
    import torch

    device = str(getattr(classifier, "device", "cpu"))
    return Environment.here(device=device, threads=torch.get_num_threads())
