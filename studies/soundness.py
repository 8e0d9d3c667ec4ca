"""Complete certificates against full enumeration, an integer programme, and the attack on codes.

1. Random (network, image, budget, codebook) cases of at most 2^14 code images: `complete`, with
   boxes of two code images as its smallest leaves, gives every verdict of enumeration. In two of
   three networks it has to do without its attack.
2. Random code images in the boxes of certified images have the certified class.
3. `CodeSpaceAttack` with its default settings: the share that it finds of the images that
   enumeration falsified.
4. 20 to 60 free pixels: verdicts are those of the same problem as a mixed-integer programme, where
   its margin exceeds a tolerance (SciPy's HiGHS).

    python -m studies.soundness

Tests run the same on fewer cases.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from torch import nn

import art_disc as ad
from art_disc.certificates.complete import branch, method, tabled
from art_disc.certificates.spend import Spend
from art_disc.codebooks import Codebook
from art_disc.codebox import CodeBox, Threat, checked_units, from_units, reachable_codes
from art_disc.metrics import Certificate, certify, rounded_classifier
from studies import common
from studies.random_networks import DEEP, KINDS, layers_of, make_network

BUDGETS = (4 / 255, 8 / 255, 12 / 255, 0.05, 0.1, 0.15)
NETWORKS, IMAGES, DRAWS = 16, 10, 100
PROGRAMMES, CERTAIN = 260, 1e-3
ENOUGH = Spend(nodes=10**6, seconds=20)


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
        codebook: Codebook = self.classifier.defences[0].codebook
        return codebook

    def certified(self, method: str) -> Certificate:
        """Return verdicts by a method."""
        options = {"eps": self.eps, "domain": self.domain, "verbose": False}
        if method == "enumeration":
            options["max_free"] = 14
        else:
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
    n: int = IMAGES,
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
            patched.enter_context(mock.patch.object(method, "falsified", return_value={}))
        yield


def differing(case: Case, exact: Certificate, found: Certificate) -> list[str]:
    """Return what `complete` says otherwise than enumeration, reasons included.

    What bounds alone certify must be certified.
    """
    bounded, lines = case.certified("bounds"), []
    for i, verdict in enumerate(exact.verdicts):
        said, why = found.verdicts[i], (exact.record.reasons[i], found.record.reasons[i])
        if verdict != said or (verdict == "undecided" and why[0] != why[1]):
            lines.append(f"{case.kind}, image {i}: {verdict} {why[0]}, complete: {said} {why[1]}")
        if bounded.verdicts[i] == "certified" != verdict:
            lines.append(f"{case.kind}, image {i}: {verdict}, certified by bounds")
    return lines


def misclassified(case: Case, certificate: Certificate, draws: int, seed: int) -> tuple[int, int]:
    """Return how many random code images of certified images were tried, and were wrong."""
    rows = np.flatnonzero(np.array(certificate.verdicts) == "certified")
    if not len(rows):
        return 0, 0
    units = checked_units(case.x[rows], case.codebook)
    box = CodeBox.within(units, case.codebook, Threat(case.eps, domain=case.domain))
    drawn = box.take(np.repeat(np.arange(len(rows)), draws))
    shares = np.random.default_rng(seed).random(drawn.counts.shape)
    place = (shares * drawn.counts).astype(np.int64)[..., None]
    values = box.codewords[np.take_along_axis(drawn.codes, place, axis=2)[..., 0]]
    made = from_units(values, case.x.shape[1:], case.codebook)
    wrong = case.classifier.predict(made).argmax(axis=1) != np.repeat(case.labels[rows], draws)
    return len(made), int(wrong.sum())


def attacked(case: Case, exact: Certificate) -> tuple[int, int]:
    """Return how many images enumeration falsified, and how many of these the attack breaks."""
    rows = np.flatnonzero(np.array(exact.verdicts) == "falsified")
    if not len(rows):
        return 0, 0
    attack = ad.CodeSpaceAttack(
        case.classifier, eps=case.eps, domain=case.domain, seed=0, verbose=False
    )
    labels = case.labels[rows]
    found = attack.generate(case.x[rows], labels)
    return len(rows), int((case.classifier.predict(found).argmax(axis=1) != labels).sum())


def at_the_edge(case: Case) -> NDArray[np.bool_]:
    """Whether some codeword of each image is reached by the very last of the budget alone."""
    units = checked_units(case.x, case.codebook)
    less = Threat(case.eps - 4e-6, domain="real")
    counts = (CodeBox.within(units, case.codebook, t).counts for t in (Threat(case.eps), less))
    whole, without = counts
    return np.asarray((whole != without).any(axis=1))


def small_cases(kind: str, networks: int, **how: Any) -> Iterator[Case]:
    """Yield networks of one kind, in turn in each domain and arithmetic."""
    for seed in range(networks):
        domain = ("real", "8bit")[seed // 2 % 2]
        yield make_case(kind, seed, exact=seed % 2 == 1, domain=domain, **how)


def all_cases() -> Iterator[Case]:
    """Yield the study's cases, a few of 2^14 code images among them."""
    for kind in (*KINDS, *DEEP):
        yield from small_cases(kind, NETWORKS)
        yield make_case(kind, NETWORKS, n=2, bits=(14, 14))


