"""A classifier whose defence draws: the draws, their mean and its gradient inside the module."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Self

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from art_disc.core.checks import Float32Array, check_count
from art_disc.core.seeds import derive_seed
from art_disc.defences.draws import RandomMap
from art_disc.defences.preprocessor import MapPreprocessor, is_ours
from art_disc.defences.traits import traits
from art_disc.estimators.classifier import DefendedClassifier
from art_disc.estimators.known_loss import KnownLoss
from art_disc.estimators.mean_loss import MeanLoss, own_loss
from art_disc.estimators.memory import bytes_for_backward
from art_disc.estimators.module import DefendedModule
from art_disc.estimators.repeats import each_once
from art_disc.estimators.shapes import encoded_shape
from art_disc.estimators.voting import Voting

# on a CPU smaller parts read the network's weights too often, larger ones leave the caches
_CPU_BYTES = 64 << 20
_LEAST_ROWS = 32


class RandomizedModule(DefendedModule):
    """The mean over draws of network((defences(x) - mean) / std), one row an image.

    Under grad it makes `eot_samples` draws of every image, otherwise `vote_samples`, whether it
    is in train or in eval mode. What is drawn depends on the seed and the batch alone, not on the
    parts in which the network computes it.

    Args:
        base: The network, which returns logits; shared, not copied.
        defences: Fitted defences, at least one of them a `RandomPreprocessor`.
        voting: How many draws, and what is made of them.
        **options: Keyword options of `DefendedModule`.
    """

    def __init__(
        self,
        base: nn.Module,
        defences: Sequence[MapPreprocessor] = (),
        *,
        voting: Voting | None = None,
        **options: Any,
    ) -> None:
        super().__init__(base, defences, **options)
        self.voting = voting or Voting()
        # the last child has one row an image: ART's feature attacks look there
        self.out = nn.Identity()
        self._known: KnownLoss | None = None

    def forward(self, x: Tensor) -> Any:
        """Return scores (n, classes) as `Voting.output` says; images as for `DefendedModule`."""
        gradient = torch.is_grad_enabled()
        if gradient and self._known is not None:
            return self.out(self._with_gradient(x, self._known))
        number = self.voting.eot_samples if gradient else self.voting.vote_samples
        return self.out(self.voting.answer(self.log_probs(x, number)))

    @contextmanager
    def knowing(self, known: KnownLoss | None) -> Iterator[None]:
        """Tell the loss before the forward passes under grad inside the block; None: unknown."""
        self._known = known
        try:
            yield
        finally:
            self._known = None

    def log_probs(self, x: Tensor, number: int) -> Tensor:
        """Return log-probabilities of `number` >= 1 draws an image, shape (number, n, classes)."""
        x, steps, each = self._begin(x)
        gradient = torch.is_grad_enabled()
        # drawn images are kept twice, the map's pixels and what it made; batch statistics need
        # parts more than thrift
        kept = 2 * number * x.nelement() if gradient and not self.base.training else 0
        rows = max(1, (self.voting.memory_bytes - kept * x.element_size()) // each)
        # within the budget nothing is computed twice
        again = gradient and number * len(x) > rows
        at_once = max(1, rows // max(1, len(x)))
        # images of few codewords repeat from draw to draw, and the network need see each but once
        distinct = not gradient and not self.base.training and _few_values(steps)
        logits = []
        for start in range(0, number, at_once):
            group = range(start, min(start + at_once, number))
            images = torch.cat([_through(steps, x, index) for index in group])
            classify = partial(self._in_parts, rows=_cached(rows, each, x), again=again)
            logits.append(each_once(self.base, images, classify) if distinct else classify(images))
        return torch.log_softmax(torch.cat(logits), dim=1).view(number, len(x), -1)

    def _begin(self, x: Tensor) -> tuple[Tensor, list[nn.Module], int]:
        """Return what comes before the first draw, the maps left, and the bytes of a row."""
        x = self._enter(x)
        row = x.new_zeros((1, *self._shape(x)))
        each = bytes_for_backward(self.base, self._classify, row)
        steps = [defence.map for defence in self.preprocessors]
        while steps and not isinstance(steps[0], RandomMap):
            x = steps.pop(0)(x)
        return x, steps, each

    def _in_parts(self, images: Tensor, rows: int, *, again: bool) -> Tensor:
        """Return logits of images, so many rows at once."""
        classify: Callable[[Tensor], Tensor] = self._classify_again if again else self._classify
        # equal parts: batch statistics of a training network need more than a leftover row
        parts = images.tensor_split(max(1, math.ceil(len(images) / rows)))
        return torch.cat([classify(part) for part in parts])

    def _with_gradient(self, x: Tensor, known: KnownLoss) -> Tensor:
        """Return scores that carry the gradient of a known loss; see `KnownLoss.answer`."""
        # an image is there as drawn, as the map keeps it and with its gradient, in 32 bits
        size = 3 * 4 * math.prod(self._shape(x))
        x, steps, each = self._begin(x)
        rows = max(1, (self.voting.memory_bytes - size * len(x)) // (each + size))
        rows = _cached(rows, each, x)
        return known.answer(x, partial(_through, steps), self._classify, self.voting, rows)

    def _classify(self, x: Tensor) -> Any:
        """Return logits; over the temperature under grad alone: softened draws vote otherwise."""
        if torch.is_grad_enabled():
            return super()._classify(x)
        return self.base(self.standardised(x))

    def _classify_again(self, x: Tensor) -> Any:
        """Classify, and keep nothing but the images for the backward pass."""
        # dropout must fall alike twice; without it the global stream is left alone
        return checkpoint(self._classify, x, use_reentrant=False, preserve_rng_state=self.training)

    def _shape(self, x: Tensor) -> tuple[int, int, int]:
        """Return the shape of an image that the network takes."""
        shape = (x.shape[1], x.shape[2], x.shape[3])
        return encoded_shape(self.preprocessors, shape, channels_first=self.channels_first)


def _cached(rows: int, each: int, x: Tensor) -> int:
    """Return rows whose activations stay in a CPU's caches, no more than the given ones."""
    return min(rows, max(_LEAST_ROWS, _CPU_BYTES // each)) if x.device.type == "cpu" else rows


def _few_values(steps: Sequence[nn.Module]) -> bool:
    """Whether the last map that draws chooses among values that do not change from draw to draw."""
    random = [step for step in steps if isinstance(step, RandomMap)]
    return bool(random) and random[-1].discrete


def _through(steps: Sequence[nn.Module], x: Tensor, index: int) -> Tensor:
    """Pass a batch through maps, drawing number `index` of the random ones."""
    for step in steps:
        x = step.draw(x, index) if isinstance(step, RandomMap) else step(x)
    return x


class RandomizedClassifier(DefendedClassifier):
    """A `DefendedClassifier` whose module makes the draws and counts them.

    ART sees one row an image, the gradient of the mean over `eot_samples` draws (expectation over
    transformation), and predictions of `vote_samples` draws; all of it lives in `model`, so it
    stays where ART rebuilds a bare `PyTorchClassifier` around that. With `Voting.gradient` of
    `mean_loss` its own loss is wrapped in a `MeanLoss`, which such rebuilt classifiers do not have.
    """

    model: RandomizedModule
    _loss: Any

    def __init__(self, model: Any, loss: Any, *args: Any, **options: Any) -> None:
        # ART asks the loss for its type to learn what labels it takes
        super().__init__(model, own_loss(loss), *args, **options)
        if self.voting.gradient == "mean_loss":
            self._loss = MeanLoss(self._loss)

    @property
    def voting(self) -> Voting:
        """How many draws are made and what is made of them."""
        return self.model.voting

    @property
    def eot_samples(self) -> int:
        """Draws an image where a gradient is taken."""
        return self.voting.eot_samples

    @property
    def vote_samples(self) -> int:
        """Draws an image in `predict`."""
        return self.voting.vote_samples

    def loss_gradient(self, x: Any, y: Any, training_mode: bool = False, **options: Any) -> Any:
        """As ART's, of `eot_samples` draws, within the memory and without computing twice.

        Where cross-entropy is the loss, weights get no gradient of it. Images and labels are those
        of `CheckedInputs`.
        """
        known = None
        if not (training_mode or self.is_rnn or self.preprocessing_operations):
            y = self._rows(y, len(x))
            labels = self.reduce_labels(torch.as_tensor(y).to(self.device))
            known = KnownLoss.of(self._loss, labels, self.voting)
        with self.model.knowing(known):
            return super().loss_gradient(x, y, training_mode=training_mode, **options)

    def with_voting(self, **changes: Any) -> Self:
        """Return the same classifier with some fields of its `Voting` changed.

        Raises:
            InputError: A value does not fit.
        """
        return self.with_each_defence(
            lambda defence: defence, voting=replace(self.voting, **changes)
        )

    def with_samples(self, *, eot: int | None = None, vote: int | None = None) -> Self:
        """Return the same classifier with other numbers of draws an image; None: as here.

        `eot` are made where a gradient is taken, `vote` in `predict`.

        Raises:
            InputError: A number below 1.
        """
        changes = {"eot_samples": eot, "vote_samples": vote}
        return self.with_voting(**{k: v for k, v in changes.items() if v is not None})

    def with_seed(self, seed: int) -> Self:
        """Return the same classifier at the beginning of other streams.

        What was asked of this one plays no part, so work that is resumed draws as if it had never
        stopped.
        """
        return self.with_each_defence(lambda d: d.with_seed(seed) if is_ours(d) else d)

    def frozen(self, seed: int) -> Self:
        """Return a deterministic twin: each call makes the same draws, the same for every image.

        Its gradient is that of its first `eot_samples` draws and its prediction the mean of the
        first `vote_samples`; with equal numbers they are one function.
        """
        return self.with_each_defence(lambda d: d.frozen(seed) if is_ours(d) else d)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the defences that draw, in their order."""
        drawing = (d for d in self.model.preprocessors if traits(d).draws)
        return tuple(d.seed for d in drawing if d.seed is not None)

    def predict_draws(self, x: NDArray[Any], n: int, seed: int | None = None) -> Float32Array:
        """Return what single fresh draws say, from streams of their own.

        This classifier's streams are left where they are, so no attack has seen these draws.

        Args:
            x: Images in the input range; the draws depend on the batch.
            n: Draws of every image, >= 1.
            seed: Of the draws; None: the defences' own seeds. The same seed, the same draws. A
                frozen classifier gives its frozen draws, whatever the seed.

        Returns:
            Log-probabilities, shape (n, images, classes).

        Raises:
            InputError: `n` is no whole number >= 1, or `x` is no batch of images.
        """
        check_count(n, "n")
        root = derive_seed(0, *self.seeds) if seed is None else seed
        module = self.with_seed(derive_seed(root, "predict_draws")).model
        module.eval()
        images, _ = self._apply_preprocessing(self._images(x), y=None, fit=False)
        with torch.no_grad():
            draws = module.log_probs(torch.as_tensor(images).to(self.device), n)
        return draws.cpu().numpy()


DefendedClassifier._drawing = RandomizedClassifier, RandomizedModule
