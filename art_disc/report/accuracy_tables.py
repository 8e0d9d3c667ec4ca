"""The tables of an evaluation's results, worded and sorted."""

from collections.abc import Iterator

from art_disc.core.records import KNOWLEDGE, VERDICTS, EvaluationRecord, Share
from art_disc.report.document import Paragraph
from art_disc.report.reading import (
    KNOWLEDGE_SHORT,
    budget,
    clean_share,
    knowledge_there,
    lower_percent,
    models_there,
    percent,
)
from art_disc.report.table import Cell, Table, row

HEADINGS = {
    "base": "Undefended network",
    "reference": "Adversarially trained reference",
    "defended": "Defended",
}
_CERTIFIED = ("eps", "Method", "#Certified", "#Falsified", "#Undecided")
GRID_HEADING = "Defended, rounded to the 8-bit grid"


def result_table(record: EvaluationRecord) -> Table:
    """Clean accuracy, then the worst over all attacks at each budget, model beside model."""
    models = models_there(record)
    grid = any(row.grid_correct for row in record.select(scored_on="defended"))
    blank = ("",) if grid else ()
    rows = [row("Clean accuracy", *(clean_share(record, model) for model in models), *blank)]
    for eps in record.eps:
        name = f"Not broken by any attack, eps {budget(record, eps)}"
        shares = [record.worst(eps, model=model) for model in models]
        rounded = [record.worst(eps, grid=True)] if grid else []
        rows.append(row(name, *shares, *rounded, look="headline-row"))
    for certificate in record.certificates:
        name = f"Certified (proved), eps {budget(record, certificate.eps)}"
        rest = [Cell("no certificate", look="missing")] * (len(models) - 1)
        proved = Share(certificate.count("certified"), len(certificate.verdicts))
        rows.append(row(name, *rest, proved if proved.total else None, *blank))
    return Table.of(
        "Accuracy under attack",
        f"{len(record.labels)} examples; percentages with the 95% Wilson interval and "
        "counts. An example counts as broken if its clean prediction is wrong or any attack "
        "changed it within eps.",
        ("Examples still correct", *(HEADINGS[m] for m in models), *[GRID_HEADING] * grid),
        rows,
        look="verdict",
        sortable=False,
    )


def certificate_table(record: EvaluationRecord) -> Table:
    """For each certificate: eps, method, the counts, exact lower limit."""
    return Table.of(
        "Certificates",
        "Verdicts on the defended model, proved under the assumptions below: robust accuracy lies "
        "between the certified share and that of examples not falsified. Those wrong when clean "
        "are among the falsified, or undecided where that is not clear. The lower limit is the "
        "exact one-sided 99% limit of the certified accuracy, for examples drawn independently.",
        (*_CERTIFIED, "#Wrong when clean", "#Lower limit"),
        (
            (
                budget(record, found.eps),
                found.method,
                *(_counted(found.count(verdict), len(found.verdicts)) for verdict in VERDICTS),
                str(found.correct.count(False)) if found.correct else "not told",
                lower_percent(found.lower_limit(0.99)) if found.verdicts else "not measured",
            )
            for found in record.certificates
        ),
    )


def assumptions(record: EvaluationRecord) -> Iterator[Paragraph]:
    """Yield what the verdicts assume, once for all certificates that assume the same."""
    sharing: dict[str, list[str]] = {}
    for found in record.certificates:
        sharing.setdefault(found.assumes, []).append(budget(record, found.eps))
    for assumes, budgets in sharing.items():
        at = f" at eps {', '.join(budgets)}" if len(sharing) > 1 else ""
        yield Paragraph(assumes, title=f"What the verdicts{at} assume")


def _counted(count: int, total: int) -> str:
    return f"{count} ({percent(count / total, total)})" if total else "0"


def knowledge_table(record: EvaluationRecord) -> Table:
    """The defended model's worst at each budget, by what the attacker knew."""
    known = knowledge_there(record)
    ways = (*((word,) for word in known), KNOWLEDGE)
    return Table.of(
        "Defended accuracy by knowledge",
        "Defended model: examples that no attack with this knowledge broke",
        ("eps", *(KNOWLEDGE_SHORT[word] for word in known), "all together"),
        (
            (
                Cell(budget(record, eps), sort=eps),
                *(record.worst(eps, knowledge=way) for way in ways),
            )
            for eps in record.eps
        ),
    )
