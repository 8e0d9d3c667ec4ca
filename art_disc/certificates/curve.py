"""Certificates over budgets, each of which spares the others work."""

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from art_disc.certificates.certificate import Certificate
from art_disc.certificates.problem import Finding
from art_disc.certificates.run import Carried, Task
from art_disc.certificates.spend import Spend
from art_disc.core.budget import each_budget
from art_disc.core.files import check_folder
from art_disc.core.records.certificate import CertificateCurveRecord, CertificateRecord
from art_disc.core.showing import Shown
from art_disc.estimators.contract import Classifier
from art_disc.estimators.describe import environment_of


@dataclass(frozen=True, slots=True)
class CertificateCurve(Shown):
    """Certificates over budgets, with their witnesses.

    Attributes:
        record: Their records, clean accuracy among them.
        certificates: One for each budget, rising.
    """

    record: CertificateCurveRecord
    certificates: tuple[Certificate, ...]

    def report(self, folder: str | Path) -> Path:
        """Write record and page, and those of each budget in `eps-EPS`; returns the page's path.

        Raises:
            MissingExtraError: jinja2 or matplotlib is not installed.
        """
        from art_disc.report import write_report

        for certificate in self.certificates:
            certificate.report(folder_of(folder, certificate.record.eps))
        return write_report(self.record, folder)


class CurveInterrupted(KeyboardInterrupt):
    """Ctrl-C in a curve; `partial` holds the budgets that were finished."""

    def __init__(self, partial: CertificateCurve) -> None:
        super().__init__("certificates interrupted; .partial holds the budgets that were finished")
        self.partial = partial


def folder_of(out: str | Path, eps: float) -> Path:
    """Return where the certificate at a budget is kept."""
    return Path(out) / f"eps-{eps:.10g}"


# ART's predict draws from torch's global stream, which is the caller's
@torch.random.fork_rng(devices=[])
def certificate_curve(  # noqa: PLR0913 - as `certify`
    classifier: Classifier,
    x: Any,
    y: Any = None,
    *,
    eps: float | Sequence[float],
    method: str = "enumeration",
    arithmetic: str | None = None,
    max_free: int = 12,
    rule: str = "exact",
    domain: str = "real",
    spend: Spend | None = None,
    n_jobs: int = 1,
    batch_size: int = 1024,
    out: str | Path | None = None,
    verbose: bool = True,
) -> CertificateCurve:
    """Certify at several budgets, from the largest to the smallest.

    What is certified at a budget is certified at every smaller one, and a witness of one budget is
    one of every other that it lies within; such verdicts are carried over, which the records tell
    (`decided_at`), and not decided again.

    Args:
        classifier: As for `certify`.
        x: Images, as for `certify`.
        y: True labels; None: the classifier's own predictions.
        eps: One or several l_inf budgets in the classifier's input range; a repeated one counts
            once.
        method: This and those that follow as for `certify`.
        arithmetic: `float` or `exact`; None: what suits the method.
        max_free: Of `enumeration`.
        rule: Which codewords count as reached.
        domain: `real` or `8bit`.
        spend: Of `complete` and `solver`.
        n_jobs: Processes.
        batch_size: Code images classified at once.
        out: Folder; `certify` keeps its findings in `eps-EPS` of it, and goes on from them.
        verbose: Show progress bars.

    Raises:
        InputError: As `certify`.
        CertificateError: As `certify`.
        CurveInterrupted: Ctrl-C; its `partial` holds the budgets that were finished.
    """
    begun = time.perf_counter()
    if out is not None:
        check_folder(out)
    task = Task.of(
        classifier,
        x,
        y,
        eps=each_budget(eps),
        method=method,
        arithmetic=arithmetic,
        max_free=max_free,
        rule=rule,
        domain=domain,
        spend=spend,
        n_jobs=n_jobs,
        batch_size=batch_size,
        verbose=verbose,
    )
    made: dict[float, Certificate] = {}

    def curve(*, complete: bool) -> CertificateCurve:
        found = tuple(made[budget] for budget in sorted(made))
        records = tuple(certificate.record for certificate in found)
        seconds = time.perf_counter() - begun
        environment = environment_of(classifier)
        return CertificateCurve(
            CertificateCurveRecord(records, seconds, environment, complete), found
        )

    try:
        for budget in sorted(task.threats, reverse=True):
            folder = None if out is None else folder_of(out, budget)
            made[budget] = task.certificate(budget, folder, _known(made))
    except KeyboardInterrupt:
        raise CurveInterrupted(curve(complete=False)) from None
    _carry_up(made, out)
    return curve(complete=True)


def _known(larger: dict[float, Certificate]) -> dict[int, Carried]:
    """Return what is known of images at larger budgets, the smallest of these first."""
    known: dict[int, Carried] = {}
    for eps in sorted(larger, reverse=True):
        record, witnesses = larger[eps].record, larger[eps].witnesses
        for i, verdict in enumerate(record.verdicts):
            if verdict != "undecided":
                found = Finding(verdict, witness=witnesses.get(i))
                known[i] = Carried(found, _made_at(record, i), record.noise or 0.0)
    return known


def _made_at(record: CertificateRecord, index: int) -> float:
    """Return the budget at which an image's verdict was really decided."""
    at = record.decided_at[index] if record.decided_at else None
    return record.eps if at is None else at


def _carry_up(made: dict[float, Certificate], out: str | Path | None) -> None:
    """Falsify what is undecided and has a witness at a smaller budget."""
    budgets = sorted(made)
    for smaller, eps in itertools.pairwise(budgets):
        below, here = made[smaller], made[eps]
        new = [i for i in below.witnesses if here.record.verdicts[i] == "undecided"]
        if new:
            made[eps] = _falsified(here, new, below)
            if out is not None:
                made[eps].save(folder_of(out, eps))


def _falsified(certificate: Certificate, images: Sequence[int], below: Certificate) -> Certificate:
    """Return a certificate with some images falsified by what a smaller budget found."""
    record, lower = certificate.record, below.record
    count = len(record.verdicts)
    verdicts, reasons = list(record.verdicts), list(record.reasons)
    decided = list(record.decided_at or [None] * count)
    for i in images:
        verdicts[i], reasons[i] = "falsified", ""
        decided[i] = _made_at(lower, i)
    made = replace(
        record, verdicts=tuple(verdicts), reasons=tuple(reasons), decided_at=tuple(decided)
    )
    witnesses = {**certificate.witnesses, **{i: below.witnesses[i] for i in images}}
    return replace(certificate, record=made, witnesses=witnesses)
