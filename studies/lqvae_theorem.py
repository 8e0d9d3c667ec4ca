"""Theorem 1 of Kyatham et al. 2020 as printed, and with its assumptions made honest.

python -m studies.lqvae_theorem
"""

import math
from dataclasses import asdict
from typing import Any

from scipy import stats

from art_disc.metrics import flip_chances
from studies import common

PRINTED = {"bit": 0.019065, "exactly": 1.177e-3}


def found() -> dict[str, Any]:
    """Return every row of `flip_chances`, and what the printed numbers are of."""
    rows = [asdict(row) for row in flip_chances()]
    first = rows[0]
    # the table of the normal distribution that was read had so many digits
    cut = math.floor(1e5 * first["bit"]) / 1e5
    return {
        "printed": PRINTED,
        "printed_exactly_is_of_bit": cut,
        "exactly_of_that": float(stats.binom.pmf(first["flips"], 64, cut)),
        "rows": rows,
    }


def table() -> list[str]:
    """Return the lines of docs/purifiers.md that show what was found."""
    made = common.load("lqvae_theorem")
    heads = ("assumed", "shift of a latent variable", "a bit flips", "exactly 6 of 64", "6 or more")
    names = ("shift", "bit", "exactly", "at_least")
    rows = [(row["assumes"], *(f"{row[name]:.4g}" for name in names)) for row in made["rows"]]
    printed, cut = made["printed"], made["printed_exactly_is_of_bit"]
    return [
        *common.markdown(heads, rows),
        f"Printed: {printed['bit']} and {printed['exactly']}; the second is of the first cut to "
        f"{cut:.5f}, {made['exactly_of_that']:.5g}.",
    ]


def main() -> None:
    options = common.parser(__doc__.splitlines()[0]).parse_args()
    made = found()
    for row in made["rows"]:
        print(f"{row['assumes']}: a bit {row['bit']:.6f}, exactly 6 {row['exactly']:.4g}")
    common.write("lqvae_theorem", made, options.threads)


if __name__ == "__main__":
    main()
