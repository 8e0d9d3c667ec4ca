"""A sweep's plan: which data sets, networks, defences, budgets, attacks and seeds are crossed."""

import re
import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from art_disc.attacks import TIERS, suite_surrogates
from art_disc.core.budget import check_norm
from art_disc.core.checks import check_count, check_eps
from art_disc.core.errors import DataNotFoundError, FileFormatError, InputError
from art_disc.core.showing import Shown
from art_disc.core.words import known_words, parse_number
from art_disc.evaluation.sweep.words import (
    PlannedAttack,
    gradient_sources,
    naming,
    parse_attacks,
    parse_duration,
    parse_training,
)
from art_disc.networks import SignGradient
from art_disc.networks.named import named_signs
from art_disc.training.words import NetworkWords

DEVICES = ("auto", "cpu", "cuda")
_LISTS = ("datasets", "trainings", "defences", "eps", "attacks", "surrogates", "seeds")


@dataclass(frozen=True)
class SweepPlan(Shown):
    """What a sweep crosses; a TOML file has keys of the same names.

    Attributes:
        name: Of the sweep; the default run folder is called so.
        datasets: Names or paths, as for `load_dataset`.
        defences: `none`, `density:n_codes=2,radius=0.6`, ... as on the command line.
        eps: Budgets in [0, 1]; `"8/255"` is read too.
        attacks: Names of the table, with settings if need be (`pgd:max_iter=20`), or a suite.
        tier: Of the settings that are not given: `smoke`, `standard` or `strong`.
        trainings: `natural`, `natural:epochs=5,seed=1`, `pgd:eps=0.1`, `single_step:eps=0.1`, each
            with `network=fcn2` for a binarised network; `given:model=MODULE:FACTORY,weights=FILE`
            is the user's own.
        surrogates: Where gradients come from: `own` (the defence as written), `base` (the
            undefended network), `identity`, `soft:ALPHA`; of a binarised network's signs
            `ste_identity:16`. What a classifier has no use for is `own`.
        seeds: Of the attacks' random draws, and of a randomised defence's.
        n_ex: Test images attacked; None: all.
        stratified: Draw them by class share, with seed 0, so that all cells see the same ones.
        norm: `inf` or `2`.
        batch_size: Images an attack gets at once; part of what makes a run repeatable.
        threads: CPU threads of each worker; fixed, so that counts repeat.
        time_limit: `2h`, `90s`: no cell starts later than that; None: none.
        data_dir: Where `NAME.npz` is looked for first.
        device: `auto` (the GPU where there is one), `cpu` or `cuda`.

    Raises:
        InputError: A value does not fit; the message names the key.
    """

    name: str
    datasets: tuple[str, ...]
    defences: tuple[str, ...]
    eps: tuple[float, ...]
    attacks: tuple[str, ...]
    tier: str = "standard"
    trainings: tuple[str, ...] = ("natural",)
    surrogates: tuple[str, ...] = ("own",)
    seeds: tuple[int, ...] = (0,)
    n_ex: int | None = None
    stratified: bool = False
    norm: str = "inf"
    batch_size: int = 100
    threads: int = 1
    time_limit: str | None = None
    data_dir: str | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        for key in _LISTS:
            object.__setattr__(self, key, _unique(key, getattr(self, key)))
        self._check_words()
        with naming("norm"):
            object.__setattr__(self, "norm", check_norm(self.norm))
        top = 1.0 if self.norm == "inf" else float("inf")
        with naming("eps"):
            eps = [check_eps(parse_number(v, float, "eps"), upper=top) for v in self.eps]
        object.__setattr__(self, "eps", tuple(dict.fromkeys(eps)))
        with naming("seeds"):
            for seed in self.seeds:
                check_count(seed, "a seed", least=0)
        for key in ("batch_size", "threads", "n_ex"):
            with naming(key):
                if (value := getattr(self, key)) is not None or key != "n_ex":
                    check_count(value, key)
        if self.time_limit is not None:
            with naming("time_limit"):
                parse_duration(self.time_limit)
        # a word that cannot be read shows here, not in its first cell
        for defence in self.defences:
            with naming("defences"):
                gradient_sources(defence, ("own",))
            for training in self.trainings:
                self.sources(defence, training)
        _ = self.planned_attacks, self.planned_trainings

    def _check_words(self) -> None:
        if not isinstance(self.name, str) or not re.fullmatch(r"\w[\w.-]*", self.name):
            msg = f"plan key 'name' must be one word that can name a folder, got {self.name!r}"
            raise InputError(msg)
        if not isinstance(self.stratified, bool):
            msg = f"plan key 'stratified' must be true or false, got {self.stratified!r}"
            raise InputError(msg)
        for key, known in (("tier", TIERS), ("device", DEVICES)):
            if (value := getattr(self, key)) not in known:
                msg = f"plan key {key!r} must be one of {', '.join(known)}, got {value!r}"
                raise InputError(msg)

    @property
    def planned_attacks(self) -> tuple[PlannedAttack, ...]:
        """The attacks with all their settings."""
        with naming("attacks"):
            return parse_attacks(self.attacks, self.tier)

    @property
    def planned_trainings(self) -> tuple[NetworkWords, ...]:
        """The trainings, read."""
        with naming("trainings"):
            return tuple(parse_training(text) for text in self.trainings)

    def signs(self, training: str) -> SignGradient | None:
        """How the signs of a training's network are differentiated; None where it has none."""
        with naming("trainings"):
            return named_signs(parse_training(training).network)

    def sources(self, defence: str, training: str) -> tuple[str, ...]:
        """Sources of gradients that differ for this defence and network, those of suites too."""
        suites = (word for attack in self.attacks for word in suite_surrogates(attack))
        signs = self.signs(training)
        with naming("surrogates"):
            return gradient_sources(defence, (*self.surrogates, *suites), signs)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, every default filled in."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Read a plan file.

        Raises:
            DataNotFoundError: No such file.
            FileFormatError: Not TOML.
            InputError: A key is unknown or missing, or its value does not fit.
        """
        source = Path(path)
        if not source.is_file():
            msg = f"no such plan file: {source}"
            raise DataNotFoundError(msg)
        try:
            body = tomllib.loads(source.read_text(encoding="utf-8"))
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            msg = f"{source} is not TOML: {error}"
            raise FileFormatError(msg) from error
        try:
            return cls.from_dict(body)
        except InputError as error:
            msg = f"{source}: {error}"
            raise InputError(msg) from error

    @classmethod
    def from_dict(cls, body: dict[str, Any]) -> Self:
        """Build the plan from the keys and values of a file.

        Raises:
            InputError: A key is unknown or missing, or its value does not fit.
        """
        known = [f.name for f in fields(cls)]
        for key in body:
            if key not in known:
                msg = f"unknown plan key {key!r}; {known_words(key, known)}"
                raise InputError(msg)
        for key in ("name", "datasets", "defences", "eps", "attacks"):
            if key not in body:
                msg = f"plan key {key!r} is missing"
                raise InputError(msg)
        return cls(**body)


def _unique(key: str, value: Any) -> tuple[Any, ...]:
    """Return a list's entries once each, in order; one value alone is a list of one."""
    entries = tuple(value) if isinstance(value, list | tuple) else (value,)
    kinds: tuple[type, ...] = (str,)
    if key in ("eps", "seeds"):
        kinds = (int, float, str) if key == "eps" else (int,)
    if not entries or not all(isinstance(e, kinds) and e not in ("", None) for e in entries):
        what = {"eps": "budgets", "seeds": "whole numbers"}.get(key, "words")
        shown = str | float | int
        got = ", ".join(repr(e) if isinstance(e, shown) else type(e).__name__ for e in entries)
        msg = f"plan key {key!r} must be a list of {what}, at least one, got [{got}]"
        if kinds == (str,):
            msg += "; a plan holds words alone"
        if key == "datasets":
            msg += ": save arrays with numpy.savez and give the path"
        raise InputError(msg)
    return tuple(dict.fromkeys(entries))
