"""How much faster our thermometer codes are than ART's own, on the same images, values equal.

16 levels, the first 64 CIFAR-10 test images, both layouts, in one process: ART's class once, then
five times ours, and all that again; the ratio of the medians.

    python -m studies.thermometer_speed --data-dir DIR
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from art.defences.preprocessor import ThermometerEncoding

import art_disc as ad
from studies import common

LEVELS, IMAGES, REPEATS = 16, 64, 5


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def compare(x: Any, *, channels_first: bool) -> dict[str, Any]:
    """Time both on images of one layout."""
    images = x if channels_first else np.ascontiguousarray(np.moveaxis(x, 1, -1))
    art = ThermometerEncoding((0.0, 1.0), LEVELS, channels_first=channels_first)
    ours = ad.Thermometer(LEVELS, channels_first=channels_first)
    ours(images)
    seconds: dict[str, list[float]] = {"art": [], "ours": []}
    equal = True
    for _ in range(2):
        # ART's clips its argument in place
        spent, theirs = timed(lambda: art(images.copy())[0])
        seconds["art"].append(spent)
        for _ in range(REPEATS):
            spent, codes = timed(lambda: ours(images)[0])
            seconds["ours"].append(spent)
            equal &= bool(np.array_equal(codes, theirs))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "channels_first": channels_first,
        "seconds": {name: [round(v, 6) for v in values] for name, values in seconds.items()},
        "ratio_of_medians": medians["art"] / medians["ours"],
        "values_equal": equal,
    }


def main() -> None:
    options = common.parser(__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(options.threads)
    data = ad.load_dataset("cifar10", data_dir=options.data_dir)
    x = data.x_test[:IMAGES]
    body = {
        "images": IMAGES,
        "levels": LEVELS,
        "layouts": [compare(x, channels_first=first) for first in (True, False)],
    }
    print(body)
    common.write("thermometer_speed", body, options.threads)


if __name__ == "__main__":
    main()
