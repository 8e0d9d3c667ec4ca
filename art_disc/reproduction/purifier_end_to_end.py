"""Attacks that know filter and classifier: the paper's single step, and what is asked for today."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from art_disc.core.checks import BoolArray
from art_disc.core.records import EvaluationRecord, Share
from art_disc.core.records.purifiers import PurifierCell
from art_disc.core.showing import Shown
from art_disc.defences import LQVAEFilter
from art_disc.evaluation import evaluate
from art_disc.networks import weights_hash
from art_disc.reproduction.protocols import SETTINGS, Attack
from art_disc.reproduction.published import PublishedPurifier
from art_disc.reproduction.purifier_bench import Bench, Judged
from art_disc.reproduction.rows import bits_of, none_failed, worst_of

# beside FGSM, through the surrogates below and the filter's own
ATTACKS = ("pgd", "apgd_ce", "apgd_dlr", "square")
SURROGATES = ("softcode:1", "tent", "latent", "identity")
# of a filter that draws, whose own is as good as flat far from a threshold
_DRAWN = ("tent",)
# fresh draws of a filter that draws, those of a gradient, and how many images are attacked so
_DRAWS, _EOT, SAMPLED = 20, 8, 300


@dataclass(frozen=True)
class EndToEnd(Shown):
    """Attacks on one classifier through the filter.

    Attributes:
        bench: The networks.
        model: The classifier.
        attacks: Beside FGSM; the per-example worst of all is counted.
        checks: As for `evaluate`; None: none.
    """

    bench: Bench
    model: str
    attacks: Sequence[str] = ATTACKS
    checks: str | None = None

    def cells(
        self, eps: Sequence[float], row: PublishedPurifier
    ) -> dict[float | None, tuple[PurifierCell, ...]]:
        """Return the cells at each budget.

        Args:
            eps: Budgets in [0, 1].
            row: What is printed of the single step.
        """
        bench, judged = self.bench, self.bench.judged(self.model, "lqvae")
        attack = Attack(
            bench.n_ex, self.attacks, bench.settings, surrogates=SURROGATES, seed=bench.seed,
            verbose=bench.verbose, checks=self.checks,
        )  # fmt: skip
        outcomes = attack.on(
            judged.classifier, bench.data, "raw", eps, out=self._folder("mean", eps),
            training=bench.judged(self.model).network,
        )  # fmt: skip
        aimed, drawn = self._aimed(judged, eps), self._drawn(eps)
        fixed = partial(PurifierCell, "lqvae", clean=judged.clean)
        return {
            value: (
                fixed(
                    "end to end, one step", row.lqvae, outcome.fgsm, attacks="FGSM through softcode"
                ),
                PurifierCell("defense_gan", "end to end, one step", row.defense_gan),
                fixed(
                    "end to end, latent codes", None, bits_of(aimed[value]),
                    attacks="LatentCodeAttack",
                ),
                fixed(
                    "end to end, worst", None, _both(outcome.alive, aimed[value]),
                    attacks=f"{outcome.worst_of}; LatentCodeAttack",
                ),
                *drawn[value],
            )
            for value, outcome in outcomes.items()
        }  # fmt: skip

    def _aimed(self, judged: Judged, eps: Sequence[float]) -> dict[float, BoolArray]:
        """Return what the attack on latent bits leaves at each budget, or left at a smaller one."""
        bench, left = self.bench, {}
        alive = judged.right[: bench.n_ex]
        for value in sorted(eps):
            alive = bench.left(judged, bench.aimed(judged, value, alive)) & alive
            left[value] = alive
        return left

    def _drawn(self, eps: Sequence[float]) -> dict[float, tuple[PurifierCell, ...]]:
        """Return the cells of sampled inference, attacked by PGD with EOT, at each budget."""
        purifier = LQVAEFilter(self.bench.vae, inference="sampled", seed=self.bench.seed)
        drawing = self.bench.behind(
            self.model, purifier, eot_samples=_EOT, vote_samples=_DRAWS, vote="hard"
        )
        # one function for gradient and prediction
        known = drawing.with_samples(eot=_EOT, vote=_EOT).frozen(self.bench.seed)
        voted = self._attacked(drawing, eps, "vote")
        # what one attack broke need not be attacked again; the worst draw asks for all
        fixed = self._attacked(known, eps, "fixed", sequential=True)
        clean = [Share.of(self.bench.right(one)) for one in (drawing, known)]
        return {
            value: tuple(
                PurifierCell(
                    "lqvae_sampled", f"end to end, {rule}", None, bits_of(alive), share,
                    worst_of(record.select(scored_on="defended", eps=value)),
                )
                for rule, record, alive, share in (
                    ("majority vote", voted, voted.survives(value), clean[0]),
                    ("worst draw", voted, unanimous(voted, value), clean[0]),
                    ("fixed draws", fixed, fixed.survives(value), clean[1]),
                )
            )
            for value in eps
        }  # fmt: skip

    def _attacked(
        self, classifier: Any, eps: Sequence[float], name: str, *, sequential: bool = False
    ) -> EvaluationRecord:
        """Run PGD through the filter's own gradient and those of `_DRAWN`, on `SAMPLED` images.

        Raises:
            AttackFailedError: An attack did not finish.
        """
        settings = {**SETTINGS, **self.bench.settings}
        record = evaluate(
            classifier,
            self.bench.part.part(min(SAMPLED, self.bench.n_ex)),
            eps=tuple(eps),
            attacks=["pgd"],
            surrogates=_DRAWN,
            settings={key: value for key, value in settings.items() if key.startswith("pgd.")},
            sequential=sequential,
            checks=None,
            draws=_DRAWS,
            seed=self.bench.seed,
            out=self._folder(name, eps),
            resume=True,
            verbose=self.bench.verbose,
        ).record
        return none_failed(record)

    def _folder(self, name: str, eps: Sequence[float]) -> Path:
        """Return where an evaluation is kept: that of these very weights and words."""
        bench = self.bench
        base = bench.judged(self.model).classifier.base_network
        asked = (
            weights_hash(base), weights_hash(bench.vae.network), bench.n_ex, bench.seed, tuple(eps),
            tuple(self.attacks), self.checks, sorted(bench.settings.items()),
        )  # fmt: skip
        key = hashlib.sha256(repr(asked).encode()).hexdigest()[:8]
        return bench.out / "rows" / f"{bench.data.name}-lqvae-{self.model}-{name}-{key}"


def _both(alive: str, also: BoolArray) -> str:
    return bits_of(one == "1" and other for one, other in zip(alive, also, strict=True))


def unanimous(record: EvaluationRecord, eps: float) -> tuple[bool, ...]:
    """Whether each example is right, and no fresh draw of any attack's image is wrong."""
    alive = np.array(record.survives(eps))
    for outcome in record.select(scored_on="defended", eps=eps):
        alive &= np.array(outcome.draw_correct) == outcome.draws
    return tuple(alive.tolist())
