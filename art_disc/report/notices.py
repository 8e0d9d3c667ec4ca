"""What a reader must know before any number, and the headline in plain words."""

from art_disc.core.records import AttackOutcome, EvaluationRecord
from art_disc.report.document import Notice
from art_disc.report.reading import clean_share, in_unit_range, show_eps, white_box


def notices(record: EvaluationRecord) -> tuple[Notice, ...]:
    """Return every notice that applies, the gravest first."""
    return (
        *_contradicted(record),
        *_interrupted(record),
        *_not_attacked(record),
        *_not_white_box(record),
        *_unfinished(record, "failed"),
        *_masked(record),
        *_few_classes(record),
        *_unfinished(record, "skipped"),
    )


def headlines(record: EvaluationRecord) -> tuple[str, ...]:
    """Word the result at each budget as what it is: what these attacks failed to break."""
    grey_levels = in_unit_range(record)
    lines = []
    for eps in record.eps:
        share = record.worst(eps)
        if share is None:
            continue
        at = f"at eps {show_eps(eps, grey_levels=grey_levels)}"
        if share.count:
            said = f"{share.count} of {share.total} images survived every attack tried here {at}."
        else:
            said = f"The attacks tried here left none of {share.total} images correct {at}."
        lines.append(f"{said} That is an upper estimate of robust accuracy, not a proof.")
    return tuple(lines)


def _contradicted(record: EvaluationRecord) -> list[Notice]:
    found = record.contradictions()
    if not found:
        return []
    title = f"{len(found)} certified examples were broken: the certificates here are wrong."
    named = ", ".join(
        f"#{record.example_ids[i]} at eps {_budgets(record, [eps])}" for i, eps in found[:5]
    )
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return [Notice("alert", title, f"Trust neither them nor the defence's code: {named}{more}.")]


def _interrupted(record: EvaluationRecord) -> list[Notice]:
    if record.complete:
        return []
    text = "Later attacks can only lower the numbers on this page."
    return [Notice("alert", "Interrupted: incomplete - only finished rows are shown.", text)]


def _budgets(record: EvaluationRecord, eps: list[float]) -> str:
    return ", ".join(show_eps(value, grey_levels=in_unit_range(record)) for value in eps)


def _not_attacked(record: EvaluationRecord) -> list[Notice]:
    eps = [value for value in record.eps if record.worst(value) is None]
    if not eps:
        return []
    title = f"The defended model was not attacked at eps {_budgets(record, eps)}."
    return [Notice("alert", title, "No attack on it finished, so this page says nothing about it.")]


def _not_white_box(record: EvaluationRecord) -> list[Notice]:
    allowed = white_box(record)
    eps = [
        value
        for value in record.eps
        if record.worst(value) is not None and record.worst(value, knowledge=allowed) is None
    ]
    if not eps:
        return []
    title = f"Not a white-box number at eps {_budgets(record, eps)}."
    text = (
        "No attack that differentiates through the defence (bpda) finished there. Transfer and "
        "query attacks alone say little about an attacker who knows the defence."
    )
    return [Notice("alert", title, text)]


def _unfinished(record: EvaluationRecord, status: str) -> list[Notice]:
    rows = [outcome for outcome in record.outcomes if outcome.status == status]
    if not rows:
        return []
    title = f"{len(rows)} of {len(record.outcomes)} attack runs {status}."
    named = "; ".join(_run_words(record, row) for row in rows[:5])
    more = f"; and {len(rows) - 5} more, all in the table of attacks" if len(rows) > 5 else ""
    level = "warning" if status == "failed" else "remark"
    return [Notice(level, title, f"They broke nothing and prove nothing: {named}{more}.")]


def _run_words(record: EvaluationRecord, row: AttackOutcome) -> str:
    reason = f" ({row.reason})" if row.reason else ""
    return f"{row.attack} on {row.scored_on} at eps {_budgets(record, [row.eps])}{reason}"


def _few_classes(record: EvaluationRecord) -> list[Notice]:
    """First-n examples of data sorted by class are examples of one class."""
    there, known = len(set(record.labels)), record.dataset.get("classes")
    if not isinstance(known, int) or 2 * there >= min(known, len(record.labels)):
        return []
    title = f"The examples are of {there} of {known} classes."
    text = "The data seem to be sorted by class; draw the examples by class share (stratified)."
    return [Notice("warning", title, text)]


def _masked(record: EvaluationRecord) -> list[Notice]:
    """Less knowledge must not make an attacker stronger; where it does, gradients mislead."""
    signs, allowed = [], white_box(record)
    others = tuple(known for known in ("base", "none") if known not in allowed)
    for eps in record.eps:
        strong = record.worst(eps, knowledge=allowed)
        weak = record.worst(eps, knowledge=others)
        clean = clean_share(record)
        if strong and weak and clean and weak.count < strong.count:
            at = _budgets(record, [eps])
            signs.append(f"at eps {at} they left {weak.count} correct, white box {strong.count}")
    if not signs:
        return []
    text = (
        f"This is a common sign of masked gradients, so the white-box attacks may be too weak: "
        f"{'; '.join(signs)}."
    )
    return [Notice("warning", "Attacks that know less broke more than the white-box ones.", text)]
