"""Images that an attack on their codes breaks, before any search."""

from collections.abc import Sequence

from tqdm import tqdm

from art_disc.attacks.code_space import CodeSpaceAttack
from art_disc.certificates.problem import Finding, Problem
from art_disc.core.budget import Budget
from art_disc.core.errors import InputError
from art_disc.trials.trial import Trial, run_trial

# fewer than the attack has by itself: a search follows
_STARTS, _NEIGHBOURS = 2, 16
_BATCH = 128


def falsified(problem: Problem, images: Sequence[int], *, verbose: bool) -> dict[int, Finding]:
    """Return the findings of those of the images that `CodeSpaceAttack` breaks.

    Each holds a witness that has been checked as any other. Where the attack does not take the
    classifier, none is broken.
    """
    target, threat, chosen = problem.target, problem.threat, list(images)
    if not chosen:
        return {}
    eps = threat.eps * target.upper

    def make() -> CodeSpaceAttack:
        return CodeSpaceAttack(
            target.classifier,
            eps=eps,
            num_random_init=_STARTS,
            neighbours=_NEIGHBOURS,
            domain=threat.domain,
            verbose=False,
        )

    try:
        make()
    except InputError:
        return {}
    with tqdm(total=len(chosen), desc="images to attack", disable=not verbose) as bar:
        trial = Trial(
            make=make,
            source=target.classifier,
            x=problem.images[chosen],
            y=problem.labels[chosen],
            budget=Budget(eps, upper=target.upper),
            seeds=lambda start: start,
            batch_size=_BATCH,
            advance=bar.update,
        )
        found = run_trial(trial).images
    witnesses = {i: problem.witness_among(i, found[[row]]) for row, i in enumerate(chosen)}
    return {i: Finding("falsified", witness=w) for i, w in witnesses.items() if w is not None}
