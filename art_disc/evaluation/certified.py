"""The certificates of an evaluation: refused early, added last, kept as they come."""

from dataclasses import replace
from pathlib import Path

from art_disc.core.errors import InputError
from art_disc.evaluation.result import Evaluation, EvaluationInterrupted
from art_disc.evaluation.runner import Runner
from art_disc.metrics import certify, check_certifiable


def refuse_early(run: Runner, norm: str, max_free: int) -> None:
    """Raise what `certify` would raise, before hours of attacks.

    Raises:
        InputError: The norm is not l_inf, or `max_free` does not fit.
        CertificateError: The classifier is none that the certificate covers.
    """
    if norm != "inf":
        msg = "the certificate by enumeration is for norm='inf'; leave certify out for norm 2"
        raise InputError(msg)
    check_certifiable(run.classifier, run.x, max_free=max_free)


def add_certificates(
    result: Evaluation, run: Runner, max_free: int, out: Path | None, *, verbose: bool
) -> Evaluation:
    """Certify at every budget; each certificate is written when it is done.

    Raises:
        EvaluationInterrupted: Ctrl-C; its `partial` has the certificates that are done.
    """
    record = replace(result.record, complete=False)
    for eps in record.eps:
        try:
            found = certify(
                run.classifier, run.x, run.y, eps=eps, max_free=max_free, verbose=verbose
            )
        except KeyboardInterrupt:
            raise EvaluationInterrupted(Evaluation(record, result.pictures)) from None
        record = replace(record, certificates=(*record.certificates, found.record))
        if out is not None:
            record.save(out / "record.json")
    return Evaluation(replace(record, complete=True), result.pictures)
