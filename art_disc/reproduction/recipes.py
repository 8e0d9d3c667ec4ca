"""Networks, trainings and attack steps with which each data set's tables are run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from torch import nn

from art_disc.core.checks import check_count
from art_disc.core.errors import InputError
from art_disc.data import Dataset
from art_disc.defences import MapPreprocessor
from art_disc.networks import MadryMnistNet, ResNet32
from art_disc.reproduction.tables import images_of
from art_disc.training import Adversary, SixSettings, Trained


@dataclass(frozen=True)
class Experiment:
    """How the tables of one data set are run here.

    Attributes:
        network: Makes the network for (input_shape, nb_classes).
        network_words: The network here; `published_network`: the papers'.
        adversary: Of adversarial training.
        alpha: Of the papers' surrogate, in 1 / [0, 1].
        eps_step: Step of the papers' attack, in [0, 1].
        trainings: Settings of `training.train` for `natural`, `adversarial`, `natural_again` and
            `adversarial_again`.
        images: Training images that the papers had, in words where they are not a number known.
        queries: Of Square, an image.
    """

    network: Callable[[tuple[int, int, int], int], nn.Module]
    network_words: str
    published_network: str
    adversary: Adversary
    alpha: float
    eps_step: float
    images: int | str
    queries: int
    trainings: Mapping[str, Any]

    def shortened(self, data: Dataset, train_steps: int | None) -> tuple["Experiment", Dataset]:
        """Return the experiment and its training images for so many batches of natural training.

        The other trainings are shortened by the same factor. Below one epoch the training images
        become fewer. None: as it is.
        """
        if train_steps is None:
            return self, data
        check_count(train_steps, "train_steps")
        natural = self.trainings["natural"]
        epochs = train_steps * natural["batch_size"] / len(data.x_train)
        share = epochs / natural["epochs"]
        if epochs < 1:
            few = max(natural["batch_size"], int(epochs * len(data.x_train)))
            data = data.subset(n_train=few, stratified=True)
        shorter = {
            name: {**options, "epochs": max(1, round(share * options["epochs"]))}
            for name, options in self.trainings.items()
        }
        return replace(self, trainings=shorter), data


def in_steps(
    data: Dataset, options: Mapping[str, Any], train_steps: int | None
) -> tuple[Dataset, dict[str, Any]]:
    """Return training images and settings of `train` for so many batches.

    Below one epoch the training images become fewer. None: as they are.

    Raises:
        InputError: A number of steps that is none.
    """
    if train_steps is None:
        return data, dict(options)
    images = check_count(train_steps, "train_steps") * options["batch_size"]
    epochs = max(1, round(images / len(data.x_train)))
    few = data.subset(n_train=min(images, len(data.x_train)), stratified=True)
    return few, {**options, "epochs": epochs}


def _grey(eps: float, *, steps: int, epochs: int) -> Experiment:
    fast = {"batch_size": 100, "precision": "fastest"}
    return Experiment(
        network=MadryMnistNet,
        network_words="Madry's MNIST network",
        published_network="Madry's MNIST network, about 25,000 steps (natural) or 100,000 steps "
        "against PGD-40 (adversarial)",
        adversary=Adversary(eps, steps=steps, ramp=0.3),
        alpha=10,
        eps_step=0.01,
        images=55_000,
        queries=1000,
        trainings={
            "natural": {"epochs": 6, "batch_size": 64},
            "adversarial": {"epochs": epochs, "warm_up": 0.1, **fast},
            "natural_again": {"epochs": 2, "learning_rate": 3e-4, "batch_size": 64},
            "adversarial_again": {"epochs": 1, "learning_rate": 3e-4, **fast},
        },
    )


def _colour(images: int | str, augment: str, published: str) -> Experiment:
    sgd = {"batch_size": 128, "optimizer": "sgd", "weight_decay": 5e-4, "augment": augment}
    fast = {**sgd, "precision": "fastest"}
    first = {"epochs": 15, "learning_rate": 0.1, "warm_up": 0.15, **fast}
    again = {"epochs": 3, "learning_rate": 0.02, **fast}
    return Experiment(
        network=ResNet32,
        network_words="ResNet with 8 layers, width 16",
        published_network=published,
        adversary=Adversary(8 / 255, steps=5, step_size=2 / 255, ramp=0.3),
        alpha=25.5,
        eps_step=2 / 255,
        images=images,
        queries=300,
        trainings={
            "natural": first,
            "adversarial": first,
            "natural_again": again,
            "adversarial_again": again,
        },
    )


_WIDE = "Madry's wide ResNet (16-160-320-640), about 80,000 steps"

EXPERIMENTS: dict[str, Experiment] = {
    "mnist": _grey(0.3, steps=7, epochs=8),
    # the smaller budget is learnt sooner
    "fashion_mnist": _grey(0.1, steps=5, epochs=4),
    "cifar10": _colour(50_000, "crop_flip", _WIDE),
    "gtsrb": _colour("all of mean intensity 50 or more", "crop", _WIDE),
    # for images of the user's own: this network is no match for the papers'
    "imagenet": replace(
        _colour(1_281_167, "crop_flip", "trained networks of others, of the Inception family"),
        eps_step=1 / 255,
    ),
}


def experiment(dataset: str) -> Experiment:
    """Return how the tables of a data set are run; refuse one that has no recipe."""
    if dataset not in EXPERIMENTS:
        known = ", ".join(EXPERIMENTS)
        msg = f"no experiment for {dataset}; there are {known}"
        raise InputError(msg)
    return EXPERIMENTS[dataset]


@dataclass(frozen=True)
class Stage:
    """A data set with what the rows of a table share.

    Attributes:
        data: With the training images that are really used.
        experiment: Its recipe, shortened as asked.
        steps: Batches in the natural training that were asked for; None: the recipe's own.
    """

    data: Dataset
    experiment: Experiment
    steps: int | None = None

    @classmethod
    def of(cls, dataset: str, data_dir: str | Path | None, train_steps: int | None) -> Self:
        """Load a data set and its recipe, shortened to so many steps; None: as it is.

        Raises:
            InputError: No recipe, or no such number of steps.
            DataNotFoundError: No such data.
        """
        whole = experiment(dataset)
        images = images_of(dataset, dataset, data_dir)
        how, data = whole.shortened(images, train_steps)
        return cls(data, how, train_steps)

    def trained(
        self, setting: str, defences: Sequence[MapPreprocessor], *, seed: int, verbose: bool
    ) -> Trained:
        """Return one of the six settings with these defences; trains what is missing."""
        how, data = self.experiment, self.data
        six = SixSettings(
            lambda: how.network(data.input_shape, data.nb_classes),
            data,
            defences,
            adversary=how.adversary,
            **how.trainings,
            seed=seed,
            verbose=verbose,
        )
        return six[setting]
