"""What a certificate method is given, already checked, and what it answers."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from art_disc.certificates.spend import Spend
from art_disc.certificates.target import Target
from art_disc.codebox import Threat, log2_images, masks_of
from art_disc.codebox.grid import is_on_grid
from art_disc.core.budget import BUDGET_TOLERANCE
from art_disc.core.checks import BoolArray, Float32Array, Float64Array, IntArray, check_count
from art_disc.core.errors import CertificateError, InputError
from art_disc.core.processes import job_count
from art_disc.estimators.steadiness import FACTOR, SAME

EXACT = (
    "sums of the rounded network are exact in float64 whatever their order, and rounding of linear "
    "bounds is charged to them"
)
WHOLE = (
    "all sums of the network are of whole numbers that float64 adds exactly, and of equal logits "
    "that of the lowest class wins, as in what predicts"
)
# beyond this no enumeration ends, and code images are numbered below 2^63
_MOST_FREE = 40
# why an image is undecided that an attack left, until it is searched
UNSEARCHED = "attacked in vain, not searched yet"


@dataclass(frozen=True, slots=True)
class Options:
    """How much work a method may do.

    Attributes:
        max_free: Images with up to 2^max_free code images are looked at, 0 to 40.
        batch_size: Images classified at once.
        verbose: Show a progress bar.
        spend: What a search may spend on each image.
        n_jobs: Processes, in joblib's meaning: -1 is one a core.
        keep: Called with findings as soon as they are known, those that are `UNSEARCHED` too.
        attacked: Images that an attack has left already; they need none again.

    Raises:
        InputError: A number outside its range.
    """

    max_free: int
    batch_size: int
    verbose: bool
    spend: Spend = field(default_factory=Spend)
    n_jobs: int = 1
    keep: Callable[[Mapping[int, "Finding"]], Any] = lambda _: None
    attacked: frozenset[int] = frozenset()

    @property
    def settings(self) -> dict[str, int | float]:
        """What a record says of them."""
        spend = {f"spend_{name}": value for name, value in asdict(self.spend).items()}
        return {"max_free": self.max_free, "batch_size": self.batch_size, **spend}

    def __post_init__(self) -> None:
        if check_count(self.max_free, "max_free", least=0) > _MOST_FREE:
            msg = f"max_free must lie in 0..{_MOST_FREE}, got {self.max_free}"
            raise InputError(msg)
        job_count(self.n_jobs)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a method found out about one image.

    Attributes:
        verdict: `certified`, `falsified` or `undecided`.
        reason: Why it is undecided; empty otherwise.
        witness: Where falsified, a changed image that `Problem.witness_among` returned.
        evaluated: Code images classified on the way; those of an attack are not counted.
    """

    verdict: str
    reason: str = ""
    witness: Float32Array | None = None
    evaluated: int = 0


