"""One row of a published table: train what it needs, attack it, set it beside the print."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from art_disc.core.records import EvaluationRecord, Share
from art_disc.core.records.table import TableRow
from art_disc.defences import CodebookPreprocessor, parse_defences
from art_disc.evaluation import evaluate
from art_disc.reproduction.published import Published
from art_disc.reproduction.ran import Ran
from art_disc.reproduction.recipes import Experiment, Stage
from art_disc.surrogates import SoftAssignment, SurrogateLike
from art_disc.training import Trained

ATTACKS = ("sign_adam", "pgd", "apgd_ce", "apgd_dlr", "square")


@dataclass(frozen=True)
class RowRequest:
    """What the whole table is run with.

    Attributes:
        n_ex: Test images that are attacked.
        eps: Budgets in place of the published one; empty: that one.
        seed: Of trainings, codebooks and attacks.
        attacks: Whose per-example worst stands beside the papers' attack.
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


def run_row(row: Published, stage: Stage, request: RowRequest) -> list[TableRow]:
    """Train or load the row's network, attack it and return one table row a budget.

    Args:
        row: What was published.
        stage: Data and recipe.
        request: How much of it.
    """
    defences = parse_defences(row.spec(stage.experiment.alpha, request.seed))
    setting = stage.trained(row.setting, defences, seed=request.seed, verbose=request.verbose)
    budgets = request.eps or (row.eps,)
    record = _attacked(setting, row, stage, _of_row(request, row, stage, budgets))
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
    kept = {key: value for key, value in own.items() if key.split(".")[0] in request.attacks}
    return kept | dict(request.settings or {})


def _surrogates(setting: Trained, how: Experiment) -> tuple[SurrogateLike, ...]:
    """Return what our attacks go through beside the papers' surrogate."""
    # scalar codes: the papers' is flat beyond the outer codewords, where random starts put pixels
    if setting.classifier.input_shape[0] == 1:
        return "identity", SoftAssignment(how.alpha, leak=1.0)
    return ("identity",)


def _attacked(
    setting: Trained, row: Published, stage: Stage, request: RowRequest
) -> EvaluationRecord:
    return evaluate(
        setting.classifier,
        stage.data,
        eps=request.eps,
        attacks=list(request.attacks),
        surrogates=_surrogates(setting, stage.experiment),
        settings=_settings(row, stage.experiment, request),
        checks=request.checks,
        n_ex=request.n_ex,
        seed=request.seed,
        out=request.out,
        resume=True,
        training=setting.training,
        verbose=request.verbose,
    ).record
