"""From a torch network, or an ART classifier, to a checked classifier with defences inside."""

from contextlib import nullcontext
from typing import Any, cast

import numpy as np
import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_disc.core.errors import InputError
from art_disc.data import Dataset, as_dataset
from art_disc.defences.given import as_defences
from art_disc.defences.preprocessor import ClipValues, check_clip_values, learn_from
from art_disc.estimators.classifier import DefendedClassifier
from art_disc.estimators.contract import WhiteBoxClassifier, check_classifier, lacking
from art_disc.estimators.fitting_loss import check_loss
from art_disc.estimators.module import DefendedModule
from art_disc.estimators.plain import check_order, check_plain, standardisation_of
from art_disc.estimators.randomized import RandomizedClassifier
from art_disc.estimators.shapes import Shape, check_units
from art_disc.estimators.voting import Voting


# ART's predict draws from torch's global stream (through its DataLoader), which is the caller's
@torch.random.fork_rng(devices=[])
def build_classifier(  # noqa: PLR0913 - each is a keyword of ART's own constructor
    model: nn.Module,
    *,
    data: Any = None,
    input_shape: tuple[int, int, int] | None = None,
    nb_classes: int | None = None,
    defences: Any = (),
    loss: nn.Module | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    clip_values: ClipValues = (0.0, 1.0),
    channels_first: bool = True,
    preprocessing: tuple[Any, Any] | None = None,
    placement: str = "module",
    eot_samples: int = 8,
    vote_samples: int = 16,
    vote: str = "mean",
    output: str = "log_probs",
    gradient: str = "mean_probability",
) -> DefendedClassifier:
    """Return an ART `PyTorchClassifier` of a network behind defences, checked by a dry run.

    It is a `RandomizedClassifier` if one of the defences draws.

    Args:
        model: Network that returns logits (n, nb_classes); it stays on its device, is shared, not
            copied, and is put into eval mode. Behind an encoder such as `Thermometer` it takes
            images of `encoded_shape(defences, input_shape)`.
        data: Gives the shape and classes, and fits defences that are not fitted yet; a `Dataset`,
            or arrays of `as_dataset`.
        input_shape: (c, h, w), or (h, w, c) where not `channels_first`; needed without `data`.
        nb_classes: Needed without `data`.
        defences: What `as_defences` takes: preprocessors, codebooks, words, or one of these,
            applied in order to the raw input; copies take this classifier's layout and range.
        loss: As for ART; None: cross-entropy.
        optimizer: As for ART, for its `fit`.
        clip_values: Input range, (0, 1) or (0, 255); the network sees the same range.
        channels_first: Layout of the images.
        preprocessing: (mean, std) between the defences and the network, in the input range; behind
            an encoder one number each, or as many as encoded channels.
        placement: `module` (defence and network in one module, which survives every attack; the
            defence is then applied in ART's `fit` too) or `preprocessor` (ART's list, which heeds
            `apply_fit` and `apply_predict`; not for defences that draw).
        eot_samples: Draws an image under grad, if a defence draws.
        vote_samples: Draws an image in `predict`, if a defence draws.
        vote: `mean` or `hard`, see `Voting`.
        output: `log_probs`, `logits` or `probs` of the draws together, see `Voting`.
        gradient: `mean_probability` or `mean_loss`, see `Voting`.

    Raises:
        InputError: The network, loss, shape, range or a defence does not fit; the message says
            what.
        NotFittedError: A defence is not fitted and there is no `data`.
    """
    if not isinstance(model, nn.Module):
        hint = "; use defend(classifier, ...)" if isinstance(model, PyTorchClassifier) else ""
        msg = f"model must be a torch module, got {type(model).__name__}{hint}"
        raise InputError(msg)
    voting = Voting(eot_samples, vote_samples, vote, output, gradient=gradient)
    clip = check_clip_values(clip_values)
    data = None if data is None else as_dataset(data)
    shape, classes = _shape(data, input_shape, nb_classes, channels_first=channels_first)
    device = _device(model)
    chosen = as_defences(defences)
    if data is not None:
        learn_from(chosen, data)
    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
        bare = _bare(
            model,
            preprocessing,
            loss=loss if loss is not None else nn.CrossEntropyLoss(),
            input_shape=shape,
            nb_classes=classes,
            optimizer=optimizer,
            channels_first=channels_first,
            clip_values=clip,
            device_type="gpu" if device.type == "cuda" else "cpu",
        )
        bare.model.eval()
        return _tried(bare.with_defences(chosen, placement=placement, voting=voting))


# as above
@torch.random.fork_rng(devices=[])
def defend(
    classifier: PyTorchClassifier, defences: Any, *, placement: str = "module"
) -> DefendedClassifier:
    """Return an existing ART classifier with defences added behind those that it has.

    Loss, optimiser, clip values, layout, standardisation and postprocessing are kept; the network
    is shared, the given classifier is not changed.

    Args:
        classifier: An ART `PyTorchClassifier` with clip values.
        defences: As for `build_classifier`, fitted.
        placement: As for `build_classifier`.

    Raises:
        InputError: Not such a classifier, or one whose predictions are not its network's alone; or
            its own preprocessors could not be kept in order (NumPy defences beside torch ones, or a
            preprocessor in place of (mean, std)).
        NotFittedError: A defence is not fitted.
    """
    check_plain(classifier)
    if classifier.clip_values is None:
        msg = "the classifier has no clip_values; ART needs them to keep attacks in range"
        raise InputError(msg)
    added = as_defences(defences)
    clip = check_clip_values(classifier.clip_values)
    old = list(classifier.preprocessing_defences or [])
    check_order(old, placement)
    bare = classifier
    if not hasattr(classifier, "with_defences"):
        kept = ("input_shape", "nb_classes", "optimizer", "channels_first", "device_type")
        bare = _bare(
            classifier.model,
            standardisation_of(classifier),
            loss=classifier._loss,
            clip_values=clip,
            postprocessing_defences=classifier.postprocessing_defences,
            **{name: getattr(classifier, name) for name in kept},
        )
    inside = bare.model.preprocessors
    if inside and placement == "preprocessor":
        msg = "this classifier's defences live in its module; keep placement='module'"
        raise InputError(msg)
    return _tried(bare.with_defences([*inside, *added], placement=placement, keep=old))


