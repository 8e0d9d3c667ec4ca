"""The attack on codes beside PGD, AutoPGD and Square: accuracy left, and what it costs an image.

MNIST, two codewords, naturally trained base (as `studies.mnist_two_codes`), eps .3, the first 200
test images. PGD and AutoPGD are run through the papers' surrogate and the identity.

    python -m studies.code_space --data-dir DIR

Prints the table of docs/code_space.md.
"""

import numpy as np

import art_disc as ad
from art_disc.core.records import EvaluationRecord
from art_disc.core.records.study import StudyRecord
from studies import common
from studies.mnist_two_codes import EPS, summarise
from studies.summary import percent

IMAGES = 200
SETTINGS = {
    "pgd.max_iter": 100,
    "pgd.eps_step": 0.01,
    "pgd.num_random_init": 2,
    "apgd_ce.max_iter": 50,
    "apgd_dlr.max_iter": 50,
    "square.max_iter": 1000,
}
ATTACKS = ["code_space", "pgd", "apgd_ce", "apgd_dlr", "square"]
NAMES = {
    "code_space": "code-space attack, default settings",
    "pgd": "PGD-100, 2 random starts",
    "apgd_ce": "AutoPGD-50, cross-entropy",
    "apgd_dlr": "AutoPGD-50, DLR",
    "square": "Square, 1,000 queries",
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


def main() -> None:
    options = common.parser(__doc__.splitlines()[0]).parse_args()
    data, classifier = common.mnist_two_codes(options)
    record = ad.evaluate(
        classifier,
        data,
        eps=EPS,
        attacks=ATTACKS,
        settings=SETTINGS,
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
    print("\n".join(table(common.load("code_space"))))


if __name__ == "__main__":
    main()
