"""Which codewords a budget lets each pixel reach: exact sets and their numbers.

Everything here is NumPy on the codebook's own distances, and rests on `codebooks` and `core` alone,
so that attacks, training and certificates can stand on it. A *unit* is what gets one codeword: a
pixel, or one channel of it where the codebook works `per_channel`.
"""

from art_disc.codebox.boxes import from_units, to_units
from art_disc.codebox.cell_volume import MOST_CHANNELS, grid_reach
from art_disc.codebox.cells import point_for
from art_disc.codebox.code_box import CodeBox
from art_disc.codebox.distinct import distinct
from art_disc.codebox.points import Reach
from art_disc.codebox.reachability import (
    checked_units,
    log2_images,
    masks_of,
    reachable_codes,
    unit_mask,
)
from art_disc.codebox.rules import RULES, Threat
from art_disc.codebox.sizes import class_sizes, cube_counts, free_pixels

__all__ = [
    "MOST_CHANNELS",
    "RULES",
    "CodeBox",
    "Reach",
    "Threat",
    "checked_units",
    "class_sizes",
    "cube_counts",
    "distinct",
    "free_pixels",
    "from_units",
    "grid_reach",
    "log2_images",
    "masks_of",
    "point_for",
    "reachable_codes",
    "to_units",
    "unit_mask",
]
