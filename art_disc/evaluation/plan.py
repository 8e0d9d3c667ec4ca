"""Which attack runs against which model, at which budget, with which gradient."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from art.attacks.attack import EvasionAttack

from art_disc.attacks import AttackSpec, attack_table
from art_disc.attacks.presets import Request
from art_disc.core.errors import InputError
from art_disc.core.records import Setting
from art_disc.defences.preprocessor import CodebookPreprocessor
from art_disc.estimators import DefendedClassifier
from art_disc.surrogates import SoftAssignment, SurrogateLike, as_surrogate

NORMS = {"inf": "inf", "linf": "inf", "l_inf": "inf", np.inf: "inf", "2": "2", "l2": "2", 2: "2"}


@dataclass(frozen=True, slots=True)
class Row:
    """One attack to run.

    Attributes:
        attack: Name in the record.
        source: Classifier whose gradients or predictions the attack uses.
        models: Models that the examples are scored on, of `base` and `defended`.
        knowledge, surrogate: As in `AttackOutcome`.
        eps: Budget in the input range.
        settings: Of the attack, for the record.
        spec: The preset; None for a user's own attack.
        own: The user's own attack object.
        refusal: Why it is not run.
    """

    attack: str
    source: DefendedClassifier
    models: tuple[str, ...]
    knowledge: str
    surrogate: str | None
    norm: str
    eps: float
    targeted: bool
    settings: dict[str, Setting]
    spec: AttackSpec | None = None
    own: EvasionAttack | None = None
    refusal: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        """What the row's seed is derived from."""
        return (self.attack, self.knowledge, self.surrogate, self.norm, self.eps, self.targeted)

    @property
    def cost(self) -> float:
        """Passes an image, a gradient counting as three forward passes (rounded judgement)."""
        if self.refusal:
            return 0.0
        if self.spec is None:
            return 100.0
        gradients, queries = self.spec.cost(_numbers(self.settings))
        return 3 * gradients + queries + len(self.models)

    def make(self, batch_size: int) -> EvasionAttack:
        """Return ART's attack object."""
        if self.own is not None:
            return self.own
        if self.spec is None:
            msg = "a row needs a preset or an attack"
            raise InputError(msg)
        request = Request(self.source, self.eps, self.norm, self.targeted, batch_size)
        return self.spec.make(request, _numbers(self.settings))


def _numbers(settings: dict[str, Setting]) -> dict[str, float]:
    return {k: v for k, v in settings.items() if isinstance(v, int | float)}


def check_norm(norm: Any) -> str:
    """Return `inf` or `2`.

    Raises:
        InputError: Another norm.
    """
    if norm not in NORMS:
        msg = f"norm must be 'inf' or 2, got {norm!r}"
        raise InputError(msg)
    return NORMS[norm]


@dataclass(frozen=True, slots=True)
class _Source:
    classifier: DefendedClassifier
    models: tuple[str, ...]
    knowledge: str
    surrogate: str | None


def _sources(
    classifier: DefendedClassifier, surrogates: Sequence[SurrogateLike]
) -> tuple[list[_Source], _Source]:
    """Return the gradient sources, and the one for attacks that need none.

    The defended model is attacked through its own surrogates as it was built, and through each
    other one that is asked for.
    """
    blind = _Source(classifier, ("defended",), "none", None)
    if not classifier.defences:
        return [_Source(classifier, ("base", "defended"), "bpda", None)], blind
    sources = [_Source(classifier.base, ("base", "defended"), "base", None)]
    own = [d.surrogate for d in classifier.defences if isinstance(d, CodebookPreprocessor)]
    built = "+".join(dict.fromkeys(surrogate.name for surrogate in own)) or None
    sources.append(_Source(classifier, ("defended",), "bpda", built))
    seen = {built}
    for wanted in surrogates if own else ():
        # "soft" alone means the defences' own temperatures where they have them
        if wanted == "soft" and all(isinstance(surrogate, SoftAssignment) for surrogate in own):
            continue
        name = as_surrogate(wanted).name
        if name not in seen:
            seen.add(name)
            twin = classifier.with_surrogate(wanted)
            sources.append(_Source(twin, ("defended",), "bpda", name))
    return sources, blind


