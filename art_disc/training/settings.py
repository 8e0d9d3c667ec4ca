"""The six settings that the pixel-discretisation papers compare."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from art_disc.core.errors import InputError
from art_disc.core.records.published import SETTINGS
from art_disc.core.showing import Shown
from art_disc.data import as_dataset
from art_disc.defences import MapPreprocessor, as_defences
from art_disc.estimators import DefendedClassifier, build_classifier
from art_disc.training.adversary import AnyAdversary
from art_disc.training.cache import trained
from art_disc.training.loop import TrainingResult
from art_disc.training.objectives import objective_of
from art_disc.training.recipe import recipe_of

Options = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Trained(Shown):
    """One of the six settings.

    Attributes:
        classifier: With the defences, or without for `nat_pre` and `adv_pre`.
        result: Of the network's last training.
        training: How the network was trained, in one line.
    """

    classifier: DefendedClassifier
    result: TrainingResult
    training: str


@dataclass(frozen=True)
class SixSettings(Shown):
    """Networks trained with and without an adversary, before and behind a defence.

    `nat_pre`, `adv_pre`: trained on clean or on adversarial images, no defence. `disc_nat_pre`,
    `disc_adv_pre`: the same networks behind the defence. `disc_nat_re`, `disc_adv_re`: those
    networks trained on with T(x), or T(x') where x' attacks through the defence's surrogate.
    Networks are trained when they are first asked for and kept in the cache of `trained`.

    Args:
        factory: Makes the network.
        data: Trains it, and fits defences that are not fitted; as for `train`.
        defences: What discretises, as for `train`.
        adversary: Of the adversarial trainings; None: only the natural settings exist.
        natural, adversarial: Settings of `train` for the two base networks.
        natural_again, adversarial_again: Those of the two retrainings.
        seed: Of every training.
        cache: As for `trained`.
        verbose: Show progress bars.

    Raises:
        InputError: A training setting is unknown or does not fit.

    Example:
        >>> from art_disc import ColorDepthReduction, load_dataset
        >>> from art_disc.networks import DigitsNet
        >>> six = SixSettings(DigitsNet, load_dataset("digits"), [ColorDepthReduction(2)])
        >>> six.names
        ('nat_pre', 'disc_nat_pre', 'disc_nat_re')

    Source: Chen et al. 2018, section 5 (effectiveness); Chen et al. 2019, section IV.
    """

    factory: Callable[[], nn.Module]
    data: Any
    defences: Any
    adversary: AnyAdversary | None = None
    natural: Options = field(default_factory=dict)
    adversarial: Options = field(default_factory=dict)
    natural_again: Options = field(default_factory=dict)
    adversarial_again: Options = field(default_factory=dict)
    seed: int = 0
    cache: str | Path | None = None
    verbose: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", as_dataset(self.data))
        object.__setattr__(self, "defences", as_defences(self.defences))
        once, again = (self.natural, self.adversarial), (self.natural_again, self.adversarial_again)
        for options in (*once, *again):
            recipe_of(**options)

    @property
    def names(self) -> tuple[str, ...]:
        """The settings that exist: all six, or three without an adversary."""
        return tuple(n for n in SETTINGS if self.adversary is not None or "adv" not in n)

    def __getitem__(self, name: str) -> Trained:
        """Return one setting; trains what is not in the cache.

        Raises:
            InputError: No such setting, or an adversarial one without an adversary.
        """
        if name not in self.names:
            msg = f"setting must be one of {', '.join(self.names)}, got {name!r}"
            if name in SETTINGS:
                msg = f"{name} needs an adversary; give adversary=Adversary(eps=...)"
            raise InputError(msg)
        adversary = self.adversary if "adv" in name else None
        once, again = self.natural, self.natural_again
        if adversary is not None:
            once, again = self.adversarial, self.adversarial_again
        stages: list[tuple[Options, Sequence[MapPreprocessor]]] = [(once, ())]
        if name.endswith("_re"):
            stages.append((again, self.defences))
        factory, lines = self.factory, []
        made: list[tuple[nn.Module, TrainingResult]] = []
        for options, through in stages:
            network, result = trained(
                factory,
                self.data,
                seed=self.seed,
                adversary=adversary,
                defences=through,
                cache=self.cache,
                verbose=self.verbose,
                **options,
            )
            made.append((network, result))
            kind = objective_of(None, adversary).describe()
            lines.append(f"{kind}, {recipe_of(**options).describe()}, weights {result.weights}")
            factory = partial(copy.deepcopy, network)
        network, result = made[-1]
        defences = self.defences if name.startswith("disc") else ()
        classifier = build_classifier(network, data=self.data, defences=defences)
        return Trained(classifier, result, "; retrained behind the defence: ".join(lines))
