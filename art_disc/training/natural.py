"""Natural training of a network on clean images."""

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from art_disc.core.checks import Float32Array, check_count, check_images, check_labels
from art_disc.core.errors import ArtDiscError, InputError
from art_disc.data import Dataset
from art_disc.networks import load_weights, save_weights, weights_hash
from art_disc.training.cache import cache_dir


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a training run reports.

    Attributes:
        accuracy: Share of test images classified right after training, in [0, 1].
        loss: Mean training loss of the last epoch.
        weights: Hash of the weights, as `networks.weights_hash`.
        cached: Whether the weights came from the cache.
    """

    accuracy: float
    loss: float
    weights: str
    cached: bool


@dataclass(frozen=True, slots=True)
class _Settings:
    epochs: int
    learning_rate: float
    batch_size: int
    seed: int


def train(  # noqa: PLR0913 - each is a setting of its own
    model: nn.Module,
    data: Dataset,
    *,
    epochs: int = 10,
    learning_rate: float = 1e-3,
    batch_size: int = 64,
    seed: int = 0,
    verbose: bool = True,
) -> TrainingResult:
    """Train a network on clean images with Adam and cross-entropy, in place.

    The learning rate falls to zero along a cosine over the run. Batches are drawn from a generator
    of their own; nothing touches the global streams, so dropout needs the caller's own seed.

    Args:
        model: The network; it stays on its device and is left in eval mode.
        data: Training images and labels; accuracy is counted on its test images.
        epochs: Passes over the training images, >= 1.
        learning_rate: Adam's, > 0.
        batch_size: Images a step, >= 1.
        seed: Of the order of the batches.
        verbose: Show a progress bar with the loss.

    Raises:
        InputError: A setting does not fit, or there are no training images.
    """
    settings = _check(epochs, learning_rate, batch_size, seed)
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
    )


def _check(epochs: int, learning_rate: float, batch_size: int, seed: int) -> _Settings:
    if not (math.isfinite(learning_rate) and learning_rate > 0):
        msg = f"learning_rate must be a positive number, got {learning_rate}"
        raise InputError(msg)
    return _Settings(
        check_count(epochs, "epochs"), learning_rate, check_count(batch_size, "batch_size"), seed
    )


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
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    steps = math.ceil(len(x) / settings.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs * steps)
    mean = math.nan
    with tqdm(total=settings.epochs * steps, desc="training", disable=not verbose) as bar:
        for epoch in range(settings.epochs):
            losses = 0.0
            for batch in torch.randperm(len(x), generator=generator).split(settings.batch_size):
                optimizer.zero_grad()
                logits = model(x[batch].to(device))
                loss = nn.functional.cross_entropy(logits, y[batch].to(device))
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
    model: nn.Module,
    x: Float32Array,
    y: np.ndarray[tuple[int], np.dtype[np.int64]],
    device: torch.device,
) -> float:
    right = 0
    for start in range(0, len(x), 500):
        logits = model(torch.tensor(x[start : start + 500]).to(device))
        right += int((logits.argmax(dim=1).cpu().numpy() == y[start : start + 500]).sum())
    return right / len(x)


def trained(
    factory: Callable[[], nn.Module],
    data: Dataset,
    *,
    seed: int = 0,
    cache: str | Path | None = None,
    verbose: bool = True,
    **settings: int | float,
) -> tuple[nn.Module, TrainingResult]:
    """Return a naturally trained network; a second call with the same content does not train.

    The key of the cache is the content: initial weights (so architecture and seed), training
    images and labels, and settings.

    Args:
        factory: Makes the network; called under `seed`, torch's global stream is restored.
        data: As for `train`.
        seed: Of the initial weights and of the order of the batches.
        cache: Folder of weight files; None: `cache_dir()`.
        verbose: Show a progress bar while training.
        **settings: `epochs`, `learning_rate`, `batch_size` of `train`.

    Raises:
        InputError: As for `train`.
    """
    model = _initial(factory, seed)
    facts = {"initial": weights_hash(model), "data": data.fingerprint, "seed": seed, **settings}
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:20]
    file = (Path(cache) if cache else cache_dir()) / f"{data.name}-{type(model).__name__}-{key}.npz"
    if file.is_file():
        try:
            header = load_weights(model, file)
            model.eval()
            report = {**header["training"], "cached": True}
            return model, TrainingResult(**report)
        except (ArtDiscError, KeyError, TypeError):
            # a damaged cache entry costs a training, never the run
            file.unlink()
            model = _initial(factory, seed)
    result = train(model, data, seed=seed, verbose=verbose, **settings)  # type: ignore[arg-type]
    save_weights(model, file, header={"training": asdict(result), "facts": facts})
    return model, result


def _initial(factory: Callable[[], nn.Module], seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return factory()
