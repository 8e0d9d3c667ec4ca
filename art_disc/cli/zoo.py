"""`art-disc zoo`: every attack of the table against several defences."""

from argparse import Namespace
from pathlib import Path

from art_disc.cli.exits import DONE, FLAWED
from art_disc.cli.options import Subparsers, add_model, number
from art_disc.core.errors import InputError

DEFENCES = ("none", "density:n_codes=2,radius=0.6", "colordepth:n_codes=8", "bitdepth:bits=2")


def add(subparsers: Subparsers) -> None:
    """Add the command to the parser of `art-disc`."""
    parser = subparsers.add_parser(
        "zoo",
        help="run every ART attack against several defences and print the matrix",
        description="Which of ART's evasion attacks run, lower the accuracy, refuse or fail, on "
        "few images. Exit code 1 where a cell failed for a reason that is not ART's own, where a "
        "gradient attack got zero gradients alone, or where rows passed a defence by.",
    )
    parser.add_argument("--dataset", default="digits", metavar="NAME|PATH", help="default digits")
    parser.add_argument("--data-dir", metavar="DIR", help="where NAME.npz is looked for first")
    parser.add_argument(
        "--defence",
        action="append",
        metavar="SPEC",
        help="as for evaluate; repeatable; default: none, two density codewords, eight levels a "
        "channel, two bits",
    )
    parser.add_argument("--tier", default="smoke", choices=("smoke", "standard", "strong"))
    parser.add_argument("--attacks", metavar="NAMES", help="joined by commas; default all")
    parser.add_argument("--n-ex", type=int, default=8, metavar="N", help="images; default 8")
    parser.add_argument("--eps", type=number, help="l_inf budget; default 0.2, colour 8/255")
    parser.add_argument(
        "--time-limit", type=float, default=300, metavar="S", help="seconds a cell; 0: none"
    )
    parser.add_argument("--seed", type=int, default=0)
    add_model(parser)
    parser.add_argument("--out", metavar="DIR", help="folder for zoo.json")
    parser.add_argument("--quiet", action="store_true", help="no progress bar, results only")
    parser.add_argument("--list", action="store_true", help="print the table of attacks and stop")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Run the zoo, or list the attacks; return 1 where the matrix shows a flaw."""
    from art_disc.evaluation.zoo.listing import attack_list, left_out_list
    from art_disc.report import as_text

    if options.list:
        print(f"{attack_list().text()}\n\n{left_out_list().text()}")
        return DONE
    from art_disc.cli.setup import load_data, network_words, once_each
    from art_disc.estimators import build_classifier
    from art_disc.evaluation.zoo.matrix import zoo_matrix
    from art_disc.training.words import fitted_defences, make_network

    if options.retrain is not None:
        msg = "--retrain has no meaning here: the defences share one network; leave it out"
        raise InputError(msg)
    data = load_data(Namespace(dataset=options.dataset, data_dir=options.data_dir))
    listed = None if options.eps is None else [options.eps]
    words = network_words(Namespace(**{**vars(options), "eps": listed}), data)
    network, line = make_network(words, data)
    classifiers = {
        text: build_classifier(network, data=data, defences=fitted_defences(text, data))
        for text in once_each(options.defence or DEFENCES)
    }
    grey = data.input_shape[0] == 1
    record = zoo_matrix(
        classifiers,
        data,
        tier=options.tier,
        attacks=options.attacks,
        eps=options.eps if options.eps is not None else (0.2 if grey else 8 / 255),
        n_ex=options.n_ex,
        time_limit=options.time_limit,
        seed=options.seed,
        training=line,
        verbose=not options.quiet,
    )
    print(as_text(record))
    if options.out:
        print(f"record: {record.save(Path(options.out) / 'zoo.json')}")
    return FLAWED if record.flaws() else DONE
