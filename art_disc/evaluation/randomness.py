"""Attacking a classifier that draws with ever more draws, and scoring images draw by draw."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from tqdm import tqdm

from art_disc.attacks import ATTACKS
from art_disc.core.budget import Budget
from art_disc.core.checks import check_count, check_eps, number_of
from art_disc.core.errors import InputError
from art_disc.core.records.draws import DrawsRecord
from art_disc.core.records.randomness import ConvergencePoint, ConvergenceRecord
from art_disc.core.seeds import derive_seed
from art_disc.estimators import Voting
from art_disc.estimators.contract import check_draws, images_and_labels
from art_disc.estimators.describe import defence_lines, describe_voting, environment_of
from art_disc.metrics.gradient_agreement import draw_counts
from art_disc.trials import Scorer, Trial, run_trial
from art_disc.trials.score import right_draws
from art_disc.trials.streams import callers_stream

# the batches are ours, and ART must not cut them again
_ALL = 1 << 30


@callers_stream
def eot_convergence(  # noqa: PLR0913 - each is a choice of its own
    classifier: Any,
    x: Any,
    y: Any,
    *,
    eps: float,
    draws: Sequence[int] = (1, 5, 20, 50),
    gradients: int = 800,
    step_factor: float = 2.5,
    random_start: bool = True,
    fresh: int = 20,
    batch_size: int = 100,
    seed: int = 0,
    verbose: bool = True,
) -> ConvergenceRecord:
    """Attack by PGD with M draws a gradient and gradients // M steps, for each M.

    All attacks cost the same number of gradients of single draws, so the many coarse steps of
    EOT-1 stand beside the few exact ones of EOT-M. Every step is step_factor * eps / steps along
    the sign: paths are equally long too. An accuracy that still falls with M, or with the
    gradients, is one that more work would lower.

    Args:
        classifier: From `build_classifier`, with a defence that draws.
        x: Images (n, ...) in the classifier's layout and input range, or uint8.
        y: Labels (n,), or one-hot rows.
        eps: l_inf budget in the input range.
        draws: Numbers M of draws a gradient.
        gradients: Gradients of single draws an image; at least the largest M.
        step_factor: 2.5 as Madry et al. 2018; Zhang and Liang 2019 take 4 on MNIST.
        random_start: Start at a random point of the ball.
        fresh: Draws that no attack saw, on which each image is scored; the same for each M.
        batch_size: Images at once; part of what makes a run repeatable.
        seed: Of everything random. The classifier's own streams stay where they are.
        verbose: Show a progress bar.

    Returns:
        Robust accuracy for each M, image by image, with Clopper-Pearson intervals.

    Raises:
        InputError: An argument does not fit, or the classifier draws nothing.
    """
    model, numbers = check_draws(classifier), draw_counts(draws)
    images, labels, upper = images_and_labels(model, x, y)
    budget = Budget(check_eps(eps, upper=upper), upper=upper)
    check_count(batch_size, "batch_size")
    check_count(fresh, "fresh")
    _check_steps(budget.eps, step_factor, gradients, numbers[-1])
    seeds = partial(derive_seed, seed, "eot_convergence")
    task = partial(Trial, x=images, y=labels, budget=budget, batch_size=batch_size)
    scorer = Scorer(model, images, labels, draws=fresh, seed=seeds("fresh"))
    points = []
    with tqdm(total=len(numbers) * len(images), unit="image", disable=not verbose) as bar:
        for m in numbers:
            bar.set_description(f"EOT-{m}")
            steps = gradients // m
            size = step_factor * budget.eps / steps
            settings = {"max_iter": steps, "eps_step": size, "num_random_init": int(random_start)}
            # the votes that PGD asks for are for its log alone
            source = model.with_samples(eot=m, vote=1)
            make = ATTACKS["pgd"].on(source, budget, settings, batch_size=_ALL)
            trial = task(make, source, seeds=partial(derive_seed, seeds(m)), advance=bar.update)
            points.append(_point(trial, scorer, draws=m, steps=steps, eps_step=size))
    return ConvergenceRecord(
        eps=budget.eps,
        gradients=gradients,
        step_factor=float(step_factor),
        random_start=bool(random_start),
        fresh=scorer.clean.draws,
        clean_correct=tuple(scorer.clean.correct.tolist()),
        points=tuple(points),
        seed=seed,
        settings={k: v for k, v in describe_voting(model).items() if k != "eot_samples"},
        defences=defence_lines(model),
        environment=environment_of(model),
    )


def _point(trial: Trial, scorer: Scorer, **setting: Any) -> ConvergencePoint:
    """Return what so many steps with so many draws each leave of images right without them."""
    made = run_trial(trial)
    found = scorer.score(made.images)
    return ConvergencePoint(
        **setting,
        gradients=round(made.gradients / len(made.images)),
        correct=tuple((scorer.clean.correct & found.correct).tolist()),
        draw_correct=found.draw_correct,
        seconds=made.seconds,
    )


def _check_steps(eps: float, step_factor: float, gradients: int, most: int) -> None:
    if check_count(gradients, "gradients") < most or not (eps > 0 < number_of(step_factor)):
        msg = (
            f"expected eps > 0, step_factor > 0 and gradients >= {most}, the most draws of one "
            f"step, got {eps:g}, {step_factor!r} and {gradients}"
        )
        raise InputError(msg)


def score_draws(
    classifier: Any,
    x: Any,
    y: Any,
    *,
    n: int = 20,
    seed: int = 0,
    batch_size: int = 256,
) -> DrawsRecord:
    """Count for each image how many of n fresh draws are right.

    Args:
        classifier: From `build_classifier`, with a defence that draws.
        x: Images (m, ...), clean or adversarial, in the classifier's layout and input range, or
            uint8.
        y: Labels (m,), or one-hot rows.
        n: Draws of each image; at least 20 for what is reported.
        seed: Of the draws. The classifier's own streams stay where they are, so no attack has seen
            these draws.
        batch_size: Images at once; part of what makes a run repeatable.

    Returns:
        Counts, and accuracy by mean, vote, any and all; `persistent_curve` takes it.

    Raises:
        InputError: An argument does not fit, or the classifier draws nothing.
    """
    model = check_draws(classifier)
    images, labels, _ = images_and_labels(model, x, y)
    check_count(n, "n")
    check_count(batch_size, "batch_size")
    right: list[int] = []
    correct: dict[str, list[bool]] = {"mean": [], "hard": []}
    for first in range(0, len(images), batch_size):
        some, wanted = images[first : first + batch_size], labels[first : first + batch_size]
        each = model.predict_draws(some, n, seed=derive_seed(seed, "score_draws", first))
        right += right_draws(each, wanted)
        for vote, known in correct.items():
            # the class that the draws decide on together
            rows = Voting(vote=vote).count(torch.from_numpy(each))
            known.extend((rows.argmax(dim=1).numpy() == wanted).tolist())
    return DrawsRecord(
        draws=n,
        right=tuple(right),
        mean_correct=tuple(correct["mean"]),
        vote_correct=tuple(correct["hard"]),
        seed=seed,
        defences=defence_lines(model),
        environment=environment_of(model),
    )
