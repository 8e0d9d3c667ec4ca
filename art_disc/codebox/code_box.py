"""Sets of code images as products: of each unit a few codewords, whatever the other units take."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from art_disc.codebooks import Codebook
from art_disc.codebox.reachability import masks_of
from art_disc.codebox.rules import Threat
from art_disc.core.checks import BoolArray, Float32Array, Float64Array, IntArray
from art_disc.core.errors import InputError
from art_disc.core.showing import Shown


@dataclass(frozen=True, slots=True, eq=False)
class CodeBox(Shown):
    """A batch of sets of code images: a row for an image, or for a node of a search in one.

    Attributes:
        codewords: Shape (k, d), in the range that is wanted.
        codes: Codes that each unit may take, shape (rows, units, m), rising; beyond `counts` the
            last of them again, so that a reduction over the last axis needs no mask.
        counts: How many they are, >= 1, shape (rows, units).
    """

    codewords: Float32Array
    codes: IntArray
    counts: IntArray

    @classmethod
    def of_mask(cls, mask: BoolArray, codewords: Float32Array) -> Self:
        """Take the codes that are true in a mask of shape (rows, units, k).

        Raises:
            InputError: A unit without a code.
        """
        counts = mask.sum(axis=-1)
        if not counts.all():
            msg = f"every unit needs a code, got {int((counts == 0).sum())} units without one"
            raise InputError(msg)
        *unit, code = np.nonzero(mask)
        ends = counts.cumsum()
        place = np.arange(len(code)) - np.repeat(ends - counts.reshape(-1), counts.reshape(-1))
        last = code[ends - 1].reshape(*counts.shape, 1)
        codes = np.repeat(last, int(counts.max(initial=1)), axis=2)
        codes[(*unit, place)] = code
        return cls(codewords, codes, counts)

    @classmethod
    def within(cls, units: Float32Array, codebook: Codebook, threat: Threat) -> Self:
        """Return the codes that a threat lets units (n, units, d) in [0, 1] reach, a row an image.

        A superset, as `reachable_codes`: ties and rounding count as reached.
        """
        masks = masks_of(units, codebook, threat)
        parts = [cls.of_mask(mask, codebook.codewords_) for mask in masks]
        width = max(part.codes.shape[2] for part in parts)
        codes = np.concatenate([part._widened(width) for part in parts])
        return cls(codebook.codewords_, codes, np.concatenate([part.counts for part in parts]))

    def _widened(self, width: int) -> IntArray:
        missing = width - self.codes.shape[2]
        again = np.repeat(self.codes[:, :, -1:], missing, axis=2)
        return np.concatenate([self.codes, again], axis=2) if missing else self.codes

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def listed(self) -> BoolArray:
        """Which entries of `codes` are no repetition, shape (rows, units, m)."""
        return np.asarray(np.arange(self.codes.shape[2]) < self.counts[..., None])

    @property
    def free(self) -> BoolArray:
        """Units that have a choice, shape (rows, units)."""
        return self.counts > 1

    @property
    def log2(self) -> Float64Array:
        """log2 of the number of code images of each row."""
        return np.asarray(np.log2(self.counts).sum(axis=1))

    def mask(self) -> BoolArray:
        """Return the codes as a mask (rows, units, k); see `of_mask`."""
        mask = np.zeros((*self.counts.shape, len(self.codewords)), dtype=bool)
        np.put_along_axis(mask, self.codes, values=True, axis=2)
        return mask

    def hull(self) -> tuple[Float32Array, Float32Array]:
        """Return the smallest box around the codewords of each unit: ends (rows, units, d)."""
        values = self.codewords[self.codes]
        return values.min(axis=2), values.max(axis=2)

    def colours(self, most: int) -> Float32Array | None:
        """Return what each unit's value can be, the same number m <= most of values for all.

        Shape (rows, units, m, d), some repeated. A unit of more than `most` codes has the 2^d
        corners of its hull instead, which hold all of them between them. None: these are too many.
        """
        width, d = self.codes.shape[2], self.codewords.shape[1]
        if width <= most:
            return np.asarray(self.codewords[self.codes])
        if 2**d > most:
            return None
        ends = np.stack(self.hull(), axis=-2)
        corners = np.indices((2,) * d).reshape(d, -1)
        made = np.take_along_axis(ends, np.broadcast_to(corners.T, (*ends.shape[:2], 2**d, d)), 2)
        again = np.minimum(np.arange(most), 2**d - 1)
        few = self.codewords[self.codes[:, :, :most]]
        return np.where((self.counts <= most)[..., None, None], few, made[:, :, again])

    def take(self, rows: IntArray | BoolArray) -> Self:
        """Return these rows alone; one may come several times."""
        return replace(self, codes=self.codes[rows], counts=self.counts[rows])

    def drawn(self, rng: np.random.Generator) -> IntArray:
        """Draw a code image of each row: codes (rows, units)."""
        place = (rng.random(self.counts.shape) * self.counts).astype(np.int64)
        return np.asarray(np.take_along_axis(self.codes, place[..., None], axis=2)[..., 0])

    def pinned(self, unit: IntArray, code: IntArray) -> Self:
        """Return the box with one unit (rows,) of each row fixed to one code (rows,)."""
        rows = np.arange(len(self))
        codes, counts = self.codes.copy(), self.counts.copy()
        codes[rows, unit], counts[rows, unit] = code[:, None], 1
        return replace(self, codes=codes, counts=counts)

    def split(self, unit: IntArray) -> tuple[Self, Self]:
        """Cut the codes of one free unit (rows,) of each row into two halves, by their values.

        The halves are ordered by the channel in which the codewords differ most, so that each has a
        smaller hull, and differ by at most one in number. Together they are this box.

        Raises:
            InputError: A unit without a choice.
        """
        rows = np.arange(len(self))
        counts = self.counts[rows, unit]
        if (counts < 2).any():
            msg = f"only free units can be split, got units {unit[counts < 2].tolist()}"
            raise InputError(msg)
        codes = self.codes[rows, unit]
        values = self.codewords[codes]
        widest = np.ptp(values, axis=1).argmax(axis=1)
        values = np.take_along_axis(values, widest[:, None, None], axis=2)[..., 0]
        values[~self.listed[rows, unit]] = np.inf
        place = values.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
        low = place < (counts[:, None] + 1) // 2
        return self._kept(unit, low), self._kept(unit, ~low & np.isfinite(values))

    def _kept(self, unit: IntArray, keep: BoolArray) -> Self:
        """Return the box with some codes of one unit of each row, as `keep` (rows, m) says."""
        rows = np.arange(len(self))
        codes, counts = self.codes.copy(), self.counts.copy()
        counts[rows, unit] = keep.sum(axis=1)
        # those that are kept first, in their order
        order = np.argsort(~keep, axis=1, kind="stable")
        place = np.minimum(np.arange(keep.shape[1]), counts[rows, unit][:, None] - 1)
        kept = np.take_along_axis(codes[rows, unit], order, axis=1)
        codes[rows, unit] = np.take_along_axis(kept, place, axis=1)
        return replace(self, codes=codes, counts=counts)
