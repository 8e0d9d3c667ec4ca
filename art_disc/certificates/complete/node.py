"""What a search hands to a frame, and what it gets back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from art_disc.codebox import CodeBox
from art_disc.core.checks import IntArray


@dataclass(frozen=True, slots=True)
class Node:
    """A code box that is open.

    Attributes:
        bound: Of its least margin, from the box that it was cut from.
        box: One row.
        known: What its frame knows of the box that it was cut from.
    """

    bound: float
    box: CodeBox
    known: Any = None


@dataclass(frozen=True, slots=True)
class Looked:
    """What bounds say of a node.

    Attributes:
        least: Lower bound of its least margin.
        codes: Of the free units, shape (m, free): code images that may be wrong.
        unit: The unit to cut it at; None where no other code images may be wrong.
        known: For the halves; see `Node`.
    """

    least: float
    codes: IntArray
    unit: int | None = None
    known: Any = None


class Frame(Protocol):
    """One image in a search: its free units, and bounds on code boxes of them.

    Attributes:
        root: The code box of the free units, one row.
        at_once: Nodes that are best looked at together.
    """

    root: CodeBox
    at_once: int

    def look(self, nodes: Sequence[Node], tolerance: float) -> list[Looked]:
        """Bound nodes; what exceeds the tolerance needs no codes."""
        ...

    def margins_at(self, codes: IntArray) -> Tensor:
        """Return the label's margins over the others on code images (m, free), shape (m, r)."""
        ...
