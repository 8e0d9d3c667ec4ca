"""What a run keeps on disk as it goes, and takes up again: record, pictures, adversarial sets."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from art_disc.core.checks import IntArray
from art_disc.core.errors import InputError
from art_disc.core.files import make_folder
from art_disc.core.records import AttackOutcome, CertificateRecord, EvaluationRecord
from art_disc.core.records.outcomes import CHECK_TIERS
from art_disc.evaluation.planned import PlannedTrial, identity_of

_FILES = ("record.json", "pictures.npz", "summary.json", "examples.csv", "report.html")
# where certificates keep what they find
CERTIFICATES = "certificates"
# facts that decide the numbers; where and when they were made does not
_DECIDE = (
    "dataset", "example_ids", "network", "defences", "codebook", "norm", "clip_values", "seed",
    "settings", "reference", "base_correct", "defended_correct", "reference_correct",
)  # fmt: skip

_TIERS = ("", *CHECK_TIERS)


def fresh_folder(out: str | Path) -> Path:
    """Return the folder without what an earlier run left: two runs must not look like one."""
    folder = Path(out)
    for name in _FILES:
        (folder / name).unlink(missing_ok=True)
    _empty(folder / CERTIFICATES)
    for old in (folder / "adversarial").glob("*.npz"):
        pictures = old.with_suffix("")
        for picture in pictures.glob("*.png"):
            picture.unlink()
        if pictures.is_dir():
            pictures.rmdir()
        old.unlink()
    return folder


def _empty(kept: Path) -> None:
    """Remove what certificates kept, METHOD/eps-EPS/FILE, and nothing else."""
    for old in kept.glob("*/eps-*/*"):
        old.unlink()
    for empty in (*kept.glob("*/eps-*"), *kept.glob("*"), kept):
        if empty.is_dir() and not any(empty.iterdir()):
            empty.rmdir()


class FinishedTrials:
    """Rows of an interrupted run that need not run again."""

    def __init__(
        self,
        outcomes: tuple[AttackOutcome, ...] = (),
        tier: str = "",
        certificates: tuple[CertificateRecord, ...] = (),
    ) -> None:
        self.tier, self.certificates = tier, certificates
        self._by_key: dict[object, list[AttackOutcome]] = {}
        for outcome in outcomes:
            key = identity_of(outcome), outcome.scored_on
            if outcome.status == "done":
                self._by_key.setdefault(key, []).append(outcome)

    @classmethod
    def of(cls, folder: Path, facts: EvaluationRecord) -> "FinishedTrials":
        """Read what a folder holds of a run with the same facts; another run is refused."""
        path = folder / "record.json"
        if not path.is_file():
            return cls()
        before = EvaluationRecord.load(path)
        for name in _DECIDE:
            if getattr(before, name) != getattr(facts, name):
                msg = (
                    f"{path} is a run with another {name}; go on with the same settings, or give "
                    "another folder, or resume=False to start anew"
                )
                raise InputError(msg)
        now = facts.environment.decisive
        for name, value in before.environment.decisive.items():
            if value != now[name]:
                what = "versions of the libraries" if name == "packages" else name
                msg = (
                    f"{path} was made with other {what}; give another folder, or resume=False to "
                    "start anew"
                )
                raise InputError(msg)
        return cls(before.outcomes, before.checks_tier, before.certificates)

    def check_nothing_lost(self, trials: Sequence[PlannedTrial], tier: str) -> None:
        """Refuse a call that would write a record without what an earlier one found.

        Finished attacks must be among `trials`, finished checks in the `tier` (empty for none).
        """
        if _TIERS.index(tier) < _TIERS.index(self.tier):
            msg = (
                f"the folder holds a run with checks={self.tier!r}, which ran attacks of their "
                "own; go on with as many checks, or give another folder, or resume=False"
            )
            raise InputError(msg)
        asked = {(identity_of(trial), model) for trial in trials for model in trial.models}
        # what an attack object of the user's own differentiates shows when it runs
        own = {_work(trial) for trial in trials if trial.own is not None}
        lost = [
            f"{o.attack} at eps {o.eps:.4g}"
            for key, outcomes in self._by_key.items()
            for o in outcomes
            if o.asked_by == "attacks" and key not in asked and _work(o) not in own
        ]
        if lost:
            msg = (
                f"the folder holds finished attacks that are not asked for with these settings: "
                f"{', '.join(dict.fromkeys(lost))}; ask for them too, give another folder, or "
                "resume=False to start anew"
            )
            raise InputError(msg)

    def left_over(self, outcomes: Sequence[AttackOutcome]) -> list[AttackOutcome]:
        """Return what was finished and is not among `outcomes`: to come, or of other checks."""
        there = {_row(o) for o in outcomes}
        return [o for known in self._by_key.values() for o in known if _row(o) not in there]

    def take(self, trial: PlannedTrial, positions: tuple[int, ...]) -> list[AttackOutcome]:
        """Return the outcomes of a trial on these examples, or nothing if it has to run."""
        # an attack object of the user's own may differ in what its parameters do not tell
        if trial.own is not None:
            return []
        found = [
            outcome
            for model in trial.models
            for outcome in self._by_key.get((identity_of(trial), model), [])
            if outcome.positions == positions
        ]
        if len(found) != len(trial.models):
            return []
        return [replace(outcome, asked_by=trial.asked_by) for outcome in found]


def _row(outcome: AttackOutcome) -> tuple[object, ...]:
    return _work(outcome), outcome.surrogate, outcome.scored_on, outcome.positions


def _work(work: PlannedTrial | AttackOutcome) -> tuple[object, ...]:
    """What tells two attacks apart before either has run."""
    settings = tuple(sorted(work.settings.items()))
    return work.attack, work.norm, work.eps, work.targeted, settings


def set_path(folder: Path, trial: PlannedTrial, seed: int) -> Path:
    """Return where a trial's images are written: no other trial or seed has it."""
    t = trial
    words = (t.attack, t.knowledge, t.surrogate, t.norm, f"{t.eps:.4g}")
    name = re.sub(r"[^A-Za-z0-9.=]+", "-", "-".join(str(w) for w in words if w)).strip("-")
    work = identity_of(trial), trial.first, seed, *((trial.again,) if trial.again else ())
    mark = hashlib.sha256(repr(work).encode()).hexdigest()[:8]
    return folder / "adversarial" / f"{name}-{mark}.npz"


def write_pictures(folder: Path, images: NDArray[np.uint8], ids: IntArray) -> None:
    """Write images (n, h, w, channels) as PNG, each named by its id."""
    from PIL import Image

    make_folder(folder)
    for image, i in zip(images, ids, strict=True):
        plain = image[..., 0] if image.shape[-1] == 1 else image
        Image.fromarray(plain).save(folder / f"{int(i)}.png")
