"""Certify a discretised classifier by its code images, or one that draws by divergences.

For each image every code image that an l_inf perturbation can reach is classified, or bounded and
searched (--method); certified, falsified and undecided are printed for every budget. With --out
what is found of an image is on the disk at once, and the same words go on after a stop. A defence
that draws is certified by its votes and the divergence of its law instead, by three bounds, each
verdict with the confidence asked for.
"""

import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from art_disc.cli.exits import DONE, INTERRUPTED
from art_disc.cli.options import (
    METHOD,
    MODEL,
    ONLY,
    RUN,
    given,
    method_words,
    refuse,
    share,
    spend_of,
)

# options of certificates of codewords, and of defences that draw
CODES, DRAWN = ("method", "arithmetic", "rule", "domain", "jobs"), ("draws", "confidence")


def add(parser: ArgumentParser) -> None:
    """Add the command's options."""
    share(parser, *RUN, *MODEL)
    _methods(parser)
    share(parser, "--rule", "--domain")
    parser.add_argument(
        "--draws", type=int, help="votes an image of a defence that draws; default 1000"
    )
    parser.add_argument(
        "--confidence",
        type=float,
        help="with which a verdict of a defence that draws holds; default 0.999",
    )


def _methods(parser: ArgumentParser) -> None:
    """Add by what code images are decided, and at what cost."""
    share(parser, *METHOD)
    parser.add_argument(
        "--arithmetic",
        choices=("float", "exact"),
        help="exact: certify the classifier whose weights are rounded so that no sum is; default "
        "float",
    )
    parser.add_argument(
        "--unable",
        type=int,
        metavar="B",
        help="also count images with more than 2^B reachable code images, which the papers (B 25 "
        "to 30) gave up",
    )


def run(options: Namespace) -> int:
    """Certify at every budget and print one line each; on Ctrl-C those finished, and return 130."""
    from art_disc.cli.setup import budgets, load_data, make_classifier
    from art_disc.metrics import CurveInterrupted, certificate_curve
    from art_disc.report import check_extra

    if options.out:
        check_extra()
    data = load_data(options)
    listed = budgets(options, data)
    classifier, _ = make_classifier(options, data)
    if classifier.is_random:
        _certify_draws(options, data, classifier, listed)
        return DONE
    why = "is of the certificate of a defence that draws; this one is decided without any doubt"
    refuse(options, DRAWN, why)
    try:
        found = certificate_curve(
            classifier,
            data.x_test,
            data.y_test,
            eps=listed,
            out=options.out,
            verbose=not options.quiet,
            **given(options, "arithmetic", "rule", "domain"),
            **method_words(options),
        )
    except CurveInterrupted as stop:
        _tell(stop.partial, options)
        cure = "; the same command goes on" if options.out else ""
        print(f"art-disc: interrupted{cure}", file=sys.stderr)
        return INTERRUPTED
    _tell(found, options)
    return DONE


def _tell(found: Any, options: Namespace) -> None:
    """Print what was found at each budget, and write the pages."""
    from art_disc.report.certificates import certificate_counts

    if not found.certificates:
        return
    print(certificate_counts(found.record.certificates, unable=options.unable).text())
    if options.out:
        print(f"report: {found.report(options.out)}")


def _certify_draws(options: Namespace, data: Any, classifier: Any, eps: list[float]) -> None:
    """Certify a classifier that draws, by all bounds, and print one line for each budget."""
    from art_disc.metrics import certified_accuracy_curve
    from art_disc.report import as_text, write_report

    why = "is of certificates of code images; a defence that draws is certified by its votes"
    refuse(options, (*CODES, "unable", *ONLY["enumeration"], "megabytes"), why)
    record = certified_accuracy_curve(
        classifier,
        data.x_test,
        data.y_test,
        eps=eps,
        seed=options.seed,
        spend=spend_of(options),
        verbose=not options.quiet,
        **given(options, *DRAWN),
    )
    print(as_text(record))
    if options.out:
        print(f"report: {write_report(record, options.out)}")
