"""Certify a discretised classifier by its code images, or one that draws by divergences.

For each image every code image that an l_inf perturbation can reach is classified, or bounded and
searched (--method); certified, falsified and undecided are printed for every budget. With --out
what is found of an image is on the disk at once, and the same words go on after a stop. A defence
that draws is certified by its votes and the divergence of its law instead, by three bounds, each
verdict with the confidence asked for.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from art_disc.cli.options import METHODS, MODEL, RUN, SPEND, given, refuse, share

# options of one method alone, of all, and of defences that draw
ONLY = {"enumeration": ("max_free",), "complete": ("nodes", "seconds", "megabytes")}
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
    parser.add_argument(
        "--method",
        choices=METHODS,
        help="classify all code images (enumeration, default), bound the network on them (bounds), "
        "or bound, attack and search (complete)",
    )
    parser.add_argument(
        "--arithmetic",
        choices=("float", "exact"),
        help="exact: certify the classifier whose weights are rounded so that no sum is; default "
        "float",
    )
    parser.add_argument(
        "--max-free",
        type=int,
        help="enumerate an image if it has at most 2^MAX_FREE reachable code images; default 12",
    )
    share(parser, *SPEND, "--jobs")


def _method(options: Namespace) -> dict[str, Any]:
    """Return what `certify` is to be told; refuse what is of another method."""
    from art_disc.metrics import Spend

    method = options.method or "enumeration"
    for owner, dests in ONLY.items():
        if owner != method:
            refuse(options, dests, f"is of --method {owner}, not of {method}")
    spend = Spend(**given(options, *ONLY["complete"]))
    words = given(options, *CODES, *ONLY["enumeration"])
    return {"spend": spend, "n_jobs": words.pop("jobs", 1), **words}


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
    why = "is of the certificate of a defence that draws; this one is decided without any doubt"
    refuse(options, DRAWN, why)
    chosen, records = _method(options), []
    try:
        for eps in listed:
            out = Path(options.out) / f"eps-{eps:.10g}" if options.out else None
            result = certify(
                classifier,
                data.x_test,
                data.y_test,
                eps=eps,
                out=out,
                verbose=not options.quiet,
                **chosen,
            )
            records.append(result.record)
            if out:
                result.report(out)
    finally:
        if records:
            print(certificate_counts(records).text())
    if options.out:
        print(f"reports: {options.out}")


def _certify_draws(options: Namespace, data: Any, classifier: Any, eps: list[float]) -> None:
    """Certify a classifier that draws, by all bounds, and print one line for each budget."""
    from art_disc.metrics import certified_accuracy_curve
    from art_disc.report import as_text, write_report

    why = "is of certificates of code images; a defence that draws is certified by its votes"
    refuse(options, (*CODES, *(dest for dests in ONLY.values() for dest in dests)), why)
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
