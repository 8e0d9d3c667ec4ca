"""Randomness measured: gradients that agree, PGD that converges, draws that are right."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from art_disc.core.records.base import Environment, Setting
from art_disc.core.records.draws import RULES, DrawsRecord, PersistentCurve
from art_disc.core.records.randomness import AgreementRecord, ConvergenceRecord
from art_disc.report import randomness as plots
from art_disc.report.document import Document, Facts, Section
from art_disc.report.drawing import Drawing
from art_disc.report.page import environment_rows
from art_disc.report.table import Table, row, share_cell
from art_disc.report.tables import setting_rows
from art_disc.report.views import View


def plot_of(plot: Callable[[Any, Any], Any], record: Any, table: Table) -> Drawing:
    """A drawing by a function of record and Axes, beside the table with its numbers."""
    alt = f"Plot: {table.caption}. Its numbers are in the table."
    return Drawing(partial(_paint, plot=plot, record=record), alt, table.caption)


def _paint(figure: Any, *, plot: Callable[[Any, Any], Any], record: Any) -> None:
    plot(record, figure.add_subplot())


def settings(run: dict[str, Setting], defences: Sequence[str], environment: Environment) -> Section:
    """What was measured and where."""
    facts = {**run, "defence": "; then ".join(defences) or "none"}
    groups = (("Run", setting_rows(facts)), ("Environment", environment_rows(environment)))
    return Section.of("Settings", Facts(groups))


def _agreement(record: AgreementRecord) -> Document:
    rows = (
        row(
            str(draws),
            *(f"{value:.3g}" for value in record.quartiles(draws)),
            share_cell(record.zero_share(draws)),
        )
        for draws in record.draws
    )
    table = Table.of(
        "Agreement",
        "Cosine of two independent estimates of one gradient, over images, by the draws of each",
        ("#draws", "#lower quartile", "#median", "#upper quartile", "zero or not finite"),
        rows,
    )
    run: dict[str, Setting] = {"loss": record.loss, "seed": record.seed, "seconds": record.seconds}
    return Document.of(
        "How far estimates of a gradient agree",
        f"{len(record.cosines[0]) if record.cosines else 0} images",
        Section.of("Agreement", plot_of(plots.agreement_plot, record, table), table),
        settings(run, record.defences, record.environment),
    )


def _convergence(record: ConvergenceRecord) -> Document:
    rows = [
        row(*(str(n) for n in (point.draws, point.steps, point.gradients)), share_cell(point.share))
        for point in record.points
    ]
    rows += [
        row("no change", "", "", share_cell(record.clean)),
        row("worst of all", "", "", share_cell(record.worst)),
    ]
    table = Table.of(
        "Convergence",
        f"Still correct at eps {record.eps:.4g} under PGD, by the draws of each gradient, at equal "
        "gradients an image",
        ("#draws", "#steps", "#gradients", "still correct"),
        rows,
    )
    names = ("eps", "gradients", "step_factor", "random_start", "fresh", "seed")
    run = {name: getattr(record, name) for name in names} | record.settings
    return Document.of(
        "PGD through ever more draws",
        f"{len(record.clean_correct)} images",
        Section.of("Convergence", plot_of(plots.convergence_plot, record, table), table),
        settings(run, record.defences, record.environment),
    )


def _draws(record: DrawsRecord) -> Document:
    table = Table.of(
        "Accuracy by rule",
        f"Images that are right over {record.draws} fresh draws, by the rule of counting",
        ("rule", "correct"),
        ((plots.RULE_WORDS[rule], share_cell(record.share(rule))) for rule in RULES),
    )
    run: dict[str, Setting] = {"draws": record.draws, "seed": record.seed}
    return Document.of(
        "Scored over fresh draws",
        f"{len(record.right)} images",
        Section.of("Accuracy", plot_of(plots.draws_plot, record, table), table),
        settings(run, record.defences, record.environment),
    )


def _persistent(record: PersistentCurve) -> Document:
    curve = zip(record.submissions, record.broken, record.errors, strict=True)
    table = Table.of(
        "Broken",
        "Images of which at least one of so many submissions is misclassified",
        ("#submissions", "#broken", "#standard error"),
        ((str(t), f"{broken:.1%}", f"{error:.1%}") for t, broken, error in curve),
    )
    return Document.of(
        "An attacker who submits the same image again and again",
        f"{record.total} images",
        Section.of("Broken", plot_of(plots.persistent_plot, record, table), table),
        settings({"draws": record.draws}, (), record.environment),
    )


AGREEMENT = View(_agreement)
CONVERGENCE = View(_convergence)
DRAWS = View(_draws)
PERSISTENT = View(_persistent)
