"""The page of an evaluation."""

from typing import Any

from art_disc.core.records import EvaluationRecord
from art_disc.report import attacks, tables
from art_disc.report.curves import accuracy_plot
from art_disc.report.examples import breaker_table, example_table
from art_disc.report.histograms import codewords, pixel_plot
from art_disc.report.notices import headlines, notices
from art_disc.report.page import environment_rows, fill, made_by
from art_disc.report.pictures import Pictures
from art_disc.report.reading import dataset_name, in_unit_range, network_name, show_eps
from art_disc.report.steps import step_plot
from art_disc.report.strip import make_strip
from art_disc.report.verdict import banner, check_table

TEMPLATE = "evaluation.html.j2"
CODEWORDS_SHOWN = 16


def evaluation_page(record: EvaluationRecord, pictures: Pictures | None = None) -> str:
    """Return the page of an evaluation as HTML, complete in itself.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    strip = None if pictures is None else make_strip(pictures)
    return fill(
        TEMPLATE,
        title=f"Evaluation on {dataset_name(record)}",
        made_by=made_by(record),
        record=record,
        network=network_name(record),
        banner=banner(record),
        notices=notices(record),
        checks=check_table(record),
        headlines=headlines(record),
        result=tables.result_table(record),
        subject=_subject(record),
        accuracy=accuracy_plot(record),
        knowledge=tables.knowledge_table(record),
        steps=step_plot(record),
        breakers=breaker_table(record),
        examples=example_table(record),
        certificates=tables.certificate_table(record),
        pixels=pixel_plot(record),
        strip=strip,
        strip_eps=strip and show_eps(strip.eps, grey_levels=in_unit_range(record)),
        attacks=attacks.attack_table(record),
        knowledge_words=tables.knowledge_words(record),
        **_settings(record),
    )


def _subject(record: EvaluationRecord) -> tuple[tuple[str, str], ...]:
    """What was evaluated."""
    rows = [
        ("Data set", f"{dataset_name(record)}, n = {len(record.labels)}"),
        ("Network", network_name(record)),
        ("Defence", "; then ".join(record.defences) or "none"),
    ]
    if record.reference:
        rows.append(("Reference", str(record.reference.get("name") or "unnamed network")))
    return tuple(rows)


def _settings(record: EvaluationRecord) -> dict[str, Any]:
    run = {
        "seed": record.seed,
        "norm": record.norm,
        "eps": ", ".join(f"{value:.6g}" for value in record.eps),
        "clip values": ", ".join(f"{value:g}" for value in record.clip_values),
        "examples": len(record.example_ids),
        **record.settings,
    }
    return {
        "attack_settings": attacks.settings_table(record),
        "budget": attacks.budget_table(record),
        "facts": (
            ("Run", tables.setting_rows(run)),
            ("Data set", tables.setting_rows(record.dataset)),
            ("Network", tables.setting_rows(record.network)),
            ("Adversarially trained reference", tables.setting_rows(record.reference)),
            ("Codebook", _codebook_rows(record)),
            ("Environment", environment_rows(record.environment)),
        ),
    }


def _codebook_rows(record: EvaluationRecord) -> tuple[tuple[str, str], ...]:
    plain = {name: value for name, value in record.codebook.items() if name != "codewords"}
    rows = tables.setting_rows(plain)
    words = codewords(record)
    if not words.size:
        return rows
    shown = " ".join(_codeword(word) for word in words[:CODEWORDS_SHOWN].tolist())
    more = f" and {len(words) - CODEWORDS_SHOWN} more" if len(words) > CODEWORDS_SHOWN else ""
    return (*rows, ("codewords (0 to 255)", f"{len(words)}: {shown}{more}"))


def _codeword(word: list[float]) -> str:
    told = ", ".join(f"{255 * value:.4g}" for value in word)
    return told if len(word) == 1 else f"({told})"
