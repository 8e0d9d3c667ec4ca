"""Random numbers that begin anew with every attack: the defences' own, and the global ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from art_disc.core.seeds import derive_seed, global_seeds
from art_disc.defences.draws import own_generators

# Put around a whole evaluation: ART's predict draws from torch's global stream (through its
# DataLoader), which is the caller's.
callers_stream = torch.random.fork_rng(devices=[])


@contextmanager
def own_streams(model: Any, seed: int) -> Iterator[None]:
    """Let a model's defences draw from streams of this seed inside the block.

    An attack must not depend on what drew before it: on a time estimate, on pictures, on rows that
    a resumed run need not run again. Afterwards the streams are where they were.
    """
    streams = own_generators(model) if isinstance(model, torch.nn.Module) else []
    before = [generator.get_state() for generator in streams]
    for i, generator in enumerate(streams):
        generator.manual_seed(derive_seed(seed, "stream", i))
    try:
        yield
    finally:
        for generator, state in zip(streams, before, strict=True):
            generator.set_state(state)


@contextmanager
def global_streams(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the global streams of NumPy, Python and torch inside the block and restore them after.

    ART's attacks draw from them.
    """
    cuda = [device.index or 0] if device.type == "cuda" else []
    with global_seeds(seed), torch.random.fork_rng(devices=cuda):
        torch.manual_seed(seed)
        yield
