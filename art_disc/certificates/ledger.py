"""What a certificate has found so far, on the disk after each image, and taken up again."""

import base64
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import numpy as np

from art_disc.certificates.problem import UNSEARCHED, Finding
from art_disc.core.checks import Float32Array, Float64Array
from art_disc.core.errors import FileFormatError, InputError
from art_disc.core.journal import Journal, only_one
from art_disc.core.records.certificate import VERDICTS
from art_disc.core.records.checked import Checked, decode
from art_disc.core.records.fields import Count, Finite, NonNegative, Setting
from art_disc.core.records.rules import one_of

FILE = "findings.jsonl"
_CURE = "give another folder, or delete that file to start anew"


@dataclass(frozen=True, slots=True)
class Start(Checked):
    """What findings are of; with the first line of a file, and with each larger spend.

    Attributes:
        facts: What decides verdicts, by name: contents as fingerprints, settings, versions.
        spend: What may be spent on an image, by name; nothing decided depends on it.
        scores: Of the first images, each (classes,).
        noise: Measured float noise, in units of an image's largest score (at least 1).
        tolerance: By how much of that scores may differ and be of the same classifier.
    """

    facts: dict[str, Setting]
    spend: dict[str, NonNegative]
    scores: tuple[tuple[Finite, ...], ...]
    noise: NonNegative
    tolerance: NonNegative

    def check_same(self, now: "Start", path: Path) -> None:
        """Refuse to go on as something else, with less spend, or by scores that are less steady.

        Raises:
            InputError: The message names what differs.
        """
        names = [n for n in {**self.facts, **now.facts} if self.facts.get(n) != now.facts.get(n)]
        if names:
            msg = f"{path} holds findings of other {', '.join(names)}; {_CURE}"
            raise InputError(msg)
        if not self._scores_alike(now):
            msg = f"{path} holds findings of other scores; {_CURE}"
            raise InputError(msg)
        less = [name for name, value in self.spend.items() if now.spend[name] < value]
        if less:
            msg = f"{path} was made with a larger {', '.join(less)}; ask for as much, or {_CURE}"
            raise InputError(msg)
        if now.noise > self.noise:
            msg = (
                f"scores differ by up to {now.noise:.3g} between batches, by {self.noise:.3g} when "
                f"{path} was begun, so its verdicts may be less sure; {_CURE}"
            )
            raise InputError(msg)

    def _scores_alike(self, now: "Start") -> bool:
        mine, others = np.array(self.scores), np.array(now.scores)
        if mine.shape != others.shape:
            return False
        scale = np.maximum(1.0, np.abs(mine).max(axis=-1, keepdims=True))
        return bool((np.abs(mine - others) <= self.tolerance * scale).all())


def scores_told(scores: Float64Array) -> tuple[tuple[float, ...], ...]:
    """Return the scores of the first images as a `Start` has them; none that are not finite."""
    first = scores[:32]
    return tuple(tuple(row) for row in first[np.isfinite(first).all(axis=1)].tolist())


@dataclass(frozen=True, slots=True)
class _Row(Checked):
    """One image in the file; seconds are those that all sessions took until then."""

    image: Count
    verdict: Annotated[str, one_of(VERDICTS)]
    reason: str
    evaluated: Count
    witness: str
    seconds: NonNegative

    @classmethod
    def of(cls, image: int, found: Finding, seconds: float) -> "_Row":
        content = b"" if found.witness is None else found.witness.tobytes()
        words = base64.b64encode(content).decode("ascii")
        return cls(image, found.verdict, found.reason, found.evaluated, words, seconds)

    def finding(self, shape: tuple[int, ...]) -> Finding:
        witness: Float32Array | None = None
        if self.witness:
            content = base64.b64decode(self.witness, validate=True)
            witness = np.frombuffer(content, np.float32).reshape(shape).copy()
        return Finding(self.verdict, self.reason, witness, self.evaluated)


@dataclass(slots=True)
class Ledger:
    """Findings that are kept as they come; without a journal only for the call.

    Attributes:
        start: What they are of, with the noise that holds for all of them.
        journal: Where they are written.
        settled: What was known when it was opened, and needs no work.
        attacked: Images that an attack had left then, which are not settled.
        seconds: What sessions before this one took.
    """

    start: Start
    journal: Journal | None = None
    settled: dict[int, Finding] = field(default_factory=dict)
    attacked: frozenset[int] = frozenset()
    seconds: float = 0.0
    _begun: float = field(default_factory=time.perf_counter)
    _told: dict[int, tuple[str, str]] = field(default_factory=dict)

    def keep(self, findings: Mapping[int, Finding]) -> None:
        """Write down what is new of these."""
        if self.journal is None:
            return
        told = {i: (found.verdict, found.reason) for i, found in findings.items()}
        new = {i: words for i, words in told.items() if self._told.get(i) != words}
        self._told |= new
        if new:
            rows = (_Row.of(i, findings[i], self.elapsed) for i in new)
            self.journal.append(*(_line({"found": row}) for row in rows))

    @property
    def elapsed(self) -> float:
        """Seconds that all sessions took."""
        return self.seconds + time.perf_counter() - self._begun


@contextmanager
def ledger(folder: Path | None, start: Start, shape: tuple[int, ...]) -> Iterator[Ledger]:
    """Open what a folder holds of findings, images of a shape, or begin it; None: keep nothing.

    Raises:
        InputError: It holds findings of something else; see `Start.check_same`.
        FileFormatError: A line other than the last is damaged.
        FolderBusyError: Another process certifies in this folder.
    """
    if folder is None:
        yield Ledger(start)
        return
    with only_one(folder, "certificate"):
        journal = _FindingsJournal(folder / FILE)
        journal.mend()
        before, found = _read(journal, start, shape)
        with journal:
            if before is None or before.spend != start.spend:
                journal.append(_line({"start": found.start}))
            yield found


class _FindingsJournal(Journal):
    cure = "delete that line, its image is then decided again"


def _line(body: Mapping[str, Checked]) -> str:
    from msgspec import to_builtins

    return json.dumps(to_builtins(body), allow_nan=False) + "\n"


def _read(journal: Journal, start: Start, shape: tuple[int, ...]) -> tuple[Start | None, Ledger]:
    """Return the last start that a file holds, and what is known."""
    before: Start | None = None
    found: dict[int, tuple[Finding, Start]] = {}
    seconds = 0.0
    for part in _parts(journal, shape):
        if isinstance(part, Start):
            part.check_same(start, journal.path)
            before = part
        elif before is None:
            raise journal.damaged(1)
        else:
            row, finding = part
            found[row.image], seconds = (finding, before), row.seconds
    settled = {i: f for i, (f, of) in found.items() if _is_settled(f, of, start)}
    # verdicts have been asked for what was seen first
    now = start if before is None else replace(start, noise=before.noise)
    attacked = frozenset(found) - frozenset(settled)
    return before, Ledger(now, journal, settled, attacked, seconds)


def _parts(journal: Journal, shape: tuple[int, ...]) -> Iterator[Start | tuple[_Row, Finding]]:
    for number, body in journal.lines():
        try:
            if set(body) == {"start"}:
                yield decode(Start, body["start"], "start")
            else:
                row = decode(_Row, body["found"], "found")
                yield row, row.finding(shape)
        except (FileFormatError, KeyError, TypeError, ValueError) as error:
            raise journal.damaged(number) from error


def _is_settled(found: Finding, of: Start, start: Start) -> bool:
    """Whether more would not be found: only what is undecided depends on the spend."""
    if found.verdict != "undecided":
        return True
    return found.reason != UNSEARCHED and of.spend == start.spend
