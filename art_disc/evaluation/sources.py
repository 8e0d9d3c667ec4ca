"""Where an attack's gradients come from, and what they know."""

from collections.abc import Sequence
from dataclasses import dataclass

from art_disc.attacks import suite_surrogates
from art_disc.core.errors import InputError
from art_disc.defences import traits
from art_disc.defences.meaning import change, check_meaning, meaning
from art_disc.estimators.contract import WhiteBoxClassifier
from art_disc.networks.sign_gradient import SIGN_GRADIENTS
from art_disc.surrogates import Surrogate, SurrogateLike

BOTH, DEFENDED = ("base", "defended"), ("defended",)
# what an evaluation attacks through unless it is told otherwise
USUAL = ("soft", "identity")


@dataclass(frozen=True, slots=True)
class Source:
    """A classifier that attacks are run on.

    Attributes:
        name: `base`, `own`, a surrogate's name as it was asked for, `reference`, or `none`.
        classifier: Whose gradients or predictions the attack uses.
        models: Models that its examples are scored on.
        knowledge: As in `AttackOutcome`.
        surrogate: Name for the record.
        wanted: The surrogate itself, where it was asked for.
    """

    name: str
    classifier: WhiteBoxClassifier
    models: tuple[str, ...]
    knowledge: str
    surrogate: str | None
    wanted: SurrogateLike | None = None


def white_box(classifier: WhiteBoxClassifier) -> str:
    """What the gradients of this classifier know."""
    return "bpda+eot" if classifier.is_random else "bpda"


def blind_source(classifier: WhiteBoxClassifier) -> Source:
    """Return the source of attacks that take no gradients."""
    return Source("none", classifier, DEFENDED, "none", None)


def gradient_sources(
    classifier: WhiteBoxClassifier, surrogates: Sequence[SurrogateLike]
) -> list[Source]:
    """Return the undefended base, the defences as they were built, and each surrogate asked for.

    Those of a binarised network's signs (`ste_polynomial:16`) are the last.

    A network that takes encoded images has no base. A preprocessor of ART's own that is not ours
    can be differentiated as the identity; the other surrogates know our own maps only. One that no
    defence takes is left out (see `wanted_surrogates`), two of one name are refused.
    """
    known, signs = white_box(classifier), _sign_sources(classifier, surrogates)
    if not classifier.defences:
        return [Source("own", classifier, BOTH, known, None), *signs]
    chain = [traits(defence) for defence in classifier.defences]
    own = [one.surrogate.name for one in chain if one.surrogate is not None]
    built = "+".join(dict.fromkeys(own)) or None
    sources = [Source("own", classifier, DEFENDED, known, built)]
    if classifier.has_base:
        sources.insert(0, Source("base", classifier.base, BOTH, "base", None))
    foreign = any(one.foreign for one in chain)
    seen, mine = {built}, dict[str, Surrogate]()
    for wanted in surrogates:
        made = meaning(classifier.defences, wanted)
        if made is None:
            continue
        name = made.name
        if mine.setdefault(name, made) != made:
            msg = f"two surrogates are called {name!r}; give them names of their own (Custom)"
            raise InputError(msg)
        changes = any(change(defence, wanted) for defence in classifier.defences)
        if name in seen or not (changes or (foreign and name == "identity")):
            continue
        seen.add(name)
        asked = wanted if isinstance(wanted, str) else name
        twin = classifier.with_surrogate(wanted)
        sources.append(Source(asked, twin, DEFENDED, known, name, wanted))
    return [*sources, *signs]


def _sign_sources(
    classifier: WhiteBoxClassifier, surrogates: Sequence[SurrogateLike]
) -> list[Source]:
    """Return the classifier through every other gradient of its network's signs."""
    models, known = DEFENDED if classifier.defences else BOTH, white_box(classifier)
    sources = {}
    for wanted in surrogates:
        gradient = SIGN_GRADIENTS.find(wanted)
        if gradient is not None:
            asked = wanted if isinstance(wanted, str) else gradient.name
            twin = classifier.with_surrogate(wanted)
            sources[gradient.name] = Source(asked, twin, models, known, gradient.name, wanted)
    return list(sources.values())


def wanted_surrogates(
    classifier: WhiteBoxClassifier, surrogates: Sequence[SurrogateLike], attacks: object
) -> tuple[SurrogateLike, ...]:
    """Return the surrogates that are asked for, with those of a suite of attacks.

    One that none of the defences takes is refused; `soft` and `identity`, which are always asked
    for, are not.
    """
    listed = (*surrogates, *suite_surrogates(attacks))
    for wanted in listed if classifier.defences else ():
        signs = SIGN_GRADIENTS.find(wanted) is not None
        if not signs and not (isinstance(wanted, str) and wanted in USUAL):
            check_meaning(classifier.defences, wanted)
    return listed


def relaxed_twin(classifier: WhiteBoxClassifier) -> tuple[str, WhiteBoxClassifier] | None:
    """Return the classifier on which published attacks make their examples, and what is in it.

    It has the smooth relative in place of each defence that has one, RandMix for RandDisc, whose
    name is the first of the two. None where no defence has one.
    """
    smooth = [traits(defence).relaxed() for defence in classifier.defences]
    names = dict.fromkeys(type(defence).__name__ for defence in smooth if defence is not None)
    if not names:
        return None
    return "+".join(names), classifier.with_each_defence(lambda d: traits(d).relaxed() or d)


def relaxed_source(classifier: WhiteBoxClassifier) -> Source | None:
    """Return the source of transfers from the twin of `relaxed_twin`, if there is one."""
    found = relaxed_twin(classifier)
    if found is None:
        return None
    name, twin = found
    surrogate = f"transfer: {name} twin"
    return Source(name.lower(), twin, DEFENDED, white_box(classifier), surrogate)


def keep_only(sources: list[Source], classifier: WhiteBoxClassifier, through: str) -> list[Source]:
    """Return the one source of this name, refusing a name that there is not."""
    meant = meaning(classifier.defences, through)
    alias = None if meant is None else meant.name
    named = [s for s in sources if s.name == through or (alias and s.surrogate == alias)]
    if not named:
        known = ", ".join(source.name for source in sources)
        msg = f"through must be one of {known}, got {through!r}"
        raise InputError(msg)
    return named[:1]
