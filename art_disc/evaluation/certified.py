"""The certificates of an evaluation: refused early, made last."""

from collections.abc import Iterator

from art_disc.core.errors import InputError
from art_disc.core.records import CertificateRecord
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


def certificates_of(run: Runner, max_free: int, *, verbose: bool) -> Iterator[CertificateRecord]:
    """Certify at every budget of the run, one after the other.

    Raises:
        EvaluationInterrupted: Ctrl-C; what was finished is kept.
    """
    for eps in run.facts["eps"]:
        try:
            found = certify(
                run.classifier, run.x, run.y, eps=eps, max_free=max_free, verbose=verbose
            )
        except KeyboardInterrupt:
            raise run.interrupted() from None
        yield found.record
