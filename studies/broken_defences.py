"""Defences and evaluations that are broken on purpose, each with the check that must see it.

The tests demand that every one turns its report red at the named check; the calibration of the
thresholds measures how clearly; the notebook shows one of them to a reader.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from art.attacks.evasion import ProjectedGradientDescent
from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
from torch import nn

import art_disc as ad
from art_disc.surrogates import straight_through


class Foreign(PreprocessorPyTorch):
    """A user's own torch preprocessor, applied in `predict` only."""

    def __init__(self) -> None:
        super().__init__(device_type="cpu", is_fitted=True, apply_fit=False, apply_predict=True)

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def forward(self, x: torch.Tensor, y: Any = None) -> tuple[torch.Tensor, Any]:
        return self.apply(x), y


class Rounding(Foreign):
    """Two values by rounding: the gradient is zero everywhere."""

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        return torch.round(x)


class Detached(Foreign):
    """The value is right, the graph is cut."""

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        return torch.round(x).detach()


class SurrogateElsewhere(Foreign):
    """Hard in `forward`, soft in `estimate_forward`, as ART's docstring asks: nobody calls it."""

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        return (x > 0.5).to(x.dtype)

    def estimate_forward(self, x: torch.Tensor, y: Any = None) -> torch.Tensor:
        return torch.sigmoid(10 * (x - 0.5))


class Masked(Foreign):
    """The right value with a gradient that is alive and leads nowhere."""

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        def shaken(z: torch.Tensor) -> torch.Tensor:
            return 0.5 + torch.sin(4000 * z) / 4000

        return straight_through(x, torch.round, shaken, len(x))


class NoiseBackwards(Foreign):
    """The right value, and a gradient whose signs are white noise."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self._generator = torch.Generator().manual_seed(seed)

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        noise = torch.randn(x.shape, generator=self._generator)
        return torch.round(x).detach() + (x - x.detach()) * noise


class Noise(Foreign):
    """Noise that no classifier knows of, so that nothing averages over it."""

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        return x + 0.2 * torch.randn_like(x)


class Probabilities(nn.Module):
    """A network that returns probabilities."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network(x).softmax(dim=1)


class Scaled(nn.Module):
    """The same decisions with logits so large that the cross-entropy is exactly zero."""

    def __init__(self, network: nn.Module, factor: float = 1e4) -> None:
        super().__init__()
        self.network, self.factor = network, factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * self.network(x)


class Claiming(ad.DefendedClassifier):
    """A classifier that names a defence which its predictions leave out."""

    @property
    def defences(self) -> tuple[Any, ...]:
        return (Rounding(), *super().defences)


