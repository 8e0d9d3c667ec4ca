"""scikit-learn-extra's PAM as a solver; that library is optional and imported on first use."""

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_disc.codebooks.objective import Levels
from art_disc.core.errors import MissingExtraError

_METRICS = {"l1": "manhattan", "sqeuclidean": "sqeuclidean"}


def extra_medoids(values: NDArray[np.uint8], weights: Levels, k: int, objective: str) -> Levels:
    """Indices of k medoids by PAM's BUILD and SWAP; it has no weights, so points repeat.

    Args:
        values: Distinct points, shape (m, c).
        weights: How often each is repeated, shape (m,).
        k: Codewords, 1..m.
        objective: `l1` or `sqeuclidean`.

    Raises:
        MissingExtraError: scikit-learn-extra cannot be imported.
    """
    kind = _load()
    rows = np.repeat(np.arange(len(values)), weights)
    solver = kind(
        n_clusters=k,
        metric=_METRICS[objective],
        method="pam",
        init="build",
        max_iter=10_000,
    )
    solver.fit(values[rows].astype(np.float64))
    return np.asarray(rows[solver.medoid_indices_], dtype=np.int64)


def _load() -> Any:
    try:
        return import_module("sklearn_extra.cluster").KMedoids
    except (ImportError, ValueError) as error:
        # a wheel built for NumPy 1 fails under NumPy 2 with a ValueError about sizes
        msg = (
            f'solver="scikit-learn-extra" cannot import that library ({error}); run: '
            'pip install "art-disc[kmedoids]", or under NumPy 2, for which its wheel is not built: '
            "pip install cython setuptools and then "
            "pip install --no-build-isolation --no-binary scikit-learn-extra scikit-learn-extra "
            '(needs a C compiler); solver="swap" needs neither'
        )
        raise MissingExtraError(msg) from error
