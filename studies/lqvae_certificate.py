"""What an LQ-VAE of the preset `certified` makes certain, in front of a classifier of the paper.

The first test images are decided at each budget: certified, falsified with an image within the
budget, or undecided, and why; and how many bits a budget may flip. Certified images are then
attacked by `LatentCodeAttack` and by attacks of the table: none of these may break one.

    python -m studies.lqvae_certificate --n-ex 1000 --eps .02 .05 .1 --jobs 2 --data-dir DIR

Networks are trained once and cached, an interrupted training goes on; findings are kept under
--work after every 20 images, and taken up again.
"""

import argparse
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import art_disc as ad
from art_disc.attacks import LatentCodeAttack
from art_disc.core.budget import Budget
from art_disc.core.files import replace_file
from art_disc.metrics import Spend, certify_codes
from art_disc.reproduction.purifier_bench import Bench, Judged
from art_disc.trials.score import predict_labels
from art_disc.trials.trial import Trial, run_trial
from studies import common

AT_ONCE = 20
VERDICTS = ("certified", "falsified", "undecided")


def part(classifier: Any, x: Any, y: Any, eps: float, options: argparse.Namespace) -> list[Any]:
    """Return what is found of some images: verdict, reason, free bits, codes looked at."""
    found = certify_codes(
        classifier,
        x,
        y,
        eps=eps,
        spend=Spend(seconds=options.seconds),
        n_jobs=options.jobs,
        verbose=False,
    )
    rows = found.verdicts, found.reasons, found.free.tolist(), found.evaluated.tolist()
    return [list(row) for row in zip(*rows, strict=True)]


def decided(
    classifier: Any, data: ad.Dataset, eps: float, options: argparse.Namespace, folder: Path
) -> list[Any]:
    """Return what is found of all images, part by part; what is there already is not done again."""
    rows = []
    for start in range(0, len(data.x_test), AT_ONCE):
        file, own = folder / f"{eps:g}-{start}.json", slice(start, start + AT_ONCE)
        if not file.is_file():
            made = part(classifier, data.x_test[own], data.y_test[own], eps, options)
            replace_file(file, json.dumps(made).encode())
        rows += json.loads(file.read_text(encoding="utf-8"))
        counts = Counter(row[0] for row in rows)
        print(f"eps {eps:g}: {len(rows)} images, {dict(counts)}", flush=True)
    return rows


def summary(rows: list[Any]) -> dict[str, Any]:
    """Return counts of verdicts and reasons, and the distribution of free bits.

    >>> row = ["undecided", "20 seconds spent; margin at least -1", 9, 0]
    >>> summary([["certified", "", 3, 8], row])["reasons"]
    {'n seconds spent': 1}
    """
    verdicts = Counter(row[0] for row in rows)
    reasons = Counter(re.sub(r"[\d.]+", "n", row[1].split(";")[0]) for row in rows if row[1])
    free = [row[2] for row in rows]
    points = (0, 5, 25, 50, 75, 95, 100)
    return {
        **{verdict: verdicts[verdict] for verdict in VERDICTS},
        "reasons": dict(sorted(reasons.items())),
        "free_bits": dict(zip(points, np.percentile(free, points).tolist(), strict=True)),
        "images_by_free_bits": {str(k): v for k, v in sorted(Counter(free).items())},
    }


def broken(
    bench: Bench, judged: Judged, eps: float, certified: NDArray[np.int64], attacks: list[str]
) -> dict[str, int]:
    """Return how many certified images each attack breaks."""
    y = bench.part.y_test[certified]
    found = {}
    for attack in attacks:
        images = bench.examples(judged, attack, eps)[0][certified]
        found[attack] = int((predict_labels(judged.classifier, images) != y).sum())
    if len(certified):
        trial = Trial(
            make=lambda: LatentCodeAttack(judged.classifier, eps=eps, verbose=False),
            source=judged.classifier,
            x=bench.part.x_test[certified],
            y=y,
            budget=Budget(eps),
            seeds=lambda start: start,
            batch_size=100,
        )
        images = run_trial(trial).images
        found["latent_code"] = int((predict_labels(judged.classifier, images) != y).sum())
    return found


def table() -> list[str]:
    """Return the lines of a page that show what was found."""
    made = common.load("lqvae_certificate")
    rows = []
    for row in made["rows"]:
        free, lost = row["free_bits"], row["certified_and_broken_by"]
        cells = (f"{row['eps']:g}", *(str(row[verdict]) for verdict in VERDICTS))
        bits = " / ".join(f"{free[str(point)]:.0f}" for point in (5, 50, 95))
        rows.append((*cells, bits, str(sum(lost.values()))))
    heads = ("eps", *VERDICTS, "free bits, 5 % / median / 95 %", "certified, and broken")
    return [
        f"{made['images']} images, of which {made['clean']} are right without a change; "
        f"{made['seconds_an_image']:g} s of search each.",
        "",
        *common.markdown(heads, rows),
    ]


def main() -> None:
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--model", default="A", choices="ABC")
    parser.add_argument("--n-ex", type=int, default=1000)
    parser.add_argument("--eps", type=float, nargs="+", default=[0.02, 0.05, 0.1])
    parser.add_argument("--seconds", type=float, default=10.0, help="of a search, an image")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--attacks", nargs="*", default=["pgd"], help="on certified images")
    parser.add_argument("--train-steps", type=int, help="batches in place of the recipes'")
    run(parser.parse_args())


def run(options: argparse.Namespace) -> None:
    """Train, decide, attack, and write what was found."""
    torch.set_num_threads(options.threads)
    clock, folder = common.Clock(), common.work_folder(options, "lqvae_certificate")
    data = ad.load_dataset(options.dataset, data_dir=options.data_dir)
    bench = Bench(data, options.n_ex, folder, preset="certified", train_steps=options.train_steps)
    judged = bench.judged(options.model, "lqvae")
    words = f"{options.dataset}-{options.model}-{options.n_ex}-{options.seconds:g}"
    rows = []
    for eps in options.eps:
        own = folder / f"{words}-{options.train_steps or 'all'}"
        found = decided(judged.classifier, bench.part, eps, options, own)
        certified = np.flatnonzero([row[0] == "certified" for row in found])
        lost = broken(bench, judged, eps, certified, options.attacks)
        rows.append({"eps": eps, **summary(found), "certified_and_broken_by": lost})
        print(rows[-1])
    common.write(
        "lqvae_certificate",
        {
            "dataset": {"name": data.name, "fingerprint": data.fingerprint},
            "classifier": bench.judged(options.model).network,
            "purifier": judged.network,
            "lipschitz_bound": bench.vae.network.lipschitz_bound(),
            "images": options.n_ex,
            "clean": int(judged.right[: options.n_ex].sum()),
            "seconds_an_image": options.seconds,
            "jobs": options.jobs,
            "rows": rows,
            **clock.facts(),
        },
        options.threads,
    )


if __name__ == "__main__":
    main()
