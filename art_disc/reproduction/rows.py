"""One row of a published table: train what it needs, attack it, set it beside the print."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from art_disc import attacks
from art_disc.core.errors import AttackFailedError, InputError
from art_disc.core.records import AttackOutcome, EvaluationRecord, Share
from art_disc.core.records.outcomes import WHITE_BOX
from art_disc.core.records.published import TableRow
from art_disc.defences import CodebookPreprocessor, parse_defences
from art_disc.estimators import DefendedClassifier
from art_disc.evaluation import evaluate
from art_disc.reproduction.published import Published
from art_disc.reproduction.recipes import Experiment, Stage
from art_disc.surrogates import SoftAssignment, SurrogateLike
from art_disc.training import Trained


@dataclass(frozen=True)
class Ran:
    """A published row that was run: the classifier, the record of all budgets, the fitted defence.

    `clean` is the share that is right of all test images.
    """

    row: Published
    stage: Stage
    setting: Trained
    record: EvaluationRecord
    clean: Share
    defence: CodebookPreprocessor | None

    def at(self, eps: float) -> TableRow:
        """Return the row of the table at one budget.

        Raises:
            InputError: The papers' attack did not finish there.
        """
        row, record, defence = self.row, self.record, self.defence
        papers = papers_outcome(record, eps, defended=defence is not None)
        done = record.select(scored_on="defended", eps=eps)
        white_box = record.survives(eps, knowledge=WHITE_BOX)
        as_printed = eps == row.eps
        return TableRow(
            dataset=row.dataset,
            setting=row.setting,
            defence=_defence_words(row, defence),
            n_codes=row.n_codes,
            eps=eps,
            printed_clean=row.clean,
            printed_robust=row.robust if as_printed else None,
            printed_steps=row.steps if as_printed else 0,
            clean=self.clean,
            papers_attack=papers.share,
            alive=bits_of(record.survives(eps)),
            white_box=Share(sum(white_box), len(white_box)),
            correct=bits_of(record.defended_correct),
            attack=_words(papers, papers.surrogate),
            worst_of=worst_of(done),
            network=f"{self.stage.experiment.network_words}: {self.setting.training}",
            codes_found=0 if defence is None else len(defence.codebook.levels),
            differs=self.differences(papers),
            gradients=sum(o.gradients for o in done) / len(record.labels),
            queries=sum(o.queries for o in done) / len(record.labels),
            seconds=sum(o.seconds for o in done),
        )

    def differences(self, papers: AttackOutcome) -> tuple[str, ...]:
        """Return what is not as in the paper, one phrase each; `papers` is of their attack."""
        row, how, data = self.row, self.stage.experiment, self.stage.data
        theirs = {"max_iter": row.steps, "eps_step": how.eps_step}
        phrases = {
            f"attacked: first {len(self.record.labels)} of the {len(data.x_test)} test images "
            "here": True,
            f"{len(data.x_train)} training images, theirs {how.images}": (
                len(data.x_train) != how.images
            ),
            f"{how.network_words}; theirs: {how.published_network}": True,
            "retrained from the base network": row.training == "re",
            "k-medoids by our solver, theirs by MATLAB's": row.defence == "kmedoids",
            "training shortened by --train-steps": self.stage.steps is not None,
            **{
                f"the papers' attack was run with {name} {papers.settings[name]}": (
                    papers.settings[name] != value
                )
                for name, value in theirs.items()
            },
            "the step of their attack at this budget is not recorded; that of their code": (
                how.eps_step >= row.eps or row.dataset == "fashion_mnist"
            ),
        }
        return tuple(phrase for phrase, holds in phrases.items() if holds)


def none_failed(record: EvaluationRecord) -> EvaluationRecord:
    """Return a record that every attack contributed to; attacks that do not apply are none of them.

    Raises:
        AttackFailedError: One ended with an error.
    """
    if record.failed:
        one = record.failed[0]
        msg = (
            f"{one.attack} failed at eps {one.eps:g}: {one.reason}; the row would be of fewer "
            "attacks than it says. Run it again, and what is finished is not repeated"
        )
        raise AttackFailedError(msg)
    return record


def papers_outcome(record: EvaluationRecord, eps: float, *, defended: bool) -> AttackOutcome:
    """Return the outcome of the papers' own attack: sign-Adam through their surrogate, or PGD.

    Their undefended networks met plain PGD with one random start, their defended ones Adam on
    gradient signs with a margin loss and no random start.

    Raises:
        InputError: It was not run.
    """
    for outcome in record.select(scored_on="defended", eps=eps):
        soft = outcome.surrogate is not None and outcome.surrogate.startswith("soft")
        if defended and outcome.attack == "sign_adam" and soft and not outcome.positions:
            return outcome
        if not defended and outcome.attack == "pgd" and not outcome.positions:
            return outcome
    msg = f"the papers' attack did not finish at eps {eps:g}; run the row again"
    raise InputError(msg)


def _defence_words(row: Published, defence: CodebookPreprocessor | None) -> str:
    if defence is None:
        return ""
    found = len(defence.codebook.levels)
    short = "" if found == row.n_codes else f" ({found} found)"
    return f"{row.defence}, {row.n_codes} codes{short}"


def worst_of(outcomes: Iterable[AttackOutcome]) -> str:
    """Return attacks, their settings and what their gradients go through, in words."""
    done = list(outcomes)
    words = dict.fromkeys(_words(o, o.surrogate or _from(o.knowledge)) for o in done)
    return "; ".join([*words, *([_IN_SEQUENCE] if any(o.positions for o in done) else [])])


_IN_SEQUENCE = "in sequence: all but the first of a kind on what stood before them"


def _from(knowledge: str) -> str:
    return {"base": "transfer from the base", "none": "no gradients"}.get(knowledge, "no surrogate")


def _words(outcome: AttackOutcome, through: str | None) -> str:
    numbers = [
        f"{key} {value:.4g}"
        for key, value in outcome.settings.items()
        if isinstance(value, int | float)
    ]
    return f"{outcome.attack} ({', '.join(numbers)}) {through or 'on the network itself'}"


def bits_of(flags: Iterable[bool]) -> str:
    """Return flags as a row of 0 and 1."""
    return "".join("1" if flag else "0" for flag in flags)


ATTACKS = ("sign_adam", "pgd", "apgd_ce", "apgd_dlr", "square", "code_space")


def fitting(names: Iterable[str], classifier: DefendedClassifier) -> list[str]:
    """Return the attacks that there is something for: those on codes need codes."""
    return [name for name in names if classifier.defences or not attacks.ATTACKS[name].behind]


@dataclass(frozen=True)
class RowRequest:
    """What the whole table is run with, in the terms of `evaluate`.

    No `eps`: the published budget. `seed` is also of trainings and codebooks; `out` holds a folder
    a row.
    """

    n_ex: int
    out: Path
    eps: tuple[float, ...] = ()
    seed: int = 0
    attacks: Sequence[str] = ATTACKS
    settings: Mapping[str, Any] | None = None
    checks: str | None = None
    verbose: bool = True


def run_row(row: Published, stage: Stage, request: RowRequest) -> list[TableRow]:
    """Train or load the row's network, attack it and return one table row a budget."""
    defences = parse_defences(row.spec(stage.experiment.alpha, request.seed))
    setting = stage.trained(row.setting, defences, seed=request.seed, verbose=request.verbose)
    budgets = request.eps or (row.eps,)
    record = none_failed(_attacked(setting, row, stage, _of_row(request, row, stage, budgets)))
    right = setting.classifier.predict(stage.data.x_test).argmax(axis=1) == stage.data.y_test
    own = next((d for d in defences if isinstance(d, CodebookPreprocessor)), None)
    ran = Ran(row, stage, setting, record, Share(int(right.sum()), len(right)), own)
    return [ran.at(eps) for eps in budgets]


