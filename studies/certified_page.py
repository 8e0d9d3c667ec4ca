"""What `studies.certified_training` found, beside what was published, as parts of a page."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from art_disc.core.records.study import StudyRecord
from studies.common import RESULTS, load, markdown, where

# folders of results: on test images, and on those that are held out
TESTED, TRIED = "certified_training", "certified_training_tries"
# the best published certified accuracies, of boxes around real pixels, in percent
PUBLISHED = {
    ("mnist", 0.1): "98.52 (TAPS, seven layers; Mao et al. 2025, read off a plot)",
    ("mnist", 0.2): "96.4 (ParamRamp; Lyu et al. 2021)",
    ("mnist", 0.3): "94.02 (ParamRamp with CROWN-IBP, 13 million weights; Lyu et al. 2021)",
    ("fashion_mnist", 0.1): "79.23 (l_inf-dist++; Zhang et al. 2022)",
}


@dataclass(frozen=True)
class Row:
    """Trainings that differ in their seed alone."""

    studies: tuple[StudyRecord, ...]

    def __getitem__(self, name: str) -> Any:
        return self.studies[0][name]

    def of(self, method: str, count: str) -> list[float]:
        """Return the percentages of the images with a verdict, a seed each."""
        return [100 * s["certificates"][method][count] / s["dataset"]["test"] for s in self.studies]

    @property
    def clean(self) -> list[float]:
        """Percent that are right when clean, a seed each."""
        return [100 - wrong for wrong in self.of("complete", "wrong_when_clean")]

    @property
    def exact(self) -> list[float]:
        """Percent certified in exact arithmetic, of each seed that was certified so."""
        done = Row(tuple(s for s in self.studies if "exact" in s["certificates"]))
        return done.of("exact", "certified")

    @property
    def minutes(self) -> float:
        """Processor minutes of a training; the longest."""
        return max(sum(e["cpu_seconds"] for e in s["epochs"]) / 60 for s in self.studies)

    @property
    def milliseconds(self) -> str:
        """Wall time of the complete method, an image; the slowest seed, with its processes."""
        spent = [
            (1000 * s["certificates"]["complete"]["seconds"] / s["dataset"]["test"], s["jobs"])
            for s in self.studies
        ]
        time, jobs = max(spent)
        return f"{time:.0f} ms ({jobs} process{'es' if jobs > 1 else ''})"


def rows(folder: str) -> list[Row]:
    """Return the trainings of a folder of results, by data set and budget."""
    kinds: dict[tuple, list[StudyRecord]] = {}
    for path in sorted((RESULTS / folder).glob("*.json")):
        found = load(f"{folder}/{path.stem}")
        if (found["dataset"]["certified"] == "test") != (folder == TESTED):
            msg = f"{path} tells of images that are not those of its folder"
            raise ValueError(msg)
        network = {k: v for k, v in found["network"].items() if k != "weights"}
        alike = (found["defence"], network, found["objective_facts"], found["settings"],
                 found["dataset"], found["spend"])  # fmt: skip
        kind = (found["dataset"]["name"], found["eps"], json.dumps(alike, sort_keys=True))
        same = kinds.setdefault(kind, [])
        if found["seed"] in {other["seed"] for other in same}:
            msg = f"{path} tells of a training that another file tells of too"
            raise ValueError(msg)
        same.append(found)
    order = sorted(kinds, key=lambda kind: (kind[0] != "mnist", *kind))
    return [Row(tuple(kinds[kind])) for kind in order]


def spread(values: Sequence[float]) -> str:
    """Return a percentage, of several seeds the mean and standard deviation.

    >>> spread([97.5]), spread([97.0, 98.0]), spread([])
    ('97.50 %', '97.50 % (± 0.71)', '')
    """
    told = f"{mean(values):.2f} %" if values else ""
    return told if len(values) < 2 else f"{told} (± {stdev(values):.2f})"


def _begin(row: Row) -> tuple[str, ...]:
    book = ", ".join("/".join(f"{c:g}" for c in level) for level in row["codewords_255"])
    varied = ", ".join(change.replace("=", " ") for change in row["varied"])
    return (
        row["dataset"]["name"], f"{row['eps']:.4g}", f"{row['dataset']['test']:,}",
        book if len(book) < 40 else "colours",
        varied or "nothing", f"{row['settings']['epochs']}", f"{len(row.studies)}",
        f"{row.minutes:.0f}", spread(row.clean), spread(row.of("bounds", "certified")),
        spread(row.of("complete", "certified")), f"{max(row.of('complete', 'undecided')):.2f} %",
    )  # fmt: skip


HEADS = (
    "data", "eps", "images", "codewords", "of the preset changed", "epochs", "seeds",
    "processor minutes", "clean", "by bounds", "certified", "undecided",
)  # fmt: skip


def table() -> list[str]:
    """Return what is certified of test images, beside the best published accuracies."""
    lines = [
        (
            *_begin(row),
            spread(row.exact),
            row.milliseconds,
            PUBLISHED.get((row["dataset"]["name"], row["eps"]), ""),
        )
        for row in rows(TESTED)
    ]
    if not lines:
        return ["No network was certified on test images yet.", ""]
    return markdown((*HEADS, "in exact arithmetic", "an image", "best published"), lines)


def tries() -> list[str]:
    """Return what is certified of the images that were held out: every try is a row."""
    return markdown(HEADS, [_begin(row) for row in rows(TRIED)])


def trainings() -> list[str]:
    """Return how each network was trained, its hash, and what attacks say of its certificates."""
    return list(_told())


def _told() -> Iterator[str]:
    for row in (*rows(TESTED), *rows(TRIED)):
        for found in row.studies:
            attacked = "; ".join(
                f"`{one['suite']}` on the first {one['images']:,}: {one['unbroken']:,} unbroken, "
                f"{one['certified_and_broken']} certified and broken"
                for one in found["attacks"]
            )
            yield (
                f"- {found['dataset']['name']}, {found['eps']:.4g}, seed {found['seed']}: "
                f"{found['objective']}; {found['settings']['epochs']} epochs, "
                f"weights `{found['network']['weights']}`. {found['dataset']['test']:,} images "
                f"({found['dataset']['certified']}). Attacks: {attacked or 'none'}. {where(found)}"
            )
