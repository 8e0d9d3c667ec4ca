"""What the codebooks that minimise a distance share: pixels, samples, warnings, costs."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_disc.codebooks.codebook import Codebook
from art_disc.codebooks.counts import PixelCounts
from art_disc.codebooks.nearest import METRICS
from art_disc.codebooks.objective import Levels, Sums, pooled, unit
from art_disc.core.checks import check_count
from art_disc.core.errors import CodebookWarning, InputError


class ClusteredCodebook(Codebook):
    """Base of k-medoids and k-means: `metric` is the objective, `assign_metric` the rule after it.

    Attributes:
        cost_: Mean over all pixels of the distance (`l1`) or squared distance (`sqeuclidean`) to
            the nearest codeword, on the [0, 1] scale; with `per_channel` over all channel values.
        sample_cost_: The same over the pixels that were drawn, by the codewords found on them.
    """

    n_codes: int
    metric: str
    assign_metric: str
    sample_size: int | None
    random_state: Any
    cost_: float
    sample_cost_: float

    def _settle(self) -> None:
        """Do nothing: only `fit` makes codewords."""

    @property
    def nearest_metric(self) -> str:
        """Metric in which pixels are assigned: `l_inf`, `l1` or `l2`."""
        return self.assign_metric

    def _pixels(self, x: Any) -> tuple[NDArray[np.uint8], Levels, int]:
        """Distinct values, their counts, and how many codewords they allow."""
        check_count(self.n_codes, "n_codes")
        if self.sample_size is not None:
            check_count(self.sample_size, "sample_size", least=self.n_codes)
        if self.assign_metric not in METRICS:
            msg = f"assign_metric must be one of {', '.join(METRICS)}, got {self.assign_metric!r}"
            raise InputError(msg)
        counts = x if isinstance(x, PixelCounts) else PixelCounts.of(x)
        values, weights = pooled(counts, per_channel=self.per_channel)
        return values, weights, min(self.n_codes, len(values))

    def _keep(self, codes: Sums, cost: float, sample_cost: float) -> None:
        """Take codewords on the 255 scale, rising, and their mean costs on that scale."""
        rising = np.unique(codes, axis=0)
        if len(rising) < self.n_codes:
            msg = (
                f"only {len(rising)} of {self.n_codes} codewords: no more pixel values are "
                "distinct; ask for fewer"
            )
            warnings.warn(msg, CodebookWarning, stacklevel=3)
        self._adopt((rising / 255).astype(np.float32))
        self.cost_ = cost / unit(self.metric)
        self.sample_cost_ = sample_cost / unit(self.metric)

    def _generator(self) -> np.random.Generator:
        state = self.random_state
        if state is None or isinstance(state, np.random.Generator):
            return np.random.default_rng(state)
        return np.random.default_rng(check_count(state, "random_state", least=0))
