"""Classifying all code images that a budget can lead to, and realising the bad ones."""

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from art_disc.certificates.jobs import Job, check_sendable, run_jobs
from art_disc.certificates.problem import Finding, Options, Problem
from art_disc.codebox import CodeBox, Reach, from_units, to_units
from art_disc.codebox.grid import nearest_on_grid
from art_disc.core.checks import BoolArray, Float32Array, Float64Array, IntArray

ONLY_TIES = "reachable only by a tie or rounding"
ONLY_FLOAT_ERROR = "margin within float error"
ONLY_BY_RULE = "no perturbed image found for what the paper's rule allows"
_FIRST_TRIES = 16
# code images of the images that one process classifies before it tells
_AT_ONCE = 1 << 18


def by_enumeration(problem: Problem, options: Options) -> dict[int, Finding]:
    """Certify an image if all its code images are classified as its label; a `Method`.

    Images with more than 2^max_free code images are left undecided.

    Source: Chen et al. 2018, section 4.3; the exact set of codes is ours.
    """
    check_sendable(problem.target.classifier, options.n_jobs)
    most = options.max_free + 1e-9
    large = [i for i in problem.to_decide if problem.log2[i] > most]
    undecided = Finding("undecided", f"more than 2^{options.max_free} code images")
    findings = dict.fromkeys(large, undecided)
    options.keep(findings)
    sizes = {i: 2 ** problem.log2[i] for i in problem.to_decide if i not in findings}
    jobs = (
        Job(batch, partial(_enumerated, problem.part(batch), options.batch_size), len(batch))
        for batch in _batches(sizes)
    )
    return findings | run_jobs(jobs, options, desc="images to enumerate", total=len(sizes))


def _batches(sizes: Mapping[int, float]) -> Iterator[tuple[int, ...]]:
    """Yield images in their order, as many at a time as have enough code images together."""
    batch: list[int] = []
    total = 0.0
    for index, size in sizes.items():
        batch.append(index)
        total += size
        if total >= _AT_ONCE:
            yield tuple(batch)
            batch, total = [], 0.0
    if batch:
        yield tuple(batch)


def _enumerated(problem: Problem, batch_size: int) -> dict[int, Finding]:
    """Classify all code images of all images of a problem."""
    problem.target.check_probe()
    enumerations = [Enumeration(problem, index) for index in problem.to_decide]
    _classify(enumerations, problem, batch_size)
    return {each.index: each.finding for each in enumerations}


