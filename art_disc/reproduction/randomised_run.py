"""A table of randomised defences: PGD through the mean of many gradients, beside our attacks."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from art.attacks.evasion import ProjectedGradientDescent

from art_disc.attacks import attack_table
from art_disc.core.checks import check_choice, check_count
from art_disc.core.errors import InputError
from art_disc.core.files import replace_file
from art_disc.core.records import AttackOutcome, EvaluationRecord, Share
from art_disc.core.records.base import Environment
from art_disc.core.records.fields import Setting
from art_disc.core.records.outcomes import WHITE_BOX
from art_disc.core.records.published import TableRecord, TableRow
from art_disc.core.seeds import derive_seed
from art_disc.core.showing import Shown
from art_disc.defences import parse_defences
from art_disc.estimators import RandomizedClassifier
from art_disc.evaluation import evaluate
from art_disc.evaluation.sources import relaxed_twin
from art_disc.reproduction.randomised_tables import (
    COLOUR,
    PROTOCOLS,
    Protocol,
    RandomisedTable,
    chosen_defences,
    randomised_table,
    word_of,
)
from art_disc.reproduction.recipes import Stage
from art_disc.reproduction.rows import bits_of, none_failed, worst_of
from art_disc.reproduction.run import file_name
from art_disc.trials.score import predict_labels

# votes of a prediction, and fresh draws that examples are scored on
VOTES = 100
# beside PGD, where the defence may be known: no gradients, which draws would hide
ATTACKS = ("square",)
_FINISHED = "finished"


@dataclass(frozen=True)
class _Request(Shown):
    """What every row of the table is run with."""

    table: RandomisedTable
    n_ex: int
    out: Path
    settings: Mapping[str, Any]
    seed: int
    verbose: bool

    def folder(self, dataset: str, defence: str, eps: float, how: Protocol, weights: str) -> Path:
        """Return where an evaluation is kept: that of these very weights and words."""
        asked = (
            defence, weights, repr(how), self.n_ex, self.seed, eps, self.table.through,
            sorted((name, str(value)) for name, value in self.settings.items()),
        )  # fmt: skip
        key = hashlib.sha256(repr(asked).encode()).hexdigest()[:8]
        return self.out / "rows" / f"{dataset}-{word_of(defence)}-eps{eps:.4g}-{key}"


@dataclass(frozen=True)
class _Kept(Shown):
    """Where an evaluation is kept, and what it says of the training."""

    folder: Path
    training: str

    def record(self) -> EvaluationRecord | None:
        """Return the evaluation if it is finished: attack objects are never taken from the disk."""
        if not (self.folder / _FINISHED).is_file():
            return None
        record = EvaluationRecord.load(self.folder / "record.json")
        now = Environment.here(threads=torch.get_num_threads())
        return record if record.environment.decisive == now.decisive else None

    def finish(self, record: EvaluationRecord) -> EvaluationRecord:
        """Note that the evaluation is finished, and return it."""
        replace_file(self.folder / _FINISHED, b"")
        return record


def reproduce_randomised(  # noqa: PLR0913 - each is a choice of its own
    name: str,
    *,
    out: str | Path = "runs/reproduce",
    datasets: Sequence[str] = (),
    defences: Sequence[str] = (),
    gradients: Sequence[int] = (),
    eps: Sequence[float] = (),
    n_ex: int = 300,
    train_steps: int | None = None,
    attack_settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    data_dir: str | Path | None = None,
    announce: Callable[[str], None] | None = None,
    verbose: bool = True,
) -> TableRecord:
    """Run a table of Zhang and Liang 2019 beside its printed numbers.

    The paper's attack is PGD on the relaxed defence (RandMix for RandDisc), along the mean of many
    gradients, scored on the defence by a vote of fresh draws. Ours go through the defence itself,
    its other surrogates and the undefended network, and ask queries. Finished attacks are in `out`.

    Args:
        name: One of `RANDOMISED_TABLES`: `zhang2019-table2a`, ...
        out: Folder of the table, `NAME.json`, and of the evaluations' records.
        datasets: The table's own, `imagenet`, of the user's own images, or what stands in for it;
            empty: what is at hand.
        defences: Keep these, whole or by their first words, `randdisc`; empty: all.
        gradients: Of a figure over their number, keep these; empty: all.
        eps: Budgets in [0, 1] in place of the published ones.
        n_ex: The first so many test images are attacked; clean accuracy is counted on them too.
        train_steps: As for `reproduce`.
        attack_settings: `{"pgd.max_iter": 20}`: over the paper's.
        seed: Of trainings, defences and attacks.
        data_dir: Where the data sets' files are looked for first.
        announce: Called with one line after every row.
        verbose: Show progress bars.

    Raises:
        InputError: Unknown table, data set, defence or setting.
        DataNotFoundError: The images are not there.
    """
    table, chosen = randomised_table(name), chosen_defences(name, defences=defences)
    for dataset in datasets:
        check_choice(dataset, "dataset", table.datasets)
    attack_table(["pgd", *ATTACKS], attack_settings or {})
    request = _Request(
        table, check_count(n_ex, "n_ex"), Path(out), dict(attack_settings or {}), seed, verbose
    )
    budgets = tuple(eps) or table.eps
    places = tuple(datasets) or table.datasets[-1:]
    asked: dict[str, Setting] = {
        "datasets": ",".join(places), "rows": ",".join(defences) or "all", "n_ex": n_ex,
        "seed": seed, "train_steps": train_steps, "votes": VOTES,
        "attack_settings": ",".join(f"{k}={v}" for k, v in (attack_settings or {}).items()),
        "eps": ",".join(f"{value:g}" for value in eps) or "as printed",
    }  # fmt: skip
    lines = [
        (defence, number)
        for defence in chosen
        for number in table.numbers(defence)
        if not gradients or number in (*gradients, 0)
    ]
    planned = len(places) * len(lines) * len(budgets)
    environment = Environment.here(threads=torch.get_num_threads())
    record = TableRecord(name, table.title, (), planned, asked, environment)
    for dataset in places:
        stage = Stage.of(dataset, data_dir, train_steps)
        for defence, number in lines:
            for budget in budgets:
                row = run_randomised(defence, budget, stage, request, gradients=number)
                record = replace(record, rows=(*record.rows, row))
                record.save(Path(out) / f"{file_name(name, datasets, defences, ())}.json")
                if announce is not None:
                    announce(f"{len(record.rows)}/{planned} {dataset} {defence}: {row.worst}")
    return record


def run_randomised(
    defence: str, eps: float, stage: Stage, request: _Request, *, gradients: int = 0
) -> TableRow:
    """Attack one defence at one budget, by so many gradients (0: the paper's); return its row."""
    table, dataset = request.table, stage.data.name
    setting = ("disc_" * (defence != "none")) + ("nat" if table.base == "natural" else "adv")
    chain = parse_defences(defence)
    made = stage.trained(f"{setting}_pre", chain, seed=request.seed, verbose=request.verbose)
    usual = PROTOCOLS.get(dataset, COLOUR)
    how = replace(usual, draws=gradients or usual.draws)
    as_printed = how == usual
    classifier: Any = made.classifier
    if isinstance(classifier, RandomizedClassifier):
        drawn = derive_seed(request.seed, defence)
        classifier = classifier.with_samples(eot=how.draws, vote=VOTES).with_seed(drawn)
    folder = request.folder(dataset, defence, eps, how, made.result.weights)
    place = _Kept(folder, made.training)
    record = place.record() or _attacked(classifier, eps, stage, how, request, place)
    papers = _papers(record, defence)
    right = predict_labels(classifier, stage.data.part(request.n_ex).x_test)
    white_box = record.survives(eps, knowledge=WHITE_BOX)
    done = record.select(scored_on="defended", eps=eps)
    return TableRow(
        dataset=dataset,
        setting=f"{setting}_pre",
        defence="" if defence == "none" else in_words(defence, gradients),
        n_codes=0,
        eps=eps,
        printed_clean=table.printed(dataset, defence, "clean"),
        printed_robust=table.printed(dataset, defence, "robust", eps) if as_printed else None,
        printed_steps=how.steps,
        clean=Share.of(right == stage.data.y_test[: request.n_ex]),
        papers_attack=papers.share,
        alive=bits_of(record.survives(eps)),
        white_box=Share(sum(white_box), len(white_box)),
        correct=bits_of(record.defended_correct),
        attack=worst_of([papers]),
        worst_of=worst_of(done),
        network=f"{stage.experiment.network_words}: {made.training}",
        differs=tuple(_differences(dataset, stage, request)),
        gradients=sum(o.gradients for o in done) / len(record.labels),
        queries=sum(o.queries for o in done) / len(record.labels),
        seconds=sum(o.seconds for o in done),
    )


def _attacked(
    classifier: Any, eps: float, stage: Stage, how: Protocol, request: _Request, place: _Kept
) -> EvaluationRecord:
    """Run the paper's attack, on the relaxed defence where there is one, and ours."""
    usual: dict[str, Any] = {f"pgd.{name}": value for name, value in how.pgd(eps).items()}
    usual["square.max_iter"] = stage.experiment.queries
    settings = usual | dict(request.settings)
    attacks: list[Any] = ["pgd"]
    # an undefended network has no other that an attack could be made on
    blind = request.table.through == "base"
    options: dict[str, Any] = {"through": "base"} if blind and classifier.defences else {}
    if not blind:
        attacks += ATTACKS
        twin = relaxed_twin(classifier)
        own = {key.removeprefix("pgd."): v for key, v in settings.items() if key[:4] == "pgd."}
        attacks += [] if twin is None else [papers_pgd(twin[1], eps, **own)]
    found = evaluate(
        classifier,
        stage.data,
        eps=eps,
        attacks=attacks,
        settings={k: v for k, v in settings.items() if k.split(".")[0] in attacks},
        checks=None,
        sequential=True,
        n_ex=request.n_ex,
        seed=request.seed,
        out=place.folder,
        resume=True,
        training=place.training,
        verbose=request.verbose,
        **options,
    )
    return place.finish(none_failed(found.record))


def papers_pgd(source: Any, eps: float, **settings: Any) -> ProjectedGradientDescent:
    """Return the paper's attack on a classifier, by the settings of `Protocol.pgd`."""
    return ProjectedGradientDescent(source, eps=eps, batch_size=100, verbose=False, **settings)


def in_words(defence: str, gradients: int) -> str:
    """Return what a row says of its defence, and of the gradients where they are its subject.

    >>> in_words("randmix:preset=imagenet", 10)
    'randmix:preset=imagenet, mean of 10 gradients'
    """
    return f"{defence}, mean of {gradients} gradients" if gradients else defence


def _papers(record: EvaluationRecord, defence: str) -> AttackOutcome:
    """Return the outcome of the paper's attack: PGD on the relaxed defence, or on what there is.

    Raises:
        InputError: It did not finish.
    """
    done = record.select(scored_on="defended")
    white = [one for one in done if one.knowledge in WHITE_BOX]
    # an object on the twin bears ART's name; a table of attacks that know no defence has transfers
    order = [one for one in white if one.attack != "pgd" and one.gradients]
    order += [one for one in white if one.attack == "pgd"]
    order += [one for one in done if one.attack == "pgd"]
    if not order:
        msg = f"the paper's attack on {defence} did not finish; run the row again"
        raise InputError(msg)
    return order[0]


def _differences(dataset: str, stage: Stage, request: _Request) -> Iterator[str]:
    """Yield what is not as in the paper, one phrase each."""
    theirs = {"mnist": "the first 10000", "imagenet": "1000"}
    yield f"attacked: first {request.n_ex} test images, theirs {theirs.get(dataset, '1000 others')}"
    if dataset != request.table.dataset:
        yield f"{dataset} stands in for {request.table.dataset}: nothing printed is beside it"
    yield f"{stage.experiment.network_words}; theirs: a larger one"
    if request.table.through == "base":
        yield "PGD on the undefended network stands in for the competition's attacks"
    if stage.steps is not None:
        yield "training shortened by --train-steps"
