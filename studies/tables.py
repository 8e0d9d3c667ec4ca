"""The committed tables of studies/results/tables, as part of docs/reproduction.md."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from art_disc.core.intervals import holm
from art_disc.core.records import load_record
from art_disc.core.records.protocols import ProtocolOutcome, ProtocolRow, ProtocolTableRecord
from art_disc.core.records.published import CertificateTableRecord, Gain, TableRecord, TableRow
from art_disc.report import as_markdown
from art_disc.report.drawing import Drawing, draw
from art_disc.report.kinds.protocols import plots_over_eps
from art_disc.report.kinds.published import eps_words
from art_disc.reproduction import TABLES as OF_ACCURACIES
from art_disc.reproduction.printed import kind_of
from studies.common import RESULTS, markdown
from studies.verdicts import decided

TABLES = RESULTS / "tables"
VERDICTS = ("certified", "falsified", "undecided")

HOW_TO_READ = [
    "Every number is what our attacks left, so an upper estimate; a gain can be the defence's, or",
    "an attack's that finds less behind it. What a gain costs in clean accuracy stands beside it.",
]


Key = tuple[str, str, str, float]


def conclusions(records: list[TableRecord]) -> list[str]:
    """Say for each data set which settings gain, what each pays, and what is masked."""
    found: dict[Key, tuple[TableRow, TableRow, Gain]] = {}
    for record in records:
        for place, gain in record.gains().items():
            row = record.rows[place]
            base = record.base_of(row)
            if base is not None:
                key = (row.dataset, row.setting, row.defence, row.eps)
                # of two runs of one row the one of more images
                if key not in found or len(row.alive) > len(found[key][0].alive):
                    found[key] = (row, base, gain)
    # one family: every setting on this page, once
    adjusted = dict(zip(found, holm([gain.raw for *_, gain in found.values()]), strict=True))
    lines = ["## What the rows say", "", *HOW_TO_READ, ""]
    for dataset in dict.fromkeys(key[0] for key in found):
        keys = [key for key in found if key[0] == dataset]
        sure = [key for key in keys if adjusted[key] < 0.05]
        lines += [
            f"**{dataset}**: {len(sure)} of {len(keys)} defended settings differ significantly "
            f"from their base in the worst case (p adjusted over all {len(found)} of this page).",
            "",
            *(_line(*found[key], adjusted[key]) for key in sure),
        ]
        rows = [found[key][0] for key in keys]
        # some tables are of attacks that do not know the defence
        known = [row for row in rows if "transfer" not in row.attack]
        masked = [row for row in known if row.worst.count < row.white_box.count]
        if masked:
            words = "; ".join(
                f"{row.setting}, {row.defence} ({row.white_box.count - row.worst.count} of "
                f"{row.worst.total})"
                for row in masked
            )
            lines += [
                "- Transfer or queries broke images that no white-box attack did, a sign of masked "
                f"gradients where they are many: {words}."
            ]
        lines += [""]
    return lines


def _line(row: TableRow, base: TableRow, gain: Gain, p: float) -> str:
    verb = "gains" if gain.difference > 0 else "loses"
    return (
        f"- {row.setting}, {row.defence}, eps {eps_words(row.eps, row.dataset)} {verb} "
        f"{100 * abs(gain.difference):.1f} points, {base.worst.value:.1%} to {row.worst.value:.1%} "
        f"(p {p:.1g}); clean accuracy {base.clean.value:.1%} to {row.clean.value:.1%}"
    )


def protocol_conclusions(records: list[ProtocolTableRecord]) -> list[str]:
    """Say what either protocol leaves, and of which networks more."""
    lines = []
    for record in records:
        rows = [row for row in record.rows if row.under("paper") and row.under("raw")]
        said = [*_still(rows), *_twins(rows)]
        if said and record.complete:
            lines += [f"**{record.table}**: {len(rows)} rows under both protocols.", "", *said, ""]
    return ["## What the protocols say", "", *lines] if lines else []


def _still(rows: list[ProtocolRow]) -> list[str]:
    """Say what either protocol leaves where attackers of `paper` can change nothing, and else."""
    still = [row for row in rows if _under(row, "paper").free == 0]
    moved = [row for row in rows if _under(row, "paper").free]
    lines = []
    if still:
        kept = sum(_under(row, "paper").fgsm == row.correct for row in still)
        left = sorted(_under(row, "raw").worst.value for row in still)
        lines += [
            f"- In {len(still)} of them attackers of `paper` can change nothing that the "
            f"network sees; in {kept} of these every image that was right stays so. The worst "
            f"case of `raw` leaves {left[0]:.1%} to {left[-1]:.1%} of the same images.",
        ]
    if moved:
        most = max(_under(row, "paper").after_fgsm.value for row in moved)
        lines += [
            f"- In the {len(moved)} others with discretised inputs one FGSM step of `paper` "
            f"leaves at most {most:.1%}.",
        ]
    return lines


def _under(row: ProtocolRow, protocol: str) -> ProtocolOutcome:
    found = row.under(protocol)
    if found is None:
        msg = f"{row.model} was not run under {protocol}"
        raise ValueError(msg)
    return found


def twins(rows: Iterable[ProtocolRow]) -> tuple[int, int, int]:
    """Return in how many pairs a binarised network keeps more than its real twin, less, and all.

    In the worst case of `raw`.
    """
    rows = [row for row in rows if row.under("raw")]
    real = {(r.dataset, r.bits, r.base, r.eps): r for r in rows if r.precision == "real"}
    pairs = [
        (_under(row, "raw").worst.value, _under(twin, "raw").worst.value)
        for row in rows
        if row.precision == "bnn" and (twin := real.get((row.dataset, row.bits, row.base, row.eps)))
    ]
    more = sum(bnn > twin for bnn, twin in pairs)
    return more, sum(bnn < twin for bnn, twin in pairs), len(pairs)


def _twins(rows: list[ProtocolRow]) -> list[str]:
    more, less, pairs = twins(rows)
    if not pairs:
        return []
    return [
        f"- In the worst case of `raw` the binarised network keeps more than its real twin in "
        f"{more} of {pairs} pairs, less in {less}."
    ]


def measured(name: str, dataset: str, *needed: tuple[str, int]) -> TableRecord:
    """Return what a table has of a data set, from the record that has most images of all needed.

    Those are rows by setting and number of codewords.
    """
    kept = [
        replace(record, rows=tuple(row for row in record.rows if row.dataset == dataset))
        for path in sorted(TABLES.glob(f"{name}*.json"))
        if isinstance(record := load_record(path), TableRecord) and record.table == name
    ]
    fit = [record for record in kept if rows_of(record).keys() >= set(needed)]
    return max(fit, key=lambda record: min(len(rows_of(record)[one].alive) for one in needed))


def rows_of(record: TableRecord) -> dict[tuple[str, int], TableRow]:
    """Return the rows of a table of one data set by setting and number of codewords."""
    return {(row.setting, row.n_codes): row for row in record.rows}


def lines() -> list[str]:
    """Return what the rows say, and all tables."""
    records = list(_records().values())
    tables = [record for record in records if isinstance(record, TableRecord)]
    protocols = [record for record in records if isinstance(record, ProtocolTableRecord)]
    said = [*conclusions(tables), *protocol_conclusions(protocols)]
    return [*said, *(line for name, r in _records().items() for line in _shown(name, r))]


def _records() -> dict[str, Any]:
    """Return the committed tables by the names of their files."""
    return {path.stem: load_record(path) for path in sorted(TABLES.glob("*.json"))}


def _shown(name: str, record: Any) -> list[str]:
    pictures = [
        f"![{plot.alt}](images/{name}-{dataset}.svg)\n" for dataset, plot in _plots(record).items()
    ]
    # by its file's name: several may hold parts of one table
    heading, _, shown = as_markdown(record).partition("\n")
    title = heading.partition(": ")[2] or record.title
    return [*folded(f"## {name}: {title}\n{shown}", _made(record)), *_proved(record), *pictures]


def _proved(record: Any) -> list[str]:
    """Return what the complete method decided of a table's rows of two codewords, if it did."""
    rows = record.rows if isinstance(record, TableRecord) else ()
    cells = [
        (
            row.setting,
            f"{row.eps:g}",
            *(f"{getattr(found, word) / found.total:.1%}" for word in VERDICTS),
            f"{found.total:,}",
        )
        for row in rows
        if (row.dataset, row.n_codes, kind_of(row.defence)) == ("mnist", 2, "density")
        and (found := decided(row.setting, row.eps, row.network)) is not None
    ]
    if not cells:
        return []
    heads = ("setting", "eps", *VERDICTS, "random test images")
    return ["By the complete method ([how](certificates.md)):", "", *markdown(heads, cells), ""]


