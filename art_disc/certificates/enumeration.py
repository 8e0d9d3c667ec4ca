"""Classifying all code images that a budget can lead to, and realising the bad ones."""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from art_disc.certificates.target import Target, margins
from art_disc.codebox.boxes import BoolArray, IntArray
from art_disc.codebox.points import point_for
from art_disc.core.checks import Float32Array

# what the evaluation forgives, relative to the input range
FORGIVEN = 1e-6
ONLY_TIES = "reachable only by a tie or rounding"
ONLY_FLOAT_ERROR = "margin within float error"
ONLY_BY_RULE = "no perturbed image found for what the paper's rule allows"
_FIRST_TRIES = 16


@dataclass(frozen=True, slots=True)
class Threat:
    """What the certificate holds against: `eps` and `domain` as in `certify`, on [0, 1]."""

    eps: float
    domain: str
    rule: str


@dataclass(slots=True)
class Job:
    """The code images of one input.

    Attributes:
        index: Position of the input in the batch.
        x: The input, in the classifier's range.
        label: What every code image should be classified as.
        codes: Code of each unit, any reachable one, shape (units,).
        free: Units with several codes, shape (n,).
        options: The codes of each free unit.
        size: Number of code images.
        done: Code images classified so far.
        witness: A perturbed input that is really misclassified, once one was found.
        reason: Why it is undecided, as long as no witness is found.
    """

    index: int
    x: Float32Array
    label: int
    codes: IntArray
    free: IntArray
    options: list[IntArray]
    size: int
    done: int = 0
    witness: Float32Array | None = None
    reason: str = ""
    points: dict[tuple[int, int], Float32Array | None] = field(default_factory=dict)

    @classmethod
    def of(cls, index: int, x: Float32Array, label: int, mask: BoolArray) -> "Job":
        """Make the job of one input from its mask (units, k)."""
        free = np.flatnonzero(mask.sum(axis=1) > 1)
        options = [np.flatnonzero(mask[unit]) for unit in free]
        size = math.prod(len(option) for option in options)
        return cls(index, x, label, mask.argmax(axis=1), free, options, size)

    @property
    def open(self) -> bool:
        """Whether there is something left to classify."""
        return self.witness is None and self.done < self.size

    def choices(self, start: int, stop: int) -> IntArray:
        """Codes of the free units in code images `start` to `stop`, in mixed radix."""
        rest = np.arange(start, stop)
        columns = []
        for option in self.options:
            rest, digit = np.divmod(rest, len(option))
            columns.append(option[digit])
        return np.stack(columns, axis=1) if columns else np.empty((len(rest), 0), np.int64)


def run_jobs(
    jobs: Sequence[Job],
    target: Target,
    threat: Threat,
    *,
    batch_size: int,
    step: Callable[[int], object],
) -> None:
    """Classify the code images of all jobs in batches that may hold several inputs.

    A job ends with its first witness. `step` is told how much of the work is over.
    """
    waiting = deque(jobs)
    while waiting:
        batch = _take(waiting, batch_size)
        images = np.concatenate([_code_images(job, codes, target) for job, codes in batch])
        labels = np.repeat([job.label for job, _ in batch], [len(codes) for _, codes in batch])
        gaps = margins(target.scores(images, batch_size), labels)
        start = 0
        for job, codes in batch:
            part = gaps[start : start + len(codes)]
            start += len(codes)
            job.done += len(codes)
            _judge(job, codes, part, target, threat)
            step(len(codes) if job.witness is None else len(codes) + job.size - job.done)
        if batch[-1][0].open:
            waiting.appendleft(batch[-1][0])


def _take(waiting: deque[Job], rows: int) -> list[tuple[Job, IntArray]]:
    """Take jobs until there are `rows` code images; only the last one may be unfinished."""
    batch, room = [], rows
    while waiting and room:
        job = waiting.popleft()
        stop = min(job.size, job.done + room)
        batch.append((job, job.choices(job.done, stop)))
        room -= stop - job.done
    return batch


def _code_images(job: Job, codes: IntArray, target: Target) -> Float32Array:
    full = np.repeat(job.codes[None], len(codes), axis=0)
    full[:, job.free] = codes
    return target.images(target.codebook.codewords_[full], job.x.shape)


def _judge(
    job: Job, codes: IntArray, gaps: NDArray[np.float64], target: Target, threat: Threat
) -> None:
    """Look for a witness among the code images that are not classified with a clear margin."""
    bad = np.flatnonzero(~(gaps > 1))
    if not len(bad):
        return
    ordered = bad[np.argsort(gaps[bad])]
    for rows in (ordered[:_FIRST_TRIES], ordered[_FIRST_TRIES:]):
        if len(rows) and job.witness is None:
            job.witness = find_witness(job, codes[rows], target, threat)
    if (~(gaps[bad] >= -1)).any():
        job.reason = ONLY_TIES if threat.rule == "exact" else ONLY_BY_RULE
    else:
        job.reason = job.reason or ONLY_FLOAT_ERROR


def find_witness(job: Job, codes: IntArray, target: Target, threat: Threat) -> Float32Array | None:
    """Return a perturbed input, within the budget, that the classifier really gets wrong.

    Args:
        job: The input.
        codes: Codes of the free units in the code images to realise, shape (rows, free units).
        target: The classifier.
        threat: Budget and domain.
    """
    units = _realise(job, codes, target, threat)
    if not len(units):
        return None
    images = target.images(units, job.x.shape)
    change = np.abs(images.astype(np.float64) - job.x).reshape(len(images), -1).max(axis=1)
    legal = change <= (threat.eps + FORGIVEN) * target.upper
    legal &= ((images >= 0) & (images <= target.upper)).reshape(len(images), -1).all(axis=1)
    if not legal.any():
        return None
    images = images[legal]
    gaps = margins(target.scores(images, len(images)), np.full(len(images), job.label))
    # clearly, so that it is wrong in a batch of another size too
    return images[gaps.argmin()].copy() if gaps.min() < -1 else None


def _realise(job: Job, codes: IntArray, target: Target, threat: Threat) -> Float32Array:
    """Units of the perturbed inputs for those rows of `codes` that have one, (rows, units, d)."""
    base = target.units(job.x[None])[0]
    if threat.domain == "8bit":
        from art_disc.codebox.grid import as_pixels, grid_range

        low, high = grid_range(base, threat.eps)
        nearest = np.rint(255 * base.astype(np.float64)).astype(np.int64)
        base = as_pixels(np.clip(nearest, low, high))
    units = np.repeat(base[None], len(codes), axis=0)
    real = np.ones(len(codes), dtype=bool)
    for column, unit in enumerate(job.free):
        for code in np.unique(codes[:, column]):
            point = _point(job, int(unit), int(code), target, threat)
            rows = codes[:, column] == code
            if point is None:
                real &= ~rows
            else:
                units[rows, unit] = point
    return units[real]


def _point(job: Job, unit: int, code: int, target: Target, threat: Threat) -> Float32Array | None:
    if (unit, code) not in job.points:
        pixel = target.units(job.x[None])[0, unit]
        job.points[unit, code] = point_for(pixel, code, target.codebook, threat.eps, threat.domain)
    return job.points[unit, code]
