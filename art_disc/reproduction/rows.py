"""One row of a published table: train what it needs, attack it, set it beside the print."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from art_disc.codebooks import DensityCodebook, KMedoidsCodebook
from art_disc.core.errors import InputError
from art_disc.core.records import AttackOutcome, EvaluationRecord, Share
from art_disc.core.records.outcomes import WHITE_BOX
from art_disc.core.records.table import TableRow
from art_disc.data import Dataset
from art_disc.defences import CodebookPreprocessor, ColorDepthReduction, PixelDiscretization
from art_disc.estimators import DefendedClassifier
from art_disc.evaluation import evaluate
from art_disc.reproduction.published import Published
from art_disc.reproduction.recipes import Experiment
from art_disc.surrogates import SoftAssignment, SurrogateLike
from art_disc.training import SixSettings, Trained

ATTACKS = ("sign_adam", "pgd", "apgd_ce", "apgd_dlr", "square")


@dataclass(frozen=True)
class Request:
    """What the whole table is run with.

    Attributes:
        n_ex: Test images that are attacked.
        eps: Budgets in place of the published one; empty: that one.
        seed: Of trainings, codebooks and attacks.
        attacks: Whose per-example worst is told beside the papers' attack.
        settings: Over the attacks' own, as for `evaluate`.
        checks: As for `evaluate`.
        out: Folder of the rows' records.
        verbose: Show progress bars.
    """

    n_ex: int
    out: Path
    eps: tuple[float, ...] = ()
    seed: int = 0
    attacks: Sequence[str] = ATTACKS
    settings: Mapping[str, Any] | None = None
    checks: str | None = None
    verbose: bool = True


@dataclass(frozen=True)
class Stage:
    """A data set with what its rows share.

    Attributes:
        data: With the training images that are really used.
        experiment: Its recipe, shortened as asked.
        steps: Batches in the natural training that were asked for; None: the recipe's own.
    """

    data: Dataset
    experiment: Experiment
    steps: int | None = None


def make_defence(row: Published, alpha: float, seed: int) -> CodebookPreprocessor | None:
    """Return the row's defence, not yet fitted, with the papers' surrogate; None for none."""
    surrogate = SoftAssignment(alpha)
    if row.defence == "none":
        return None
    if row.defence == "colordepth":
        return ColorDepthReduction(row.n_codes, surrogate)
    if row.defence == "density":
        return PixelDiscretization(DensityCodebook(row.n_codes, radius=row.radius), surrogate)
    return PixelDiscretization(KMedoidsCodebook(row.n_codes, random_state=seed), surrogate)


def run_row(row: Published, stage: Stage, request: Request) -> list[TableRow]:
    """Train or load the row's network, attack it and return one table row a budget.

    Args:
        row: What was published.
        stage: Data and recipe.
        request: How much of it.
    """
    how = stage.experiment
    defence = make_defence(row, how.alpha, request.seed)
    six = SixSettings(
        lambda: how.network(stage.data.input_shape, stage.data.nb_classes),
        stage.data,
        [] if defence is None else [defence],
        adversary=how.adversary,
        natural=how.natural,
        adversarial=how.adversarial,
        natural_again=how.natural_again,
        adversarial_again=how.adversarial_again,
        seed=request.seed,
        verbose=request.verbose,
    )
    setting = six[row.setting]
    name = f"{row.dataset}-{row.setting}-{row.defence}-{row.n_codes}-n{request.n_ex}"
    name += f"-seed{request.seed}" + (f"-steps{stage.steps}" if stage.steps else "")
    name += _other_attacks(request)
    budgets = request.eps or (row.eps,)
    record = _attacked(setting, stage.data, row, how, replace_out(request, name, budgets))
    clean = _clean(setting.classifier, stage.data)
    return [_told(row, setting, record, clean, stage, defence, eps) for eps in budgets]


def _other_attacks(request: Request) -> str:
    """Return what tells the folder of other attacks, settings or checks than the usual ones."""
    asked = (tuple(request.attacks), sorted((request.settings or {}).items()), request.checks)
    if asked == (ATTACKS, [], None):
        return ""
    return f"-{hashlib.sha256(repr(asked).encode()).hexdigest()[:8]}"


def replace_out(request: Request, name: str, budgets: Sequence[float]) -> Request:
    """Return the request with a row's own budgets and folder."""
    told = "-".join(f"{eps:.4g}" for eps in budgets)
    return replace(request, eps=tuple(budgets), out=request.out / "rows" / f"{name}-eps{told}")


def _settings(row: Published, how: Experiment, request: Request) -> dict[str, Any]:
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
    kept = {key: value for key, value in own.items() if key.split(".")[0] in request.attacks}
    return kept | dict(request.settings or {})


def _surrogates(setting: Trained, how: Experiment) -> tuple[SurrogateLike, ...]:
    """Return what our attacks go through beside the papers' surrogate."""
    # scalar codes: the papers' is flat beyond the outer codewords, where random starts put pixels
    if setting.classifier.input_shape[0] == 1:
        return "identity", SoftAssignment(how.alpha, leak=1.0)
    return ("identity",)


