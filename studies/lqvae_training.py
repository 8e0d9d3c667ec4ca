"""How long an LQ-VAE takes to train, and what a classifier sees through it.

All training images of a data set; classifier A of the paper, trained on images as they are, looks
at 500 test images through the filter every 200 steps, and at all of them at the end. Trainings are
cached, an interrupted one goes on.

    python -m studies.lqvae_training --dataset mnist --data-dir DIR
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import art_disc as ad
from art_disc.core.journal import Journal
from art_disc.networks import weights_hash
from art_disc.reproduction.purifier_recipes import trained_classifier, trained_lqvae
from art_disc.training import LQVAE
from art_disc.training.lqvae_fit import LQVAEReport
from art_disc.trials.score import predict_labels
from studies import common
from studies.architecture import ROOT

NAME = "lqvae_training"
PICTURES = ROOT / "docs" / "images"
PRESET = "code"
DATASETS = ("mnist", "fashion_mnist")
# of a step on a batch, as docs/purifiers.md explains each
PASSES = {
    "encoder": {"forward": 1, "backward": 1, "gradient in the image, and its backward": 2},
    "decoder 1": {"forward": 1, "backward": 1},
    "decoder 2": {"forward": 1, "backward": 1},
}


def picture(vae: LQVAE, images: np.ndarray, path: Path) -> None:
    """Write images above what is made of their codes, as PNG of three times their size."""
    rows = [np.concatenate(list(x[:, 0]), axis=1) for x in (images, vae.purify(images))]
    levels = np.rint(255 * np.concatenate(rows)).astype(np.uint8)
    Image.fromarray(np.kron(levels, np.ones((3, 3), np.uint8))).save(path, optimize=True)


def table() -> list[str]:
    """Return the lines of a page that show what was found."""
    found = [
        common.load(path.stem)
        for path in sorted(common.RESULTS.glob(f"{NAME}_*.json"), reverse=True)
    ]
    rows = [
        (
            one["dataset"]["name"],
            f"{one['settings']['steps']:,}",
            f"{one['cpu_seconds'] / 60:.0f}",
            f"{100 * one['clean']:.2f} %",
            f"{100 * one['purified']:.2f} %",
            f"{one['error']:.4f}",
        )
        for one in found
    ]
    heads = (
        "data", "steps", "processor minutes", "A, images as they are", "A, through the filter",
        "squared error of a pixel",
    )  # fmt: skip
    made = "; ".join(f"{one['dataset']['name']}: {common.where(one)}" for one in found)
    shown = [
        f"![Ten test images of {name}, and below each what the filter makes of it](images/{file})"
        for name in (one["dataset"]["name"] for one in found)
        if (PICTURES / (file := f"lqvae_{name}.png")).is_file()
    ]
    return [
        *common.markdown(heads, rows), f"(`studies/lqvae_training.py`; {made})",
        *(line for one in shown for line in ("", one)),
    ]  # fmt: skip


def main() -> None:
    parser = common.parser(str(__doc__).splitlines()[0])
    parser.add_argument("--dataset", default="mnist", choices=DATASETS)
    parser.add_argument("--preset", default=PRESET)
    parser.add_argument("--train-steps", type=int, help="steps in place of the recipe's")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    words = options.dataset, *([options.preset] if options.preset != PRESET else [])
    steps = [] if options.train_steps is None else [f"{options.train_steps}steps"]
    name = "_".join([NAME, *words, *steps])
    # by no commit: nor is the cache of trainings
    work = Path(options.work) / name
    work.mkdir(parents=True, exist_ok=True)
    data = ad.load_dataset(options.dataset, data_dir=options.data_dir)
    judge = trained_classifier(data, "A").classifier
    journal, clock = work / "reports.jsonl", common.Clock()
    with Journal(journal) as lines:

        def tell(report: LQVAEReport) -> None:
            nonlocal clock
            row = {**asdict(report), **clock.facts()}
            print(row, flush=True)
            lines.append(json.dumps(row) + "\n")
            clock = common.Clock()

        vae = trained_lqvae(
            data, options.preset, classifier=judge, train_steps=options.train_steps,
            on_report=tell, verbose=False,
        )  # fmt: skip
    told = [row for _, row in Journal(journal).lines()]
    if {row["step"] for row in told} != {report.step for report in vae.reports_}:
        parser.exit(1, f"the fit was there already, or begun elsewhere, and {journal} lacks its "
                    "costs; set ART_DISC_CACHE to an empty folder\n")  # fmt: skip
    purified = vae.purify(data.x_test)
    right = {
        name: float((predict_labels(judge, x) == data.y_test).mean())
        for name, x in (("clean", data.x_test), ("purified", purified))
    }
    usual = name == f"{NAME}_{options.dataset}"
    shown = PICTURES / f"lqvae_{options.dataset}.png" if usual else work / "reconstructions.png"
    picture(vae, data.x_test[:10], shown)
    common.write(
        name,
        {
            "dataset": {"name": data.name, "fingerprint": data.fingerprint},
            "training_images": len(data.x_train),
            "settings": vae.facts(),
            "passes_of_a_step": PASSES,
            "weights": weights_hash(vae.network),
            "classifier": weights_hash(judge.base_network),
            **right,
            "error": float(np.square(purified - data.x_test).mean()),
            "reports": told,
            # steps that a stop took away are in it twice
            "seconds": sum(row["seconds"] for row in told),
            "cpu_seconds": sum(row["cpu_seconds"] for row in told),
        },
        options.threads,
    )


if __name__ == "__main__":
    main()
