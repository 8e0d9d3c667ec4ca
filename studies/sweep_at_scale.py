"""A sweep of a thousand short cells on a Dask cluster whose workers are killed, and its overhead.

Cells are attacks on scikit-learn's digits. The sweep runs in one process first. Then on a cluster
of four worker processes, of which one, drawn, is killed again and again until nearly all cells are
done: which cells are there at the end, and whether they count the same. Then longer cells on as
many workers as there are cores: the time of those workers that is no cell's, from the call of
`run_sweep` to its report, the training of the network aside.

    python -m studies.sweep_at_scale
"""

import contextlib
import os
import random
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from art_disc.core.records.sweep import SweepRecord
from art_disc.evaluation.sweep import Execution, SweepPlan, run_sweep
from studies import common

KILLED, SECONDS_BETWEEN = 4, (6.0, 12.0)
# no worker is killed once so few cells are left
_LEFT = 20
DIGITS: dict[str, Any] = {
    "datasets": ["digits"],
    "stratified": True,
    "trainings": ["natural:epochs=3"],
    "threads": 1,
}


def short(budgets: int) -> SweepPlan:
    """Return 24 cells a budget, of a fraction of a second each."""
    return SweepPlan.from_dict(
        {
            **DIGITS,
            "name": "short-cells",
            "n_ex": 10,
            "defences": ["none", "density:n_codes=2,radius=0.6", "density:n_codes=3,radius=0.3"],
            "eps": [round(0.3 * (i + 1) / budgets, 5) for i in range(budgets)],
            "attacks": ["fgsm", "pgd:max_iter=8", "sign_adam:max_iter=10", "square:max_iter=20"],
            "surrogates": ["base", "own", "identity"],
        }
    )


def long(seeds: int, steps: int) -> SweepPlan:
    """Return a cell a seed, budget and defence, each of a second and more."""
    return SweepPlan.from_dict(
        {
            **DIGITS,
            "name": "long-cells",
            "n_ex": 50,
            "defences": ["none", "density:n_codes=2,radius=0.6"],
            "eps": [0.1, 0.2],
            "attacks": [f"pgd:max_iter={steps},eps_step=0.01"],
            "surrogates": ["own"],
            "seeds": list(range(seeds)),
        }
    )


@contextlib.contextmanager
def cluster(workers: int) -> Iterator[Any]:
    from distributed import LocalCluster

    options = {"processes": True, "n_workers": workers, "threads_per_worker": 1}
    with LocalCluster(**options, dashboard_address=":0") as made:
        yield made


def on(made: Any, plan: SweepPlan, out: Path) -> SweepRecord:
    execution = Execution(backend="dask", scheduler=made.scheduler_address)
    return run_sweep(plan, out, execution=execution)


def counted(record: SweepRecord) -> dict[tuple[Any, ...], Any]:
    """Return for each cell what it found of every image."""
    return {
        (c.defence, c.eps, c.attack, c.surrogate, c.seed): (
            c.status,
            [list(outcome.correct) for outcome in c.record.outcomes] if c.record else None,
        )
        for c in record.cells
    }


class Killer(threading.Thread):
    """Kills drawn workers of a cluster at drawn times while `goes_on`, and keeps their `pids`."""

    def __init__(self, made: Any, goes_on: Callable[[], bool], seed: int) -> None:
        super().__init__(daemon=True)
        self.made, self.goes_on, self.draw = made, goes_on, random.Random(seed)  # noqa: S311
        self.pids: list[int] = []

    def run(self) -> None:
        seen: set[int] = set()
        while self.goes_on():
            time.sleep(self.draw.uniform(*SECONDS_BETWEEN))
            # Dask gives a worker up that dies while it starts
            nannies = list(self.made.workers.values())
            there = {pid for one in nannies if one.status.name == "running" and (pid := one.pid)}
            alive = sorted(there & seen)
            seen = there
            if alive and self.goes_on():
                pid = self.draw.choice(alive)
                # one that ends by itself meanwhile was not killed
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    self.pids.append(pid)


def killed(plan: SweepPlan, out: Path, seed: int) -> dict[str, Any]:
    """Return what is there after a sweep whose workers were killed, beside one in this process."""
    clock = time.perf_counter
    start = clock()
    alone = run_sweep(plan, out / "alone", execution=Execution(jobs=1))
    seconds, journal = clock() - start, out / "killed" / "cells.jsonl"

    def goes_on() -> bool:
        done = journal.read_bytes().count(b"\n") if journal.is_file() else 0
        return done < alone.planned - _LEFT

    with cluster(KILLED) as made:
        killer = Killer(made, goes_on, seed)
        start = clock()
        killer.start()
        record = on(made, plan, out / "killed")
        spent = clock() - start
        killer.join()
    return {
        "cells": alone.planned,
        "done": record.count("done"),
        "lost": alone.planned - len(record.cells),
        "counts_alike": counted(record) == counted(alone),
        "workers": KILLED,
        "workers_killed": len(killer.pids),
        "seconds": round(spent, 1),
        "seconds_in_one_process": round(seconds, 1),
        "median_cell_seconds": statistics.median(c.seconds for c in alone.cells),
    }


def overhead(plan: SweepPlan, out: Path, workers: int) -> dict[str, Any]:
    """Return which share of the workers' time was no cell's."""
    with cluster(workers) as made:
        # the network is in the cache then, and every worker has imported what it needs
        on(made, short(1), out / "first")
        start = time.perf_counter()
        record = on(made, plan, out / "long")
        wall = time.perf_counter() - start
    spent = [cell.seconds for cell in record.cells]
    return {
        "cells": len(spent),
        "done": record.count("done"),
        "workers": workers,
        "shortest_cell_seconds": min(spent),
        "median_cell_seconds": statistics.median(spent),
        "seconds": round(wall, 2),
        "share": 1 - sum(spent) / (workers * wall),
    }


def lines() -> str:
    """Return what was found, as a paragraph of a page."""
    result = common.load("sweep_at_scale")
    kills, costs = result["killed"], result["overhead"]
    same = "with the counts of" if kills["counts_alike"] else "with other counts than"
    return (
        f"A sweep of {kills['cells']:,} cells (median {kills['median_cell_seconds']:.2g} s) on a "
        f"Dask cluster of {kills['workers']} processes lost {kills['lost']} cells while "
        f"{kills['workers_killed']} times one of them was killed, and ended {same} a sweep in one "
        f"process. Of the time of {costs['workers']} workers {100 * costs['share']:.1f} % "
        f"was no cell's where {costs['cells']} cells took {costs['shortest_cell_seconds']:.2g} s "
        f"and more (`studies/sweep_at_scale.py`; {common.where(result)})."
    )


def main() -> None:
    words = common.parser(__doc__.splitlines()[0])
    words.add_argument("--budgets", type=int, default=42, help="of the short cells, 24 each")
    words.add_argument("--seeds", type=int, default=25, help="of the long cells, 4 each")
    words.add_argument("--steps", type=int, default=150, help="of PGD in a long cell")
    words.add_argument("--seed", type=int, default=0, help="of the kills")
    options = words.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        os.environ["ART_DISC_CACHE"] = str(out / "weights")
        body = {
            "killed": killed(short(options.budgets), out, options.seed),
            "overhead": overhead(long(options.seeds, options.steps), out, os.cpu_count() or 1),
        }
    print(body)
    common.write("sweep_at_scale", body, 1)


if __name__ == "__main__":
    main()
