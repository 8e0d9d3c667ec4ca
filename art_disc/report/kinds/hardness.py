"""How hard a data set is to defend by a codebook, budget by budget."""

from art_disc.core.records.hardness import HardnessRecord, HardnessRow
from art_disc.report.document import Document, Paragraph, Section
from art_disc.report.table import Table
from art_disc.report.views import View, settings_section

LEGEND = (
    "exponent: median log_k of the code images in reach; per pixel: over the number of pixels; "
    "free: pixels that can change their codeword; gap: between pixels of two cells, in grey "
    "levels; neighbours: pixels within eps of a colour"
)
_SHARES = {"0.1": "10 %", "0.5": "50 %", "0.9": "90 %", "1": "most"}


def _document(record: HardnessRecord) -> Document:
    heads = ("eps", "exponent", "per pixel", "free", "gap", "separable")
    neighbours = (f"neighbours, {share}" for share in _SHARES.values())
    table = Table.of(
        "Budgets",
        "What each budget can do",
        tuple(f"#{head}" for head in (*heads, *neighbours)),
        map(_cells, record.budgets),
    )
    words = (" ".join(f"{level:.6g}" for level in code) for code in record.codewords_255)
    facts = {**record.dataset, "defence": record.defence, "codewords (0 to 255)": ", ".join(words)}
    return Document.of(
        f"{record.dataset.get('name')}  {record.defence}  {len(record.codewords_255)} codewords",
        f"{len(record.budgets)} budgets",
        Section.of("Budgets", table, Paragraph(LEGEND)),
        settings_section(record, {"Run": facts}),
    )


def _cells(row: HardnessRow) -> tuple[str, ...]:
    classes, apart, around = row.equivalence_classes, row.separability, row.neighbourhoods
    return (
        f"{row.eps:.4g}",
        f"{classes.median_exponent:.1f}",
        f"{classes.median_per_pixel:.4f}",
        f"{apart.share_of_pixels_free:.2%}",
        "inf" if apart.gap_in_grey_levels is None else f"{apart.gap_in_grey_levels:g}",
        "yes" if apart.separable else "no",
        *(f"{around.size_quantiles[share]:,}" for share in _SHARES),
    )


VIEW = View(_document)
