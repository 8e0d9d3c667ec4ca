"""The certificate methods `bounds` and `complete`."""

from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from art_disc.certificates.complete.attacked import falsified
from art_disc.certificates.complete.branch import Search, is_leaf
from art_disc.certificates.complete.roots import Margins, by_crown_ibp, by_ibp, root_bounds
from art_disc.certificates.complete.scene import Scene
from art_disc.certificates.problem import Finding, Options, Problem


def by_bounds(problem: Problem, options: Options, /) -> dict[int, Finding]:  # noqa: ARG001
    """Certify what IBP or CROWN-IBP proves, and leave the rest undecided; a `Method`.

    Source: Gowal et al. 2018; Zhang et al. 2020.
    """
    scene = Scene(problem)
    left = _unproved(scene, problem.to_decide, by_ibp)
    left = _unproved(scene, list(left), by_crown_ibp)
    return dict.fromkeys(problem.to_decide, Finding("certified")) | {
        index: Finding("undecided", scene.why(index, bound)) for index, bound in left.items()
    }


def complete(problem: Problem, options: Options, /) -> dict[int, Finding]:
    """Bound, attack, then search the code boxes of what is left; a `Method`.

    What IBP leaves and is too large to be enumerated at once is attacked by `CodeSpaceAttack`. Each
    image is decided unless its budget (`options.spend`) is spent, or what remains is a tie or
    within the tolerance.

    Source: bounds as `by_bounds`; branch and bound on the input as Bunel et al. 2018, section 5.
    """
    scene = Scene(problem)
    findings = dict.fromkeys(problem.to_decide, Finding("certified"))
    left = _unproved(scene, problem.to_decide, by_ibp)
    large = [index for index in left if not is_leaf(problem.log2[index])]
    broken = falsified(problem, large, verbose=options.verbose)
    left = _unproved(scene, [index for index in left if index not in broken], by_crown_ibp)
    bar = tqdm(left.items(), desc="images to search", disable=not options.verbose)
    for index, bound in bar:
        if scene.tolerances[index] == np.inf and not is_leaf(problem.log2[index]):
            # no bound can prove anything
            findings[index] = Finding("undecided", scene.why(index, bound))
        else:
            findings[index] = Search(scene, index, options.spend, bound).run()
    return findings | broken


def _unproved(scene: Scene, images: Sequence[int], margins: Margins) -> dict[int, float]:
    """Return the images that these bounds do not prove, with their bound."""
    bounds = root_bounds(scene, images, margins)
    return {index: bound for index, bound in bounds.items() if not bound > scene.tolerances[index]}
