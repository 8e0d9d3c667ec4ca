"""Random (network, images, budget, codebook) cases for complete certificates.

`studies.soundness` goes over these, and tests do over fewer.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import art_disc as ad
from art_disc.certificates.complete import attacked, branch, tabled
from art_disc.certificates.spend import Spend
from art_disc.codebooks import Codebook
from art_disc.codebox import CodeBox, Threat, checked_units, from_units, reachable_codes
from art_disc.metrics import Certificate, certify, rounded_classifier
from studies.random_networks import INEXACT, make_network

BUDGETS = (4 / 255, 8 / 255, 12 / 255, 0.05, 0.1, 0.15)
ENOUGH = Spend(nodes=10**6, seconds=20)
# random code images of each certified one
DRAWS = 100


@dataclass(frozen=True)
class Case:
    """A classifier around one kind of layer, images, and what may be done to them."""

    kind: str
    network: nn.Sequential
    classifier: Any
    x: NDArray[np.float32]
    eps: float
    domain: str
    with_attack: bool

    @property
    def labels(self) -> NDArray[np.int64]:
        """What the classifier predicts."""
        labels: NDArray[np.int64] = self.classifier.predict(self.x).argmax(axis=1)
        return labels

    @property
    def codebook(self) -> Codebook:
        """What its pixels are mapped to."""
        codebook: Codebook = self.classifier.defences[0].codebook
        return codebook

    def certified(self, method: str) -> Certificate:
        """Return verdicts by a method."""
        options = {"eps": self.eps, "domain": self.domain, "verbose": False}
        if method == "enumeration":
            options["max_free"] = 14
        if method == "complete":
            options["spend"] = ENOUGH
        return certify(self.classifier, self.x, self.labels, method=method, **options)


def codebook(rng: np.random.Generator, channels: int, *, colour: bool, grey: int) -> Codebook:
    """Two to five codewords, some close to others; a pixel keeps the first within `grey` levels."""
    k = int(rng.integers(2, 6))
    levels = rng.integers(2 * grey + 4, 256, (k, channels if colour else 1))
    levels[-1] = np.clip(levels[-2] + rng.integers(1, 20, levels.shape[1]), 0, 255)
    levels[0] = 0
    words = np.unique(levels, axis=0) / 255
    return Codebook(
        words if colour else words[:, 0],
        metric=str(rng.choice(["l_inf", "l1", "l2"])),
        ties=str(rng.choice(["lowest", "highest"])),
        per_channel=channels > 1 and not colour,
    )


def images(
    book: Codebook,
    shape: tuple[int, ...],
    threat: Threat,
    rng: np.random.Generator,
    most: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Images of at most 2^most (n,) code images: pixels at borders, others that stay as they are.

    Half of the budgets put all free pixels just at the edge of reaching a codeword, ties included.
    """
    words, eps = book.codewords_, threat.eps
    n, d = len(most), words.shape[1]
    units = int(np.prod(shape)) // d
    alone = reachable_codes(words.T[None, :, None].copy(), book, eps=eps)[0].sum(axis=-1) == 1
    base = words[rng.choice(np.flatnonzero(alone), (n, units))]
    border = words[rng.integers(0, len(words), (n, units, 2))].mean(axis=2)
    edge = (
        rng.choice([-1, 1], border.shape) if rng.integers(2) else rng.uniform(-1, 1, border.shape)
    )
    near = (border + eps * edge).clip(0, 1).astype(np.float32)
    if threat.domain == "8bit" or rng.integers(2):
        near = np.rint(255 * near) / np.float32(255)
    # codewords are levels, as float32 has them
    base = np.rint(255 * base) / np.float32(255)
    bits = np.log2(CodeBox.within(near, book, threat).counts)
    order = rng.permuted(np.arange(units)[None].repeat(n, axis=0), axis=1)
    total = np.take_along_axis(bits, order, axis=1).cumsum(axis=1)
    free = np.zeros((n, units), dtype=bool)
    np.put_along_axis(free, order, total <= most[:, None], axis=1)
    x = np.where(free[..., None], near, base).astype(np.float32)
    return from_units(x, shape, book)


def make_case(
    kind: str,
    seed: int,
    *,
    n: int = 10,
    bits: tuple[int, int] = (6, 11),
    exact: bool = False,
    domain: str = "real",
) -> Case:
    """Return a random network, codebook and budget, and n images of at most 2^bits code images."""
    rng = np.random.default_rng([seed, *kind.encode()])
    channels, eps = int(rng.integers(1, 4)), float(rng.choice(BUDGETS))
    book = codebook(rng, channels, colour=bool(rng.integers(2)), grey=round(255 * eps))
    shape = (channels, 5, 5)
    net = make_network(kind, seed, shape).to(torch.float32)
    x = images(book, shape, Threat(eps, domain=domain), rng, rng.integers(bits[0], bits[1] + 1, n))
    classifier = ad.build_classifier(
        net, input_shape=shape, nb_classes=3, defences=[ad.PixelDiscretization(book)]
    )
    scores = torch.from_numpy(classifier.predict(x))
    # so that no class wins everywhere, and the first holds in some boxes
    net[-1].bias.data -= scores.mean(dim=0)
    net[-1].bias.data[0] += float(rng.uniform(0, 2)) * scores.std(dim=0).mean()
    if exact:
        classifier = rounded_classifier(classifier)
    return Case(kind, net, classifier, x, eps, domain, seed % 3 == 0)


@contextmanager
def small_leaves(*, with_attack: bool) -> Iterator[None]:
    """Let `complete` enumerate boxes of two code images alone, so that bounds and search decide.

    Nor are more than 16 listed by tables.
    """
    with ExitStack() as patched:
        patched.enter_context(mock.patch.object(branch, "LEAF", 1))
        patched.enter_context(mock.patch.object(tabled, "_LOG2", 4))
        if not with_attack:
            patched.enter_context(mock.patch.object(attacked, "falsified", return_value={}))
        yield


def misclassified(case: Case, certificate: Certificate, draws: int, seed: int) -> tuple[int, int]:
    """Return how many random code images of certified images were tried, and were wrong."""
    rows = np.flatnonzero(np.array(certificate.verdicts) == "certified")
    if not len(rows):
        return 0, 0
    units = checked_units(case.x[rows], case.codebook)
    box = CodeBox.within(units, case.codebook, Threat(case.eps, domain=case.domain))
    drawn = box.take(np.repeat(np.arange(len(rows)), draws))
    values = box.codewords[drawn.drawn(np.random.default_rng(seed))]
    made = from_units(values, case.x.shape[1:], case.codebook)
    wrong = case.classifier.predict(made).argmax(axis=1) != np.repeat(case.labels[rows], draws)
    return len(made), int(wrong.sum())


def small_cases(kind: str, networks: int, **how: Any) -> Iterator[Case]:
    """Yield networks of one kind, in turn in each domain and in each arithmetic that it has."""
    for seed in range(networks):
        domain = ("real", "8bit")[seed // 2 % 2]
        exact = seed % 2 == 1 and kind not in INEXACT
        yield make_case(kind, seed, exact=exact, domain=domain, **how)
