"""The adversarial generalisation gap: robust accuracy on training images less that on test ones."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from art_disc.core.budget import Budget
from art_disc.core.checks import Float32Array, IntArray, check_count, check_eps, check_positive
from art_disc.core.errors import InputError
from art_disc.core.intervals import unpaired_difference
from art_disc.core.records import Share
from art_disc.core.seeds import derive_seed
from art_disc.core.showing import Shown
from art_disc.data import Dataset, as_dataset

if TYPE_CHECKING:
    from torch import nn

    from art_disc.training.adversary import Adversary

_ROWS = 250


@dataclass(frozen=True, slots=True)
class GeneralisationGap(Shown):
    """Accuracies on training and on test images under the same attack.

    An image counts as robust if it is right before and after the attack.

    Attributes:
        eps: l_inf budget, in the classifier's input range.
        attack: The attack in words.
        train: Robust training images.
        test: Robust test images.
        clean_train: Training images that are right without an attack.
        clean_test: Test images that are.
    """

    eps: float
    attack: str
    train: Share
    test: Share
    clean_train: Share
    clean_test: Share

    @property
    def gap(self) -> float:
        """Robust accuracy on training images less that on test images, in [-1, 1]."""
        return self.train.value - self.test.value

    @property
    def interval(self) -> tuple[float, float]:
        """95 % limits of the gap (Newcombe 1998, method 10 for separate samples).

        They account for the draw of the images, not for that of the training run.
        """
        return unpaired_difference(
            self.train.count, self.train.total, self.test.count, self.test.total
        )

    def facts(self) -> dict[str, Any]:
        """Return it as JSON takes it: counts, shares and limits."""
        parts = {
            "robust_train": self.train,
            "robust_test": self.test,
            "clean_train": self.clean_train,
            "clean_test": self.clean_test,
        }
        return {
            "eps": self.eps,
            "attack": self.attack,
            **{name: [share.count, share.total] for name, share in parts.items()},
            "gap": self.gap,
            "gap_interval_95": list(self.interval),
        }


def generalisation_gap(  # noqa: PLR0913 - each is a setting of its own
    classifier: Any,
    data: Any,
    *,
    eps: float,
    n_ex: int = 500,
    steps: int = 20,
    step_size: float | None = None,
    restarts: int = 1,
    batch_size: int = 100,
    seed: int = 0,
) -> GeneralisationGap:
    """Attack training and test images alike and compare what stays right.

    The attack is ART's PGD on the classifier as it stands: through its defences, by their
    surrogates. One attack does not make a robust accuracy; see `art_disc.evaluate` for that.

    Args:
        classifier: From `build_classifier` or `defend`, or an ART classifier with loss gradients.
        data: With training images, a `Dataset` or arrays in the classifier's layout and range, see
            `as_dataset`; images of both parts are drawn by class share.
        eps: l_inf budget in (0, top], in the classifier's input range.
        n_ex: Images of each part, or all where there are fewer.
        steps: Gradient steps.
        step_size: Of each step, > 0; None: 2.5 eps / steps.
        restarts: Random starts, 0 to begin at the image.
        batch_size: Images at once.
        seed: Of the draw of the images, of the random starts, and of all draws of a classifier that
            draws: its own streams stay where they are.

    Raises:
        InputError: A setting does not fit, or there are no training images.

    Source: Chen et al. 2019, section IV-B (the gap) and section V-A2 (why discretisation has one).
    """
    from art_disc.attacks import ATTACKS
    from art_disc.estimators.contract import top_of
    from art_disc.trials import Scorer, Trial, run_trial

    upper = 1.0 if classifier.clip_values is None else top_of(classifier)
    budget = Budget(check_eps(eps, upper=upper), upper=upper)
    step = _check_attack(budget.eps, steps, step_size)
    check_count(restarts, "restarts", least=0)
    check_count(batch_size, "batch_size")
    settings = {"max_iter": steps, "eps_step": step, "num_random_init": restarts}
    make = ATTACKS["pgd"].on(classifier, budget, settings, batch_size=batch_size)
    shares, own = [], derive_seed(seed, "generalisation gap")
    for x, y in _parts(as_dataset(data, classifier), n_ex, seed):
        images = x if upper == 1 else x * np.float32(upper)
        if not classifier.channels_first:
            images = np.moveaxis(images, 1, -1)
        # on one prediction of the classifier's own, of draws that the seed gives
        scorer = Scorer(classifier, images, y, draws=1, seed=derive_seed(seed, "gap score"))
        trial = Trial(make, classifier, images, y, budget, lambda _: own)
        right = scorer.clean.correct
        robust = right & scorer.score(run_trial(trial).images).correct
        shares.append((Share(int(robust.sum()), len(y)), Share(int(right.sum()), len(y))))
    (train, clean_train), (test, clean_test) = shares
    words = f"ART PGD-{steps}, step {step:.4g}, {restarts} random start(s)"
    return GeneralisationGap(budget.eps, words, train, test, clean_train, clean_test)


def _check_attack(eps: float, steps: int, step_size: float | None) -> float:
    if eps == 0:
        msg = "eps must be > 0: without a budget there is no attack"
        raise InputError(msg)
    check_count(steps, "steps")
    return 2.5 * eps / steps if step_size is None else check_positive(step_size, "step_size")


def _parts(
    data: Dataset, n_ex: int, seed: int
) -> tuple[tuple[Float32Array, IntArray], tuple[Float32Array, IntArray]]:
    """Training and test images with their labels, up to `n_ex` of each, by class share."""
    check_count(n_ex, "n_ex")
    data.check_training("to measure a gap on")
    few = data.subset(
        min(n_ex, len(data.x_train)), min(n_ex, len(data.x_test)), stratified=True, seed=seed
    )
    return (few.x_train, few.y_train), (few.x_test, few.y_test)


@dataclass(eq=False)
class RobustnessHistory(Shown):
    """Robust accuracy on training and on test images while a network is trained.

    Give it to `training.train(..., on_epoch=history)`. The same images are attacked every time,
    from the same random starts, so that epochs compare.

    Args:
        data: With training images, a `Dataset` or arrays of `as_dataset`; images of both parts are
            drawn by class share.
        eps: l_inf budget in (0, 1], on the [0, 1] scale.
        every: Measure after every so many epochs.
        n_ex: Images of each part, or all where there are fewer.
        steps: Gradient steps on the cross-entropy, of size 2.5 eps / steps, from one random start.
        seed: Of the draw of the images and of the random starts.

    Attributes:
        epochs: The epochs measured.
        gaps: What was measured after each of them.

    Raises:
        InputError: A setting does not fit, or there are no training images.

    Source: Chen et al. 2019, Figure 3 (the gap over training).
    """

    data: Any = field(repr=False)
    eps: float = field(kw_only=True)
    every: int = field(default=1, kw_only=True)
    n_ex: int = field(default=250, kw_only=True)
    steps: int = field(default=10, kw_only=True)
    seed: int = field(default=0, kw_only=True)
    epochs: list[int] = field(default_factory=list, init=False)
    gaps: list[GeneralisationGap] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.eps = check_eps(self.eps)
        _check_attack(self.eps, self.steps, None)
        check_count(self.every, "every")
        self._images = _parts(as_dataset(self.data), self.n_ex, self.seed)

    def __call__(self, epoch: int, model: "nn.Module") -> None:
        """Measure, where `epoch` is one of every so many.

        Args:
            epoch: Epochs done, from 1.
            model: The network with its defences; its mode, gradients and weights are left alone.
        """
        from art_disc.training.adversary import Adversary

        if epoch % self.every:
            return
        (train, clean_train), (test, clean_test) = (
            _attacked(model, x, y, Adversary(self.eps, steps=self.steps), self.seed)
            for x, y in self._images
        )
        words = f"PGD-{self.steps}, step {2.5 * self.eps / self.steps:.4g}, 1 random start(s)"
        self.epochs.append(epoch)
        self.gaps.append(GeneralisationGap(self.eps, words, train, test, clean_train, clean_test))

    def facts(self) -> list[dict[str, Any]]:
        """Return one row for each epoch measured, as JSON takes them."""
        pairs = zip(self.epochs, self.gaps, strict=True)
        return [{"epoch": epoch} | gap.facts() for epoch, gap in pairs]

    def plot(self, ax: Any = None) -> Any:
        """Draw robust accuracy on training and test images over the epochs and return the Axes.

        Args:
            ax: Matplotlib Axes to draw on; None: a new figure.

        Raises:
            InputError: Nothing was measured yet.
            MissingExtraError: matplotlib is not installed.
        """
        from art_disc.report.hardness import history_plot

        if not self.gaps:
            msg = "nothing was measured yet; train with on_epoch=history first"
            raise InputError(msg)
        lines = {
            "training images": [(gap.train.count, gap.train.total) for gap in self.gaps],
            "test images": [(gap.test.count, gap.test.total) for gap in self.gaps],
        }
        return history_plot(self.epochs, lines, ax, eps=self.eps)


def _attacked(
    model: "nn.Module", x: Float32Array, y: IntArray, adversary: "Adversary", seed: int
) -> tuple[Share, Share]:
    """Robust and clean accuracy under PGD from a random start."""
    import torch

    from art_disc.training.adversary import perturbed
    from art_disc.training.recipe import evaluating

    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(derive_seed(seed, "robustness history"))
    clean = robust = 0
    with evaluating(model):
        for start in range(0, len(x), _ROWS):
            images = torch.tensor(x[start : start + _ROWS]).to(device)
            labels = torch.tensor(y[start : start + _ROWS]).to(device)
            moved = perturbed(model, images, labels, adversary, generator)
            with torch.no_grad():
                right = model(images).argmax(dim=1) == labels
                still = right & (model(moved).argmax(dim=1) == labels)
            clean, robust = clean + int(right.sum()), robust + int(still.sum())
    return Share(robust, len(x)), Share(clean, len(x))
