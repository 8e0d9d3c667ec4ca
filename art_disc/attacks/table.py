"""The table of all attacks, the suites of it that an evaluation runs, and how it is addressed."""

import math
from collections.abc import Mapping

from art_disc.attacks.spec import TIERS, AttackSpec
from art_disc.attacks.zoo import ROWS
from art_disc.core.checks import check_choice
from art_disc.core.errors import InputError
from art_disc.core.words import known_words, parse_number
from art_disc.networks.sign_gradient import SPREAD

ATTACKS: dict[str, AttackSpec] = {spec.name: spec for spec in ROWS}

# the published six, and what needs no surrogate; strong adds what follows another path, or asks for
# labels alone
_STANDARD = ("fgsm", "pgd", "apgd_ce", "apgd_dlr", "sign_adam", "square", "code_space")
_BINARISED = ("fgsm", "pgd", "apgd_ce", "apgd_dlr", "code_space", "square", "hop_skip_jump")
_MORE = ("mim", "acg_dlr", "reacg_dlr", "hop_skip_jump")

SUITES: dict[str, tuple[tuple[str, ...], str]] = {
    "quick": (("fgsm", "pgd", "sign_adam", "square"), "smoke"),
    "standard": (_STANDARD, "standard"),
    "strong": ((*_STANDARD, *_MORE), "strong"),
    "thermometer": (("sign_adam", "pgd", "square"), "standard"),
    "binarised": (_BINARISED, "standard"),
}

# the published break of thermometer codes: 30 steps of an eighth of the budget
_OF_SUITES: dict[str, dict[str, dict[str, float | int]]] = {
    "thermometer": {"sign_adam": {"max_iter": 30, "steps_per_eps": 8}},
    # a look for masked gradients, on every image
    "binarised": {
        "hop_skip_jump": {"max_iter": 5, "max_eval": 300},
        # a gradient of signs is a guess, and points elsewhere
        "code_space": {"annealing": 500},
    },
}
_SURROGATES: dict[str, tuple[str, ...]] = {
    "thermometer": ("ramp", "identity"),
    "binarised": SPREAD,
}


def suite_surrogates(choice: object) -> tuple[str, ...]:
    """Return the surrogates that a suite is to be run through, beside those asked for."""
    return _SURROGATES.get(choice, ()) if isinstance(choice, str) else ()


def attack_table(
    choice: str | list[str], changes: Mapping[str, float | int | str] = {}, tier: str | None = None
) -> list[tuple[AttackSpec, dict[str, float | int]]]:
    """Return the attacks of a suite, or those named, with their settings.

    Args:
        choice: A suite, `quick`, `standard`, `strong`, `thermometer` (the published break of
            thermometer codes, PGD and Square) or `binarised` (networks of signs, by gradients,
            codes and queries), or names of `ATTACKS`, as a list or joined by commas.
        changes: `NAME.setting` to value, over the tier's own; text is read as a number.
        tier: `smoke`, `standard` or `strong`; None: the suite's own, `standard` for names.

    Raises:
        InputError: Unknown suite, attack, tier or setting.
    """
    if tier is not None:
        check_choice(tier, "tier", TIERS)
    own: dict[str, dict[str, float | int]] = {}
    if isinstance(choice, str) and choice in SUITES:
        names, own_tier = SUITES[choice]
        own = _OF_SUITES.get(choice, {})
    else:
        words = choice.split(",") if isinstance(choice, str) else list(choice)
        names, own_tier = tuple(word.strip() for word in words), "standard"
    for name in names:
        if name not in ATTACKS:
            msg = f"unknown attack {name!r}; {_cure(name)}"
            raise InputError(msg)
    changed = parse_settings(changes)
    if idle := sorted(set(changed) - set(names)):
        msg = f"settings for {', '.join(idle)}, which is not run; attacks: {', '.join(names)}"
        raise InputError(msg)
    rows = [
        (
            ATTACKS[name],
            {**ATTACKS[name].tiers[tier or own_tier], **own.get(name, {}), **changed.get(name, {})},
        )
        for name in names
    ]
    for spec, settings in rows:
        _check_cost(spec, settings)
    return rows


def _cure(name: str) -> str:
    """Return what to write in the place of a name that there is not."""
    attack, colon, rest = name.partition(":")
    if colon and attack in ATTACKS:
        setting, _, value = rest.partition("=")
        dotted = f"{attack}.{setting}"
        return (
            f"plans of sweeps take such words; elsewhere settings stand beside the names: "
            f"settings={{{dotted!r}: {value}}}, or --set {dotted}={value}"
        )
    return f"{known_words(name, (*SUITES, *ATTACKS))}, or ART attack objects"


def _check_cost(spec: AttackSpec, settings: Mapping[str, float | int]) -> None:
    """Refuse settings under which an attack would never end.

    Raises:
        InputError: Its cost is no finite number.
    """
    try:
        possible = all(0 <= passes < math.inf for passes in spec.cost(settings))
    except ArithmeticError:
        possible = False
    if not possible:
        words = ", ".join(f"{key}={value}" for key, value in settings.items())
        msg = f"{spec.name} cannot run with {words}; see art-disc zoo --list"
        raise InputError(msg)


def parse_settings(changes: Mapping[str, float | int | str]) -> dict[str, dict[str, float | int]]:
    """Return settings by attack from `NAME.setting` keys.

    Raises:
        InputError: Unknown attack or setting, or a value that is no number.
    """
    result: dict[str, dict[str, float | int]] = {}
    for key, value in changes.items():
        name, _, setting = key.partition(".")
        if name not in ATTACKS or setting not in ATTACKS[name].settings:
            known = f"ATTACK.SETTING, where ATTACK is one of {known_words(name, ATTACKS)}"
            if name in ATTACKS:
                known = known_words(key, [f"{name}.{s}" for s in ATTACKS[name].settings])
            msg = f"unknown setting {key!r}; {known}"
            raise InputError(msg)
        kind = type(ATTACKS[name].settings[setting])
        result.setdefault(name, {})[setting] = parse_number(value, kind, key)
    return result
