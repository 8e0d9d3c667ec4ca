"""Images that an attack on their codes breaks, before any search."""

from collections.abc import Sequence
from functools import partial

from art_disc.attacks.code_space import CodeSpaceAttack
from art_disc.certificates.jobs import Job, in_batches, run_jobs
from art_disc.certificates.problem import UNSEARCHED, Finding, Options, Problem
from art_disc.core.budget import Budget
from art_disc.core.errors import InputError
from art_disc.trials.trial import Trial, run_trial

# fewer than the attack has by itself: a search follows
_STARTS, _NEIGHBOURS = 2, 16
# images that are attacked together
_ATTACKED = 128


def broken(problem: Problem, images: Sequence[int], options: Options) -> dict[int, Finding]:
    """Attack images that have not been attacked yet, and return the findings of the broken ones."""
    left = [i for i in images if i not in options.attacked]
    # whole batches are kept, so that those that are left after a stop are the same
    jobs = (
        Job(batch, partial(falsified, problem.part(batch), batch[0]), len(batch))
        for batch in in_batches(left, _ATTACKED)
    )
    found = run_jobs(jobs, options, desc="images to attack", total=len(left))
    return {i: finding for i, finding in found.items() if finding.verdict == "falsified"}


def falsified(problem: Problem, seed: int) -> dict[int, Finding]:
    """Attack all images of a problem together by `CodeSpaceAttack`.

    Those that it breaks are falsified, each with a witness that has been checked as any other; the
    rest is `UNSEARCHED`. Where the attack does not take the classifier, none is broken.
    """
    target, threat = problem.target, problem.threat
    eps = threat.eps * target.upper
    found = {index: Finding("undecided", UNSEARCHED) for index in problem.to_decide}

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
        return found
    trial = Trial(
        make=make,
        source=target.classifier,
        x=problem.images,
        y=problem.labels,
        budget=Budget(eps, upper=target.upper),
        seeds=lambda start: seed + start,
    )
    for index, image in enumerate(run_trial(trial).images):
        witness = problem.witness_among(index, image[None])
        if witness is not None:
            found[index] = Finding("falsified", witness=witness)
    return found
