"""Codewords that are medoids: the pixel values of least total distance to all pixels."""

from dataclasses import KW_ONLY, dataclass

import numpy as np
from numpy.typing import NDArray

from art_disc.codebooks.counts import PixelCounts
from art_disc.codebooks.learned import ClusteredCodebook
from art_disc.codebooks.objective import OBJECTIVES, Levels, Sums, distances, draw_pixels, pooled
from art_disc.codebooks.refine import refine
from art_disc.codebooks.solvers import exact_medoids, extra_medoids
from art_disc.codebooks.swaps import swapped
from art_disc.core.checks import check_choice, check_count
from art_disc.core.errors import InputError
from art_disc.core.seeds import as_generator

SOLVERS = ("auto", "exact", "swap", "scikit-learn-extra")

_SAMPLE = 20_000
_STARTS = 10
# its matrix of all distances holds the square of that, in float64
_EXTRA_SAMPLE = 2_000


@dataclass(eq=False, repr=False)
class KMedoidsCodebook(ClusteredCodebook):
    """The k pixel values whose total distance to all pixels is least.

    Scalar codewords (grey images, or `per_channel`) are the exact optimum. Colours: swaps of a
    medoid with another pixel, each lowering the cost of a sample, until no single swap helps; then
    medoids move within their cells where that lowers the cost of all pixels.

    Args:
        n_codes: Codewords k, >= 1.
        metric: What is minimised: `l1` (the paper's) or `sqeuclidean`.
        solver: `auto` (`exact` for scalars, else `swap`), `exact`, `swap`, or
            `scikit-learn-extra` (its PAM, where it is installed).
        sample_size: Pixels drawn for the swaps, >= k; all, by their counts, where no more values
            are distinct. None: 20,000, or 2,000 for scikit-learn-extra. Time grows as its square.
        n_init: Starts of the swaps, of which the best is kept, >= 1. None: 10 for up to 2,000
            distinct values in the sample, falling to 1 for 20,000.
        refinements: How often at most the medoids then move over all pixels, >= 0.
        per_channel: Learn scalar codewords from all channels together, for each channel by itself.
        assign_metric: Metric in which pixels are assigned to the codewords afterwards.
        random_state: Seed, generator, or None for another sample in every fit.

    Attributes:
        codewords_: Shape (k', c), rising; k' < k, with a `CodebookWarning`, if fewer values are
            distinct.
        n_swaps_: Swaps made on the sample, in the run that was kept; 0 for other solvers.

    Source: Chen et al. 2019, Algorithm 2.

    >>> x = np.array([0, 0, 9, 200, 201, 255], dtype=np.uint8).reshape(1, 1, 2, 3)
    >>> np.rint(KMedoidsCodebook(2).fit(x).levels).ravel().tolist()
    [0.0, 201.0]
    """

    metric: str = "l1"
    solver: str = "auto"
    _: KW_ONLY
    n_init: int | None = None
    refinements: int = 5

    def _learn(self, counts: PixelCounts) -> None:
        values, weights = pooled(counts, per_channel=self.per_channel)
        k = min(self.n_codes, len(values))
        scalar = values.shape[1] == 1
        if self.solver == "exact" and not scalar:
            msg = (
                f"the exact solver is for scalar codewords, got pixels of {values.shape[1]} "
                'channels; take solver="swap", or per_channel=True'
            )
            raise InputError(msg)
        if self.solver == "exact" or (self.solver == "auto" and scalar):
            codes = values[exact_medoids(values[:, 0], weights, k, self.metric)].astype(np.float64)
            cost = distances(values[:, None], codes[None], self.metric).min(axis=1) @ weights
            self.n_swaps_ = 0
            self._keep(codes, cost / weights.sum(), cost / weights.sum(), distinct=len(values))
            return
        codes, sample_cost = self._search(values, weights, k)
        codes, cost = refine(values, weights, codes, self.metric, self.refinements)
        self._keep(codes, cost / weights.sum(), sample_cost, distinct=len(values))

    def _search(self, values: NDArray[np.uint8], weights: Levels, k: int) -> tuple[Sums, float]:
        """Medoids of a sample, and their mean cost there."""
        rng = as_generator(self.random_state)
        extra = self.solver == "scikit-learn-extra"
        size = self.sample_size or max(_EXTRA_SAMPLE if extra else _SAMPLE, 10 * k)
        some, amounts = draw_pixels(values, weights, size, rng, repeated=extra)
        k = min(k, len(some))
        if extra:
            medoids = extra_medoids(some, amounts, k, self.metric)
            away = distances(some[:, None], some[medoids][None], self.metric).min(axis=1)
            cost, self.n_swaps_ = float(amounts @ away), 0
        else:
            starts = self.n_init or int(np.clip(_SAMPLE // len(some), 1, _STARTS))
            searches = (swapped(some, amounts, k, self.metric, rng) for _ in range(starts))
            search = min(searches, key=lambda one: one.cost)
            medoids, cost, self.n_swaps_ = search.medoids, search.cost, search.n_swaps
        return some[medoids].astype(np.float64), cost / float(amounts.sum())

    def _check(self) -> None:
        super()._check()
        if self.metric not in OBJECTIVES:
            msg = (
                f"metric must be one of {', '.join(OBJECTIVES)}, got {self.metric!r}; the rule "
                "that assigns pixels afterwards is assign_metric"
            )
            raise InputError(msg)
        check_choice(self.solver, "solver", SOLVERS)
        if self.n_init is not None:
            check_count(self.n_init, "n_init")
        check_count(self.refinements, "refinements", least=0)
