"""Trained weights are kept between runs, under a key of everything that decides them."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from platformdirs import user_cache_path
from torch import nn

from art_disc.core.errors import ArtDiscError
from art_disc.core.records.checked import decode
from art_disc.data import as_dataset
from art_disc.defences import as_defences
from art_disc.networks import load_weights, save_weights
from art_disc.training.adversary import AnyAdversary
from art_disc.training.checkpoint import facts_of
from art_disc.training.facts import facts_decide, fit_defences, training_facts
from art_disc.training.loop import OnEpoch, Training, TrainingResult, check_torch_seed
from art_disc.training.objectives import Objective, objective_of
from art_disc.training.recipe import recipe_of


def cache_dir() -> Path:
    """Return `$ART_DISC_CACHE`, else the system's folder for caches (`~/.cache/art_disc`)."""
    own = os.environ.get("ART_DISC_CACHE")
    return Path(own) if own else user_cache_path("art_disc", appauthor=False)


def trained(  # noqa: PLR0913 - each is a choice of its own
    factory: Callable[[], nn.Module],
    data: Any,
    *,
    seed: int = 0,
    objective: Objective | None = None,
    adversary: AnyAdversary | None = None,
    defences: Any = (),
    on_epoch: OnEpoch | None = None,
    cache: str | Path | None = None,
    verbose: bool = True,
    **settings: Any,
) -> tuple[nn.Module, TrainingResult]:
    """Return a trained network; a second call with the same content does not train.

    The key of the cache is the content: the network's description and initial weights, training
    images and labels, settings, objective and defences. A run that is interrupted goes on at the
    next call where its last whole epochs ended. A surrogate of the user's own (`Custom`) that an
    adversary attacks through has no content to tell: such a network is trained anew each time.

    Args:
        factory: Makes the network; called under `seed`, torch's global stream is restored.
        data: As for `train`.
        seed: Of the initial weights, of the order of the batches and of the random starts.
        objective: As for `train`.
        adversary: As for `train`.
        defences: As for `train`.
        on_epoch: As for `train`; not called where the weights come from the cache.
        cache: Folder of weight files; None: `cache_dir()`.
        verbose: Show a progress bar while training.
        **settings: The other settings of `train`, `epochs` for example.

    Raises:
        InputError: As for `train`, or an unknown setting.
    """
    check_torch_seed(seed)
    data, defences = as_dataset(data), as_defences(defences)
    step = objective_of(objective, adversary)
    model = _initial(factory, seed)
    fit_defences(defences, data)
    recipe = recipe_of(**settings)
    facts = training_facts(model, data, recipe, seed, step, defences)
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:20]
    file = (Path(cache) if cache else cache_dir()) / f"{data.name}-{type(model).__name__}-{key}.npz"
    known = facts_decide(defences, step)
    if known and (result := _cached(model, file)) is not None:
        return model, result
    part = file.with_suffix(".part.npz")
    if facts_of(part) != facts:
        part.unlink(missing_ok=True)
    # a damaged entry may have changed the weights
    model = _initial(factory, seed)
    run = Training(model, data, recipe, seed, step, defences)
    result = run.result(part if known else None, on_epoch, verbose=verbose)
    if known:
        save_weights(model, file, header={"training": asdict(result), "facts": facts})
        part.unlink(missing_ok=True)
    return model, result


def _cached(model: nn.Module, file: Path) -> TrainingResult | None:
    """Put cached weights into the network; None where there are none that can be read."""
    if not file.is_file():
        return None
    try:
        found = {**load_weights(model.eval(), file)["training"], "cached": True}
        return decode(TrainingResult, found, str(file))
    except (ArtDiscError, KeyError, TypeError):
        # a damaged cache entry costs a training, never the run
        file.unlink()
        return None


def _initial(factory: Callable[[], nn.Module], seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return factory()
