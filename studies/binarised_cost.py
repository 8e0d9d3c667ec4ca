"""What signs save: bytes of weight files, and processor time of predictions.

Files of networks as they are made (seed 0): the float checkpoint of `torch.save`, and those of
`save_weights(..., signs=...)`. Products of signs of the hidden layers of FCN1 and FCN2: float32,
`torch._int_mm`, bits through NumPy's XOR and `bitwise_count`. Whole networks: of latent weights, of
signs alone, and `with_int8`. The least processor time of several calls on one thread.

    python -m studies.binarised_cost
"""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from art_disc.networks import (
    Int8Linear,
    binarynet_cifar,
    fcn1,
    fcn2,
    load_weights,
    resnet20,
    save_weights,
    with_int8,
)
from studies import common

BATCHES = (1, 128, 1024)
WIDTHS = {"fcn1": 6144, "fcn2": 600}
NETWORKS = {"fcn1": fcn1, "fcn2": fcn2, "binarynet_cifar": binarynet_cifar, "resnet20": resnet20}
FILES = ("fcn1", "bnn"), *((n, w) for n in NETWORKS if n != "fcn1" for w in ("bnn", "xnor"))
LEAST_SECONDS, LEAST_CALLS = 0.3, 3


def milliseconds(call: Callable[[], Any]) -> float:
    """Return the least processor time of a call, in ms."""
    call()
    times: list[float] = []
    while sum(times) < LEAST_SECONDS or len(times) < LEAST_CALLS:
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return round(1000 * min(times), 3)


def made(name: str, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    return NETWORKS[name](**options).eval()


def files(name: str, word: str, folder: Path) -> dict:
    network = made(name, binarization=word)
    torch.save(network.state_dict(), folder / "float.pt")
    sizes = {"float": (folder / "float.pt").stat().st_size}
    for signs in ("bits", "int8"):
        sizes[signs] = save_weights(network, folder / "w.npz", signs=signs).stat().st_size
    return {"network": name, "binarization": word, **sizes}


def packed(signs: Tensor) -> np.ndarray:
    """Return bits, 64 a word, 1 for +1 and in what is added."""
    positive = np.pad(signs.numpy() >= 0, ((0, 0), (0, -signs.shape[1] % 64)), constant_values=True)
    return np.packbits(positive, axis=1).view(np.uint64)


def by_bits(x: Tensor, weight: np.ndarray) -> np.ndarray:
    """Return sums of products of signs from the bits in which they differ."""
    sums = np.empty((len(x), len(weight)), dtype=np.int32)
    for row, image in zip(sums, packed(x), strict=True):
        differ = np.bitwise_count(image ^ weight)
        row[:] = x.shape[1] - 2 * differ.sum(axis=1, dtype=np.int32)
    return sums


def products(width: int, n: int) -> dict:
    """Return times of one product, of activations that are signs already; bits are made of them."""
    torch.manual_seed(0)
    # a draw may be 0, whose sign would be none of the two
    weight, x = (2.0 * (torch.randn(rows, width) > 0) - 1 for rows in (width, n))
    whole, bits, integers = weight.to(torch.int8).t(), packed(weight), x.to(torch.int8)
    expected = nn.functional.linear(x, weight)
    same = {
        "int8": torch.equal(torch._int_mm(integers, whole).float(), expected),
        "bits": np.array_equal(by_bits(x, bits), expected.numpy()),
    }
    return {
        "width": width,
        "images": n,
        "equal": same,
        "float32": milliseconds(lambda: nn.functional.linear(x, weight)),
        "int8": milliseconds(lambda: torch._int_mm(integers, whole)),
        "bits": milliseconds(lambda: by_bits(x, bits)),
    }


@torch.no_grad()
def whole(name: str, folder: Path) -> list[dict]:
    images = {n: torch.rand(n, 1, 28, 28) for n in BATCHES}
    network, rows = made(name), {n: {"network": name, "images": n} for n in BATCHES}
    expected = {n: network(x) for n, x in images.items()}
    file = save_weights(network, folder / "w.npz", signs="bits")
    for kind in ("latent", "signs", "int8"):
        if kind == "signs":
            load_weights(network, file)
        elif kind == "int8":
            network = with_int8(network)
            assert any(isinstance(one, Int8Linear) for one in network.modules())  # noqa: S101 - a study
        for n, x in images.items():
            rows[n][f"{kind}_equal"] = torch.equal(network(x), expected[n])
            rows[n][kind] = milliseconds(partial(network, x))
    return list(rows.values())


def main() -> None:
    common.parser(__doc__).parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        results = {
            "files": [files(name, word, place) for name, word in FILES],
            "milliseconds_of_products": [
                products(width, n) for width in WIDTHS.values() for n in BATCHES
            ],
            "milliseconds_of_networks": [row for name in WIDTHS for row in whole(name, place)],
            "capability": torch.backends.cpu.get_cpu_capability(),
        }
    common.write("binarised_cost", results, 1)


if __name__ == "__main__":
    main()
