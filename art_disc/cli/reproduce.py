"""Run a published table on the data at hand, beside the printed numbers.

Trains the networks of a published table (or takes them from the cache), runs the papers' attack and
stronger ones, and prints our numbers beside theirs, with what differs. Finished rows are kept: the
same words go on with an interrupted run.
"""

from argparse import ArgumentParser, Namespace

from art_disc.cli.options import METHOD, names, number, refuse, share
from art_disc.cli.tables import known_tables
from art_disc.core.errors import InputError


def add(parser: ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "table", nargs="?", help="chen2018-table3, ...; without it the tables are listed"
    )
    _which_rows(parser)
    _how_much(parser)
    # not given where nothing is said: some figures draw nothing
    share(parser, "--seed", default=None)
    share(parser, "--data-dir", "--quiet")
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
        "disc_adv_pre, disc_nat_re, disc_adv_re; of panda2019 its models: BNN-2b, Full-2b, ...; of "
        "kyatham2020 classifiers, A, or with a substitute, A/B; of zhang2019 defences, randdisc, "
        "or lines, fixed",
    )
    parser.add_argument(
        "--network",
        help="of panda2019: another network than the usual small one: fcn1 (MNIST, as published)",
    )
    parser.add_argument(
        "--preset",
        choices=("code", "paper", "certified"),
        help="of kyatham2020: settings of the LQ-VAE; default code",
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
        help="test images attacked or certified; default 200, of zhang2019 300, of panda2019 500, "
        "of kyatham2020 and for chen2019-figure5 1000",
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
        help="names joined by commas; default sign_adam,pgd,apgd_ce,apgd_dlr,square and, where a "
        "codebook is first, code_space; of panda2019 pgd,apgd_ce,apgd_dlr,square,code_space beside "
        "FGSM; of kyatham2020 the rows of these alone, in table 7 those beside FGSM, default "
        "pgd,apgd_ce,apgd_dlr,square",
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

    known = known_tables()
    if options.table is None:
        for name in sorted(known):
            print(f"{name:19} {known[name][0]}")
        return
    if options.table not in known:
        msg = f"unknown table {options.table!r}; there are {', '.join(sorted(known))}"
        raise InputError(msg)
    _, command, odd = known[options.table]
    refuse(options, odd, f"has no meaning for {options.table}")
    file = command(options)
    if options.json:
        print(f"copy: {replace_file(options.json, file.read_bytes())}")
