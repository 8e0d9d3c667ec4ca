"""The facts of a run that go into its record."""

from typing import Any

import numpy as np
import torch

from art_disc.codebooks import channel_histograms
from art_disc.core.checks import IntArray
from art_disc.data import Dataset
from art_disc.defences import traits
from art_disc.estimators.contract import WhiteBoxClassifier
from art_disc.estimators.describe import defence_lines, environment_of
from art_disc.networks import weights_hash


def describe_run(
    classifier: WhiteBoxClassifier, data: Dataset, y: IntArray, *, training: str
) -> dict[str, Any]:
    """Return the fields of an `EvaluationRecord` that no attack decides."""
    network = classifier.base_network
    # the histogram of what the codebook was learned from; test images where there is nothing else
    images = data.x_train if len(data.x_train) else data.x_test
    return {
        "dataset": {
            "name": data.name,
            "source": data.source,
            "fingerprint": data.fingerprint,
            "n_train": len(data.x_train),
            "n_test": len(y),
            "classes": data.nb_classes,
        },
        "example_ids": tuple(int(i) for i in data.test_ids),
        "labels": tuple(int(label) for label in y),
        "network": describe_network(network, training),
        "defences": defence_lines(classifier),
        "codebook": _codebook(classifier),
        "histogram": tuple(tuple(row) for row in channel_histograms(images).tolist()),
        "clip_values": tuple(float(np.max(v)) for v in classifier.clip_values),
        "environment": environment_of(classifier),
    }


def describe_network(network: torch.nn.Module, training: str) -> dict[str, Any]:
    """Return what identifies a network."""
    return {
        "name": type(network).__name__,
        "parameters": sum(p.numel() for p in network.parameters()),
        "weights": weights_hash(network),
        "training": training,
    }


def _codebook(classifier: WhiteBoxClassifier) -> dict[str, Any]:
    """Return the first codebook, with those of a chain that come after it in `then`."""
    chain = (traits(defence).codebook for defence in classifier.defences)
    books = [
        {
            "name": type(book).__name__,
            "k": book.n_codes_,
            "fingerprint": book.fingerprint,
            **({"file": book.file_} if book.file_ else {}),
            "metric": book.nearest_metric,
            "per_channel": book.per_channel,
            "codewords": [[round(float(v), 9) for v in row] for row in book.codewords_],
        }
        for book in chain
        if book is not None
    ]
    if len(books) < 2:
        return books[0] if books else {}
    return books[0] | {"then": books[1:]}