def plan_rows(  # noqa: PLR0913 - what an evaluation is made of
    classifier: DefendedClassifier,
    *,
    eps: Sequence[float],
    attacks: str | EvasionAttack | Sequence[str | EvasionAttack],
    changes: dict[str, Any],
    surrogates: Sequence[SurrogateLike],
    norm: str,
    targeted: bool,
) -> list[Row]:
    """Return the rows of an evaluation: named attacks at every budget, the user's own once.

    Raises:
        InputError: Unknown attack, setting or surrogate.
    """
    if isinstance(attacks, EvasionAttack):
        attacks = [attacks]
    listed = [] if isinstance(attacks, str) else list(attacks)
    own = [attack for attack in listed if isinstance(attack, EvasionAttack)]
    named = [attack for attack in listed if not isinstance(attack, EvasionAttack)]
    table = attack_table(attacks if isinstance(attacks, str) else named, changes)
    gradient_sources, blind = _sources(classifier, surrogates)
    rows = [_own_row(classifier, attack, max(eps), norm) for attack in own]
    for budget in eps:
        for spec, settings in table:
            refusal = spec.refuses(norm, classifier.nb_classes, targeted=targeted)
            refusal = refusal or ("" if budget else "there is nothing to try at eps 0")
            rows += [
                Row(
                    attack=spec.name,
                    source=source.classifier,
                    models=source.models,
                    knowledge=source.knowledge,
                    surrogate=source.surrogate,
                    norm=norm,
                    eps=budget,
                    targeted=targeted,
                    settings=dict(settings),
                    spec=spec,
                    refusal=refusal,
                )
                for source in (gradient_sources if spec.gradients else [blind])
            ]
    return rows


def _own_row(classifier: DefendedClassifier, attack: EvasionAttack, eps: float, norm: str) -> Row:
    """Return the row of a user's attack.

    Raises:
        InputError: It works in another norm than the evaluation counts in.
    """
    used = getattr(attack, "norm", None)
    if used is not None and NORMS.get(used) != norm:
        msg = (
            f"{type(attack).__name__} has norm={used!r}, the evaluation norm={norm!r}; make them "
            "equal"
        )
        raise InputError(msg)
    size = getattr(attack, "eps", eps)
    knowledge = _knowledge(classifier, attack.estimator)
    return Row(
        attack=type(attack).__name__,
        source=attack.estimator,
        models=("base", "defended") if knowledge == "base" else ("defended",),
        knowledge=knowledge,
        surrogate=None,
        norm=norm,
        eps=float(size) if np.ndim(size) == 0 else eps,
        targeted=bool(getattr(attack, "targeted", False)),
        settings={
            name: _plain(getattr(attack, name, None))
            for name in attack.attack_params
            if name not in ("summary_writer", "tensor_board")
        },
        own=attack,
    )


def _knowledge(classifier: DefendedClassifier, estimator: Any) -> str:
    """Tell what the gradients of a user's attack know; that it takes none, the ledger tells."""
    model = getattr(estimator, "model", None)
    if model is classifier.model or not classifier.defences:
        same = model is classifier.model or getattr(model, "base", model) is classifier.base_network
        return "bpda" if same else "none"
    if getattr(model, "base", model) is not classifier.base_network:
        return "none"
    theirs, ours = (_codewords(c) for c in (estimator, classifier))
    same = len(theirs) == len(ours) and all(map(np.array_equal, theirs, ours))
    return "bpda" if same else "base"


def _codewords(classifier: Any) -> list[Any]:
    defences = getattr(classifier, "defences", ())
    return [d.codebook.codewords_ if isinstance(d, CodebookPreprocessor) else d for d in defences]


def _plain(value: Any) -> Setting:
    """Return a scalar, or the name of what is none (ART's own repr may recurse)."""
    if isinstance(value, bool | int | str | None):
        return value
    if isinstance(value, float | np.floating | np.integer):
        # JSON has no infinity
        return float(value) if np.isfinite(value) else str(float(value))
    return str(getattr(value, "__name__", type(value).__name__))


def estimate_seconds(classifier: DefendedClassifier, rows: Sequence[Row], x: Any) -> float:
    """Return roughly how long the rows take on these images, from one timed batch."""
    batch = x[: min(len(x), 32)]
    classifier.predict(batch)
    start = time.perf_counter()
    classifier.predict(batch)
    one = (time.perf_counter() - start) / len(batch)
    return one * len(x) * sum(row.cost for row in rows)
