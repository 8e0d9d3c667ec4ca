"""Parts of a problem that are decided one after the other, or in several processes."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from joblib.externals.loky.backend.reduction import dumps
from tqdm import tqdm

from art_disc.certificates.problem import Finding, Options
from art_disc.core.errors import InputError
from art_disc.core.processes import in_processes, job_count

# images, the job's size, and findings by their places among the images
_Result = tuple[tuple[int, ...], int, Mapping[int, Finding]]


@dataclass(frozen=True, slots=True)
class Job:
    """Images that are decided together, whatever else is.

    Attributes:
        images: Which ones.
        decide: Returns findings by their places in `images`; it can be sent to another process.
        size: How much work it is, in the progress bar's unit.
    """

    images: tuple[int, ...]
    decide: Callable[[], Mapping[int, Finding]]
    size: int


def in_batches(images: Sequence[int], size: int) -> Iterator[tuple[int, ...]]:
    """Yield images in batches of a size, in their order."""
    for start in range(0, len(images), size):
        yield tuple(images[start : start + size])


def run_jobs(jobs: Iterable[Job], options: Options, *, desc: str, total: int) -> dict[int, Finding]:
    """Return the findings of all jobs by image; each job's are kept as soon as it is done.

    Args:
        jobs: Made when they are about to run.
        options: In how many processes, whether there is a bar, and what keeps the findings.
        desc: The bar's words.
        total: Sum of the jobs' sizes.

    Raises:
        WorkerLostError: A process died; what was kept is.
    """
    count = job_count(options.n_jobs)
    found: dict[int, Finding] = {}
    with (
        tqdm(total=total, desc=desc, disable=not options.verbose) as bar,
        closing(_results(jobs, count)) as results,
    ):
        for images, size, findings in results:
            named = {images[place]: finding for place, finding in findings.items()}
            options.keep(named)
            found |= named
            bar.update(size)
    return found


def _results(jobs: Iterable[Job], count: int) -> Generator[_Result]:
    if count == 1:
        yield from map(_decided, jobs)
    else:
        yield from in_processes(_decided, jobs, count, threads=1, cure="fewer n_jobs")


def _decided(job: Job) -> _Result:
    return job.images, job.size, job.decide()


def check_sendable(classifier: Any, n_jobs: int) -> None:
    """Refuse a classifier that cannot be sent to other processes, where it is to be.

    Raises:
        InputError: It cannot be pickled.
    """
    if job_count(n_jobs) == 1:
        return
    try:
        dumps(classifier)
    except Exception as error:  # what objects raise here is up to them
        msg = (
            f"n_jobs={n_jobs} sends the classifier to other processes, and it cannot be pickled "
            f"({type(error).__name__}: {error}); take what it names out of the network or the "
            "defence, or use n_jobs=1"
        )
        raise InputError(msg) from error
