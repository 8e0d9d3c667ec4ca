"""The tables of Zhang and Liang 2019: which defences, on which images, at which budgets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from art_disc.core.errors import InputError
from art_disc.core.showing import Shown
from art_disc.reproduction.published import published_randomised
from art_disc.reproduction.tables import OWN_DATA, check_there


@dataclass(frozen=True, slots=True)
class Protocol(Shown):
    """How the paper attacks on one data set.

    Attributes:
        steps: Of PGD.
        step: Of the budget, each.
        draws: Whose mean gradient is taken.
    """

    steps: int
    step: float
    draws: int

    def pgd(self, eps: float) -> dict[str, Any]:
        """Return the settings of PGD within a budget: one start."""
        return {"max_iter": self.steps, "eps_step": self.step * eps, "num_random_init": 1}


PROTOCOLS = {"mnist": Protocol(40, 0.1, 20)}
# of ImageNet, and of what stands in for it
COLOUR = Protocol(10, 0.2, 100)


@dataclass(frozen=True, slots=True)
class RandomisedTable(Shown):
    """A table or figure.

    Attributes:
        title: What it compares.
        table: Where its numbers are printed.
        dataset: The papers' images.
        defences: As `parse_defences` reads them; `none` first, with which the others are compared.
        eps: Budgets in [0, 1].
        base: `natural` or `adversarial` training.
        through: What attacks know: all (`own`), or the undefended network alone (`base`).
        gradients: Draws whose mean gradient is taken, one after the other, in place of the
            protocol's, for a figure over their number.
    """

    title: str
    table: str
    dataset: str
    defences: tuple[str, ...]
    eps: tuple[float, ...]
    base: str = "natural"
    through: str = "own"
    gradients: tuple[int, ...] = ()

    def numbers(self, defence: str) -> tuple[int, ...]:
        """Return of how many gradients means are taken; 0: as many as the protocol says."""
        return (0,) if defence == "none" else self.gradients or (0,)

    @property
    def datasets(self) -> tuple[str, ...]:
        """The papers' images, and what stands in for them where they are not at hand."""
        return (self.dataset, "cifar10") if self.dataset in OWN_DATA else (self.dataset,)

    def printed(self, dataset: str, defence: str, metric: str, eps: float = 0.0) -> float | None:
        """Return what is printed of a defence, in percent; None of images that stand in."""
        for row in published_randomised(self.table):
            same = (row.dataset, row.base, row.defence) == (dataset, self.base, defence)
            # of the competition the mean of its attacks
            mean = row.attack in ("", "pgd", "nips_mean")
            if same and mean and row.metric == metric and abs(row.eps - eps) < 1e-9:
                return row.value
        return None


def _swept(name: str, *changes: str) -> tuple[str, ...]:
    """Return a defence of the paper's ImageNet with some options changed, in order; empty: none."""
    own = f"{name}:preset=imagenet"
    return tuple(f"{own},{change}" if change else own for change in changes)


_LEVELS = (8, 16, 32, 48, 64)
_ONE = (1 / 255,)


def _colour(*noisy: str) -> tuple[str, ...]:
    plain = ("bitdepth:bits=2", "jpeg:ratio=4", "tv:weight=0.1,steps=20")
    return ("none", *plain, *noisy)


RANDOMISED_TABLES: dict[str, RandomisedTable] = {
    "zhang2019-figure2": RandomisedTable(
        "MNIST, randomised discretisation under PGD over eps",
        "text",
        "mnist",
        ("none", "noise:sigma=0.15", "randdisc:preset=mnist", "randmix:preset=mnist"),
        (0.05, 0.1, 0.15, 0.2),
    ),
    "zhang2019-table2a": RandomisedTable(
        "ImageNet under PGD; CIFAR-10 stands in for it",
        "2a",
        "imagenet",
        _colour(
            "resizepad",
            "noise:sigma=32/255",
            "randdisc:preset=imagenet",
            "randmix:preset=imagenet",
        ),
        (1 / 255, 2 / 255, 4 / 255),
    ),
    "zhang2019-table2b": RandomisedTable(
        "ImageNet under attacks that do not know the defence; PGD on the undefended network stands "
        "in for the competition's, CIFAR-10 for ImageNet",
        "2b",
        "imagenet",
        _colour("noise:sigma=16/255", "randdisc:preset=competition", "randmix:preset=competition"),
        (8 / 255,),
        base="adversarial",
        through="base",
    ),
    "zhang2019-figure4a": RandomisedTable(
        "ImageNet, the noise of Gaussian and RandMix; CIFAR-10 stands in for it",
        "2a",
        "imagenet",
        (
            "none",
            *(f"noise:sigma={level}/255" for level in _LEVELS),
            # as printed at 32
            *_swept(
                "randmix",
                *(f"sigma={n}/255,tau={n}/255" if n != 32 else "" for n in (0, *_LEVELS)),
            ),
        ),
        _ONE,
    ),
    "zhang2019-figure4b": RandomisedTable(
        "ImageNet, the clusters of RandMix; CIFAR-10 stands in for it",
        "2a",
        "imagenet",
        # as printed with 5
        (
            "none",
            *_swept(
                "randmix", "n_clusters=2", "n_clusters=3", "", "n_clusters=10", "n_clusters=20"
            ),
        ),
        _ONE,
    ),
    "zhang2019-figure4c": RandomisedTable(
        "ImageNet, how many gradients PGD takes the mean of; CIFAR-10 stands in for it",
        "2a",
        "imagenet",
        ("none", "noise:sigma=32/255", "randmix:preset=imagenet"),
        _ONE,
        gradients=(1, 10, 100),
    ),
}


def randomised_table(name: str) -> RandomisedTable:
    """Return a table by its name.

    Raises:
        InputError: Unknown.
    """
    if name not in RANDOMISED_TABLES:
        msg = f"unknown table {name!r}; there are {', '.join(RANDOMISED_TABLES)}"
        raise InputError(msg)
    return RANDOMISED_TABLES[name]


def chosen_defences(name: str, *, defences: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the defences of a table that are asked for, with `none`: whole, or by first words.

    Raises:
        InputError: The table lacks what is asked for.
    """
    every = randomised_table(name).defences
    check_there(name, "setting", defences, {*every, *map(word_of, every)})
    asked = {*defences, "none"} if defences else set(every)
    return tuple(defence for defence in every if {defence, word_of(defence)} & asked)


def word_of(defence: str) -> str:
    """Return the first word of a defence, `randdisc`.

    >>> word_of("randdisc:preset=mnist")
    'randdisc'
    """
    return defence.partition(":")[0]
