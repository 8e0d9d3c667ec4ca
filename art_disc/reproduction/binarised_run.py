"""A table of binarised networks and input bits: its networks one after the other."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from art_disc.attacks import attack_table
from art_disc.core.checks import check_choice, check_count
from art_disc.core.records import Share
from art_disc.core.records.base import Environment
from art_disc.core.records.fields import Setting
from art_disc.core.records.protocols import PROTOCOLS, ProtocolRow, ProtocolTableRecord
from art_disc.data import Dataset
from art_disc.defences import parse_defences
from art_disc.reproduction.binarised_recipes import BinarisedRecipe, recipe_for
from art_disc.reproduction.binarised_tables import (
    BinarisedTable,
    binarised_table,
    chosen_networks,
)
from art_disc.reproduction.protocols import ATTACKS, Attack
from art_disc.reproduction.published import PublishedNetwork
from art_disc.reproduction.rows import bits_of
from art_disc.reproduction.run import file_name
from art_disc.reproduction.tables import images_of
from art_disc.training import Trained


@dataclass(frozen=True)
class _Request:
    """What every network of the table is run with."""

    name: str
    attack: Attack
    protocols: Sequence[str]
    eps: Sequence[float]
    network: str | None
    train_steps: int | None
    data_dir: str | Path | None
    out: Path

    @property
    def table(self) -> BinarisedTable:
        """The table."""
        return binarised_table(self.name)

    def budgets(self, row: PublishedNetwork) -> tuple[float, ...]:
        """Return the budgets of a row; none in a table of clean accuracy."""
        own = self.table.budgets(row)
        return tuple(sorted(self.eps)) if own and self.eps else own

    def folder(self, row: PublishedNetwork, recipe: BinarisedRecipe, made: Trained) -> Path:
        """Return where a network's evaluations are kept: those of these very weights and words."""
        attack = self.attack
        asked = (
            made.result.weights, row.bits, attack.n_ex, attack.seed, tuple(attack.attacks),
            sorted(attack.settings.items()), self.budgets(row),
        )  # fmt: skip
        key = hashlib.sha256(repr(asked).encode()).hexdigest()[:8]
        words = f"{row.dataset}-{recipe.name}-{row.precision}-{row.bits}b-{row.base}"
        return self.out / "rows" / f"{words}-n{attack.n_ex}-seed{attack.seed}-{key}"

    def settings(self, datasets: Sequence[str], models: Sequence[str]) -> dict[str, Setting]:
        """Return what was asked for, for the record."""
        attack = self.attack
        return {
            "datasets": ",".join(datasets) or "all",
            "rows": ",".join(models) or "all",
            "protocols": ",".join(self.protocols),
            "network": self.network,
            "n_ex": attack.n_ex,
            "seed": attack.seed,
            "train_steps": self.train_steps,
            "attacks": ",".join(attack.attacks),
            "attack_settings": ",".join(f"{k}={v}" for k, v in attack.settings.items()),
            "eps": ",".join(f"{value:g}" for value in self.eps) or "as printed",
        }


