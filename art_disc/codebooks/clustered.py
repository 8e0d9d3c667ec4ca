"""What the codebooks that minimise a distance share: samples, metrics, costs."""

from typing import Any

import numpy as np

from art_disc.codebooks.learned import LearnedCodebook
from art_disc.codebooks.nearest import METRICS
from art_disc.codebooks.objective import Sums, unit
from art_disc.core.checks import check_choice, check_count


class ClusteredCodebook(LearnedCodebook):
    """Base of k-medoids and k-means: `metric` is the objective, `assign_metric` the rule after it.

    Attributes:
        cost_: Mean over all pixels of the distance (`l1`) or squared distance (`sqeuclidean`) to
            the nearest codeword, on the [0, 1] scale; with `per_channel` over all channel values.
        sample_cost_: The same over the pixels that were drawn, by the codewords found on them.
    """

    metric: str
    assign_metric: str
    sample_size: int | None
    random_state: Any
    cost_: float
    sample_cost_: float

    @property
    def nearest_metric(self) -> str:
        """Metric in which pixels are assigned: `l_inf`, `l1` or `l2`."""
        return self.assign_metric

    def _check(self) -> None:
        super()._check()
        if self.sample_size is not None:
            check_count(self.sample_size, "sample_size", least=self.n_codes)
        check_choice(self.assign_metric, "assign_metric", METRICS)

    def _keep(self, codes: Sums, cost: float, sample_cost: float) -> None:
        """Take codewords on the 255 scale, rising, and their mean costs on that scale."""
        rising = np.unique(codes, axis=0)
        self._warn_of_few(len(rising), "no more pixel values are distinct; ask for fewer")
        self._adopt((rising / 255).astype(np.float32))
        self.cost_ = cost / unit(self.metric)
        self.sample_cost_ = sample_cost / unit(self.metric)
