"""Run a published table on the data at hand, beside the printed numbers.

Trains the networks of a published table (or takes them from the cache), runs the papers' attack and
stronger ones, and prints our numbers beside theirs, with what differs. Finished rows are kept: the
same words go on with an interrupted run.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from art_disc.cli.options import (
    METHOD,
    given,
    method_words,
    names,
    number,
    refuse,
    say,
    settings_of,
    share,
)
from art_disc.core.errors import InputError

if TYPE_CHECKING:
    from art_disc.core.records import Record
    from art_disc.reproduction.binarised_tables import BinarisedTable

_CERTIFY = ("method", "max_free", "nodes", "seconds", "megabytes", "jobs", "sample")
_ROWS = ("dataset", "setting", "codes", "eps", "attacks", "set", "checks")
_BINARISED = ("protocol", "network")


def add(parser: ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "table", nargs="?", help="chen2018-table3, ...; without it the tables are listed"
    )
    _which_rows(parser)
    _how_much(parser)
    share(parser, "--seed", "--data-dir", "--quiet")
    share(
        parser,
        "--out",
        default="runs/reproduce",
        help="folder of TABLE.json and TABLE.md, and of the rows' records, which tables share; "
        "default runs/reproduce",
    )
    parser.add_argument("--json", metavar="FILE", help="write the finished table there too")


def _which_rows(parser: ArgumentParser) -> None:
    parser.add_argument("--dataset", nargs="+", default=(), help="rows of these data sets alone")
    parser.add_argument(
        "--setting",
        nargs="+",
        default=(),
        help="rows of these settings alone, and their bases: nat_pre, adv_pre, disc_nat_pre, "
        "disc_adv_pre, disc_nat_re, disc_adv_re; of panda2019 its models: BNN-2b, Full-2b, ...",
    )
    parser.add_argument(
        "--network",
        help="of panda2019: another network than the usual small one: fcn1 (MNIST, as published)",
    )
    parser.add_argument(
        "--codes", nargs="+", type=int, default=(), help="rows with so many codes alone"
    )
    parser.add_argument(
        "--eps", nargs="+", type=number, default=(), help="other budgets, in [0, 1]"
    )


def _how_much(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--n-ex",
        type=int,
        help="test images attacked or certified; default 200, of panda2019 500, for "
        "chen2019-figure5 1000",
    )
    parser.add_argument(
        "--train-steps",
        type=int,
        help="batches in the natural training of a network, the other trainings in proportion; "
        "default the recipe's own",
    )
    parser.add_argument(
        "--attacks",
        type=names,
        help="names joined by commas; default sign_adam,pgd,apgd_ce,apgd_dlr,square, of panda2019 "
        "pgd,apgd_ce,apgd_dlr,square,code_space beside FGSM",
    )
    parser.add_argument(
        "--protocol",
        nargs="+",
        choices=("paper", "raw"),
        help="of panda2019: attackers start from the cell centres, and what they add is "
        "discretised again (paper), or from the raw image (raw); default both",
    )
    share(parser, "--set", help="change a setting, for example square.max_iter=1000; repeatable")
    parser.add_argument(
        "--checks",
        choices=("none", "quick", "standard", "full"),
        help="check each row's evaluation too; default none",
    )
    share(parser, *METHOD)
    parser.add_argument(
        "--sample",
        choices=("first", "random"),
        help="tables of certificates: certify the first test images (default), or some drawn by "
        "--seed",
    )


def run(options: Namespace) -> None:
    """Run the table, print it, write it as JSON and Markdown; without one list them."""
    from art_disc.core.files import replace_file
    from art_disc.reproduction import (
        BINARISED_TABLES,
        CERTIFICATES,
        FIGURE5,
        FIGURE6,
        TABLES,
        figure5,
        figure6,
    )

    # title, what runs it, and the options that say nothing about it
    known = {
        **{n: (t.title, _accuracies, (*_CERTIFY, *_BINARISED)) for n, t in TABLES.items()},
        **{n: (t, _certificates, (*_ROWS, *_BINARISED)) for n, t in CERTIFICATES.items()},
        **{
            n: (_marked(t), _protocols, ("codes", "checks", *_CERTIFY))
            for n, t in BINARISED_TABLES.items()
        },
        FIGURE5: (figure5.TITLE, _figure5, (*_ROWS, *_CERTIFY, *_BINARISED, "train_steps")),
        FIGURE6: (
            figure6.TITLE,
            _figure6,
            (*(dest for dest in _ROWS if dest != "eps"), *_CERTIFY, "protocol"),
        ),
    }
    if options.table is None:
        for name in sorted(known):
            print(f"{name:18} {known[name][0]}")
        return
    if options.table not in known:
        msg = f"unknown table {options.table!r}; there are {', '.join(sorted(known))}"
        raise InputError(msg)
    _, command, odd = known[options.table]
    refuse(options, odd, f"has no meaning for {options.table}")
    file = command(options)
    if options.json:
        print(f"copy: {replace_file(options.json, file.read_bytes())}")


def _marked(table: "BinarisedTable") -> str:
    """Return a title, marked where it was never run here."""
    return f"{table.title}{'; not run here: on images of your own' * bool(table.own_data)}"


def _accuracies(options: Namespace) -> Path:
    """Run a table of accuracies; return its JSON."""
    from art_disc.report import check_extra
    from art_disc.reproduction import TABLES, reproduce

    # several budgets are drawn
    if len(options.eps or TABLES[options.table].eps) > 1:
        check_extra()
    record = reproduce(
        options.table,
        out=options.out,
        datasets=options.dataset,
        settings=options.setting,
        n_codes=options.codes,
        eps=options.eps,
        attack_settings=settings_of(options),
        checks=None if options.checks == "none" else options.checks,
        announce=lambda text: say(options, text),
        verbose=not options.quiet,
        **given(options, "n_ex", "train_steps", "attacks", "seed", "data_dir"),
    )
    return _written(record, options)


def _protocols(options: Namespace) -> Path:
    """Run a table of binarised networks and input bits; return its JSON."""
    from art_disc.report import check_extra
    from art_disc.reproduction import reproduce_binarised

    # budgets are drawn
    check_extra()
    words = given(options, "n_ex", "train_steps", "attacks", "seed", "data_dir", "network")
    if options.protocol:
        words["protocols"] = options.protocol
    record = reproduce_binarised(
        options.table,
        out=options.out,
        datasets=options.dataset,
        models=options.setting,
        eps=options.eps,
        attack_settings=settings_of(options),
        announce=lambda text: say(options, text),
        verbose=not options.quiet,
        **words,
    )
    return _written(record, options)


def _written(record: "Record", options: Namespace) -> Path:
    """Print a table, write its figures and its Markdown; return its JSON."""
    from art_disc.core.files import replace_file
    from art_disc.report import as_markdown, as_text, eps_figures
    from art_disc.reproduction.run import file_name

    print(as_text(record))
    out = Path(options.out)
    name = file_name(options.table, options.dataset, options.setting, options.codes)
    for dataset, picture in eps_figures(record).items():
        print(f"figure: {replace_file(out / f'{name}-{dataset}.svg', picture)}")
    print(f"table: {replace_file(out / f'{name}.md', as_markdown(record).encode())}")
    return out / f"{name}.json"


def _certificates(options: Namespace) -> Path:
    """Run a table of certificates; return its JSON."""
    from art_disc.report import as_text
    from art_disc.reproduction import reproduce_certificates

    settings = given(options, "out", "n_ex", "sample", "train_steps", "seed", "data_dir")
    settings |= method_words(options)
    record = reproduce_certificates(options.table, verbose=not options.quiet, **settings)
    print(as_text(record))
    return Path(options.out) / f"{record.table}.json"


def _figure5(options: Namespace) -> Path:
    """Count the classes of the figure; return its JSON."""
    from art_disc.report import as_text
    from art_disc.reproduction import FIGURE5, reproduce_figure5

    print(as_text(reproduce_figure5(**given(options, "out", "n_ex", "data_dir"))))
    return Path(options.out) / f"{FIGURE5}.json"


def _figure6(options: Namespace) -> Path:
    """Measure the activations of the figure; return its JSON."""
    from art_disc.report import as_text
    from art_disc.reproduction import FIGURE6, reproduce_figure6

    words = given(options, "out", "n_ex", "train_steps", "seed", "data_dir", "network")
    if options.eps:
        words["eps"] = options.eps
    print(as_text(reproduce_figure6(verbose=not options.quiet, **words)))
    return Path(options.out) / f"{FIGURE6}.json"
