"""Which tables and figures of the papers can be run again, and what each of them is."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from art_disc.core.errors import DataNotFoundError, InputError
from art_disc.data import Dataset, load_dataset
from art_disc.reproduction.published import Published, published

SKIPPED = "imagenet"
# what the user's own images must be, of data sets that were never run here
OWN_DATA = {
    "imagenet": "imagenet.npz, or imagenet/train/CLASS/ and imagenet/test/CLASS/ with pictures of "
    "one size, 224x224 for AlexNet",
    "celeba": "celeba.npz, or celeba/train/CLASS/ and celeba/test/CLASS/ with pictures of 64x64",
    "cifar100": "cifar100.npz with x_train, y_train, x_test, y_test",
}


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """A table or figure of accuracies.

    Attributes:
        title: What it compares.
        rows: Its rows, as published.
        eps: Budgets in place of the published one, for a figure over eps.
        certificates: The table of certificates that a figure shows too; empty: none.
    """

    title: str
    rows: Callable[[], tuple[Published, ...]]
    eps: tuple[float, ...] = ()
    certificates: str = ""


def _table(title: str, paper: str, number: str) -> PublishedTable:
    return PublishedTable(title, partial(published, paper, number))


def _figure(
    names: str,
    paper: str,
    number: str,
    datasets: Sequence[str],
    n_codes: int,
    eps: tuple[float, ...],
) -> PublishedTable:
    """The six settings of some data sets with one codebook, from the table that has them."""

    def rows() -> tuple[Published, ...]:
        every = published(paper, number)
        kept = (r for name in datasets for r in every if r.dataset == name)
        return tuple(row for row in kept if row.n_codes in (0, n_codes))

    return PublishedTable(f"{names}, {n_codes} codes: six settings over eps", rows, eps)


def _certified(paper: str, number: str, certificates: str) -> PublishedTable:
    """What attacks leave of MNIST at the budgets of a table of certificates.

    The papers draw `nat_pre` and `disc_adv_pre`; `adv_pre` is what the latter is compared with.
    """

    def rows() -> tuple[Published, ...]:
        drawn = ("nat_pre", "adv_pre", "disc_adv_pre")
        every = published(paper, number)
        return tuple(r for r in every if r.dataset == "mnist" and r.setting in drawn)

    title = "MNIST, 2 codes: under attack, beside what is certified"
    return PublishedTable(title, rows, _CERTIFIED, certificates)


def _clusters() -> tuple[Published, ...]:
    """k-medoids with as many codes as the density codebooks; the papers print k = 300 alone."""
    known = {(r.dataset, r.setting, r.n_codes): r for r in published("chen2019", "3")}
    return tuple(
        row
        if row.defence == "none"
        else known.get(
            (row.dataset, row.setting, row.n_codes),
            replace(row, defence="kmedoids", radius=0.0, clean=None, robust=None),
        )
        for row in published("chen2019", "2")
        if row.dataset in ("cifar10", "gtsrb") and row.n_codes <= 300
    )


_GREY = (0.1, 0.2, 0.3)
_COLOUR = (2 / 255, 4 / 255, 8 / 255)
# of both tables of certificates; at 0 is the clean accuracy
_CERTIFIED = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)

TABLES: dict[str, PublishedTable] = {
    "chen2018-table1": _table("Clean accuracy on three data sets", "chen2018", "1"),
    "chen2018-table3": _table("MNIST, density codebook: six settings", "chen2018", "3"),
    "chen2018-table4": _table("CIFAR-10, density codebooks of 2 to 300 codes", "chen2018", "4"),
    "chen2018-table5": _table("ImageNet, density codebooks of 10 to 300 codes", "chen2018", "5"),
    "chen2018-figure1": _figure("MNIST", "chen2018", "3", ("mnist",), 2, _GREY),
    "chen2018-figure2": _figure("CIFAR-10", "chen2018", "4", ("cifar10",), 50, _COLOUR),
    "chen2018-figure3": _certified("chen2018", "3", "chen2018-table2"),
    "chen2019-table1": _table("Colour-depth reduction on five data sets", "chen2019", "1"),
    "chen2019-table2": _table("Density codebooks on five data sets", "chen2019", "2"),
    "chen2019-table3": _table("k-medoids codebooks on five data sets", "chen2019", "3"),
    "kmedoids-codes": PublishedTable(
        "k-medoids codebooks of 2 to 300 codes on CIFAR-10 and GTSRB; printed for 300 alone",
        _clusters,
    ),
    "chen2019-figure1": _figure(
        "MNIST and Fashion-MNIST", "chen2019", "2", ("mnist", "fashion_mnist"), 2, _GREY
    ),
    "chen2019-figure2": _figure("GTSRB", "chen2019", "2", ("gtsrb",), 50, _COLOUR),
    "chen2019-figure3": _figure("CIFAR-10", "chen2019", "2", ("cifar10",), 50, _COLOUR),
    "chen2019-figure4": _certified("chen2019", "2", "chen2019-table4"),
}


def table(name: str) -> PublishedTable:
    """Return a table by its name.

    Raises:
        InputError: Unknown.
    """
    if name not in TABLES:
        msg = f"unknown table {name!r}; there are {', '.join(TABLES)}"
        raise InputError(msg)
    return TABLES[name]


def chosen_rows(
    name: str,
    *,
    datasets: Sequence[str] = (),
    settings: Sequence[str] = (),
    n_codes: Sequence[int] = (),
) -> tuple[Published, ...]:
    """Return the rows of a table that are asked for, with the bases that they are compared with.

    Rows of ImageNet are left out where there are others, unless they are asked for by name: no such
    data are at hand.
    Empty data sets, settings or numbers of codes keep all others; what the table lacks is refused.
    """
    every = table(name).rows()
    for word, asked, known in (
        ("dataset", datasets, {row.dataset for row in every}),
        ("setting", settings, {row.setting for row in every}),
        ("n_codes", n_codes, {row.n_codes for row in every} - {0}),
    ):
        check_there(name, word, asked, known)
    wanted_sets = set(datasets or {row.dataset for row in every} - {SKIPPED} or {SKIPPED})
    kept = [
        row
        for row in every
        if row.dataset in wanted_sets
        and (not settings or row.setting in settings)
        and (not n_codes or row.n_codes in n_codes or row.defence == "none")
    ]
    bases = {(row.dataset, _base(row)) for row in kept}
    # bases first: what follows is compared with them
    wanted = [r for r in every if r.defence == "none" and (r.dataset, r.setting) in bases]
    return (*wanted, *(row for row in kept if row not in wanted))


def check_there(name: str, word: str, asked: Sequence[Any], known: Collection[Any]) -> None:
    """Refuse rows that a table lacks."""
    if odd := [value for value in asked if value not in known]:
        msg = f"{name} has no {word} {odd[0]!r}; it has {', '.join(map(str, sorted(known)))}"
        raise InputError(msg)


def _base(row: Published) -> str:
    return "nat_pre" if row.base == "natural" else "adv_pre"


def images_of(name: str, dataset: str, data_dir: str | Path | None) -> Dataset:
    """Return the images of a table's rows; those that were never run here are the user's own.

    Args:
        name: Of the table.
        dataset: One of its data sets; `OWN_DATA` says of those that are not at hand what to bring.
        data_dir: Where known data sets are looked for first, and the user's own alone.

    Raises:
        DataNotFoundError: They are not there; the message says what must be.
    """
    if dataset not in OWN_DATA:
        return load_dataset(dataset, data_dir=data_dir)
    places = [Path(data_dir) / f"{dataset}.npz", Path(data_dir) / dataset] if data_dir else []
    for place in places:
        if place.exists():
            return load_dataset(place)
    looked = ", ".join(map(str, places)) or "nothing, no folder was given"
    msg = (
        f"{name} needs images of your own: put {OWN_DATA[dataset]} into a folder and "
        f"give that as data_dir (--data-dir); looked for {looked}"
    )
    raise DataNotFoundError(msg)
