"""Codewords that are means: scikit-learn's k-means on weighted pixel values."""

from dataclasses import KW_ONLY, dataclass

import numpy as np

from art_disc.codebooks.counts import PixelCounts
from art_disc.codebooks.learned import ClusteredCodebook
from art_disc.codebooks.objective import draw_pixels, nearest_rows, pooled
from art_disc.core.checks import check_count
from art_disc.core.seeds import as_generator

_SAMPLE = 50_000


@dataclass(eq=False, repr=False)
class KMeansCodebook(ClusteredCodebook):
    """The k means of least total squared l2 distance to all pixels, as far as Lloyd's steps find.

    The comparison to k-medoids that the paper mentions and leaves out. Means need not be values
    that occur, nor lie on the 8-bit grid.

    Args:
        n_codes: Codewords k, >= 1.
        sample_size: Pixels drawn, >= k; all, by their counts, where no more values are distinct.
            None: 50,000.
        n_init: Starts, of which the best is kept, >= 1.
        per_channel: Learn scalar codewords from all channels together, for each channel by itself.
        assign_metric: Metric in which pixels are assigned to the codewords afterwards.
        random_state: Seed, generator, or None for another sample in every fit.

    Attributes:
        codewords_: Shape (k', c), rising; k' < k, with a `CodebookWarning`, if fewer values are
            distinct.

    Source: Chen et al. 2019, section V-A, last paragraph of k-medoids.
    """

    metric = "sqeuclidean"

    _: KW_ONLY
    n_init: int = 1

    def _check(self) -> None:
        super()._check()
        check_count(self.n_init, "n_init")

    def _learn(self, counts: PixelCounts) -> None:
        from sklearn.cluster import KMeans

        values, weights = pooled(counts, per_channel=self.per_channel)
        k = min(self.n_codes, len(values))
        rng = as_generator(self.random_state)
        size = self.sample_size or max(_SAMPLE, 10 * k)
        some, amounts = draw_pixels(values, weights, size, rng)
        k = min(k, len(some))
        solver = KMeans(k, n_init=self.n_init, random_state=int(rng.integers(2**31)))
        solver.fit(some.astype(np.float64), sample_weight=amounts.astype(np.float64))
        codes = np.clip(solver.cluster_centers_, 0, 255)
        away = nearest_rows(values, codes, self.metric)[1]
        sample_cost = float(solver.inertia_) / float(amounts.sum())
        cost = float(weights @ away) / float(weights.sum())
        self._keep(codes, cost, sample_cost, distinct=len(values))
