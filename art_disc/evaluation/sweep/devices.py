"""Which GPU a worker process takes: one each, claimed by a lock that dies with the process."""

import fcntl
import os
from pathlib import Path

from art_disc.core.errors import InputError

# held until the process ends; closing a descriptor would give the GPU away
_HELD: dict[Path, tuple[int, int]] = {}


def claim(folder: Path, count: int) -> int:
    """Return the number of a GPU that no other process of this sweep uses, 0..count-1.

    A second call in the same process returns the same one; the GPU of a process that died is free.

    Args:
        folder: Where the locks are, the same for all workers of the machine.
        count: GPUs of the machine.

    Raises:
        InputError: More processes than GPUs.
    """
    if folder in _HELD:
        return _HELD[folder][0]
    for number in range(count):
        file = os.open(folder / f".gpu-{number}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            continue
        _HELD[folder] = number, file
        return number
    msg = f"all {count} GPUs are taken: one process each; give --jobs {count}"
    raise InputError(msg)