def against_enumeration(cases: Iterable[Case], draws: int = DRAWS) -> dict[str, Any]:
    """Compare verdicts over cases; return counts of all that was in them, and what differed."""
    counts: dict[str, Counter[str]] = {
        name: Counter()
        for name in ("verdicts", "kinds", "layers", "codebooks", "domains", "arithmetic", "bits")
    }
    other, drawn, attack, ties = [], np.zeros(2, int), np.zeros(2, int), 0
    for number, case in enumerate(cases):
        with small_leaves(with_attack=case.with_attack):
            exact, found = case.certified("enumeration"), case.certified("complete")
        n = len(case.x)
        other += differing(case, exact, found)
        drawn += misclassified(case, found, draws, number)
        attack += attacked(case, exact)
        ties += int(at_the_edge(case).sum())
        counts["verdicts"].update(found.verdicts)
        counts["kinds"][case.kind] += n
        for layer in layers_of(case.network):
            counts["layers"][layer] += n
        book = case.codebook
        name = "per channel" if book.per_channel else "colour" if book.n_channels_ > 1 else "grey"
        counts["codebooks"][f"{name}, {book.n_codes_}"] += n
        counts["domains"][case.domain] += n
        counts["arithmetic"][found.record.settings["arithmetic"]] += n
        counts["bits"].update(f"{v:.0f}" for v in found.record.log2_images)
    return {
        "cases": sum(counts["verdicts"].values()),
        "with a codeword at the very edge of the budget": ties,
        "different": other,
        "random code images": {"tried": int(drawn[0]), "wrong": int(drawn[1])},
        "attack": {"falsifiable": int(attack[0]), "found": int(attack[1])},
        **{name: dict(sorted(count.items())) for name, count in counts.items()},
    }


def programme(seed: int, pixels: int) -> Case:
    """Return a network of one hidden layer, and an image all of whose pixels are free.

    Each pixel reaches both of two codewords, or all of three.
    """
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    hidden = int(rng.integers(4, 9))
    net = nn.Sequential(nn.Flatten(), nn.Linear(pixels, hidden), nn.ReLU(), nn.Linear(hidden, 3))
    words = [[0.2, 0.8], [0.4, 0.5, 0.6]][int(rng.integers(2))]
    lead, shape = float(rng.uniform(4, 12)), (1, 1, pixels)
    codes = torch.from_numpy(rng.choice(words, (200, *shape))).float()
    with torch.no_grad():
        # a margin that some images of codewords hold by little
        net[-1].bias -= net(codes).mean(dim=0)
        net[-1].bias[0] += lead * net(codes).std()
    classifier = ad.build_classifier(
        net, input_shape=shape, nb_classes=3, defences=[ad.PixelDiscretization(Codebook(words))]
    )
    x = rng.uniform(0.45, 0.55, (1, *shape)).astype(np.float32)
    return Case("programme", net, classifier, x, 0.1, "real", seed % 3 == 0)


