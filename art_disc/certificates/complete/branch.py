"""Branch and bound in the code box of one image."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from art_disc.bounds import boxes_of, reduced
from art_disc.certificates.complete.frame import CrownFrame, Region
from art_disc.certificates.complete.node import Frame, Node
from art_disc.certificates.complete.scene import Scene
from art_disc.certificates.complete.tabled import TabledFrame
from art_disc.certificates.enumeration import Enumeration
from art_disc.certificates.problem import Finding
from art_disc.certificates.spend import Spend
from art_disc.codebox import CodeBox
from art_disc.core.checks import IntArray

# code boxes of at most 2^this many code images are enumerated
LEAF = 8
# code images whose margin is no larger than so many tolerances are looked at by the classifier
_CLEAR = 64.0
_BYTES = 8
# of the matrices of a reduced network; beyond it, making them takes longer than using them
_MOST_NUMBERS = 1 << 22
# each goes through the network by itself before there are tables
_MOST_UNITS = 128


class OutOfTimeError(Exception):
    """The seconds of an image are over in the midst of one of its boxes."""


def frame_of(region: Region, megabytes: float, pause: Callable[[], object]) -> Frame:
    """Return the frame that suits an image: tables, or the smaller or the whole network."""
    if len(region.units) <= _MOST_UNITS:
        tabled = TabledFrame(region, megabytes, pause)
        if tabled.useful:
            return tabled
    # no network of its own for what is enumerated at once
    graph, room = region.scene.graph, 0 if is_leaf(region.root.log2[0]) else megabytes
    most = min(int(room * 2**20 / 2 / _BYTES), _MOST_NUMBERS)
    boxes = boxes_of(graph, region.low, region.high, region.pixels)
    small = reduced(graph, boxes, most)
    return CrownFrame(region, small, megabytes)


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
        self.region = Region(scene, index)
        self.open = [Node(bound, self.region.root)]

    def run(self) -> Finding:
        """Decide the image, or spend what may be spent."""
        try:
            self.frame = frame_of(self.region, self.spend.megabytes, self._check_time)
            while self.open and self.found.witness is None:
                if self.nodes >= self.spend.nodes:
                    return self._undecided(f"{self.spend.nodes} nodes")
                self._check_time()
                self._step()
        except OutOfTimeError:
            return self._undecided(f"{self.spend.seconds:g} seconds")
        done = self.found.finding
        return Finding(done.verdict, done.reason, done.witness, self.tried)

    def _check_time(self) -> None:
        if time.perf_counter() - self.start > self.spend.seconds:
            raise OutOfTimeError

    def _undecided(self, spent: str) -> Finding:
        best = min(node.bound for node in self.open)
        reason = f"{spent} spent; {self.scene.why(self.found.index, best)}"
        if self.found.reason:
            reason = f"{self.found.reason}; {reason}"
        return Finding("undecided", reason, evaluated=self.tried)

    def _step(self) -> None:
        """Bound the boxes opened last, and cut those that are not decided."""
        # those taken stay open until all is done, lest time runs out in their midst
        rest, taken = self.open[: -self.frame.at_once], self.open[-self.frame.at_once :]
        small = [is_leaf(node.box.log2[0]) for node in taken]
        for node in (node for node, leaf in zip(taken, small, strict=True) if leaf):
            self._enumerate(node.box)
        nodes = [node for node, leaf in zip(taken, small, strict=True) if not leaf]
        looked = self.frame.look(nodes, self.tolerance) if nodes else []
        if looked:
            self._judge(np.concatenate([each.codes for each in looked]))
        self.nodes += len(nodes)
        self.open, halves = rest, []
        for node, each in zip(nodes, looked, strict=True):
            # not greater, so that nan stays open
            if each.unit is not None and not each.least > self.tolerance:
                cut = node.box.split(np.array([each.unit]))
                halves.append([Node(each.least, half, each.known) for half in cut])
        # both halves of the worst box are looked at next
        for pair in sorted(halves, key=lambda pair: -pair[0].bound):
            self.open += pair

    def _enumerate(self, node: CodeBox) -> None:
        counts = node.counts[0]
        numbers = np.unravel_index(np.arange(int(counts.prod())), tuple(counts.tolist() or [1]))
        places = np.stack(numbers, axis=1)[:, : len(counts)]
        self._judge(np.take_along_axis(node.codes[0][None], places[..., None], axis=2)[..., 0])

    def _judge(self, codes: IntArray) -> None:
        """Let the classifier look at the code images (m, free) that are not clearly right."""
        if not len(codes):
            return
        self.tried += len(codes)
        least = self.frame.margins_at(codes).amin(dim=1).numpy()
        codes = codes[~(least > _CLEAR * self.tolerance)]
        if len(codes) and self.found.witness is None:
            problem = self.scene.problem
            scores = problem.target.scores(self.found.code_images(codes), len(codes))
            labels = np.full(len(codes), problem.labels[self.found.index])
            self.found.judge(codes, problem.target.margins(scores, labels))


def is_leaf(log2: Any) -> Any:
    """Return whether boxes of 2^log2 code images are enumerated, as the shape of `log2`."""
    return log2 <= LEAF + 1e-9
