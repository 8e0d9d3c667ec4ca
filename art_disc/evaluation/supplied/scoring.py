"""Scoring adversarial images that somebody supplies, on several defences side by side."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from art_disc.core.budget import Budget, perturbation_norm
from art_disc.core.checks import (
    BoolArray,
    Float32Array,
    IntArray,
    check_count,
    check_eps,
    check_images,
)
from art_disc.core.errors import InputError
from art_disc.core.records.fields import Setting
from art_disc.core.records.supplied import SuppliedRecord, SuppliedSet
from art_disc.core.seeds import derive_seed
from art_disc.estimators import as_classifier
from art_disc.estimators.contract import WhiteBoxClassifier, images_and_labels, top_of
from art_disc.estimators.describe import defence_lines, environment_of
from art_disc.evaluation.supplied.files import Files, Place, Supplied, find_sets, read_set
from art_disc.trials import Scorer
from art_disc.trials.streams import callers_stream

# so many images that are out of budget are looked for among the other clean ones
_LOOKED_FOR = 200


class _Originals(NamedTuple):
    """Clean images, labels, and the index of each in the test split."""

    x: Float32Array
    y: IntArray
    ids: IntArray


@callers_stream
def score_images(  # noqa: PLR0913 - each is a choice of its own
    classifier: Any,
    images: Files,
    clean: Any,
    y: Any,
    *,
    eps: float,
    ids: Any = None,
    draws: int = 20,
    seed: int = 0,
    settings: Mapping[str, Setting] | None = None,
) -> SuppliedRecord:
    """Score supplied adversarial images on one defence or several, as in the paper's Table 2(b).

    The l_inf distance of every image to its clean one is measured; one that is out of budget is
    not adversarial: it is named in the record and counts as the clean image does.

    Args:
        classifier: From `build_classifier`, or a plain ART one; or several by name, for the same
            images.
        images: Adversarial images (n, ...), in the order of `clean`; an npz file with `x` and
            perhaps `indices`, a folder of pictures named by index, a folder of such sets, several
            of these, or sets by name; what an evaluation exports is read too.
        clean: The clean images (n, ...) in the classifiers' layout and input range, or uint8.
        y: Their labels (n,), or one-hot rows.
        eps: l_inf budget in the input range.
        ids: Index of each clean image in the test split (n,), as `Dataset.test_ids`; None: 0, 1,
            ... Supplied images of other indices are left out, and named.
        draws: Fresh draws that a classifier that draws is scored on; it votes over its own number
            of them.
        seed: Of the draws.
        settings: Facts to put into the record, such as the data set.

    Returns:
        Image by image and defence by defence what is right; accuracy, mean, and worst.

    Raises:
        InputError: An argument does not fit, no image has a clean one, or most images of a set
            lie within the budget of other clean images than their own.
        DataNotFoundError: No such file or folder.
        FileFormatError: A file that cannot be read.

    Source: Zhang, Liang 2019, section 6 (attacks of the NIPS 2017 competition).
    """
    models = _models(classifier)
    first = next(iter(models.values()))
    x, labels, upper = images_and_labels(first, clean, y)
    for model in models.values():
        images_and_labels(model, x[:1], labels[:1])
        if top_of(model) != upper:
            msg = f"all classifiers must have one input range, got [0, {upper:g}] and another"
            raise InputError(msg)
    budget, known = Budget(check_eps(eps, upper=upper), upper=upper), _ids(ids, len(x))
    check_count(draws, "draws")
    originals = _Originals(x, labels, known)
    sets = []
    for name, place in find_sets(images).items():
        given = _given(name, place, known, x.shape[1:], upper)
        kept, rows = _match(given, known, name)
        found = _measured(name, given, kept, originals, rows, budget)
        for label, model in models.items():
            # the same draws for the clean image, so that a difference is the image's
            fresh = derive_seed(seed, "score_images", label)
            scorer = Scorer(model, x[rows], labels[rows], draws=draws, seed=fresh)
            after = scorer.score(given.images[kept])
            found.clean_right[label] = tuple(scorer.clean.correct.tolist())
            found.right[label] = tuple(after.correct.tolist())
            if after.draws:
                found.draw_right[label] = after.draw_correct
        sets.append(found)
    return SuppliedRecord(
        eps=budget.eps,
        tolerance=budget.tolerance,
        defences={name: defence_lines(model) for name, model in models.items()},
        sets=tuple(sets),
        draws=draws,
        seed=seed,
        environment=environment_of(first),
        settings=dict(settings or {}),
    )


def _models(classifier: Any) -> dict[str, WhiteBoxClassifier]:
    if not isinstance(classifier, Mapping):
        return {"defended": as_classifier(classifier)}
    if not classifier:
        msg = "classifier must be a classifier, or at least one by name, got none"
        raise InputError(msg)
    return {str(name): as_classifier(model) for name, model in classifier.items()}


def _given(
    name: str, place: Place, known: IntArray, shape: tuple[int, ...], upper: float
) -> Supplied:
    """Return a set; image i of an array belongs to the i-th clean image."""
    if not isinstance(place, np.ndarray):
        return read_set(place, shape, upper)
    images = check_images(place, name=name, upper=upper, shape=shape)
    if len(images) != len(known):
        msg = (
            f"{name} must hold one image for each of the {len(known)} clean ones, got "
            f"{len(images)}; give the clean images that they were made of"
        )
        raise InputError(msg)
    order = np.argsort(known)
    return Supplied("array", images[order], known[order])


def _ids(ids: Any, n: int) -> IntArray:
    listed = np.arange(n) if ids is None else np.asarray(ids)
    whole = np.issubdtype(listed.dtype, np.integer)
    if listed.shape != (n,) or not whole or len(np.unique(listed)) != n:
        msg = f"ids must be {n} different whole numbers, one for each clean image"
        raise InputError(msg)
    return listed.astype(np.int64)


def _match(given: Supplied, known: IntArray, name: str) -> tuple[BoolArray, IntArray]:
    """Return which supplied images have a clean one, and where that is."""
    kept = np.isin(given.ids, known)
    if not kept.any():
        msg = (
            f"{name}: none of its {len(given.ids)} images, of test indices {given.ids[0]} to "
            f"{given.ids[-1]}, belongs to one of the {len(known)} clean images, "
            f"{known.min()} to {known.max()}; give the clean images of these indices"
        )
        raise InputError(msg)
    # both hold each index once, the given ones rising
    return kept, np.intersect1d(given.ids, known, return_indices=True)[2]


def _measured(
    name: str,
    given: Supplied,
    kept: BoolArray,
    originals: _Originals,
    rows: IntArray,
    budget: Budget,
) -> SuppliedSet:
    """Return a set with its distances, before it is scored, unless most of it is misplaced."""
    images, own = given.images[kept], given.ids[kept]
    distances = perturbation_norm(images, originals.x[rows], "inf")
    within = distances <= budget.limit
    out = int((~within).sum())
    misplaced = _misplaced(images[~within], own[~within], originals, budget.limit)
    looked = min(out, _LOOKED_FOR)
    if len(misplaced) > looked / 2 and out > len(images) / 2:
        near = ", ".join(f"{a} is near {b}" for a, b in misplaced[:3])
        msg = (
            f"{name}: {out} of {len(images)} images are farther than eps from their "
            f"clean ones, and {len(misplaced)} of {looked} looked at are within eps of another "
            f"({near}); the order is shifted: give the right indices (or file names)"
        )
        raise InputError(msg)
    return SuppliedSet(
        name=name,
        file=given.file,
        example_ids=tuple(own.tolist()),
        unmatched=tuple(given.ids[~kept].tolist()),
        distances=tuple(distances.tolist()),
        within=tuple(within.tolist()),
        misplaced=misplaced,
    )


def _misplaced(
    images: Float32Array, own: IntArray, originals: _Originals, limit: float
) -> tuple[tuple[int, int], ...]:
    """Return (id, id of the nearest clean image) where that is within the limit."""
    found = []
    for image, i in zip(images[:_LOOKED_FOR], own, strict=False):
        away = np.abs(originals.x - image).reshape(len(originals.x), -1).max(axis=1)
        nearest = int(away.argmin())
        if away[nearest] <= limit:
            found.append((int(i), int(originals.ids[nearest])))
    return tuple(found)
