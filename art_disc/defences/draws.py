"""Defences that draw: from a generator of their own, or the same for every image and call."""

import copy
from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor, nn

from art_disc.core.seeds import check_seed, derive_seed
from art_disc.core.showing import Shown
from art_disc.defences.images import ImageMap
from art_disc.defences.preprocessor import MapPreprocessor


class Stream:
    """A seeded generator of random numbers that can be copied and pickled with its state.

    It lives on the CPU, so that the numbers are the same on every device.
    """

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def __getstate__(self) -> dict[str, Any]:
        return {"state": self.generator.get_state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.generator = torch.Generator()
        self.generator.set_state(state["state"])


class Draws(Shown):
    """The random numbers of one draw of a defence for all images of a batch.

    Args:
        generator: Where they come from.
        shared: Every image gets the same numbers, which then do not depend on the batch.
    """

    def __init__(self, generator: torch.Generator, *, shared: bool = False) -> None:
        self._generator = generator
        self._rows = 1 if shared else None

    def normal(self, shape: tuple[int, ...], device: torch.device) -> Tensor:
        """Return standard normal numbers, float32, of shape (n, ...)."""
        return self._numbers(torch.randn, shape, device)

    def uniform(self, shape: tuple[int, ...], device: torch.device) -> Tensor:
        """Return numbers in [0, 1), float32, of shape (n, ...)."""
        return self._numbers(torch.rand, shape, device)

    def integers(self, high: int, shape: tuple[int, ...], device: torch.device) -> Tensor:
        """Return whole numbers 0..high-1, each as likely, int64, of shape (n, ...)."""
        return self._numbers(partial(torch.randint, high), shape, device)

    def _numbers(
        self, make: Callable[..., Tensor], shape: tuple[int, ...], device: torch.device
    ) -> Tensor:
        numbers = make((self._rows or shape[0], *shape[1:]), generator=self._generator)
        return numbers.expand(shape).to(device)

    def categorical(self, logits: Tensor) -> Tensor:
        """Return an index a row, j with probability softmax(logits)[j], int64 of shape (n,).

        By the inverse of the distribution function in 64 bits: 24-bit numbers would never give
        what is rarer than 1 in 2**24. The logits are (n, s), on the device of the indices.
        """
        rows = self._rows or len(logits)
        level = torch.rand((rows, 1), generator=self._generator, dtype=torch.float64)
        wide = logits.detach().to(torch.float64)
        below = (wide - wide.amax(dim=1, keepdim=True)).exp().cumsum(dim=1)
        threshold = level.to(logits.device) * below[:, -1:]
        return (below <= threshold).sum(dim=1).clamp(max=logits.shape[1] - 1)


class RandomMap(ImageMap):
    """A map that makes a fresh draw for each row of each call, in train and in eval mode alike.

    A subclass gives `transform`, and takes random numbers from the draws that it gets alone.

    Args:
        seed: Of its own stream; the same seed and calls give the same draws.
        frozen: None, or the seed of numbers that are the same for every row and call: the map is
            then one function of the image, whatever the batch.
        **options: Keyword options of `ImageMap`; both layouts get the same draws.

    Attributes:
        discrete: Whether its values are a few that are the same in every draw, so that images
            repeat from draw to draw.
    """

    discrete = False

    def __init__(self, *, seed: int, frozen: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.stream = Stream(seed)
        self.frozen = frozen

    def forward(self, x: Tensor) -> Tensor:
        """Return one draw of every image; the first of the frozen ones where they are frozen."""
        return self.draw(x, 0)

    def draw(self, x: Tensor, index: int) -> Tensor:
        """Return one draw of every image; of the frozen ones number `index`."""
        draws = Draws(self.stream.generator)
        if self.frozen is not None:
            generator = torch.Generator().manual_seed(derive_seed(self.frozen, "draw", index))
            draws = Draws(generator, shared=True)
        return self.leave(self.transform(self.enter(x), draws))

    def transform(self, images: Tensor, draws: Draws) -> Tensor:
        """Return one draw of images, float32 (n, c, h, w), in [0, upper] or outside it."""
        raise NotImplementedError


def own_generators(model: nn.Module) -> list[torch.Generator]:
    """Return the generators that the maps of a model draw from, in the order of its modules."""
    return [m.stream.generator for m in model.modules() if isinstance(m, RandomMap)]


class RandomPreprocessor(MapPreprocessor):
    """A defence that draws from a stream of its own: never from a global one.

    What a stream gives depends on the seed, the kind of defence, its place among others and what
    was drawn before, in both layouts alike.
    A copy, a deep copy and what comes out of a pickle go on from where the original is, each by
    itself: asked the same, they draw the same as the original would have.
    A defence whose settings, layout, surrogate, seed or place were changed (`with_...`, in a
    classifier that is built) begins its stream anew.
    A frozen one has no stream: it gives the same numbers to every image and in every call, and so
    do its copies; the seed that it was frozen with decides.

    Args:
        seed: Of the stream.
        **options: Keyword options of `MapPreprocessor`.

    Raises:
        InputError: `seed` is no whole number.
    """

    params = ("seed", "freeze", "place", *MapPreprocessor.params)
    set_later = ("freeze", "place")

    def __init__(self, *, seed: int = 0, **options: Any) -> None:
        self.seed: int = seed
        self.freeze: int | None = None
        self.place = 0
        super().__init__(**options)

    def _check_params(self) -> None:
        check_seed(self.seed)
        super()._check_params()

    def _make_map(self) -> ImageMap:
        # two equal defences one after the other must not draw the same numbers
        own = (type(self).__name__, self.place)
        frozen = None if self.freeze is None else derive_seed(self.freeze, *own)
        seed = derive_seed(self.seed, *own)
        return self._random_map(seed=seed, frozen=frozen, **self._layout())

    @abstractmethod
    def _random_map(self, **options: Any) -> RandomMap:
        """Return the map of the present attributes, with these options of a `RandomMap`."""

    @property
    def is_random(self) -> bool:
        """Whether two calls on the same images may differ: unless it is frozen."""
        return self.freeze is None

    def frozen(self, seed: int) -> Self:
        """Return the same defence with one set of numbers of this seed for all images and calls."""
        return self._changed(freeze=int(seed))

    def with_seed(self, seed: int) -> Self:
        """Return the same defence with another stream, from its beginning."""
        return self._changed(seed=seed)

    def with_place(self, place: int) -> Self:
        """Return the same defence as number `place` of a chain, with numbers of its own there."""
        return self._changed(place=place)

    def _doubts(self, x: Tensor) -> dict[str, str]:
        """Return those of every defence, and that one draw answers for all."""
        found, name = super()._doubts(x), type(self).__name__
        if not self.is_random:
            return found
        return found | {
            "draws": f"{name} draws, and in ART's preprocessing_defences one draw answers for all: "
            "predictions and gradients are of single draws. Use build_classifier(model, "
            f"defences=[{name}(...)]) or defend(classifier, ...), which average over draws; for "
            "one draw of images call the defence itself"
        }

    def __copy__(self) -> Self:
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.__dict__["_map"] = copy.deepcopy(self._map)
        return twin

    def described(self) -> dict[str, Any]:
        """Return the parameters, and the seed or the freeze, whichever has an effect."""
        silent = ("place", "freeze" if self.is_random else "seed")
        return {k: v for k, v in super().described().items() if k not in silent}
