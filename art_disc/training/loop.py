"""Training of a network on clean or on perturbed images."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from art_disc.core.checks import Float32Array, check_count, check_images, check_labels
from art_disc.core.errors import InputError
from art_disc.core.seeds import derive_seed
from art_disc.data import Dataset
from art_disc.networks import weights_hash
from art_disc.training.adversary import Adversary, perturbed

_ROWS = 500


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a training run reports.

    Attributes:
        accuracy: Share of test images classified right after training, in [0, 1].
        loss: Mean training loss of the last epoch, on the images that were trained on.
        weights: Hash of the weights, as `networks.weights_hash`.
        cached: Whether the weights came from the cache.
        robust_accuracy: Share of up to 500 test images that stay right under PGD-20 at the
            adversary's budget, in [0, 1]: a first look, no evaluation. None without an adversary.
    """

    accuracy: float
    loss: float
    weights: str
    cached: bool
    robust_accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class _Settings:
    epochs: int
    learning_rate: float
    batch_size: int
    seed: int
    adversary: Adversary | None


def train(  # noqa: PLR0913 - each is a setting of its own
    model: nn.Module,
    data: Dataset,
    *,
    epochs: int = 10,
    learning_rate: float = 1e-3,
    batch_size: int = 64,
    seed: int = 0,
    adversary: Adversary | None = None,
    verbose: bool = True,
) -> TrainingResult:
    """Train a network with Adam and cross-entropy, in place.

    The learning rate falls to zero along a cosine over the run. Batches and random starts are
    drawn from generators of their own; nothing touches the global streams, so dropout needs the
    caller's own seed.

    Args:
        model: The network; it stays on its device and is left in eval mode.
        data: Training images and labels; accuracy is counted on its test images.
        epochs: Passes over the training images, >= 1.
        learning_rate: Adam's, > 0.
        batch_size: Images a step, >= 1.
        seed: Of the order of the batches and the random starts.
        adversary: Trains on images perturbed by it; None: on clean ones.
        verbose: Show a progress bar with the loss.

    Raises:
        InputError: A setting does not fit, or there are no training images.
    """
    settings = _check(epochs, learning_rate, batch_size, seed, adversary)
    x = check_images(data.x_train, name="data.x_train")
    y = check_labels(data.y_train, len(x), data.nb_classes)
    device = next(model.parameters()).device
    model.train()
    loss = _fit(model, torch.tensor(x), torch.tensor(y), settings, device, verbose=verbose)
    model.eval()
    return TrainingResult(
        accuracy=_accuracy(model, data.x_test, data.y_test, device),
        loss=loss,
        weights=weights_hash(model),
        cached=False,
        robust_accuracy=_robust(model, data, adversary, device),
    )


def _check(
    epochs: int, learning_rate: float, batch_size: int, seed: int, adversary: Adversary | None
) -> _Settings:
    if not (math.isfinite(learning_rate) and learning_rate > 0):
        msg = f"learning_rate must be a positive number, got {learning_rate}"
        raise InputError(msg)
    if not -(2**63) <= seed < 2**63:
        msg = f"seed must fit in 64 bits, got {seed}"
        raise InputError(msg)
    if adversary is not None and not isinstance(adversary, Adversary):
        msg = f"adversary must be an Adversary or None, got {type(adversary).__name__}"
        raise InputError(msg)
    epochs, batch_size = check_count(epochs, "epochs"), check_count(batch_size, "batch_size")
    return _Settings(epochs, learning_rate, batch_size, seed, adversary)


def _fit(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    settings: _Settings,
    device: torch.device,
    *,
    verbose: bool,
) -> float:
    generator = torch.Generator().manual_seed(settings.seed)
    starts = torch.Generator().manual_seed(derive_seed(settings.seed, "random starts"))
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    steps = math.ceil(len(x) / settings.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs * steps)
    mean = math.nan
    with tqdm(total=settings.epochs * steps, desc="training", disable=not verbose) as bar:
        for epoch in range(settings.epochs):
            losses = 0.0
            for batch in torch.randperm(len(x), generator=generator).split(settings.batch_size):
                images, labels = x[batch].to(device), y[batch].to(device)
                if settings.adversary is not None:
                    images = perturbed(model, images, labels, settings.adversary, starts)
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(images), labels)
                loss.backward()
                optimizer.step()
                schedule.step()
                losses += float(loss.detach()) * len(batch)
                bar.update()
            mean = losses / len(x)
            bar.set_postfix(epoch=epoch + 1, loss=f"{mean:.4f}")
    return mean


@torch.no_grad()
def _accuracy(
    model: nn.Module, x: Float32Array, y: NDArray[np.int64], device: torch.device
) -> float:
    right = 0
    for start in range(0, len(x), _ROWS):
        logits = model(torch.tensor(x[start : start + _ROWS]).to(device))
        right += int((logits.argmax(dim=1).cpu().numpy() == y[start : start + _ROWS]).sum())
    return right / len(x)


def _robust(
    model: nn.Module, data: Dataset, adversary: Adversary | None, device: torch.device
) -> float | None:
    """Accuracy on up to 500 test images under 20 steps of PGD from one random start."""
    if adversary is None:
        return None
    x = torch.tensor(data.x_test[:_ROWS]).to(device)
    y = torch.tensor(data.y_test[:_ROWS]).to(device)
    attack = Adversary(adversary.eps, steps=20)
    moved = perturbed(model, x, y, attack, torch.Generator().manual_seed(0))
    return _accuracy(model, moved.cpu().numpy(), data.y_test[:_ROWS], device)
