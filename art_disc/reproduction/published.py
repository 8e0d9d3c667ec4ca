"""Figures that the papers print, to set ours beside."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, TypeVar

import msgspec

from art_disc.core.errors import InputError
from art_disc.core.showing import Shown


@dataclass(frozen=True, slots=True)
class Published(Shown):
    """One row of a published table of accuracies.

    Attributes:
        paper: `chen2018` or `chen2019`.
        table: Number of the table there.
        dataset: `mnist`, `fashion_mnist`, `cifar10`, `gtsrb` or `imagenet`.
        base: `natural` or `adversarial` training.
        defence: `none`, `density`, `kmedoids` or `colordepth`.
        n_codes: Codewords, a channel for `colordepth`; 0 for `none`.
        radius: Of the density codebook in [0, 1]; 0 for the others.
        training: `pre`: the base network; `re`: trained on behind the defence.
        eps: l_inf budget in [0, 1].
        steps: Steps of the attack.
        clean, robust: Accuracies in percent; None where none is printed.
    """

    paper: str
    table: str
    dataset: str
    base: str
    defence: str
    n_codes: int
    radius: float
    training: str
    eps: float
    steps: int
    clean: float | None
    robust: float | None

    @property
    def setting(self) -> str:
        """The papers' name of the setting, `disc_nat_pre` for example."""
        short = "nat" if self.base == "natural" else "adv"
        return f"{'' if self.defence == 'none' else 'disc_'}{short}_{self.training}"

    def spec(self, alpha: float, seed: int) -> str:
        """Return the defence with the papers' surrogate, as `parse_defences` reads it."""
        if self.defence == "none":
            return "none"
        own = {"density": f",radius={self.radius!r}", "kmedoids": f",random_state={seed}"}
        codes = f"{self.defence}:n_codes={self.n_codes}{own.get(self.defence, '')}"
        return f"{codes},surrogate=soft:{alpha:g}"


@dataclass(frozen=True, slots=True)
class PublishedCertificate(Shown):
    """One row of a published table of certificates: percent of the test images.

    Attributes:
        eps: l_inf budget in [0, 1].
        bits: Images with more than 2^bits reachable code images are given up.
        unable, success, fail: Given up, certified, and neither.
        lower_limit: Their lower limit with 99 % confidence, by a formula that gives none.
    """

    paper: str
    table: str
    eps: float
    bits: int
    unable: float
    success: float
    fail: float
    lower_limit: float


@dataclass(frozen=True, slots=True)
class PublishedNetwork(Shown):
    """One network of a published table of input bits and binarised networks, accuracies in percent.

    Attributes:
        paper: `panda2019`.
        table: Number of the table there.
        dataset: `mnist`, `cifar10`, `cifar100` or `imagenet`.
        model: As the table calls it, `BNN-2b`.
        precision: `bnn`, `xnor`, or `real` for full precision.
        bits: Of the input; 8 is the image as it is.
        base: `natural` training, or `adversarial` against R-FGSM.
        clean: Without an attack; None where it is not printed.
        robust: Under FGSM at each budget of `budgets`; empty where none is printed.
    """

    paper: str
    table: str
    dataset: str
    model: str
    precision: str
    bits: int
    base: str
    clean: float | None
    robust: tuple[float, ...]

    @property
    def budgets(self) -> tuple[float, ...]:
        """The paper's budgets on these images, in [0, 1]."""
        return (0.1, 0.2, 0.3) if self.dataset == "mnist" else (8 / 255, 16 / 255, 32 / 255)

    @property
    def defence(self) -> str:
        """The input's discretisation, as `parse_defences` reads it."""
        return "none" if self.bits == 8 else f"bitdepth:bits={self.bits}"

    def robust_at(self, eps: float) -> float | None:
        """Return what is printed at a budget, or None."""
        return dict(zip(self.budgets, self.robust, strict=False)).get(eps)


@dataclass(frozen=True, slots=True)
class PublishedPurifier(Shown):
    """One row of a published table of purifiers, accuracies in percent; None: not printed.

    Attributes:
        paper: `kyatham2020`.
        table: Number of the table there.
        dataset: `mnist`, `fashion_mnist` or `celeba`.
        attack: Its name in the table of attacks.
        model: The classifier, `A`, `B` or `C`; empty where none is named.
        substitute: What examples were made on in its place; empty: on the classifier itself.
        clean: Of the classifier, without attack and defence.
        none, lqvae, defense_gan, pgd_trained, fgsm_trained: Under attack, by defence.
    """

    paper: str
    table: str
    dataset: str
    attack: str
    model: str
    substitute: str
    clean: float | None
    none: float | None
    lqvae: float | None
    defense_gan: float | None
    pgd_trained: float | None
    fgsm_trained: float | None

    @property
    def setting(self) -> str:
        """The classifier, `A`, or with its substitute, `A/B`."""
        return f"{self.model}/{self.substitute}" if self.substitute else self.model


