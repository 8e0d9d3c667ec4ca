"""What `studies.code_space` found, as tables of docs/code_space.md."""

from collections.abc import Sequence
from itertools import groupby

from studies.common import load, markdown
from studies.summary import percent

NAMES = {
    "code_space": "code-space attack, default settings",
    "pgd": "PGD-{max_iter}, random starts: {num_random_init}",
    "apgd_ce": "AutoPGD-50, cross-entropy",
    "apgd_dlr": "AutoPGD-50, DLR",
    "square": "Square, 500 steps",
}


def tables(name: str) -> list[str]:
    """Return the lines of the tables, one for each budget of a study."""
    lines = []
    for eps, rows in groupby(load(name)["attacks"], lambda row: row.get("eps")):
        if eps is not None:
            lines += [f"eps {255 * eps:.0f}/255:", ""]
        lines += _table(list(rows))
    return lines


def _table(rows: Sequence[dict]) -> list[str]:
    cells = [
        (
            NAMES[row["attack"]].format(**row["settings"]),
            row["surrogate"] or "none",
            percent(row),
            str(row["missed"]),
            f"{row['gradients_per_image']:.0f}",
            f"{row['queries_per_image']:.0f}",
        )
        for row in rows
    ]
    heads = ("attack", "surrogate", "accuracy left", "missed", "gradients", "queries")
    return markdown(heads, cells)
