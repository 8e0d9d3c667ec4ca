"""Pixels of a file counted by `count_files`, beside one pass of NumPy that reads and counts it.

The file has random levels, which no cache helps with: its colours are all there are. Both go over
it in turn, ours with a progress bar. Memory is what arrays take at most; the file's pages are the
system's, which takes them back at need. With --dask two workers count too, and must find the same.

    python -m benchmarks.counting [--pixels 1e9] [--channels 1] [--runs 3] [--dask]
"""

import argparse
import os
import tempfile
import time
import tracemalloc
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from art_disc.codebooks import PixelCounts, count_files

SIDE, AT_ONCE = 256, 128


def made(path: Path, pixels: int, channels: int) -> None:
    """Write images (n, channels, 256, 256) of random levels."""
    rng, n = np.random.default_rng(0), max(1, pixels // SIDE**2)
    shape = (n, channels, SIDE, SIDE)
    file = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    for start in range(0, n, AT_ONCE):
        part = file[start : start + AT_ONCE]
        part[:] = rng.integers(0, 256, part.shape, dtype=np.uint8)
    file.flush()


def counted(path: Path) -> PixelCounts:
    return count_files(path)


def summed(path: Path) -> Any:
    """Count, and ask for what was counted."""
    return counted(path).counts


def plain(path: Path) -> Any:
    """Read and bincount every channel of the file, part by part: no colours are formed."""
    images, total = np.load(path, mmap_mode="r"), np.zeros(256, np.int64)
    for start in range(0, len(images), AT_ONCE):
        total += np.bincount(images[start : start + AT_ONCE].reshape(-1), minlength=256)
    return total


def by_dask(path: Path) -> PixelCounts:
    """Count by two workers, each a quarter of the images at once."""
    from dask.distributed import Client, LocalCluster

    n = len(np.load(path, mmap_mode="r"))
    edges = np.linspace(0, n, 5).astype(int)
    # any free port: another cluster may have the usual one
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        parts = client.map(part_of, [path] * 4, edges[:-1].tolist(), edges[1:].tolist())
        first, *rest = client.gather(parts)
    return sum(rest, first)


def part_of(path: Path, start: int, end: int) -> PixelCounts:
    return PixelCounts.of(np.load(path, mmap_mode="r")[start:end])


def grown(path: Path) -> float:
    """Return how many MB of memory the counts take at most."""
    tracemalloc.start()
    summed(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def seconds(work: Any, path: Path) -> float:
    start = time.perf_counter()
    work(path)
    return time.perf_counter() - start


HEADS = (
    *("#pixels", "#channels", "#ours, s", "#reading and bincount, s", "#of its speed"),
    *("#memory at most", "two Dask workers"),
)


def row(pixels: float, channels: int = 1, *, runs: int, dask: bool) -> list[str]:
    """Return what one file takes, under `HEADS`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npy"
        made(path, int(pixels), channels)
        memory = grown(path)
        spent = [[seconds(work, path) for work in (summed, plain)] for _ in range(runs)]
        ours, peer = (median(column) for column in zip(*spent, strict=True))
        total, same = counted(path), "not asked"
        if dask:
            both = [(found.values, found.counts) for found in (by_dask(path), total)]
            alike = all(np.array_equal(a, b) for a, b in zip(*both, strict=True))
            same = "count the same" if alike else "count otherwise"
    times = (f"{ours:.3g}", f"{peer:.3g}", f"{peer / ours:.0%}")
    return [f"{total.total:,}", str(channels), *times, f"{memory:.0f} MB", same]


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--pixels", type=float, default=1e9)
    words.add_argument("--channels", type=int, default=1)
    words.add_argument("--runs", type=int, default=3)
    words.add_argument("--dask", action="store_true", help="count by two workers too")
    options = words.parse_args()
    found = row(options.pixels, options.channels, runs=options.runs, dask=options.dask)
    for head, value in zip(HEADS, found, strict=True):
        print(f"{head.lstrip('#')}: {value}")
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
