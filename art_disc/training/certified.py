"""Training for a certificate: the worst loss that interval bounds allow on all code images."""

from dataclasses import asdict, dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from art_disc.bounds import Alternatives, Bounds, Graph, boxes_of, folded, live, margin_rows
from art_disc.bounds.affine import Box
from art_disc.bounds.trace import Followed, follow
from art_disc.codebooks import Codebook
from art_disc.codebox import CodeBox, Threat, from_units, to_units
from art_disc.core.checks import Float32Array, check_positive
from art_disc.core.errors import InputError
from art_disc.core.showing import Shown
from art_disc.defences import traits
from art_disc.estimators import DefendedModule
from art_disc.estimators.module import BehindMaps
from art_disc.networks import set_leaks_
from art_disc.training.adversary import AnyAdversary, perturbed
from art_disc.training.objectives import Objective
from art_disc.training.recipe import Mixed, check_share, evaluating
from art_disc.training.regularisers import relu_balance, tightness

# of the smoothed ramp: the share of it that rises by a power, and the power
_MIDDLE, _POWER = 0.25, 4
# of its budget an adversary has from the first step of the ramp
_LEAST = 1e-3
# of a pixel that are told apart
_MOST_COLOURS = 8
# how each module's network was read; a loop makes one module an epoch
_FOLLOWED: WeakKeyDictionary[nn.Module, Followed] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Certified(Shown, Objective):
    """Interval bound propagation on the code box (IBP): a loss that certificates come from.

    Behind a codebook map a budget lets a pixel take a few codewords, most only one. Bounds of the
    network on the box around these, the same that `certify(method="bounds")` begins with, give the
    worst logits that any change within the budget could lead to:

        (1 - w) CE(logits) + w CE(worst logits) + (1 - eps_t / eps) (tightness and balance terms)

    with w = (1 - kappa) s, where s, the share of the ramp that is done, and the budget eps_t rise
    together. In the warm-up the loss is CE(logits) of clean images alone. Batch normalisation works
    by the statistics of clean code images throughout. The network is differentiated behind the map,
    so through no surrogate.

    Args:
        eps: Budget at the end of the ramp, in (0, 1]; a little more than what is to be certified.
        kappa: Weight of the concrete loss at the end, in [0, 1]; 1: no bounds, so with an adversary
            what training on codes alone comes to.
        warm_up: Share of the training, in [0, 1), before the ramp.
        ramp: Share of the training, in [0, 1), over which the budget grows; the first quarter of it
            by a power of 4, the rest along a line (smoothed).
        tightness: Weight of the term against boxes that grow, >= 0, during the ramp.
        relu_balance: Weight of the term for balanced activations, >= 0, during the ramp.
        leak: Slope of each `ParametrisedRamp` outside the ramp in the first half of the training,
            in [0, 1); falls to 0 along a line over the third quarter.
        adversary: The concrete loss is that of images that it moved, `CodeAdversary(eps)` on the
            code box (a mixed loss, MTL-IBP), within a budget that grows as eps_t does; None: of the
            clean ones.

    Raises:
        InputError: A value does not fit; in training, other defences than one codebook map, or
            another precision than float32.
        CertificateError: In training: a layer that has no bounds.

    Source: Gowal et al. 2018 (IBP, warm-up, kappa); Xu et al. 2020 (smoothed ramp); Shi et al. 2021
    (terms, clean statistics); De Palma et al. 2024 (mixed loss); Lyu et al. 2021 (leak).
    """

    eps: float = field()
    kappa: float = 0.3
    warm_up: float = 0.025
    ramp: float = 0.35
    tightness: float = 0.0
    relu_balance: float = 0.0
    leak: float = 0.01
    adversary: AnyAdversary | None = None

    def __post_init__(self) -> None:
        if not 0 < check_positive(self.eps, "eps") <= 1:
            msg = f"eps must be a budget in (0, 1], got {self.eps!r}"
            raise InputError(msg)
        for name in ("warm_up", "ramp", "leak"):
            check_share(getattr(self, name), name)
        for name in ("kappa", "tightness", "relu_balance"):
            check_positive(getattr(self, name), name, zero=True)
        if self.kappa > 1:
            msg = f"kappa must be a weight in [0, 1], got {self.kappa!r}"
            raise InputError(msg)
        if self.adversary is not None and not isinstance(self.adversary, AnyAdversary):
            msg = (
                f"adversary must be a CodeAdversary, an Adversary or None, got "
                f"{type(self.adversary).__name__}; one of your own needs what `AnyAdversary` names"
            )
            raise InputError(msg)

    def share_at(self, progress: float) -> float:
        """Return the share of the ramp, in [0, 1], that is done at a moment of the training."""
        done = progress - self.warm_up
        return 0.0 if done < 0 else min(1.0, done / self.ramp) if self.ramp else 1.0

    def eps_at(self, progress: float) -> float:
        """Return the budget at a moment of the training, `progress` in [0, 1] of the way."""
        return self.eps * smoothed(self.share_at(progress))

    def leak_at(self, progress: float) -> float:
        """Return the slope outside ramps at a moment of the training."""
        return self.leak * min(1.0, max(0.0, 3 - 4 * progress))

    def __call__(
        self, model: nn.Module, x: Tensor, y: Tensor, *, progress: float, generator: torch.Generator
    ) -> Tensor:
        """Return the mean over the batch; only an adversary draws."""
        defended = checked(model)
        set_leaks_(defended, self.leak_at(progress))
        graph, logits = _live(defended, x)
        share, eps = self.share_at(progress), self.eps_at(progress)
        if not share:
            return nn.functional.cross_entropy(logits, y)
        if self.adversary is not None:
            adversary = self.adversary.at(progress).scaled(max(eps / self.eps, _LEAST))
            logits = graph(coded(defended, perturbed(model, x, y, adversary, generator)))
        concrete = nn.functional.cross_entropy(logits, y)
        weight, left = (1 - self.kappa) * share, 1 - eps / self.eps
        if not weight and not (left and (self.tightness or self.relu_balance)):
            return concrete
        boxes = boxes_of(graph, *reached(defended, x, eps))
        worst = worst_cross_entropy(margins(graph, boxes, y))
        loss = (1 - weight) * concrete + weight * worst
        if left and self.tightness:
            loss = loss + left * self.tightness * tightness(graph, boxes)
        if left and self.relu_balance:
            loss = loss + left * self.relu_balance * relu_balance(graph, boxes)
        return loss

    def facts(self) -> dict[str, Any]:
        """Return every setting in plain values, under one name."""
        own = None if self.adversary is None else self.adversary.facts()
        return {"certified": asdict(self) | {"adversary": own}}

    def describe(self) -> str:
        """Return one readable phrase."""
        words = [f"eps {self.eps:.4g}, kappa {self.kappa:g}, ramp {self.ramp:g}"]
        terms = {"tightness": self.tightness, "ReLU balance": self.relu_balance}
        words += [f"{name} {value:g}" for name, value in terms.items() if value]
        if self.adversary is not None:
            words.append(self.adversary.describe())
        return f"certified (IBP, {', '.join(words)})"


