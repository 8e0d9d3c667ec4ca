"""The evaluation itself: clean accuracy, every trial of the plan, the checks, then the record."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from art.attacks.attack import EvasionAttack
from art.estimators.classification import PyTorchClassifier
from tqdm import tqdm

from art_disc.attacks import parse_settings
from art_disc.certificates.spend import check_spend
from art_disc.core.budget import check_norm
from art_disc.core.checks import check_count
from art_disc.core.errors import InputError
from art_disc.core.records import EvaluationRecord
from art_disc.data import as_dataset
from art_disc.estimators import as_classifier
from art_disc.estimators.contract import top_of
from art_disc.estimators.describe import describe_signs, describe_voting
from art_disc.evaluation.checks import Checks, Context, cannot_run, check_trials, run_checks
from art_disc.evaluation.describe import describe_network, describe_run
from art_disc.evaluation.door import budgets_of, check_choices, examples_of, models_of
from art_disc.evaluation.plan import estimate_seconds, plan_trials
from art_disc.evaluation.planned import PlannedTrial, left_out, merge_trials
from art_disc.evaluation.result import Evaluation, EvaluationInterrupted
from art_disc.evaluation.runner import Runner
from art_disc.evaluation.sources import USUAL, Source, gradient_sources, wanted_surrogates
from art_disc.evaluation.store import CERTIFICATES, FinishedTrials, fresh_folder
from art_disc.metrics import CurveInterrupted, Spend, certificate_curve, check_certifiable
from art_disc.report import Pictures
from art_disc.surrogates import SurrogateLike
from art_disc.trials.streams import callers_stream


@callers_stream
def evaluate(  # noqa: PLR0913 - each is a choice of its own
    classifier: Any,
    data: Any,
    *,
    eps: float | Sequence[float],
    attacks: str | EvasionAttack | Sequence[str | EvasionAttack] = "standard",
    norm: str | float = "inf",
    targeted: bool = False,
    surrogates: Sequence[SurrogateLike] = USUAL,
    through: str | None = None,
    settings: dict[str, Any] | None = None,
    sequential: bool = False,
    checks: str | Checks | None = "quick",
    reference: PyTorchClassifier | torch.nn.Module | None = None,
    draws: int = 20,
    certify: bool | str = False,
    max_free: int = 12,
    spend: Spend | None = None,
    n_ex: int | None = None,
    stratified: bool = False,
    batch_size: int = 100,
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
    export: str | None = None,
    training: str = "",
    callback: Callable[[EvaluationRecord], object] | None = None,
    announce: Callable[[str], None] | None = None,
    verbose: bool = True,
) -> Evaluation:
    """Attack a classifier with ART's attacks, count what survives, and check the attack itself.

    Gradient attacks run on the base network (their examples are scored on both models: knowledge
    `base`; a network behind an encoder such as `Thermometer` has none) and through each surrogate
    (knowledge `bpda`); attacks without gradients run on the defended model (knowledge `none`).
    Every example is scored by fresh predictions and within its
    own measured perturbation, and again after rounding to the 8-bit grid. The attacks that the
    checks ask for count like all others.

    Args:
        classifier: From `build_classifier` or `defend`; a plain ART `PyTorchClassifier`; or one of
            the user's own that keeps the contract of `art_disc.estimators.contract`.
        data: Its test images are attacked: a `Dataset`, which with clip values (0, 255) is scaled
            to 0..255; or arrays in the classifier's layout and range, `(x, y)` or `((x_train,
            y_train), (x_test, y_test))`.
        eps: One or several budgets >= 0 in the classifier's input range.
        attacks: `quick`, `standard`, `strong`, `thermometer` (the published break of level codes
            and what ramp and identity find), `binarised` (networks of signs, through several
            estimators and temperatures), names (`pgd,square`; `art-disc zoo --list` tells them), or
            ART attack objects of the user's own, which run once, as they are; an example that one
            moves farther than its budget counts at the larger budgets alone.
        norm: `inf` or 2.
        targeted: Aim at the likeliest wrong class, where the attack can; any error counts.
        surrogates: Backward passes to attack through beside the defences' own; the per-example
            worst is the result. Each is one that a defence takes (`mix:20` of `RandDisc`, `dct` of
            `JpegCompression`), or of a binarised network (`ste_identity:16`); `soft` and `identity`
            are left out where none does.
        through: Attack through this source of gradients alone (`base`, `own` or one of the
            surrogates): a cell of a sweep, not a white-box evaluation.
        settings: `{"pgd.max_iter": 100}`: over the tier's own.
        sequential: Give each attack only the examples that none before it broke within the budget,
            as AutoAttack does, where only the per-example worst is wanted: the same number, but for
            the attacks' random draws, at a fraction of the cost. What was broken by attackers of
            the same knowledge is left out, so that transfers, white boxes and black boxes keep
            numbers of their own, and the first attack of each at each budget has all examples;
            every other attack's own share is of those that it was given. Needs `checks=None`:
            checks compare attacks.
        checks: `quick`, `standard`, `full`, a `Checks` object, or None for no check.
        reference: Adversarially trained network (or its classifier, undefended) of the same input:
            transfers are made from it, and the defence is compared with it.
        draws: Fresh draws that a randomised model is scored on; it votes over its own number of
            them, and the others tell how it would fare on single ones.
        certify: Also certify at every budget (l_inf), which bounds the robust accuracy from below:
            by a `method` of `metrics.certify`, `enumeration`, `bounds`, `complete` or `solver` (of
            an `integer_classifier`); True: `enumeration`. An example that is certified and yet
            broken shows in the record's `contradictions`.
        max_free: As for `metrics.certify`.
        spend: As for `metrics.certify`: what `complete`, or `solver`, may spend on each image;
            refused for others.
        n_ex: Attack the first `n_ex` test images; None: all.
        stratified: Draw the `n_ex` by class share instead; needed where images are sorted by class.
        batch_size: Images an attack gets at once; part of what makes a run repeatable.
        seed: Of every attack's random draws.
        out: Folder; the record is written there after every attack.
        resume: Go on with what `out` holds of an interrupted run with the same settings; what is
            certified there is not certified again.
        export: `npz`: write every adversarial set into `out`, exact and on the 8-bit grid; `png`:
            as pictures too.
        training: One line on how the network was trained, for the record.
        callback: Called with the record after every attack, with `complete` False, and once at the
            end; `report.MLflowCallback` and `report.WandbCallback` are such. What it raises ends
            the evaluation; with `out` nothing is lost.
        announce: Called before the first attack with a line on each check and attack that cannot
            run, and one on the cost; None: the first of these go to stderr where `verbose`.
        verbose: Show one progress bar.

    Returns:
        The record with up to eight pictures.

    Raises:
        InputError: An argument does not fit.
        CertificateError: `certify`, and the classifier is none that the certificate covers.
        EvaluationInterrupted: Ctrl-C; its `partial` holds, and `out` has, what was finished.
    """
    check_choices(out=out, resume=resume, export=export, sequential=sequential, checks=checks)
    classifier = as_classifier(classifier)
    data, upper = as_dataset(data, classifier), top_of(classifier)
    norm = check_norm(norm)
    budgets = budgets_of(classifier, eps, norm)
    surrogates = wanted_surrogates(classifier, surrogates, attacks)
    data = data.part(n_ex, stratified=stratified, seed=seed)
    x, y = examples_of(classifier, data, upper)
    trials = plan_trials(
        classifier,
        eps=budgets,
        attacks=attacks,
        changes=settings or {},
        surrogates=surrogates,
        norm=norm,
        targeted=targeted,
        through=through,
    )
    models = models_of(classifier, reference, seed)
    run = Runner(models, x, y, data.test_ids, upper, check_count(batch_size, "batch_size"), seed)
    run.draws, run.callback, run.sequential = check_count(draws, "draws"), callback, sequential
    method = "enumeration" if certify is True else certify or None
    check_spend(spend, method)
    certificate = {"method": method, "max_free": max_free, "spend": spend}
    if method:
        _check_certifiable(run, norm, certificate)
    run.score_clean()
    run.facts = describe_run(classifier, data, y, training=training) | _facts(run, norm, budgets)
    run.facts["settings"] = {"batch_size": batch_size, "targeted": targeted, "draws": draws}
    run.facts["settings"] |= describe_voting(classifier) | describe_signs(classifier)
    run.facts["settings"] |= {"sequential": True} if sequential else {}
    ctx = None
    if checks is not None:
        ctx = _context(run, checks, gradient_sources(classifier, surrogates), settings or {})
        trials += check_trials(ctx)
    trials = merge_trials(trials)
    _announce(run, trials, ctx, announce, verbose=verbose)
    if out is not None:
        _open(run, Path(out), resume=resume, export=export, trials=trials)
    return _finish(run, trials, ctx, certificate if method else None, verbose=verbose)


def _announce(
    run: Runner,
    trials: Sequence[PlannedTrial],
    ctx: Context | None,
    announce: Callable[[str], None] | None,
    *,
    verbose: bool,
) -> None:
    """Say before the run what cannot run, with the cure, and how long the rest takes."""
    for line in (*cannot_run(ctx), *left_out(trials)):
        if announce is not None:
            announce(line)
        elif verbose:
            tqdm.write(line, file=sys.stderr)
    if announce is not None:
        seconds = estimate_seconds(run.classifier, trials, run.x)
        most = "at most" if run.sequential else "about"
        announce(f"{len(trials)} attacks on {len(run.x)} images, {most} {_duration(seconds)}")


def _facts(run: Runner, norm: str, budgets: tuple[float, ...]) -> dict[str, Any]:
    facts: dict[str, Any] = {"norm": norm, "eps": budgets, "seed": run.seed, "base_correct": ()}
    for name in ("base", "defended", "reference"):
        if name in run.models:
            facts[f"{name}_correct"] = tuple(run.clean[name].correct.tolist())
    if "reference" in run.models:
        network = run.models["reference"].base_network
        facts["reference"] = describe_network(network, "adversarially trained, as the user says")
    return facts


def _context(
    run: Runner, checks: str | Checks, sources: list[Source], settings: dict[str, Any]
) -> Context:
    ctx = Context(
        run=run,
        options=checks if isinstance(checks, Checks) else Checks(checks),
        norm=run.facts["norm"],
        eps=max(run.facts["eps"]),
        sources=sources,
        changes=parse_settings(settings),
    )
    run.facts["checks_tier"] = ctx.options.tier
    return ctx


def _open(
    run: Runner, folder: Path, *, resume: bool, export: str | None, trials: Sequence[PlannedTrial]
) -> None:
    """Make the folder the run's own, or take up what an interrupted one left there."""
    if not resume:
        fresh_folder(folder)
    else:
        run.finished = FinishedTrials.of(folder, run.record(complete=False))
        run.finished.check_nothing_lost(trials, run.facts.get("checks_tier", ""))
        run.facts["certificates"] = run.finished.certificates
        if (folder / "pictures.npz").is_file():
            run.gallery.pictures = Pictures.load(folder / "pictures.npz")
    run.out, run.export = folder, export


def _finish(
    run: Runner,
    trials: Sequence[PlannedTrial],
    ctx: Context | None,
    certificate: dict[str, Any] | None,
    *,
    verbose: bool,
) -> Evaluation:
    run.through(trials, verbose=verbose)
    try:
        if certificate is not None:
            _certify(run, certificate, verbose=verbose)
        if ctx is not None:
            ctx.record = run.record(complete=True)
            run.facts["checks"] = run_checks(ctx, verbose=verbose)
    except KeyboardInterrupt:
        raise EvaluationInterrupted(run.keep()) from None
    return run.keep(complete=True)


def _check_certifiable(run: Runner, norm: str, certificate: dict[str, Any]) -> None:
    """Raise what `certify` would raise, before hours of attacks."""
    if norm != "inf":
        msg = "certificates of codewords are for norm='inf'; leave certify out for norm 2"
        raise InputError(msg)
    asked = {name: certificate[name] for name in ("method", "max_free")}
    check_certifiable(run.classifier, run.x, **asked)


def _certify(run: Runner, certificate: dict[str, Any], *, verbose: bool) -> None:
    """Certify at every budget of the run, and keep the records."""
    out = None if run.out is None else run.out / CERTIFICATES / certificate["method"]
    images = run.classifier, run.x, run.y
    # of the very classifier that was attacked
    options = {"eps": run.facts["eps"], "out": out, "verbose": verbose, "arithmetic": "float"}
    options |= certificate
    try:
        run.facts["certificates"] = certificate_curve(*images, **options).record.certificates
    except CurveInterrupted as stop:
        run.facts["certificates"] = stop.partial.record.certificates
        raise
    run.keep()


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
