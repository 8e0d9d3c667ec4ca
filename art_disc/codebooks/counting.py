"""Pixels of any number of files, counted in one pass with bounded memory."""

import os
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from art_disc.codebooks.counts import PixelCounts
from art_disc.core.errors import ArtDiscError, FileFormatError
from art_disc.core.processes import in_processes, job_count
from art_disc.core.streams import image_files, read_levels, size_of, survey, training_part

# files that a process counts before it hands the counts over: at most, and a part of all
_GROUP, _GROUPS_EACH = 512, 4
_NAMED = 5

# images or counts of them, what is wrong with files, and how many bytes were read
_Read = tuple[list[NDArray[np.uint8] | PixelCounts], list[str], float]


def count_files(
    path: str | os.PathLike[str], *, n_jobs: int = 1, verbose: bool = True
) -> PixelCounts:
    """Count the pixels of image files, however many, without holding them.

    Beside one picture (or some images of an array) there is the table of the counts, at most
    134 MB while they are filled and three times that in the end.

    Args:
        path: A picture, an npy or npz file (`art_disc.core.streams.read_levels`), or a folder of
            such, at any depth; labels play no part, nor do the sizes of images. Where test images
            are kept beside a `train/`, that alone is counted; of class folders all is, the fifth
            too that `load_dataset` would set apart.
        n_jobs: Processes that share the files, in joblib's meaning: -1 is one a core.
        verbose: Show a progress bar.

    Returns:
        Counts of one channel if every image is grey, else of three; a grey pixel among colours has
        three equal channels.

    Raises:
        DataNotFoundError: There is no such path.
        InputError: There are no images.
        FileFormatError: Files that cannot be read; the first of them are named.
        WorkerLostError: A process died.
    """
    count = job_count(n_jobs)
    root = training_part(path)
    files, size = survey(root)
    with (
        tqdm(total=size, unit="B", unit_scale=True, desc="pixels", disable=not verbose) as bar,
        closing(_results(root, files, min(count, files))) as results,
    ):
        # shares of a file may round to more than the whole
        found, faults, _ = _summed(results, lambda read: bar.update(min(read, size - bar.n)))
    if faults:
        more = "; ..." if len(faults) > _NAMED else ""
        named = "; ".join(faults[:_NAMED])
        msg = f"{len(faults)} of {files} files cannot be counted: {named}{more}; mend or move them"
        raise FileFormatError(msg)
    by_channels = {counts.n_channels: counts for counts in found}
    if 3 in by_channels and 1 in by_channels:
        return by_channels[3].update(by_channels[1].as_colours())
    return found[0]


def _results(root: Path, files: int, count: int) -> Generator[_Read]:
    paths = image_files(root)
    if count == 1:
        yield from _reads(paths)
        return
    size = max(1, min(_GROUP, files // (_GROUPS_EACH * count)))
    groups = iter(lambda: list(islice(paths, size)), [])
    for counts, faults, read in in_processes(
        _counted, groups, count, threads=1, cure="fewer n_jobs"
    ):
        yield list(counts), faults, read


def _reads(paths: Iterable[Path]) -> Generator[_Read]:
    for path in paths:
        size = size_of(path)
        try:
            for images, share in read_levels(path):
                yield [images], [], share * size
        except ArtDiscError as error:
            yield [], [str(error)], 0


def _counted(paths: list[Path]) -> tuple[list[PixelCounts], list[str], float]:
    return _summed(_reads(paths))


def _summed(
    reads: Iterable[_Read], told: Callable[[float], object] = lambda _: None
) -> tuple[list[PixelCounts], list[str], float]:
    """Add up what was read, each number of channels for itself; tell of each part of the bytes."""
    found: dict[int, PixelCounts] = {}
    faults: list[str] = []
    total = 0.0
    for parts, wrong, size in reads:
        for part in parts:
            channels = part.n_channels if isinstance(part, PixelCounts) else part.shape[1]
            found.setdefault(channels, PixelCounts(channels)).update(part)
        faults += wrong
        total += size
        told(size)
    return list(found.values()), faults, total
