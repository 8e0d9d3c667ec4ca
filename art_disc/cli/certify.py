"""Certify a discretised classifier by enumeration, or one that draws by divergences.

For each image every code image that an l_inf perturbation can reach is classified; certified,
falsified and undecided are printed for every budget. A defence that draws is certified by its votes
and the divergence of its law instead, by three bounds, each verdict with the confidence asked for.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from art_disc.cli.options import MODEL, RUN, given, refuse, share

ENUMERATED, DRAWN = ("max_free", "rule", "domain"), ("draws", "confidence")


def add(parser: ArgumentParser) -> None:
    """Add the command's options."""
    share(parser, *RUN, *MODEL)
    parser.add_argument(
        "--max-free",
        type=int,
        help="enumerate an image if it has at most 2^MAX_FREE reachable code images; default 12",
    )
    share(parser, "--rule", "--domain")
    parser.add_argument(
        "--draws", type=int, help="votes an image of a defence that draws; default 1000"
    )
    parser.add_argument(
        "--confidence",
        type=float,
        help="with which a verdict of a defence that draws holds; default 0.999",
    )


def run(options: Namespace) -> None:
    """Certify at every budget and print one line each, also of those before a Ctrl-C."""
    from art_disc.cli.setup import budgets, load_data, make_classifier
    from art_disc.metrics import certify
    from art_disc.report import check_extra
    from art_disc.report.kinds.certificate import certificate_counts

    if options.out:
        check_extra()
    data = load_data(options)
    listed = budgets(options, data)
    classifier, _ = make_classifier(options, data)
    if classifier.is_random:
        _certify_draws(options, data, classifier, listed)
        return
    why = "is of the certificate of a defence that draws; this one is enumerated, without any doubt"
    refuse(options, DRAWN, why)
    records = []
    try:
        for eps in listed:
            result = certify(
                classifier,
                data.x_test,
                data.y_test,
                eps=eps,
                verbose=not options.quiet,
                **given(options, *ENUMERATED),
            )
            records.append(result.record)
            if options.out:
                result.report(Path(options.out) / f"eps-{eps:.10g}")
    finally:
        if records:
            print(certificate_counts(records).text())
    if options.out:
        print(f"reports: {options.out}")


def _certify_draws(options: Namespace, data: Any, classifier: Any, eps: list[float]) -> None:
    """Certify a classifier that draws, by all bounds, and print one line for each budget."""
    from art_disc.metrics import certified_accuracy_curve
    from art_disc.report import as_text, write_report

    why = "is of the certificate by enumeration; a defence that draws is certified by its votes"
    refuse(options, ENUMERATED, why)
    record = certified_accuracy_curve(
        classifier,
        data.x_test,
        data.y_test,
        eps=eps,
        seed=options.seed,
        verbose=not options.quiet,
        **given(options, *DRAWN),
    )
    print(as_text(record))
    if options.out:
        print(f"report: {write_report(record, options.out)}")
