"""The suite `binarised` beside one FGSM on a binarised MNIST network: accuracy left of 500 images.

FCN2 of signs, bare, and trained behind two bits a pixel, each at a budget at which one FGSM leaves
more than chance. That FGSM is through the layers' own gradient, as in published evaluations of such
networks; the suite is the per-example worst of everything, its queries on the first 50 images.

    python -m studies.binarised_attacks bare --data-dir DIR --threads 1
    python -m studies.binarised_attacks two_bits --data-dir DIR --threads 1
"""

from typing import Any

import numpy as np
import torch

import art_disc as ad
from art_disc.attacks import ATTACKS, SUITES
from art_disc.core.records import Share
from art_disc.defences import parse_defences
from art_disc.metrics.input_gradients import input_gradients
from art_disc.networks.sign_gradient import SPREAD
from art_disc.reproduction.binarised_recipes import RECIPES
from studies import common
from studies.code_space import rows_of
from studies.mnist_two_codes import summarise

NAME, IMAGES, QUERIED = "binarised_attacks_{}", 500, 50
# defences and budget
ARMS = {"bare": ("none", 0.05), "two_bits": ("bitdepth:bits=2", 0.2)}
# of one core: fewer steps than the suite's own
SETTINGS = {
    "pgd.max_iter": 20,
    "pgd.num_random_init": 1,
    "apgd_ce.max_iter": 20,
    "apgd_dlr.max_iter": 30,
    "code_space.max_iter": 10,
    "code_space.num_random_init": 1,
    "code_space.neighbours": 8,
    "square.max_iter": 300,
    "hop_skip_jump.max_iter": 3,
    "hop_skip_jump.max_eval": 100,
}


def arm(classifier: Any, data: ad.Dataset, eps: float) -> dict[str, Any]:
    """Attack a classifier, and say what is left."""
    names = SUITES["binarised"][0]
    blind = [name for name in names if not ATTACKS[name].gradients]
    along = [name for name in names if name not in blind]
    if not classifier.defences:
        along.remove("code_space")
    record = attacked(classifier, data, along, eps=eps, n_ex=IMAGES)
    queried = attacked(classifier, data, blind, eps=eps, n_ex=QUERIED)
    rows = rows_of(record.outcomes)
    own = next(row for row in rows if row["attack"] == "fgsm")
    left = np.array(record.survives(eps))
    asked = np.array(queried.survives(eps))
    x, y = data.x_test[:IMAGES], data.y_test[:IMAGES]
    slopes = input_gradients(classifier, x, y, "cross_entropy").reshape(IMAGES, -1)
    right = np.array(record.defended_correct)
    return {
        "clean": summarise(Share.of(right)),
        "fgsm": {key: own[key] for key in ("count", "total", "value", "ci95", "surrogate")},
        "suite": summarise(Share.of(left & np.r_[asked, np.ones(IMAGES - QUERIED, bool)])),
        "queries": summarise(Share.of(asked)),
        # of the images that they were asked about
        "queries_alone": int((left[:QUERIED] & ~asked).sum()),
        "no_gradient_of_its_own": int((right & ~slopes.any(axis=1)).sum()),
        "attacks": [*rows, *rows_of(queried.outcomes)],
    }


def attacked(classifier: Any, data: ad.Dataset, attacks: list[str], **options: Any) -> Any:
    """Return the record of attacks through every gradient of the suite."""
    settings = {k: v for k, v in SETTINGS.items() if k.partition(".")[0] in attacks}
    how = {"surrogates": SPREAD, "settings": settings, "checks": None, **options}
    return ad.evaluate(classifier, data, attacks=attacks, **how).record


def main() -> None:
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("arm", nargs="?", choices=ARMS, default="bare")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data = ad.load_dataset("mnist", data_dir=options.data_dir)
    text, eps = ARMS[options.arm]
    trained = RECIPES["fcn2"].trained(data, defences=parse_defences(text))
    clock = common.Clock()
    found = {
        "dataset": {"name": data.name, "fingerprint": data.fingerprint, "test": "first 500"},
        "network": {"training": trained.training, "accuracy": trained.result.accuracy},
        "defence": text,
        "eps": eps,
        "settings": SETTINGS,
        "found": arm(trained.classifier, data, eps),
    }
    common.write(NAME.format(options.arm), found | clock.facts(), options.threads)


if __name__ == "__main__":
    main()
