"""Evaluations: checks, accuracy under attack, every attack that was run."""

from typing import Any

from art_disc.core.records import EvaluationRecord
from art_disc.report import accuracy_tables, attacks
from art_disc.report.curves import accuracy_plot, step_plot
from art_disc.report.document import Document, Facts, Paragraph, Section
from art_disc.report.examples import breaker_table, example_table, examples_csv
from art_disc.report.histograms import codewords, pixel_plot
from art_disc.report.pictures import Pictures, make_strip
from art_disc.report.reading import (
    KNOWLEDGE_WORDS,
    dataset_name,
    first,
    in_unit_range,
    knowledge_there,
    network_name,
    short_defence,
    training_line,
)
from art_disc.report.summary import evaluation_summary
from art_disc.report.table import Folded
from art_disc.report.verdict import (
    banner,
    check_tables,
    headlines,
    notices,
    unfinished,
    verdict_title,
)
from art_disc.report.views import View, settings_facts

CODEWORDS_SHOWN = 16
NO_CHECKS = (
    "No checks were asked for. They tell whether the attacks saw the defence: art-disc evaluate "
    '--checks standard, or evaluate(..., checks="standard").'
)


def _document(record: EvaluationRecord, pictures: Pictures | None = None) -> Document:
    examples, steps = example_table(record), step_plot(record)
    strip = make_strip(pictures, grey_levels=in_unit_range(record)) if pictures else None
    # how it was trained, and above all that it was not, is read before any number
    trained = f" ({told})" if (told := training_line(record)) else ""
    return Document.of(
        f"Evaluation on {dataset_name(record)}",
        ", ".join((network_name(record) + trained, *map(short_defence, record.defences))),
        Section.of("Verdict", banner(record), *notices(record)),
        Section.of("Checks", *(check_tables(record) or [Paragraph(NO_CHECKS)])),
        Section.of(
            "Accuracy over eps and attack steps" if steps else "Accuracy over eps",
            *(Paragraph(line, look="headline") for line in headlines(record)),
            accuracy_plot(record) or Paragraph("No attack finished, so there is no curve."),
            steps,
        ),
        Section.of("Examples", strip),
        Section.of("Accuracy under attack", accuracy_tables.result_table(record)),
        Section.of(
            "Model and attackers", accuracy_tables.knowledge_table(record), _subject(record)
        ),
        Section.of(
            "Which attack broke what",
            breaker_table(record),
            examples and Folded("Example by example", examples),
        ),
        Section.of(
            "Certificates",
            accuracy_tables.certificate_table(record),
            *accuracy_tables.assumptions(record),
        ),
        Section.of("Pixels and codewords", pixel_plot(record)),
        Section.of("All attacks", attacks.attack_table(record) or Paragraph("No attack was run.")),
        Section.of(
            "Settings and cost",
            attacks.budget_table(record),
            _facts(record),
            attacks.settings_table(record),
        ),
    )


def _subject(record: EvaluationRecord) -> Facts:
    rows = [
        ("Data set", f"{dataset_name(record)}, n = {len(record.labels)}"),
        ("Network", network_name(record)),
        ("Weights", training_line(record) or "how they were trained was not told"),
        ("Defence", "; then ".join(record.defences) or "none"),
    ]
    if record.reference:
        rows.append(("Reference", str(record.reference.get("name") or "unnamed network")))
    known = tuple((word, KNOWLEDGE_WORDS[word]) for word in knowledge_there(record))
    return Facts((("What was evaluated", tuple(rows)), ("What the attacker knew", known)))


def _facts(record: EvaluationRecord) -> Facts:
    run = {
        "seed": record.seed,
        "norm": record.norm,
        "eps": ", ".join(f"{value:.6g}" for value in record.eps),
        "clip values": ", ".join(f"{value:g}" for value in record.clip_values),
        "examples": len(record.example_ids),
        **record.settings,
    }
    return settings_facts(
        record,
        {
            "Run": run,
            "Data set": record.dataset,
            "Network": record.network,
            "Adversarially trained reference": record.reference,
            "Codebook": _codebook(record),
        },
    )


def _codebook(record: EvaluationRecord) -> dict[str, Any]:
    facts = {name: value for name, value in record.codebook.items() if name != "codewords"}
    words = [_codeword(word) for word in codewords(record).tolist()]
    if words:
        facts["codewords (0 to 255)"] = f"{len(words)}: {first(words, CODEWORDS_SHOWN, ' ')}"
    return facts


def _codeword(word: list[float]) -> str:
    levels = ", ".join(f"{255 * value:.4g}" for value in word)
    return levels if len(word) == 1 else f"({levels})"


def _text(record: EvaluationRecord) -> str:
    base = bool(record.base_correct)
    clean = f"base {record.clean('base')}   " if base else ""
    trained = training_line(record)
    lines = [f"network {network_name(record)}: {trained}"] if trained else []
    lines.append(f"clean   {clean}defended {record.clean()}")
    for eps in record.eps:
        other = f"base {record.worst(eps, model='base') or 'not attacked'}   " if base else ""
        worst = record.worst(eps) or "not attacked"
        lines.append(f"eps {eps:.4g}   {other}defended, worst of all attacks {worst}")
    lines.append(f"verdict: {verdict_title(record)}")
    lines += [
        f"  {check.id} {check.status}: {check.summary}"
        for check in record.checks
        if check.status != "pass"
    ]
    for status in ("failed", "skipped"):
        title, named = unfinished(record, status)
        lines += [f"{title}: {named}"] if title else []
    return "\n".join(lines if record.complete else [*lines, "interrupted: incomplete"])


VIEW = View(_document, _text, evaluation_summary, examples_csv, pictures=True)
