"""The verdict of the checks in colour and words, and the table of the checks."""

from art_disc.core.records import CheckResult, EvaluationRecord
from art_disc.report.document import Banner
from art_disc.report.reading import first
from art_disc.report.table import Cell, Row, Table, row

# A symbol and a word beside each colour: colour alone tells nothing to many readers and printers.
SYMBOLS = {"flawed": "\u2716", "incomplete": "\u25d0", "complete": "\u2713", "unchecked": "?"}
STATUS_SYMBOLS = {"pass": "\u2713", "fail": "\u2716", "not run": "\u25cb"}
IDS_SHOWN = 20


def verdict_title(record: EvaluationRecord) -> str:
    """Word the verdict; none of them says more than that nothing was found."""
    level = record.verdict
    if level == "flawed":
        return f"Flawed: {_ids(record, 'fail')} failed"
    if level == "incomplete":
        missing = _ids(record, "not run")
        if not missing:
            return "Incomplete: the run was interrupted"
        return f"Incomplete: {missing} {'were' if ',' in missing else 'was'} not run"
    return "No flaw found by these checks" if level == "complete" else "Not checked"


def banner(record: EvaluationRecord) -> Banner:
    """Return the verdict with what follows from it."""
    level, n = record.verdict, len(record.checks)
    words = {
        "flawed": "The numbers below may be far too good: read the failed checks and their cures "
        "before any of them.",
        "incomplete": "No check failed, but the evaluation is not whole: what is missing may "
        "lower the numbers below.",
        "complete": f"{n} check{'s' * (n != 1)} passed. That is no proof: a stronger attack may "
        "still lower the numbers below.",
        "unchecked": "Nothing here says whether the attacks really saw the defence. Run the "
        "evaluation with checks.",
    }
    return Banner(level, SYMBOLS[level], verdict_title(record), words[level])


def _ids(record: EvaluationRecord, status: str) -> str:
    return ", ".join(check.id for check in record.checks if check.status == status)


def check_table(record: EvaluationRecord) -> Table:
    """Return the table of checks in their order."""
    count = {s: sum(check.status == s for check in record.checks) for s in STATUS_SYMBOLS}
    tier = f", tier {record.checks_tier}" if record.checks_tier else ""
    return Table.of(
        "Checks",
        f"{len(record.checks)} checks of the evaluation{tier}: {count['fail']} failed, "
        f"{count['not run']} not run, {count['pass']} passed. Example ids are those of the data "
        "set's test split.",
        ("Check", "Status", "Looks at", "What was found", "Examples", "Tier"),
        map(_row, record.checks),
        look="wide attacks checks",
    )


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
