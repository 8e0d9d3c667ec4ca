"""Attack a defended classifier and write a report.

Clean accuracy, ART's attacks on the base and through the defence, a certificate, and a report.
Without --model a network is trained once and cached. The exit code is 1 where an attack failed.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from art_disc.cli.exits import DONE, FLAWED, INTERRUPTED
from art_disc.cli.options import (
    METHODS,
    MODEL,
    ONLY,
    RUN,
    SPEND,
    given,
    names,
    refuse,
    say,
    share,
    spend_of,
)


def add(parser: ArgumentParser) -> None:
    """Add the command's options."""
    share(parser, *RUN, *MODEL)
    _attacks(parser)
    _checks(parser)
    parser.add_argument(
        "--resume", action="store_true", help="go on with an interrupted run in --out"
    )
    parser.add_argument(
        "--export",
        choices=("npz", "png"),
        help="write every adversarial set, exact and rounded to 8 bits; png: as pictures too",
    )
    parser.add_argument("--batch-size", type=int, default=100, help="images an attack gets at once")


def _attacks(parser: ArgumentParser) -> None:
    """Add what is attacked with."""
    parser.add_argument(
        "--attacks",
        default="standard",
        help="quick, standard, strong, thermometer, binarised, or names joined by commas (art-disc "
        "zoo --list tells them); default standard",
    )
    parser.add_argument("--norm", default="inf", choices=("inf", "2"), help="default inf")
    parser.add_argument("--targeted", action="store_true", help="aim at the likeliest wrong class")
    parser.add_argument(
        "--surrogates",
        type=names,
        default="soft,identity",
        help="backward passes to attack through, joined by commas: soft, soft:ALPHA, smooth and "
        "identity for codewords, ramp too for thermometer codes, mix, mix:ALPHA for randdisc and "
        "randmix, dct, dct:ALPHA, dct-identity for jpeg, unrolled for total variation, softcode, "
        "softcode:C, latent, tent for lqvae; ste_identity, ste_hard_tanh, ste_clipped, "
        "ste_polynomial, each :TEMPERATURE or not, for binarised networks; default soft,identity, "
        "each where a defence takes it",
    )
    share(parser, "--set", "--draws")


def _checks(parser: ArgumentParser) -> None:
    """Add what the evaluation is checked by, and certified."""
    parser.add_argument(
        "--checks",
        default="quick",
        choices=("quick", "standard", "full", "none"),
        help="how thoroughly the evaluation itself is checked; default quick",
    )
    parser.add_argument(
        "--sequential",
        action="store_true",
        help="give each attack only what none before it broke, for the per-example worst alone; "
        "with --checks none",
    )
    parser.add_argument(
        "--reference",
        default="auto",
        metavar="auto|none|FILE",
        help="adversarially trained network to transfer from and to compare with: trained once "
        "and cached where the checks need it (auto, default), or weights of the same architecture",
    )
    parser.add_argument(
        "--certify",
        nargs="?",
        default=False,
        const="enumeration",
        choices=METHODS,
        help="also certify at every budget, by the method named, else by enumeration, and check "
        "that no attack contradicts it",
    )
    share(parser, "--max-free", *SPEND)


def _judged(options: Namespace) -> dict[str, Any]:
    """Return what is checked and certified; refuse what is of no method that is asked for."""
    for owner, dests in ONLY.items():
        others = tuple(dest for dest in dests if dest not in ONLY.get(options.certify, ()))
        refuse(options, others, f"is of --certify {owner}")
    words = given(options, *ONLY["enumeration"])
    checks = None if options.checks == "none" else options.checks
    how = {"sequential": options.sequential, "checks": checks}
    return {**how, "certify": options.certify, "spend": spend_of(options), **words}


def run(options: Namespace) -> int:
    """Attack, score, report; 1 where an attack failed, 130 on Ctrl-C, with what was finished."""
    from art_disc.cli import setup
    from art_disc.evaluation import EvaluationInterrupted, evaluate
    from art_disc.report import check_extra

    check_extra()
    judged = _judged(options)
    data, settings = setup.load_data(options), setup.attack_settings(options)
    eps = setup.budgets(options, data)
    classifier, line = setup.make_classifier(options, data)
    out = Path(options.out or f"runs/{data.name}")
    try:
        result = evaluate(
            classifier,
            data,
            eps=eps,
            attacks=options.attacks,
            norm=options.norm,
            targeted=options.targeted,
            surrogates=options.surrogates,
            settings=settings,
            reference=setup.make_reference(options, data, classifier),
            draws=options.draws,
            **judged,
            batch_size=options.batch_size,
            seed=options.seed,
            out=out,
            resume=options.resume,
            export=options.export,
            training=line,
            announce=lambda text: say(options, text),
            verbose=not options.quiet,
        )
        code = FLAWED if result.record.failed else DONE
    except EvaluationInterrupted as stop:
        result, code = stop.partial, INTERRUPTED
    page = result.report(out)
    print(result)
    print(f"report: {page}")
    return code
