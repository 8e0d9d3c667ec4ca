"""Boxes of an LQ-VAE's bits, as code boxes of a classifier of images of the codewords 0 and 1."""

from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from torch import Tensor, nn

from art_disc.certificates.measured import check_steady
from art_disc.certificates.problem import Finding
from art_disc.certificates.run import Task
from art_disc.certificates.target import Target
from art_disc.codebooks import Codebook
from art_disc.core.checks import BoolArray, Float32Array, IntArray
from art_disc.defences import PixelDiscretization
from art_disc.defences.lqvae_map import MeanMap
from art_disc.estimators import DefendedClassifier, DefendedModule, build_classifier
from art_disc.estimators.module import BehindMaps
from art_disc.estimators.steadiness import steadiness

# a free bit is shown close to the border between 0 and 1, which the budget crosses; a fixed one is
# 0 or 1, from where it does not
_BORDER, _OFF, _EPS = 0.5, 0.1, 0.25
_NOT_MET = (
    "a code that may be reached is not classified as the label, and no image within the budget was "
    "found to be misclassified"
)


class BehindCodes(nn.Module):
    """What a classifier makes of images of bits (n, 1, 1, latent), 0 for -1 and 1 for +1.

    Args:
        step: The map that a code is decoded by; shared, not copied.
        module: The classifier's; shared, not copied.
    """

    def __init__(self, step: MeanMap, module: DefendedModule) -> None:
        super().__init__()
        self.step, self.behind = step, BehindMaps(module)

    def forward(self, bits: Tensor) -> Any:
        """Return the classifier's logits of the images that the codes are decoded to."""
        return self.behind(self.step.of_bits(bits))


@dataclass(eq=False)
class BitBoxes:
    """Boxes of bits behind a classifier's H, and what has been found of them.

    Attributes:
        classifier: Of images of bits, which stands behind H.
        bits: Of all codes of a box: -1, +1, or 0 where both may be, (n, latent).
        shown: An image of bits in each box, (n, 1, 1, latent); a wrong one where one was found.
        labels: (n,).
        found: Of boxes by number; those with a wrong code are undecided.
        noise: Largest float noise measured.
    """

    classifier: DefendedClassifier
    bits: IntArray
    shown: Float32Array
    labels: IntArray
    found: dict[int, Finding] = field(default_factory=dict)
    noise: float = 0.0

    @classmethod
    def of(
        cls, classifier: DefendedClassifier, images: Float32Array, labels: IntArray, bits: IntArray
    ) -> Self:
        """Return the boxes of images behind a classifier's one defence, an `LQVAEFilter`.

        Each is shown as the code of the image itself, where both bits are possible.
        """
        purifier = classifier.defences[0]
        behind = build_classifier(
            BehindCodes(purifier.map, classifier.model),
            input_shape=(1, 1, bits.shape[1]),
            nb_classes=classifier.nb_classes,
            defences=[PixelDiscretization(Codebook([0.0, 1.0]))],
        )
        own = purifier.codes(images)
        # what is excluded is no bit of the image, or it would not be excluded
        shown = np.where(bits == 0, _BORDER + _OFF * own, (bits + 1) / 2)
        return cls(behind, bits, shown.astype(np.float32)[:, None, None], labels)

    @property
    def codes(self) -> Float32Array:
        """The codes as which images of bits are read, -1 and +1, (n, latent)."""
        return np.where(self.shown[:, 0, 0] > _BORDER, 1, -1).astype(np.float32)

    @property
    def free(self) -> IntArray:
        """Bits of each box that may be both, (n,)."""
        return np.asarray((self.bits == 0).sum(axis=1))

    def decide(
        self, chosen: BoolArray, method: str, *, steady: bool = False, **options: Any
    ) -> None:
        """Decide boxes by a method; `steady`: every code that is classified is measured."""
        rows = np.flatnonzero(chosen)
        if not len(rows):
            return
        given = self.shown[rows], self.labels[rows]
        task = Task.of(self.classifier, *given, eps=[_EPS], method=method, **options)
        if steady:
            task = replace(task, target=_steady(task, self.bits[rows]))
        self.noise = max(self.noise, task.target.noise)
        certificate = task.certificate(_EPS)
        record = certificate.record
        said = zip(rows.tolist(), record.verdicts, record.reasons, record.evaluated, strict=True)
        for i, verdict, reason, count in said:
            sure = verdict == "certified"
            why = _NOT_MET if verdict == "falsified" else reason
            self.found[i] = Finding("certified" if sure else "undecided", why, evaluated=count)
        for place, image in certificate.witnesses.items():
            self.shown[rows[place]] = image


def _steady(task: Task, bits: IntArray) -> Target:
    """Return the task's target with the float noise of every code that is to be classified.

    Decoder and network may differ from batch to batch at any one of them.
    """
    few = bits[(bits == 0).sum(axis=1) <= task.options.max_free]
    if not len(few):
        return task.target
    codes = np.unique(np.concatenate([_choices(row) for row in few]), axis=0)
    found = steadiness(
        task.target.scores, codes[:, None, None], upper=1.0, rows=task.options.batch_size
    )
    check_steady(found)
    return replace(task.target, noise=max(task.target.noise, found.noise))


def _choices(row: IntArray) -> Float32Array:
    """Return every code (m, latent), of 0 and 1, of bits of which those at 0 may be either."""
    free = np.flatnonzero(row == 0)
    codes = np.repeat((row[None] > 0).astype(np.float32), 2 ** len(free), axis=0)
    codes[:, free] = np.arange(len(codes))[:, None] >> np.arange(len(free)) & 1
    return codes
