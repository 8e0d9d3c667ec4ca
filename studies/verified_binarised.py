"""Binarised networks trained to be verified: what a solver proves, and what attacks leave.

MNIST behind two codewords (0 and 1: a threshold), two hidden layers of signs: one whose units see
small windows (`verifiable_bnn`) and a dense one, both trained against the same flips of codes.
Every one of the images is certified, falsified with an image, or undecided by CP-SAT, at eps .1 and
.3; the same images are attacked by the suite beside, and what the solver falsifies and no attack
breaks is what gradients overlook. Networks, codes and trainings differ from the published ones.

    python -m studies.verified_binarised windows --n-ex 1000 --data-dir DIR
    python -m studies.verified_binarised dense --n-ex 100 --data-dir DIR

Images are drawn at random from the test set, whose accuracy was looked at while architectures were
tried, though no setting was searched by it. Findings are kept under --work after every image and
taken up again. Results are in studies/results/verified_binarised/, a file for each network.
"""

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import art_disc as ad
from art_disc.core.records import CertificateRecord
from art_disc.metrics import Spend, certificate_curve
from art_disc.networks import BinarizedNet, fcn2, verifiable_bnn
from art_disc.reproduction.certificates import sampled
from art_disc.training import CodeAdversary, trained
from studies import common

EPS = (0.1, 0.3)
ATTACKS = ["code_space", "pgd", "apgd_ce", "square"]
SETTINGS = {
    "code_space.num_random_init": 12,
    "code_space.neighbours": 64,
    "code_space.annealing": 4000,
    "square.max_iter": 500,
}
NETWORKS = {
    "windows": verifiable_bnn,
    "shared": partial(verifiable_bnn, shared=True),
    "dense": partial(fcn2, widths=(128, 64)),
}
TRAINING = {"epochs": 10, "learning_rate": 5e-3, "batch_size": 256}
ADVERSARY = CodeAdversary(0.3, steps=2, ramp=0.3)
# small convolutional networks: PGD, then verified (Jia and Rinard 2020, first version)
PUBLISHED = {0.1: {"pgd": 95.35, "verified": 84.46}, 0.3: {"pgd": 90.97, "verified": 36.41}}


def threshold() -> ad.PixelDiscretization:
    """Return the input codes: black up to a half, white above."""
    return ad.PixelDiscretization(ad.Codebook([0.0, 1.0]), "identity")


def network(name: str, data: ad.Dataset) -> tuple[BinarizedNet, Any]:
    """Return a network and what its training, done once and kept, reports."""
    return trained(NETWORKS[name], data, adversary=ADVERSARY, defences=[threshold()], **TRAINING)


def attacks_leave(classifier: Any, chosen: ad.Dataset, out: Path) -> dict[float, Any]:
    """Return for each budget whether each image survives every attack."""
    record = ad.evaluate(
        classifier, chosen, eps=EPS, attacks=ATTACKS, settings=SETTINGS, checks=None,
        out=out, resume=True,
    ).record  # fmt: skip
    return {eps: np.array(record.survives(eps)) for eps in EPS}


def row(record: CertificateRecord, survives: np.ndarray) -> dict[str, Any]:
    """Return what became of the images at one budget, beside what was published."""
    wrong = np.array(record.verdicts) == "falsified"
    counts = {v: record.count(v) for v in ("certified", "falsified", "undecided")}
    # of images that are certified no attack may break one
    contradicted = int(((np.array(record.verdicts) == "certified") & ~survives).sum())
    return {
        "eps": record.eps,
        **counts,
        "wrong_when_clean": record.correct.count(False),
        "attacks_leave": int(survives.sum()),
        "falsified_by_the_solver_alone": int((wrong & survives).sum()),
        "certified_and_broken": contradicted,
        "lower_limit_99": record.lower_limit(0.99),
        "reasons": {r: record.reasons.count(r) for r in sorted(set(record.reasons)) if r},
        "seconds": round(record.seconds, 1),
        "published": PUBLISHED[record.eps],
    }


def run(options: argparse.Namespace) -> None:
    """Certify and attack the images of one network and write what became of them."""
    torch.set_num_threads(options.threads)
    data = ad.load_dataset("mnist", data_dir=options.data_dir)
    net, result = network(options.network, data)
    print(net, f"accuracy {result.accuracy:.2%}, weights {result.weights}")
    classifier = ad.build_classifier(net, data=data, defences=[threshold()])
    chosen = sampled(data, options.n_ex, "random", seed=0)
    name = f"{options.network}-{options.n_ex}"
    work = common.work_folder(options, "verified_binarised") / name
    curve = certificate_curve(
        classifier,
        chosen.x_test,
        chosen.y_test,
        eps=EPS,
        method="solver",
        spend=Spend(seconds=options.seconds),
        n_jobs=options.jobs,
        out=work / "certificates",
    )
    survives = attacks_leave(ad.metrics.integer_classifier(classifier), chosen, work / "attacks")
    rows = [row(record, survives[record.eps]) for record in curve.record.certificates]
    for each in rows:
        print(each)
    common.write(
        f"verified_binarised/{name}",
        {
            "dataset": {"name": data.name, "fingerprint": data.fingerprint},
            "network": repr(net),
            "training": f"{ADVERSARY.describe()}; {TRAINING}",
            "weights": result.weights,
            "accuracy_10000": result.accuracy,
            "codewords_255": [0, 255],
            "images": options.n_ex,
            "sample": "random",
            "seconds_an_image": options.seconds,
            "attacks": {"names": ATTACKS, "settings": SETTINGS},
            "rows": rows,
        },
        options.threads,
    )


def main() -> None:
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--n-ex", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--jobs", type=int, default=1)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