def least_margin(net: nn.Sequential, words: NDArray[np.float64], rival: int) -> float:
    """Least margin of class 0 over a rival, each pixel one of the words, by an integer programme.

    Variables are one choice z a pixel and word, the hidden values h, and s, whether each is above
    0: h >= a, h <= a - low (1 - s), 0 <= h <= high s for a = w x + b in [low, high].
    """
    (w, b), (v, c) = (
        (net[i].weight.detach().double().numpy(), net[i].bias.detach().double().numpy())
        for i in (1, 3)
    )
    hidden, pixels = w.shape
    terms = w[:, :, None] * words
    low, high = b + terms.min(axis=2).sum(axis=1), b + terms.max(axis=2).sum(axis=1)
    terms = terms.reshape(hidden, -1)
    eye, none, size = np.eye(hidden), np.zeros((hidden, hidden)), terms.shape[1]
    one = np.kron(np.eye(pixels), np.ones(len(words)))
    rows = [
        LinearConstraint(np.hstack([one, np.zeros((pixels, 2 * hidden))]), 1, 1),
        LinearConstraint(np.hstack([-terms, eye, none]), b, np.inf),
        LinearConstraint(np.hstack([-terms, eye, -np.diag(low)]), -np.inf, b - low),
        LinearConstraint(np.hstack([0 * terms, eye, -np.diag(high)]), -np.inf, 0),
    ]
    most = np.concatenate([np.ones(size), np.maximum(high, 0), np.ones(hidden)])
    whole = np.concatenate([np.ones(size), np.zeros(hidden), np.ones(hidden)])
    cost = np.concatenate([np.zeros(size), v[0] - v[rival], np.zeros(hidden)])
    answer = milp(cost, integrality=whole, bounds=Bounds(0, most), constraints=rows)
    if not answer.success:
        raise RuntimeError(answer.message)
    return float(answer.fun + c[0] - c[rival])


def against_programmes(seeds: Iterable[int], draws: int = 10 * DRAWS) -> dict[str, Any]:
    """Compare verdicts with those of integer programmes whose margin exceeds the tolerance."""
    pixels, seen, other, drawn, close = Counter[str](), Counter[str](), [], np.zeros(2, int), 0
    for seed in seeds:
        size = int(np.random.default_rng(seed).integers(20, 61))
        case = programme(seed, size)
        if case.labels[0] != 0:
            continue
        words = case.codebook.codewords_[:, 0].astype(np.float64)
        true = min(least_margin(case.network, words, rival) for rival in (1, 2))
        if abs(true) <= CERTAIN:
            close += 1
            continue
        with small_leaves(with_attack=case.with_attack):
            found = case.certified("complete")
        free = found.record.free_pixels[0]
        expected = "certified" if true > 0 else "falsified"
        if found.verdicts[0] not in {expected, "undecided"} or free != size:
            other.append(f"seed {seed}: {found.verdicts[0]} of {free} free pixels, margin {true}")
        drawn += misclassified(case, found, draws, seed)
        seen.update(found.verdicts)
        pixels[f"{size // 10 * 10} to {size // 10 * 10 + 9}"] += 1
    return {
        "cases": sum(seen.values()) - seen["undecided"],
        "margin within the tolerance": close,
        "tolerance": CERTAIN,
        "different": other,
        "random code images": {"tried": int(drawn[0]), "wrong": int(drawn[1])},
        "verdicts": dict(seen),
        "free pixels": dict(sorted(pixels.items())),
    }


def main() -> None:
    options = common.parser(__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(options.threads)
    clock = common.Clock()
    found = {
        "enumeration": against_enumeration(all_cases()),
        "integer programmes": against_programmes(range(PROGRAMMES)),
    }
    settings = {
        "networks of each kind": NETWORKS,
        "images of each network": IMAGES,
        "budgets": BUDGETS,
        "leaves": "2^1 code images",
        "without the attack": "two networks in three",
        "seconds for a search": ENOUGH.seconds,
    }
    common.write("soundness", {"settings": settings, **found, **clock.facts()}, options.threads)


if __name__ == "__main__":
    main()
