"""The verdict of the checks, the table of the checks, and what a reader must know beside them."""

from collections.abc import Iterator, Sequence

from art_disc.core.records import AttackOutcome, CheckResult, EvaluationRecord
from art_disc.report.document import Banner, Notice, Part
from art_disc.report.reading import budget, clean_share, first, white_box
from art_disc.report.table import Cell, Folded, Row, Table, row

# A symbol and a word beside each colour: colour alone tells nothing to many readers and printers.
SYMBOLS = {"flawed": "\u2716", "incomplete": "\u25d0", "complete": "\u2713", "unchecked": "?"}
STATUS_SYMBOLS = {"pass": "\u2713", "fail": "\u2716", "not run": "\u25cb"}
IDS_SHOWN = 20


def verdict_title(record: EvaluationRecord) -> str:
    """Word the verdict, with how many checks of which tier it stands on, and attacks that failed.

    None of them says more than that nothing was found.
    """
    lost = ", ".join(dict.fromkeys(row.attack for row in record.failed))
    return f"{_verdict_words(record)}{f'; failed attacks: {lost}' if lost else ''}"


def _verdict_words(record: EvaluationRecord) -> str:
    level, missing = record.verdict, _ids(record, "not run")
    if level == "unchecked":
        return "Not checked" if record.complete else "Not checked: the run was interrupted"
    if level == "complete":
        return f"No flaw found by {_checks(record)}"
    if level == "flawed":
        said = f"Flawed: {_ids(record, 'fail')} failed"
    elif missing:
        said = f"Incomplete: {missing} {'were' if ',' in missing else 'was'} not run"
    elif record.complete:
        return f"Incomplete: no flaw found by {_checks(record)}"
    else:
        said = "Incomplete: the run was interrupted"
    return f"{said} (of {_checks(record)})"


def _checks(record: EvaluationRecord) -> str:
    """Return `10 quick checks`."""
    n = len(record.checks)
    return " ".join(filter(None, (str(n), record.checks_tier, f"check{'s' * (n != 1)}")))


def banner(record: EvaluationRecord) -> Banner:
    """Return the verdict with what follows from it."""
    level = record.verdict
    words = {
        "flawed": "The numbers below may be far too good: read the failed checks and their cures "
        "before any of them.",
        "incomplete": "No check failed, but the evaluation is not whole: what is missing may "
        "lower the numbers below.",
        "complete": "That is no proof: a stronger attack may still lower the numbers below.",
        "unchecked": "Nothing here says whether the attacks really saw the defence. Run the "
        "evaluation with checks.",
    }
    return Banner(level, SYMBOLS[level], verdict_title(record), words[level])


def _ids(record: EvaluationRecord, status: str) -> str:
    return ", ".join(check.id for check in record.checks if check.status == status)


def check_tables(record: EvaluationRecord) -> list[Part]:
    """Return a table of the checks that did not pass, and a folded one of those that did."""
    count = {s: sum(check.status == s for check in record.checks) for s in STATUS_SYMBOLS}
    open_ones = [check for check in record.checks if check.status != "pass"]
    passed = [check for check in record.checks if check.status == "pass"]
    told = f"{count['fail']} failed, {count['not run']} not run, {count['pass']} passed"
    shown = _table(
        "Checks that did not pass",
        f"{_checks(record)} of the evaluation: {told}. Example ids are those of the data set's "
        "test split.",
        open_ones,
    )
    kept = _table("Checks that passed", "What the checks that passed found", passed)
    title = f"{len(passed)} of {_checks(record)} passed: what they found"
    return [*([shown] if shown else []), *([Folded(title, kept)] if kept else [])]


def _table(label: str, caption: str, checks: Sequence[CheckResult]) -> Table:
    heads = ("Check", "Status", "Looks at", "What was found", "Examples", "Tier")
    return Table.of(label, caption, heads, map(_row, checks), look="wide attacks checks")


def _row(check: CheckResult) -> Row:
    kind = check.status.replace(" ", "-")
    number = check.id.lstrip("C")
    cure = f"Cure: {check.cure}" if check.status == "fail" and check.cure else ""
    return row(
        Cell(check.id, sort=int(number) if number.isdigit() else check.id),
        Cell(f"{STATUS_SYMBOLS[check.status]} {check.status}", look=f"verdict-{kind}"),
        check.title,
        Cell(check.summary, note=cure, look="finding"),
        _examples(check),
        check.tier,
        look=kind,
    )


def _examples(check: CheckResult) -> Cell:
    if not check.example_ids:
        return Cell("none", sort=0)
    note = first([f"#{i}" for i in check.example_ids], IDS_SHOWN)
    count = len(check.example_ids)
    return Cell(str(count), note=note, sort=count, look="ids")


