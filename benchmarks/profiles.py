"""Where the time of an attack through codewords goes: what of it is this package's own.

`benchmarks.speed` writes it beside its other tables.
"""

import cProfile
import pstats
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import art_disc
from benchmarks.calls import NETWORKS, of_pgd

OURS = str(Path(art_disc.__file__).parent)
HEADS = ("PGD-20", "#codewords", "#surrogate", "largest function of ours", "#by itself")


def profiled(work: Callable[[], object]) -> tuple[float, dict[Any, Any]]:
    """Return the seconds of a call, and what cProfile says of each function."""
    profile = cProfile.Profile()
    profile.runcall(work)
    # what other threads do is in the time that this one waits for them
    found: Any = pstats.Stats(profile)
    return found.total_tt, found.stats


def row(name: str, work: Callable[[], object]) -> list[str]:
    """Return shares of an attack's time: the step's two passes, and our function that has most."""
    total, stats = profiled(work)
    own = {place: spent for place, spent in stats.items() if place[0].startswith(OURS)}
    # calls, primitive calls, seconds without and with what was called, callers
    passes = {
        place[2]: spent[3] / total for place, spent in own.items() if place[0].endswith("step.py")
    }
    most = max(own, key=lambda place: own[place][2])
    where = f"`{Path(most[0]).relative_to(OURS)}`, `{most[2]}`"
    shares = passes["straight_through"], passes["backward"], own[most][2] / total
    codewords, surrogate, largest = (f"{100 * share:.1f}%" for share in shares)
    return [name, codewords, surrogate, where, largest]


def profile_rows() -> Iterator[list[str]]:
    """Yield a row for each network of `calls.of_pgd`."""
    for name, depth in NETWORKS.items():
        attack = of_pgd(depth)[0]
        # grids and compiled loops are made in the first
        attack()
        made = row(name, attack)
        print(*made, sep=" | ", flush=True)
        yield made
