"""The page of an evaluation."""

from typing import Any

from art_disc.core.records import EvaluationRecord
from art_disc.report import tables
from art_disc.report.curves import accuracy_plot
from art_disc.report.histograms import codewords, pixel_plot
from art_disc.report.notices import headlines, notices
from art_disc.report.page import environment_rows, fill
from art_disc.report.pictures import Pictures
from art_disc.report.reading import dataset_name, in_unit_range, network_name, show_eps
from art_disc.report.strip import make_strip

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
        record=record,
        dataset=dataset_name(record),
        network=network_name(record),
        notices=notices(record),
        headlines=headlines(record),
        verdict=tables.verdict_rows(record),
        groups=tables.attack_groups(record),
        knowledge_words=tables.knowledge_words(),
        knowledge_columns=tables.knowledge_columns(),
        knowledge=tables.knowledge_rows(record),
        accuracy=accuracy_plot(record),
        certificates=tables.certificate_rows(record),
        pixels=pixel_plot(record),
        strip=strip,
        strip_eps=strip and show_eps(strip.eps, grey_levels=in_unit_range(record)),
        **_settings(record),
    )


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
        "attack_settings": tables.attack_settings(record),
        "budget": tables.budget_rows(record),
        "facts": (
            ("Run", tables.setting_rows(run)),
            ("Data set", tables.setting_rows(record.dataset)),
            ("Network", tables.setting_rows(record.network)),
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
