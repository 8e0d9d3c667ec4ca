"""The certificate method `solver`."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import numpy as np
import torch

from art_disc.certificates.complete.attacked import broken
from art_disc.certificates.enumeration import ONLY_BY_RULE, ONLY_TIES, Enumeration
from art_disc.certificates.jobs import Job, check_sendable, in_batches, run_jobs
from art_disc.certificates.problem import Finding, Options, Problem
from art_disc.certificates.solver.programme import Answer, Choices, Programme
from art_disc.certificates.solver.rows import Ends, Rows
from art_disc.certificates.solver.twin import check_solvable, temperature
from art_disc.certificates.spend import Spend
from art_disc.codebox import CodeBox, to_units
from art_disc.core.checks import Float32Array, IntArray
from art_disc.core.errors import CertificateError
from art_disc.networks.integer import IntegerNetwork

# images that are solved by one process before it tells, and that are tried beside what predicts
_SOLVED, _TRIED = 4, 32
# numbers of the sums of the images bounded at once
_MOST_VALUES = 1 << 22


def by_solver(problem: Problem, options: Options, /) -> dict[int, Finding]:
    """Bound, attack, then solve what is left as a programme of whole numbers; a `Method`.

    What intervals leave is attacked by `CodeSpaceAttack`, and what that leaves is given to CP-SAT,
    for `options.spend.seconds` each: it proves that no code image in reach is misclassified, or
    finds one. Attack and solver go over images in `options.n_jobs` processes.

    Source: reified constraints as Jia and Rinard 2020, section 3; the domain of codes is ours.

    Raises:
        CertificateError: The classifier does not predict by a network of whole numbers, or not what
            its numbers say.
        MissingExtraError: OR-tools is not installed.
    """
    check_sendable(problem.target.classifier, options.n_jobs)
    stage = Stage.of(problem)
    stage.check()
    left = stage.unproved()
    proved = sorted(set(problem.to_decide) - set(left))
    found = dict.fromkeys(proved, Finding("certified"))
    options.keep(found)
    found |= broken(problem, left, options)
    rest = [index for index in left if index not in found]
    jobs = (
        Job(batch, partial(_solved, stage.part(batch), options.spend), len(batch))
        for batch in in_batches(rest, _SOLVED)
    )
    return found | run_jobs(jobs, options, desc="images to solve", total=len(rest))


def _solved(stage: "Stage", spend: Spend) -> dict[int, Finding]:
    return {index: stage.solved(index, spend.seconds) for index in stage.problem.to_decide}


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """The images of a problem and the network of whole numbers that they are decided by.

    Attributes:
        problem: The problem.
        rows: The network.
        levels: Of the codewords, whole numbers (k, d).
        places: Where the values of each unit go in a flattened image, (units, d).
    """

    problem: Problem
    rows: Rows
    levels: Float32Array
    places: IntArray

    @classmethod
    def of(cls, problem: Problem) -> Self:
        """Take the numbers of the network that predicts."""
        target, shape = problem.target, problem.images.shape[1:]
        network: IntegerNetwork = check_solvable(target, shape)
        words = target.codebook.codewords_ * np.float32(target.upper)
        # below 2^24, which float32 holds
        levels = network.levels(torch.from_numpy(words)).to(torch.float32).numpy(force=True)
        numbers = np.arange(np.prod(shape), dtype=np.float32).reshape(1, *shape)
        layout = {"channels_first": target.channels_first}
        places = to_units(numbers, target.codebook, **layout)[0].astype(np.int64)
        return cls(problem, Rows.of(network), levels, places)

    def part(self, images: Sequence[int]) -> "Stage":
        """Return the stage of some images, numbered by their places here."""
        return replace(self, problem=self.problem.part(images))

    def check(self) -> None:
        """Refuse a classifier that does not predict what the numbers of its network say.

        Raises:
            CertificateError: A score of a code image differs, if by the last bit alone.
        """
        target, shape = self.problem.target, self.problem.images.shape[1:]
        images = list(self.problem.packed)[:_TRIED]
        if not images:
            return
        boxes, drawn = self._boxes(images), np.random.default_rng(0)
        places = drawn.random((len(images), *boxes.counts.shape[1:], 1)) * boxes.counts[..., None]
        mixed = np.take_along_axis(boxes.codes, places.astype(np.int64), axis=2)[..., 0]
        codes = np.concatenate([boxes.codes[..., 0], boxes.codes[..., -1], mixed])
        logits = self.rows.logits(self._flat(self.levels[codes]).astype(np.int64))
        expected = check_solvable(target, shape).scored(torch.from_numpy(logits))
        expected = expected / temperature(target.classifier)
        x = target.images(target.codebook.codewords_[codes], shape)
        if not np.array_equal(expected.to(torch.float32).numpy(), target.scores(x, len(x))):
            msg = (
                "the classifier's predictions are not those of its network of whole numbers, so "
                "what is decided of one says nothing of the other"
            )
            raise CertificateError(msg)

    def unproved(self) -> list[int]:
        """Return the images that intervals do not prove."""
        codes = len(self.places) * len(self.levels)
        widest = max([codes, *(layer.matrix.shape[0] for layer in self.rows.hidden)])
        left = []
        for batch in in_batches(self.problem.to_decide, max(1, _MOST_VALUES // widest)):
            _, (low, high) = self.rows.reached(self._ends(self._boxes(batch)))
            for place, index in enumerate(batch):
                lead = self.rows.lead(self.problem.labels[index], (low[[place]], high[[place]]))
                if not (lead >= 0).all():
                    left.append(index)
        return left

    def solved(self, index: int, seconds: float) -> Finding:
        """Decide one image by the solver, or spend so many seconds."""
        stop = time.perf_counter() + seconds
        found = Enumeration(self.problem, index)
        answer = self._answer(found, found.choices, stop)
        spent = f"{seconds:g} seconds spent"
        if answer.codes is None:
            return Finding("certified") if answer.known else Finding("undecided", spent)
        witness = self._witness(found, answer.codes)
        if witness is None:
            # without the codes that only a tie, rounding or the rule counts as reached
            reason = ONLY_TIES if self.problem.threat.rule == "exact" else ONLY_BY_RULE
            answer = self._answer(found, found.certain(), stop)
            if answer.codes is not None:
                witness = self._witness(found, answer.codes)
            if witness is None:
                return Finding("undecided", reason if answer.known else f"{reason}; {spent}")
        return Finding("falsified", witness=witness, evaluated=1)

    def _answer(self, found: Enumeration, choices: Sequence[IntArray], stop: float) -> Answer:
        """Ask whether the label loses on a code image of these choices of the free units."""
        counts = np.array([len(codes) for codes in choices], dtype=np.int64)
        if not counts.all():
            return Answer(known=True)
        codes = found.codes.copy()
        codes[found.free] = [own[0] for own in choices]
        mask = np.zeros((1, len(codes), len(self.levels)), dtype=bool)
        mask[0, np.arange(len(codes)), codes] = True
        for unit, own in zip(found.free, choices, strict=True):
            mask[0, unit, own] = True
        reached, ends = self.rows.reached(self._ends(CodeBox.of_mask(mask, self.levels)))
        label = int(self.problem.labels[found.index])
        rivals = np.flatnonzero(~(self.rows.lead(label, ends)[0] >= 0)).tolist()
        if not rivals:
            return Answer(known=True)
        several = np.flatnonzero(counts > 1).tolist()
        if not several:
            # of one code image the bounds are its logits
            return Answer(known=True, codes=codes[found.free])
        programme = Programme(
            self.rows,
            label,
            Choices(
                self._flat(self.levels[codes][None])[0].astype(np.int64),
                self.places[found.free[several]],
                [self.levels[choices[place]].astype(np.int64) for place in several],
            ),
            reached,
            rivals,
        )
        answer = programme.solve(stop - time.perf_counter())
        if answer.codes is None:
            return answer
        codes = codes[found.free]
        codes[several] = [choices[place][c] for place, c in zip(several, answer.codes, strict=True)]
        return Answer(known=True, codes=codes)

    def _witness(self, found: Enumeration, codes: IntArray) -> Float32Array | None:
        """Return a perturbed image of codes (free units,), if there is one.

        Raises:
            CertificateError: The classifier gives the code image its label.
        """
        target, label = self.problem.target, self.problem.labels[found.index]
        if target.scores(found.code_images(codes[None]), 1).argmax() == label:
            msg = f"image {found.index}: the solver's code image is classified as its label"
            raise CertificateError(msg)
        return self.problem.witness_among(found.index, found.realised(codes[None]))

    def _boxes(self, images: Sequence[int]) -> CodeBox:
        """Return the code boxes of images, a row each, in levels."""
        return CodeBox.of_mask(np.stack([self.problem.mask(i) for i in images]), self.levels)

    def _ends(self, boxes: CodeBox) -> Ends:
        low, high = (self._flat(end).astype(np.float64) for end in boxes.hull())
        return low, high

    def _flat(self, units: Float32Array) -> Float32Array:
        """Return flattened images (n, inputs) of units (n, units, d)."""
        flat = np.empty((len(units), self.places.size), dtype=np.float32)
        flat[:, self.places] = units
        return flat
