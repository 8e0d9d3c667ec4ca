"""Verdicts of CP-SAT beside a second engine, a SAT solver, on cardinality constraints."""

import itertools
import math

import numpy as np
import pytest

from art_disc.certificates.target import find_target
from art_disc.codebooks import Codebook
from art_disc.codebox import Threat, masks_of
from art_disc.defences import PixelDiscretization
from art_disc.estimators import build_classifier
from art_disc.metrics import certify, integer_classifier
from tests.certificates.sign_networks import network_of

pytest.importorskip("ortools", reason="the extra verify is not installed")
card = pytest.importorskip("pysat.card", reason="python-sat is not installed")


class Formula:
    """Clauses of sums of literals that reach a number."""

    def __init__(self):
        from pysat.formula import IDPool
        from pysat.solvers import Cadical153

        self.pool, self.solver = IDPool(), Cadical153()

    def new(self):
        return self.pool.id(object())

    def implied(self, literal, literals, least):
        """literal -> at least so many of the literals."""
        if least > len(literals):
            self.solver.add_clause([-literal])
        elif least > 0:
            made = card.CardEnc.atleast(literals, least, vpool=self.pool, encoding=1)
            for clause in made.clauses:
                self.solver.add_clause([-literal, *clause])

    def reaches(self, weights, literals, least):
        """A literal that is true just where the sum of weights -1, 0, +1 of literals reaches."""
        chosen = [(v if w > 0 else -v) for w, v in zip(weights, literals, strict=True) if w]
        count, own = least + int((np.asarray(weights) < 0).sum()), self.new()
        self.implied(own, chosen, count)
        self.implied(-own, [-v for v in chosen], len(chosen) - count + 1)
        return own

    def any(self, literals):
        own = self.new()
        self.solver.add_clause([-own, *literals])
        for literal in literals:
            self.solver.add_clause([own, -literal])
        return own


def label_can_lose(network, low, high, free, label):
    """Whether a code image of levels `low` or, where free, `high` is classified otherwise."""
    formula, step = Formula(), int((high - low).max()) or 1
    literals = [formula.new() for _ in low]
    for literal, choice in zip(literals, free, strict=True):
        if not choice:
            formula.solver.add_clause([-literal])
    for depth, layer in enumerate(network.layers):
        matrix = layer.sums.matrix().toarray()
        sums = []
        for row, threshold in zip(matrix, layer.thresholds.reshape(-1).int().tolist(), strict=True):
            if depth:
                least = math.ceil((threshold + row.sum()) / 2)
            else:
                least = math.ceil((threshold - row @ low) / step)
            sums.append(formula.reaches(row, literals, least))
        windows = layer.windows()
        turns = np.repeat(layer.turns.int().numpy(), len(windows) // len(layer.turns))
        literals = [
            int(turn) * formula.any([sums[u] for u in window if u >= 0])
            for window, turn in zip(windows, turns, strict=True)
        ]
    last, constants = network.last.matrix().toarray(), network.constants.int().numpy()
    ways = []
    for rival in range(len(last)):
        if rival != label:
            rows = (last[rival] - last[label]) // 2
            ahead = constants[label] - constants[rival] + (rival > label)
            # of signs, so twice the rows, and each sign twice its literal less 1
            ways.append(formula.reaches(rows, literals, math.ceil((ahead / 2 + rows.sum()) / 2)))
    formula.solver.add_clause(ways)
    return formula.solver.solve()


@pytest.mark.parametrize("kind", ["dense", "conv", "pooled"])
def test_a_sat_solver_says_the_same(kind):
    seen = set()
    for seed, eps in itertools.product(range(2), (0.03, 0.2)):
        shape = (1, 6, 6)
        words = [0.0, 1.0] if seed % 2 else [51 / 255, 204 / 255]
        classifier = build_classifier(
            network_of(kind, seed, shape, words=words),
            input_shape=shape,
            nb_classes=3,
            defences=[PixelDiscretization(Codebook(words))],
        )
        twin = integer_classifier(classifier)
        x = np.random.default_rng(seed).uniform(0, 1, (5, *shape)).astype(np.float32)
        labels = twin.predict(x).argmax(axis=1)
        found = certify(twin, x, labels, eps=eps, method="solver", verbose=False)
        target = find_target(twin)
        (masks,) = itertools.chain(masks_of(target.units(x), target.codebook, Threat(eps)))
        low, high = (round(255 * word) for word in words)
        for mask, label, verdict in zip(masks, labels, found.verdicts, strict=True):
            base = np.where(mask[:, 0], low, high)
            free = mask.sum(axis=1) > 1
            loses = label_can_lose(twin.model.base, base, np.where(free, high, base), free, label)
            assert verdict == ("falsified" if loses else "certified")
            seen.add(verdict)
    assert seen == {"certified", "falsified"}
