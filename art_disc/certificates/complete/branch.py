"""Branch and bound in the code box of one image."""

import time
from typing import Any

import numpy as np

from art_disc.certificates.complete.frame import Frame
from art_disc.certificates.complete.scene import Scene
from art_disc.certificates.enumeration import Enumeration
from art_disc.certificates.problem import Finding
from art_disc.certificates.spend import Spend
from art_disc.codebox import CodeBox
from art_disc.core.checks import Float64Array, IntArray

# code boxes of at most 2^this many code images are enumerated
LEAF = 8
_MOST_NODES = 64


class Search:
    """The boxes of one image that are still open, and what came of the others.

    Args:
        scene: What all images share.
        index: Of the image.
        spend: What may be spent on it.
        bound: What is known of its least margin already.
    """

    def __init__(self, scene: Scene, index: int, spend: Spend, bound: float = -np.inf) -> None:
        self.scene, self.spend = scene, spend
        self.tolerance = scene.tolerances[index]
        self.found = Enumeration(scene.problem, index)
        self.tried = 0
        self.nodes = 0
        self.start = time.perf_counter()
        # no network of its own for what is enumerated at once
        small = is_leaf(scene.problem.log2[index])
        self.frame = Frame(scene, index, 0 if small else spend.megabytes)
        self.open: list[tuple[float, CodeBox]] = [(bound, self.frame.root)]
        widest = max(shape.numel() for shape in self.frame.graph.shapes) * 64
        widest *= max(scene.classes, len(self.frame.inputs) if self.frame.forward else 0)
        self.at_once = int(np.clip(spend.megabytes * 2**20 / widest, 1, _MOST_NODES))

    def run(self) -> Finding:
        """Decide the image, or spend what may be spent."""
        while self.open and self.found.witness is None:
            if self.nodes >= self.spend.nodes:
                return self._undecided(f"{self.spend.nodes} nodes")
            if time.perf_counter() - self.start > self.spend.seconds:
                return self._undecided(f"{self.spend.seconds:g} seconds")
            self._step()
        done = self.found.finding
        return Finding(done.verdict, done.reason, done.witness, self.tried)

    def _undecided(self, spent: str) -> Finding:
        best = min(bound for bound, _ in self.open)
        reason = f"{spent} spent; {self.scene.why(self.found.index, best)}"
        if self.found.reason:
            reason = f"{self.found.reason}; {reason}"
        return Finding("undecided", reason, evaluated=self.tried)

    def _step(self) -> None:
        """Bound the boxes opened last, and cut those that are not decided."""
        taken = self.open[-self.at_once :]
        del self.open[-self.at_once :]
        nodes = joined([box for _, box in taken])
        small = is_leaf(nodes.log2)
        for row in np.flatnonzero(small):
            self._enumerate(nodes.take(np.array([row])))
        nodes = nodes.take(~small)
        if not len(nodes):
            return
        least, *slopes = self.frame.bounded(nodes)
        self.nodes += len(nodes)
        # not greater, so that nan stays open
        left = ~(least.numpy() > self.tolerance)
        nodes, slopes = nodes.take(left), [slope[left] for slope in slopes]
        if len(nodes):
            self._judge(lowest_codes(nodes, slopes[0] + slopes[1]))
            self._cut(nodes, least.numpy()[left], slopes)

    def _cut(self, nodes: CodeBox, least: Float64Array, slopes: list[Float64Array]) -> None:
        halves = nodes.split(best_units(nodes, *slopes))
        # both halves of the worst box are looked at next
        for row in np.argsort(-least, kind="stable"):
            at = np.array([row])
            self.open += [(float(least[row]), half.take(at)) for half in halves]

    def _enumerate(self, node: CodeBox) -> None:
        counts = node.counts[0]
        numbers = np.unravel_index(np.arange(int(counts.prod())), tuple(counts.tolist() or [1]))
        places = np.stack(numbers, axis=1)[:, : len(counts)]
        self._judge(np.take_along_axis(node.codes[0][None], places[..., None], axis=2)[..., 0])

    def _judge(self, codes: IntArray) -> None:
        """Let the classifier look at the code images (m, free) that are not clearly right."""
        self.tried += len(codes)
        least = self.frame.margins_at(codes).amin(dim=1).numpy()
        codes = codes[~(least > self.tolerance)]
        if len(codes) and self.found.witness is None:
            problem = self.scene.problem
            scores = problem.target.scores(self.found.code_images(codes), len(codes))
            labels = np.full(len(codes), problem.labels[self.found.index])
            self.found.judge(codes, problem.target.margins(scores, labels))


def is_leaf(log2: Any) -> Any:
    """Return whether boxes of 2^log2 code images are enumerated, as the shape of `log2`."""
    return log2 <= LEAF + 1e-9


def joined(boxes: list[CodeBox]) -> CodeBox:
    """Return the rows of boxes of the same units."""
    codes = np.concatenate([box.codes for box in boxes])
    return CodeBox(boxes[0].codewords, codes, np.concatenate([box.counts for box in boxes]))


def lowest_codes(nodes: CodeBox, slope: Float64Array) -> IntArray:
    """Codes (n, free) of the codewords that lie lowest along a slope (n, free, d) of each unit."""
    height = (nodes.codewords[nodes.codes] * slope[:, :, None]).sum(axis=-1)
    best = height.argmin(axis=2)
    return np.asarray(np.take_along_axis(nodes.codes, best[..., None], axis=2)[..., 0])


def best_units(nodes: CodeBox, by_low: Float64Array, by_high: Float64Array) -> IntArray:
    """Return of each node (n,) the unit whose halves both gain most, to first order."""
    rows, units = np.nonzero(nodes.free)
    single = CodeBox(
        nodes.codewords, nodes.codes[rows, units][:, None], nodes.counts[rows, units][:, None]
    )
    low, high = (end[:, 0] for end in single.hull())
    gains = []
    for half in single.split(np.zeros(len(rows), dtype=np.int64)):
        less, more = (end[:, 0] for end in half.hull())
        gain = by_low[rows, units] * (less - low) + by_high[rows, units] * (more - high)
        gains.append(gain.sum(axis=1))
    score = np.full(nodes.counts.shape, -np.inf)
    # the larger one tells apart those whose smaller one is 0
    score[rows, units] = np.minimum(*gains) + 1e-3 * np.maximum(*gains)
    return np.asarray(score.argmax(axis=1))
