"""Training of a network on clean or on perturbed images, bare or behind defences."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim.swa_utils import AveragedModel, update_bn
from tqdm import tqdm

from art_disc.core.checks import Float32Array, check_images, check_labels
from art_disc.core.errors import InputError
from art_disc.core.seeds import check_seed, derive_seed
from art_disc.core.showing import Shown
from art_disc.data import Dataset, as_dataset
from art_disc.defences import MapPreprocessor, as_defences
from art_disc.estimators.module import DefendedModule
from art_disc.networks import weights_hash
from art_disc.training.adversary import Adversary, AnyAdversary, perturbed
from art_disc.training.checkpoint import State
from art_disc.training.facts import fit_defences, training_facts
from art_disc.training.objectives import Objective, check_loss, objective_of
from art_disc.training.recipe import Mixed, Recipe, augmented, evaluating

_ROWS = 500
# a training that ends sooner is not worth a file
_SECONDS_BETWEEN_CHECKPOINTS = 20.0

OnEpoch = Callable[[int, nn.Module], None]


@dataclass(frozen=True, slots=True)
class TrainingResult(Shown):
    """What a training run reports.

    Attributes:
        accuracy: Share of test images classified right after training, behind the defences that
            it was trained through, in [0, 1].
        loss: Mean training loss of the last epoch, on the images that were trained on.
        weights: Hash of the weights, as `networks.weights_hash`.
        cached: Whether the weights came from the cache.
        robust_accuracy: Share of up to 500 test images that stay right at the objective's budget
            under PGD-20, or 20 steps of a `CodeAdversary`, in [0, 1]: a first look, no evaluation.
            None without a budget.
        losses: Mean training loss of every epoch.
        accuracies: Accuracy on up to 500 test images after every epoch, in [0, 1].
    """

    accuracy: float
    loss: float
    weights: str
    cached: bool
    robust_accuracy: float | None = None
    losses: tuple[float, ...] = ()
    accuracies: tuple[float, ...] = ()


def train(  # noqa: PLR0913 - each is a setting of its own
    model: nn.Module,
    data: Any,
    *,
    epochs: int = 10,
    learning_rate: float = 1e-3,
    batch_size: int = 64,
    seed: int = 0,
    objective: Objective | None = None,
    adversary: AnyAdversary | None = None,
    defences: Any = (),
    optimizer: str = "adam",
    weight_decay: float = 0.0,
    warm_up: float = 0.0,
    augment: str | None = None,
    precision: str = "float32",
    milestones: tuple[float, ...] = (),
    decay: float = 0.2,
    gradient_clip: float | None = None,
    l1: float = 0.0,
    averaging: float = 0.0,
    population_statistics: bool = False,
    checkpoint: str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    verbose: bool = True,
) -> TrainingResult:
    """Train a network in place; on discretised images where it has defences.

    The learning rate falls to zero along a cosine over the run, or in steps. Batches, crops and
    random starts are drawn from generators of their own, and dropout from torch's global one, which
    is seeded for each epoch and restored after it. With defences and an adversary the network
    learns from T(x'), x' being found through their surrogates (the papers' T(BPDA(x))); a defence
    that draws gives one fresh draw of every image.

    Args:
        model: The network; it stays on its device and is left in eval mode.
        data: Training images and labels, a `Dataset` or arrays of `as_dataset`; accuracy is counted
            on its test images.
        epochs: Passes over the training images, >= 1.
        learning_rate: The optimiser's, > 0.
        batch_size: Images a step, >= 1.
        seed: Of the order of the batches, the crops and the random starts.
        objective: Loss of a batch; None: `CrossEntropy()`.
        adversary: Moves the images before the loss sees them; None: nobody does.
        defences: What `as_defences` takes, applied in order before the network; one that is not
            fitted learns from the training images first.
        optimizer: `adam`; `fused_adam`, the same in one pass over the weights (torch's `fused`),
            rounded otherwise and faster for wide layers; or `sgd` with momentum 0.9.
        weight_decay: The optimiser's, >= 0.
        warm_up: Share of the steps, in [0, 1), over which the learning rate rises from 0 first.
        augment: None, `crop` (moved by up to two pixels), `crop_flip` (mirrored too), or `shift`
            (moved by up to one pixel).
        precision: `float32`, or `bfloat16` for the network's products while it is trained, which
            is faster where the processor has them and many times slower elsewhere; `fastest`, the
            one of these that this processor is meant for. Weights stay float32.
        milestones: Shares of the steps, in [0, 1), at which the learning rate falls to `decay` of
            itself; none: a cosine to zero.
        decay: Of the learning rate at each of them, > 0.
        gradient_clip: Largest l2 norm of the gradient of all parameters together; None: any.
        l1: Times the sum of the sizes of all weights (no biases, and none of batch
            normalisation), which is added to the loss, >= 0.
        averaging: Share of the steps, in [0, 1), the last ones, whose weights are averaged in the
            end (stochastic weight averaging); the statistics of batch normalisation are then taken
            anew, as for the next one.
        population_statistics: Take the statistics of batch normalisation from all training images
            once more, as they are, in the end; without, the running ones stay.
        checkpoint: File that an interrupted training goes on from; written between epochs, gone
            at the end. The epochs that are left give the weights of an uninterrupted run.
        on_epoch: Called after every epoch of this call with its number, from 1, and the whole
            module, defences included, in eval mode; a resumed training tells the epochs that were
            left.
        verbose: Show a progress bar with loss and accuracy.

    Raises:
        InputError: A setting does not fit, there are no training images, or the checkpoint is of
            another training.
        FileFormatError: The checkpoint is damaged.

    Source: Madry et al. 2018, section 2.1; Chen et al. 2018, section 5 (retraining); Izmailov et
    al. 2018 (averaging).
    """
    first = (epochs, learning_rate, batch_size, optimizer, weight_decay, warm_up, augment)
    later = (precision, milestones, decay, gradient_clip, l1, averaging, population_statistics)
    recipe = Recipe(*first, *later)
    check_torch_seed(seed)
    data, defences = as_dataset(data), as_defences(defences)
    run = Training(model, data, recipe, seed, objective_of(objective, adversary), defences)
    result = run.result(checkpoint, on_epoch, verbose=verbose)
    if checkpoint is not None:
        Path(checkpoint).unlink(missing_ok=True)
    return result


def check_torch_seed(seed: int) -> None:
    """Refuse a seed of more than 64 bits, which torch does not take."""
    if not -(2**63) <= check_seed(seed) < 2**63:
        msg = f"seed must fit in 64 bits, got {seed}"
        raise InputError(msg)


@dataclass(eq=False)
class Training:
    """One run of the loop; its inputs are checked, and its defences fitted, where it is made."""

    model: nn.Module
    data: Dataset
    recipe: Recipe
    seed: int
    objective: Objective
    defences: Sequence[MapPreprocessor]

    def __post_init__(self) -> None:
        self.data.check_training("to train on")
        x = check_images(self.data.x_train, name="data.x_train")
        y = check_labels(self.data.y_train, len(x), self.data.nb_classes)
        fit_defences(self.defences, self.data)
        self.x, self.y = torch.tensor(x), torch.tensor(y)
        self.device = next(self.model.parameters()).device
        self.steps = math.ceil(len(x) / self.recipe.batch_size)
        optimizer = self.recipe.make_optimizer(self.model)
        generators = {"order": torch.Generator().manual_seed(self.seed)}
        for name in ("random starts", "augmentation"):
            generators[name] = torch.Generator().manual_seed(derive_seed(self.seed, name))
        self.state = State(
            self.model,
            optimizer,
            self.recipe.make_schedule(optimizer, self.steps * self.recipe.epochs),
            generators,
            training_facts(
                self.model, self.data, self.recipe, self.seed, self.objective, self.defences
            ),
            averaged=AveragedModel(self.model) if self.recipe.averaging else None,
        )

    def result(
        self, checkpoint: str | Path | None, on_epoch: OnEpoch | None, *, verbose: bool
    ) -> TrainingResult:
        """Train the epochs that are left; the checkpoint stays until what was made is safe."""
        state = self.state
        if checkpoint is not None:
            state.load(checkpoint)
        self.through(checkpoint, on_epoch, verbose=verbose)
        self.model.eval()
        return TrainingResult(
            accuracy=self.accuracy(self.data.x_test, self.data.y_test),
            loss=state.losses[-1],
            weights=weights_hash(self.model),
            cached=False,
            robust_accuracy=self.robust(),
            losses=tuple(state.losses),
            accuracies=tuple(state.accuracies),
        )

    def module(self, epoch: int, *, fast: bool = False) -> nn.Module:
        """Return network and defences; the streams of those that draw begin anew each epoch."""
        network = Mixed(self.model) if fast and self.recipe.precision != "float32" else self.model
        if not self.defences:
            return network
        own = []
        for place, defence in enumerate(self.defences):
            # the loop's images are NCHW in [0, 1], whatever the defence was made for
            fit = defence.with_layout(channels_first=True, clip_values=(0.0, 1.0))
            own.append(fit.with_place(place).with_seed(derive_seed(self.seed, "defence", epoch)))
        return DefendedModule(network, own)

    def through(
        self, checkpoint: str | Path | None, on_epoch: OnEpoch | None, *, verbose: bool
    ) -> None:
        """Train the epochs that are left."""
        state, epochs, steps = self.state, self.recipe.epochs, self.steps
        written = time.monotonic()
        with tqdm(
            total=epochs * steps, initial=state.epoch * steps, desc="training", disable=not verbose
        ) as bar:
            for epoch in range(state.epoch, epochs):
                with torch.random.fork_rng():
                    torch.manual_seed(derive_seed(self.seed, "dropout", epoch))
                    state.losses.append(self._epoch(epoch, bar))
                    if epoch + 1 == epochs:
                        self._end(epoch)
                state.accuracies.append(
                    self.accuracy(self.data.x_test[:_ROWS], self.data.y_test[:_ROWS], epoch)
                )
                state.epoch = epoch + 1
                if on_epoch is not None:
                    module = self.module(epoch)
                    with evaluating(module):
                        on_epoch(state.epoch, module)
                late = time.monotonic() - written > _SECONDS_BETWEEN_CHECKPOINTS
                if checkpoint is not None and late and state.epoch < epochs:
                    state.save(checkpoint)
                    written = time.monotonic()
                bar.set_postfix(
                    epoch=state.epoch,
                    loss=f"{state.losses[-1]:.4f}",
                    accuracy=f"{state.accuracies[-1]:.1%}",
                )

    def _epoch(self, epoch: int, bar: Any) -> float:
        """Go through the training images once; return their mean loss."""
        module, state, x = self.module(epoch, fast=True), self.state, self.x
        module.train()
        starts, crops = state.generators["random starts"], state.generators["augmentation"]
        total = 0.0
        order = torch.randperm(len(x), generator=state.generators["order"])
        for place, batch in enumerate(order.split(self.recipe.batch_size)):
            images = augmented(x[batch], self.recipe.augment, crops).to(self.device)
            labels = self.y[batch].to(self.device)
            share = (epoch * self.steps + place) / (self.steps * self.recipe.epochs)
            state.optimizer.zero_grad()
            loss = self.objective(module, images, labels, progress=share, generator=starts)
            check_loss(loss)
            loss = loss + self.recipe.penalty(self.model)
            loss.backward()
            self.recipe.clip(self.model)
            state.optimizer.step()
            state.schedule.step()
            if state.averaged is not None and share >= 1 - self.recipe.averaging:
                state.averaged.update_parameters(self.model)
            total += float(loss.detach()) * len(batch)
            bar.update()
        return total / len(x)

    def _end(self, epoch: int) -> None:
        """Average weights, and take the statistics of all training images, as the recipe says."""
        averaged = self.state.averaged
        if averaged is not None and averaged.n_averaged:
            self.model.load_state_dict(averaged.module.state_dict())
        if averaged is not None or self.recipe.population_statistics:
            parts = self.x.tensor_split(math.ceil(len(self.x) / _ROWS))
            update_bn((part.to(self.device) for part in parts), self.module(epoch))

    def accuracy(self, x: Float32Array, y: NDArray[np.int64], epoch: int = -1) -> float:
        """Share of images classified right in eval mode, behind the defences; NaN without any."""
        module, right = self.module(epoch), 0
        if not len(x):
            return math.nan
        with evaluating(module), torch.no_grad():
            for start in range(0, len(x), _ROWS):
                logits = module(torch.tensor(x[start : start + _ROWS]).to(self.device))
                found = logits.argmax(dim=1).cpu().numpy()
                right += int((found == y[start : start + _ROWS]).sum())
        return right / len(x)

    def robust(self) -> float | None:
        """Accuracy on up to 500 test images under a first look's attack; None without a budget."""
        if self.objective.eps is None:
            return None
        x = torch.tensor(self.data.x_test[:_ROWS]).to(self.device)
        y = torch.tensor(self.data.y_test[:_ROWS]).to(self.device)
        own = getattr(self.objective, "adversary", None)
        adversary = own if isinstance(own, AnyAdversary) else Adversary(self.objective.eps)
        # a first look, no evaluation
        start = torch.Generator().manual_seed(0)
        moved = perturbed(self.module(-1), x, y, adversary.look(), start)
        return self.accuracy(moved.cpu().numpy(), self.data.y_test[:_ROWS])
