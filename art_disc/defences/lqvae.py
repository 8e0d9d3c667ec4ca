"""LQ-VAE as an ART preprocessor."""

import copy
from pathlib import Path
from typing import Any, Never

import torch

from art_disc.core.checks import Float32Array, check_choice
from art_disc.core.errors import InputError
from art_disc.core.layouts import check_shape
from art_disc.defences.draws import RandomPreprocessor
from art_disc.defences.images import ImageMap
from art_disc.defences.lqvae_map import CODES, MeanMap, SampledMap, SoftCode, Tent
from art_disc.defences.preprocessor import SurrogatePreprocessor
from art_disc.networks import LQVAENet, weights_hash
from art_disc.surrogates import Surrogate, SurrogateLike

INFERENCES = ("mean", "sampled")
# images at once
_ROWS = 500


class LQVAEFilter(SurrogatePreprocessor, RandomPreprocessor):
    """Make a new image of each from the bits that an LQ-VAE leaves of it.

    Exactly H and decoder 1 forward; backward a stand-in for H. Images of any range come out in
    [0, 1] of it, since decoder 1 makes no others.

    Args:
        vae: A fitted `training.LQVAE`, its file, or an `LQVAENet`. It is copied: what becomes of it
            later changes nothing here.
        inference: `mean`, one function of the image, or `sampled`, whose latent variables are drawn
            anew in every call as in the published code; that goes through `RandomizedClassifier`,
            which averages over draws.
        surrogate: Backward pass: `softcode`, the paper's soft quantiser in front of decoder 1,
            with the c of the LQ-VAE, or `softcode:C`; `latent`, the identity in the place of H;
            `tent`, eta - |z| there; or `identity`, which leaves out the whole filter.
        seed: Of the defence's own stream, where it draws.
        **options: Keyword options of `MapPreprocessor`.

    Raises:
        NotFittedError: The `LQVAE` is not fitted.
        FileFormatError: The file is damaged, or of something else.
        InputError: No LQ-VAE, or a parameter does not fit.

    Source: Kyatham, Mishra, Yadav, Mishra, Prathosh 2020.
    """

    params = ("vae", "inference", *SurrogatePreprocessor.params[:1], *RandomPreprocessor.params)
    vocabulary = CODES
    # the copy that is used, and its hash
    _network: LQVAENet | None = None
    _hash = ""

    def __init__(
        self,
        vae: Any,
        *,
        inference: str = "mean",
        surrogate: SurrogateLike = "softcode",
        seed: int = 0,
        **options: Any,
    ) -> None:
        self.vae = vae
        self.inference = inference
        super().__init__(surrogate, seed=seed, **options)

    def _check_params(self) -> None:
        check_choice(self.inference, "inference", INFERENCES)
        if self._network is None or self.vae is not self._network:
            self.vae = self._network = _own_copy(_network_of(self.vae))
            self._hash = weights_hash(self.vae)
        super()._check_params()

    @property
    def network(self) -> LQVAENet:
        """The filter's own copy of the network, in eval mode."""
        network: LQVAENet = self.vae
        return network

    def latents(self, x: Any) -> Float32Array:
        """Return the means of the latent variables of images, (n, latent).

        Args:
            x: Images as for `forward`, an array or tensor.
        """
        step = MeanMap(self.network, self.surrogate, **self._layout())
        images = step.enter(torch.as_tensor(x))
        with torch.no_grad():
            parts = [self.network.encode(part)[0] for part in images.split(_ROWS)]
        made: Float32Array = torch.cat(parts).numpy()
        return made

    def codes(self, x: Any) -> Float32Array:
        """Return the bits of images by mean inference, -1 and +1, (n, latent); see `latents`."""
        made: Float32Array = self.network.hard(torch.from_numpy(self.latents(x))).numpy()
        return made

    def fit(self, x: Any, y: Any = None, **_: Any) -> Never:  # noqa: ARG002 - ART's signature
        """Refuse: there is nothing that it learns.

        Raises:
            InputError: Always; an `LQVAE` is what is fitted.
        """
        msg = (
            "LQVAEFilter learns nothing; fit the LQVAE that it is made of, "
            "LQVAEFilter(LQVAE(...).fit(x_train))"
        )
        raise InputError(msg)

    def _make_map(self) -> ImageMap:
        if self.inference == "sampled":
            return super()._make_map()
        return MeanMap(self.network, self.surrogate, **self._layout())

    def _random_map(self, **options: Any) -> SampledMap:
        return SampledMap(self.network, self.surrogate, **options)

    @property
    def is_random(self) -> bool:
        """Whether two calls on the same images may differ."""
        return self.draws and super().is_random

    @property
    def draws(self) -> bool:
        """Whether its map draws, frozen or not: by sampled inference."""
        return self.inference == "sampled"

    def encoded_shape(self, input_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return `input_shape`; refuse another than the LQ-VAE was trained on."""
        c, h, w = self.network.input_shape
        own = (c, h, w) if self.channels_first else (h, w, c)
        check_shape((0, *input_shape), own, name="the classifier", taker="this LQVAE")
        return input_shape

    def spread(self) -> tuple[Surrogate, ...]:
        """Return a blunter soft quantiser, and one that is as steep everywhere."""
        own = self.surrogate.c if isinstance(self.surrogate, SoftCode) else None
        c = own or self.network.soft_c
        return SoftCode(c), SoftCode(10 * c), Tent()

    def described(self) -> dict[str, Any]:
        """Return what tells it from others: weights by their hash, and the numbers beside them."""
        words = super().described() | {"vae": self._hash, "eta": self.network.eta}
        if self.inference == "sampled":
            return words | {"noise": self.network.noise}
        return {k: v for k, v in words.items() if k not in ("seed", "freeze")}


def _network_of(vae: Any) -> LQVAENet:
    """Return the network of what a user gives."""
    if isinstance(vae, LQVAENet):
        return vae
    if isinstance(vae, str | Path):
        return LQVAENet.load(vae)
    if hasattr(type(vae), "network"):
        # a `training.LQVAE`, which says so itself where it is not fitted
        network: LQVAENet = vae.network
        return network
    msg = (
        "vae must be a fitted LQVAE, its file or an LQVAENet, "
        f"got {vae.__name__ if isinstance(vae, type) else type(vae).__name__}"
    )
    raise InputError(msg)


def _own_copy(network: LQVAENet) -> LQVAENet:
    """Return a copy that nobody trains: a classifier's optimiser passes over it."""
    twin = copy.deepcopy(network).eval()
    twin.requires_grad_(requires_grad=False)
    return twin
