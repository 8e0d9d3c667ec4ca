"""The certificate methods `bounds` and `complete`."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from art_disc.certificates.complete.attacked import broken
from art_disc.certificates.complete.branch import Search, is_leaf
from art_disc.certificates.complete.roots import Margins, by_crown_ibp, by_ibp, root_bounds
from art_disc.certificates.complete.scene import Scene
from art_disc.certificates.jobs import Job, check_sendable, in_batches, run_jobs
from art_disc.certificates.problem import Finding, Options, Problem
from art_disc.certificates.spend import Spend

# images that are searched by one process before it tells
_SEARCHED = 4


def by_bounds(problem: Problem, options: Options, /) -> dict[int, Finding]:
    """Certify what IBP or CROWN-IBP proves, and leave the rest undecided; a `Method`.

    Source: Gowal et al. 2018; Zhang et al. 2020.
    """
    scene = Scene(problem)
    left = _unproved(scene, problem.to_decide, by_ibp, options)
    left = _unproved(scene, list(left), by_crown_ibp, options)
    return dict.fromkeys(problem.to_decide, Finding("certified")) | {
        index: Finding("undecided", scene.why(index, bound)) for index, bound in left.items()
    }


def complete(problem: Problem, options: Options, /) -> dict[int, Finding]:
    """Bound, attack, then search the code boxes of what is left; a `Method`.

    What IBP leaves and is too large to be enumerated at once is attacked by `CodeSpaceAttack`. Each
    image is decided unless its budget (`options.spend`) is spent, or what remains is a tie or
    within the tolerance. Attack and search go over images in `options.n_jobs` processes, and what
    is found of an image does not depend on how many.

    Source: bounds as `by_bounds`; branch and bound on the input as Bunel et al. 2018, section 5.
    """
    check_sendable(problem.target.classifier, options.n_jobs)
    scene = Scene(problem)
    left = _unproved(scene, problem.to_decide, by_ibp, options)
    large = [index for index in left if not is_leaf(problem.log2[index])]
    lost = broken(problem, large, options)
    left = _unproved(scene, [index for index in left if index not in lost], by_crown_ibp, options)
    found = dict.fromkeys(problem.to_decide, Finding("certified")) | lost
    return found | _searched(scene, left, options)


def _unproved(
    scene: Scene, images: Sequence[int], margins: Margins, options: Options
) -> dict[int, float]:
    """Return the images that these bounds do not prove, with their bound."""
    bounds = root_bounds(scene, images, margins)
    left = {i: bound for i, bound in bounds.items() if not bound > scene.tolerances[i]}
    options.keep(dict.fromkeys((i for i in images if i not in left), Finding("certified")))
    return left


def _searched(scene: Scene, left: Mapping[int, float], options: Options) -> dict[int, Finding]:
    """Search images, with a bound of each."""
    jobs = (
        Job(
            batch,
            partial(_search, scene.part(batch), [left[index] for index in batch], options.spend),
            len(batch),
        )
        for batch in in_batches(list(left), _SEARCHED)
    )
    return run_jobs(jobs, options, desc="images to search", total=len(left))


def _search(scene: Scene, bounds: Sequence[float], spend: Spend) -> dict[int, Finding]:
    found = {}
    scene.problem.target.check_probe()
    for index, bound in enumerate(bounds):
        if scene.tolerances[index] == np.inf and not is_leaf(scene.problem.log2[index]):
            # no bound can prove anything
            found[index] = Finding("undecided", scene.why(index, bound))
        else:
            found[index] = Search(scene, index, spend, bound).run()
    return found
