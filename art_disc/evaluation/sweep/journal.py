"""The sweep's journal, one line a finished cell, and the lock that keeps a second process out."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from art_disc.core.errors import ArtDiscError, FileFormatError
from art_disc.core.records.checked import decode
from art_disc.core.records.sweep import SweepCell


class SweepBusyError(ArtDiscError, RuntimeError):
    """Another process works in the same folder."""


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the folder's lock inside the block, or raise SweepBusyError.

    The system lets go of the lock when the process ends in whatever way, so nothing is to be
    cleaned up after a kill. Who holds it stands in a file beside it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    holder = folder / "sweep.pid"
    try:
        lock = FileLock(folder / "sweep.lock").acquire(timeout=0)
    except Timeout:
        who = holder.read_text(encoding="utf-8").strip() if holder.is_file() else "?"
        msg = (
            f"process {who} is already running a sweep in {folder}; wait for it, or give another "
            "--out"
        )
        raise SweepBusyError(msg) from None
    with lock:
        holder.write_text(f"{os.getpid()}\n", encoding="utf-8")
        yield


def encode(content: str, key: str, cell: SweepCell) -> str:
    """Return the journal's line of a cell: strict JSON of its content hash, name and findings."""
    body = {"hash": content, "key": key, "cell": asdict(cell)}
    return json.dumps(body, allow_nan=False) + "\n"


class Journal:
    """Finished cells, appended line by line; a line is on the disk before the next cell counts.

    A line in the middle that is damaged raises FileFormatError, which names it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1

    def __enter__(self) -> Self:
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def append(self, line: str) -> None:
        """Write one line and wait until it is on the disk."""
        rest = line.encode()
        while rest:
            rest = rest[os.write(self._file, rest) :]
        os.fsync(self._file)

    def mend(self) -> str:
        """Cut off a last line that a kill left unfinished; return one line on it, or nothing."""
        if not self.path.is_file():
            return ""
        content = self.path.read_bytes()
        end = content.rfind(b"\n") + 1
        last = content[:end].rstrip(b"\n").rfind(b"\n") + 1
        if end and not _is_json(content[last:end]):
            end = last
        if end == len(content):
            return ""
        with self.path.open("r+b") as file:
            file.truncate(end)
            os.fsync(file.fileno())
        return f"{self.path.name}: cut off an unfinished last line ({len(content) - end} bytes)"

    def statuses(self) -> dict[str, str]:
        """Return the status of each cell in the journal by its hash; its last line counts."""
        return {body["hash"]: body["cell"]["status"] for body in self._lines()}

    def cells(self, wanted: dict[str, int]) -> tuple[SweepCell, ...]:
        """Return the cells with these hashes, ordered by the number that belongs to each."""
        found = {}
        for number, body in enumerate(self._lines(), start=1):
            if body["hash"] in wanted:
                try:
                    found[wanted[body["hash"]]] = decode(SweepCell, body["cell"], "cell")
                except FileFormatError as error:
                    raise self._damaged(number) from error
        return tuple(found[order] for order in sorted(found))

    def _lines(self) -> Iterator[dict[str, Any]]:
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    body = json.loads(line)
                    _ = body["hash"], body["cell"]["status"]
                except (ValueError, KeyError, TypeError) as error:
                    raise self._damaged(number) from error
                yield body

    def _damaged(self, number: int) -> FileFormatError:
        msg = f"{self.path}, line {number} is damaged; delete that line, its cell is then run again"
        return FileFormatError(msg)


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
