"""What bounds, code boxes and searches cost on one core.

1. IBP on 10,000 MNIST images through a network of 166,406 weights (asked for: 4 s on a free core),
   beside a plain forward pass of the same images in the same run.
2. Code boxes of 10,000 MNIST images (two codewords, eps .1 and .3) and of 1,000 CIFAR-10 images
   (300 density codewords, eps 8/255).
3. `complete` against free pixels: naturally trained digits, two codewords, growing budgets; seconds
   of each image's search by its number of free pixels.

    python -m studies.certify_speed --data-dir DIR --threads 1

Times are those of processor and wall, medians of three where nothing else is said.
"""

import argparse
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import nn

import art_disc as ad
from art_disc.bounds import ibp
from art_disc.certificates.spend import Spend
from art_disc.codebox import CodeBox, Threat, checked_units
from art_disc.networks import DigitsNet
from art_disc.training import trained
from studies import common

RUNS = 3
EPS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
IMAGES = 30


def network() -> nn.Sequential:
    """Return the untrained network of 166,406 weights; bounds cost what its layers cost."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU()]
    head = [nn.Flatten(), nn.Linear(1568, 100), nn.ReLU(), nn.Linear(100, 10)]
    return nn.Sequential(*layers, *head).eval()


def timed(work: Callable[[], Any]) -> dict[str, float]:
    """Return the medians of wall and processor seconds over a few runs."""
    found = []
    for _ in range(RUNS):
        clock = common.Clock()
        work()
        found.append(clock.facts())
    return {name: median(one[name] for one in found) for name in found[0]}


def boxes(data: ad.Dataset, book: ad.Codebook, eps: float, images: int) -> dict[str, Any]:
    """Time the code boxes of the first test images."""
    x = data.x_test[:images]
    spent = timed(lambda: CodeBox.within(checked_units(x, book), book, Threat(eps)))
    return {"dataset": data.name, "images": len(x), "codes": book.n_codes_, "eps": eps, **spent}


def bounded(data: ad.Dataset) -> dict[str, Any]:
    """Time IBP, and a forward pass beside it."""
    net, book = network(), ad.Codebook([0.0, 253 / 255])
    low, high = map(
        torch.from_numpy, CodeBox.within(checked_units(data.x_test, book), book, Threat(0.1)).hull()
    )
    low, high = low.reshape(-1, 1, 28, 28), high.reshape(-1, 1, 28, 28)

    @torch.no_grad()
    def forward() -> None:
        for part in low.split(512):
            net(part)

    by_ibp, plain = timed(lambda: ibp(net, low, high)), timed(forward)
    ratio = by_ibp["cpu_seconds"] / plain["cpu_seconds"]
    weights = sum(p.numel() for p in net.parameters())
    return {"images": len(low), "weights": weights, "ibp": by_ibp, "forward": plain, "ratio": ratio}


def searched() -> list[dict[str, Any]]:
    """Return free pixels, verdict and seconds of single images over growing budgets."""
    data = ad.load_dataset("digits")
    net, _ = trained(DigitsNet, data, seed=0, epochs=10, verbose=False)
    classifier = ad.build_classifier(
        net, data=data, defences=[ad.PixelDiscretization(ad.Codebook([0.0, 1.0]))]
    )
    rows = []
    for eps in EPS:
        for i in range(IMAGES):
            clock = common.Clock()
            record = ad.metrics.certify(
                classifier, data.x_test[i : i + 1], data.y_test[i : i + 1], eps=eps,
                method="complete", spend=Spend(nodes=10**6, seconds=60), verbose=False,
            ).record  # fmt: skip
            rows.append(
                {
                    "eps": eps,
                    "image": i,
                    "free_pixels": record.free_pixels[0],
                    "verdict": record.verdicts[0],
                    **clock.facts(),
                }
            )
    return rows


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Everything that is timed."""
    torch.set_num_threads(options.threads)
    mnist = ad.load_dataset("mnist", data_dir=options.data_dir)
    cifar10 = ad.load_dataset("cifar10", data_dir=options.data_dir)
    two = ad.Codebook([0.0, 253 / 255])
    many = ad.DensityCodebook(n_codes=300, radius=16 / 255).fit(cifar10.x_train)
    return {
        "runs": RUNS,
        "bounds": bounded(mnist),
        "boxes": [
            *(boxes(mnist, two, eps, 10_000) for eps in (0.1, 0.3)),
            boxes(cifar10, many, 8 / 255, 1000),
        ],
        "searches": searched(),
    }


def main() -> None:
    parser = common.parser(__doc__.splitlines()[0])
    options = parser.parse_args()
    common.write("certify_speed", measured(options), options.threads)


if __name__ == "__main__":
    main()
