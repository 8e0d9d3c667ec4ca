"""Where an attack's gradients come from, and what they know."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from art_disc.attacks import AttackSpec, suite_surrogates
from art_disc.core.errors import InputError
from art_disc.defences import traits
from art_disc.defences.meaning import change, check_known, check_meaning, meaning
from art_disc.defences.traits import any_draws
from art_disc.estimators.contract import WhiteBoxClassifier
from art_disc.estimators.signs import own_signs, sign_gradient
from art_disc.networks import SignGradient
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
        maps: How the defences are differentiated, by name.
        signs: How the network's signs are; None where it has none, or it is no white box.
    """

    name: str
    classifier: WhiteBoxClassifier
    models: tuple[str, ...]
    knowledge: str
    surrogate: str | None
    wanted: SurrogateLike | None = None
    maps: str = ""
    signs: SignGradient | None = None


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

    Where the network has signs, the name of a source's gradient names that of the signs too; those
    that were asked for (`ste_polynomial:16`) are the last, behind the defences' own surrogates.

    A network that takes encoded images has no base. A preprocessor of ART's own that is not ours
    can be differentiated as the identity; the other surrogates know our own maps only. One that no
    defence takes is left out (see `wanted_surrogates`), two of one name are refused.
    """
    chain = [traits(defence) for defence in classifier.defences]
    built = "+".join(dict.fromkeys(one.surrogate.name for one in chain if one.surrogate))
    sources = [_source("own", classifier, built)]
    if not classifier.defences:
        sources[0] = replace(sources[0], models=BOTH)
    elif classifier.has_base:
        base = replace(_source("base", classifier.base, ""), models=BOTH, knowledge="base")
        sources.insert(0, base)
    return [
        *sources,
        *_map_sources(classifier, surrogates, built),
        *_sign_sources(classifier, surrogates, sources[-1]),
    ]


def _source(
    name: str, classifier: WhiteBoxClassifier, maps: str, wanted: SurrogateLike | None = None
) -> Source:
    """Return a white-box source, whose record names all that is differentiated in another way."""
    signs = own_signs(classifier)
    shown = "+".join(filter(None, (maps, signs.name if signs else ""))) or None
    return Source(name, classifier, DEFENDED, white_box(classifier), shown, wanted, maps, signs)


def _map_sources(
    classifier: WhiteBoxClassifier, surrogates: Sequence[SurrogateLike], built: str
) -> list[Source]:
    """Return the classifier through every surrogate that changes a defence's gradient."""
    foreign = any(traits(defence).foreign for defence in classifier.defences)
    seen, mine, sources = {built}, dict[str, Surrogate](), []
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
        sources.append(_source(asked, classifier.with_surrogate(wanted), name, wanted))
    return sources


def _sign_sources(
    classifier: WhiteBoxClassifier, surrogates: Sequence[SurrogateLike], own: Source
) -> list[Source]:
    """Return the classifier through every other gradient of its network's signs."""
    found = {own.signs: own}
    for wanted in surrogates:
        gradient = SIGN_GRADIENTS.find(wanted)
        if gradient is not None:
            asked = wanted if isinstance(wanted, str) else gradient.name
            made = _source(asked, classifier.with_surrogate(wanted), own.maps, wanted)
            found.setdefault(made.signs, replace(made, models=own.models))
    return list(found.values())[1:]


def told_apart(spec: AttackSpec, sources: Sequence[Source]) -> list[Source]:
    """Return the sources that make a difference to an attack along gradients, each the first.

    What looks behind the map sees no surrogate of a defence; see `AttackSpec.sees` too.
    """
    if spec.behind:
        white = [source for source in sources if source.name != "base"] or sources
        sources = [replace(s, maps="", surrogate=s.signs.name if s.signs else None) for s in white]
    first: dict[object, Source] = {}
    for source in sources:
        signs = spec.sees(source.signs, draws=any_draws(source.classifier.defences))
        first.setdefault((source.name == "base", source.maps, signs), source)
    return list(first.values())


def wanted_surrogates(
    classifier: WhiteBoxClassifier, surrogates: Sequence[SurrogateLike], attacks: object
) -> tuple[SurrogateLike, ...]:
    """Return the surrogates that are asked for, with those of a suite of attacks.

    One that neither a defence nor the network's signs take is refused; `soft` and `identity`, which
    are always asked for, are not. Without anything to exchange, what others take is left out.
    """
    suite = suite_surrogates(attacks)
    if any(map(SIGN_GRADIENTS.find, suite)) and own_signs(classifier) is None:
        name = type(classifier.base_network).__name__
        msg = (
            f"attacks={attacks!r} is for networks with binarised activations, and {name} has none; "
            "take 'strong'"
        )
        raise InputError(msg)
    listed = (*surrogates, *suite)
    for wanted in listed:
        if isinstance(wanted, str) and wanted in USUAL:
            continue
        if sign_gradient(classifier, wanted) is None:
            if classifier.defences:
                check_meaning(classifier.defences, wanted)
            else:
                check_known(wanted)
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
    meant, signs = meaning(classifier.defences, through), SIGN_GRADIENTS.find(through)
    own = signs and signs.of(classifier.base_network)
    same = [
        source
        for source in sources
        if source.name != "base"
        and ((meant and source.maps == meant.name) or (own and source.signs == own))
    ]
    named = [source for source in sources if source.name == through] or same
    if not named:
        known = ", ".join(source.name for source in sources)
        msg = f"through must be one of {known}, got {through!r}"
        raise InputError(msg)
    return named[:1]
