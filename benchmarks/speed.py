"""Nearest codeword and soft surrogate beside the plain lines of torch that do the same.

Ours and the peer run in turn in one process, after a first run of each that is not counted; medians
and their ratio. Colours are random in [0, 1]. Then equality with trying all codewords. `make bench`
writes `benchmarks/RESULTS.md`.

    python -m benchmarks.speed [--threads 2] [--clock wall] [--pixels 1e9]
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from art_disc.codebooks import METRICS, Codebook, nearest
from art_disc.core.files import replace_file
from art_disc.core.records import Environment
from art_disc.defences import PixelDiscretization
from art_disc.surrogates import SoftAssignment
from studies.common import markdown, peak_memory_mb

PIXELS = 1 << 16
# repeats of one comparison at most
MOST = 31
GROWTH = Path(__file__).parent / "growth.svg"
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}

Work = Callable[[], object]


def compared(
    ours: Work, peer: Work, clock: Callable[[], float], patience: float
) -> tuple[float, float, int]:
    """Return the medians of both in seconds, and of how many runs in about `patience` seconds."""
    begin, seconds = time.perf_counter(), ([], [])
    for work in (ours, peer):
        work()
    while len(seconds[0]) < MOST and (
        not seconds[0] or time.perf_counter() - begin < patience * (3 if len(seconds[0]) < 3 else 1)
    ):
        for work, spent in zip((ours, peer), seconds, strict=True):
            start = clock()
            work()
            spent.append(clock() - start)
    return statistics.median(seconds[0]), statistics.median(seconds[1]), len(seconds[0])


def colours(k: int, seed: int = 0) -> torch.Tensor:
    return torch.rand((k, 3), generator=torch.Generator().manual_seed(seed))


def of_nearest(k: int, n: int = PIXELS, device: str = "cpu") -> tuple[Work, Work]:
    codes, pixels = colours(k), colours(n, seed=1).to(device)
    book = Codebook(codes.numpy())
    book.search._spent[0] = 1 << 40  # its grid is made at once
    codes = codes.to(device)
    return (
        lambda: book.search.find((255 * pixels).unbind(1), torch),
        lambda: torch.cdist(pixels, codes, p=torch.inf).argmin(dim=1),
    )


def of_grey(device: str = "cpu") -> tuple[Work, Work]:
    grey = torch.rand((64, 1, 32, 32), generator=torch.Generator().manual_seed(0)).to(device)
    codes, border = torch.tensor([0.0, 1.0], device=device), torch.tensor([0.5], device=device)
    image_map = PixelDiscretization(Codebook([0.0, 1.0]))._map
    return lambda: image_map(grey), lambda: codes[torch.bucketize(grey, border)]


def of_soft(
    k: int, alpha: float, n: int = PIXELS, device: str = "cpu", *, bits: int | None = None
) -> tuple[Work, Work]:
    codes, pixels = colours(k), colours(n, seed=1).to(device)
    if bits is not None:
        # channels are often as far from a codeword then, and share its slope
        codes, pixels = (((1 << bits) - 1) * part for part in (codes, pixels))
        codes, pixels = (part.round() / ((1 << bits) - 1) for part in (codes, pixels))
    book, surrogate = Codebook(codes.numpy()), SoftAssignment(alpha)
    slope = torch.randn((n, 3), generator=torch.Generator().manual_seed(2)).to(device)
    codes = codes.to(device)

    def ours() -> object:
        x = pixels[:, :, None, None].clone().requires_grad_()
        return torch.autograd.grad(surrogate(x, book), x, slope[:, :, None, None])

    def peer() -> object:
        x = pixels.clone().requires_grad_()
        weights = torch.softmax(-alpha * torch.cdist(x, codes, p=torch.inf), dim=1)
        return torch.autograd.grad(weights @ codes, x, slope)

    return ours, peer


# given the device
CASES: dict[str, Callable[..., tuple[Work, Work]]] = {
    **{f"nearest of {k} colours": partial(of_nearest, k) for k in (2, 10, 50, 300, 2000)},
    "grey map, 2 codewords": of_grey,
    **{
        f"soft, {k} colours, alpha {a:g}": partial(of_soft, k, a)
        for k, a in ((10, 25.5), (50, 25.5), (300, 25.5), (300, 255))
    },
    "soft, 300 colours, alpha 25.5, all of 8 bits": partial(of_soft, 300, 25.5, bits=8),
}
PEERS = {
    "nearest": "`torch.cdist(p=inf).argmin`",
    "grey": "`torch.bucketize` and indexing",
    "soft": "autograd through `torch.cdist(p=inf)` and `softmax`",
}


def memory_of(which: str) -> float:
    """Return by how many MB the process grew through a gradient of the soft surrogate."""
    few, work = (of_soft(300, 25.5, n)[which == "peer"] for n in (64, PIXELS))
    few()
    before = peak_memory_mb()
    work()
    return peak_memory_mb() - before


def memory_apart(which: str) -> float:
    command = [sys.executable, "-m", "benchmarks.speed", "--memory", which]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def elsewhere(metric: str, pixels: int, *, on_grid: bool) -> int:
    """Return how many random colours go elsewhere than trying all 300 codewords says.

    On the grid they are 8-bit colours, and codewords even levels, so that many distances tie.
    """
    rng = np.random.default_rng(0)
    codes = rng.random((300, 3)).astype(np.float32)
    if on_grid:
        codes = (np.unique(2 * rng.integers(0, 128, (300, 3)), axis=0) / 255).astype(np.float32)
    book, found, part = Codebook(codes, metric=metric), 0, 1 << 15
    for start in range(0, pixels, part):
        shape = 3, min(part, pixels - start)
        drawn = rng.integers(0, 256, shape) if on_grid else 255 * rng.random(shape)
        channels = list(drawn.astype(np.float32))
        all_tried = nearest(channels, book.levels, metric, "lowest", np)
        found += int((book.search.find(channels, np) != all_tried).sum())
    return found


def until_done(work: Work, device: str) -> Work:
    """Return the work with a wait for what it left a GPU to do."""
    if device == "cpu":
        return work

    def whole() -> object:
        made = work()
        torch.cuda.synchronize()
        return made

    return whole


def rows(clock: Callable[[], float], patience: float, device: str) -> Iterator[list[str]]:
    for name, made in CASES.items():
        both = [until_done(work, device) for work in made(device=device)]
        *spent, runs = compared(*both, clock, patience)
        ours, peer = (1e9 * seconds / PIXELS for seconds in spent)
        row = [name, f"{ours:.3g}", f"{peer:.4g}", f"{peer / ours:.1f}", str(runs)]
        print(device, *row, sep=" | ", flush=True)
        yield row


def equalities(scale: float) -> Iterator[list[str]]:
    for metric in METRICS:
        sizes = int(1e7 * scale), int(1e6 * scale)
        found = [elsewhere(metric, n, on_grid=bool(i)) for i, n in enumerate(sizes)]
        print(metric, *found, flush=True)
        yield [metric, *(f"{bad} of {n:,}" for bad, n in zip(found, sizes, strict=True))]


def page(options: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of the page, and do what they report."""
    # not where memory is measured
    from benchmarks import counting, profiles
    from benchmarks.calls import call_rows

    begun = os.getloadavg()
    # first: a process begins with the peak of the one that starts it
    grown = {which: memory_apart(which) for which in ("ours", "peer")}
    here = Environment.here(threads=options.threads)
    yield from ("# Speed, measured", "")
    yield "Written by `make bench` (`benchmarks/speed.py`). Ours and peer in turn in one process:"
    yield f"65,536 random colours, float32, {options.threads} thread(s), {options.clock} time"
    yield "in nanoseconds a pixel, medians. The grid of codewords is made before, as in longer use."
    yield ""
    for device in ("cpu", *(["cuda"] if torch.cuda.is_available() else [])):
        timed = list(rows(CLOCKS[options.clock], options.seconds, device))
        where = "" if device == "cpu" else f"on {torch.cuda.get_device_name()}"
        yield from markdown((where, "#ours", "#peer", "#peer / ours", "#runs"), timed)
    yield from (f"- {name}: the peer is {peer}." for name, peer in PEERS.items())
    yield from ("", "Whole calls, wall seconds where not said otherwise, medians:", "")
    head = ("", "beside", "#ours", "#peer", "#ours / peer", "#runs")
    yield from markdown(head, call_rows(options.runs))
    yield "Of the time of an attack, spent in the step forward, which finds codewords, and"
    yield from ("backward, through the surrogate, by cProfile:", "")
    yield from markdown(profiles.HEADS, profiles.profile_rows())
    yield from ("Growth of the process through one gradient of the surrogate, 300 colours:", "")
    ratio = grown["peer"] / max(grown["ours"], 0.1)
    row = [f"{grown['ours']:.0f} MB", f"{grown['peer']:.0f} MB", f"{ratio:.0f}"]
    yield from markdown(("ours", "peer", "peer / ours"), [row])
    yield from ("Colours that go elsewhere than trying all 300 codewords says:", "")
    yield from markdown(("metric", "random", "8-bit, even codewords"), equalities(options.scale))
    yield from ("Pixels of a memory-mapped file counted, beside one pass of NumPy over it:", "")
    yield from markdown(counting.HEADS, [counting.row(options.pixels, runs=3, dask=True)])
    if GROWTH.is_file():
        yield from (f"![How costs grow, by benchmarks/growth.py]({GROWTH.name})", "")
    packages = here.packages
    yield f"{here.created[:10]}, commit {here.commit[:12]}, {platform.machine()}, {os.cpu_count()}"
    yield f"cores, load {begun[0]:.1f} at the start and {os.getloadavg()[0]:.1f} at the end; torch"
    units = torch.backends.cpu.get_cpu_capability()
    yield f"{packages['torch']} with {units}, NumPy {packages['numpy']},"
    yield f"numba {packages.get('numba', 'none')}."


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--threads", type=int, default=2)
    words.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: of all threads")
    words.add_argument("--scale", type=float, default=1.0, help="of the counts of equality")
    words.add_argument("--seconds", type=float, default=6.0, help="for one comparison")
    words.add_argument("--pixels", type=float, default=1e9, help="that are counted")
    words.add_argument("--runs", type=int, default=5, help="of each whole call")
    words.add_argument("--memory", choices=("ours", "peer"), help=argparse.SUPPRESS)
    words.add_argument("--out", type=Path, default=Path(__file__).parent / "RESULTS.md")
    options = words.parse_args()
    torch.set_num_threads(options.threads)
    if options.memory:
        print(memory_of(options.memory))
        return
    replace_file(options.out, ("\n".join(page(options)) + "\n").encode())


if __name__ == "__main__":
    main()
