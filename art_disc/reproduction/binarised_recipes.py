"""Networks of signs, and their real twins of the same width, as they are trained for the tables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from art_disc.core.checks import check_choice
from art_disc.core.errors import InputError
from art_disc.core.showing import Shown
from art_disc.data import Dataset
from art_disc.defences import MapPreprocessor, as_defences
from art_disc.estimators import build_classifier
from art_disc.networks import alexnet, binarynet_cifar, fcn1, fcn2, resnet20
from art_disc.reproduction.recipes import in_steps
from art_disc.training import AnyAdversary, Objective, RandomStepFGSM, Trained, trained
from art_disc.training.objectives import objective_of
from art_disc.training.recipe import recipe_of

PRECISIONS = ("bnn", "real")


@dataclass(frozen=True)
class BinarisedRecipe(Shown):
    """One architecture, binarised and real, and the settings of `training.train` for each.

    Attributes:
        name: One of `RECIPES`.
        dataset: What it is for.
        network: Makes the network for (input_shape, nb_classes), told its `binarization`.
        words: The architecture.
        images: Training images that the papers had.
        trainings: Settings of `train` by precision.
        adversary: Of adversarial training.
    """

    name: str
    dataset: str
    network: Callable[..., nn.Module]
    words: str
    images: int
    trainings: Mapping[str, Mapping[str, Any]]
    adversary: AnyAdversary

    def trained(  # noqa: PLR0913 - each is a choice of its own
        self,
        data: Dataset,
        precision: str = "bnn",
        *,
        defences: Any = (),
        objective: Objective | None = None,
        adversary: AnyAdversary | None = None,
        train_steps: int | None = None,
        seed: int = 0,
        verbose: bool = True,
    ) -> Trained:
        """Train the network behind these defences, or take it from the cache.

        A training that is stopped goes on at the next call, after its last whole epoch.

        Args:
            data: Trains it, and fits defences that are not fitted.
            precision: One that the recipe has a training of: `bnn`, `xnor`, or `real` for the twin
                of full precision.
            defences: As for `train`.
            objective: As for `train`.
            adversary: As for `train`.
            train_steps: Batches in place of the recipe's epochs; below one epoch the training
                images become fewer. None: the recipe's own.
            seed: As for `trained`.
            verbose: Show a progress bar.

        Raises:
            InputError: Another precision, or a number of steps that is none.
        """
        own = self.trainings[check_choice(precision, "precision", self.trainings)]
        few, options = in_steps(data, own, train_steps)
        chain: list[MapPreprocessor] = as_defences(defences)
        make = partial(self.network, data.input_shape, data.nb_classes, binarization=precision)
        step = objective_of(objective, adversary)
        network, result = trained(
            make, few, seed=seed, objective=step, defences=chain, verbose=verbose, **options
        )
        words = (step.describe(), recipe_of(**options).describe())
        classifier = build_classifier(network, data=data, defences=chain)
        return Trained(classifier, result, f"{', '.join(words)}, weights {result.weights}")


def _both(bnn: float, real: float, **shared: Any) -> dict[str, dict[str, Any]]:
    """Return the settings of both trainings, which differ in their learning rates alone."""
    return {"bnn": {"learning_rate": bnn, **shared}, "real": {"learning_rate": real, **shared}}


def _xnor(xnor: int, real: int) -> dict[str, dict[str, Any]]:
    """Return the settings of a published pair that was not run here, by their epochs."""
    shared = {"batch_size": 128, "augment": "crop_flip"}
    return {
        "xnor": {"epochs": xnor, "learning_rate": 1e-3, **shared},
        "real": {"epochs": real, "learning_rate": 1e-3, **shared},
    }


# the form that keeps the budget: what is printed goes 1.5 times as far
_GREY, _COLOUR = RandomStepFGSM(0.3), RandomStepFGSM(8 / 255)
_SMALL = (48, 48, 96, 96, 192, 192)

RECIPES: dict[str, BinarisedRecipe] = {
    recipe.name: recipe
    for recipe in (
        BinarisedRecipe(
            "fcn2", "mnist", fcn2, "FCN2 (784-600x4-10)", 60_000,
            _both(1e-2, 1e-3, epochs=8, batch_size=100), _GREY,
        ),
        BinarisedRecipe(
            "fcn1", "mnist", fcn1, "FCN1 (784-6144x4-10)", 60_000,
            _both(
                1e-2, 1e-3, epochs=5, batch_size=200, optimizer="fused_adam", precision="fastest"
            ), _GREY,
        ),
        BinarisedRecipe(
            "cifar_small", "cifar10", partial(binarynet_cifar, widths=_SMALL, hidden=(256,)),
            f"BinaryNet's CIFAR network of widths {'-'.join(map(str, _SMALL))}, 256", 50_000,
            _both(
                5e-3, 1e-3, epochs=20, batch_size=100, augment="crop_flip", precision="fastest"
            ), _COLOUR,
        ),
        BinarisedRecipe(
            "resnet20", "cifar100", resnet20, "ResNet-20", 50_000, _xnor(164, 164), _COLOUR
        ),
        BinarisedRecipe(
            "alexnet", "imagenet", alexnet, "AlexNet", 1_281_167, _xnor(50, 90), _COLOUR
        ),
    )
}  # fmt: skip


def recipe_for(dataset: str, network: str | None = None) -> BinarisedRecipe:
    """Return the recipe of a network, or the usual one of a data set: the first.

    Raises:
        InputError: No recipe of this name for this data set.
    """
    there = {recipe.name: recipe for recipe in RECIPES.values() if recipe.dataset == dataset}
    if network is None and there:
        return next(iter(there.values()))
    if network not in there:
        msg = f"no network {network!r} for {dataset}; there are {', '.join(there) or 'none'}"
        raise InputError(msg)
    return there[network]
