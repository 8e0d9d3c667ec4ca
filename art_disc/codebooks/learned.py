"""What every codebook that is learned from pixels shares: counts, too few codewords, costs."""

import warnings
from abc import abstractmethod
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np

from art_disc.codebooks.codebook import Codebook
from art_disc.codebooks.counts import PixelCounts
from art_disc.codebooks.nearest import METRICS
from art_disc.codebooks.objective import Sums, unit
from art_disc.core.checks import check_choice, check_count
from art_disc.core.errors import CodebookWarning, InputError
from art_disc.core.fingerprint import fingerprint


class LearnedCodebook(Codebook):
    """Base of the codebooks that have no codewords before `fit`."""

    n_codes: int
    per_channel: bool = False
    ties: str = "lowest"

    def _shown(self) -> dict[str, Any]:
        """Return those of every codebook, and the codewords once there are some."""
        return super()._shown() | ({"codewords_": self.codewords_} if self.is_fitted else {})

    def _settle(self) -> None:
        """Do nothing: only `fit` makes codewords."""

    def fit(self, x: Any = None, y: Any = None) -> Self:  # noqa: ARG002 - scikit-learn's habit
        """Learn the codewords.

        Args:
            x: Images (n, c, h, w), float in [0, 1] or uint8, or `PixelCounts`.
            y: Ignored.

        Raises:
            InputError: A hyperparameter or `x` does not fit.
            MissingExtraError: The solver that is asked for is not installed.
            SealedError: It is that of a defence, whose own `fit` learns another.
        """
        self.check_unsealed("fitted again")
        self._check()
        counts = x if isinstance(x, PixelCounts) else PixelCounts.of(x)
        if counts.total == 0:
            msg = "there are no pixels to learn from"
            raise InputError(msg)
        self._learn(counts)
        self.file_ = None
        self.origin_ = {
            "pixels": counts.total,
            "distinct": len(counts.values),
            "fingerprint": fingerprint(counts.values, counts.counts),
        }
        return self

    def _check(self) -> None:
        """Refuse hyperparameters that do not fit."""
        check_count(self.n_codes, "n_codes")

    @abstractmethod
    def _learn(self, counts: PixelCounts) -> None:
        """Find codewords and adopt them."""

    def _warn_of_few(self, found: int, reason: str) -> None:
        if found < self.n_codes:
            msg = f"only {found} of {self.n_codes} codewords: {reason}"
            # the line that called `fit`
            warnings.warn(msg, CodebookWarning, stacklevel=4)


@dataclass(eq=False, repr=False)
class ClusteredCodebook(LearnedCodebook):
    """Base of k-medoids and k-means: `metric` is the objective, `assign_metric` the rule after it.

    Attributes:
        cost_: Mean over all pixels of the distance (`l1`) or squared distance (`sqeuclidean`) to
            the nearest codeword, on the [0, 1] scale; with `per_channel` over all channel values.
        sample_cost_: The same over the pixels that were drawn, by the codewords found on them.
    """

    n_codes: int = 2
    _: KW_ONLY
    sample_size: int | None = None
    per_channel: bool = False
    assign_metric: str = "l_inf"
    random_state: Any = None

    @property
    def nearest_metric(self) -> str:
        """Metric in which pixels are assigned: `l_inf`, `l1` or `l2`."""
        return self.assign_metric

    def _check(self) -> None:
        super()._check()
        if self.sample_size is not None:
            check_count(self.sample_size, "sample_size", least=self.n_codes)
        check_choice(self.assign_metric, "assign_metric", METRICS)

    def _keep(self, codes: Sums, cost: float, sample_cost: float, *, distinct: int) -> None:
        """Take codewords (k, c) on the 255 scale, rising, and their mean costs on that scale.

        There are `distinct` pixel values.
        """
        rising = np.unique(codes, axis=0)
        reason = "no more pixel values are distinct; ask for fewer"
        if distinct >= self.n_codes:
            reason = (
                f"the pixels that were drawn (sample_size={self.sample_size}) hold too few of the "
                f"{distinct} distinct values; raise sample_size"
            )
        self._warn_of_few(len(rising), reason)
        self._adopt((rising / 255).astype(np.float32))
        self.cost_ = cost / unit(self.metric)
        self.sample_cost_ = sample_cost / unit(self.metric)
