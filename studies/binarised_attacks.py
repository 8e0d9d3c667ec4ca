"""The suite `binarised` beside one FGSM on a binarised MNIST network: accuracy left of 500 images.

FCN2 of signs, bare, and trained behind two bits a pixel, each at a budget at which one FGSM leaves
more than chance. That FGSM is through the layers' own gradient, as in published evaluations of such
networks; the suite is the per-example worst of everything, its queries on the first 50 images.

    python -m studies.binarised_attacks bare --data-dir DIR --threads 1
    python -m studies.binarised_attacks two_bits --data-dir DIR --threads 1
    python -m studies.binarised_attacks --docs      the tables of docs/binarised.md again
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

import art_disc as ad
from art_disc.attacks import ATTACKS, SUITES
from art_disc.core.files import replace_file
from art_disc.core.records import Share
from art_disc.core.records.study import StudyRecord
from art_disc.defences import parse_defences
from art_disc.metrics.input_gradients import input_gradients
from art_disc.networks.sign_gradient import SPREAD
from art_disc.reproduction.binarised_recipes import RECIPES
from studies import common
from studies.code_space import rows_of
from studies.mnist_two_codes import summarise
from studies.summary import percent

DOCS = Path(__file__).parents[1] / "docs" / "binarised.md"
MARK = "<!-- made by python -m studies.binarised_attacks --docs{} -->"
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


def results() -> dict[str, StudyRecord]:
    """Return what is there, by arm."""
    there = (name for name in ARMS if (common.RESULTS / f"{NAME.format(name)}.json").is_file())
    return {name: common.load(NAME.format(name)) for name in there}


def tables(found: dict[str, StudyRecord]) -> list[str]:
    """Return the lines of the page: what is left of each arm, and through each gradient."""
    rows = [
        (
            name.replace("_", " "),
            f"{one['eps']:g}",
            *(percent(one["found"][part]) for part in ("clean", "fgsm", "suite")),
        )
        for name, one in found.items()
    ]
    lines = ["", *common.markdown(("input", "eps", "clean", "one FGSM", "suite"), rows)]
    for name, one in found.items():
        left: dict[str, dict[str, str]] = {}
        for row in one["found"]["attacks"]:
            if row["surrogate"]:
                through = row["surrogate"].removeprefix("identity+")
                left.setdefault(through, {})[row["attack"]] = f"{100 * row['value']:.1f} %"
        heads = list(dict.fromkeys(attack for cells in left.values() for attack in cells))
        each = [(f"`{key}`", *(cells.get(a, "") for a in heads)) for key, cells in left.items()]
        lines += common.markdown((f"{name.replace('_', ' ')}, through", *heads), each)
    return lines


def page() -> str:
    """Return docs/binarised.md with its tables made anew."""
    head, _, rest = DOCS.read_text(encoding="utf-8").partition(MARK.format(""))
    end = MARK.format(": end")
    made = "\n".join(tables(results()))
    return f"{head}{MARK.format('')}\n{made}\n{end}{rest.partition(end)[2]}"


def main() -> None:
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("arm", nargs="?", choices=ARMS, default="bare")
    parser.add_argument("--docs", action="store_true", help="write docs/binarised.md and stop")
    options = parser.parse_args()
    if options.docs:
        print(replace_file(DOCS, page().encode()))
        return
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
