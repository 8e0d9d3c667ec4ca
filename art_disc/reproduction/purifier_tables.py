"""The tables of Kyatham et al. 2020: which classifiers, attacks and attackers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from art_disc.core.errors import InputError
from art_disc.core.showing import Shown
from art_disc.reproduction.published import PublishedPurifier, published_purifiers
from art_disc.reproduction.tables import check_there

# attacks that keep within a budget; the others go as far as they must
BOUNDED = ("fgsm", "bim", "pgd")


@dataclass(frozen=True, slots=True)
class PurifierTable(Shown):
    """A table.

    Attributes:
        number: In the paper.
        title: What it compares.
        attacker: `classifier`: knows the classifier alone; `substitute`: another one; `all`: the
            filter too.
    """

    number: str
    title: str
    attacker: str

    @property
    def rows(self) -> tuple[PublishedPurifier, ...]:
        """Its rows, as published; one that names no classifier once for each."""
        every = published_purifiers(self.number)
        return tuple(replace(row, model=name) for row in every for name in row.model or "ABC")


PURIFIER_TABLES: dict[str, PurifierTable] = {
    f"kyatham2020-table{table.number}": table
    for table in (
        PurifierTable("1", "Fashion-MNIST, attacks on the classifier alone", "classifier"),
        PurifierTable("2", "MNIST, attacks on the classifier alone", "classifier"),
        PurifierTable("3", "CelebA, attacks on the classifier alone", "classifier"),
        PurifierTable("4", "MNIST, FGSM on a substitute", "substitute"),
        PurifierTable("5", "Fashion-MNIST, DeepFool on a substitute", "substitute"),
        PurifierTable("6", "CelebA, CW on a substitute", "substitute"),
        PurifierTable("7", "filter and classifier attacked end to end", "all"),
    )
}


def purifier_table(name: str) -> PurifierTable:
    """Return a table by its name.

    Raises:
        InputError: Unknown.
    """
    if name not in PURIFIER_TABLES:
        msg = f"unknown table {name!r}; there are {', '.join(PURIFIER_TABLES)}"
        raise InputError(msg)
    return PURIFIER_TABLES[name]


def chosen_purifiers(
    name: str,
    *,
    datasets: Sequence[str] = (),
    models: Sequence[str] = (),
    attacks: Sequence[str] = (),
) -> tuple[PublishedPurifier, ...]:
    """Return the rows of a table that are asked for; empty choices keep all.

    Args:
        name: Of the table.
        datasets: Keep rows of these.
        models: Keep rows of these classifiers, `A`, or pairs with a substitute, `A/B`.
        attacks: Keep rows of these.

    Raises:
        InputError: The table lacks what is asked for.
    """
    every = purifier_table(name).rows
    for word, asked, known in (
        ("dataset", datasets, {row.dataset for row in every}),
        ("setting", models, {row.setting for row in every}),
        ("attack", attacks, {row.attack for row in every}),
    ):
        check_there(name, word, asked, known)
    return tuple(
        row
        for row in every
        if (not datasets or row.dataset in datasets)
        and (not models or row.setting in models)
        and (not attacks or row.attack in attacks)
    )
