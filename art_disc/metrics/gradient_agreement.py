"""Do two estimates of a random classifier's gradient agree, and from how many draws on?"""

import time
from collections.abc import Sequence
from typing import Any

from tqdm import tqdm

from art_disc.core.checks import check_choice, check_count
from art_disc.core.errors import InputError
from art_disc.core.records.randomness import LOSSES, AgreementRecord
from art_disc.core.seeds import derive_seed
from art_disc.estimators.contract import check_draws, images_and_labels
from art_disc.estimators.describe import defence_lines, environment_of
from art_disc.metrics.input_gradients import directions, input_gradients


def draw_counts(draws: Sequence[int]) -> tuple[int, ...]:
    """Return the numbers of draws to try, rising, each once.

    Raises:
        InputError: None, or one that is no whole number >= 1.
    """
    listed = tuple(sorted({check_count(number, "draws") for number in draws}))
    if not listed:
        msg = "draws must hold at least one number of draws, for example (1, 10, 100)"
        raise InputError(msg)
    return listed


def gradient_agreement(  # noqa: PLR0913 - each is a choice of its own
    classifier: Any,
    x: Any,
    y: Any,
    *,
    draws: Sequence[int] = (1, 2, 5, 10, 20, 50, 100),
    loss: str = "cross_entropy",
    batch_size: int = 100,
    seed: int = 0,
    verbose: bool = True,
) -> AgreementRecord:
    """Measure how far two independent EOT estimates of each image's gradient point the same way.

    A cosine near 1 says that M draws tell the direction of the gradient (of the classifier's own
    surrogate, which need not lead anywhere); one near 0 that an attack with M draws follows noise.
    It depends on the images as they are: take adversarial ones for the end of an attack.

    Args:
        classifier: From `build_classifier`, with a defence that draws.
        x: Images (n, ...) in the classifier's layout and input range, or uint8.
        y: Labels (n,), or one-hot rows.
        draws: Numbers M of draws; each estimate is the gradient of the loss of M draws together,
            as the classifier makes it, so a sum of 2 M draws an image for each M.
        loss: `cross_entropy` or `margin`.
        batch_size: Images at once; part of what makes a run repeatable.
        seed: Of the draws. The classifier's own streams stay where they are.
        verbose: Show a progress bar.

    Returns:
        Cosines of all images for each M, with their quartiles and the share of zero gradients.

    Raises:
        InputError: An argument does not fit, or the classifier draws nothing.
    """
    model = check_draws(classifier)
    images, labels, _ = images_and_labels(model, x, y)
    numbers = draw_counts(draws)
    check_count(batch_size, "batch_size")
    check_choice(loss, "loss", LOSSES)
    start = time.perf_counter()
    cosines, zeros = [], []
    for number in tqdm(numbers, unit="M", disable=not verbose):
        seeds = (derive_seed(seed, "gradient_agreement", number, side) for side in (0, 1))
        (a, no_a), (b, no_b) = (
            directions(input_gradients(twin, images, labels, loss, batch_size=batch_size))
            for twin in (model.with_samples(eot=number).with_seed(own) for own in seeds)
        )
        each = (a * b).sum(axis=1).clip(-1, 1)
        cosines.append(tuple(round(float(value), 9) for value in each))
        zeros.append(int(no_a.sum() + no_b.sum()))
    return AgreementRecord(
        loss=loss,
        draws=numbers,
        cosines=tuple(cosines),
        zeros=tuple(zeros),
        seed=seed,
        defences=defence_lines(model),
        seconds=round(time.perf_counter() - start, 3),
        environment=environment_of(model),
    )
