"""What some of ART's attacks want instead of a batch of images: the remedies on our side.

An attack is never changed. It is given its input in the form it was written for, and a classifier
that takes that form and holds the same defended model.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from art.attacks.attack import EvasionAttack
from art.estimators.classification import PyTorchClassifier
from numpy.typing import NDArray
from torch import Tensor, nn

from art_disc.core.checks import Float32Array
from art_disc.core.errors import InputError
from art_disc.estimators.applied import applied

# (attack, images, one-hot rows) -> adversarial images
Feed = Callable[[Any, Float32Array, Float32Array], Any]
# (classifier, images, one-hot true labels) -> one-hot targets
Aim = Callable[[Any, Float32Array, Float32Array], Float32Array]


class Fed(EvasionAttack):
    """An attack of ART's that gets its images through a feeding rule.

    `aim` turns true labels into targets, for an attack that always aims; None: labels are fed as
    they come.
    """

    _estimator_requirements = ()

    def __init__(self, attack: EvasionAttack, feed: Feed, aim: Aim | None = None) -> None:
        super().__init__(estimator=attack.estimator)
        self.attack = attack
        self._feed, self._aim = feed, aim
        self._targeted = bool(attack.targeted)

    def generate(self, x: Float32Array, y: Any = None) -> Float32Array:
        """Return adversarial images of the shape of `x`.

        One-hot rows `y` (n, classes) are true labels, or targets where `targeted`.
        """
        if y is None:
            msg = f"{type(self.attack).__name__} needs y, the labels as one-hot rows"
            raise InputError(msg)
        onehot = np.asarray(y, dtype=np.float32)
        if self._aim is not None:
            onehot = self._aim(self.attack.estimator, x, onehot)
        return np.asarray(self._feed(self.attack, x, onehot), dtype=np.float32)


def _onehot(labels: NDArray[Any], classes: int) -> Float32Array:
    rows: Float32Array = np.eye(classes, dtype=np.float32)[labels]
    return rows


def as_batch(attack: Any, x: Float32Array, onehot: Float32Array) -> Any:
    """Feed the whole batch."""
    return attack.generate(x, onehot)


def one_by_one(attack: Any, x: Float32Array, onehot: Float32Array) -> Float32Array:
    """Feed images singly, for attacks that take one, or that share state across a batch."""
    pairs = zip(x, onehot, strict=True)
    return np.concatenate([attack.generate(a[None].copy(), b[None]) for a, b in pairs])


def right_ones(attack: Any, x: Float32Array, onehot: Float32Array) -> Float32Array:
    """Feed images singly, those alone that are classified as labelled; the others stay."""
    right = attack.estimator.predict(x).argmax(axis=1) == onehot.argmax(axis=1)
    found = x.copy()
    for i in np.flatnonzero(right != attack.targeted):
        found[i] = attack.generate(x[i : i + 1].copy(), onehot[i : i + 1])[0]
    return found


def runner_up(classifier: Any, x: Float32Array, onehot: Float32Array) -> Float32Array:
    """Return one-hot rows of each image's likeliest class other than its own."""
    scores = np.where(onehot > 0, -np.inf, classifier.predict(x))
    return _onehot(scores.argmax(axis=1), onehot.shape[1])


def one_target(classifier: Any, x: Float32Array, onehot: Float32Array) -> Float32Array:
    """Return one-hot rows of one class for all images: that which is runner-up most often."""
    wanted = runner_up(classifier, x, onehot).sum(axis=0).argmax()
    return _onehot(np.full(len(x), wanted), onehot.shape[1])


def guides(onehot: Float32Array) -> NDArray[np.int64]:
    """Return for each row of labels the position of the next of another class, shape (n,)."""
    labels = onehot.argmax(axis=1)
    n = len(labels)
    found = np.full(n, -1)
    for step in range(n - 1, 0, -1):
        other = (np.arange(n) + step) % n
        found = np.where(labels[other] != labels, other, found)
    if (found < 0).any():
        msg = f"the attack needs a guide image of another class; all {n} images are of one"
        raise InputError(msg)
    return found


class _Around(nn.Module):
    """before, the classifier's preprocessors and model, after: in one module."""

    def __init__(self, classifier: Any, before: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.before, self.model, self.after = before, classifier.model, after
        # no module: its parameters are those of the model above
        self._steps = applied(classifier.preprocessing_operations)

    def forward(self, x: Tensor) -> Tensor:
        x = self.before(x)
        for step in self._steps:
            x = step.forward(x)[0]
        out: Tensor = self.after(self.model(x))
        return out


class _OfProbabilities(nn.Module):
    """A loss of logits, applied to probabilities: the logarithm is as good as the logits."""

    def __init__(self, loss: Any) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, probabilities: Tensor, y: Tensor) -> Any:
        return self.loss(probabilities.clamp_min(1e-30).log(), y)


