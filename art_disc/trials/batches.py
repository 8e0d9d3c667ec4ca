"""Running one ART attack on a batch at a time, repeatably, and counting what it asked."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from art.attacks.attack import EvasionAttack
from numpy.typing import NDArray

from art_disc.core.checks import Float32Array
from art_disc.core.seeds import derive_seed
from art_disc.trials.ledger import Ledger
from art_disc.trials.score import sanitise
from art_disc.trials.streams import global_streams, own_streams


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """Adversarial images, and what they cost.

    Attributes:
        images: Shape of the clean ones, in the input range.
        gradients, queries: Counted at the source's network, over all images and draws.
        seconds: Wall time.
        attack: Class of the attack.
    """

    images: Float32Array
    gradients: int
    queries: int
    seconds: float
    attack: str


def attack_batches(  # noqa: PLR0913 - what an attack is run with
    make: Callable[[], EvasionAttack],
    source: Any,
    x: Float32Array,
    y: NDArray[np.int64],
    *,
    batch_size: int,
    seed: int,
    advance: Callable[[int], object] = lambda _: None,
) -> Made:
    """Run an untargeted attack batch by batch; global and own streams begin anew with each.

    Args:
        make: Makes the attack object, once a batch.
        source: ART classifier that it runs on.
        x: Images in its input range.
        y: Labels (n,).
        batch_size: Images at once.
        seed: Of all streams.
        advance: Called with the number of images done.

    Raises:
        AttackOutputError: The attack returned no such images.
    """
    module = getattr(source, "model", None)
    network = getattr(source, "base_network", module)
    if not isinstance(network, torch.nn.Module):
        network = torch.nn.Identity()
    device = getattr(source, "device", torch.device("cpu"))
    upper = float(np.max(source.clip_values[1]))
    parts, ledger, start, told = [], Ledger(), time.perf_counter(), ""
    for first in range(0, len(x), batch_size):
        images, labels = x[first : first + batch_size], y[first : first + batch_size]
        onehot = np.eye(source.nb_classes, dtype=np.float32)[labels]
        here = derive_seed(seed, first)
        with own_streams(module, here), global_streams(here, device), ledger.watching(network):
            attack = make()
            found = attack.generate(images.copy(), onehot)
        parts.append(sanitise(found, images, upper))
        told = type(attack).__name__
        advance(len(images))
    seconds = round(time.perf_counter() - start, 3)
    return Made(np.concatenate(parts), ledger.gradients, ledger.queries, seconds, told)
