"""The loop that trains an LQ-VAE: batches, reports, checkpoints."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from art_disc.core.checks import Float32Array
from art_disc.core.errors import InputError
from art_disc.core.fingerprint import fingerprint
from art_disc.core.seeds import derive_seed
from art_disc.core.showing import Shown
from art_disc.networks import LQVAENet
from art_disc.networks.lqvae_layers import local_averages
from art_disc.networks.norms import contract, release
from art_disc.training.checkpoint import State
from art_disc.training.lqvae_settings import LQVAESettings
from art_disc.training.lqvae_step import StepLoss, optimizer_of
from art_disc.training.recipe import evaluating

# steps between two reports; the first comes sooner
_ROUND, _FIRST = 200, 50
# a checkpoint of the paper's layers is a file of some 200 MB
_SECONDS_BETWEEN_CHECKPOINTS = 300.0


@dataclass(frozen=True, slots=True)
class LQVAEReport(Shown):
    """What a fit tells on the way, of images purified by mean inference.

    Attributes:
        step: Steps done.
        error: Mean squared error of a pixel, on [0, 1].
        accuracy: Of the classifier behind the filter, in [0, 1]; None without one.
    """

    step: int
    error: float
    accuracy: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """What a fit learns from, and what it looks at.

    Attributes:
        inputs: Images to encode, (n, c, h, w) in [0, 1].
        targets: Images to make of them.
        seen: Images to look at.
        labels: Of those.
        classifier: Whose accuracy on them is told.
    """

    inputs: Float32Array
    targets: Float32Array
    seen: Float32Array
    labels: NDArray[np.int64] | None
    classifier: Any


OnReport = Callable[[LQVAEReport], object]


def fitted(
    settings: LQVAESettings,
    images: Images,
    checkpoint: str | Path | None,
    *,
    on_report: OnReport | None = None,
    verbose: bool,
) -> tuple[LQVAENet, tuple[LQVAEReport, ...]]:
    """Return a network that is trained on the images, in eval mode, and what was seen on the way.

    Raises:
        InputError: The checkpoint is of another fit, or the loss overflowed.
        FileFormatError: The checkpoint is damaged.
    """
    run = _Fit(settings, images)
    if checkpoint is not None:
        run.state.load(checkpoint)
    run.through(checkpoint, on_report, verbose=verbose)
    release(run.net)
    # layers that were bounded have their tensors in another order, and a hash of their own
    net = LQVAENet.blank(**run.net.arguments())
    net.load_state_dict(run.net.state_dict())
    if checkpoint is not None:
        Path(checkpoint).unlink(missing_ok=True)
    return net.eval(), run.reports


def _new_network(settings: LQVAESettings, inputs: Float32Array) -> LQVAENet:
    """Return the network before its first step; of a bounded encoder with rescaled layers."""
    names = ("latent", "eta", "soft_c", "noise", "stack", "linear_encoder")
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(derive_seed(settings.random_state, "weights"))
        net = LQVAENet(inputs.shape[1:], **{name: getattr(settings, name) for name in names})
        if settings.penalty == "bounded":
            _bound(net, settings.lipschitz, inputs)
    if settings.copy_decoder:
        net.soft_decoder.load_state_dict(net.decoder.state_dict())
    return net


def _bound(net: LQVAENet, lipschitz: float, inputs: Float32Array) -> None:
    """Keep the encoder within its bound, that of the means at `lipschitz`.

    Layers of convolutions keep l2 norms of 1, a linear encoder rows of that absolute sum, which
    begin as averages, closer to one another where the images vary more.
    """
    mean = net.encoder.mean
    # H is even: around 0 it has no slope to learn from
    nn.init.constant_(mean.bias, net.eta)
    if net.linear_encoder:
        with torch.no_grad():
            rows = local_averages(torch.tensor(inputs.std(axis=0)), net.latent)
            # the longer they are before they are bounded, the less a step turns them
            mean.weight.copy_(rows / rows.amax(dim=1, keepdim=True))
        contract(mean, lipschitz, math.inf)
        return
    for layer in (*net.encoder.body, mean):
        if isinstance(layer, nn.Linear | nn.Conv2d):
            # rows that are orthogonal from the start are not shortened
            nn.init.orthogonal_(layer.weight)
            contract(layer, lipschitz if layer is mean else 1.0)


class _Fit:
    """One run of the loop; it can stop between any two rounds."""

    def __init__(self, settings: LQVAESettings, images: Images) -> None:
        self.settings, self.images = settings, images
        self.net = _new_network(settings, images.inputs)
        self.loss = StepLoss(settings)
        self.inputs, self.targets = torch.tensor(images.inputs), torch.tensor(images.targets)
        optimizer = optimizer_of(settings, self.net)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: settings.decay ** (step / 10_000)
        )
        generators = {
            name: torch.Generator().manual_seed(derive_seed(settings.random_state, name))
            for name in ("draws", "directions")
        }
        data = fingerprint(images.inputs, images.targets, images.seen)
        facts = {**settings.facts(), "images": data, "kind": type(settings).__name__}
        self.state = State(self.net, optimizer, schedule, generators, facts)

    @property
    def reports(self) -> tuple[LQVAEReport, ...]:
        """What was seen so far."""
        told = zip(self._stops(), self.state.losses, self.state.accuracies, strict=False)
        return tuple(
            LQVAEReport(step, error, None if math.isnan(accuracy) else accuracy)
            for step, error, accuracy in told
        )

    def _stops(self) -> list[int]:
        """Return after how many steps there is a report."""
        steps = self.settings.steps
        return [s for s in (_FIRST, *range(_ROUND, steps, _ROUND)) if s < steps] + [steps]

    def through(
        self, checkpoint: str | Path | None, on_report: OnReport | None, *, verbose: bool
    ) -> None:
        """Train the rounds that are left."""
        state, written = self.state, time.monotonic()
        with tqdm(
            total=self.settings.steps, initial=state.epoch, desc="LQ-VAE", disable=not verbose
        ) as bar:
            for stop in self._stops():
                if stop <= state.epoch:
                    continue
                self.net.train()
                for step in range(state.epoch, stop):
                    self._step(step)
                    bar.update()
                state.epoch = stop
                error, accuracy = self._look()
                state.losses.append(error)
                state.accuracies.append(accuracy)
                bar.set_postfix(error=f"{error:.4f}", accuracy=f"{accuracy:.1%}")
                if on_report is not None:
                    on_report(self.reports[-1])
                late = time.monotonic() - written > _SECONDS_BETWEEN_CHECKPOINTS
                if checkpoint is not None and late and stop < self.settings.steps:
                    state.save(checkpoint)
                    written = time.monotonic()

    def _step(self, step: int) -> None:
        state, latent = self.state, self.settings.latent
        rows = self._batch(step)
        normal = torch.randn(len(rows), latent, generator=state.generators["draws"])
        direction = self.loss.direction(len(rows), latent, state.generators["directions"])
        state.optimizer.zero_grad()
        loss = self.loss(self.net, self.inputs[rows], self.targets[rows], normal, direction)
        value = float(loss.detach())
        if not math.isfinite(value):
            msg = (
                f"the loss of step {step + 1} is {value}, no finite number; lower "
                "learning_rate or penalty_weight"
            )
            raise InputError(msg)
        loss.backward()
        state.optimizer.step()
        state.schedule.step()

    def _batch(self, step: int) -> Tensor:
        """Return the rows of a step; they depend on it alone, so that a fit can go on from it."""
        n, size = len(self.inputs), self.settings.batch_size
        epoch, place = divmod(step, math.ceil(n / size))
        order = torch.arange(n)
        if self.settings.shuffle:
            seed = derive_seed(self.settings.random_state, "order", epoch)
            order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
        return order[place * size : (place + 1) * size]

    def _look(self) -> tuple[float, float]:
        """Return the error of the images to look at, and the classifier's accuracy, or NaN."""
        seen = torch.tensor(self.images.seen)
        with evaluating(self.net), torch.no_grad():
            made = self.net(seen)
        error = float((made - seen).square().mean())
        if self.images.labels is None:
            return error, math.nan
        found = np.asarray(self.images.classifier.predict(made.numpy())).argmax(axis=1)
        return error, float((found == self.images.labels).mean())
