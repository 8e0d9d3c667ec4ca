"""The attack on codes beside PGD, AutoPGD and Square: accuracy left, and what it costs an image.

MNIST, two codewords, naturally trained base (as `studies.mnist_two_codes`), eps .3, the first 200
test images. PGD and AutoPGD are run through the identity, through which they are strongest there.

    python -m studies.code_space --data-dir DIR

The table of docs/code_space.md is made from its result: `--docs` writes it.
"""

from pathlib import Path

import numpy as np

import art_disc as ad
from art_disc.core.files import replace_file
from art_disc.core.records import EvaluationRecord
from art_disc.core.records.study import StudyRecord
from studies import common
from studies.mnist_two_codes import EPS, summarise
from studies.summary import percent

DOCS = Path(__file__).parents[1] / "docs" / "code_space.md"
BEGIN = "<!-- made by python -m studies.code_space --docs -->"
END = "<!-- end of what is made -->"
IMAGES = 200
SETTINGS = {
    "pgd.max_iter": 100,
    "pgd.eps_step": 0.01,
    "pgd.num_random_init": 2,
    "apgd_ce.max_iter": 50,
    "apgd_dlr.max_iter": 50,
    "square.max_iter": 500,
}
ATTACKS = ["code_space", "pgd", "apgd_ce", "apgd_dlr", "square"]
NAMES = {
    "code_space": "code-space attack, default settings",
    "pgd": "PGD-100, 2 random starts",
    "apgd_ce": "AutoPGD-50, cross-entropy",
    "apgd_dlr": "AutoPGD-50, DLR",
    "square": "Square, 500 steps",
}


def rows_of(record: EvaluationRecord) -> list[dict]:
    """Return a row for each attack on the defended model, and what it adds to the others."""
    mine = [o for o in record.outcomes if o.scored_on == "defended" and o.knowledge != "base"]
    right = np.array([o.correct for o in mine])
    rows = []
    for i, outcome in enumerate(mine):
        same = np.array([o.attack == outcome.attack for o in mine])
        share = outcome.share
        rows.append(
            {
                "attack": outcome.attack,
                "surrogate": outcome.surrogate,
                "settings": outcome.settings,
                **summarise(share),
                # of the images that it leaves, those that another attack breaks
                "missed": int((right[i] & ~right[~same].all(axis=0)).sum()),
                "gradients_per_image": outcome.gradients / share.total,
                "queries_per_image": outcome.queries / share.total,
                "seconds": outcome.seconds,
            }
        )
    return rows


def table(result: StudyRecord) -> list[str]:
    """Return the lines of the page's table."""
    cells = [
        (
            NAMES[row["attack"]],
            row["surrogate"] or "none",
            percent(row),
            str(row["missed"]),
            f"{row['gradients_per_image']:.0f}",
            f"{row['queries_per_image']:.0f}",
        )
        for row in result["attacks"]
    ]
    heads = ("attack", "surrogate", "accuracy left", "missed", "gradients", "queries")
    return common.markdown(heads, cells)


def page() -> str:
    """Return docs/code_space.md with the table between its marks."""
    head, _, rest = DOCS.read_text(encoding="utf-8").partition(BEGIN)
    result = common.load("code_space")
    return "\n".join([head + BEGIN, "", *table(result), END]) + rest.partition(END)[2]


def main() -> None:
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--docs", action="store_true", help="write docs/code_space.md and stop")
    options = parser.parse_args()
    if options.docs:
        print(replace_file(DOCS, page().encode()))
        return
    data, classifier = common.mnist_two_codes(options)
    record = ad.evaluate(
        classifier,
        data,
        eps=EPS,
        attacks=ATTACKS,
        settings=SETTINGS,
        through="identity",
        n_ex=IMAGES,
        checks=None,
        training=common.MNIST_TRAINING,
    ).record
    body = {
        "dataset": {"name": data.name, "fingerprint": data.fingerprint, "test": "first 200"},
        "network": {"name": "MadryMnistNet", "training": common.MNIST_TRAINING},
        "eps": EPS,
        "attacks": rows_of(record),
    }
    common.write("code_space", body, options.threads)


if __name__ == "__main__":
    main()
