"""What the table of attacks says of each: parameters in three tiers, norm, needs and cost."""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from art.attacks.attack import EvasionAttack

from art_disc.core.budget import Budget
from art_disc.core.showing import Shown
from art_disc.networks import SignGradient

# from a classifier and a budget in its input range to an attack on it
AttackFactory = Callable[[Any, float], EvasionAttack]
Settings = Mapping[str, float | int]
Tiers = Mapping[str, Settings]

TIERS = ("smoke", "standard", "strong")

NUMPY_2 = int(np.__version__.split(".")[0]) >= 2


@dataclass(frozen=True, slots=True)
class AttackRequest(Shown):
    """What an attack is made for: classifier, budget, norm, target and batch size."""

    classifier: Any
    eps: float
    norm: str
    targeted: bool
    batch_size: int

    @property
    def arguments(self) -> dict[str, Any]:
        """What of the request ART's attacks take beside the classifier, under ART's names."""
        return {
            "eps": self.eps,
            "norm": self.order,
            "targeted": self.targeted,
            "batch_size": self.batch_size,
            "verbose": False,
        }

    @property
    def order(self) -> float:
        """Norm as ART writes it."""
        return np.inf if self.norm == "inf" else 2

    @property
    def upper(self) -> float:
        """The highest value of the classifier's input."""
        return float(np.max(self.classifier.clip_values[1]))


Maker = Callable[[AttackRequest, Settings], EvasionAttack]
# (classifier, norm, settings) -> the settings with which it runs on such images, or why it cannot
Fit = Callable[[Any, str, Settings], tuple[Settings, str]]


@dataclass(frozen=True, slots=True)
class AttackSpec(Shown):
    """One attack of the table.

    Attributes:
        name: Name in records and in `--set NAME.key=value`.
        label: Full name.
        art: Name of ART's class; empty where the attack is our own.
        make: Makes the attack object from a request and settings; its `generate(x, y)` takes
            images (n, ...) and one-hot rows, whatever ART's class wants.
        tiers: Settings and their values in `smoke`, `standard` and `strong`, each of them whole.
        norms: Norms that it works in: `inf`, `2`, `1` or `0`; empty: a change of another kind.
        gradients: Whether it differentiates the classifier.
        targetable: Whether it can aim at a class.
        cost: Passes an image, (gradients, queries), from its settings: an estimate from above.
        bounded: Whether it keeps within a budget `eps`. Of one that does not, the examples whose
            measured change is within the budget count.
        fit: Fits settings to the classifier and the shape of its images, or says why it is none
            for it; None: it takes any.
        least_classes: Classes that it needs.
        packages: Modules that must be importable beyond what ART itself requires.
        behind: Whether it differentiates what is behind the first defence, through no surrogate.
        loss: What it raises, `cross-entropy` (the classifier's own, as a rule) or `margin`; empty:
            neither, or both.
        repeatable: Whether seeding NumPy's global stream repeats its result.
        note: What a reader of its row should know.
        breaks_inside_art: Why ART's own code fails with the NumPy that is installed, with file and
            line; empty where it does not.
    """

    name: str
    label: str
    art: str
    make: Maker
    tiers: Tiers
    norms: tuple[str, ...]
    gradients: bool
    targetable: bool
    cost: Callable[[Settings], tuple[float, float]]
    bounded: bool = True
    fit: Fit | None = None
    least_classes: int = 2
    packages: tuple[str, ...] = ()
    behind: bool = False
    loss: str = ""
    repeatable: bool = True
    note: str = ""
    breaks_inside_art: str = ""

    def on(
        self,
        classifier: Any,
        budget: Budget,
        settings: Settings,
        *,
        batch_size: int,
        targeted: bool = False,
    ) -> Callable[[], EvasionAttack]:
        """Return what makes it against a classifier."""
        request = AttackRequest(classifier, budget.eps, budget.norm, targeted, batch_size)
        return partial(self.make, request, settings)

    @property
    def settings(self) -> Settings:
        """Settings of the `standard` tier."""
        return self.tiers["standard"]

    @property
    def missing(self) -> str:
        """The first of its packages that is not installed, or an empty string."""
        for package in self.packages:
            if importlib.util.find_spec(package) is None:
                return package
        return ""

    def sees(self, signs: SignGradient | None, *, draws: bool) -> SignGradient | None:
        """Return what it can tell of a gradient of signs: on a margin no temperature.

        Where the classifier `draws`, a margin is of mean probabilities, which have one.
        """
        blind = self.loss == "margin" and not draws
        return signs.seen_by_margins() if signs is not None and blind else signs

    def planned(
        self, classifier: Any, norm: str, settings: Settings, *, targeted: bool
    ) -> tuple[Settings, str]:
        """Return the settings with which it runs on a classifier's images, and why it cannot.

        The second is an empty string where it can.
        """
        refusal = self.refuses(norm, classifier.nb_classes, targeted=targeted)
        if refusal or self.fit is None:
            return settings, refusal
        return self.fit(classifier, norm, settings)

    def refuses(self, norm: str, nb_classes: int, *, targeted: bool) -> str:
        """Return why it cannot run so, or an empty string."""
        if self.bounded and norm not in self.norms:
            return f"knows the norms {', '.join(self.norms)} only"
        if targeted and not self.targetable:
            return "cannot aim at a class"
        if nb_classes < self.least_classes:
            return f"needs at least {self.least_classes} classes"
        if self.missing:
            return f"needs the package {self.missing}, which is not installed"
        return ""


def in_tiers(
    standard: Settings, smoke: Settings | None = None, strong: Settings | None = None
) -> Tiers:
    """Return the settings of each tier: those of `standard` with what differs."""
    whole = dict(standard)
    return {
        "smoke": whole | dict(smoke or {}),
        "standard": whole,
        "strong": whole | dict(strong or {}),
    }
