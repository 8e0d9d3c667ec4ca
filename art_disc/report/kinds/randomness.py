"""Randomness measured: gradients that agree, PGD that converges, draws that are right."""

from art_disc.core.records.draws import RULES, DrawsRecord, PersistentCurve
from art_disc.core.records.randomness import AgreementRecord, ConvergenceRecord
from art_disc.report import randomness as plots
from art_disc.report.table import Table, row
from art_disc.report.views import measured


def _agreement(record: AgreementRecord) -> Table:
    return Table.of(
        "Agreement",
        "Cosine of two independent estimates of one gradient, over images, by the draws of each",
        ("#draws", "#lower quartile", "#median", "#upper quartile", "zero or not finite"),
        (
            (str(draws), *(f"{q:.3g}" for q in record.quartiles(draws)), record.zero_share(draws))
            for draws in record.draws
        ),
    )


def _convergence(record: ConvergenceRecord) -> Table:
    rows = [
        row(str(point.draws), str(point.steps), str(point.gradients), point.share)
        for point in record.points
    ]
    return Table.of(
        "Convergence",
        f"Still correct at eps {record.eps:.4g} under PGD, by the draws of each gradient, at equal "
        "gradients an image",
        ("#draws", "#steps", "#gradients", "still correct"),
        (
            *rows,
            row("no change", "", "", record.clean),
            row("worst of all", "", "", record.worst),
        ),
    )


def _draws(record: DrawsRecord) -> Table:
    return Table.of(
        "Accuracy by rule",
        f"Images that are right over {record.draws} fresh draws, by the rule of counting",
        ("rule", "correct"),
        ((plots.RULE_WORDS[rule], record.share(rule)) for rule in RULES),
    )


def _persistent(record: PersistentCurve) -> Table:
    curve = zip(record.submissions, record.broken, record.errors, strict=True)
    return Table.of(
        "Broken",
        "Images of which at least one of so many submissions is misclassified",
        ("#submissions", "#broken", "#standard error"),
        ((str(t), f"{broken:.1%}", f"{error:.1%}") for t, broken, error in curve),
    )


AGREEMENT = measured("How far gradients agree", _agreement, plots.agreement_plot)
CONVERGENCE = measured("PGD through ever more draws", _convergence, plots.convergence_plot)
DRAWS = measured("Scored over fresh draws", _draws, plots.draws_plot)
PERSISTENT = measured("The same image submitted again", _persistent, plots.persistent_plot)