def as_classifier(classifier: Any) -> WhiteBoxClassifier:
    """Return a classifier that keeps the contract; a plain ART one as `defend(classifier, [])`.

    Raises:
        InputError: Neither of these; the message says what makes one.
    """
    if isinstance(classifier, PyTorchClassifier) and lacking(classifier, WhiteBoxClassifier):
        return cast("WhiteBoxClassifier", defend(classifier, []))
    return check_classifier(classifier)


def _bare(
    network: nn.Module, standardisation: tuple[Any, Any] | None, **options: Any
) -> DefendedClassifier:
    """Return a classifier of ours without a defence; the options are those of ART's own."""
    module = DefendedModule(
        network,
        standardisation=standardisation,
        channels_first=options["channels_first"],
        upper=options["clip_values"][1],
    )
    return DefendedClassifier(model=module, preprocessing=None, **options)


def _shape(
    data: Dataset | None, input_shape: Shape | None, nb_classes: int | None, *, channels_first: bool
) -> tuple[Shape, int]:
    if data is not None:
        c, h, w = data.input_shape
        input_shape = input_shape or ((c, h, w) if channels_first else (h, w, c))
        nb_classes = nb_classes or data.nb_classes
    if input_shape is None or nb_classes is None:
        msg = "give data=..., or input_shape=(c, h, w) and nb_classes=..."
        raise InputError(msg)
    if len(input_shape) != 3 or nb_classes < 2:
        msg = f"expected three axes and at least 2 classes, got {input_shape} and {nb_classes}"
        raise InputError(msg)
    return input_shape, nb_classes


def _device(model: nn.Module) -> torch.device:
    devices = {t.device for t in (*model.parameters(), *model.buffers())}
    if len(devices) > 1:
        msg = f"the model must be on one device, got {sorted(map(str, devices))}"
        raise InputError(msg)
    device = devices.pop() if devices else torch.device("cpu")
    if device.type not in ("cpu", "cuda"):
        msg = f"ART runs on cpu or cuda, got {device}; move the model with model.cpu()"
        raise InputError(msg)
    return device


def _without_votes(classifier: RandomizedClassifier) -> DefendedClassifier:
    """Return the classifier of one frozen draw, which gives what the network itself returns."""
    inside = classifier.frozen(0).model
    module = DefendedModule(inside.base, inside.preprocessors, **inside.options)
    outside = list(classifier.preprocessing_operations)
    return DefendedClassifier(model=module, preprocessing_defences=outside, **classifier._options())


def _axes(classifier: DefendedClassifier) -> str:
    """Return the cure; how the shape is read, where the channels seem to be at its other end."""
    a, b, c = classifier.input_shape
    first = classifier.channels_first
    if (c if first else a) in (1, 3) and (a if first else c) not in (1, 3):
        other, read = ((c, a, b), "(c, h, w)") if first else ((b, c, a), "(h, w, c)")
        return (
            f"; channels_first={first} reads it as {read}: give input_shape={other}, or "
            f"channels_first={not first}"
        )
    return "; give a network for such images, or the input_shape that it takes"


def _tried(classifier: DefendedClassifier) -> DefendedClassifier:
    """Return a classifier, in eval mode, whose network returned logits of two images."""
    classifier.model.eval()
    check_units(classifier)
    asked, tried = None, classifier
    if isinstance(classifier, RandomizedClassifier):
        # logarithms of means hide what the network itself returns
        _tried(classifier.base if classifier.has_base else _without_votes(classifier))
        asked = classifier.voting.output
        # the classifier's own streams stay at their beginning
        tried = classifier.frozen(0)
    x = np.zeros((2, *classifier.input_shape), dtype=np.float32)
    x[1] = classifier.clip_values[1]
    try:
        logits = tried.predict(x)
    # the user's own code runs here, and may raise anything
    except Exception as error:
        if isinstance(error, InputError):
            raise
        what, shape, cure = "images", classifier.input_shape, _axes(classifier)
        if not classifier.has_base:
            shape = classifier.encoded_shape
            what, cure = "encoded images", f"; make it for {shape}"
        reason = f"{type(error).__name__}: {error}"
        msg = f"the network fails on {what} of shape {shape}: {reason}{cure}"
        raise InputError(msg) from error
    if logits.shape != (2, classifier.nb_classes) or not np.isfinite(logits).all():
        msg = (
            f"the network must return finite logits of shape (n, {classifier.nb_classes}), got "
            f"{logits.shape}"
        )
        if logits.ndim == 2 and logits.shape[1] != classifier.nb_classes:
            msg += f"; give nb_classes={logits.shape[1]}, or a network for the data's classes"
        raise InputError(msg)
    if asked != "probs" and (logits >= 0).all() and np.allclose(logits.sum(axis=1), 1, atol=1e-5):
        msg = (
            "the network must return logits, got probabilities, whose gradients vanish where the "
            "network is sure; leave its softmax out, or return the logarithm"
        )
        raise InputError(msg)
    check_loss(classifier)
    return classifier
