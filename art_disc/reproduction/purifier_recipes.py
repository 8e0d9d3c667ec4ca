"""Classifiers A, B and C, and the LQ-VAE before them, as they are trained for the tables."""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import nn

from art_disc.core.checks import check_choice
from art_disc.core.errors import DataNotFoundError, FileFormatError
from art_disc.data import Dataset
from art_disc.estimators import build_classifier
from art_disc.networks import classifier_a, classifier_b, classifier_c
from art_disc.reproduction.recipes import in_steps
from art_disc.training import LQVAE, Adversary, Trained, cache_dir, trained
from art_disc.training.lqvae_fit import OnReport
from art_disc.training.objectives import objective_of
from art_disc.training.recipe import recipe_of

EPS = 0.3
# half of the published code's 10,001, for the time that they take
LQVAE_STEPS: Mapping[str, int] = {"code": 5_000}
CLASSIFIERS: dict[str, Callable[..., nn.Module]] = {
    "A": classifier_a,
    "B": classifier_b,
    "C": classifier_c,
}
# published without epochs; one pass fewer than accuracy asks for costs less than it seems
_NATURAL = {"epochs": 4, "batch_size": 64}
_ADVERSARIAL = {"epochs": 4, "batch_size": 100, "warm_up": 0.1, "precision": "fastest"}
TRAININGS: Mapping[str, tuple[Mapping[str, Any], Adversary | None]] = {
    "none": (_NATURAL, None),
    # FGSM itself: one full step from the image
    "fgsm_trained": (
        _ADVERSARIAL,
        Adversary(EPS, steps=1, step_size=EPS, random_start=False),
    ),
    "pgd_trained": (_ADVERSARIAL, Adversary(EPS, steps=5, ramp=0.3)),
}


def trained_classifier(
    data: Dataset,
    model: str,
    training: str = "none",
    *,
    train_steps: int | None = None,
    seed: int = 0,
    verbose: bool = True,
) -> Trained:
    """Train a classifier without a defence, or take it from the cache.

    Args:
        data: Trains it.
        model: `A`, `B` or `C`.
        training: One of `TRAININGS`.
        train_steps: Batches in place of the recipe's epochs; None: these.
        seed: As for `training.trained`.
        verbose: Show a progress bar.

    Raises:
        InputError: Another classifier or training, or images that are too small for it.
    """
    factory = CLASSIFIERS[check_choice(model, "model", CLASSIFIERS)]
    own, adversary = TRAININGS[check_choice(training, "training", TRAININGS)]
    few, options = in_steps(data, own, train_steps)
    make = partial(factory, data.input_shape, data.nb_classes)
    network, result = trained(make, few, seed=seed, adversary=adversary, verbose=verbose, **options)
    words = (objective_of(None, adversary).describe(), recipe_of(**options).describe())
    told = f"{', '.join(words)}, weights {result.weights}"
    return Trained(build_classifier(network, data=data), result, told)


def trained_lqvae(  # noqa: PLR0913 - each is a choice of its own
    data: Dataset,
    preset: str = "code",
    *,
    classifier: Any = None,
    train_steps: int | None = None,
    seed: int = 0,
    on_report: OnReport | None = None,
    verbose: bool = True,
) -> LQVAE:
    """Fit an LQ-VAE, or take it from the cache; an interrupted fit goes on.

    Args:
        data: Its training images are learnt, its test images looked at on the way.
        preset: As for `LQVAE.preset`.
        classifier: Whose accuracy behind the filter the reports tell: it shows means that collapse,
            where the error hardly does.
        train_steps: Steps in place of the recipe's, those of `LQVAE_STEPS` or else of the preset.
        seed: As `random_state`.
        on_report: As for `LQVAE.fit`; not called where it comes from the cache.
        verbose: Show a progress bar.

    Raises:
        InputError: Another preset, or a number of steps that is none.
    """
    # an unknown preset is refused with a word of its own
    own = LQVAE_STEPS.get(preset) if train_steps is None else train_steps
    steps = {} if own is None else {"steps": own}
    vae = LQVAE.preset(preset, random_state=seed, **steps)
    facts = json.dumps([vae.facts(), data.fingerprint], sort_keys=True)
    key = hashlib.sha256(facts.encode()).hexdigest()[:20]
    file = cache_dir() / f"{data.name}-LQVAE-{key}.npz"
    try:
        return LQVAE.load(file)
    except DataNotFoundError:
        pass
    except FileFormatError:
        # a damaged entry costs a fit, never the run
        file.unlink()
    part = file.with_suffix(".part.npz")
    vae.fit(
        data.x_train, x_test=data.x_test, y_test=data.y_test, classifier=classifier,
        checkpoint=part, on_report=on_report, verbose=verbose,
    )  # fmt: skip
    vae.save(file)
    return vae
