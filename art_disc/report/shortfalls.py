"""Whether one evaluation falls short of another: for builds that are to fail where it does."""

from art_disc.core.checks import check_positive
from art_disc.core.records import EvaluationRecord
from art_disc.report.comparison import compare


def shortfalls(a: EvaluationRecord, b: EvaluationRecord, *, points: float) -> tuple[str, ...]:
    """Return in what the first run falls short of the second, one line each; none: in nothing.

    It falls short where fewer of the same examples are right, clean or under attack; and where it
    was tested less, because numbers rise that way too.

    Args:
        a: The evaluation that is judged.
        b: The one that was accepted.
        points: Percentage points >= 0 by which an accuracy may be lower.

    Raises:
        InputError: As for `compare`, or a number of points that is none.
    """
    allowed = check_positive(points, "points", zero=True)
    found = compare(a, b)
    lines = [
        f"{f'accuracy at eps {row.eps:.4g}' if row.eps else 'clean accuracy'}: "
        f"{row.a.value:.2%}, {-100 * row.difference:.2f} points below {row.b.value:.2%}"
        for row in found.rows
        # whole counts, so that a limit of 2 points lets 2 of 100 examples go
        if 100 * (row.only_b - row.only_a) > allowed * row.total
    ]
    budgets = sorted({eps for eps in b.eps if b.worst(eps) is not None} & {*found.left_out})
    passed = {check.id for check in b.checks if check.status == "pass"}
    passed -= {check.id for check in a.checks if check.status == "pass"}
    attacks = {*found.b.attacks} - {*found.a.attacks}
    for what, missing in (
        ("budgets not attacked any more", [f"{eps:.4g}" for eps in budgets]),
        ("attacks not run any more", sorted(attacks)),
        ("checks not passed any more", sorted(passed, key=lambda one: int(one[1:]))),
    ):
        if missing:
            lines.append(f"{what}: {', '.join(missing)}")
    if b.complete and not a.complete:
        lines.append("interrupted before its end")
    return tuple(lines)
