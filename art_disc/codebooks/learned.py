"""What every codebook that is learned from pixels shares: counts, too few codewords, settings."""

import warnings
from abc import abstractmethod
from typing import Any, Self

from art_disc.codebooks.codebook import Codebook
from art_disc.codebooks.counts import PixelCounts
from art_disc.core.checks import check_count
from art_disc.core.errors import CodebookWarning, InputError


class LearnedCodebook(Codebook):
    """Base of the codebooks that have no codewords before `fit`."""

    n_codes: int
    per_channel: bool = False
    ties: str = "lowest"

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
        """
        self._check()
        counts = x if isinstance(x, PixelCounts) else PixelCounts.of(x)
        if counts.total == 0:
            msg = "there are no pixels to learn from"
            raise InputError(msg)
        self._learn(counts)
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
