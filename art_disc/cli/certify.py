"""`art-disc certify`: certify a discretised classifier, or one that draws."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from art_disc.cli.exits import DONE
from art_disc.cli.options import Subparsers, add_model, add_run
from art_disc.core.errors import InputError


def add(subparsers: Subparsers) -> None:
    """Add the command to the parser of `art-disc`."""
    parser = subparsers.add_parser(
        "certify",
        help="certify a discretised classifier by enumeration, or one that draws by divergences",
        description="For each image every code image that an l_inf perturbation can reach is "
        "classified; certified, falsified and undecided are printed for every budget. A defence "
        "that draws is certified by its votes and the divergence of its law instead, by three "
        "bounds, each verdict with the confidence asked for.",
    )
    add_run(parser)
    add_model(parser)
    parser.add_argument(
        "--max-free",
        type=int,
        help="enumerate an image if it has at most 2^MAX_FREE reachable code images; default 12",
    )
    parser.add_argument(
        "--rule", choices=("exact", "paper"), help="reachable codewords; default exact"
    )
    parser.add_argument(
        "--domain",
        choices=("real", "8bit"),
        help="perturbed images are real-valued (default) or on the 8-bit grid",
    )
    parser.add_argument(
        "--draws", type=int, help="votes an image of a defence that draws; default 1000"
    )
    parser.add_argument(
        "--confidence",
        type=float,
        help="with which a verdict of a defence that draws holds; default 0.999",
    )
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Certify at every budget and print one line each, also of those before a Ctrl-C."""
    from art_disc.cli.setup import budgets, load_data, make_classifier
    from art_disc.metrics import certify
    from art_disc.report.kinds.certificate import certificate_counts

    data = load_data(options)
    classifier, _ = make_classifier(options, data)
    if classifier.is_random:
        return _certify_draws(options, data, classifier)
    _refuse(
        options,
        ("draws", "confidence"),
        "of the certificate of a defence that draws; this one is enumerated, without any doubt",
    )
    records = []
    try:
        for eps in budgets(options, data):
            result = certify(
                classifier,
                data.x_test,
                data.y_test,
                eps=eps,
                max_free=12 if options.max_free is None else options.max_free,
                rule=options.rule or "exact",
                domain=options.domain or "real",
                verbose=not options.quiet,
            )
            records.append(result.record)
            if options.out:
                result.report(Path(options.out) / f"eps-{eps:.10g}")
    finally:
        if records:
            print(certificate_counts(records).text())
    if options.out:
        print(f"reports: {options.out}")
    return DONE


def _refuse(options: Namespace, names: tuple[str, ...], why: str) -> None:
    """Refuse options that this certificate would not heed."""
    for name in names:
        if getattr(options, name) is not None:
            msg = f"--{name.replace('_', '-')} is {why}; leave it out"
            raise InputError(msg)


def _certify_draws(options: Namespace, data: Any, classifier: Any) -> int:
    """Certify a classifier that draws, by all bounds, and print one line for each budget."""
    from art_disc.cli.setup import budgets
    from art_disc.metrics import certified_accuracy_curve
    from art_disc.report import as_text, write_report

    _refuse(
        options,
        ("max_free", "rule", "domain"),
        "of the certificate by enumeration; a defence that draws is certified by its votes",
    )
    record = certified_accuracy_curve(
        classifier,
        data.x_test,
        data.y_test,
        eps=budgets(options, data),
        draws=1000 if options.draws is None else options.draws,
        confidence=0.999 if options.confidence is None else options.confidence,
        seed=options.seed,
        verbose=not options.quiet,
    )
    print(as_text(record))
    if options.out:
        print(f"report: {write_report(record, options.out)}")
    return DONE
