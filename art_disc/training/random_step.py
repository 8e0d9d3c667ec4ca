"""R-FGSM, the adversarial training that binarised networks were published with."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from art_disc.core.checks import check_eps
from art_disc.core.errors import InputError
from art_disc.core.showing import Shown
from art_disc.training.objectives import Objective
from art_disc.training.recipe import evaluating


@dataclass(frozen=True, slots=True)
class RandomStepFGSM(Shown, Objective):
    """The cross-entropy of images moved by a random step, then one along the gradient's sign.

    The random step is alpha = eps / 2 times a sign drawn for each pixel; the gradient is that at
    the shifted image, with the network in eval mode. Images stay in [0, 1].

    Args:
        eps: Budget in (0, 1].
        printed: The second step is eps, as Panda et al. 2019 print it, and images lie up to 1.5 eps
            away. Otherwise it is eps - alpha, and they stay within eps.

    Raises:
        InputError: Another budget.

    Source: Tramer et al. 2018, section 4.1 (RAND+FGSM); Panda, Chakraborty, Roy 2019, section 3.
    """

    # without a field the property of the base class would be its default
    eps: float = field()
    printed: bool = False

    def __post_init__(self) -> None:
        if check_eps(self.eps) == 0:
            msg = "eps must be > 0; for natural training take CrossEntropy()"
            raise InputError(msg)

    def __call__(
        self, model: nn.Module, x: Tensor, y: Tensor, *, progress: float, generator: torch.Generator
    ) -> Tensor:
        """Return the mean over the moved images."""
        del progress
        return nn.functional.cross_entropy(model(self.moved(model, x, y, generator)), y)

    def moved(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        """Return the moved images, detached.

        Args:
            model: Returns logits (n, classes); its mode and its gradients are left as they were.
            x: Images in [0, 1].
            y: Class indices.
            generator: Of the random step, on the CPU.
        """
        alpha = self.eps / 2
        drawn = torch.randn(x.shape, generator=generator).to(x.device)
        shifted = (x + alpha * drawn.sign()).clamp(0, 1).detach().requires_grad_()
        with evaluating(model), torch.enable_grad():
            loss = nn.functional.cross_entropy(model(shifted), y, reduction="sum")
            (slope,) = torch.autograd.grad(loss, shifted)
        step = self.eps if self.printed else self.eps - alpha
        return (shifted + step * slope.sign()).clamp(0, 1).detach()

    def facts(self) -> dict[str, Any]:
        """Return what decides the moved images."""
        return {"adversary": {"method": "r_fgsm", "eps": float(self.eps), "printed": self.printed}}

    def describe(self) -> str:
        """Return one readable phrase."""
        form = ", as printed: up to 1.5 eps" if self.printed else ""
        return f"adversarial (R-FGSM, eps {self.eps:.4g}{form})"
