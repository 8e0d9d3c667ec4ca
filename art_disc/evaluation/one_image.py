"""One image looked at: what a defence makes of it, what of it is free, what an attack changes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from art_disc.codebooks import Codebook
from art_disc.codebox import reachable_codes
from art_disc.core.checks import Float32Array
from art_disc.core.errors import InputError
from art_disc.core.inputs import Inputs
from art_disc.data.one_image import OneImage, alone
from art_disc.defences import MapPreprocessor, traits
from art_disc.estimators import as_classifier
from art_disc.estimators.contract import top_of
from art_disc.evaluation.gallery import discretised
from art_disc.evaluation.run import evaluate
from art_disc.report.panels import ImagePanels
from art_disc.report.reading import short_defence
from art_disc.trials.score import predict_labels


def image_panels(
    image: OneImage,
    subject: Any,
    *,
    eps: float,
    attack: str | None = None,
    seed: int = 0,
    verbose: bool = False,
) -> ImagePanels:
    """Look at an image behind a defence, and with a network also under an attack.

    Args:
        image: As `load_image` reads it.
        subject: The defences, fitted, in their order; or a classifier of images (n, c, h, w) in
            [0, 1], which is attacked too: by every run of the attack that `evaluate` plans, of
            which the best is shown.
        eps: l_inf budget in [0, 1].
        attack: Name of it; None: `code_space` where a codebook comes first, else `pgd`.
        seed: Of the attack's random draws.
        verbose: Show a progress bar.

    Returns:
        The panels, whose `save(path)` writes a PNG.

    Raises:
        InputError: An argument does not fit, or the attack made no image; the message says why.
    """
    if isinstance(subject, list | tuple):
        if attack is not None:
            msg = f"attack {attack!r} needs a classifier to attack, got defences alone"
            raise InputError(msg)
        eps = Inputs(1.0, image.pixels.shape[1:], 1).budget(eps, norm="inf")
        return ImagePanels(**_before(image, subject, eps))
    classifier = as_classifier(subject)
    if top_of(classifier) != 1 or not classifier.channels_first:
        msg = (
            "the classifier must take images (n, c, h, w) in [0, 1], got images of shape "
            f"{classifier.input_shape} and clip values {classifier.clip_values}; build it again so"
        )
        raise InputError(msg)
    return _under_attack(image, classifier, eps, attack, seed=seed, verbose=verbose)


def _before(image: OneImage, defences: Sequence[MapPreprocessor], eps: float) -> dict[str, Any]:
    """Return what is known without a network."""
    book = _first_codebook(defences)
    label = "" if image.label is None else f", label {image.label}"
    names = "; then ".join(short_defence(traits(one).describe()) for one in defences)
    return {
        "title": f"{image.name}{label}\n{names or 'no defence'}",
        "eps": eps,
        "image": image.pixels[0],
        "seen": discretised(defences, image.pixels)[0] if defences else None,
        "free": None if book is None else free_pixels(image.pixels, book, eps),
    }


def _first_codebook(defences: Sequence[Any]) -> Codebook | None:
    """Return the codebook whose codewords alone decide what is made of an image, if one does."""
    first = traits(defences[0]) if defences else None
    return None if first is None or first.is_random else first.codebook


def free_pixels(pixels: Float32Array, codebook: Codebook, eps: float) -> NDArray[np.bool_]:
    """Return which pixels of an image (1, c, h, w) can reach more than one codeword, (h, w)."""
    height, width = pixels.shape[2:]
    free = reachable_codes(pixels, codebook, eps=eps)[0].sum(axis=-1) > 1
    # of a codebook a channel there is a unit for each channel of a pixel
    return np.asarray(free.reshape(-1, height, width).any(axis=0))


def _under_attack(
    image: OneImage, classifier: Any, eps: float, attack: str | None, *, seed: int, verbose: bool
) -> ImagePanels:
    predicted = int(predict_labels(classifier, image.pixels)[0])
    label = predicted if image.label is None else image.label
    defences = tuple(classifier.defences)
    if attack is None:
        attack = "pgd" if _first_codebook(defences) is None else "code_space"
    result = evaluate(
        classifier,
        alone(image, classifier.nb_classes, label),
        eps=eps,
        attacks=[attack],
        checks=None,
        seed=seed,
        verbose=verbose,
    )
    shown = result.pictures
    if shown is None:
        told = (row.reason for row in result.record.outcomes)
        reasons = "; ".join(dict.fromkeys(filter(None, told)))
        msg = f"attack {attack} made nothing of {image.name}: {reasons}; name another one"
        raise InputError(msg)
    before = _before(image, defences, *result.record.eps)
    random = any(traits(defence).is_random for defence in defences)
    after = discretised(defences, shown.adversarial)[0] if defences else None
    return ImagePanels(
        **before,
        predicted=str(predicted),
        attack=attack,
        attacked=shown.adversarial[0],
        attacked_predicted=str(int(shown.adversarial_predictions[0])),
        attacked_seen=after,
        moved=None if after is None or random else (after != before["seen"]).any(axis=0),
    )
