"""The data set that every other part is given, and the choice of a part of it."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from art_disc.core.checks import Float32Array, check_count
from art_disc.core.errors import InputError
from art_disc.core.fingerprint import fingerprint
from art_disc.core.seeds import derive_seed
from art_disc.core.showing import Shown

Labels = NDArray[np.int64]


def _no_ids() -> Labels:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Dataset(Shown):
    """Images and labels, split into a training and a test part.

    Built by `load_dataset` or `from_arrays`, which check ranges and convert; the constructor
    itself only checks that the parts fit together. The arrays are shared, not copied: treat them
    as read-only.

    Attributes:
        name: Short name, `mnist`.
        x_train: float32, shape (n, channels, height, width), in [0, 1]; n is 0 if there is no
            training part.
        y_train: int64 class indices, shape (n,).
        x_test: float32, shape (m, channels, height, width), in [0, 1].
        y_test: int64 class indices, shape (m,).
        class_names: One name a class, in label order.
        source: Where it came from: `scikit-learn`, `ART` or the name of a file or folder.
        test_ids: int64, shape (m,): index of each test example in the original test split.

    Raises:
        InputError: The parts do not fit together.

    Example:
        >>> from art_disc.data import load_dataset
        >>> load_dataset("digits").subset(n_test=100, stratified=True).x_test.shape
        (100, 1, 8, 8)
    """

    name: str
    x_train: Float32Array
    y_train: Labels = field(repr=False)
    x_test: Float32Array
    y_test: Labels = field(repr=False)
    class_names: tuple[str, ...] = field(repr=False)
    source: str
    test_ids: Labels = field(default_factory=_no_ids, repr=False)

    def __post_init__(self) -> None:
        if not len(self.test_ids):
            object.__setattr__(self, "test_ids", np.arange(len(self.x_test), dtype=np.int64))
        for part, x, y in (
            ("train", self.x_train, self.y_train),
            ("test", self.x_test, self.y_test),
        ):
            if x.ndim != 4 or x.dtype != np.float32 or y.dtype != np.int64:
                msg = (
                    f"x_{part} must be float32 of shape (n, channels, height, width) and y_{part} "
                    f"int64, got {x.dtype} {x.shape} and {y.dtype}; from_arrays(...) converts"
                )
                raise InputError(msg)
            if y.shape != x.shape[:1]:
                msg = f"y_{part} must hold one label for each of {len(x)} images, got {y.shape}"
                raise InputError(msg)
        self._check_parts()

    def _check_parts(self) -> None:
        if self.x_train.shape[1:] != self.x_test.shape[1:]:
            msg = (
                "training and test images must have one shape, got "
                f"{self.x_train.shape[1:]} and {self.x_test.shape[1:]}"
            )
            raise InputError(msg)
        if not len(self.x_test) or self.test_ids.shape != self.y_test.shape:
            msg = (
                "a data set needs at least one test image and one id for each, got "
                f"{len(self.x_test)} images and {len(self.test_ids)} ids"
            )
            raise InputError(msg)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape of one image: (channels, height, width)."""
        _, channels, height, width = self.x_test.shape
        return channels, height, width

    @property
    def nb_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    def check_training(self, purpose: str) -> None:
        """Refuse a data set without training images where there is a purpose for them.

        Raises:
            InputError: The message names the purpose and how training images are given.
        """
        if not len(self.x_train):
            msg = (
                f"{self.name} has no training images {purpose}; give a data set that has them, or "
                "arrays ((x_train, y_train), (x_test, y_test))"
            )
            raise InputError(msg)

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits of a SHA-256 over shapes, images and labels."""
        return fingerprint(self.x_test, self.y_test, self.x_train, self.y_train)

    def part(
        self, n_ex: int | None, *, least: int = 1, stratified: bool = False, seed: int = 0
    ) -> "Dataset":
        """Return the data set with `n_ex` of its test images, at least `least`; None: all.

        As `subset` chooses them; this is what calls an argument or option `n_ex`.

        Raises:
            InputError: A number that is not whole, too small, or more than there is.
        """
        if n_ex is None:
            return self
        check_count(n_ex, "n_ex", least=least, most=len(self.x_test))
        return self.subset(n_test=n_ex, stratified=stratified, seed=seed)

    def subset(
        self,
        n_train: int | None = None,
        n_test: int | None = None,
        *,
        stratified: bool = False,
        seed: int = 0,
    ) -> "Dataset":
        """Return a smaller data set; examples keep their order and test examples their ids.

        Args:
            n_train: Training images to keep, 0 for none; None: all.
            n_test: Test images to keep, at least 1; None: all.
            stratified: Draw at random, each class in its share of the whole, rounded up or down.
                Otherwise the first ones are kept, which in a folder of images, where the classes
                follow each other (GTSRB's training part too), are all of the first class.
            seed: Seed of that draw; the training and the test part have streams of their own.

        Raises:
            InputError: A number that is not whole, too small, or more than there is.
        """
        train = _choose(self.y_train, n_train, "train", stratified, seed)
        test = _choose(self.y_test, n_test, "test", stratified, seed)
        return replace(
            self,
            x_train=self.x_train[train],
            y_train=self.y_train[train],
            x_test=self.x_test[test],
            y_test=self.y_test[test],
            test_ids=self.test_ids[test],
        )

    def held_out(self, count: int, *, seed: int = 0) -> "Dataset":
        """Return the training images alone, of which `count` are kept apart as test images.

        What is chosen by looking at these (settings, or when to stop) is not fitted to the test
        images, which are left out.

        Args:
            count: Images to hold out, each class in its share, rounded up or down; `test_ids` are
                their places in the training part.
            seed: Of that draw.

        Raises:
            InputError: No training images, or a number that leaves none of them.
        """
        self.check_training("to hold some out of")
        check_count(count, "held_out", least=1, most=len(self.y_train) - 1)
        chosen = stratified_ids(self.y_train, count, seed=seed)
        rest = np.ones(len(self.y_train), dtype=bool)
        rest[chosen] = False
        return replace(
            self,
            x_train=self.x_train[rest],
            y_train=self.y_train[rest],
            x_test=self.x_train[chosen],
            y_test=self.y_train[chosen],
            test_ids=chosen,
        )


def _choose(
    labels: Labels, count: int | None, part: str, stratified: bool, seed: int
) -> slice | Labels:
    if count is None:
        return slice(None)
    check_count(count, f"n_{part}", least=0 if part == "train" else 1)
    if count > len(labels):
        msg = f"n_{part} must be at most {len(labels)}, the {part} images there are, got {count}"
        raise InputError(msg)
    if not stratified or count == len(labels):
        return slice(count)
    return stratified_ids(labels, count, seed=derive_seed(seed, "subset", part))


def stratified_ids(labels: Labels, count: int, *, seed: int) -> Labels:
    """Draw `count` of n labels so that each class keeps its share, rounded up or down.

    Returns rising indices into `labels`, shape (count,).
    """
    if not count:
        return _no_ids()
    generator = np.random.default_rng(seed)
    _, inverse, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    # whole numbers: a share that is exact must not be lost to float rounding
    seats, rests = np.divmod(sizes * count, len(labels))
    # equal remainders are served in random order, or the first classes would always win
    order = generator.permutation(len(sizes))
    order = order[np.argsort(-rests[order], kind="stable")]
    seats[order[: count - int(seats.sum())]] += 1
    drawn = [
        generator.choice(np.flatnonzero(inverse == i), size=int(n), replace=False)
        for i, n in enumerate(seats)
    ]
    return np.sort(np.concatenate(drawn)).astype(np.int64)
