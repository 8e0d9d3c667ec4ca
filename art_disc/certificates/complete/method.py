"""The certificate methods `bounds` and `complete`."""

from collections.abc import Sequence

from tqdm import tqdm

from art_disc.certificates.complete.branch import Search
from art_disc.certificates.complete.roots import by_crown_ibp, by_ibp, root_bounds
from art_disc.certificates.complete.scene import Scene
from art_disc.certificates.problem import Finding, Options, Problem


def by_bounds(problem: Problem, options: Options, /) -> dict[int, Finding]:  # noqa: ARG001
    """Certify what IBP or CROWN-IBP proves, and leave the rest undecided; a `Method`.

    Source: Gowal et al. 2018; Zhang et al. 2020.
    """
    scene = Scene(problem)
    left = _unproved(scene, problem.to_decide)
    return dict.fromkeys(problem.to_decide, Finding("certified")) | {
        index: Finding("undecided", f"margin at least {bound:.3g}") for index, bound in left.items()
    }


def complete(problem: Problem, options: Options, /) -> dict[int, Finding]:
    """Bound, then search the code boxes of what bounds leave; a `Method`.

    Each image is decided unless its budget (`options.spend`) is spent, or what remains is a tie or
    within the tolerance.

    Source: bounds as `by_bounds`; branch and bound on the input as Bunel et al. 2018, section 5.
    """
    scene = Scene(problem)
    left = _unproved(scene, problem.to_decide)
    findings = dict.fromkeys(problem.to_decide, Finding("certified"))
    bar = tqdm(left.items(), desc="images to search", disable=not options.verbose)
    for index, bound in bar:
        findings[index] = Search(scene, index, options.spend, bound).run()
    return findings


def _unproved(scene: Scene, images: Sequence[int]) -> dict[int, float]:
    """Return the images that neither IBP nor CROWN-IBP proves, with their better bound."""
    left: dict[int, float] = {}
    open_ = list(images)
    for margins in (by_ibp, by_crown_ibp):
        bounds = root_bounds(scene, open_, margins)
        left = {i: b for i, b in bounds.items() if not b > scene.tolerance}
        open_ = list(left)
    return left