def reproduce_binarised(  # noqa: PLR0913 - each is a choice of its own
    name: str,
    *,
    out: str | Path = "runs/reproduce",
    datasets: Sequence[str] = (),
    models: Sequence[str] = (),
    eps: Sequence[float] = (),
    protocols: Sequence[str] = PROTOCOLS,
    network: str | None = None,
    n_ex: int = 500,
    train_steps: int | None = None,
    attacks: Sequence[str] = ATTACKS,
    attack_settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    data_dir: str | Path | None = None,
    announce: Callable[[str], None] | None = None,
    verbose: bool = True,
) -> ProtocolTableRecord:
    """Run a table of Panda et al. 2019 under both protocols, beside its printed numbers.

    Each network is trained behind its discretisation (or taken from the cache) and attacked; the
    table is written down after each, and what is in `out` already is not run again.

    Args:
        name: One of `BINARISED_TABLES`: `panda2019-table4`, ...
        out: Folder of the table, `NAME.json`, and of the evaluations' records.
        datasets: Keep rows of these; empty: all.
        models: Keep rows of these, by the table's names, `BNN-2b`; empty: all.
        eps: Budgets in [0, 1] in place of the published ones.
        protocols: `paper`, `raw` or both; see `art_disc.reproduction.protocols`.
        network: One of `RECIPES` in place of the usual one; of the data set of all rows.
        n_ex: The first so many test images are attacked; clean accuracy is counted on all.
        train_steps: Batches in place of the recipes' epochs.
        attacks: Run under `raw` beside FGSM, by their names; empty: FGSM alone.
        attack_settings: `{"square.max_iter": 1000}`: over the usual ones.
        seed: Of trainings and attacks.
        data_dir: Where the data sets' files are looked for first.
        announce: Called with one line after every network.
        verbose: Show progress bars.

    Returns:
        The record, also in `out`.

    Raises:
        InputError: Unknown table, row, protocol, attack or network.
        DataNotFoundError: A data set is not there.
    """
    rows = chosen_networks(name, datasets=datasets, models=models)
    for protocol in protocols:
        check_choice(protocol, "protocol", PROTOCOLS)
    for row in rows:
        recipe_for(row.dataset, network)
    attack_table(list(attacks), attack_settings or {})
    attack = Attack(
        check_count(n_ex, "n_ex"), tuple(attacks), attack_settings or {}, seed=seed, verbose=verbose
    )
    request = _Request(name, attack, protocols, eps, network, train_steps, data_dir, Path(out))
    planned = sum(max(1, len(request.budgets(row))) for row in rows)
    record = ProtocolTableRecord(
        name, request.table.title, (), planned, request.settings(datasets, models),
        Environment.here(threads=torch.get_num_threads()),
    )  # fmt: skip
    for row in rows:
        record = replace(record, rows=(*record.rows, *_run(row, request)))
        record.save(Path(out) / f"{file_name(name, datasets, models, ())}.json")
        if announce is not None:
            announce(_line(record))
    return record


def _run(row: PublishedNetwork, request: _Request) -> list[ProtocolRow]:
    """Train a network or take it from the cache, attack it, and return one row a budget."""
    data = images_of(request.name, row.dataset, request.data_dir)
    recipe = recipe_for(row.dataset, request.network)
    attack, budgets = request.attack, request.budgets(row)
    made = recipe.trained(
        data,
        row.precision,
        defences=parse_defences(row.defence),
        adversary=recipe.adversary if row.base == "adversarial" else None,
        train_steps=request.train_steps,
        seed=attack.seed,
        verbose=attack.verbose,
    )
    right = made.classifier.predict(data.x_test).argmax(axis=1) == data.y_test
    folder = request.folder(row, recipe, made)
    found = [
        attack.on(made.classifier, data, each, budgets, out=folder, training=made.training)
        for each in request.protocols
        if budgets
    ]
    facts = {name: getattr(row, name) for name in ("dataset", "model", "precision", "bits", "base")}
    return [
        ProtocolRow(
            **facts,
            eps=eps,
            printed_clean=row.clean,
            printed_robust=row.robust_at(eps),
            clean=Share.of(right),
            correct=bits_of(right[: attack.n_ex]) if budgets else "",
            outcomes=tuple(outcomes[eps] for outcomes in found),
            network=f"{recipe.words}: {made.training}",
            differs=tuple(_differences(row, request, recipe, data)),
        )
        for eps in budgets or (0.0,)
    ]


def _differences(
    row: PublishedNetwork, request: _Request, recipe: BinarisedRecipe, data: Dataset
) -> Iterator[str]:
    """Yield what is not as in the paper, one phrase each."""
    train, test = len(data.x_train), len(data.x_test)
    if request.budgets(row):
        yield f"attacked: first {request.attack.n_ex} of the {test} test images here"
    if train != recipe.images:
        yield f"{train} training images, theirs {recipe.images}"
    yield f"{recipe.words}; theirs: {request.table.architecture[row.dataset]}"
    if row.bits == 8:
        yield "8 bits: the image as it is, nothing is discretised, and both protocols are one"
    if row.base == "adversarial":
        yield "trained against R-FGSM in its budget (Tramer et al.), through the discretisation"
    if request.train_steps is not None:
        yield "training shortened by --train-steps"


def _line(record: ProtocolTableRecord) -> str:
    """Return what is announced after a network."""
    last = record.rows[-1]
    told = "; ".join(
        f"{one.protocol}: FGSM {one.after_fgsm.value:.1%}, worst {one.worst.value:.1%}"
        for one in last.outcomes
    )
    return (
        f"{len(record.rows)}/{record.planned} {last.dataset} {last.model}: clean "
        f"{last.clean.value:.1%}" + (f", eps {last.eps:.4g}, {told}" if told else "")
    )
