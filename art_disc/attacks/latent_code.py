"""An attack on what an LQ-VAE leaves of an image: the bits of its latent code."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from art.estimators.classification import PyTorchClassifier
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from art_disc.attacks.base import OwnAttack, own_stream
from art_disc.attacks.code_search import CodeSearch, clear_lead
from art_disc.attacks.code_view import CodeView
from art_disc.codebooks import Codebook
from art_disc.codebox import CodeBox
from art_disc.core.checks import BoolArray, Float32Array, IntArray, check_count
from art_disc.core.errors import InputError
from art_disc.defences import LQVAEFilter
from art_disc.defences.lqvae_map import MeanMap
from art_disc.estimators import as_classifier
from art_disc.estimators.contract import WhiteBoxClassifier
from art_disc.networks import LQVAENet

# gradients of a search among codes, which are short
_CLIMB = 5
# single flips tried at once
_TRIED = 16
# beyond a threshold, of eta: rounding must not bring a mean back
_BEYOND = 0.05
# how far the steps towards a code reach, in budgets
_PATH = 2.5


@dataclass(eq=False, repr=False)
class LatentCodeAttack(OwnAttack):
    """Drive an LQ-VAE's means across the thresholds of H towards a code that is misclassified.

    Behind an `LQVAEFilter` by mean inference a prediction is a function of a few bits. The attack
    searches among codes for one that the classifier gets wrong, first those that differ in the bits
    whose means lie nearest to a threshold, then in more; then it moves the image, by signed steps
    within the budget, until each mean is on the side of its threshold that this code asks for. Both
    are smooth: no surrogate stands for H. Every code on the way is classified; where none is wrong
    another one is searched for, in turn from a random point within the budget and from where the
    means are by then.

    Args:
        estimator: A classifier from `build_classifier` whose one defence is an `LQVAEFilter` with
            `inference="mean"`.
        eps: l_inf budget in the input range.
        targeted: Move towards `y` instead of away from it.
        max_iter: Steps towards each code.
        n_codes: Codes aimed at, one after the other.
        aims: Codes (n, latent) of -1 and +1, one an image, that are aimed at before those; None:
            none is known.
        batch_size: Images at once.
        seed: Of the attack's own stream; None: from NumPy's global stream, as ART's attacks.
        verbose: Show a progress bar.

    Raises:
        InputError: A parameter does not fit, or another classifier.
    """

    eps: float = 0.3
    targeted: bool = False
    max_iter: int = 20
    n_codes: int = 8
    aims: Any = None
    batch_size: int = 128
    seed: int | None = None
    verbose: bool = True

    _estimator_requirements = (BaseEstimator, LossGradientsMixin, PyTorchClassifier)

    def _check_params(self) -> None:
        super()._check_params()
        check_count(self.n_codes, "n_codes")
        latent = _map_of(as_classifier(self.estimator)).network.latent
        if self.aims is not None and np.shape(self.aims)[1:] != (latent,):
            msg = f"aims must be codes of shape (n, {latent}), got {np.shape(self.aims)}"
            raise InputError(msg)

    def _run(self, x: Float32Array, labels: NDArray[np.int64], free: BoolArray) -> Float32Array:
        if self.aims is not None and len(self.aims) != len(x):
            msg = f"aims must be one code an image, {len(x)}, got {len(self.aims)}"
            raise InputError(msg)
        rng, classifier = own_stream(self.seed), as_classifier(self.estimator)
        step = _map_of(classifier)
        view = _view(classifier, step, self.batch_size)
        batches = [slice(i, i + self.batch_size) for i in range(0, len(x), self.batch_size)]
        parts = []
        for part in tqdm(batches, desc="LatentCodeAttack", disable=not self.verbose):
            images, where = torch.tensor(x[part]), torch.tensor(free[part])
            reach = where if step.channels_first else where.movedim(-1, 1)
            hunt = LatentHunt(
                step.network,
                view,
                step.enter(images).to(view.device),
                reach.to(view.device) * (self.eps / step.upper),
                labels[part],
                targeted=self.targeted,
            )
            if self.aims is not None:
                of = hunt.open
                hunt.drive(of, _bits_of(self.aims[part])[of], self.max_iter)
            for number in range(self.n_codes):
                if number % 2:
                    # where the last code could not be reached, the next is often not either
                    hunt.scatter(rng)
                hunt.drive(*hunt.wanted(rng), self.max_iter)
            parts.append(step.leave(hunt.best).numpy(force=True))
        return np.concatenate(parts)


def _map_of(classifier: WhiteBoxClassifier) -> MeanMap:
    """Return the map of a classifier's one defence; refuse another."""
    chain = list(classifier.defences)
    step = chain[0].map if len(chain) == 1 and isinstance(chain[0], LQVAEFilter) else None
    if not isinstance(step, MeanMap):
        names = ", ".join(type(defence).__name__ for defence in chain) or "none"
        msg = (
            "LatentCodeAttack needs a classifier whose one defence is an LQVAEFilter with "
            f"inference='mean', got {names}; where it draws, attack by pgd with EOT"
        )
        raise InputError(msg)
    return step


