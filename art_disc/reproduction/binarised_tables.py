"""The tables and figures of Panda et al. 2019: which networks, at which budgets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from art_disc.core.errors import InputError
from art_disc.core.showing import Shown
from art_disc.reproduction.published import PublishedNetwork, published_networks
from art_disc.reproduction.tables import check_there

Budgets = Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class BinarisedTable(Shown):
    """A table or figure.

    Attributes:
        title: What it compares.
        rows: Its networks, as published.
        architecture: The papers' network and training of each data set, in words.
        attacked: Whether it is about accuracy under attack.
        eps: Budgets of each data set in place of the printed ones, for a figure over eps.
    """

    title: str
    rows: Callable[[], tuple[PublishedNetwork, ...]]
    architecture: Mapping[str, str]
    attacked: bool = True
    eps: Budgets = field(default_factory=dict)

    def budgets(self, row: PublishedNetwork) -> tuple[float, ...]:
        """Return the budgets at which a row's network is attacked."""
        return tuple(self.eps.get(row.dataset, row.budgets)) if self.attacked else ()


_CIFAR, _FCN1, _FCN2 = "AlexNet, {} epochs", "FCN1 (784-6144x4-10)", "FCN2 (784-600x4-10)"


def _input_bits() -> tuple[PublishedNetwork, ...]:
    """Figure 4: the networks of Table 1, and the same on MNIST, whose numbers are not printed."""
    colour = published_networks("1")
    return (*colour, *(replace(row, dataset="mnist", clean=None) for row in colour))


def _parameters() -> tuple[PublishedNetwork, ...]:
    """Figure 5: both networks of raw images on CIFAR-10, by Table 4, and on MNIST, not printed."""
    colour = [
        replace(row, model=row.model.removesuffix("-8b"))
        for row in published_networks("4")
        if row.bits == 8
    ]
    grey = (replace(row, dataset="mnist", clean=None, robust=()) for row in colour)
    return (*colour, *grey)


def _larger(dataset: str, bits: Sequence[int]) -> tuple[PublishedNetwork, ...]:
    """Figures 7 and 8: XNOR and real networks of some input bits, whose numbers are not printed."""
    made = partial(PublishedNetwork, "panda2019", "", dataset, clean=None, robust=())
    pairs = (("XNOR", "xnor"), ("Full", "real"))
    return tuple(
        made(f"{name}-{n}b", precision, n, "natural") for name, precision in pairs for n in bits
    )


# half a cell of 2 bits is 0.1255
_GREY = (0.05, 0.1, 0.12, 0.13, 0.2, 0.3)
_COLOUR = tuple(level / 255 for level in (1, 2, 4, 8, 16, 32))

BINARISED_TABLES: dict[str, BinarisedTable] = {
    "panda2019-table1": BinarisedTable(
        "CIFAR-10, input of 2 to 8 bits: clean accuracy",
        lambda: published_networks("1"),
        {"cifar10": _CIFAR.format(20)},
        attacked=False,
    ),
    "panda2019-table2": BinarisedTable(
        "input of 2 and 8 bits, trained against R-FGSM",
        lambda: published_networks("2"),
        {"cifar10": _CIFAR.format(20), "mnist": f"{_FCN2}, 10 epochs"},
    ),
    "panda2019-table3": BinarisedTable(
        "binarised and real networks, trained against R-FGSM",
        lambda: published_networks("3"),
        {"cifar10": _CIFAR.format(40), "mnist": f"{_FCN1}, 20 epochs"},
    ),
    "panda2019-table4": BinarisedTable(
        "CIFAR-10: input bits of binarised and real networks",
        lambda: published_networks("4"),
        {"cifar10": _CIFAR.format(40)},
    ),
    "panda2019-table5": BinarisedTable(
        "MNIST: input bits of binarised and real networks",
        lambda: published_networks("5"),
        {"mnist": f"{_FCN1}, 20 epochs"},
    ),
    "panda2019-table6": BinarisedTable(
        "binarised networks of 2-bit input, trained against R-FGSM",
        lambda: published_networks("6"),
        {"cifar10": _CIFAR.format(40), "mnist": f"{_FCN1}, 20 epochs"},
    ),
    "panda2019-figure4": BinarisedTable(
        "input of 2 to 8 bits over eps",
        _input_bits,
        {"cifar10": _CIFAR.format(20), "mnist": f"{_FCN2}, 10 epochs"},
        eps={"mnist": _GREY, "cifar10": _COLOUR},
    ),
    "panda2019-figure5": BinarisedTable(
        "binarised and real networks over eps",
        _parameters,
        {"cifar10": _CIFAR.format(40), "mnist": f"{_FCN2}, 10 epochs"},
        eps={"mnist": _GREY, "cifar10": _COLOUR},
    ),
    "panda2019-figure7": BinarisedTable(
        "CIFAR-100: input bits of XNOR and real networks over eps",
        lambda: _larger("cifar100", (8, 4, 2)),
        {"cifar100": "ResNet-20, 164 epochs"},
        eps={"cifar100": _COLOUR},
    ),
    "panda2019-figure8": BinarisedTable(
        "ImageNet: input bits of XNOR and real networks over eps (top 1, theirs top 5)",
        lambda: _larger("imagenet", (8, 2)),
        {"imagenet": "AlexNet, 50 epochs (XNOR) and 90 (full precision), top-5 accuracy"},
        eps={"imagenet": _COLOUR},
    ),
}


def binarised_table(name: str) -> BinarisedTable:
    """Return a table by its name.

    Raises:
        InputError: Unknown.
    """
    if name not in BINARISED_TABLES:
        msg = f"unknown table {name!r}; there are {', '.join(BINARISED_TABLES)}"
        raise InputError(msg)
    return BINARISED_TABLES[name]


def chosen_networks(
    name: str, *, datasets: Sequence[str] = (), models: Sequence[str] = ()
) -> tuple[PublishedNetwork, ...]:
    """Return the rows of a table that are asked for; empty choices keep all.

    Raises:
        InputError: The table lacks what is asked for.
    """
    every = binarised_table(name).rows()
    for word, asked, known in (
        ("dataset", datasets, {row.dataset for row in every}),
        ("setting", models, {row.model for row in every}),
    ):
        check_there(name, word, asked, known)
    return tuple(
        row
        for row in every
        if (not datasets or row.dataset in datasets) and (not models or row.model in models)
    )
