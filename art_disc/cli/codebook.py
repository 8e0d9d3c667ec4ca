"""`art-disc codebook`: learn a codebook, print it, save it."""

from argparse import Namespace
from pathlib import Path

from art_disc.cli.exits import DONE
from art_disc.cli.options import Subparsers, add_data


def add(subparsers: Subparsers) -> None:
    """Add the command to the parser of `art-disc`."""
    parser = subparsers.add_parser("codebook", help="learn a codebook, print it, save it")
    add_data(parser)
    parser.add_argument("--defence", metavar="SPEC", help="see art-disc evaluate --help")
    parser.add_argument("--out", metavar="FILE", help="save the codebook as npz")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Learn a codebook, print it and how the pixels fall on it, save it."""
    from art_disc.cli.setup import load_data, one_codebook
    from art_disc.codebooks import PixelCounts
    from art_disc.defences import parse_defences
    from art_disc.report import Table
    from art_disc.training.words import usual_defence

    data = load_data(options)
    counts = PixelCounts.of(data.x_train if len(data.x_train) else data.x_test)
    text = options.defence or usual_defence(data)
    defences = parse_defences(text)
    book = one_codebook(defences, text)
    if not book.is_fitted:
        book.fit(counts)
    rows = (
        (str(j), *(f"{level:.6g}" for level in code), f"{part:.2%}", "of pixels")
        for j, (code, part) in enumerate(zip(book.levels, book.usage(counts), strict=True))
    )
    heads = ("#code", *(f"#level {c}" for c in range(len(book.levels[0]))), "#share", "")
    print(Table.of("Codewords", "Codewords and the pixels that fall on them", heads, rows).text())
    gap = 255 * book.separation()
    print(f"{type(book).__name__}  {book.n_codes_} codewords, separation {gap:.4g} levels")
    if options.out:
        file = Path(options.out)
        print(f"saved: {book.save(file if file.suffix == '.npz' else f'{file}.npz')}")
    return DONE