def smoothed(share: float) -> float:
    """Return how far a smoothed ramp has risen, in [0, 1], when a share of it is done.

    A power first, then the line that goes on from it without a kink.

    >>> [round(smoothed(share), 4) for share in (0, 0.125, 0.25, 0.625, 1)]
    [0.0, 0.0048, 0.0769, 0.5385, 1.0]
    """
    scale = 1 / (_MIDDLE**_POWER + _POWER * _MIDDLE ** (_POWER - 1) * (1 - _MIDDLE))
    if share <= _MIDDLE:
        return float(scale * share**_POWER)
    return 1 - float(scale * _POWER * _MIDDLE ** (_POWER - 1) * (1 - share))


def checked(model: nn.Module) -> DefendedModule:
    """Return a module that a code box can be made for: one codebook map, then the network.

    Raises:
        InputError: It is something else.
    """
    defences = model.preprocessors if isinstance(model, DefendedModule) else ()
    book = traits(defences[0]).codebook if len(defences) == 1 else None
    if not isinstance(model, DefendedModule) or not isinstance(book, Codebook):
        names = ", ".join(type(defence).__name__ for defence in defences) or "none"
        msg = (
            "certified training needs one codebook map, such as PixelDiscretization, as its only "
            f"defence, got {names}; give defences=[...]"
        )
        raise InputError(msg)
    if not model.channels_first or model.upper != 1:
        msg = "certified training needs images (n, c, h, w) in [0, 1], got another layout or range"
        raise InputError(msg)
    if isinstance(model.base, Mixed):
        msg = "certified training needs precision='float32', got another one; leave it out"
        raise InputError(msg)
    return model