def _of_row(
    request: RowRequest, row: Published, stage: Stage, budgets: Sequence[float]
) -> RowRequest:
    """Return the request with the row's own budgets and folder."""
    name = f"{row.dataset}-{row.setting}-{row.defence}-{row.n_codes}-n{request.n_ex}"
    name += f"-seed{request.seed}" + (f"-steps{stage.steps}" if stage.steps else "")
    name += f"{_other_attacks(request)}-eps{'-'.join(f'{eps:.4g}' for eps in budgets)}"
    return replace(request, eps=tuple(budgets), out=request.out / "rows" / name)


def _other_attacks(request: RowRequest) -> str:
    """Return what tells the folder of other attacks, settings or checks than the usual ones."""
    asked = (tuple(request.attacks), sorted((request.settings or {}).items()), request.checks)
    if asked == (ATTACKS, [], None):
        return ""
    return f"-{hashlib.sha256(repr(asked).encode()).hexdigest()[:8]}"


def _settings(row: Published, how: Experiment, request: RowRequest) -> dict[str, Any]:
    """Return the attacks' settings: the papers', and no coarser ones where PGD is ours."""
    # a step of the whole budget would leave PGD on the corners
    ours = how.eps_step if row.defence == "none" else min(how.eps_step, min(request.eps) / 4)
    own = {
        "sign_adam.max_iter": row.steps,
        "sign_adam.eps_step": how.eps_step,
        "pgd.max_iter": row.steps,
        "pgd.eps_step": ours,
        "pgd.num_random_init": 1,
        "apgd_ce.max_iter": 50,
        "apgd_dlr.max_iter": 50,
        "square.max_iter": how.queries,
    }
    every = own | dict(request.settings or {})
    return {key: value for key, value in every.items() if key.split(".")[0] in request.attacks}


def _surrogates(setting: Trained, how: Experiment) -> tuple[SurrogateLike, ...]:
    """Return what our attacks go through beside the papers' surrogate."""
    # scalar codes: the papers' is flat beyond the outer codewords, where random starts put pixels
    if setting.classifier.input_shape[0] == 1:
        return "identity", SoftAssignment(how.alpha, leak=1.0)
    return ("identity",)


def _attacked(
    setting: Trained, row: Published, stage: Stage, request: RowRequest
) -> EvaluationRecord:
    # the papers' attack goes first: of a sequential evaluation, it has all examples
    papers = "sign_adam" if setting.classifier.defences else "pgd"
    names = sorted(fitting(request.attacks, setting.classifier), key=lambda name: name != papers)
    own = replace(request, attacks=names)
    return evaluate(
        setting.classifier,
        stage.data,
        eps=request.eps,
        attacks=list(own.attacks),
        surrogates=_surrogates(setting, stage.experiment),
        settings=_settings(row, stage.experiment, own),
        checks=request.checks,
        sequential=request.checks is None,
        n_ex=request.n_ex,
        seed=request.seed,
        out=request.out,
        resume=True,
        training=setting.training,
        verbose=request.verbose,
    ).record
