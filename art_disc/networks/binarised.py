"""Layers whose weights and inputs are -1 and +1, over real latent weights that are trained."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from art_disc.core.checks import check_choice
from art_disc.core.errors import InputError
from art_disc.core.showing import Shown
from art_disc.networks.connections import Connections
from art_disc.networks.fixed_signs import ALPHA, FixedSigns
from art_disc.networks.sign import ESTIMATORS, chosen, hard_sign, sign

KINDS = ("binary", "scaled", "real")


@dataclass(frozen=True, slots=True)
class Binarization(Shown):
    """What of a layer is binarised, and how.

    Attributes:
        weights: `binary`: sign(w). `scaled` (XNOR-Net): alpha sign(w), alpha the mean |w| of an
            output filter, whose latent weights are also centred over the input channels. `real`.
        activations: Of what comes into the layer, `binary`: sign(x). `scaled`: K sign(x), K the
            mean |x| of the inputs that an output sees. `real`: x itself.
        estimator: Gradient of sign(x), see `sign`; that of sign(w) is the identity's, which with
            `scaled` weights ends outside [-1, 1].
        zero: What sign(0) is, of weights and activations: 1, or 0 as in the published code, whose
            networks exact verification cannot read.

    Raises:
        InputError: Another word.

    Source: Hubara et al. 2016 (binary); Rastegari et al. 2016, section 3 (scaled).
    """

    weights: str = "binary"
    activations: str = "binary"
    estimator: str = "hard_tanh"
    zero: int = 1

    def __post_init__(self) -> None:
        for name, known in (("weights", KINDS), ("activations", KINDS), ("estimator", ESTIMATORS)):
            check_choice(getattr(self, name), name, known)
        check_choice(self.zero, "zero", (1, 0))

    @property
    def is_real(self) -> bool:
        """Whether nothing is binarised."""
        return self.weights == self.activations == "real"


BINARIZATIONS = {
    "bnn": Binarization(),
    "paper": Binarization(zero=0),
    "xnor": Binarization(weights="scaled"),
    "xnor_k": Binarization(weights="scaled", activations="scaled"),
    "binary_weights": Binarization(activations="real"),
    "real": Binarization(weights="real", activations="real"),
}


def as_binarization(given: Binarization | str) -> Binarization:
    """Return what a word of `BINARIZATIONS` or a `Binarization` stands for.

    Raises:
        InputError: Neither.
    """
    if isinstance(given, Binarization):
        return given
    return BINARIZATIONS[check_choice(given, "binarization", BINARIZATIONS)]


class _Binarised(FixedSigns, nn.Module):
    """What both layers have in common; the other base class has the weights."""

    weight: Tensor
    bias: Any
    binarization: Binarization
    # where there are weights, in their shape; None: everywhere
    mask: Tensor | None

    def _binarise(self, given: Binarization | str, mask: Tensor | None = None) -> None:
        self.binarization = as_binarization(given)
        self.register_buffer(ALPHA, None)
        self.register_buffer("mask", mask, persistent=False)
        self.clamp_latent_()

    def reset_parameters(self) -> None:
        """Draw the latent weights anew, within their bounds."""
        super().reset_parameters()  # type: ignore[misc] # the layer's
        # torch's constructor comes here before there is a binarisation
        if hasattr(self, "binarization"):
            self._fix(False)
            self.clamp_latent_()

    def extra_repr(self) -> str:
        """Tell the binarisation too: the cache of trainings knows a network by its description."""
        fixed = ", signs alone" if self.is_fixed else ""
        return f"{super().extra_repr()}, {self.binarization!r}{fixed}"

    @torch.no_grad()
    def clamp_latent_(self) -> None:
        """Bring latent weights into [-1, 1], in place; `scaled` ones are centred first.

        Those of no connection are 0. Signs whose latent weights are lost stay as they are.
        """
        if self.is_fixed:
            return
        if self.mask is not None:
            self.weight.masked_fill_(~self.mask, 0)
        if self.binarization.weights == "scaled":
            self.weight.sub_(self.weight.mean(dim=1, keepdim=True))
        if self.binarization.weights != "real":
            self.weight.clamp_(-1, 1)

    @property
    def signs(self) -> Tensor:
        """The weights that inputs are multiplied with: the signs, or the real ones.

        0 where there is no connection, whatever the latent weight.
        """
        # no optimiser is to move signs whose latent weights are lost
        return self.weight.detach() if self.is_fixed else self._signs_of_latent()

    def _signs_of_latent(self) -> Tensor:
        how, made = self.binarization, self.weight
        if how.weights != "real":
            # torch's clamp has the gradient 1 at -1 and 1 themselves
            within = how.weights == "scaled"
            smooth = (lambda w: w.clamp(-1, 1)) if within else ESTIMATORS["identity"]
            made = hard_sign(made, smooth, how.zero)
        return made if self.mask is None else made.masked_fill(~self.mask, 0)

    @property
    def alpha(self) -> Tensor | None:
        """The scale of each output filter, shape (out,); None where weights are not `scaled`."""
        if self.binarization.weights != "scaled":
            return None
        if self.is_fixed:
            return self.fixed_alpha
        return self.weight.abs().flatten(1).mean(dim=1)

    @property
    def scales(self) -> Tensor:
        """`alpha`, or ones."""
        return self.weight.new_ones(len(self.weight)) if self.alpha is None else self.alpha

    def forward(self, x: Tensor) -> Tensor:
        """Return what the layer of torch's name returns, of signs.

        Scales come after the product, so that a product of signs has the exact sums of +1 and -1.

        Raises:
            InputError: In training mode without latent weights.
        """
        self._check_mode()
        how = self.binarization
        given = x if how.activations == "real" else sign(x, chosen(how.estimator), zero=how.zero)
        made = self._product(given, self.signs)
        alpha = self.alpha
        if alpha is not None:
            made = made * self._by_filter(alpha)
        if how.activations == "scaled":
            made = made * self._input_scale(x)
        return made if self.bias is None else made + self._by_filter(self.bias)

    def _product(self, x: Tensor, weight: Tensor) -> Tensor:
        raise NotImplementedError

    def _input_scale(self, x: Tensor) -> Tensor:
        """Return K in a shape that multiplies outputs."""
        raise NotImplementedError

    def _by_filter(self, values: Tensor) -> Tensor:
        """Return one value an output filter in a shape that multiplies outputs."""
        raise NotImplementedError


class BinarizedLinear(_Binarised, nn.Linear):
    """A fully connected layer whose weights and inputs are signs; `weight` holds latent ones.

    Args:
        in_features: As for `nn.Linear`.
        out_features: As for `nn.Linear`.
        bias: As for `nn.Linear`; it stays real.
        binarization: A `Binarization`, or its word in `BINARIZATIONS`.
        connections: Which inputs each unit sees; None: all.

    Raises:
        InputError: An unknown binarisation; connections that do not fit the layer's size, or
            `scaled` weights or activations with them.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        binarization: Binarization | str = "bnn",
        connections: Connections | None = None,
    ) -> None:
        super().__init__(in_features, out_features, bias)
        self.connections = connections
        how, mask = as_binarization(binarization), None
        if connections is not None:
            if "scaled" in (how.weights, how.activations):
                msg = (
                    f"scales are of all inputs, got {how!r} with {connections!r}; take "
                    "weights='binary' and activations='binary', or leave connections out"
                )
                raise InputError(msg)
            mask = connections.mask(in_features, out_features).to(self.weight.device)
        self._binarise(how, mask)

    def extra_repr(self) -> str:
        """Tell the connections too."""
        seen = "" if self.connections is None else f", {self.connections!r}"
        return super().extra_repr() + seen

    def _product(self, x: Tensor, weight: Tensor) -> Tensor:
        return functional.linear(x, weight)

    def _input_scale(self, x: Tensor) -> Tensor:
        return x.abs().mean(dim=-1, keepdim=True)

    def _by_filter(self, values: Tensor) -> Tensor:
        return values


