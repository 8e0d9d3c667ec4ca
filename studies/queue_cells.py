"""The least pieces of work of the queue of published tables, and the trainings that they share."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from art_disc.reproduction.costs import (
    CLASSIFIER_MINUTES,
    IMAGES,
    LQVAE_MINUTES,
    base_minutes,
)
from art_disc.reproduction.purifier_recipes import (
    CLASSIFIERS,
    TRAININGS,
    trained_classifier,
    trained_lqvae,
)
from art_disc.reproduction.recipes import Stage

# what is run first: the printed headline settings, then what else their tables print, then the rest
HEADLINE, SAME_TABLES, OTHERS, FIGURES = range(4)


@dataclass(frozen=True)
class Place:
    """Where cells run.

    Attributes:
        work: Folder of evaluations and adversarial images of this very code.
        data_dir: Where data sets are looked for first.
    """

    work: Path
    data_dir: str | None


@cache
def stage(dataset: str, data_dir: str | None) -> Stage:
    """Return a data set's images and recipe, read once in a process."""
    return Stage.of(dataset, data_dir, None)


@dataclass(frozen=True)
class Cell:
    """One piece of work; `key` is of its rows, as `key_of` tells it.

    Attributes:
        name: Unique.
        key: Of the rows that it makes.
        rank: One of `HEADLINE` to `FIGURES`.
        minutes: Of one core, about.
        run: Makes the rows, or the whole record.
        first: Names of trainings that are to be there before.
    """

    name: str
    key: tuple[Any, ...]
    rank: int
    minutes: float
    run: Callable[[Place], Any]
    first: tuple[str, ...] = ()


def trainings() -> dict[str, Cell]:
    """Return the trainings that cells share, by their names."""
    bases = [
        Cell(
            base_name(dataset, base), (), HEADLINE, base_minutes(dataset, base),
            partial(_train, dataset, "nat_pre" if base == "natural" else "adv_pre"),
        )
        for dataset in IMAGES
        for base in ("natural", "adversarial")
    ]  # fmt: skip
    classifiers = [
        Cell(
            classifier_name(dataset, model, training), (), OTHERS, CLASSIFIER_MINUTES,
            partial(_classify, dataset, model, training),
        )
        for dataset in ("mnist", "fashion_mnist")
        for model in CLASSIFIERS
        for training in TRAININGS
    ]  # fmt: skip
    filters = [
        Cell(
            filter_name(dataset),
            (),
            OTHERS,
            LQVAE_MINUTES,
            partial(_fit, dataset),
            (classifier_name(dataset, "A", "none"),),
        )
        for dataset in ("mnist", "fashion_mnist")
    ]
    return {cell.name: cell for cell in (*bases, *classifiers, *filters)}


def base_name(dataset: str, base: str) -> str:
    """Return the name of the training of a base network."""
    return f"{dataset}, {base} base"


def classifier_name(dataset: str, model: str, training: str) -> str:
    """Return the name of the training of a classifier of Kyatham et al. 2020."""
    return f"{dataset}, classifier {model}, {training}"


def filter_name(dataset: str) -> str:
    """Return the name of the training of an LQ-VAE."""
    return f"{dataset}, LQ-VAE"


def _train(dataset: str, setting: str, place: Place) -> None:
    stage(dataset, place.data_dir).trained(setting, [], seed=0, verbose=False)


def _classify(dataset: str, model: str, training: str, place: Place) -> None:
    data = stage(dataset, place.data_dir).data
    trained_classifier(data, model, training, seed=0, verbose=False)


def _fit(dataset: str, place: Place) -> None:
    data = stage(dataset, place.data_dir).data
    look = trained_classifier(data, "A", seed=0, verbose=False).classifier
    trained_lqvae(data, classifier=look, seed=0, verbose=False)
