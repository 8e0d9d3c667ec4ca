"""LQ-VAE: what a user does with one."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from art_disc.core.checks import Float32Array, check_images, check_labels
from art_disc.core.errors import FileFormatError, InputError, NotFittedError
from art_disc.networks import LQVAENet, Stack, weights_header
from art_disc.training.lqvae_fit import Images, LQVAEReport, OnReport, fitted
from art_disc.training.lqvae_settings import LQVAESettings

# images that are looked at on the way
_ROWS = 500


@dataclass(eq=False, repr=False)
class LQVAE(LQVAESettings):
    """A purifier that leaves a few bits of every image; see docs/purifiers.md.

    Args are those of `LQVAESettings`, whose defaults are those of the published code; presets too.

    Attributes:
        network_: The fitted `LQVAENet`, in eval mode.
        reports_: What was seen on the way, the last one at the end.

    Raises:
        InputError: A value does not fit.

    Source: Kyatham, Mishra, Yadav, Mishra, Prathosh 2020.
    """

    network_: LQVAENet | None = field(default=None, init=False, repr=False)
    reports_: tuple[LQVAEReport, ...] = field(default=(), init=False, repr=False)

    def fit(  # noqa: PLR0913 - data to learn from, data to look at, and where to keep it
        self,
        x: Any,
        *,
        adversaries: Any = None,
        x_test: Any = None,
        y_test: Any = None,
        classifier: Any = None,
        checkpoint: str | Path | None = None,
        on_report: OnReport | None = None,
        verbose: bool = True,
    ) -> Self:
        """Learn from images alone.

        Args:
            x: Training images (n, c, h, w), floats in [0, 1] or uint8.
            adversaries: Adversarial images of `x`, in its order, which are encoded too and whose
                targets are the clean ones; None: none.
            x_test: Images of which up to 500 are looked at on the way; None: the first of `x`.
            y_test: Their labels, for `classifier`.
            classifier: Whose accuracy behind the filter is told: its `predict` takes images (n, c,
                h, w) in [0, 1]. It is looked at alone, and changes nothing.
            checkpoint: File that an interrupted fit goes on from; written every five minutes, gone
                at the end. The end is the same, bit for bit.
            on_report: Called with each `LQVAEReport`, as soon as it is there.
            verbose: Show a progress bar.

        Raises:
            InputError: Images that are none (NaN, another range), too few of them, or the
                checkpoint is of another fit.
            FileFormatError: The checkpoint is damaged.
        """
        self._check()
        clean = check_images(x)
        images = _images(clean, adversaries, x_test, y_test, classifier)
        self.network_, self.reports_ = fitted(
            self, images, checkpoint, on_report=on_report, verbose=verbose
        )
        return self

    @property
    def network(self) -> LQVAENet:
        """The fitted network.

        Raises:
            NotFittedError: There is none yet.
        """
        if self.network_ is None:
            msg = "this LQVAE is not fitted; call fit(x_train) first, or take LQVAE.load(file)"
            raise NotFittedError(msg)
        return self.network_

    def purify(self, x: Any) -> Float32Array:
        """Return the images (n, c, h, w) in [0, 1] that decoder 1 makes of the images' codes.

        By mean inference.

        Raises:
            InputError: No such images.
            NotFittedError: There is no network yet.
        """
        return self._by_parts(x, self.network)

    def codes(self, x: Any) -> Float32Array:
        """Return the bits of images, -1 and +1, (n, latent); see `purify`."""
        network = self.network
        return self._by_parts(x, lambda part: network.hard(network.encode(part)[0]))

    def _by_parts(self, x: Any, function: Callable[[Tensor], Tensor]) -> Float32Array:
        images = torch.tensor(check_images(x))
        with torch.no_grad():
            made: Float32Array = torch.cat([function(p) for p in images.split(_ROWS)]).numpy()
        return made

    def save(self, path: str | Path) -> Path:
        """Write settings, weights and reports as npz, in one step; nothing of it is a pickle.

        Raises:
            NotFittedError: There is no network yet.
        """
        reports = [asdict(report) for report in self.reports_]
        return self.network.save(path, header={"training": self.facts(), "reports": reports})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Return what `save` wrote.

        Raises:
            DataNotFoundError: No such file.
            FileFormatError: Damaged, or of something else.
        """
        network, header = LQVAENet.load(path), weights_header(path)
        try:
            facts = dict(header["training"])
            stack = facts.pop("stack")
            made = cls(stack=None if stack is None else Stack(**stack), **facts)
            made.reports_ = tuple(LQVAEReport(**report) for report in header["reports"])
        except (KeyError, TypeError, ValueError) as error:
            msg = f"{path} holds no settings of a fit: {error}; LQVAENet.load reads its network"
            raise FileFormatError(msg) from error
        made.network_ = network
        return made


def _images(
    clean: Float32Array, adversaries: Any, x_test: Any, y_test: Any, classifier: Any
) -> Images:
    """Return what a fit learns from and looks at; refuse what does not fit together."""
    inputs, targets, shape = clean, clean, clean.shape[1:]
    if adversaries is not None:
        moved = check_images(adversaries, name="adversaries", shape=shape)
        if len(moved) != len(clean):
            msg = f"adversaries must be one an image, {len(clean)}, got {len(moved)}"
            raise InputError(msg)
        inputs, targets = np.concatenate([clean, moved]), np.concatenate([clean, clean])
    seen = clean if x_test is None else check_images(x_test, name="x_test", shape=shape)
    labels = None
    if classifier is not None:
        if x_test is None or y_test is None:
            msg = "the accuracy of a classifier needs both x_test and y_test"
            raise InputError(msg)
        labels = check_labels(y_test, len(seen), name="y_test")[:_ROWS]
    return Images(inputs, targets, seen[:_ROWS], labels, classifier)
