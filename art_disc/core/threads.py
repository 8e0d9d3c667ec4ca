"""Pieces of work shared among threads of this process."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def in_threads(work: Callable[[T], None], pieces: Sequence[T], count: int) -> None:
    """Call `work` with every piece, in `count` threads at most; the caller's is one of them.

    Each takes the next piece when it is free, so a thread that other work holds up takes few. What
    a piece raises is raised here.
    """
    # one iterator: a step of it is one of Python's own
    left = iter(pieces)
    helpers = min(count, len(pieces)) - 1
    if helpers < 1:
        _do(work, left)
        return
    with ThreadPoolExecutor(helpers) as pool:
        others = [pool.submit(_do, work, left) for _ in range(helpers)]
        _do(work, left)
    for other in others:
        other.result()


def _do(work: Callable[[T], None], pieces: Iterable[T]) -> None:
    for piece in pieces:
        work(piece)
