"""Codewords made for a budget beside density ones: how many pixels each leaves an attack.

Codewords are learned from the training images, free pixels are counted on the test images, by the
exact rule of `metrics.free_pixels`. "crossed" counts every boundary that a pixel comes across:
where there are more than two codewords a pixel may come across several.

    python -m studies.margin_codebook --data-dir DIR
"""

import warnings
from typing import Any

import numpy as np

import art_disc as ad
from art_disc.codebox import reachable_codes
from art_disc.core.errors import CodebookWarning
from studies import common

# radius of the density codewords, which makes room for that many
RADII = {2: 0.6, 3: 0.3, 4: 0.2, 8: 0.1}
BUDGETS = (0.1, 0.2, 0.3)
_BATCH = 1000


def codebooks(data: ad.Dataset, n_codes: int, eps: float) -> dict[str, ad.Codebook]:
    """Return the codebooks that are compared, fitted; one that finds too few codewords is not."""
    made = {
        "density": ad.DensityCodebook(n_codes, RADII[n_codes]),
        "k-medoids": ad.KMedoidsCodebook(n_codes),
        "margin": ad.MarginCodebook(n_codes, eps),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CodebookWarning)
        fitted = {name: book.fit(data.x_train) for name, book in made.items()}
    return {name: book for name, book in fitted.items() if book.n_codes_ == n_codes}


def row(data: ad.Dataset, book: ad.Codebook, eps: float) -> dict[str, Any]:
    """Return what a budget does to the test images behind a codebook."""
    parts = [
        reachable_codes(data.x_test[start : start + _BATCH], book, eps=eps).sum(axis=-1)
        for start in range(0, len(data.x_test), _BATCH)
    ]
    reached = np.concatenate(parts)
    free = (reached > 1).sum(axis=1)
    return {
        "codewords_255": [round(float(level[0]), 1) for level in book.levels],
        "mean_free": round(float(free.mean()), 2),
        "median_free": float(np.median(free)),
        "mean_crossed": round(float((reached - 1).sum(axis=1).mean()), 2),
        "mean_squared_distance": round(
            float(((book.quantize(data.x_test) - data.x_test) ** 2).mean()), 5
        ),
    }


def table() -> list[str]:
    """Return the lines of docs/certified_training.md that show what was found."""
    found: dict[tuple[str, int, float], dict[str, dict[str, Any]]] = {}
    for each in common.load("margin_codebook")["rows"]:
        key = each["dataset"], each["n_codes"], each["eps"]
        found.setdefault(key, {})[each["codebook"]] = each
    heads = ("data", "k", "eps", "density", "k-medoids", "margin", "its codewords, of 255")
    kinds = ("density", "k-medoids", "margin")
    rows = [
        (
            *(str(part) for part in key),
            *(f"{books[kind]['mean_crossed']:.1f}" if kind in books else "" for kind in kinds),
            ", ".join(f"{level:g}" for level in books["margin"]["codewords_255"]),
        )
        for key, books in found.items()
    ]
    return common.markdown(heads, rows)


def main() -> None:
    options = common.parser(str(__doc__).splitlines()[0]).parse_args()
    rows, sets = [], []
    for name in ("mnist", "fashion_mnist"):
        data = ad.load_dataset(name, data_dir=options.data_dir)
        sets.append({"name": name, "fingerprint": data.fingerprint, "test": len(data.x_test)})
        for n_codes in RADII:
            for eps in BUDGETS:
                for kind, book in codebooks(data, n_codes, eps).items():
                    rows.append(
                        {"dataset": name, "n_codes": n_codes, "eps": eps, "codebook": kind}
                        | row(data, book, eps)
                    )
                    print(rows[-1], flush=True)
    common.write(
        "margin_codebook",
        {"datasets": sets, "radii": RADII, "least_share": 0.02, "rows": rows},
        options.threads,
    )


if __name__ == "__main__":
    main()
