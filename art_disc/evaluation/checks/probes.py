"""Looking into a classifier: logits with gradients switched on, what the network says, losses."""

from typing import Any

import numpy as np
import torch
from torch import nn

from art_disc.core.checks import BoolArray, Float32Array, Float64Array, IntArray
from art_disc.estimators.contract import WhiteBoxClassifier
from art_disc.estimators.steadiness import network_scores

NO_BASE = "the network takes encoded images, so there is no undefended one beside it"
_BATCH = 100


def one_draw(classifier: Any) -> Any:
    """Return a random classifier with one fixed draw, a deterministic one as it is."""
    return classifier.with_samples(eot=1, vote=1).frozen(0) if classifier.is_random else classifier


def graph_values(classifier: WhiteBoxClassifier, x: Float32Array) -> Float32Array:
    """Return the values of the classifier's `graph_logits`, with gradients switched on."""
    leaf = torch.tensor(x, device=classifier.device).requires_grad_()
    return np.asarray(classifier.graph_logits(leaf).detach().cpu().numpy())


def logits_of(classifier: WhiteBoxClassifier, x: Float32Array) -> Float32Array:
    """Return what `predict` returns."""
    return np.asarray(classifier.predict(x, batch_size=_BATCH), dtype=np.float32)


def network_logits(classifier: WhiteBoxClassifier, x: Float32Array) -> Float32Array:
    """Return what the network alone says of what it takes: images, or codes behind an encoder."""
    if classifier.has_base:
        return logits_of(classifier.base, x)
    return network_scores(classifier, x, _BATCH)


def losses(classifier: WhiteBoxClassifier, x: Float32Array, y: IntArray) -> Float64Array:
    """Return each image's cross-entropy by `predict`, shape (n,)."""
    logits = torch.tensor(logits_of(classifier, x), dtype=torch.float64)
    labels = torch.tensor(y)
    return np.asarray(nn.functional.cross_entropy(logits, labels, reduction="none").numpy())


def differs(a: Float32Array, b: Float32Array, tolerance: float) -> BoolArray:
    """For each row, whether two sets of logits differ by more than `tolerance` of their size."""
    scale = np.maximum(1, np.abs(a).max(axis=1))
    return np.asarray(~(np.abs(a - b).max(axis=1) <= tolerance * scale))
