"""Networks of signs, and their real twins of the same width, as they are trained for the tables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from art_disc.core.checks import check_choice, check_count
from art_disc.core.showing import Shown
from art_disc.data import Dataset
from art_disc.defences import MapPreprocessor, as_defences
from art_disc.estimators import build_classifier
from art_disc.networks import fcn1, fcn2
from art_disc.training import Adversary, Trained, trained
from art_disc.training.objectives import objective_of
from art_disc.training.recipe import recipe_of

PRECISIONS = ("bnn", "real")


@dataclass(frozen=True)
class BinarisedRecipe(Shown):
    """One architecture, binarised and real, and the settings of `training.train` for each.

    Attributes:
        network: Makes the network for (input_shape, nb_classes), told its `binarization`.
        words: The architecture here.
        published: The papers' architecture and training.
        trainings: Settings of `train` by precision, `bnn` and `real`.
    """

    network: Callable[..., nn.Module]
    words: str
    published: str
    trainings: Mapping[str, Mapping[str, Any]]

    def trained(  # noqa: PLR0913 - each is a choice of its own
        self,
        data: Dataset,
        precision: str = "bnn",
        *,
        defences: Any = (),
        adversary: Adversary | None = None,
        train_steps: int | None = None,
        seed: int = 0,
        verbose: bool = True,
    ) -> Trained:
        """Train the network behind these defences, or take it from the cache.

        A training that is stopped goes on at the next call, after its last whole epoch.

        Args:
            data: Trains it, and fits defences that are not fitted.
            precision: `bnn`, or `real` for the twin of full precision.
            defences: As for `train`.
            adversary: As for `train`.
            train_steps: Batches in place of the recipe's epochs; below one epoch the training
                images become fewer. None: the recipe's own.
            seed: As for `trained`.
            verbose: Show a progress bar.

        Raises:
            InputError: Another precision, or a number of steps that is none.
        """
        options = dict(self.trainings[check_choice(precision, "precision", PRECISIONS)])
        few = data
        if train_steps is not None:
            check_count(train_steps, "train_steps")
            images = train_steps * options["batch_size"]
            options["epochs"] = max(1, round(images / len(data.x_train)))
            few = data.subset(n_train=min(images, len(data.x_train)), stratified=True)
        chain: list[MapPreprocessor] = as_defences(defences)
        make = partial(self.network, data.input_shape, data.nb_classes, binarization=precision)
        network, result = trained(
            make, few, seed=seed, adversary=adversary, defences=chain, verbose=verbose, **options
        )
        words = (objective_of(None, adversary).describe(), recipe_of(**options).describe())
        classifier = build_classifier(network, data=data, defences=chain)
        return Trained(classifier, result, f"{', '.join(words)}, weights {result.weights}")


def _both(bnn: float, real: float, **shared: Any) -> dict[str, dict[str, Any]]:
    """Return the settings of both trainings, which differ in their learning rates alone."""
    return {"bnn": {"learning_rate": bnn, **shared}, "real": {"learning_rate": real, **shared}}


BINARISED: dict[str, BinarisedRecipe] = {
    "fcn1": BinarisedRecipe(
        fcn1,
        "FCN1 (784-6144x4-10)",
        "FCN1 (784-6144x4-10), 20 epochs",
        _both(1e-2, 1e-3, epochs=5, batch_size=100),
    ),
    "fcn2": BinarisedRecipe(
        fcn2,
        "FCN2 (784-600x4-10)",
        "FCN2 (784-600x4-10), 10 epochs",
        _both(1e-2, 1e-3, epochs=8, batch_size=100),
    ),
}
