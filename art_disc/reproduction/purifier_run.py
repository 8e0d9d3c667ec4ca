"""A table of purifiers: its classifiers one after the other."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from art_disc.attacks import attack_table
from art_disc.core.checks import Float32Array, check_choice, check_count
from art_disc.core.records.base import Environment
from art_disc.core.records.fields import Setting
from art_disc.core.records.purifiers import PurifierCell, PurifierRow, PurifierTableRecord
from art_disc.core.showing import Shown
from art_disc.reproduction.published import PublishedPurifier
from art_disc.reproduction.purifier_bench import Bench, Judged
from art_disc.reproduction.purifier_end_to_end import ATTACKS, SAMPLED, EndToEnd
from art_disc.reproduction.purifier_recipes import EPS, LQVAE_STEPS
from art_disc.reproduction.purifier_tables import (
    BOUNDED,
    PurifierTable,
    chosen_purifiers,
    purifier_table,
)
from art_disc.reproduction.rows import bits_of
from art_disc.reproduction.run import file_name
from art_disc.reproduction.tables import images_of
from art_disc.training import LQVAE
from art_disc.training.lqvae_settings import PRESETS

# of 0.3 on [-1, 1], which the published code takes the end-to-end step by
STEP_EPS = 0.15
_END_TO_END = (0.1, STEP_EPS, EPS)
TRAINED = ("pgd_trained", "fgsm_trained")


@dataclass(frozen=True)
class _Request(Shown):
    """What every row of the table is run with."""

    name: str
    options: Mapping[str, Any]
    eps: Sequence[float]
    attacks: Sequence[str]
    checks: str | None
    data_dir: str | Path | None

    @property
    def table(self) -> PurifierTable:
        """The table."""
        return purifier_table(self.name)

    def bench(self, dataset: str) -> Bench:
        """Return the networks of a data set."""
        data = images_of(self.name, dataset, self.data_dir)
        return Bench(data, **self.options)

    def budgets(self, row: PublishedPurifier) -> tuple[float | None, ...]:
        """Return the budgets of a row; None: its attack goes as far as it must."""
        if row.attack not in BOUNDED:
            return (None,)
        usual = _END_TO_END if self.table.attacker == "all" else (EPS,)
        return tuple(sorted(self.eps)) or usual


def reproduce_purifiers(  # noqa: PLR0913 - each is a choice of its own
    name: str,
    *,
    out: str | Path = "runs/reproduce",
    datasets: Sequence[str] = (),
    models: Sequence[str] = (),
    eps: Sequence[float] = (),
    preset: str = "code",
    n_ex: int = 1000,
    train_steps: int | None = None,
    attacks: Sequence[str] = (),
    attack_settings: Mapping[str, Any] | None = None,
    checks: str | None = None,
    seed: int = 0,
    data_dir: str | Path | None = None,
    announce: Callable[[str], None] | None = None,
    verbose: bool = True,
) -> PurifierTableRecord:
    """Run a table of Kyatham et al. 2020 beside its printed numbers.

    Classifiers and the LQ-VAE are trained (or taken from the cache) and attacked; the table is
    written down after each row, and adversarial images that are in `out` are not made again.

    Args:
        name: One of `PURIFIER_TABLES`: `kyatham2020-table2`, ...
        out: Folder of the table, `NAME.json`, of adversarial images and of records of evaluations.
        datasets: Keep rows of these; empty: all.
        models: Keep rows of these classifiers, `A`, or pairs with a substitute, `A/B`; empty: all.
        eps: Budgets of bounded attacks in [0, 1] in place of the published one.
        preset: Of the LQ-VAE: `code`, `paper` or `certified`.
        n_ex: The first so many test images are attacked; clean accuracy is counted on all.
        train_steps: Batches in place of the recipes'.
        attacks: Keep rows of these; of table 7: run end to end beside FGSM. Empty: all, and there
            the usual ones.
        attack_settings: `{"cw_l2.max_iter": 20}`: over the usual ones.
        checks: Of the evaluation end to end, in table 7, as for `evaluate`; None: none.
        seed: Of trainings and attacks.
        data_dir: Where the data sets' files are looked for first.
        announce: Called with one line after every row.
        verbose: Show progress bars.

    Returns:
        The record, also in `out`.

    Raises:
        InputError: Unknown table, row, attack, preset or setting.
        DataNotFoundError: A data set is not there.
    """
    table, folder = purifier_table(name), Path(out)
    whole = table.attacker == "all"
    rows = chosen_purifiers(
        name, datasets=datasets, models=models, attacks=() if whole else attacks
    )
    kept = (*models, *(() if whole else attacks))
    check_choice(preset, "preset", PRESETS)
    run = tuple(attacks) or ATTACKS if whole else {row.attack: None for row in rows}
    # before the first training
    attack_table(list(run), attack_settings or {})
    options = {
        "n_ex": check_count(n_ex, "n_ex"), "out": folder, "preset": preset,
        "train_steps": train_steps, "settings": dict(attack_settings or {}), "seed": seed,
        "verbose": verbose,
    }  # fmt: skip
    request = _Request(name, options, eps, tuple(attacks) or ATTACKS, checks, data_dir)
    planned = sum(len(request.budgets(row)) for row in rows)
    asked: dict[str, Setting] = {
        "datasets": ",".join(datasets) or "all", "classifiers": ",".join(models) or "all",
        "attacks": ",".join(request.attacks if whole else attacks) or "as printed",
        "attack_settings": ",".join(f"{k}={v}" for k, v in (attack_settings or {}).items()),
        "eps": ",".join(f"{value:g}" for value in eps) or "as printed", "preset": preset,
        "n_ex": n_ex, "seed": seed, "train_steps": train_steps, "checks": checks,
    }  # fmt: skip
    environment = Environment.here(threads=torch.get_num_threads())
    record = PurifierTableRecord(name, table.title, (), planned, asked, environment)
    benches: dict[str, Bench] = {}
    for row in rows:
        bench = benches.setdefault(row.dataset, request.bench(row.dataset))
        record = replace(record, rows=(*record.rows, *_rows(row, bench, request)))
        record.save(folder / f"{file_name(name, datasets, kept, ())}.json")
        if announce is not None:
            announce(_line(record))
    return record


def _rows(row: PublishedPurifier, bench: Bench, request: _Request) -> Iterator[PurifierRow]:
    """Yield what a published row became, budget by budget."""
    budgets = request.budgets(row)
    printed = STEP_EPS if request.table.attacker == "all" else EPS
    if request.table.attacker == "all":
        attack = EndToEnd(bench, row.model, request.attacks, request.checks)
        found = attack.cells([eps for eps in budgets if eps is not None], row)
        networks: tuple[str, ...] = (bench.judged(row.model).network,)
    else:
        found = {eps: tuple(_cells(row, bench, eps)) for eps in budgets}
        networks = tuple(bench.judged(row.model, name).network for name in ("none", *TRAINED))
    for eps, cells in found.items():
        yield PurifierRow(
            row.dataset,
            row.attack,
            row.setting,
            eps,
            row.clean,
            cells if eps in (None, printed) else tuple(replace(c, printed=None) for c in cells),
            (*networks, bench.judged(row.model, "lqvae").network),
            tuple(_differences(row, bench, request)),
        )


def _cells(row: PublishedPurifier, bench: Bench, eps: float | None) -> Iterator[PurifierCell]:
    """Yield the cells of a row whose attackers do not know of the filter."""
    direct, filtered = ("black box",) * 2 if row.substitute else ("white box", "grey box")
    natural = bench.judged(row.model)
    source = bench.judged(row.substitute) if row.substitute else natural
    images, words = bench.examples(source, row.attack, eps)

    def cell(
        defence: str, knowledge: str, judged: Judged, made: tuple[Float32Array, str]
    ) -> PurifierCell:
        left = bits_of(bench.left(judged, made[0]))
        return PurifierCell(defence, knowledge, getattr(row, defence), left, judged.clean, made[1])

    yield cell("none", direct, natural, (images, words))
    yield cell("lqvae", filtered, bench.judged(row.model, "lqvae"), (images, words))
    yield PurifierCell("defense_gan", filtered, row.defense_gan)
    for training in TRAINED:
        judged = bench.judged(row.model, training)
        own = (images, words) if row.substitute else bench.examples(judged, row.attack, eps)
        yield cell(training, direct, judged, own)


def _differences(row: PublishedPurifier, bench: Bench, request: _Request) -> Iterator[str]:
    """Yield what is not as in the paper, one phrase each."""
    yield f"attacked: first {bench.n_ex} of the {len(bench.data.x_test)} test images here"
    if (train := len(bench.data.x_train)) != 60_000 and row.dataset != "celeba":
        yield f"{train} training images, theirs 60000"
    yield "epochs of the classifiers and paddings of their layers are not printed; these are ours"
    if row.attack in BOUNDED:
        yield (
            "eps on [0, 1]; the pixels' scale is not printed, and their code's [-1, 1] makes 0.3 "
            f"a budget of {STEP_EPS:g}"
        )
    yield "the filter by mean inference; theirs draws its latent variables"
    if bench.preset in LQVAE_STEPS and bench.train_steps is None:
        steps = LQVAE_STEPS[bench.preset]
        yield f"the filter trained for {steps:,} steps, theirs for {LQVAE().steps:,}"
    if request.table.attacker == "all":
        if bench.n_ex > SAMPLED:
            yield f"sampled inference: attacked: first {SAMPLED} of these images"
        yield "their classifier is not named; their code has another one than A, B and C"
        yield (
            "their code takes the gradient at the soft code's image, does not clip, and rescales "
            "each image before it is scored; here it is taken at the image of the hard code"
        )
    else:
        yield "attacks by ART, theirs by cleverhans with settings that are not printed"
    if bench.train_steps is not None:
        yield "trainings shortened by --train-steps"


def _line(record: PurifierTableRecord) -> str:
    """Return what is announced after a row."""
    last = record.rows[-1]
    told = ", ".join(
        f"{cell.defence} ({cell.knowledge}) {cell.left.value:.1%}"
        for cell in last.cells
        if cell.left is not None
    )
    return f"{len(record.rows)}/{record.planned} {last.dataset} {last.attack} {last.model}: {told}"
