"""A fixed set of codewords, and what every learned codebook becomes."""

import copy
import inspect
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from art_disc.codebooks.codewords import as_codewords, least_gap
from art_disc.codebooks.counts import PixelCounts
from art_disc.codebooks.files import read_codebook, write_codebook
from art_disc.codebooks.nearest import METRICS, TIES
from art_disc.codebooks.search import Search
from art_disc.core.checks import Float32Array, check_choice, check_images
from art_disc.core.errors import InputError, NotFittedError
from art_disc.core.fingerprint import fingerprint
from art_disc.core.sealing import Sealable
from art_disc.core.showing import Shown


class Codebook(Sealable, Shown, TransformerMixin, BaseEstimator):
    """k codewords in pixel space with the exact nearest-codeword rule.

    Args:
        codewords: Shape (k, c), values in [0, 1], no two equal; a list of k numbers means c = 1.
            They are read once: what is written to the array later changes nothing.
        metric: `l_inf` (the papers'), `l1` or `l2`, over the channels of a pixel.
        per_channel: Apply scalar codewords (c = 1) to each channel of a colour image by itself.
        ties: Which codeword wins at equal distance: the `lowest` index, or the `highest`.

    Attributes:
        codewords_: The codewords as float32, shape (k, c), values in [0, 1]; read-only.
        origin_: What `fit` learned them from: how many `pixels`, how many of them `distinct`, and
            their `fingerprint`. None where they were given.
        file_: Name of the file that they were loaded from, without its folder, or None.

    Raises:
        InputError: Wrong shape, values outside the range, duplicates, unknown metric.

    >>> book = Codebook([0.0, 1.0])
    >>> book.assign(np.array([[0.2], [0.5], [0.7]], dtype=np.float32))
    array([0, 0, 1])
    """

    how_to_change = (
        "sklearn.base.clone(codebook) makes one that can be changed and fitted, for another defence"
    )

    origin_: dict[str, Any] | None = None
    file_: str | None = None
    # whether `codewords` was set and is not adopted yet
    _unread = False

    def __init__(
        self,
        codewords: ArrayLike,
        *,
        metric: str = "l_inf",
        per_channel: bool = False,
        ties: str = "lowest",
    ) -> None:
        self.codewords = codewords
        self.metric = metric
        self.per_channel = per_channel
        self.ties = ties
        self._settle()

    def _shown(self) -> dict[str, Any]:
        """Return the hyperparameters that differ from what they are by default."""
        given = inspect.signature(type(self)).parameters
        return {
            name: value
            for name, value in self.get_params(deep=False).items()
            if isinstance(value, np.ndarray) or not np.array_equal(value, given[name].default)
        }

    def _settle(self) -> None:
        """Take what the hyperparameters alone decide; learned codebooks have nothing here."""
        self._adopt(as_codewords(self.codewords) if self._unread else self.codewords_)
        self.__dict__["_unread"] = False

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "codewords":
            # an array is its giver's, who may write to it: it is read once each time that it is set
            self.__dict__["_unread"] = True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # images have four axes
        tags.input_tags.two_d_array = False
        tags.requires_fit = not self.is_fitted
        return tags

    def set_params(self, **params: Any) -> Self:
        """Set hyperparameters; fixed codewords follow them, learned ones wait for `fit`.

        Raises:
            InputError: A value does not fit; nothing is changed then.
            SealedError: It is that of a defence; see `sealed`.
        """
        with self._or_as_before():
            super().set_params(**params)
            self._settle()
            self.file_ = None
        return self

    def sealed(self) -> Self:
        """Return a copy that no setter and no `fit` can change, or itself if it is one.

        Defences and classifiers hold such copies, so what becomes of the original means nothing to
        them.

        Raises:
            InputError: A hyperparameter was set past `set_params`, and the codewords do not follow.
            NotFittedError: There are no codewords.
        """
        codewords = self.codewords_
        if self.is_sealed:
            return self
        twin = copy.copy(self)
        twin._settle()
        if not np.array_equal(twin.codewords_, codewords):
            msg = (
                f"{type(self).__name__} was changed past its checks: its hyperparameters are those "
                "of other codewords than it has; change it with set_params(...)"
            )
            raise InputError(msg)
        twin._adopt(codewords)
        if "codewords" in vars(twin):
            # what came in is its giver's, and may change
            twin.codewords = codewords
        return twin._seal()

    def _adopt(self, codewords: Float32Array) -> None:
        """Take checked codewords as this codebook's own."""
        check_choice(self.nearest_metric, "metric", METRICS)
        check_choice(self.ties, "ties", TIES)
        if self.per_channel and codewords.shape[1] != 1:
            msg = f"per_channel needs scalar codewords, got shape {codewords.shape}"
            raise InputError(msg)
        if len(np.unique(codewords, axis=0)) < len(codewords):
            msg = f"codewords must differ from one another, got {codewords.tolist()}"
            raise InputError(msg)
        self._codewords: Float32Array | None = codewords
        # made here, so that it changes no copy that is made before the first use
        _ = self.search

    @property
    def codewords_(self) -> Float32Array:
        """Codewords, float32 (k, c) in [0, 1], read-only."""
        codewords: Float32Array | None = getattr(self, "_codewords", None)
        if codewords is None:
            msg = f"{self!r} has no codewords yet; call fit(x) first"
            raise NotFittedError(msg)
        # again each time: copies and pickles of an array can be written to
        codewords.flags.writeable = False
        return codewords

    @property
    def nearest_metric(self) -> str:
        """Metric in which pixels are assigned: `l_inf`, `l1` or `l2`.

        Codebooks learned by clustering keep it apart from the `metric` of their objective.
        """
        return self.metric

    @property
    def is_fitted(self) -> bool:
        """Whether there are codewords."""
        return getattr(self, "_codewords", None) is not None

    @property
    def n_codes_(self) -> int:
        """Number of codewords k."""
        return int(self.codewords_.shape[0])

    @property
    def n_channels_(self) -> int:
        """Channels c of a codeword (1 where `per_channel`)."""
        return int(self.codewords_.shape[1])

    @property
    def levels(self) -> list[list[float]]:
        """Codewords on the 255 scale, where 8-bit values are exact integers."""
        rows: list[list[float]] = (np.float32(255) * self.codewords_).tolist()
        return rows

    @property
    def search(self) -> Search:
        """What finds the nearest codewords; copies share it while theirs are the same."""
        rules = self.codewords_, self.nearest_metric, self.ties
        made: Search | None = self.__dict__.get("_finder")
        if made is None or not made.is_of(*rules):
            made = self.__dict__["_finder"] = Search(*rules)
        return made

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that identify codewords and rule, however they were found."""
        rule = f"{self.nearest_metric} {bool(self.per_channel)} {self.ties}"
        return fingerprint(self.codewords_, np.frombuffer(rule.encode(), dtype=np.uint8))

    def fit(self, x: Any = None, y: Any = None) -> Self:  # noqa: ARG002 - scikit-learn's habit
        """Return self: these codewords do not depend on data."""
        return self

    def check_channels(self, channels: int) -> None:
        """Refuse pixels of another channel count.

        Raises:
            InputError: `channels` does not fit the codewords.
        """
        if not self.per_channel and channels != self.n_channels_:
            msg = (
                f"expected pixels of {self.n_channels_} channel(s), got {channels}; fit the "
                "codebook on such images, or use scalar codewords with per_channel=True"
            )
            raise InputError(msg)

    def assign(self, pixels: Float32Array) -> NDArray[np.int64]:
        """Index of the nearest codeword of every pixel.

        Args:
            pixels: Shape (..., c), float32 on the [0, 1] scale; values outside are allowed.

        Returns:
            Integers 0..k-1, shape (...), or (..., c) where `per_channel`; a tie goes as `ties`.

        Raises:
            InputError: Another channel count, or NaN.
        """
        self.check_channels(pixels.shape[-1])
        if np.isnan(pixels).any():
            msg = "pixels must not hold NaN: no codeword is nearest to it"
            raise InputError(msg)
        scaled = np.float32(255) * pixels.astype(np.float32, copy=False)
        channels = [scaled] if self.per_channel else list(np.moveaxis(scaled, -1, 0))
        index: NDArray[np.int64] = self.search.find(channels, np)
        return index

    def quantize(self, x: Float32Array, *, channels_first: bool = True) -> Float32Array:
        """Replace every pixel by its nearest codeword.

        Args:
            x: Images, shape (n, c, h, w), or (n, h, w, c) where not `channels_first`.
            channels_first: Where the channel axis is.

        Returns:
            A new float32 array of the same shape, whose pixels are codewords.

        Raises:
            InputError: Another channel count, or NaN.
        """
        pixels = np.moveaxis(x, 1, -1) if channels_first else x
        index = self.assign(pixels)
        codes = self.codewords_[index, 0] if self.per_channel else self.codewords_[index]
        return np.ascontiguousarray(np.moveaxis(codes, -1, 1) if channels_first else codes)

    def transform(self, x: Any) -> Float32Array:
        """Return images of codewords, scikit-learn's name for `quantize`.

        Args:
            x: Images (n, c, h, w), float in [0, 1] or uint8.

        Raises:
            InputError: No such images, or another channel count.
            NotFittedError: There are no codewords.
        """
        return self.quantize(check_images(x))

    def usage(self, counts: PixelCounts) -> NDArray[np.float64]:
        """Share of the counted pixels, or channel values, that fall on each codeword, (k,)."""
        index = self.assign(counts.values.astype(np.float32) / np.float32(255))
        weights = np.repeat(counts.counts, index[0].size)
        on_code = np.bincount(index.ravel(), weights=weights, minlength=self.n_codes_)
        return np.asarray(on_code / on_code.sum())

    def separation(self) -> float:
        """Smallest distance between two codewords in the codebook's metric, on the [0, 1] scale.

        Infinite for a single codeword.
        """
        return least_gap(self.levels, self.nearest_metric)

    def save(self, path: str | Path) -> Path:
        """Write codewords, class, hyperparameters, what was learned and its origin as one npz.

        A `random_state` that is a generator comes back as None.
        """
        return write_codebook(self, path)

    @staticmethod
    def load(path: str | Path) -> "Codebook":
        """Return what `save` wrote, of its class and with its hyperparameters; no pickle is read.

        Files of earlier releases, and those of a class that is not this package's, come back as a
        `Codebook` of the same codewords.

        Raises:
            DataNotFoundError: No such file.
            FileFormatError: Damaged, changed, foreign, or of a version that this release cannot
                read.
        """
        book: Codebook = read_codebook(Codebook, path)
        return book
