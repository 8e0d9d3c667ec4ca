"""The layers of a network of whole numbers as sparse matrices, and what boxes of inputs reach."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from art_disc.core.checks import BoolArray, Float64Array, IntArray
from art_disc.networks.integer import IntegerNetwork, Thresholds

# least and largest values (n, inputs), whole numbers that float64 adds exactly
Ends = tuple[Float64Array, Float64Array]


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One layer of signs, all axes of a layer flattened.

    Attributes:
        matrix: From inputs to sums.
        rise: Its positive part, in float64.
        fall: Its negative part.
        thresholds: A sum that reaches its own is true, (sums,).
        windows: The sums of each output, (outputs, m), -1 for none: one that is true makes it true.
        turns: What is +1 where an output is true, +1 or -1, (outputs,).
    """

    matrix: csr_matrix
    rise: csr_matrix
    fall: csr_matrix
    thresholds: IntArray
    windows: IntArray
    turns: IntArray

    @classmethod
    def of(cls, layer: Thresholds) -> "Layer":
        """Take the numbers that the module computes with."""
        turns = layer.turns.numpy(force=True).astype(np.int64)
        windows = layer.windows()
        thresholds = layer.thresholds.numpy(force=True).reshape(-1).astype(np.int64)
        every = np.repeat(turns, len(windows) // len(turns))
        matrix = layer.sums.matrix()
        rise, fall = (part.astype(np.float64) for part in (matrix.maximum(0), matrix.minimum(0)))
        return cls(matrix, rise, fall, thresholds, windows, every)

    def among(self, true: Any) -> Any:
        """Return for each output whether one of its sums is true, (n, outputs) of (n, sums)."""
        padded = np.concatenate([true, np.zeros((len(true), 1), dtype=bool)], axis=1)
        return padded[:, self.windows].any(axis=2)


@dataclass(frozen=True, slots=True, eq=False)
class Reached:
    """What the sums of a layer reach: `always` or possibly (`maybe`) true, each (n, sums)."""

    always: BoolArray
    maybe: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A network of whole numbers.

    Attributes:
        hidden: Its layers of signs.
        last: From the last inputs to logits, int64 (classes, inputs).
        constants: Of the logits.
    """

    hidden: tuple[Layer, ...]
    last: IntArray
    constants: IntArray

    @classmethod
    def of(cls, network: IntegerNetwork) -> "Rows":
        """Take the numbers that the network computes with."""
        return cls(
            tuple(Layer.of(layer) for layer in network.layers),
            network.last.matrix().toarray(),
            network.constants.numpy(force=True).astype(np.int64),
        )

    def logits(self, levels: IntArray) -> IntArray:
        """Return the logits of levels (n, inputs)."""
        made = levels
        for layer in self.hidden:
            sums = (layer.matrix @ made.T).T
            made = layer.turns * np.where(layer.among(sums >= layer.thresholds), 1, -1)
        return np.asarray(made @ self.last.T + self.constants)

    def reached(self, ends: Ends) -> tuple[list[Reached], Ends]:
        """Return what each layer's sums reach in boxes of levels, and the last layer's inputs."""
        every, (low, high) = [], ends
        for layer in self.hidden:
            both = (low.T, high.T), (high.T, low.T)
            least, most = (layer.rise @ a + layer.fall @ b for a, b in both)
            found = Reached(layer.thresholds <= least.T, layer.thresholds <= most.T)
            every.append(found)
            sure, maybe = layer.among(found.always), layer.among(found.maybe)
            either = sure == maybe
            value = layer.turns * np.where(sure, 1.0, -1.0)
            low, high = np.where(either, value, -1.0), np.where(either, value, 1.0)
        return every, (low, high)

    def lead(self, label: int, ends: Ends) -> Float64Array:
        """Return lower bounds (n, classes) of a label's logit less each class's, ties resolved.

        A label wins over a class where this is at least 0: of a lower class it must be 1 ahead.
        """
        low, high = ends
        rows, ahead = self.margins(label)
        rise, fall = np.maximum(rows, 0), np.minimum(rows, 0)
        return np.asarray(low @ rise.T + high @ fall.T - ahead)

    def margins(self, label: int) -> tuple[IntArray, IntArray]:
        """Return rows (classes, inputs) and what their sums must reach for the label to win."""
        rows = self.last[label] - self.last
        lower = np.arange(len(rows)) < label
        return rows, lower - (self.constants[label] - self.constants)