class Enumeration:
    """The code images of one input of a problem, by number, and what is known of them so far."""

    def __init__(self, problem: Problem, index: int) -> None:
        self.problem, self.index = problem, index
        mask = problem.mask(index)
        # of each unit any reachable code; the units with several, and the codes of these
        self.codes = mask.argmax(axis=1)
        self.free = np.flatnonzero(mask.sum(axis=1) > 1)
        self.choices = [np.flatnonzero(mask[unit]) for unit in self.free]
        self.size = math.prod(len(codes) for codes in self.choices)
        self.done = 0
        # a perturbed input that is really misclassified; until then, why the input is undecided
        self.witness: Float32Array | None = None
        self.reason = ""

    @property
    def open(self) -> bool:
        """Whether there is something left to classify."""
        return self.witness is None and self.done < self.size

    @property
    def finding(self) -> Finding:
        """What is known once it is no longer open."""
        if self.witness is not None:
            return Finding("falsified", witness=self.witness, evaluated=self.done)
        verdict = "undecided" if self.reason else "certified"
        return Finding(verdict, self.reason, evaluated=self.done)

    def codes_between(self, start: int, stop: int) -> IntArray:
        """Codes of the free units in code images `start` to `stop`, in mixed radix."""
        rest = np.arange(start, stop)
        columns = []
        for codes in self.choices:
            rest, digit = np.divmod(rest, len(codes))
            columns.append(codes[digit])
        return np.stack(columns, axis=1) if columns else np.empty((len(rest), 0), np.int64)

    def code_images(self, codes: IntArray) -> Float32Array:
        """Images of codewords with these codes of the free units, shape (rows, free units)."""
        full = np.repeat(self.codes[None], len(codes), axis=0)
        full[:, self.free] = codes
        target = self.problem.target
        return target.images(target.codebook.codewords_[full], self.problem.images.shape[1:])

    def judge(self, codes: IntArray, gaps: Float64Array) -> None:
        """Look for a witness among the code images that are not classified with a clear margin."""
        bad = np.flatnonzero(~(gaps > 1))
        if not len(bad):
            return
        ordered = bad[np.argsort(gaps[bad])]
        for rows in (ordered[:_FIRST_TRIES], ordered[_FIRST_TRIES:]):
            if len(rows) and self.witness is None:
                made = self.realised(codes[rows])
                self.witness = self.problem.witness_among(self.index, made)
        if (~(gaps[bad] >= -1)).any():
            self.reason = ONLY_TIES if self.problem.threat.rule == "exact" else ONLY_BY_RULE
        else:
            self.reason = self.reason or ONLY_FLOAT_ERROR

    def realised(self, codes: IntArray) -> Float32Array:
        """Return perturbed inputs of codes (rows, free units), for the rows that have any."""
        target = self.problem.target
        image = self.problem.images[self.index][None]
        layout = {"channels_first": target.channels_first}
        moved = image
        if self.problem.threat.domain == "8bit":
            levels = nearest_on_grid(target.units(image), self.problem.threat.eps)
            moved = target.images(levels, image.shape[1:])
        # each unit with each of its codes once
        columns = np.broadcast_to(np.arange(len(self.free)), codes.shape)
        asked = np.stack([columns.reshape(-1), codes.reshape(-1)])
        (unit, code), which = np.unique(asked, axis=1, return_inverse=True)
        points, found = self._nearest(unit, code)
        which = which.reshape(codes.shape)
        units = np.repeat(to_units(moved, target.codebook, **layout), len(codes), axis=0)
        units[:, self.free] = points[which]
        real = found[which].all(axis=1)
        return from_units(units[real], image.shape[1:], target.codebook, **layout)

    def certain(self) -> list[IntArray]:
        """Return of each free unit the codes for which there is a perturbed value."""
        unit = np.repeat(np.arange(len(self.free)), [len(codes) for codes in self.choices])
        code = np.concatenate([np.empty(0, np.int64), *self.choices])
        found = self._nearest(unit, code)[1]
        return [code[found & (unit == place)] for place in range(len(self.free))]

    def _nearest(self, unit: IntArray, code: IntArray) -> tuple[Float32Array, BoolArray]:
        """Return values (m, d) of free units (m,) that have codes (m,), and which there are."""
        target = self.problem.target
        image = self.problem.images[self.index][None]
        layout = {"channels_first": target.channels_first}
        pixels = to_units(image, target.codebook, **layout)[0, self.free]
        may = CodeBox.of_mask(
            self.problem.mask(self.index)[None, self.free], target.codebook.codewords_
        )
        reach = Reach.of(
            pixels, may.codes[0], target.codebook, self.problem.threat, upper=target.upper
        )
        return reach.take(unit).nearest(code)


def _classify(enumerations: Sequence[Enumeration], problem: Problem, batch_size: int) -> None:
    """Classify all code images in batches that may hold those of several inputs.

    An enumeration ends with its first witness.
    """
    waiting = deque(enumerations)
    while waiting:
        batch = _take(waiting, batch_size)
        images = np.concatenate([each.code_images(codes) for each, codes in batch])
        sizes = [len(codes) for _, codes in batch]
        owners = np.repeat([each.index for each, _ in batch], sizes)
        scores = problem.target.scores(images, batch_size)
        gaps = problem.target.margins(scores, problem.labels[owners])
        parts = np.split(gaps, np.cumsum(sizes)[:-1])
        for (each, codes), part in zip(batch, parts, strict=True):
            each.done += len(codes)
            each.judge(codes, part)
        if batch[-1][0].open:
            waiting.appendleft(batch[-1][0])


def _take(waiting: deque[Enumeration], rows: int) -> list[tuple[Enumeration, IntArray]]:
    """Take until there are `rows` code images; only the last input may be unfinished."""
    batch, room = [], rows
    while waiting and room:
        each = waiting.popleft()
        stop = min(each.size, each.done + room)
        batch.append((each, each.codes_between(each.done, stop)))
        room -= stop - each.done
    return batch
