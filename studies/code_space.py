"""The attack on codes beside PGD, AutoPGD and Square: accuracy left, and what it costs an image.

MNIST: two codewords, naturally trained base (as `studies.mnist_two_codes`), eps .3; PGD and AutoPGD
are run through the identity, through which they are strongest there. CIFAR-10: 300 density
codewords, radius 16/255, the naturally trained ResNet of the tables, eps 2/255 and 8/255; PGD and
AutoPGD are run through the identity and through the papers' surrogate. The first 200 test images.

    python -m studies.code_space mnist --data-dir DIR
    python -m studies.code_space cifar10 --data-dir DIR

CIFAR-10 takes hours; attacks that are finished are kept under --work.
"""

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

import art_disc as ad
from art_disc.core.records import AttackOutcome, EvaluationRecord, Share
from art_disc.reproduction.recipes import experiment
from art_disc.training import trained
from studies import common
from studies.mnist_two_codes import EPS, summarise

IMAGES = 200
CODES, RADIUS, BUDGETS = 300, 16 / 255, (2 / 255, 8 / 255)
SETTINGS = {
    "pgd.max_iter": 100,
    "pgd.eps_step": 0.01,
    "pgd.num_random_init": 2,
    "apgd_ce.max_iter": 50,
    "apgd_dlr.max_iter": 50,
    "square.max_iter": 500,
}
GRADIENTS = ["pgd", "apgd_ce", "apgd_dlr"]
ATTACKS = ["code_space", *GRADIENTS, "square"]


def rows_of(outcomes: Sequence[AttackOutcome]) -> list[dict]:
    """Return a row for each attack on the defended model, and what it adds to the others."""
    mine = [o for o in outcomes if o.scored_on == "defended" and o.knowledge != "base"]
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


def attacked(classifier: Any, data: ad.Dataset, attacks: list[str], **options: Any) -> Any:
    """Return the record of attacks on the first test images."""
    record: EvaluationRecord = ad.evaluate(
        classifier, data, attacks=attacks, n_ex=IMAGES, checks=None, **options
    ).record
    return record


def mnist(options: argparse.Namespace) -> dict[str, Any]:
    """Everything about MNIST."""
    data, classifier = common.mnist_two_codes(options)
    how = {"settings": SETTINGS, "through": "identity", "training": common.MNIST_TRAINING}
    record = attacked(classifier, data, ATTACKS, eps=EPS, **how)
    return {
        "dataset": {"name": data.name, "fingerprint": data.fingerprint, "test": "first 200"},
        "network": {"name": "MadryMnistNet", "training": common.MNIST_TRAINING},
        "eps": EPS,
        "attacks": rows_of(record.outcomes),
    }


def cifar10(options: argparse.Namespace) -> dict[str, Any]:
    """Everything about CIFAR-10."""
    torch.set_num_threads(options.threads)
    data = ad.load_dataset("cifar10", data_dir=options.data_dir)
    how = experiment("cifar10")
    network, result = trained(
        lambda: how.network(data.input_shape, data.nb_classes), data, **how.trainings["natural"]
    )
    codebook = ad.DensityCodebook(n_codes=CODES, radius=RADIUS).fit(data.x_train)
    defence = ad.PixelDiscretization(codebook, ad.SoftAssignment(how.alpha))
    classifier = ad.build_classifier(network, data=data, defences=[defence])
    rows = [
        {"eps": eps, **row}
        for eps in BUDGETS
        for row in rows_of([*outcomes(classifier, data, eps, options)])
    ]
    predicted = classifier.predict(data.x_test[:IMAGES]).argmax(axis=1)
    return {
        "dataset": {"name": data.name, "fingerprint": data.fingerprint, "test": "first 200"},
        "network": {
            "name": how.network_words,
            "training": dict(how.trainings["natural"]),
            "accuracy": result.accuracy,
        },
        "codebook": {"n_codes": CODES, "radius_255": 255 * RADIUS, "alpha": how.alpha},
        "clean": summarise(Share.of(predicted == data.y_test[:IMAGES])),
        "attacks": rows,
    }


def outcomes(
    classifier: Any, data: ad.Dataset, eps: float, options: argparse.Namespace
) -> Iterator[AttackOutcome]:
    """Yield what all attacks leave; those that follow gradients go through both surrogates."""
    own = {"pgd.max_iter": 40, "pgd.eps_step": eps / 10, "pgd.num_random_init": 1}
    for through, attacks in (("identity", ATTACKS), ("own", GRADIENTS)):
        settings = {k: v for k, v in (SETTINGS | own).items() if k.partition(".")[0] in attacks}
        folder = common.work_folder(options, "code_space_cifar10") / f"{through}-{255 * eps:.0f}"
        how = {"eps": eps, "settings": settings, "through": through, "out": folder, "resume": True}
        yield from attacked(classifier, data, attacks, **how).outcomes


STUDIES = {"mnist": mnist, "cifar10": cifar10}
RESULTS = {"mnist": "code_space", "cifar10": "code_space_cifar10"}


def main() -> None:
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("dataset", nargs="?", choices=STUDIES, default="mnist")
    options = parser.parse_args()
    common.write(RESULTS[options.dataset], STUDIES[options.dataset](options), options.threads)


if __name__ == "__main__":
    main()