def _bits_of(codes: Any) -> IntArray:
    """Return the bits of codes of -1 and +1, 0 and 1."""
    return (np.asarray(codes) > 0).astype(np.int64)


def _view(classifier: WhiteBoxClassifier, step: MeanMap, batch_size: int) -> CodeView:
    """Return what is behind H, as a search among codes sees it: a code is an image of its bits."""
    base = classifier.base

    def behind(bits: Tensor) -> Tensor:
        scores: Tensor = base.graph_logits(step.of_bits(bits))
        return scores

    bits = Codebook([0.0, 1.0])
    return CodeView(behind, bits, (1, 1, step.network.latent), base.device, batch_size)


class LatentHunt:
    """The best image found so far for each of n.

    Args:
        network: What encodes.
        view: What classifies codes, 0 for -1 and 1 for +1.
        images: Clean ones (n, c, h, w) in [0, 1].
        reach: How far each value may move, of their shape.
        labels: True classes, or targets, (n,).
        targeted: Whether they are targets.

    Attributes:
        best: Images, of the shape of the clean ones.
        leads: Their `clear_lead`, (n,).
    """

    def __init__(
        self,
        network: LQVAENet,
        view: CodeView,
        images: Tensor,
        reach: Tensor,
        labels: IntArray,
        *,
        targeted: bool,
    ) -> None:
        self.network, self.view, self.targeted = network, view, targeted
        self.labels, self._reach = torch.from_numpy(labels), reach
        self._low, self._high = ((images + sign * reach).clamp(0, 1) for sign in (-1, 1))
        self._at, self.best = images.clone(), images.clone()
        self.leads = np.full(len(images), -np.inf)
        every = np.arange(len(images))
        with torch.no_grad():
            self._note(every, images, network.encode(images)[0])

    @property
    def open(self) -> IntArray:
        """Images that are not broken yet."""
        return np.flatnonzero(self.leads <= 0)

    def wanted(self, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
        """Return the open images (m,), and for each a code (m, latent) to aim at.

        One that is misclassified, with as few bits to choose from as will do, those nearest to a
        threshold first; where there is none, the worst of all.
        """
        of = self.open
        with torch.no_grad():
            means = self.network.encode(self._at[of])[0]
        codes = self._bits(means)
        order = (means.abs() - self.network.eta).abs().argsort(dim=1).numpy(force=True)
        goals, left, choice = codes.copy(), np.arange(len(of)), 2
        while len(left):
            mask = codes[left][..., None] == np.arange(2)
            np.put_along_axis(mask, order[left, :choice, None], True, axis=1)
            box = CodeBox.of_mask(mask, self.view.codebook.codewords_)
            labels = self.labels.numpy()[of[left]]
            search = CodeSearch(self.view, box, codes[left], labels, rng, targeted=self.targeted)
            search.climb(_CLIMB)
            search.polish(min(choice, _TRIED))
            goals[left] = search.codes
            left, choice = left[search.leads <= 0], 2 * choice
            if choice >= 2 * self.network.latent:
                break
        return of, goals

    def scatter(self, rng: np.random.Generator) -> None:
        """Put open images anywhere within the budget, drawn evenly; the best found stay known."""
        of = self.open
        shares = torch.from_numpy(rng.random(self._at[of].shape, dtype=np.float32))
        self._at[of] = torch.lerp(self._low[of], self._high[of], shares.to(self._at))

    def drive(self, of: IntArray, goals: IntArray, max_iter: int) -> None:
        """Move images (m,) towards codes (m, latent), from where they are; note what is met."""
        inside = torch.from_numpy(goals == 1).to(self._at.device)
        for _ in range(max_iter):
            if not len(of):
                return
            leaf = self._at[of].requires_grad_()
            means = self.network.encode(leaf)[0]
            beyond = means.abs() - self.network.eta
            short = torch.where(inside, beyond, -beyond) + _BEYOND * self.network.eta
            (slope,) = torch.autograd.grad(short.clamp_min(0).sum(), leaf)
            moved = leaf.detach() - _PATH / max_iter * self._reach[of] * slope.sign()
            self._at[of] = torch.minimum(torch.maximum(moved, self._low[of]), self._high[of])
            with torch.no_grad():
                self._note(of, self._at[of], self.network.encode(self._at[of])[0])
            going = self.leads[of] <= 0
            of, inside = of[going], inside[torch.from_numpy(going)]

    def _note(self, of: IntArray, images: Tensor, means: Tensor) -> None:
        """Keep the images whose codes are classified worse than the worst so far."""
        scores = self.view.scores(self._bits(means))
        leads = clear_lead(scores, self.labels[of], targeted=self.targeted)
        better = leads > self.leads[of]
        self.best[of[better]] = images[torch.from_numpy(better)]
        self.leads[of[better]] = leads[better]

    def _bits(self, means: Tensor) -> IntArray:
        found: IntArray = (self.network.hard(means) > 0).to(torch.int64).numpy(force=True)
        return found
