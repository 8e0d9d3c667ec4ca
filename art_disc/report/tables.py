"""The rows of the evaluation's tables, worded and sorted."""

from dataclasses import dataclass

from art_disc.core.records import (
    KNOWLEDGE,
    VERDICTS,
    AttackOutcome,
    CertificateRecord,
    EvaluationRecord,
    Setting,
    Share,
)
from art_disc.report.reading import (
    KNOWLEDGE_SHORT,
    KNOWLEDGE_WORDS,
    MODEL_WORDS,
    NORM_WORDS,
    ShareText,
    clean_share,
    in_unit_range,
    lower_percent,
    show_eps,
    show_setting,
    show_share,
)


@dataclass(frozen=True, slots=True)
class ShareRow:
    """A row of shares under the columns of its table."""

    name: str
    cells: tuple[ShareText | None, ...]
    headline: bool = False


@dataclass(frozen=True, slots=True)
class AttackRow:
    """One attack; unless it is done `accuracy` is None and `reason` says why."""

    attack: str
    knowledge: str
    surrogate: str
    targeted: str
    accuracy: ShareText | None
    alone: str
    gradients: str
    queries: str
    seconds: str
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Group:
    """The attacks at one budget on one model, strongest first."""

    title: str
    rows: tuple[AttackRow, ...]


def verdict_rows(record: EvaluationRecord) -> tuple[ShareRow, ...]:
    """Clean accuracy, then the worst over all attacks at each budget: undefended, defended."""
    models = ("base", "defended")
    clean = tuple(show_share(clean_share(record, model)) for model in models)
    rows = [ShareRow("Clean accuracy", clean)]
    for eps in record.eps:
        cells = tuple(show_share(record.worst(eps, model=model)) for model in models)
        at = show_eps(eps, grey_levels=in_unit_range(record))
        rows.append(ShareRow(f"Not broken by any attack, eps {at}", cells, headline=True))
    for certificate in record.certificates:
        at = show_eps(certificate.eps, grey_levels=in_unit_range(record))
        cells = (None, show_share(_certified(certificate)))
        rows.append(ShareRow(f"Certified (proved), eps {at}", cells))
    return tuple(rows)


def _certified(record: CertificateRecord) -> Share | None:
    total = len(record.verdicts)
    return Share(record.count("certified"), total) if total else None


def certificate_rows(record: EvaluationRecord) -> tuple[tuple[str, ...], ...]:
    """For each certificate: eps, method, the three counts, exact lower limit, what it assumes."""
    return tuple(
        (
            show_eps(row.eps, grey_levels=in_unit_range(record)),
            row.method,
            *(str(row.count(verdict)) for verdict in VERDICTS),
            lower_percent(row.lower_limit(0.99)) if row.verdicts else "not measured",
            row.assumes,
        )
        for row in record.certificates
    )


def knowledge_columns() -> tuple[str, ...]:
    """Headings of `knowledge_rows`."""
    return (*(KNOWLEDGE_SHORT[known] for known in KNOWLEDGE_SHORT), "all together")


def knowledge_rows(record: EvaluationRecord) -> tuple[ShareRow, ...]:
    """The defended model's worst at each budget, by what the attacker knew."""
    ways = (*((known,) for known in KNOWLEDGE_SHORT), KNOWLEDGE)
    return tuple(
        ShareRow(
            show_eps(eps, grey_levels=in_unit_range(record)),
            tuple(show_share(record.worst(eps, knowledge=way)) for way in ways),
        )
        for eps in record.eps
    )


def attack_groups(record: EvaluationRecord) -> tuple[Group, ...]:
    """All outcomes, in groups of one budget and model; skipped and failed ones come last."""
    groups: dict[tuple[float, str, str], list[AttackOutcome]] = {}
    for outcome in record.outcomes:
        groups.setdefault((outcome.eps, outcome.norm, outcome.scored_on), []).append(outcome)
    # the defended model is the subject, so it stands before the undefended one
    ordered = sorted(groups, key=lambda key: (key[0], key[1], key[2] != "defended"))
    made = []
    for eps, norm, model in ordered:
        at = show_eps(eps, grey_levels=in_unit_range(record))
        title = f"{_model(model).capitalize()}, {NORM_WORDS.get(norm, norm)}, eps {at}"
        alone = record.breakers(eps) if model == "defended" else {}
        rows = sorted(groups[eps, norm, model], key=_strength)
        made.append(Group(title, tuple(_row(row, alone) for row in rows)))
    return tuple(made)


def _strength(outcome: AttackOutcome) -> tuple[bool, float]:
    return (True, 0.0) if not outcome.correct else (False, outcome.share.value)


def _knowledge(outcome: AttackOutcome) -> str:
    # what is a transfer against the defended model is a white-box attack on the undefended one
    if outcome.scored_on == outcome.knowledge == "base":
        return "white box (base)"
    return KNOWLEDGE_SHORT.get(outcome.knowledge, outcome.knowledge)


def _model(name: str) -> str:
    return MODEL_WORDS.get(name, name)


def _row(outcome: AttackOutcome, alone: dict[str, int]) -> AttackRow:
    done = outcome.status == "done"
    judged = done and outcome.scored_on == "defended"
    return AttackRow(
        attack=outcome.attack,
        knowledge=_knowledge(outcome),
        surrogate=outcome.surrogate or "none",
        targeted="yes" if outcome.targeted else "no",
        accuracy=show_share(outcome.share) if outcome.correct else None,
        alone=str(alone.get(outcome.attack, 0)) if judged else "",
        gradients=f"{outcome.gradients:,}" if done else "",
        queries=f"{outcome.queries:,}" if done else "",
        seconds=f"{outcome.seconds:,.1f}" if done else "",
        status=outcome.status,
        reason=outcome.reason,
    )


def knowledge_words() -> tuple[tuple[str, str], ...]:
    """What each word for the attacker's knowledge means."""
    return tuple(KNOWLEDGE_WORDS.items())


def setting_rows(values: dict[str, Setting]) -> tuple[tuple[str, str], ...]:
    """Word a dictionary of settings, in the order in which it was written."""
    return tuple((name.replace("_", " "), show_setting(value)) for name, value in values.items())


def attack_settings(record: EvaluationRecord) -> tuple[tuple[str, ...], ...]:
    """For each outcome: attack, model, knowledge, surrogate, eps, seed, settings."""
    return tuple(
        (
            outcome.attack,
            _model(outcome.scored_on),
            outcome.knowledge,
            outcome.surrogate or "none",
            show_eps(outcome.eps, grey_levels=in_unit_range(record)),
            str(outcome.seed),
            ", ".join(f"{name} = {show_setting(v)}" for name, v in outcome.settings.items())
            or "defaults",
        )
        for outcome in record.outcomes
    )


def budget_rows(record: EvaluationRecord) -> tuple[tuple[str, ...], ...]:
    """Attack runs, gradients, queries and seconds for each model and in all."""
    rows = []
    for name in ("defended", "base", "all"):
        chosen = [o for o in record.outcomes if name in (o.scored_on, "all")]
        rows.append(
            (
                _model(name),
                f"{len(chosen):,}",
                f"{sum(o.gradients for o in chosen):,}",
                f"{sum(o.queries for o in chosen):,}",
                f"{sum(o.seconds for o in chosen):,.1f}",
            )
        )
    return tuple(rows)
