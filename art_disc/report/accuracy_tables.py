"""The tables of an evaluation's results, worded and sorted."""

from art_disc.core.records import (
    KNOWLEDGE,
    VERDICTS,
    CertificateRecord,
    EvaluationRecord,
    Share,
)
from art_disc.report.document import Pairs
from art_disc.report.reading import (
    KNOWLEDGE_SHORT,
    KNOWLEDGE_WORDS,
    clean_share,
    in_unit_range,
    knowledge_there,
    lower_percent,
    models_there,
    show_eps,
)
from art_disc.report.table import Cell, Table, row, share_cell

HEADINGS = {
    "base": "Undefended network",
    "reference": "Adversarially trained reference",
    "defended": "Defended",
}
GRID_HEADING = "Defended, rounded to the 8-bit grid"


def result_table(record: EvaluationRecord) -> Table:
    """Clean accuracy, then the worst over all attacks at each budget, model beside model."""
    models = models_there(record)
    grid = any(row.grid_correct for row in record.select(scored_on="defended"))
    clean = tuple(share_cell(clean_share(record, model)) for model in models)
    blank = (Cell(),) if grid else ()
    rows = [row("Clean accuracy", *clean, *blank)]
    for eps in record.eps:
        cells = tuple(share_cell(record.worst(eps, model=model)) for model in models)
        rounded = (share_cell(record.worst(eps, grid=True)),) if grid else ()
        name = f"Not broken by any attack, eps {_at(record, eps)}"
        rows.append(row(name, *cells, *rounded, look="headline-row"))
    for certificate in record.certificates:
        name = f"Certified (proved), eps {_at(record, certificate.eps)}"
        rest = (Cell("no certificate", look="missing"),) * (len(models) - 1)
        rows.append(row(name, *rest, share_cell(_certified(certificate)), *blank))
    return Table.of(
        "Accuracy under attack",
        f"{len(record.labels)} examples; percentages with the 95% Wilson interval and "
        "counts. An example counts as broken if its clean prediction is wrong or any attack "
        "changed it within eps.",
        (
            "Examples still correct",
            *(HEADINGS[model] for model in models),
            *((GRID_HEADING,) if grid else ()),
        ),
        rows,
        look="verdict",
        sortable=False,
    )


def _at(record: EvaluationRecord, eps: float) -> str:
    return show_eps(eps, grey_levels=in_unit_range(record))


def _certified(record: CertificateRecord) -> Share | None:
    total = len(record.verdicts)
    return Share(record.count("certified"), total) if total else None


def certificate_table(record: EvaluationRecord) -> Table | None:
    """For each certificate: eps, method, the three counts, exact lower limit, what it assumes."""
    if not record.certificates:
        return None
    return Table.of(
        "Certificates",
        "Verdicts on the defended model, proved under what each assumes. The lower limit is the "
        "exact one-sided 99% limit of the certified accuracy, for examples drawn independently.",
        ("eps", "Method", "#Certified", "#Falsified", "#Undecided", "#Lower limit", "Assumes"),
        (
            (
                _at(record, found.eps),
                found.method,
                *(str(found.count(verdict)) for verdict in VERDICTS),
                lower_percent(found.lower_limit(0.99)) if found.verdicts else "not measured",
                found.assumes,
            )
            for found in record.certificates
        ),
        look="wide attacks assuming",
    )


def knowledge_table(record: EvaluationRecord) -> Table | None:
    """The defended model's worst at each budget, by what the attacker knew."""
    if not record.eps:
        return None
    known = knowledge_there(record)
    ways = (*((word,) for word in known), KNOWLEDGE)
    return Table.of(
        "Defended accuracy by knowledge",
        "Defended model: examples that no attack with this knowledge broke",
        ("eps", *(KNOWLEDGE_SHORT[word] for word in known), "all together"),
        (
            (
                Cell(_at(record, eps), sort=eps),
                *(share_cell(record.worst(eps, knowledge=way)) for way in ways),
            )
            for eps in record.eps
        ),
    )


def knowledge_words(record: EvaluationRecord) -> Pairs:
    """What each word for the attacker's knowledge means."""
    return tuple((word, KNOWLEDGE_WORDS[word]) for word in knowledge_there(record))