@dataclass(frozen=True, slots=True)
class Problem:
    """Images whose verdicts are wanted, and the codewords that each can be made to show.

    Attributes:
        target: The classifier, its codebook and its range.
        threat: What may be done to an image.
        images: Shape (n, ...), in the classifier's layout and input range.
        labels: What each should be classified as, shape (n,).
        free: Units of each image that reach several codewords, shape (n,).
        log2: log2 of the number of its code images, shape (n,).
        packed: Reachable codes of each image that is not clearly wrong, as bits: k bits a unit.
        settled: What is known of such images already.
    """

    target: Target
    threat: Threat
    images: Float32Array
    labels: IntArray
    free: IntArray
    log2: Float64Array
    packed: Mapping[int, NDArray[np.uint8]]
    settled: Mapping[int, Finding] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        target: Target,
        threat: Threat,
        images: Float32Array,
        labels: IntArray,
        scores: Float64Array,
    ) -> "Problem":
        """Find out what each image can reach; those whose label clearly loses need no method.

        Scores are those of the images themselves, shape (n, classes).

        Raises:
            CertificateError: The threat's rule is `paper_float`, which is not sound, or its domain
                is `8bit` and a pixel has no level within the budget.
        """
        if threat.rule == "paper_float":
            msg = "rule='paper_float' misses codewords at ties and proves nothing; use 'exact'"
            raise CertificateError(msg)
        lost = target.margins(scores, labels) < -1
        free, log2, packed = [], [], {}
        numbers = itertools.count()
        for masks in masks_of(target.units(images), target.codebook, threat):
            free.append((masks.sum(axis=-1) > 1).sum(axis=-1))
            log2.append(log2_images(masks))
            for mask, index in zip(masks, numbers, strict=False):
                if not lost[index]:
                    packed[index] = np.packbits(mask, axis=-1)
        return cls(
            target, threat, images, labels, np.concatenate(free), np.concatenate(log2), packed
        )

    @property
    def to_decide(self) -> tuple[int, ...]:
        """Images that a method has to answer for: neither settled nor clearly wrong as they are."""
        return tuple(index for index in self.packed if index not in self.settled)

    def part(self, images: Sequence[int]) -> "Problem":
        """Return the problem of some images to decide, which are numbered by their places here."""
        chosen = list(images)
        return replace(
            self,
            images=self.images[chosen],
            labels=self.labels[chosen],
            free=self.free[chosen],
            log2=self.log2[chosen],
            packed={place: self.packed[index] for place, index in enumerate(chosen)},
            settled={},
        )

    def mask(self, index: int) -> BoolArray:
        """Codewords that each unit of one image to decide can reach, shape (units, k)."""
        codes = self.target.codebook.n_codes_
        return np.unpackbits(self.packed[index], axis=-1, count=codes).astype(np.bool_)

    def witness_among(self, index: int, candidates: Float32Array) -> Float32Array | None:
        """Return the changed image (of m) that the classifier gets wrong most clearly, or None."""
        legal = candidates[self._is_legal(index, candidates)]
        if not len(legal):
            return None
        scores = self.target.scores(legal, len(legal))
        gaps = self.target.margins(scores, np.full(len(legal), self.labels[index]))
        # clearly, so that it is wrong in a batch of another size too
        return legal[gaps.argmin()].copy() if gaps.min() < -1 else None

    def _is_legal(self, index: int, candidates: Float32Array) -> BoolArray:
        """Whether each candidate lies within the budget and the domain."""
        upper, clean = self.target.upper, self.images[index]
        change = np.abs(candidates.astype(np.float64) - clean)
        fits = (change <= (self.threat.eps + BUDGET_TOLERANCE) * upper) & (candidates >= 0)
        fits &= candidates <= upper
        if self.threat.domain == "8bit":
            fits &= is_on_grid(candidates / np.float32(upper))
        return np.asarray(fits.all(axis=(1, 2, 3)))

    def findings(self, decided: Mapping[int, Finding]) -> tuple[Finding, ...]:
        """Join findings for all of `to_decide` with what is settled or clearly wrong as it is.

        Witnesses are tried once more, settled ones too.

        Raises:
            CertificateError: An image without an answer, an undecided one without a reason, or a
                falsified one without a witness within the budget that is misclassified.
        """
        if set(decided) != set(self.to_decide):
            msg = f"a method must answer for images {self.to_decide}, got {tuple(decided)}"
            raise CertificateError(msg)
        decided = {**self.settled, **decided}
        for index, found in decided.items():
            if not self.is_sound(index, found):
                msg = (
                    f"image {index}: got {found.verdict!r} with reason {found.reason!r}; undecided "
                    "needs a reason, falsified a misclassified witness within eps, certified none"
                )
                raise CertificateError(msg)
        return tuple(
            decided[i] if i in decided else Finding("falsified", witness=image.copy())
            for i, image in enumerate(self.images)
        )

    def is_sound(self, index: int, found: Finding) -> bool:
        """Whether a finding is whole, and its witness within the budget and misclassified."""
        if found.witness is None:
            return found.verdict == ("undecided" if found.reason else "certified")
        witness = found.witness[None]
        if found.verdict != "falsified" or not self._is_legal(index, witness)[0]:
            return False
        return bool(self.target.scores(witness, 1).argmax() != self.labels[index])

    @property
    def settings(self) -> dict[str, int | str]:
        """What a record says of it beside the budget."""
        return {
            "arithmetic": self.target.arithmetic,
            "rule": self.threat.rule,
            "domain": self.threat.domain,
            "codewords": self.target.codebook.n_codes_,
            "metric": self.target.codebook.nearest_metric,
        }

    @property
    def assumes(self) -> str:
        """What the verdicts hold for, in words."""
        top = f"{self.target.upper:g}"
        if self.threat.domain == "8bit":
            values = f"images on the 8-bit grid, v/255 of [0, {top}] as the nearest float32"
            ties = "ties between codewords go as the codebook breaks them"
        else:
            values = f"real images in [0, {top}]"
            ties = "ties between codewords count for both sides"
        if self.threat.rule == "paper":
            ties = "a superset of the reachable codewords (Chen et al. 2018, eq. 2), ties included"
        wins = (
            f"the label must win by {self.target.tolerance:.2g} of the largest score (at least 1), "
            f"{FACTOR:g} times what float sums were seen to differ by, at least {SAME:g}, and no "
            "proof"
        )
        if self.target.is_exact:
            wins = f"the label must win; {WHOLE if self.target.rounded is None else EXACT}"
        return (
            f"l_inf changes of at most eps a value, up to {BUDGET_TOLERANCE:g} of the range, to "
            f"{values}; {ties}; budgets are widened against rounding; {wins}; the classifier is "
            "deterministic and sees nothing but the codewords of one image at a time, as far as "
            "was measured: each image was scored again beside its copies and others, alone and "
            "shuffled"
        )


class Method(Protocol):
    """A way to decide images: complete where it leaves none undecided for want of a proof."""

    def __call__(self, problem: Problem, options: Options, /) -> Mapping[int, Finding]:
        """Return a finding for each image in `problem.to_decide`."""