class BinarizedConv2d(_Binarised, nn.Conv2d):
    """A convolution whose weights and inputs are signs; `weight` holds latent ones.

    Zeros that pad an image stay 0, between -1 and +1.

    Args:
        in_channels: As for `nn.Conv2d`.
        out_channels: As for `nn.Conv2d`.
        kernel_size: As for `nn.Conv2d`.
        *args: The further ones of `nn.Conv2d`; the bias stays real.
        binarization: A `Binarization`, or its word in `BINARIZATIONS`.
        **options: As `*args`.

    Raises:
        InputError: An unknown binarisation, or scaled activations with groups or padding other
            than zeros.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        *args: Any,
        binarization: Binarization | str = "bnn",
        **options: Any,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, *args, **options)
        self._binarise(binarization)
        plain = self.groups == 1 and self.padding_mode == "zeros"
        if self.binarization.activations == "scaled" and not plain:
            msg = (
                "scaled activations go with groups=1 and padding_mode='zeros', got "
                f"{self.groups} and {self.padding_mode!r}; take activations='binary'"
            )
            raise InputError(msg)

    def _product(self, x: Tensor, weight: Tensor) -> Tensor:
        made: Tensor = self._conv_forward(x, weight, None)
        return made

    def _input_scale(self, x: Tensor) -> Tensor:
        window = x.new_full((1, 1, *self.kernel_size), 1 / math.prod(self.kernel_size))
        return self._product(x.abs().mean(dim=-3, keepdim=True), window)

    def _by_filter(self, values: Tensor) -> Tensor:
        return values[:, None, None]


class OutputScale(nn.Module):
    """Logits times one learned number, which keeps those of a binarised last layer small.

    Args:
        init: Its first value.

    Source: Galloway, Taylor, Moussa 2018 (published code).
    """

    def __init__(self, init: float = 0.05) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(float(init)))

    def forward(self, x: Tensor) -> Tensor:
        """Return scaled logits of any shape."""
        return x * self.scale
