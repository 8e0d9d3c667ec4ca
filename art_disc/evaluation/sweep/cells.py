"""The cells of a plan: the cross product without what would be the same twice."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import product
from typing import Any

from art_disc import __version__
from art_disc.core.records.base import SCHEMA_VERSION
from art_disc.core.records.sweep import Group
from art_disc.core.showing import Shown
from art_disc.defences import parse_defences
from art_disc.defences.traits import any_draws
from art_disc.evaluation.sweep.plan import SweepPlan
from art_disc.evaluation.sweep.words import PlannedAttack, told_apart

# the tie of a forward pass to a gradient (a rounded judgement), and two models to score on
_GRADIENT, _SCORING = 3, 2


@dataclass(frozen=True, slots=True)
class PlannedCell(Shown):
    """One attack at one budget through one source of gradients, under one seed, to be run."""

    dataset: str
    training: str
    defence: str
    eps: float
    attack: PlannedAttack
    surrogate: str
    seed: int

    @property
    def group(self) -> Group:
        """The classifier that is attacked: (data set, training, defence)."""
        return self.dataset, self.training, self.defence

    @property
    def coordinates(self) -> dict[str, Any]:
        """The fields that it shares with a `SweepCell`."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return own | {"attack": self.attack.label}

    @property
    def key(self) -> str:
        """Readable name, the same in every run: `digits/natural/none/eps=0.1/pgd/own/seed=0`."""
        return (
            f"{'/'.join(self.group)}/eps={self.eps:.10g}/{self.attack.label}/{self.surrogate}"
            f"/seed={self.seed}"
        )

    @property
    def passes(self) -> tuple[float, float]:
        """Estimated (gradients, queries) an image, as the attack's row tells them."""
        gradients, queries = self.attack.spec.cost(self.attack.settings)
        return float(gradients), float(queries)

    @property
    def cost(self) -> float:
        """Estimated forward passes an image, scoring included; at eps 0 nothing is tried."""
        gradients, queries = self.passes if self.eps else (0.0, 0.0)
        return _GRADIENT * gradients + queries + _SCORING

    def content_hash(self, facts: Mapping[str, Any]) -> str:
        """Return 16 hexadecimal digits over everything that decides the cell's numbers.

        Args:
            facts: What the cell does not say itself: data, weights, codebook file, batch size, ...
        """
        body = {
            **self.coordinates,
            "attack": self.attack.spec.name,
            "settings": self.attack.settings,
            "version": __version__,
            "schema": SCHEMA_VERSION,
            **facts,
        }
        text = json.dumps(body, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def plan_cells(plan: SweepPlan) -> tuple[PlannedCell, ...]:
    """Return the plan's cells in a fixed order, each once.

    Attacks without gradients have the one surrogate `none`; an undefended network that is not
    binarised has `own` alone.
    """
    cells, attacks = {}, plan.planned_attacks
    for dataset, training, defence in product(plan.datasets, plan.trainings, plan.defences):
        sources, signs = plan.sources(defence, training), plan.signs(training)
        draws = any_draws(parse_defences(defence))
        for attack in attacks:
            seen = told_apart(attack.spec, sources, signs, draws=draws)
            for surrogate, eps, seed in product(seen, plan.eps, plan.seeds):
                cell = PlannedCell(dataset, training, defence, eps, attack, surrogate, seed)
                cells[cell.key] = cell
    return tuple(cells.values())