def _attacked(
    setting: Trained,
    data: Dataset,
    row: Published,
    how: Experiment,
    request: Request,
) -> EvaluationRecord:
    return evaluate(
        setting.classifier,
        data,
        eps=request.eps,
        attacks=list(request.attacks),
        surrogates=_surrogates(setting, how),
        settings=_settings(row, how, request),
        checks=request.checks,
        n_ex=request.n_ex,
        seed=request.seed,
        out=request.out,
        resume=True,
        training=setting.told,
        verbose=request.verbose,
    ).record


def _clean(classifier: DefendedClassifier, data: Dataset) -> Share:
    right = classifier.predict(data.x_test).argmax(axis=1) == data.y_test
    return Share(int(right.sum()), len(right))


def _told(  # noqa: PLR0913, PLR0917 - what a row is made of
    row: Published,
    setting: Trained,
    record: EvaluationRecord,
    clean: Share,
    stage: Stage,
    defence: CodebookPreprocessor | None,
    eps: float,
) -> TableRow:
    papers = papers_outcome(record, eps, defended=defence is not None)
    done = record.select(scored_on="defended", eps=eps)
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
        clean=clean,
        papers_attack=papers.share,
        alive=_bits(record.survives(eps)),
        white_box=_white_box(record, eps),
        correct=_bits(record.defended_correct),
        attack=_words(papers.attack, papers.settings, papers.surrogate),
        worst_of="; ".join(
            dict.fromkeys(
                _words(o.attack, o.settings, o.surrogate or _from(o.knowledge)) for o in done
            )
        ),
        network=f"{stage.experiment.network_words}: {setting.told}",
        codes_found=0 if defence is None else len(defence.codebook.levels),
        differs=differences(row, stage, record, papers),
        gradients=sum(o.gradients for o in done) / len(record.labels),
        queries=sum(o.queries for o in done) / len(record.labels),
        seconds=sum(o.seconds for o in done),
    )


def papers_outcome(record: EvaluationRecord, eps: float, *, defended: bool) -> AttackOutcome:
    """Return the outcome of the papers' own attack: sign-Adam through their surrogate, or PGD.

    Their undefended networks met plain PGD with one random start, their defended ones Adam on
    gradient signs with a margin loss and no random start.

    Raises:
        InputError: It was not run.
    """
    for outcome in record.select(scored_on="defended", eps=eps):
        soft = outcome.surrogate is not None and outcome.surrogate.startswith("soft")
        if defended and outcome.attack == "sign_adam" and soft:
            return outcome
        if not defended and outcome.attack == "pgd":
            return outcome
    msg = f"the papers' attack did not finish at eps {eps:g}; run the row again"
    raise InputError(msg)


def differences(
    row: Published, stage: Stage, record: EvaluationRecord, papers: AttackOutcome
) -> tuple[str, ...]:
    """Return what is not as in the paper, one phrase each."""
    how, data = stage.experiment, stage.data
    told = [f"attacked: first {len(record.labels)} of the {len(data.x_test)} test images here"]
    if len(data.x_train) != how.images:
        told.append(f"{len(data.x_train)} training images, theirs {how.images}")
    told.append(f"{how.network_words}; theirs: {how.published_network}")
    if row.training == "re":
        told.append("retrained from the base network")
    if row.defence == "kmedoids":
        told.append("k-medoids by our solver, theirs by MATLAB's")
    if stage.steps is not None:
        told.append("training shortened by --train-steps")
    theirs = {"max_iter": row.steps, "eps_step": how.eps_step}
    for name, value in theirs.items():
        if papers.settings[name] != value:
            told.append(f"the papers' attack was run with {name} {papers.settings[name]}")
    if how.eps_step >= row.eps or row.dataset == "fashion_mnist":
        told.append("the step of their attack at this budget is not recorded; that of their code")
    return tuple(told)


def _white_box(record: EvaluationRecord, eps: float) -> Share:
    alive = record.survives(eps, knowledge=WHITE_BOX)
    return Share(sum(alive), len(alive))


def _defence_words(row: Published, defence: CodebookPreprocessor | None) -> str:
    if defence is None:
        return ""
    found = len(defence.codebook.levels)
    short = "" if found == row.n_codes else f" ({found} found)"
    return f"{row.defence}, {row.n_codes} codes{short}"


def _from(knowledge: str) -> str:
    return {"base": "transfer from the base", "none": "no gradients"}.get(knowledge, "no surrogate")


def _words(attack: str, settings: Mapping[str, Any], through: str | None) -> str:
    said = [
        f"{key} {value:.4g}" for key, value in settings.items() if isinstance(value, int | float)
    ]
    return f"{attack} ({', '.join(said)}) {through or 'on the network itself'}"


def _bits(flags: Sequence[bool]) -> str:
    return "".join("1" if flag else "0" for flag in flags)
