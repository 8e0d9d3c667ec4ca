"""What the two-codeword defence of MNIST is really worth: images decided by the complete method.

Each row is one of the networks of Chen et al. 2018, Table 3, behind two density codewords; images
are drawn at random from the test set. `certified` images hold against every change within eps,
`falsified` ones come with an image that breaks them, and robust accuracy lies between.

    python -m studies.decided disc_adv_pre --eps 0.1 --n-ex 1000 --jobs 2 --data-dir DIR

Findings are kept under --work after every image and taken up again. Results are in
studies/results/decided/, a file for each call; `studies.pages` makes a table of them.
"""

import argparse
from typing import Any

import numpy as np
import torch

import art_disc as ad
from art_disc.metrics import Spend, certificate_curve
from art_disc.reproduction.certificates import sampled
from art_disc.reproduction.recipes import Stage
from studies import common

# robust accuracy as printed, eps 0.3, PGD-100 through the surrogate (Chen et al. 2018, Table 3)
PRINTED_AT = 0.3
PRINTED = {
    "disc_nat_pre": 75.3,
    "disc_nat_re": 82.02,
    "disc_adv_pre": 97.24,
    "disc_adv_re": 93.01,
}


def setting(name: str, data_dir: str | None) -> tuple[ad.Dataset, Any]:
    """Return MNIST, and one of the papers' settings as `art-disc reproduce` trains it."""
    stage = Stage.of("mnist", data_dir, None)
    defence = ad.PixelDiscretization(
        ad.DensityCodebook(2, radius=0.6), ad.SoftAssignment(stage.experiment.alpha)
    )
    return stage.data, stage.trained(name, [defence], seed=0, verbose=True)


def run(options: argparse.Namespace) -> None:
    """Decide the images of one row and write what became of them."""
    torch.set_num_threads(options.threads)
    data, trained = setting(options.row, options.data_dir)
    chosen = sampled(data, options.n_ex, "random", seed=0)
    name = f"{options.row}-{options.n_ex}"
    curve = certificate_curve(
        trained.classifier,
        chosen.x_test,
        chosen.y_test,
        eps=options.eps,
        method="complete",
        spend=Spend(nodes=100_000, seconds=options.seconds),
        n_jobs=options.jobs,
        out=common.work_folder(options, "decided") / name,
    )
    rows = []
    for record in curve.record.certificates:
        counts = {v: record.count(v) for v in ("certified", "falsified", "undecided")}
        rows.append(
            {
                "eps": record.eps,
                **counts,
                "wrong_when_clean": record.correct.count(False),
                "lower_limit_99": record.lower_limit(0.99),
                "free_pixels": [int(n) for n in np.percentile(record.free_pixels, (5, 50, 95))],
                "seconds": round(record.seconds, 1),
            }
        )
        print(rows[-1])
    folder = f"decided/{name}-{'-'.join(f'{eps:g}' for eps in options.eps)}"
    common.write(
        folder,
        {
            "dataset": {"name": data.name, "fingerprint": data.fingerprint},
            "setting": options.row,
            "training": trained.training,
            "images": options.n_ex,
            "sample": "random",
            "seconds_an_image": options.seconds,
            "jobs": options.jobs,
            "rows": rows,
        },
        options.threads,
    )


def main() -> None:
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("row", choices=PRINTED)
    parser.add_argument("--eps", type=float, nargs="+", default=[0.1, 0.2, 0.3])
    parser.add_argument("--n-ex", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--jobs", type=int, default=1)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
