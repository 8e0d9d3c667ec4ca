"""A certificate but for its budget: all is checked and measured before anything is decided."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from torch import nn

from art_disc.certificates.certificate import Certificate
from art_disc.certificates.complete.exact import rounded_classifier
from art_disc.certificates.ledger import Start, ledger, scores_told
from art_disc.certificates.measured import measured
from art_disc.certificates.methods import METHODS, assumptions
from art_disc.certificates.problem import Finding, Options, Problem
from art_disc.certificates.solver.programme import cp_model
from art_disc.certificates.solver.twin import integer_classifier
from art_disc.certificates.spend import Spend, check_spend
from art_disc.certificates.target import Target, check_arithmetic, find_target
from art_disc.codebox import Threat
from art_disc.core.checks import (
    Float32Array,
    Float64Array,
    IntArray,
    check_choice,
    check_count,
    check_labels,
)
from art_disc.core.errors import InputError
from art_disc.core.fingerprint import fingerprint
from art_disc.core.inputs import Inputs
from art_disc.core.records import CertificateRecord
from art_disc.core.records.base import Environment
from art_disc.core.records.fields import Setting
from art_disc.estimators.describe import defence_lines, environment_of
from art_disc.networks import weights_hash

_VALUES_AT_ONCE = 1 << 25
# more of these decides more, and changes no verdict
_SPENT = ("max_free", "spend_nodes", "spend_seconds", "spend_megabytes")


@dataclass(frozen=True, slots=True)
class Carried:
    """A finding of another budget, and the measured noise that its verdict allows for."""

    finding: Finding
    eps: float
    noise: float


@dataclass(frozen=True, slots=True)
class Task:
    """Images of a classifier to certify by a method, at any of some budgets.

    Attributes:
        target: The classifier, measured.
        images: In the classifier's layout and input range.
        labels: What each should be classified as.
        scores: Of the images.
        threats: What may be done to an image, by budget in the input range.
        method: A name of `METHODS`.
        options: How much work it may do.
        labels_are: `given`, or `predictions`.
        seconds: What these took.
    """

    target: Target
    images: Float32Array
    labels: IntArray
    scores: Float64Array
    threats: Mapping[float, Threat]
    method: str
    options: Options
    labels_are: str
    seconds: float

    @classmethod
    def of(  # noqa: PLR0913 - as `certify`
        cls,
        classifier: Any,
        x: Any,
        y: Any,
        *,
        eps: Iterable[float],
        method: str = "enumeration",
        arithmetic: str | None = None,
        max_free: int = 12,
        rule: str = "exact",
        domain: str = "real",
        spend: Spend | None = None,
        n_jobs: int = 1,
        batch_size: int = 1024,
        verbose: bool = True,
    ) -> "Task":
        """Check everything before any work, then measure the classifier.

        Arguments and errors are those of `certify`, with several budgets.
        """
        begun = time.perf_counter()
        check_choice(method, "method", METHODS)
        check_count(batch_size, "batch_size")
        allowed = check_spend(spend, method)
        target = find_target(_arithmetic(classifier, method, arithmetic))
        inputs = Inputs.of(classifier)
        images = inputs.images(x)
        budgets = [inputs.budget(value) for value in eps]
        threats = {value: Threat(value / target.upper, rule, domain) for value in budgets}
        # before any work, and later against the scores that there are
        given = None if y is None else inputs.labels(y, len(images))
        rows = min(batch_size, max(1, _VALUES_AT_ONCE // images[0].size))
        options = Options(max_free, rows, verbose, allowed, n_jobs)
        scores = target.scores(images, rows)
        target = measured(target, images, rows)
        labels = scores.argmax(axis=1)
        if given is not None:
            labels = check_labels(given, len(images), scores.shape[1])
        return cls(
            target=target,
            images=images,
            labels=labels,
            scores=scores,
            threats=threats,
            method=method,
            options=options,
            labels_are="predictions" if y is None else "given",
            seconds=time.perf_counter() - begun,
        )

    def certificate(
        self,
        eps: float,
        out: Path | None = None,
        carried: Mapping[int, Carried] = {},
    ) -> Certificate:
        """Decide the images at one of the budgets.

        Args:
            eps: The budget.
            out: Where findings are kept as they come, and found again.
            carried: Findings of other budgets, each with its own. Certified ones must hold here,
                and falsified ones do where their witness lies within this budget too.

        Raises:
            CertificateError: The threat, or what the method answers, proves nothing.
            InputError: `out` holds findings of something else.
        """
        begun, threat = time.perf_counter(), self.threats[eps]
        check_arithmetic()
        environment = environment_of(self.target.classifier)
        start = self._start(eps, environment)
        if out is not None and not start.facts["weights"]:
            msg = (
                f"out={str(out)!r} keeps findings of a torch network, which "
                f"{type(self.target.classifier).__name__} has not; leave it out"
            )
            raise InputError(msg)
        with ledger(out, start, self.images.shape[1:]) as kept:
            target = replace(self.target, noise=kept.start.noise)
            problem = Problem.of(target, threat, self.images, self.labels, self.scores)
            settled = {i: f for i, f in kept.settled.items() if i in problem.packed}
            brought = _that_hold(replace(problem, settled=settled), carried)
            settled |= {i: found.finding for i, found in brought.items()}
            problem = replace(problem, settled=settled)
            options = replace(self.options, keep=kept.keep, attacked=kept.attacked)
            decided = METHODS[self.method](problem, options)
            findings = problem.findings(decided)
            kept.keep(decided)
            record = CertificateRecord(
                method=self.method,
                eps=eps,
                assumes=assumptions(problem, self.method),
                settings=self._settings(problem),
                seconds=self.seconds + kept.seconds + time.perf_counter() - begun,
                environment=environment,
                correct=tuple((self.scores.argmax(axis=1) == self.labels).tolist()),
                decided_at=_decided_at(len(findings), brought),
                **_found(problem, findings),
            )
            witnesses = {i: f.witness for i, f in enumerate(findings) if f.witness is not None}
            exact = target.classifier if target.is_exact else None
            made = Certificate(record, witnesses, exact)
            if out is not None:
                made.save(out)
        return made

    def _settings(self, problem: Problem) -> dict[str, Setting]:
        return {**self.options.settings, **problem.settings, "labels": self.labels_are}

    def _start(self, eps: float, environment: Environment) -> Start:
        """Return what identifies the work on a budget in its file."""
        classifier: Any = self.target.classifier
        book, settings = self.target.codebook, self.options.settings
        module, probe = getattr(classifier, "model", None), self.target.probe
        versions = environment.decisive
        return Start(
            facts={
                "method": self.method,
                "eps": eps,
                "rule": self.threats[eps].rule,
                "domain": self.threats[eps].domain,
                "arithmetic": self.target.arithmetic,
                "batch_size": self.options.batch_size,
                "images": fingerprint(self.images),
                "labels": fingerprint(self.labels),
                "network": str(module),
                "weights": weights_hash(module) if isinstance(module, nn.Module) else None,
                "defences": "; ".join(defence_lines(classifier)),
                "codebook": f"{fingerprint(book.codewords_)} {book.nearest_metric}",
                "range and layout": f"{self.target.upper:g} {self.target.channels_first}",
                **versions | {"packages": str(versions["packages"])},
                **({"ortools": metadata.version("ortools")} if self.method == "solver" else {}),
            },
            spend={name: float(settings[name]) for name in _SPENT},
            # those of codewords too: what images decode to may hide what has changed
            scores=scores_told(self.scores) + (scores_told(probe[1]) if probe else ()),
            noise=self.target.noise,
            tolerance=self.target.tolerance,
        )


def _arithmetic(classifier: Any, method: str, arithmetic: str | None) -> Any:
    """Return the classifier that the verdicts are of."""
    exact = method == "solver"
    if arithmetic is not None:
        exact = check_choice(arithmetic, "arithmetic", ("float", "exact")) == "exact"
    if not exact:
        return classifier
    if method != "solver":
        return rounded_classifier(classifier)
    cp_model()
    return integer_classifier(classifier)


def _that_hold(problem: Problem, carried: Mapping[int, Carried]) -> dict[int, Carried]:
    """Return what holds in a problem too, of images to decide, and was found no less surely."""
    noise = problem.target.noise
    sure = {i: carried[i] for i in problem.to_decide if i in carried and carried[i].noise >= noise}
    return {i: found for i, found in sure.items() if problem.is_sound(i, found.finding)}


def _decided_at(count: int, carried: Mapping[int, Carried]) -> tuple[float | None, ...]:
    """Return the budgets of findings that were carried over; nothing where none was."""
    return tuple(carried[i].eps if i in carried else None for i in range(count if carried else 0))


def _found(problem: Problem, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the fields of a record that tell what was found, example by example, and how sure."""
    return {
        "verdicts": tuple(found.verdict for found in findings),
        "reasons": tuple(found.reason for found in findings),
        "free_pixels": tuple(problem.free.tolist()),
        "log2_images": tuple(problem.log2.tolist()),
        "evaluated": tuple(found.evaluated for found in findings),
        "noise": problem.target.noise,
        "margin": problem.target.tolerance,
    }
