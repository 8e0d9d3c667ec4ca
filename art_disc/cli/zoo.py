"""Run every ART attack against several defences and print the matrix.

Which of ART's evasion attacks run, lower the accuracy, refuse or fail, on few images. Exit code 1
where a cell failed for a reason that is not ART's own, where a gradient attack got zero gradients
alone, or where rows passed a defence by.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from art_disc.cli.exits import DONE, FLAWED
from art_disc.cli.options import DATA, MODEL, number, refuse, share

DEFENCES = ("none", "density:n_codes=2,radius=0.6", "colordepth:n_codes=8", "bitdepth:bits=2")


def add(parser: ArgumentParser) -> None:
    """Add the command's options."""
    share(parser, *DATA)
    parser.add_argument(
        "--defence",
        action="append",
        metavar="SPEC",
        help="as for evaluate; repeatable; default: none, two density codewords, eight levels a "
        "channel, two bits",
    )
    parser.add_argument("--tier", default="smoke", choices=("smoke", "standard", "strong"))
    parser.add_argument("--attacks", metavar="NAMES", help="joined by commas; default all")
    share(parser, "--n-ex", default=8, help="images; default 8")
    parser.add_argument("--eps", type=number, help="l_inf budget; default 0.2, colour 8/255")
    parser.add_argument(
        "--time-limit", type=float, default=300, metavar="S", help="seconds a cell; 0: none"
    )
    share(parser, "--seed", *MODEL, "--quiet")
    share(parser, "--out", help="folder for zoo.json")
    parser.add_argument("--list", action="store_true", help="print the table of attacks and stop")


def run(options: Namespace) -> int:
    """Run the zoo, or list the attacks; return 1 where the matrix shows a flaw."""
    from art_disc.evaluation.zoo.matrix import attack_list, left_out_list, zoo_matrix
    from art_disc.report import as_text

    if options.list:
        print(f"{attack_list().text()}\n\n{left_out_list().text()}")
        return DONE
    from art_disc.cli.setup import network_words, once_each
    from art_disc.estimators import build_classifier
    from art_disc.training.words import fitted_defences, load_part, make_network

    refuse(options, ("retrain",), "has no meaning here: the defences share one network")
    data = load_part(options.dataset, options.data_dir)
    network, line = make_network(network_words(options, data), data)
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
