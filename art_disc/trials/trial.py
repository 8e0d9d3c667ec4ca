"""Running one ART attack batch by batch, repeatably, and counting what it asked."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from art.attacks.attack import EvasionAttack

from art_disc.core.budget import Budget
from art_disc.core.checks import Float32Array, IntArray
from art_disc.core.errors import ArtDiscError
from art_disc.core.showing import Shown
from art_disc.estimators.applied import applied
from art_disc.trials.follower import Follower, Steps
from art_disc.trials.frozen import frozen_parameters
from art_disc.trials.ledger import Ledger
from art_disc.trials.score import pick_targets, predict_labels
from art_disc.trials.streams import global_streams, own_streams
from art_disc.trials.time_limit import time_limit


class AttackOutputError(ArtDiscError, ValueError):
    """An attack returned something that is no adversarial example."""


@dataclass(frozen=True, slots=True, eq=False)
class Trial(Shown):
    """One attack to run on one classifier.

    Attributes:
        make: Makes the attack object, once a batch; its `generate(x, y)` gets images (n, ...) and
            one-hot rows (n, classes).
        source: ART classifier that it runs on.
        x: Clean images in the input range; the attack gets copies.
        y: True labels (n,).
        budget: Within which an earlier iterate counts; the attack has its own word for it.
        seeds: From the index of a batch's first image to the seed of all its streams.
        batch_size: Images at once; None: all.
        targeted: Give it the likeliest wrong classes in place of the true ones.
        follow: Take an earlier iterate where the last one is not adversarial on the source itself.
            Not where the source draws (what one draw says of an iterate is luck) or has
            preprocessors of ART's own list (the module does not see the image then).
        nan_is_clean: An image with NaN in it counts as not attacked; else the trial fails.
        counted_at: Where the ledger counts; None: the source's network.
        nb_classes: Columns of the one-hot rows; None: as many as the source says it has.
        seconds: What the trial may take; 0: as long as it likes. See `time_limit`.
        advance: Called with the number of images done, after each batch.
    """

    make: Callable[[], EvasionAttack]
    source: Any
    x: Float32Array
    y: IntArray
    budget: Budget
    seeds: Callable[[int], int]
    batch_size: int | None = None
    targeted: bool = False
    follow: bool = False
    nan_is_clean: bool = False
    counted_at: torch.nn.Module | None = None
    nb_classes: int | None = None
    seconds: float = 0.0
    advance: Callable[[int], object] = lambda _: None

    @property
    def module(self) -> Any:
        """The source's torch module, or None."""
        return getattr(self.source, "model", None)

    @property
    def network(self) -> torch.nn.Module:
        """Where the ledger counts; nothing passes through it where the source has no network."""
        found = self.counted_at
        if found is None:
            found = getattr(self.source, "base_network", self.module)
        return found if isinstance(found, torch.nn.Module) else torch.nn.Identity()

    @property
    def can_follow(self) -> bool:
        """Whether iterates are asked for and can be seen."""
        preprocessed = applied(getattr(self.source, "preprocessing_defences", None) or ())
        random = getattr(self.source, "is_random", False)
        return self.follow and not preprocessed and not random and self.module is not None


@dataclass(frozen=True, slots=True, eq=False)
class TrialResult(Shown):
    """Adversarial images, and what they cost.

    Attributes:
        images: Shape of the clean ones, in the input range.
        steps: What the iterates did on the way; of an attack that was not followed, nothing.
        gradients, queries: Counted at the network, over all images and draws.
        seconds: Wall time.
        attack: Class of the attack.
    """

    images: Float32Array
    steps: Steps
    gradients: int
    queries: int
    seconds: float
    attack: str


def run_trial(trial: Trial) -> TrialResult:
    """Run an attack batch by batch.

    Raises:
        AttackOutputError: It returned no such images.
        TrialTimeoutError: It took longer than the trial may take.
        Exception: Whatever the attack raises.
    """
    size = trial.batch_size or len(trial.x)
    parts, steps, ledger, name = [], Steps(), Ledger(), ""
    begun = time.perf_counter()
    with (
        ledger.watching(trial.network),
        frozen_parameters(trial.module),
        time_limit(trial.seconds),
    ):
        for start in range(0, len(trial.x), size):
            x, y = trial.x[start : start + size], trial.y[start : start + size]
            follower = Follower(x, y, trial.budget)
            images, name = _run_batch(trial, x, y, trial.seeds(start), follower)
            parts.append(images)
            steps.add(follower)
            trial.advance(len(images))
    seconds = round(time.perf_counter() - begun, 3)
    images = np.concatenate(parts)
    return TrialResult(images, steps, ledger.gradients, ledger.queries, seconds, name)


def _run_batch(
    trial: Trial, x: Float32Array, y: IntArray, seed: int, follower: Follower
) -> tuple[Float32Array, str]:
    """Return the images of one batch, and the attack's class."""
    source = trial.source
    device = getattr(source, "device", torch.device("cpu"))
    with own_streams(trial.module, seed), ExitStack() as stack:
        goal = pick_targets(source, x, y) if trial.targeted else y
        onehot = np.eye(trial.nb_classes or source.nb_classes, dtype=np.float32)[goal]
        stack.enter_context(global_streams(seed, device))
        if trial.can_follow:
            stack.enter_context(follower.watching(trial.module))
        attack = trial.make()
        found = attack.generate(x.copy(), onehot)
    images = sanitise(found, x, trial.budget.upper, nan_is_clean=trial.nan_is_clean)
    if follower.found:
        images = follower.better(images, failed=predict_labels(source, images) == y)
    return images, type(attack).__name__


def sanitise(
    adversarial: Any, x: Float32Array, upper: float, *, nan_is_clean: bool = False
) -> Float32Array:
    """Return adversarial images as float32 in the input range.

    Attacks without a clip of their own may leave the range; such pixels are brought back to it,
    which never enlarges the change. With `nan_is_clean` the clean image of `x` takes the place of
    one with NaN or infinity.

    Raises:
        AttackOutputError: Another shape, or NaN or infinity.
    """
    images = np.asarray(adversarial, dtype=np.float32)
    if images.shape != x.shape:
        msg = f"expected images of shape {x.shape} from the attack, got {images.shape}"
        raise AttackOutputError(msg)
    lost = ~np.isfinite(images).reshape(len(images), -1).all(axis=1)
    if lost.any() and not nan_is_clean:
        msg = f"expected finite images from the attack, got NaN or infinity in {lost.sum()}"
        raise AttackOutputError(msg)
    if lost.any():
        images = np.where(lost.reshape(-1, *[1] * (x.ndim - 1)), x, images)
    return np.clip(images, 0, np.float32(upper))
