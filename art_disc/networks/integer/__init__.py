"""Networks of signs in whole numbers, and how one is made of a network of binarised layers.

`network` is what predicts: sums of whole numbers and thresholds. `folding` goes over the layers of
a float network, `layers` reads one of them, and `crossing` finds the least sum whose sign is +1.
"""

from art_disc.networks.integer.folding import integer_network
from art_disc.networks.integer.network import IntegerNetwork, Sums, Thresholds

__all__ = ["IntegerNetwork", "Sums", "Thresholds", "integer_network"]
