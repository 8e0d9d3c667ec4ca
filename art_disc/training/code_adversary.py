"""The inner maximisation of adversarial training on codes: what a discretised network sees."""

from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from art_disc.attacks.code_search import CodeSearch
from art_disc.attacks.code_view import CodeView, barred_behind
from art_disc.codebox import CodeBox, Threat
from art_disc.core.checks import check_count
from art_disc.core.errors import InputError
from art_disc.core.seeds import generator_of
from art_disc.core.showing import Shown
from art_disc.defences import traits
from art_disc.estimators import DefendedModule
from art_disc.training.adversary import check_budget, ramped_share
from art_disc.training.recipe import check_share


@dataclass(frozen=True, slots=True)
class CodeAdversary(Shown):
    """Whom a discretised network is trained against: flips of the codes that a budget reaches.

    A few steps of `CodeSpaceAttack`: codes of free pixels are flipped where the gradient of the
    margin between classes, taken behind the codebook map, so through no surrogate, promises most,
    many at once at first, then fewer, misclassified or not. An image becomes that image of
    codewords on which the margin was smallest; it lies farther from the image than `eps` where
    codewords do, but the map gives the same for a point within. The network is in eval mode
    meanwhile, as for `Adversary`.

    Args:
        eps: Budget in (0, 1].
        steps: Gradient steps.
        random_start: Begin with a share of the free pixels, itself drawn, at codes that are drawn.
        ramp: Share of the training, in [0, 1), over which the budget grows from 0 to full size.

    Raises:
        InputError: A value does not fit; in training, a network without a codebook map before it,
            or behind a defence that draws.
    """

    eps: float
    steps: int = 3
    random_start: bool = True
    ramp: float = 0.0

    def __post_init__(self) -> None:
        check_budget(self.eps)
        check_count(self.steps, "steps")
        check_share(self.ramp, "ramp")

    def at(self, progress: float) -> Self:
        """Return the adversary at a moment of the training, `progress` in [0, 1] of the way."""
        return self.scaled(ramped_share(progress, self.ramp))

    def scaled(self, share: float) -> Self:
        """Return the adversary within this share, in (0, 1], of its budget."""
        return self if share == 1 else replace(self, eps=share * self.eps)

    def look(self) -> Self:
        """Return the adversary of a first look at the robustness."""
        return replace(self, steps=20, ramp=0.0)

    def moved(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        """Return the images of codewords that were found; see `AnyAdversary`."""
        view = _view(model, x)
        units = view.units(x.numpy(force=True))
        box = CodeBox.within(units, view.codebook, Threat(self.eps))
        codes = view.codebook.assign(units.reshape(-1, units.shape[-1])).reshape(units.shape[:2])
        rng = generator_of(int(torch.randint(2**62, (), generator=generator)))
        labels = y.numpy(force=True)
        search = CodeSearch(view, box, codes, labels, rng, targeted=False, goes_on=True)
        search.climb(self.steps, int(self.random_start))
        return torch.from_numpy(view.code_images(search.codes)).to(x.device)

    def facts(self) -> dict[str, Any]:
        """Return what decides the perturbations, in plain values; equal ones train alike."""
        return {
            "method": "codes",
            # one that stopped at the first success trained otherwise
            "worst": True,
            "eps": float(self.eps),
            "steps": self.steps,
            "random_start": self.random_start,
            "ramp": float(self.ramp),
        }

    def describe(self) -> str:
        """Return one readable phrase."""
        start = "" if self.random_start else ", no random start"
        start += f", ramp {self.ramp:g}" if self.ramp else ""
        return f"adversarial (codes, {self.steps} steps, eps {self.eps:.4g}{start})"


def _view(model: nn.Module, x: Tensor) -> CodeView:
    """Look behind the codebook map of a module in training; see `CodeAdversary` for errors."""
    module = model if isinstance(model, DefendedModule) else DefendedModule(model)
    drawing = any(traits(defence).is_random for defence in module.preprocessors)
    if reason := barred_behind(module.preprocessors, is_random=drawing):
        msg = f"CodeAdversary {reason}"
        raise InputError(msg)
    first, *others = module.preprocessors
    codebook: Any = traits(first).codebook
    behind = DefendedModule(module.base, others, **module.options)
    return CodeView(behind, codebook, tuple(x.shape[1:]), x.device, len(x))