def pictures() -> dict[str, bytes]:
    """Return the drawings of tables and figures, by the names of their files."""
    return {
        f"{name}-{dataset}": draw(plot.paint, height=plot.height)
        for name, record in _records().items()
        for dataset, plot in _plots(record).items()
    }


def _plots(record: Any) -> dict[str, Drawing]:
    """Return the drawings of a committed table or figure, by data set."""
    return plots_over_eps(record, _certificates(record))


def _certificates(record: Any) -> CertificateTableRecord | None:
    """Return the committed certificates that a figure shows too, if there are any."""
    known = OF_ACCURACIES.get(getattr(record, "table", ""))
    path = TABLES / f"{known.certificates}.json" if known else TABLES
    return CertificateTableRecord.load(path) if path.is_file() else None


def folded(table: str, made: str) -> list[str]:
    """Return a table's lines with its notes, and where it was made, folded away."""
    found = table.splitlines()
    notes = [line for line in found if line.startswith("- ")]
    shown = [line for line in found if not line.startswith("- ")]
    many = f"<details><summary>{len(notes)} settings and differences</summary>"
    return ["\n".join(shown).rstrip(), "", many, "", *notes, "", made, "</details>", ""]


def _made(record: Any) -> str:
    where = record.environment
    return (
        f"({where.created[:10]}, {where.platform}, {where.threads} thread, torch "
        f"{where.packages['torch']}, ART {where.packages['adversarial-robustness-toolbox']})\n"
    )
