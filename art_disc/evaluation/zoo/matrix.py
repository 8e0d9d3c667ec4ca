"""The attack zoo: every attack of the table against several classifiers, one cell each."""

from collections.abc import Mapping, Sequence
from typing import Any

from tqdm import tqdm

from art_disc.attacks import ATTACKS, TIERS, AttackSpec, attack_table
from art_disc.attacks.zoo.discovery import LEFT_OUT
from art_disc.core.budget import Budget
from art_disc.core.checks import check_choice, check_eps, number_of
from art_disc.core.errors import InputError
from art_disc.core.records.zoo import ZooRecord
from art_disc.core.seeds import derive_seed
from art_disc.data import as_dataset
from art_disc.estimators import as_classifier
from art_disc.estimators.contract import WhiteBoxClassifier, top_of
from art_disc.estimators.describe import defence_lines
from art_disc.evaluation.describe import describe_network, describe_run
from art_disc.evaluation.door import examples_of
from art_disc.evaluation.zoo.cell import ZooSetup, run_cell
from art_disc.report import Table
from art_disc.trials import Scorer
from art_disc.trials.streams import callers_stream


@callers_stream
def zoo_matrix(  # noqa: PLR0913 - each is a choice of its own
    classifiers: Mapping[str, Any],
    data: Any,
    *,
    tier: str = "smoke",
    attacks: str | Sequence[str] | None = None,
    eps: float = 0.2,
    n_ex: int = 8,
    time_limit: float = 300,
    seed: int = 0,
    training: str | Mapping[str, str] = "",
    verbose: bool = True,
) -> ZooRecord:
    """Run every attack of the table against every classifier and tell what became of it.

    Nothing here measures robustness: few images, and in the tier `smoke` few steps. It tells which
    of ART's attacks work on these classifiers, and that what they get is no empty gradient.

    Args:
        classifiers: Name -> classifier; those without defences are what all are held against.
        data: Its first test images are attacked.
        tier: `smoke`, `standard` or `strong`: the attacks' settings.
        attacks: Names, as a list or joined by commas; None: all.
        eps: l_inf budget in the input range; an attack in l2 gets the norm of a change by that
            much everywhere.
        n_ex: Images.
        time_limit: Seconds a cell may take; 0: no limit. It needs the main thread of a Unix
            process and is left out elsewhere.
        seed: Of every attack's random draws.
        training: One line on how the network was trained, for the record; of several networks, a
            line for each classifier by its name.
        verbose: Show one progress bar.

    Raises:
        InputError: No classifier, an unknown attack or tier, or an argument that does not fit.
    """
    if not classifiers:
        msg = "zoo_matrix needs at least one classifier, by name"
        raise InputError(msg)
    chosen = attacks if isinstance(attacks, str) else list(attacks or ATTACKS)
    check_choice(tier, "tier", TIERS)
    if not 0 <= number_of(time_limit) < float("inf"):
        msg = f"time_limit must be a number of seconds >= 0, got {time_limit!r}"
        raise InputError(msg)
    table = attack_table(chosen, tier=tier)
    classifiers = {name: as_classifier(given) for name, given in classifiers.items()}
    first = next(iter(classifiers.values()))
    upper = top_of(first)
    budget = Budget(check_eps(eps, upper=upper), upper=upper)
    data = as_dataset(data, first).part(n_ex, least=2)
    x, y = examples_of(first, data, upper)
    scorers = {
        name: Scorer(classifier, x, y, draws=1, seed=derive_seed(seed, "score", name))
        for name, classifier in classifiers.items()
    }
    zoo = ZooSetup(x, y, budget, seed, time_limit, scorers)
    cells = []
    with tqdm(total=len(table) * len(classifiers), unit="cell", disable=not verbose) as bar:
        for spec, settings in table:
            for name, classifier in classifiers.items():
                bar.set_description(f"{spec.name} on {name.partition(':')[0]}")
                cells.append(run_cell(zoo, spec, settings, name, classifier))
                bar.update()
    facts = describe_run(first, data, y, training=_line(training, next(iter(classifiers))))
    return ZooRecord(
        **{key: facts[key] for key in ("dataset", "example_ids", "labels", "network")},
        environment=facts["environment"],
        defences={name: defence_lines(model) for name, model in classifiers.items()},
        tier=tier,
        eps=budget.eps,
        seed=seed,
        time_limit=float(time_limit),
        cells=tuple(cells),
        left_out=dict(LEFT_OUT),
        networks=_others(classifiers, training),
    )


def _others(
    classifiers: Mapping[str, WhiteBoxClassifier], training: str | Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Return the networks of classifiers that have not the first one's."""
    first = next(iter(classifiers.values())).base_network
    return {
        name: describe_network(model.base_network, _line(training, name))
        for name, model in classifiers.items()
        if model.base_network is not first
    }


def _line(training: str | Mapping[str, str], name: str) -> str:
    return training if isinstance(training, str) else training.get(name, "")


def attack_list() -> Table:
    """Return the table of attacks: name, ART's class, norms, needs, cost, and notes."""
    return Table.of(
        "Attacks",
        "The table of attacks; passes an image: gradients + queries in each tier",
        ("name", "attack", "ART's class", "norm", "needs", "passes an image", "note"),
        map(_attack_row, ATTACKS.values()),
    )


def _attack_row(spec: AttackSpec) -> tuple[str, ...]:
    needs = "gradients" if spec.gradients else "predictions"
    norms = ", ".join(f"l_{n}" if n == "inf" else f"l{n}" for n in spec.norms) or "none"
    return (
        spec.name,
        spec.label,
        spec.art or "none",
        norms if spec.bounded or not spec.norms else f"{norms} (smallest)",
        ", ".join((needs, *spec.packages)),
        " / ".join("{:.0f}+{:.0f}".format(*spec.cost(spec.tiers[tier])) for tier in TIERS),
        "; ".join(filter(None, (spec.note, "not repeatable" * (not spec.repeatable)))),
    )


def left_out_list() -> Table:
    """Return ART's classes that are not in the table, and why."""
    heads = ("ART's class", "why it is left out")
    return Table.of("Left out", "ART's classes that are left out", heads, LEFT_OUT.items())