def coded(module: DefendedModule, x: Tensor) -> Tensor:
    """Return images of codewords (n, c, h, w), in the precision of the network's weights."""
    with torch.no_grad():
        made: Tensor = module.preprocessors[0].map(x)
    return made.to(next(module.base.parameters()).dtype)


def reached(
    module: DefendedModule, x: Tensor, eps: float
) -> tuple[Tensor, Tensor, Alternatives | None]:
    """Return the box around all code images that a budget reaches, each end as `coded` gives it.

    And, where colours are more than that box says, what each pixel can be.
    """
    book: Any = traits(module.preprocessors[0]).codebook
    units = to_units(x.numpy(force=True), book)
    boxes = CodeBox.within(units, book, Threat(eps))
    like = next(module.base.parameters())

    def images(values: Float32Array) -> Tensor:
        return torch.from_numpy(from_units(values, x.shape[1:], book)).to(like)

    low, high = (images(end) for end in boxes.hull())
    colours = None if book.codewords_.shape[1] == 1 else boxes.colours(_MOST_COLOURS)
    if colours is None:
        return low, high, None
    made = [images(colours[:, :, i]) for i in range(colours.shape[2])]
    return low, high, Alternatives(torch.stack(made, dim=1))


def margins(graph: Graph, boxes: list[Box], y: Tensor) -> Tensor:
    """Bound the margins of labels (n,) over the other classes by IBP, shape (n, classes - 1)."""
    rows = margin_rows(y.cpu(), graph.shapes[-1].numel()).to(boxes[0][0])
    return Bounds(graph, boxes).lower(rows)


def worst_cross_entropy(least: Tensor) -> Tensor:
    """Return the mean cross-entropy of logits with these margins (n, classes - 1) of the label."""
    logits = nn.functional.pad(-least, (1, 0))
    return nn.functional.cross_entropy(logits, torch.zeros_like(logits[:, 0], dtype=torch.long))


def ibp_accuracy(
    model: nn.Module, x: Tensor, y: Tensor, *, eps: float, batch_size: int = 500
) -> float:
    """Return the share of images on which interval bounds leave the label above all classes.

    A look at how a training goes, in the precision of the weights and without any tolerance for
    rounding: no certificate, for which there is `certify`.

    Args:
        model: The module of a network behind one codebook map, `classifier.model` for example; its
            mode is left as it was.
        x: Images (n, c, h, w) in [0, 1].
        y: Class indices (n,).
        eps: Budget on the [0, 1] scale.
        batch_size: Images at once.

    Raises:
        InputError: Another module, as for `Certified`.
        CertificateError: A layer that has no bounds.
    """
    defended, right = checked(model), 0
    with evaluating(model), torch.no_grad():
        for images, labels in zip(x.split(batch_size), y.split(batch_size), strict=True):
            graph, _ = _live(defended, images)
            least = margins(graph, boxes_of(graph, *reached(defended, images, eps)), labels)
            right += int((least > 0).all(dim=1).sum())
    return right / max(1, len(x))


def _live(module: DefendedModule, x: Tensor) -> tuple[Graph, Tensor]:
    """Return the network behind the map as a live graph, and its logits of clean code images."""
    network, codes = BehindMaps(module), coded(module, x)
    if module not in _FOLLOWED:
        _FOLLOWED[module] = follow(network, tuple(codes.shape[1:]), training=True)
    graph, logits = live(network, codes, _FOLLOWED[module])
    return folded(graph), logits
