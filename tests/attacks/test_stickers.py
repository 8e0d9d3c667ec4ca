"""What is made of an image for which GRAPHITE's arithmetic ends in NaN."""

import numpy as np

from art_disc.attacks.zoo.physical import _feed_stickers


class Lost:
    """Returns brighter images, the second one NaN in one pixel."""

    def generate(self, x, y, mask, x_tar):
        made = x + 0.1
        made[1, 0, 2, 2] = np.nan
        return made


def test_an_image_of_nan_stays_as_it_was():
    x = np.full((3, 1, 4, 4), 0.5, np.float32)
    made = _feed_stickers(Lost(), x, np.eye(3, dtype=np.float32))
    assert np.array_equal(made[1], x[1])
    assert np.allclose(made[[0, 2]], 0.6)
    assert (x == 0.5).all()
