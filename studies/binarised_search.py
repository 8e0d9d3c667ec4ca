"""What the attack on codes finds of that a solver proves to be there, as its budget grows.

The network of `studies.verified_binarised`: every image that is right when clean and that the
solver falsifies is attacked, in each level those that earlier ones left. Certified images cannot be
broken, so that what is missed here is all that the attack overlooks.

    python -m studies.binarised_search --data-dir DIR
"""

import argparse
from typing import Any

import numpy as np
import torch

import art_disc as ad
from art_disc.attacks import CodeSpaceAttack
from art_disc.metrics import Spend
from art_disc.reproduction.certificates import sampled
from studies import common
from studies.verified_binarised import EPS, network, threshold

NETWORK, IMAGES, SECONDS = "windows", 1000, 10.0
# starts, and random flips of each
LEVELS = ((12, 0), (12, 4000), (48, 4000), (96, 8000))


def found(classifier: Any, x: np.ndarray, y: np.ndarray, eps: float) -> list[dict[str, Any]]:
    """Return how many images each level leaves of these, all of which can be broken."""
    rows, clock = [], common.Clock()
    for seed, (starts, flips) in enumerate(LEVELS):
        attack = CodeSpaceAttack(
            classifier, eps, num_random_init=starts, neighbours=64, annealing=flips,
            batch_size=1024, seed=seed, verbose=False,
        )  # fmt: skip
        if len(x):
            adversarial = attack.generate(x, y)
            if np.abs(adversarial - x).max() > eps + 1e-6:
                msg = f"the attack left its budget of {eps}"
                raise RuntimeError(msg)
            stands = classifier.predict(adversarial).argmax(axis=1) == y
            x, y = x[stands], y[stands]
        rows.append({"starts": starts, "flips": flips, "left": len(x), **clock.facts()})
        print(eps, rows[-1], flush=True)
    return rows


def run(options: argparse.Namespace) -> None:
    """Solve, attack, and write what was overlooked."""
    torch.set_num_threads(options.threads)
    data = ad.load_dataset("mnist", data_dir=options.data_dir)
    net, result = network(NETWORK, data)
    classifier = ad.build_classifier(net, data=data, defences=[threshold()])
    chosen = sampled(data, options.n_ex, "random", seed=0)
    rows = []
    for eps in EPS:
        record = ad.metrics.certify(
            classifier, chosen.x_test, chosen.y_test, eps=eps, method="solver",
            spend=Spend(seconds=SECONDS),
        ).record  # fmt: skip
        there = (np.array(record.verdicts) == "falsified") & np.array(record.correct)
        x, y = chosen.x_test[there], chosen.y_test[there]
        levels = found(ad.metrics.integer_classifier(classifier), x, y, eps)
        rows.append({"eps": eps, "falsified": int(there.sum()), "levels": levels})
    common.write(
        "binarised_search",
        {
            "dataset": {"name": data.name, "fingerprint": data.fingerprint},
            "network": NETWORK,
            "weights": result.weights,
            "images": options.n_ex,
            "rows": rows,
        },
        options.threads,
    )


def main() -> None:
    parser = common.parser(str(__doc__).splitlines()[0])
    parser.add_argument("--n-ex", type=int, default=IMAGES)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