@dataclass(frozen=True, slots=True)
class PublishedRandomised(Shown):
    """One number that is printed of randomised discretisation and what it is compared with.

    Attributes:
        paper: `zhang2019`.
        table: Number of the table there, `2a`; `text`: of no table.
        dataset: `mnist` or `imagenet`.
        base: `natural` or `adversarial` training; empty: a model of others.
        defence: As `parse_defences` reads it; of others' models their name.
        attack: `pgd`, `pgd_margin` with the margin loss, or an entry of the NIPS 2017 competition;
            empty: none.
        steps: Of PGD; 0: not printed.
        eps: l_inf budget in [0, 1]; 0 without an attack.
        metric: `clean`, `robust`, `gain` over another defence in points, `cited` from another
            paper, or, as settings, `filter` and `stride` of the down-sampling up to `eps`.
        value: In percent, points or pixels.
    """

    paper: str
    table: str
    dataset: str
    base: str
    defence: str
    attack: str
    steps: int
    eps: float
    metric: str
    value: float


Row = TypeVar(
    "Row", Published, PublishedCertificate, PublishedNetwork, PublishedPurifier, PublishedRandomised
)
Line = dict[str, Any]

# the model of rows that are means of the others of their table
AVERAGE = "average"


def _accuracies(line: Line) -> Line:
    scaled = {key: float(line[key] or 0) / float(line["unit"]) for key in ("radius", "eps")}
    return line | scaled | {"n_codes": line["n_codes"] or "0", "robust": line["robust"] or None}


def _networks(line: Line) -> Line:
    return line | {"paper": "panda2019", "robust": line["robust"].split()}


def _purifiers(line: Line) -> Line:
    words = {"paper": "kyatham2020", "model": line["model"], "substitute": line["substitute"]}
    return {key: value or None for key, value in line.items()} | words


def _randomised(line: Line) -> Line:
    eps = float(line["eps"] or 0) / float(line["unit"] or 1)
    return line | {"paper": "zhang2019", "steps": line["steps"] or "0", "eps": eps}


# what the rows are of, their file, and what makes fields of a line of it
_FILES: dict[type, tuple[str, str, Callable[[Line], Line]]] = {
    Published: ("accuracies", "published.csv", _accuracies),
    PublishedCertificate: ("certificates", "published_certificates.csv", dict),
    PublishedNetwork: ("networks", "published_binarised.csv", _networks),
    PublishedPurifier: ("purifiers", "published_purifiers.csv", _purifiers),
    PublishedRandomised: ("randomised defences", "published_randomised.csv", _randomised),
}


def published(paper: str, table: str) -> tuple[Published, ...]:
    """Return the rows of a published table, in its order.

    Args:
        paper: `chen2018` or `chen2019`.
        table: Its number, `3`; Roman ones as Arabic.

    Raises:
        InputError: No such table here.

    >>> [row.clean for row in published("chen2018", "3") if row.defence == "none"]
    [99.17, 98.4]
    """
    return _of(Published, paper, table)


def published_certificates(paper: str, table: str) -> tuple[PublishedCertificate, ...]:
    """Return the rows of a published table of certificates, in its order.

    Raises:
        InputError: No such table here.
    """
    return _of(PublishedCertificate, paper, table)


def published_networks(table: str) -> tuple[PublishedNetwork, ...]:
    """Return the rows of a table of Panda et al. 2019, in its order.

    Raises:
        InputError: No such table here.
    """
    return _of(PublishedNetwork, "panda2019", table)


def published_purifiers(table: str) -> tuple[PublishedPurifier, ...]:
    """Return the rows of a table of Kyatham et al. 2020, in its order, its averages aside.

    Raises:
        InputError: No such table here.
    """
    rows = _of(PublishedPurifier, "kyatham2020", table)
    return tuple(row for row in rows if row.model != AVERAGE)


def published_randomised(table: str) -> tuple[PublishedRandomised, ...]:
    """Return the numbers of a table of Zhang and Liang 2019, or of its `text`, in its order.

    Raises:
        InputError: No such table here.
    """
    return _of(PublishedRandomised, "zhang2019", table)


def every_row(kind: type[Row]) -> tuple[Row, ...]:
    """Return the rows of all tables of one kind, in their order."""
    rows: tuple[Row, ...] = _read(kind.__name__)
    return rows


@cache
def _read(name: str) -> tuple[Any, ...]:
    kind, (_, file, fields) = next((k, v) for k, v in _FILES.items() if k.__name__ == name)
    text = resources.files("art_disc.reproduction").joinpath(file).read_text(encoding="utf-8")
    lines = [fields(line) for line in csv.DictReader(text.splitlines())]
    return msgspec.convert(lines, tuple[kind, ...], strict=False)  # type: ignore[valid-type]


def _of(kind: type[Row], paper: str, table: str) -> tuple[Row, ...]:
    rows = every_row(kind)
    found = tuple(row for row in rows if (row.paper, row.table) == (paper, table))
    if not found:
        known = ", ".join(sorted({f"{row.paper} {row.table}" for row in rows}))
        msg = f"no published {_FILES[kind][0]} of {paper}, table {table}; there are {known}"
        raise InputError(msg)
    return found
