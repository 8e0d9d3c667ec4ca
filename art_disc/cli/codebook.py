"""`art-disc codebook`: learn a codebook, print it, save it."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from art_disc.cli.exits import DONE
from art_disc.cli.options import Subparsers, add_data
from art_disc.core.errors import InputError


def add(subparsers: Subparsers) -> None:
    """Add the command to the parser of `art-disc`."""
    parser = subparsers.add_parser("codebook", help="learn a codebook, print it, save it")
    add_data(parser)
    parser.add_argument("--defence", metavar="SPEC", help="see art-disc evaluate --help")
    parser.add_argument("--out", metavar="FILE", help="save the codebook as npz")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Learn a codebook, print it and how the pixels fall on it, save it."""
    import numpy as np

    from art_disc.cli.setup import load_data
    from art_disc.codebooks import PixelCounts
    from art_disc.defences import parse_defences
    from art_disc.report import Table
    from art_disc.training.words import usual_defence

    data = load_data(options)
    counts = PixelCounts.of(data.x_train if len(data.x_train) else data.x_test)
    text = options.defence or usual_defence(data)
    defences = parse_defences(text)
    book = defences[0].codebook if len(defences) == 1 else None
    if book is None:
        msg = f"--defence {text} is not one codebook; see art-disc evaluate --help for those"
        raise InputError(msg)
    if not book.is_fitted:
        book.fit(counts)
    index = book.assign(counts.values.astype(np.float32) / np.float32(255))
    weights: Any = counts.counts if index.ndim == 1 else np.repeat(counts.counts, index.shape[1])
    share = np.bincount(index.ravel(), weights=weights, minlength=book.n_codes_)
    rows = (
        (str(j), *(f"{level:.6g}" for level in code), f"{part:.2%}", "of pixels")
        for j, (code, part) in enumerate(zip(book.levels, share / share.sum(), strict=True))
    )
    heads = ("#code", *(f"#level {c}" for c in range(len(book.levels[0]))), "#share", "")
    print(Table.of("Codewords", "Codewords and the pixels that fall on them", heads, rows).text())
    gap = 255 * book.separation()
    print(f"{type(book).__name__}  {book.n_codes_} codewords, separation {gap:.4g} levels")
    if options.out:
        file = Path(options.out)
        print(f"saved: {book.save(file if file.suffix == '.npz' else f'{file}.npz')}")
    return DONE
