"""Which GPU a worker process takes: one each, claimed by a lock that dies with the process."""

from pathlib import Path

from filelock import FileLock, Timeout

from art_disc.core.errors import InputError

# held until the process ends; a lock that is collected gives its GPU away
_HELD: dict[Path, tuple[int, FileLock]] = {}


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
        lock = FileLock(folder / f".gpu-{number}.lock", thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        _HELD[folder] = number, lock
        return number
    msg = f"all {count} GPUs are taken: one process each; give --jobs {count}"
    raise InputError(msg)
