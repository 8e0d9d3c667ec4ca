"""Bounds of the values of torch networks on boxes of inputs.

`trace.trace` turns a network into a `graph.Graph` of steps: affine ones (`affine`, those of images
in `convolutions`), monotone piecewise linear ones (`piecewise`), smooth ones (`smooth`) and maxima
(`maxima`); the table `layers.LAYERS` says which
layer of torch becomes which, and another one is refused by its name; `live.live` does the same for
a network that is being trained, whose weights bounds then teach, and `folded.folded` has fewer
steps. `interval` makes boxes (IBP)
and `linear` lines (CROWN-IBP and CROWN); `margins` folds the margin of a label into the last
layer. Where few inputs are free, `choices` says what each can be, `tables` holds the exact values
of neurons that few of these decide, and `tabled` bounds the others by `sums` of them. Pixels that
are one of few colours are `alternatives`.
"""

from art_disc.bounds.alternatives import Alternatives
from art_disc.bounds.choices import Choices, Patterns
from art_disc.bounds.folded import folded
from art_disc.bounds.graph import Graph
from art_disc.bounds.interval import boxes_of, ibp
from art_disc.bounds.layers import LAYERS, layer
from art_disc.bounds.linear import Bounds, crown, crown_ibp, met
from art_disc.bounds.live import live
from art_disc.bounds.margins import float_tolerance, interval_margins, magnitudes, margin_rows
from art_disc.bounds.reduced import Reduced, reduced
from art_disc.bounds.rounded import RoundedNetwork
from art_disc.bounds.sums import Sums
from art_disc.bounds.tabled import TabledBounds
from art_disc.bounds.tables import Tables
from art_disc.bounds.trace import trace

__all__ = [
    "LAYERS",
    "Alternatives",
    "Bounds",
    "Choices",
    "Graph",
    "Patterns",
    "Reduced",
    "RoundedNetwork",
    "Sums",
    "TabledBounds",
    "Tables",
    "boxes_of",
    "crown",
    "crown_ibp",
    "float_tolerance",
    "folded",
    "ibp",
    "interval_margins",
    "layer",
    "live",
    "magnitudes",
    "margin_rows",
    "met",
    "reduced",
    "trace",
]
