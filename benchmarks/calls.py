"""Whole calls beside the bare ones: an import, draws, PGD through a defence, divergences of orders.

Networks have random weights and images are random: neither changes the time. `benchmarks.speed`
runs these after its own.
"""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import numpy as np
import torch
from art.attacks.evasion import ProjectedGradientDescent
from art.estimators.classification import PyTorchClassifier
from art.preprocessing.expectation_over_transformation.pytorch import EoTPyTorch
from torch import Tensor, nn

import art_disc as ad
from art_disc.certificates.divergence.decide import ORDERS
from art_disc.networks import MadryMnistNet, ResNet32

DRAWS, IMAGES, COLOUR_IMAGES = 20, 128, 32
QUIET = {"verbose": False}

Timed = Callable[[], float]


class ByArt(EoTPyTorch):
    """A defence that draws, averaged by ART's loop over images and draws."""

    def __init__(self, defence: Any, nb_samples: int) -> None:
        super().__init__(nb_samples, (0.0, 1.0))
        self.defence = defence

    def _transform(self, x: Tensor, y: Any, **_: Any) -> Any:
        return self.defence.forward(x)[0], y


def fresh(code: str) -> float:
    """Return CPU seconds of a new process, with bytecode as an installed package has it."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def of_import() -> tuple[Timed, Timed]:
    bare = "import art, torch"
    return (
        lambda: fresh(f"{bare}, art_disc as ad; [getattr(ad, name) for name in ad.__all__]"),
        lambda: fresh(bare),
    )


def network(made: Callable[[], nn.Module], shape: tuple[int, int, int], n: int) -> tuple[Any, ...]:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    images = rng.random((n, *shape), dtype=np.float32)
    # ART wants labels one-hot
    labels = np.eye(10, dtype=np.float32)[rng.integers(0, 10, n)]
    return made().eval(), images, labels, {"input_shape": shape, "nb_classes": 10}


def of_draws(*, beside_art: bool) -> tuple[Timed, Timed]:
    net, x, y, words = network(MadryMnistNet, (1, 28, 28), IMAGES)
    defence = ad.RandDisc.preset("mnist")
    ours = ad.build_classifier(net, defences=[defence], eot_samples=DRAWS, **words)
    loop = [ByArt(defence, DRAWS)] if beside_art else None
    peer = PyTorchClassifier(
        net, nn.CrossEntropyLoss(), clip_values=(0.0, 1.0), preprocessing_defences=loop, **words
    )

    def of_peer() -> None:
        for _ in range(1 if beside_art else DRAWS):
            peer.loss_gradient(x, y)

    return timed(lambda: ours.loss_gradient(x, y)), timed(of_peer)


def of_pgd(*, colour: bool) -> tuple[Timed, Timed]:
    if colour:
        net, x, y, words = network(ResNet32, (3, 32, 32), COLOUR_IMAGES)
        book = ad.Codebook(np.random.default_rng(1).random((300, 3), dtype=np.float32))
        surrogate = ad.SoftAssignment(25.5)
    else:
        net, x, y, words = network(MadryMnistNet, (1, 28, 28), IMAGES)
        book, surrogate = ad.Codebook([0.0, 1.0]), ad.SoftAssignment(10)

    def attack(*defences: Any) -> Timed:
        classifier = ad.build_classifier(net, defences=defences, **words)
        pgd = ProjectedGradientDescent(
            classifier, eps=0.1, eps_step=0.01, max_iter=20, batch_size=IMAGES, **QUIET
        )
        return timed(lambda: pgd.generate(x, y))

    return attack(ad.PixelDiscretization(book, surrogate)), attack()


def of_divergences() -> tuple[Timed, Timed]:
    rng = np.random.default_rng(0)
    codes, image, eps = rng.random((16, 3)), rng.random((1, 3, 32, 32)), 2 / 255
    model = ad.metrics.ColourCodesModel(tuple(map(tuple, codes.tolist())), sigma=0.15)
    asked = [(order, False) for order in ORDERS]
    return (
        timed(lambda: model.divergences(image, eps, asked)),
        timed(lambda: [model.divergence(image, eps, order) for order in ORDERS]),
    )


def timed(work: Callable[[], object]) -> Timed:
    def seconds() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return seconds


EOT = f"gradient over {DRAWS} draws of RandDisc, {IMAGES} MNIST-like images"
CALLS: dict[tuple[str, str], Callable[[], tuple[Timed, Timed]]] = {
    ("import of all public names, CPU seconds", "`import art, torch`"): of_import,
    (EOT, f"{DRAWS} gradients of the bare network"): lambda: of_draws(beside_art=False),
    (EOT, "ART's `EoTPyTorch` around the same defence"): lambda: of_draws(beside_art=True),
    (f"PGD-20, Madry's network, two codes, {IMAGES} images", "bare"): lambda: of_pgd(colour=False),
    (f"PGD-20, ResNet-32, 300 codes, {COLOUR_IMAGES} images", "bare"): lambda: of_pgd(colour=True),
    (
        f"`kl_certify`: divergences of {len(ORDERS)} orders, 16 colours, one 32x32 image",
        "order by order",
    ): of_divergences,
}


def call_rows(runs: int) -> Iterator[list[str]]:
    """Yield for each call its seconds, the peer's and their ratio: medians, run in turn."""
    for (name, beside), made in CALLS.items():
        both = made()
        for call in both:
            call()
        spent = [[call() for call in both] for _ in range(runs)]
        ours, peer = (median(column) for column in zip(*spent, strict=True))
        row = [name, beside, f"{ours:.3g}", f"{peer:.3g}", f"{ours / peer:.2f}", str(runs)]
        print(*row, sep=" | ", flush=True)
        yield row
