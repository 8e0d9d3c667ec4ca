"""The two protocols under which binarised and discretised networks are attacked.

`paper` is what the printed numbers of Panda et al. 2019 follow from: attackers start from the image
that the discretisation makes, at the centres of its cells, add eps times the sign of the gradient,
and the network discretises the sum again. Below half a cell no pixel leaves its cell, so nothing
happens at all; above, each moves by one. `raw` is a white box of all that predicts: from the raw
image, through the discretisation. Without a discretisation both are one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from art_disc import attacks
from art_disc.codebox import free_pixels
from art_disc.core.checks import check_choice
from art_disc.core.records import EvaluationRecord
from art_disc.core.records.protocols import PROTOCOLS, ProtocolOutcome
from art_disc.data import Dataset
from art_disc.defences import CodebookPreprocessor
from art_disc.estimators import DefendedClassifier
from art_disc.evaluation import evaluate
from art_disc.networks.sign_gradient import has_signs
from art_disc.reproduction.rows import bits_of, fitting, none_failed, worst_of
from art_disc.surrogates import SurrogateLike

# under `raw`, beside FGSM: the suite for such networks but for its attack by decisions alone; the
# settings keep 500 images of a small network to minutes of one core
_SUITE = "binarised"
ATTACKS = tuple(n for n in attacks.SUITES[_SUITE][0] if n not in ("fgsm", "hop_skip_jump"))
SETTINGS: Mapping[str, int] = {
    "pgd.max_iter": 20,
    "pgd.num_random_init": 1,
    "apgd_ce.max_iter": 20,
    "apgd_dlr.max_iter": 20,
    "square.max_iter": 200,
    "code_space.max_iter": 10,
    "code_space.num_random_init": 1,
}


def starts(classifier: DefendedClassifier, data: Dataset, protocol: str) -> Dataset:
    """Return the data set with the test images that attackers of a protocol start from.

    Args:
        classifier: Its defences discretise, or it has none.
        data: Images in [0, 1].
        protocol: `paper` or `raw`.

    Raises:
        InputError: No such protocol.
    """
    if check_choice(protocol, "protocol", PROTOCOLS) == "raw":
        return data
    x = data.x_test
    for defence in classifier.defences:
        x = defence(x)[0]
    return replace(data, x_test=np.clip(x, 0, 1))


@dataclass(frozen=True)
class Attack:
    """How networks are attacked, in the terms of `evaluate`.

    Attributes:
        attacks: Run under `raw` beside FGSM; may be none.
        settings: Over `SETTINGS`.
        surrogates: Gradients to attack through, beside the defences' and the layers' own; None:
            those of the suite for binarised networks.
        checks: Of the evaluation under `raw`, as for `evaluate`; None: none.
    """

    n_ex: int
    attacks: Sequence[str] = ATTACKS
    settings: Mapping[str, Any] = field(default_factory=dict)
    surrogates: Sequence[SurrogateLike] | None = None
    seed: int = 0
    verbose: bool = True
    checks: str | None = None

    def on(
        self,
        classifier: DefendedClassifier,
        data: Dataset,
        protocol: str,
        eps: Sequence[float],
        *,
        out: Path,
        training: str = "",
    ) -> dict[float, ProtocolOutcome]:
        """Attack a network at some budgets under one protocol.

        FGSM goes along the network's own gradient alone, one step from where attackers start.
        Finished attacks are kept in `out`, and not run again.

        Args:
            classifier: With its defences; images in [0, 1].
            data: The first `n_ex` test images are attacked.
            protocol: `paper` or `raw`; under `paper` FGSM is the only attack, as published.
            eps: Budgets in [0, 1].
            out: Folder of the evaluations' records.
            training: One line on how the network was trained.

        Returns:
            The outcome at each budget.

        Raises:
            AttackFailedError: An attack ended with an error.
        """
        raw = data.part(self.n_ex)
        begun = starts(classifier, raw, protocol)
        shared: dict[str, Any] = {
            "eps": tuple(eps), "seed": self.seed, "resume": True, "training": training,
            "verbose": self.verbose,
        }  # fmt: skip
        records = [
            evaluate(
                classifier, begun, attacks=["fgsm"], through="own", checks=None,
                out=out / f"{protocol}-fgsm", **shared,
            ).record
        ]  # fmt: skip
        names = fitting(self.attacks, classifier)
        if protocol == "raw" and names:
            records.append(
                evaluate(
                    classifier, begun, attacks=names, settings=self._settings(names),
                    surrogates=self._surrogates(classifier), checks=self.checks,
                    sequential=self.checks is None,
                    out=out / protocol, **shared,
                ).record
            )  # fmt: skip
        records = [none_failed(record) for record in records]
        start = float(np.abs(begun.x_test - raw.x_test).max())
        return {
            value: _outcome(records, value, protocol, start, _free(classifier, begun, value))
            for value in eps
        }

    def _settings(self, names: Sequence[str]) -> dict[str, Any]:
        every = {**SETTINGS, **self.settings}
        return {key: value for key, value in every.items() if key.split(".")[0] in names}

    def _surrogates(self, classifier: DefendedClassifier) -> tuple[SurrogateLike, ...]:
        if self.surrogates is not None:
            return tuple(self.surrogates)
        return attacks.suite_surrogates(_SUITE) if has_signs(classifier.base_network) else ()


def _free(classifier: DefendedClassifier, data: Dataset, eps: float) -> float | None:
    """Return the share of input values that reach a second code; None: nothing is discretised."""
    first = next(iter(classifier.defences), None)
    if not isinstance(first, CodebookPreprocessor):
        return None
    found = free_pixels(data.x_test, first.codebook, eps=eps)
    values = data.x_test.size if first.codebook.per_channel else data.x_test[:, 0].size
    return float(found.sum() / values)


def _outcome(
    records: Sequence[EvaluationRecord], eps: float, protocol: str, start: float, free: float | None
) -> ProtocolOutcome:
    done = [one for record in records for one in record.select(scored_on="defended", eps=eps)]
    n = len(records[0].labels)
    alive = np.all([record.survives(eps) for record in records], axis=0)
    return ProtocolOutcome(
        protocol=protocol,
        start=start,
        free=free,
        fgsm=bits_of(~np.array(done[0].breaks(eps))),
        alive=bits_of(alive),
        worst_of=worst_of(done),
        gradients=sum(one.gradients for one in done) / n,
        queries=sum(one.queries for one in done) / n,
    )
