"""Learn a codebook, print it, save it."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from art_disc.cli.options import DATA, share


def add(parser: ArgumentParser) -> None:
    """Add the command's options."""
    share(parser, *DATA)
    share(parser, "--defence", help="see art-disc evaluate --help")
    parser.add_argument("--out", metavar="FILE", help="save the codebook as npz")


def run(options: Namespace) -> None:
    """Learn a codebook, print it and how the pixels fall on it, save it."""
    from art_disc.cli.setup import load_data, one_codebook
    from art_disc.codebooks import PixelCounts
    from art_disc.defences import parse_defences
    from art_disc.report import Table
    from art_disc.training.words import usual_defence

    data = load_data(options)
    counts = PixelCounts.of(data.x_train if len(data.x_train) else data.x_test)
    text = options.defence or usual_defence(data)
    book = one_codebook(parse_defences(text), text)
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
