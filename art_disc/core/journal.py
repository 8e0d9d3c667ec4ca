"""Files that results are appended to as they come, and the lock that keeps others out."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from art_disc.core.errors import FileFormatError, FolderBusyError
from art_disc.core.files import make_folder


@contextmanager
def only_one(folder: Path, what: str) -> Iterator[None]:
    """Hold the lock `WHAT.lock` of a folder inside the block, or raise FolderBusyError.

    The system lets go of the lock when the process ends in whatever way, so nothing is to be
    cleaned up after a kill. Who holds it stands in `WHAT.pid`.

    Raises:
        InputError: The folder is a file.
    """
    make_folder(folder)
    holder = folder / f"{what}.pid"
    try:
        lock = FileLock(folder / f"{what}.lock").acquire(timeout=0)
    except Timeout:
        who = holder.read_text(encoding="utf-8").strip() if holder.is_file() else "?"
        msg = (
            f"process {who} is already running a {what} in {folder}; wait for it, or give another "
            "folder"
        )
        raise FolderBusyError(msg) from None
    with lock:
        holder.write_text(f"{os.getpid()}\n", encoding="utf-8")
        yield


class Journal:
    """Lines of JSON, appended; what was appended is on the disk before `append` returns.

    Attributes:
        path: The file.
        cure: What is to be done about a damaged line, for the message of its error.
    """

    cure = "delete that line"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1

    def __enter__(self) -> Self:
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def append(self, *lines: str) -> None:
        """Write lines, each with its end, and wait until they are on the disk."""
        rest = "".join(lines).encode()
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

    def lines(self) -> Iterator[tuple[int, Any]]:
        """Yield the number, from 1, and the content of each line; none where there is no file.

        Raises:
            FileFormatError: A line is not JSON; the message names it.
        """
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield number, json.loads(line)
                except ValueError as error:
                    raise self.damaged(number) from error

    def damaged(self, number: int) -> FileFormatError:
        """Return the error of a line that is not what it should be."""
        msg = f"{self.path}, line {number} is damaged; {self.cure}"
        return FileFormatError(msg)


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
