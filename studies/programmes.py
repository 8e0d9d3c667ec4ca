"""Complete certificates beyond enumeration: the same problem as a mixed-integer programme.

Networks of one hidden layer and images all of whose pixels are free; SciPy's HiGHS finds the least
margin. `studies.soundness` runs these, and tests run fewer.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from torch import nn

import art_disc as ad
from art_disc.codebooks import Codebook
from studies.random_cases import DRAWS, Case, misclassified, small_leaves

CERTAIN = 1e-3


def one_hidden(
    seed: int,
    rng: np.random.Generator,
    *,
    words: Sequence[float],
    shape: tuple[int, ...],
    hidden: int,
    lead: float,
) -> tuple[nn.Sequential, Any]:
    """Return a network of one hidden layer, drawn by `seed`, and its classifier behind codewords.

    Class 0 leads by so many standard deviations of the logits on random images of codewords, a
    margin that some of these hold by little.
    """
    torch.manual_seed(seed)
    pixels = int(np.prod(shape))
    net = nn.Sequential(nn.Flatten(), nn.Linear(pixels, hidden), nn.ReLU(), nn.Linear(hidden, 3))
    codes = torch.from_numpy(rng.choice(words, (200, *shape))).float()
    with torch.no_grad():
        net[-1].bias -= net(codes).mean(dim=0)
        net[-1].bias[0] += lead * net(codes).std()
    defence = ad.PixelDiscretization(Codebook(list(words)))
    return net, ad.build_classifier(net, input_shape=shape, nb_classes=3, defences=[defence])


def programme(seed: int, pixels: int) -> Case:
    """Return a network of one hidden layer, and an image all of whose pixels are free.

    Each pixel reaches both of two codewords, or all of three.
    """
    rng = np.random.default_rng(seed)
    hidden = int(rng.integers(4, 9))
    words = [[0.2, 0.8], [0.4, 0.5, 0.6]][int(rng.integers(2))]
    lead, shape = float(rng.uniform(4, 12)), (1, 1, pixels)
    net, classifier = one_hidden(seed, rng, words=words, shape=shape, hidden=hidden, lead=lead)
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
