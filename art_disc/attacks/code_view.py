"""A classifier as an attack in code space sees it: from images of codewords to scores."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from art_disc.codebooks import Codebook
from art_disc.codebox import from_units, to_units
from art_disc.core.checks import Float32Array, IntArray
from art_disc.core.errors import InputError
from art_disc.defences import traits
from art_disc.defences.images import FunctionMap
from art_disc.defences.preprocessor import MapPreprocessor
from art_disc.estimators import as_classifier
from art_disc.estimators.contract import WhiteBoxClassifier, top_of


class _Passing(MapPreprocessor):
    """What takes the place of the codebook map, whose codewords it would give back."""

    def _make_map(self) -> nn.Module:
        return FunctionMap(lambda images: images, **self._layout())


def barred(classifier: WhiteBoxClassifier) -> str:
    """Return why a classifier cannot be attacked in code space, or an empty string."""
    return barred_behind(classifier.defences, is_random=classifier.is_random)


def barred_behind(defences: Sequence[Any], *, is_random: bool) -> str:
    """Return why what is behind these defences cannot be attacked so; see `barred`."""
    first = (*defences, None)[0]
    book = traits(first).codebook
    if first is None or not isinstance(book, Codebook) or not book.is_fitted:
        found = "no defence" if first is None else type(first).__name__
        return f"needs a codebook map such as PixelDiscretization as first defence, got {found}"
    if is_random:
        return "compares scores of code images, and this classifier draws; attack .frozen(seed)"
    return ""


@dataclass(frozen=True, slots=True)
class CodeView:
    """What is behind the codebook map of a classifier, and how images and units become another.

    Attributes:
        behind: From images of codewords, in the input range, to scores (n, classes), with graph.
        codebook: That of the first defence.
        shape: Of an image.
        device: Where `behind` is.
        batch_size: Code images that go through the network at once.
        channels_first: Layout of the images.
        upper: Top of the input range.
    """

    behind: Callable[[Tensor], Tensor]
    codebook: Codebook
    shape: tuple[int, ...]
    device: torch.device
    batch_size: int
    channels_first: bool = True
    upper: float = 1.0

    @classmethod
    def of(cls, estimator: Any, batch_size: int) -> Self:
        """Look behind a classifier of this package, or an ART classifier with its defences.

        Raises:
            InputError: It is neither of these, or cannot be attacked in code space.
        """
        classifier = as_classifier(estimator)
        if reason := barred(classifier):
            msg = f"CodeSpaceAttack {reason}"
            raise InputError(msg)
        first, upper = classifier.defences[0], top_of(classifier)
        layout: dict[str, Any] = {
            "channels_first": classifier.channels_first,
            "clip_values": (0.0, upper),
        }

        def without(defence: Any) -> Any:
            return _Passing(**layout) if defence is first else defence

        codebook: Any = traits(first).codebook
        behind = classifier.with_each_defence(without)
        return cls(
            behind.graph_logits,
            codebook,
            tuple(behind.input_shape),
            behind.device,
            batch_size,
            behind.channels_first,
            upper,
        )

    def units(self, x: Float32Array) -> Float32Array:
        """Split images (n, ...) into units (n, units, d), in whatever range they are."""
        return to_units(x, self.codebook, channels_first=self.channels_first)

    def images(self, units: Float32Array) -> Float32Array:
        """Join units to images; see `units`."""
        return from_units(units, self.shape, self.codebook, channels_first=self.channels_first)

    def code_images(self, codes: IntArray) -> Float32Array:
        """Return code images (n, units) as images of codewords in the input range."""
        return self.images((self.codebook.codewords_ * np.float32(self.upper))[codes])

    def scores(self, codes: IntArray) -> Tensor:
        """Return the scores of code images (n, units), shape (n, classes), on the CPU."""
        with torch.no_grad():
            return torch.cat([self.behind(x).cpu() for _, x in self._batches(codes)])

    def slopes(
        self, codes: IntArray, lead: Callable[[Tensor, slice], Tensor]
    ) -> tuple[Tensor, Float32Array]:
        """Return the scores of code images (n, units) and the gradients of a lead.

        `lead(scores, rows)` makes one number a row of the scores of some rows. The gradients, with
        respect to the units, have shape (n, units, d).
        """
        every, slopes = [], []
        for start, x in self._batches(codes):
            leaf = x.requires_grad_()
            scores = self.behind(leaf)
            rows = slice(start, start + len(x))
            (slope,) = torch.autograd.grad(lead(scores, rows).sum(), leaf)
            every.append(scores.detach().cpu())
            slopes.append(self.units(slope.numpy(force=True)))
        return torch.cat(every), np.concatenate(slopes)

    def _batches(self, codes: IntArray) -> Iterator[tuple[int, Tensor]]:
        """Yield the code images in the classifier's input range, with the place of their first."""
        for start in range(0, len(codes), self.batch_size):
            x = self.code_images(codes[start : start + self.batch_size])
            yield start, torch.from_numpy(x).to(self.device)
