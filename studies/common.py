"""What the study scripts share: where results go, and what names the machine."""

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any

import art_disc as ad
from art_disc.core.files import replace_file
from art_disc.core.records import Environment, Record
from art_disc.core.records.study import StudyRecord
from art_disc.networks import MadryMnistNet
from art_disc.training import trained

RESULTS = Path(__file__).parent / "results"
MNIST_TRAINING = "natural, 6 epochs, Adam 1e-3 with a cosine to 0, batch 64, seed 0"


def parser(description: str) -> argparse.ArgumentParser:
    """Return a parser with the options that every study takes."""
    words = argparse.ArgumentParser(description=description)
    words.add_argument("--data-dir", help="folder of mnist.npz; else $ART_DISC_DATA")
    words.add_argument("--work", default="runs/studies", help="folder for unfinished pieces")
    words.add_argument("--threads", type=int, default=2)
    return words


def mnist_network(data: ad.Dataset) -> Any:
    """Return Madry's network, trained naturally once (see MNIST_TRAINING)."""
    network, _ = trained(MadryMnistNet, data, seed=0, epochs=6, batch_size=64)
    return network


def machine() -> dict[str, Any]:
    """Return what a reader needs to judge times."""
    return {"processor": platform.machine(), "cores": os.cpu_count()}


def save(record: Record, name: str) -> None:
    """Write results/NAME.json, a line an entry."""
    text = json.dumps(record.to_dict(), allow_nan=False, indent=1) + "\n"
    print(replace_file(RESULTS / f"{name}.json", text.encode()))


def write(name: str, results: dict[str, Any], threads: int) -> None:
    """Write what a study found, with environment and machine."""
    # tuples and keys that are numbers become what JSON makes of them
    plain = json.loads(json.dumps(results, allow_nan=False))
    save(StudyRecord(name, machine(), plain, Environment.here(threads=threads)), name)


def load(name: str) -> StudyRecord:
    """Read what a study found."""
    return StudyRecord.load(RESULTS / f"{name}.json")