def notices(record: EvaluationRecord) -> Iterator[Notice]:
    """Return every notice that applies, the gravest first."""
    yield from _incomplete(record)
    yield from _unfinished(record, "failed", "warning")
    yield from _doubtful(record)
    yield from _unfinished(record, "skipped", "remark")


def headlines(record: EvaluationRecord) -> list[str]:
    """Word the result at each budget as what it is: what these attacks failed to break."""
    told = []
    for eps in record.eps:
        share, at = record.worst(eps), f"at eps {budget(record, eps)}"
        if share is None:
            continue
        if share.count:
            said = f"{share.count} of {share.total} images survived every attack tried here {at}."
        else:
            said = f"The attacks tried here left none of {share.total} images correct {at}."
        told.append(said)
    if told:
        one = len(told) == 1
        what = "That is an upper estimate" if one else "These are upper estimates"
        told[-1] += f" {what} of robust accuracy, not {'a proof' if one else 'proofs'}."
    return told


def _incomplete(record: EvaluationRecord) -> Iterator[Notice]:
    """Certificates that were broken, a run that ended early, budgets without a number."""
    if found := record.contradictions():
        title = f"{len(found)} certified examples were broken: the certificates here are wrong."
        named = [f"#{record.example_ids[i]} at eps {budget(record, eps)}" for i, eps in found]
        text = f"Trust neither them nor the defence's code: {first(named, 5)}."
        yield Notice("alert", title, text)
    if not record.complete:
        text = "Later attacks can only lower the numbers on this page."
        yield Notice("alert", "Interrupted: incomplete - only finished rows are shown.", text)
    if eps := [value for value in record.eps if record.worst(value) is None]:
        title = f"The defended model was not attacked at eps {_budgets(record, eps)}."
        text = "No attack on it finished, so this page says nothing about it."
        yield Notice("alert", title, text)
    attacked = [value for value in record.eps if value not in eps]
    allowed = white_box(record)
    if eps := [value for value in attacked if record.worst(value, knowledge=allowed) is None]:
        title = f"Not a white-box number at eps {_budgets(record, eps)}."
        text = (
            "No attack that differentiates through the defence (bpda) finished there. Transfer "
            "and query attacks alone say little about an attacker who knows the defence."
        )
        yield Notice("alert", title, text)


def _budgets(record: EvaluationRecord, eps: list[float]) -> str:
    return ", ".join(budget(record, value) for value in eps)


def _unfinished(record: EvaluationRecord, status: str, level: str) -> Iterator[Notice]:
    title, named = unfinished(record, status)
    if title:
        yield Notice(level, f"{title}.", f"They broke nothing and prove nothing: {named}.")


def unfinished(record: EvaluationRecord, status: str) -> tuple[str, str]:
    """Word how many attack runs failed or were skipped, and which and why; both empty: none."""
    rows = [outcome for outcome in record.outcomes if outcome.status == status]
    if not rows:
        return "", ""
    named = "; ".join(_run_words(record, row) for row in rows[:5])
    more = f"; and {len(rows) - 5} more, all in the table of attacks" if len(rows) > 5 else ""
    return f"{len(rows)} of {len(record.outcomes)} attack runs {status}", f"{named}{more}"


def _run_words(record: EvaluationRecord, row: AttackOutcome) -> str:
    reason = f" ({row.reason})" if row.reason else ""
    return f"{row.attack} on {row.scored_on} at eps {budget(record, row.eps)}{reason}"


def _doubtful(record: EvaluationRecord) -> Iterator[Notice]:
    """Signs of masked gradients, and examples of few classes."""
    if signs := list(_masked(record)):
        title = "Attacks that know less broke more than the white-box ones."
        text = (
            "This is a common sign of masked gradients, so the white-box attacks may be too weak: "
            f"{'; '.join(signs)}."
        )
        yield Notice("warning", title, text)
    # first-n examples of data sorted by class are examples of one class
    there, known = len(set(record.labels)), record.dataset.get("classes")
    if isinstance(known, int) and 2 * there < min(known, len(record.labels)):
        title = f"The examples are of {there} of {known} classes."
        text = "The data seem to be sorted by class; draw the examples by class share (stratified)."
        yield Notice("warning", title, text)


def _masked(record: EvaluationRecord) -> Iterator[str]:
    """Less knowledge must not make an attacker stronger; where it does, gradients mislead."""
    allowed = white_box(record)
    others = tuple(known for known in ("base", "none") if known not in allowed)
    for eps in record.eps:
        strong = record.worst(eps, knowledge=allowed)
        weak = record.worst(eps, knowledge=others)
        if strong and weak and clean_share(record) and weak.count < strong.count:
            at = budget(record, eps)
            yield f"at eps {at} they left {weak.count} correct, white box {strong.count}"
