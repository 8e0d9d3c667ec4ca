"""Learn a codebook, print it, save it.

Of a data set (its training images), or of any number of image files, --data, which are read one
after the other: the memory does not grow with them, and labels play no part.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from art_disc.cli.options import refuse, say, share

if TYPE_CHECKING:
    from art_disc.codebooks import PixelCounts


def add(parser: ArgumentParser) -> None:
    """Add the command's options."""
    where = parser.add_mutually_exclusive_group()
    share(where, "--dataset")
    where.add_argument(
        "--data",
        metavar="PATH",
        help="count all pixels of an npy or npz file, a picture, or a folder of such at any depth "
        "(of its train/ where it has a test/ too)",
    )
    share(parser, "--data-dir")
    share(parser, "--defence", help="see art-disc evaluate --help")
    parser.add_argument("--out", metavar="FILE", help="save the codebook as npz")
    share(parser, "--jobs", help="processes that files of --data are counted in; -1: one a core")
    share(parser, "--quiet")


def run(options: Namespace) -> None:
    """Learn a codebook, print it and how the pixels fall on it, save it."""
    from art_disc.cli.setup import one_codebook
    from art_disc.core.files import check_file
    from art_disc.defences import parse_defences
    from art_disc.report import Table
    from art_disc.training.words import usual_codebook

    # before pixels are counted, which may take long
    file = None if options.out is None else check_file(_npz(options.out))
    text = options.defence or usual_codebook(1)
    book = one_codebook(parse_defences(text), text)
    counts = _counts(options)
    if options.defence is None:
        text = usual_codebook(counts.n_channels)
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
    if file is not None:
        print(f"saved: {book.save(file)}")


def _npz(text: str) -> Path:
    path = Path(text)
    return path if path.suffix == ".npz" else Path(f"{path}.npz")


def _counts(options: Namespace) -> "PixelCounts":
    from art_disc.cli.setup import load_data
    from art_disc.codebooks import PixelCounts, count_files

    if options.data is None:
        refuse(options, ("jobs",), "is of the files of --data")
        data = load_data(options)
        return PixelCounts.of(data.x_train if len(data.x_train) else data.x_test)
    refuse(options, ("data_dir",), "says where named data sets lie, and --data names files")
    jobs = 1 if options.jobs is None else options.jobs
    counts = count_files(options.data, n_jobs=jobs, verbose=not options.quiet)
    say(options, f"{counts.total:,} pixels of {options.data}, {len(counts.values):,} different")
    return counts
