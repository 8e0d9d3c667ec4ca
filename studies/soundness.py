"""Complete certificates against full enumeration, an integer programme, and the attack on codes.

1. Random (network, image, budget, codebook) cases of at most 2^14 code images: `complete`, with
   boxes of two code images as its smallest leaves, gives every verdict of enumeration. In two of
   three networks it has to do without its attack.
2. Random code images in the boxes of certified images have the certified class.
3. `CodeSpaceAttack` with its default settings: the share that it finds of the images that
   enumeration falsified.
4. 20 to 60 free pixels: verdicts are those of the same problem as a mixed-integer programme, where
   its margin exceeds a tolerance (`studies.programmes`).

    python -m studies.soundness

Tests run the same on fewer cases.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import art_disc as ad
from art_disc.codebox import CodeBox, Threat, checked_units
from art_disc.metrics import Certificate
from studies import common
from studies.programmes import against_programmes
from studies.random_cases import (
    BUDGETS,
    DRAWS,
    ENOUGH,
    Case,
    make_case,
    misclassified,
    small_cases,
    small_leaves,
)
from studies.random_networks import DEEP, KINDS, layers_of

NETWORKS, IMAGES, PROGRAMMES = 16, 10, 260


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


def all_cases() -> Iterator[Case]:
    """Yield the study's cases, a few of 2^14 code images among them."""
    for kind in (*KINDS, *DEEP):
        yield from small_cases(kind, NETWORKS, n=IMAGES)
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