def around(
    classifier: Any,
    *,
    before: nn.Module | None = None,
    input_shape: tuple[int, ...] | None = None,
    channels_first: bool | None = None,
    probabilities: bool = False,
    kind: type[PyTorchClassifier] = PyTorchClassifier,
) -> PyTorchClassifier:
    """Return an ART classifier of the same defended model with another input or output.

    `before` turns the new input, of `input_shape` and layout (None: as it was), into the old one;
    `probabilities` are given instead of logits.
    """
    if not classifier.all_framework_preprocessing:
        # they have no gradient of their own
        msg = "the classifier has NumPy preprocessors; use PyTorch ones, or placement='module'"
        raise InputError(msg)
    first = classifier.channels_first if channels_first is None else channels_first
    after = nn.Softmax(dim=1) if probabilities else nn.Identity()
    module = _Around(classifier, before or nn.Identity(), after)
    module.train(mode=classifier.model.training)
    return kind(
        model=module,
        loss=_OfProbabilities(classifier._loss) if probabilities else classifier._loss,
        input_shape=input_shape or classifier.input_shape,
        nb_classes=classifier.nb_classes,
        channels_first=first,
        clip_values=tuple(float(np.max(value)) for value in classifier.clip_values),
        preprocessing=None,
        device_type=classifier.device_type,
    )


def nchw(classifier: Any, x: Float32Array) -> Float32Array:
    """Return images with the channels first, whatever the classifier's layout."""
    return x if classifier.channels_first else np.moveaxis(x, -1, 1)


def as_before(classifier: Any, x: Float32Array) -> Float32Array:
    """Return NCHW images in the classifier's layout."""
    return np.ascontiguousarray(x if classifier.channels_first else np.moveaxis(x, 1, -1))


def image_shape(classifier: Any) -> tuple[int, int, int]:
    """Return (channels, height, width)."""
    shape = tuple(classifier.input_shape)
    if not classifier.channels_first:
        shape = (shape[2], shape[0], shape[1])
    return int(shape[0]), int(shape[1]), int(shape[2])


class FromRowsAsFrames(nn.Module):
    """Videos (n, height, 1, width, channels), a row of the image being a frame, to images."""

    def __init__(self, *, channels_first: bool) -> None:
        super().__init__()
        self.channels_first = channels_first

    def forward(self, x: Tensor) -> Tensor:
        """Return images (n, c, h, w), or (n, h, w, c)."""
        x = x.squeeze(2)
        return x.permute(0, 3, 1, 2) if self.channels_first else x


class FromColour(nn.Module):
    """Colour images on a larger canvas to the classifier's own: centre, and mean for grey.

    `shape` is the classifier's (channels, height, width), `canvas` (height, width); the colour
    images (`first_in`) and the classifier's (`first_out`) are NCHW or NHWC.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        canvas: tuple[int, int],
        *,
        first_in: bool,
        first_out: bool,
    ) -> None:
        super().__init__()
        self.shape, self.canvas = shape, canvas
        self.first_in, self.first_out = first_in, first_out
        top, left = (canvas[0] - shape[1]) // 2, (canvas[1] - shape[2]) // 2
        self.inside = (..., slice(top, top + shape[1]), slice(left, left + shape[2]))

    def forward(self, x: Tensor) -> Tensor:
        """Return the classifier's images."""
        if not self.first_in:
            x = x.permute(0, 3, 1, 2)
        x = x[self.inside]
        if self.shape[0] == 1:
            x = x.mean(dim=1, keepdim=True)
        return x if self.first_out else x.permute(0, 2, 3, 1)

    def invert(self, x: Float32Array) -> Float32Array:
        """Return classifier images (n, ...) as colour images on a black canvas."""
        images = x if self.first_out else np.moveaxis(x, -1, 1)
        channels = 3 if self.shape[0] == 1 else self.shape[0]
        colour = np.zeros((len(x), channels, *self.canvas), images.dtype)
        colour[self.inside] = images
        return np.ascontiguousarray(colour if self.first_in else np.moveaxis(colour, 1, -1))

    def bring_back(self, x: Float32Array) -> Float32Array:
        """Return colour images of an attack as the classifier's own."""
        with torch.no_grad():
            images: Float32Array = self(torch.from_numpy(np.asarray(x, np.float32))).numpy()
        return images