class Centred(nn.Module):
    """The same network, its scores less their mean over the batch."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = self.network(x)
        return scores - scores.mean(dim=0)


class OnDiscretised(ProjectedGradientDescent):
    """An attack that starts from the discretised image and counts its budget from there."""

    def __init__(self, defence: Any, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._defence = defence

    def generate(self, x: Any, y: Any = None, **_: Any) -> Any:
        return super().generate(self._defence(x)[0], y)


@dataclass(frozen=True)
class Case:
    """A broken defence or evaluation.

    Attributes:
        name: What is wrong.
        check: The check that must turn red.
        make: From network and data to the classifier.
        options: Of `evaluate`, or a function of the classifier that returns them.
        tier: The first tier that has the check.
    """

    name: str
    check: str
    make: Callable[[nn.Module, ad.Dataset], ad.DefendedClassifier]
    options: dict[str, Any] | Callable[[ad.DefendedClassifier], dict[str, Any]] = field(
        default_factory=dict
    )
    tier: str = "quick"

    def options_for(self, classifier: ad.DefendedClassifier) -> dict[str, Any]:
        return self.options(classifier) if callable(self.options) else dict(self.options)


def foreign(defence: type[Foreign]) -> Callable[[nn.Module, ad.Dataset], ad.DefendedClassifier]:
    def make(network: nn.Module, data: ad.Dataset) -> ad.DefendedClassifier:
        return ad.build_classifier(
            network, data=data, defences=[defence()], placement="preprocessor"
        )

    return make


def two_codes(
    surrogate: Any = "soft",
) -> Callable[[nn.Module, ad.Dataset], ad.DefendedClassifier]:
    def make(network: nn.Module, data: ad.Dataset) -> ad.DefendedClassifier:
        codebook = ad.DensityCodebook(n_codes=2, radius=0.6).fit(data.x_train)
        defence = ad.PixelDiscretization(codebook, surrogate)
        return ad.build_classifier(network, data=data, defences=[defence])

    return make


def never_applied(network: nn.Module, data: ad.Dataset) -> ad.DefendedClassifier:
    bare = ad.build_classifier(network, data=data)
    return Claiming(model=bare.model, **bare._options())


def probabilities(network: nn.Module, data: ad.Dataset) -> ad.DefendedClassifier:
    classifier = ad.build_classifier(network, data=data)
    # at the door it would be refused
    classifier.model.base = Probabilities(network).eval()
    return classifier


def noisy(network: nn.Module, data: ad.Dataset) -> ad.DefendedClassifier:
    return ad.build_classifier(
        network, data=data, defences=[ad.GaussianNoise(0.2)], eot_samples=4, vote_samples=4
    )


def noisy_once(network: nn.Module, data: ad.Dataset) -> ad.DefendedClassifier:
    return ad.build_classifier(
        network, data=data, defences=[ad.GaussianNoise(0.5)], eot_samples=1, vote_samples=16
    )


def untrained(network: nn.Module, data: ad.Dataset) -> ad.DefendedClassifier:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        blank = type(network)(data.input_shape, data.nb_classes)
    return ad.build_classifier(blank, data=data)


def attack_on_discretised(classifier: ad.DefendedClassifier) -> dict[str, Any]:
    attack = OnDiscretised(
        classifier.defences[0], classifier, eps=0.2, eps_step=0.05, max_iter=10, verbose=False
    )
    return {"attacks": [attack]}


def upside_down(x: torch.Tensor) -> torch.Tensor:
    return 1 - x


CASES = (
    Case("untrained network", "C1", untrained),
    Case("defence that is named and left out", "C2", never_applied),
    Case("rounding without a gradient", "C3", foreign(Rounding)),
    Case("detached", "C3", foreign(Detached)),
    Case("surrogate in estimate_forward alone", "C3", foreign(SurrogateElsewhere)),
    Case("probabilities as logits", "C3", probabilities),
    Case(
        "logits times 10,000",
        "C3",
        lambda network, data: ad.build_classifier(Scaled(network), data=data),
    ),
    Case("surrogate upside down", "C4", two_codes(upside_down)),
    Case("a gradient of white noise", "C4", foreign(NoiseBackwards)),
    Case(
        "a step size that is far too small",
        "C6",
        two_codes(),
        {"settings": {"pgd.eps_step": 0.0001}},
    ),
    Case(
        "a step size that is far too small",
        "C8",
        two_codes(),
        {"settings": {"pgd.eps_step": 0.001}},
    ),
    Case(
        "one step, one start",
        "C9",
        two_codes(),
        {
            "attacks": ["pgd"],
            "settings": {"pgd.max_iter": 1, "pgd.num_random_init": 1, "pgd.eps_step": 0.02},
            "surrogates": (),
        },
        tier="standard",
    ),
    Case(
        "gradients that lead nowhere",
        "C10",
        foreign(Masked),
        {"surrogates": ()},
        tier="standard",
    ),
    Case(
        "gradients that lead nowhere",
        "C12",
        foreign(Masked),
        {"surrogates": ()},
        tier="standard",
    ),
    Case(
        "gradients that lead nowhere",
        "C11",
        foreign(Masked),
        {"surrogates": ()},
        tier="full",
    ),
    Case("noise without averaging", "C14", foreign(Noise)),
    Case(
        "one draw a gradient, few steps",
        "C15",
        noisy_once,
        {
            "settings": {"pgd.max_iter": 2, "pgd.eps_step": 0.03, "pgd.num_random_init": 1},
            "attacks": ["pgd"],
        },
        tier="standard",
    ),
    Case("scored on a single draw", "C16", noisy, {"draws": 1}),
    Case(
        "gradients that lead nowhere, planted",
        "C18",
        foreign(Masked),
        {"surrogates": ()},
        tier="full",
    ),
    Case("attack on the discretised image", "C19", two_codes(), attack_on_discretised),
    Case(
        "scores less their mean over the batch",
        "C21",
        lambda network, data: ad.build_classifier(Centred(network), data=data),
    ),
    Case(
        "the same, behind noise",
        "C21",
        lambda network, data: noisy(Centred(network), data),
    ),
)
