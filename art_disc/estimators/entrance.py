"""The doors of an ART classifier: what comes in is what it takes, before ART does anything."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from art.estimators.classification import PyTorchClassifier
from numpy.typing import NDArray
from torch import Tensor, nn

from art_disc.core.checks import check_floats, check_labels
from art_disc.core.errors import InputError, InputWarning
from art_disc.core.layouts import check_shape, other_layout
from art_disc.defences.images import as_float_images, doubt_of_images
from art_disc.estimators.fitting_objective import steps_of, taught_by


@contextmanager
def _only(model: nn.Module, classes: Tensor) -> Iterator[list[bool]]:
    """Let ART's wrapper of a network tell this thread one score of each image: that of its class.

    Yields for each pass whether there was a class for every image; others are left as they are.
    """
    thread, picked = threading.get_ident(), list[bool]()

    def hook(_: nn.Module, __: Any, outputs: list[Tensor]) -> list[Tensor] | None:
        if threading.get_ident() != thread:
            return None
        scores = outputs[-1]
        picked.append(len(scores) == len(classes))
        if not picked[-1]:
            return None
        return [*outputs[:-1], scores.gather(1, classes.to(scores.device)[:, None])]

    handle = model.register_forward_hook(hook)
    try:
        yield picked
    finally:
        handle.remove()


class CheckedInputs(PyTorchClassifier):
    """A `PyTorchClassifier` that reads images and labels by one rule, in each of its methods.

    Images are floats in the input range, or uint8, which is read as levels v / 255 of it. Other
    integers, and images whose layout is the wrong way round, are refused; those that are probably
    of another range are warned about once. What attacks ask on their way passes: steps beyond the
    range, NaN, single pixels far outside.

    Labels are class indices (n,), one-hot rows (n, classes), or, where the loss takes them, rows
    of probabilities. (Where two classes tie, ART's attacks give rows of two ones.) Others, and a
    negative class to `class_gradient`, are an `InputError` too.
    """

    # whether its user was warned that images are probably of another range
    _warned = False

    def predict(self, x: Any, *args: Any, **options: Any) -> Any:
        """As ART's."""
        return super().predict(self._images(x), *args, **options)

    def loss_gradient(self, x: Any, y: Any, *args: Any, **options: Any) -> Any:
        """As ART's, of arrays or tensors."""
        images = self._images(x)
        return super().loss_gradient(images, self._rows(y, len(images)), *args, **options)

    def compute_loss(self, x: Any, y: Any, *args: Any, **options: Any) -> Any:
        """As ART's; see `loss_gradient`."""
        images = self._images(x)
        return super().compute_loss(images, self._rows(y, len(images)), *args, **options)

    def class_gradient(self, x: Any, label: Any = None, *args: Any, **options: Any) -> Any:
        """As ART's, of one class, one an image, or None for all.

        One an image are one pass backward, where ART makes one for each class that occurs.
        """
        classes = np.asarray(label)
        # what is no number ART refuses itself
        if classes.dtype.kind in "if" and classes.size and classes.min() < 0:
            msg = f"label must lie in 0..{self.nb_classes - 1}, got {classes.min()}"
            raise InputError(msg)
        images = self._images(x)
        fits = classes.shape == (len(images),) and classes.dtype.kind in "iu"
        if not fits or classes.max(initial=0) >= self.nb_classes:
            return super().class_gradient(images, label, *args, **options)
        with _only(self._model, torch.from_numpy(classes.astype(np.int64))) as picked:
            found = super().class_gradient(images, 0, *args, **options)
        # a preprocessor of ART's that makes more images of each has rows of its own
        return found if all(picked) else super().class_gradient(images, label, *args, **options)

    def get_activations(self, x: Any, *args: Any, **options: Any) -> Any:
        """As ART's."""
        return super().get_activations(self._images(x), *args, **options)

    def fit(  # noqa: PLR0913 - ART's own, and the objective
        self,
        x: Any,
        y: Any,
        batch_size: int = 128,
        nb_epochs: int = 10,
        training_mode: bool = True,
        drop_last: bool = False,
        *args: Any,
        objective: Any = None,
        **options: Any,
    ) -> None:
        """As ART's, and the network is left in eval mode, as `build_classifier` does.

        An `objective` of `art_disc.training`, such as `Certified(0.3)`, takes the place of the
        classifier's loss; order of the batches and what it draws follow `torch.manual_seed`. Its
        ramps run over one call: ART's trainers, which call `fit` for each batch, take none.

        Raises:
            InputError: Images, labels or an objective that do not fit.
        """
        images = self._images(x)
        rows = self._rows(y, len(images))
        taught: Any = nullcontext()
        if objective is not None:
            steps = steps_of(len(images), batch_size, nb_epochs, drop_last=drop_last)
            taught = taught_by(self, objective, steps)
        module = self.model
        try:
            with taught:
                super().fit(
                    images, rows, batch_size, nb_epochs, training_mode, drop_last, *args, **options
                )
        finally:
            module.eval()

    def fit_generator(self, *args: Any, **options: Any) -> None:
        """As ART's `fit_generator`, and the network is left in eval mode.

        Raises:
            InputError: An objective, which `fit` alone takes.
        """
        if options.get("objective") is not None:
            msg = "fit_generator takes no objective, which needs to know all steps; use fit"
            raise InputError(msg)
        super().fit_generator(*args, **options)
        self.model.eval()

    def _images(self, x: Any) -> Any:
        """Return images as floats, of the kind that came: an array or a tensor."""
        upper = float(np.max(self.clip_values[1]))
        images = as_float_images(x, upper) if isinstance(x, Tensor) else check_floats(x, upper)
        if other_layout(tuple(images.shape[1:]), tuple(self.input_shape)):
            check_shape(tuple(images.shape), tuple(self.input_shape))
        if not self._warned:
            doubt = doubt_of_images(images, upper)
            if doubt:
                self._warned = True
                warnings.warn(doubt, InputWarning, stacklevel=3)
        return images

    def _rows(self, y: Any, n: int) -> Any:
        """Return labels as rows (n, classes), of the kind that came."""
        labels: NDArray[Any] = y.numpy(force=True) if isinstance(y, Tensor) else np.asarray(y)
        if labels.ndim != 2 or labels.shape[1] == 1:
            indices = check_labels(labels, n, self.nb_classes)
            rows = np.eye(self.nb_classes, dtype=np.float32)[indices]
            return torch.tensor(rows, device=y.device) if isinstance(y, Tensor) else rows
        if labels.shape != (n, self.nb_classes) or not (labels >= 0).all():
            msg = (
                f"y must be class indices or rows of {self.nb_classes} classes, >= 0, one for each "
                f"of the {n} images, got shape {labels.shape} with least value {labels.min()}; for "
                "scores take their argmax(axis=1)"
            )
            raise InputError(msg)
        return y if isinstance(y, Tensor) else labels
