"""What the study scripts share: where results go, and what names the machine."""

import argparse
import json
import os
import platform
import resource
import statistics
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

import art_disc as ad
from art_disc.core.files import replace_file
from art_disc.core.provenance import UNKNOWN, commit
from art_disc.core.records import Environment, Record
from art_disc.core.records.study import StudyRecord
from art_disc.networks import MadryMnistNet
from art_disc.report import Table
from art_disc.training import trained

RESULTS = Path(__file__).parent / "results"
MNIST_TRAINING = "natural, 6 epochs, Adam 1e-3 with a cosine to 0, batch 64, seed 0"


def parser(description: str) -> argparse.ArgumentParser:
    """Return a parser with the options that every study takes."""
    commit()  # noted now: the code may change while the study runs
    words = argparse.ArgumentParser(description=description)
    words.add_argument("--data-dir", help="folder of mnist.npz; else $ART_DISC_DATA")
    words.add_argument("--work", default="runs/studies", help="folder for unfinished pieces")
    words.add_argument("--threads", type=int, default=2)
    return words


def work_folder(options: argparse.Namespace, name: str) -> Path:
    """Return the folder of a study's unfinished pieces: those of this very code."""
    return Path(options.work) / name / commit()


def mnist_network(data: ad.Dataset) -> Any:
    """Return Madry's network, trained naturally once (see MNIST_TRAINING)."""
    network, _ = trained(MadryMnistNet, data, seed=0, epochs=6, batch_size=64)
    return network


def mnist_two_codes(options: argparse.Namespace) -> tuple[ad.Dataset, ad.DefendedClassifier]:
    """Set the threads; return MNIST and `mnist_network` behind the papers' two codewords."""
    torch.set_num_threads(options.threads)
    data = ad.load_dataset("mnist", data_dir=options.data_dir)
    codebook = ad.DensityCodebook(n_codes=2, radius=0.6).fit(data.x_train)
    defence = ad.PixelDiscretization(codebook, ad.SoftAssignment(10))
    return data, ad.build_classifier(mnist_network(data), data=data, defences=[defence])


class Clock:
    """What has been spent since it was made."""

    def __init__(self) -> None:
        self._start = time.perf_counter(), time.process_time()

    def facts(self) -> dict[str, float]:
        """Return wall and processor seconds so far, rounded."""
        now = time.perf_counter(), time.process_time()
        spent = (round(b - a, 2) for a, b in zip(self._start, now, strict=True))
        return dict(zip(("seconds", "cpu_seconds"), spent, strict=True))


def peak_memory_mb() -> float:
    """Return the most memory that the process has held; it only ever rises."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def machine() -> dict[str, Any]:
    """Return what a reader needs to judge times."""
    return {"processor": platform.machine(), "cores": os.cpu_count()}


def save(record: Record, name: str, folder: Path = RESULTS) -> None:
    """Write results/NAME.json, a line an entry."""
    text = json.dumps(record.to_dict(), allow_nan=False, indent=1) + "\n"
    print(replace_file(folder / f"{name}.json", text.encode()))


def write(name: str, results: dict[str, Any], threads: int, folder: Path = RESULTS) -> None:
    """Write what a study found, with environment and machine."""
    # tuples and keys that are numbers become what JSON makes of them
    plain = json.loads(json.dumps(results, allow_nan=False))
    save(StudyRecord(name, machine(), plain, Environment.here(threads=threads)), name, folder)


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table, and an empty one."""
    return [*Table.of("", "", heads, rows).markdown().splitlines(), ""]


def about(value: float) -> str:
    """Return a timing with the digits that another run would find again.

    >>> about(3258), about(12.9), about(1.0095), about(0.0312)
    ('3,000', '13', '1.0', '0.03')
    """
    if value >= 100:
        return f"{float(f'{value:.1g}'):,.0f}"
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}" if value >= 0.1 else f"{value:.1g}"


def timed_ratio(over: Sequence[float], under: Sequence[float]) -> str:
    """Return the ratio of two medians, with what single timings could have given."""
    middle = statistics.median(over) / statistics.median(under)
    low, high = min(over) / max(under), max(over) / min(under)
    return f"{about(middle)} times ({about(low)} to {about(high)} between single timings)"


def load(name: str) -> StudyRecord:
    """Read what a study found."""
    return StudyRecord.load(RESULTS / f"{name}.json")


def where(result: StudyRecord) -> str:
    """Return when, from what and on what a study was run, in words."""
    return f"{made_at(result)}, {made_on(result)}"


def made_at(result: StudyRecord) -> str:
    """Return the day and the commit of a study."""
    commit = result.environment.commit
    made = "not noted" if commit == UNKNOWN else commit[:12]
    return f"{result.environment.created[:10]}, commit {made}"


def made_on(result: StudyRecord) -> str:
    """Return the machine and the packages of a study."""
    packages = result.environment.packages
    return (
        f"{result.machine['cores']} CPU cores, torch {packages['torch']}, "
        f"ART {packages['adversarial-robustness-toolbox']}, NumPy {packages['numpy']}"
    )
