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
from functools import partial
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
# of residual networks: the smallest, and a published one
LAYERS = (8, 32)
NETWORKS = {
    f"Madry's network, two codes, {IMAGES} images": None,
    **{f"ResNet of {n} layers, 300 codes, {COLOUR_IMAGES} images": n for n in LAYERS},
}
QUIET = {"verbose": False}

Timed = Callable[[], float]
# ours and, where there is one, what it is compared with
Pair = tuple[Timed, Timed | None]


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


def of_draws(
    *, beside_art: bool, frozen: bool = False, draws: int = DRAWS, images: int = IMAGES
) -> tuple[Timed, Timed]:
    """Return a gradient over draws, and ART's as often or over them.

    Of weights that are not frozen ART's classifier takes gradients too, ours does not.
    """
    net, x, y, words = network(MadryMnistNet, (1, 28, 28), images)
    net.requires_grad_(not frozen)
    defence = ad.RandDisc.preset("mnist")
    ours = ad.build_classifier(net, defences=[defence], eot_samples=draws, **words)
    loop = [ByArt(defence, draws)] if beside_art else None
    peer = PyTorchClassifier(
        net, nn.CrossEntropyLoss(), clip_values=(0.0, 1.0), preprocessing_defences=loop, **words
    )

    def of_peer() -> None:
        for _ in range(1 if beside_art else draws):
            peer.loss_gradient(x, y)

    return timed(lambda: ours.loss_gradient(x, y)), timed(of_peer)


def defended(
    depth: int | None, images: int, through: Callable[[nn.Module], Any] = lambda net: net
) -> tuple[Any, Any, Any, Any]:
    """Return a classifier behind codewords, the bare one, images and labels.

    It is a residual network for colours, of so many layers, or Madry's for grey images, and what
    `through` makes of it.
    """
    if depth is not None:
        net, x, y, words = network(partial(ResNet32, depth=depth), (3, 32, 32), images)
        book = ad.Codebook(np.random.default_rng(1).random((300, 3), dtype=np.float32))
        surrogate = ad.SoftAssignment(25.5)
    else:
        net, x, y, words = network(MadryMnistNet, (1, 28, 28), images)
        book, surrogate = ad.Codebook([0.0, 1.0]), ad.SoftAssignment(10)
    net = through(net)
    ours = ad.build_classifier(net, defences=[ad.PixelDiscretization(book, surrogate)], **words)
    return ours, ad.build_classifier(net, defences=[], **words), x, y


def of_gradient(images: int) -> tuple[Timed, Timed]:
    ours, bare, x, y = defended(LAYERS[0], images)
    return timed(lambda: ours.loss_gradient(x, y)), timed(lambda: bare.loss_gradient(x, y))


def of_pgd(depth: int | None) -> tuple[Timed, Timed]:
    ours, bare, x, y = defended(depth, IMAGES if depth is None else COLOUR_IMAGES)

    def attack(classifier: Any) -> Timed:
        pgd = ProjectedGradientDescent(
            classifier, eps=0.1, eps_step=0.01, max_iter=20, batch_size=IMAGES, **QUIET
        )
        return timed(lambda: pgd.generate(x, y))

    return attack(ours), attack(bare)


def of_compiled(depth: int | None) -> tuple[Timed, Timed]:
    images = IMAGES if depth is None else COLOUR_IMAGES
    (ours, _, x, y), (plain, *_) = (
        # not for any batch: each has its own graph
        defended(depth, images, *through)
        for through in ([partial(torch.compile, dynamic=False)], [])
    )
    return timed(lambda: ours.loss_gradient(x, y)), timed(lambda: plain.loss_gradient(x, y))


def of_divergences() -> tuple[Timed, Timed]:
    rng = np.random.default_rng(0)
    codes, image, eps = rng.random((16, 3)), rng.random((1, 3, 32, 32)), 2 / 255
    model = ad.metrics.ColourCodesModel(tuple(map(tuple, codes.tolist())), sigma=0.15)
    asked = [(order, False) for order in ORDERS]
    return (
        timed(lambda: model.divergences(image, eps, asked)),
        timed(lambda: [model.divergence(image, eps, order) for order in ORDERS]),
    )


class Sure(nn.Module):
    """A network whose every image is of class 0."""

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        return 9 * torch.eye(10)[:1].repeat(len(x), 1) + 0 * x.mean()


def of_certificate() -> Pair:
    rng = np.random.default_rng(0)
    codes, image = rng.random((16, 3)), rng.random((1, 3, 32, 32), dtype=np.float32)
    defence = ad.RandDisc(sigma=0.15, centres=codes)
    classifier = ad.build_classifier(
        Sure(), defences=[defence], input_shape=(3, 32, 32), nb_classes=10
    )

    def certified() -> None:
        found = ad.metrics.kl_certify(classifier, image, [0], eps=2 / 255, **QUIET)
        # images that the votes lose need no divergence
        if not found.divergence[0]:
            msg = "expected an image that the votes win"
            raise ValueError(msg)

    return timed(certified), None


def of_free_pixels() -> Pair:
    rng = np.random.default_rng(0)
    book = ad.Codebook(rng.random((1000, 3), dtype=np.float32), metric="l2")
    image = rng.integers(0, 256, (1, 3, 32, 32), dtype=np.uint8)
    return timed(lambda: ad.metrics.free_pixels(image, book, eps=8 / 255)), None


def timed(work: Callable[[], object]) -> Timed:
    def seconds() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return seconds


EOT = f"gradient over {DRAWS} draws of RandDisc, {IMAGES} MNIST-like images"
FROZEN = f"{EOT}, weights frozen"
CALLS: dict[tuple[str, str], Callable[[], Pair]] = {
    ("import of all public names, CPU seconds", "`import art, torch`"): of_import,
    (EOT, f"{DRAWS} of ART's gradients, those of weights with them"): lambda: of_draws(
        beside_art=False
    ),
    (FROZEN, f"{DRAWS} gradients of the bare network"): lambda: of_draws(
        beside_art=False, frozen=True
    ),
    (EOT, "ART's `EoTPyTorch` around the same defence"): lambda: of_draws(beside_art=True),
    **{(f"PGD-20, {name}", "bare"): partial(of_pgd, depth) for name, depth in NETWORKS.items()},
    **{
        (f"gradient, {name}, through `torch.compile`", "as it is"): partial(of_compiled, depth)
        for name, depth in NETWORKS.items()
        if depth != LAYERS[-1]
    },
    (
        f"`kl_certify`: divergences of {len(ORDERS)} orders, 16 colours, one 32x32 image",
        "order by order",
    ): of_divergences,
    ("`kl_certify`, 16 colours, one 32x32 image that the votes win", ""): of_certificate,
    ("`free_pixels`, 1,000 colours, l2, one 32x32 image", ""): of_free_pixels,
}


def call_rows(runs: int) -> Iterator[list[str]]:
    """Yield for each call its seconds, the peer's and their ratio: medians, run in turn."""
    for (name, beside), made in CALLS.items():
        both = [call for call in made() if call]
        for call in both:
            call()
        spent = [[call() for call in both] for _ in range(runs)]
        ours, *peer = (median(column) for column in zip(*spent, strict=True))
        of_peer = [f"{peer[0]:.3g}", f"{ours / peer[0]:.2f}"] if peer else ["", ""]
        row = [name, beside, f"{ours:.3g}", *of_peer, str(runs)]
        print(*row, sep=" | ", flush=True)
        yield row
