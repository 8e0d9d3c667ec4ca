"""The run folder: record, pictures, summary, examples and page."""

from pathlib import Path

from art_disc.core.errors import FileFormatError
from art_disc.core.files import replace_file, write_json
from art_disc.core.records import (
    AttackOutcome,
    CertificateRecord,
    CertifiedCurve,
    DivergenceRecord,
    EvaluationRecord,
    load_record,
)
from art_disc.core.records.sweep import SweepRecord
from art_disc.report.certificate import certificate_page
from art_disc.report.certified_curve import certified_curve_page
from art_disc.report.evaluation import evaluation_page
from art_disc.report.examples import examples_csv
from art_disc.report.pictures import Pictures
from art_disc.report.summary import summarise
from art_disc.report.sweep import sweep_page

Record = EvaluationRecord | CertificateRecord | DivergenceRecord | CertifiedCurve | SweepRecord
PAGES = (EvaluationRecord, CertificateRecord, DivergenceRecord, CertifiedCurve, SweepRecord)

RECORD, PICTURES = "record.json", "pictures.npz"
SUMMARY, EXAMPLES, REPORT = "summary.json", "examples.csv", "report.html"


def write_report(record: Record, out: str | Path, *, pictures: Pictures | None = None) -> Path:
    """Write a run folder: record, pictures, summary, examples and a self-contained page.

    The record is written first, so that nothing is lost if the page cannot be drawn. Each file is
    replaced in one step; pictures and examples of an earlier run in the same folder are removed.
    `examples.csv` has a line for each example of an evaluation; other records have none.

    Args:
        record: What the run left behind.
        out: The run folder; made if need be.
        pictures: Examples for the strip of images.

    Returns:
        Path of `report.html`.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    folder = Path(out)
    record.save(folder / RECORD)
    if pictures is None:
        (folder / PICTURES).unlink(missing_ok=True)
    else:
        pictures.save(folder / PICTURES)
    return _render(record, pictures, folder)


def read_run(folder: str | Path) -> tuple[Record, Pictures | None]:
    """Read the record of a run folder, and its pictures if it has some.

    Raises:
        DataNotFoundError: No record in this folder.
        FileFormatError: The record or the pictures are damaged or of another version.
    """
    source = Path(folder)
    record = _load(source / RECORD)
    _check_fit(record, source / RECORD)
    pictures = source / PICTURES
    return record, Pictures.load(pictures) if pictures.is_file() else None


def render_run(folder: str | Path) -> Path:
    """Make all but the record of a run folder again; the same record gives the same bytes.

    Returns:
        Path of `report.html`.

    Raises:
        DataNotFoundError: No record in this folder.
        FileFormatError: The record or the pictures are damaged or of another version.
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    record, pictures = read_run(folder)
    return _render(record, pictures, Path(folder))


def _load(path: Path) -> Record:
    record = load_record(path)
    if not isinstance(record, PAGES):
        msg = (
            f"{path} is a record of kind '{record.kind}', which has no page; kinds with one are "
            f"{', '.join(kind.kind for kind in PAGES)}"
        )
        raise FileFormatError(msg)
    return record


def _render(record: Record, pictures: Pictures | None, folder: Path) -> Path:
    write_json(folder / SUMMARY, summarise(record))
    (folder / EXAMPLES).unlink(missing_ok=True)
    if isinstance(record, EvaluationRecord):
        replace_file(folder / EXAMPLES, examples_csv(record).encode())
        page = evaluation_page(record, pictures)
    elif isinstance(record, SweepRecord):
        page = sweep_page(record)
    elif isinstance(record, CertifiedCurve):
        page = certified_curve_page(record)
    else:
        page = certificate_page(record)
    return replace_file(folder / REPORT, page.encode())


def _check_fit(record: Record, path: Path) -> None:
    """Refuse per-example lists that disagree: a table made from them would be wrong silently."""
    try:
        told = _misfits(record)
    except TypeError as error:
        msg = f"{path} is a damaged {record.kind} record: {error}"
        raise FileFormatError(msg) from error
    if told:
        msg = (
            f"{path} is damaged: its lists must have one entry for each example, got "
            f"{', '.join(told)}"
        )
        raise FileFormatError(msg)


def _misfits(record: Record) -> list[str]:
    """The lists of a record whose length is not that of its examples, in words."""
    if isinstance(record, CertificateRecord):
        lists = ("reasons", "free_pixels", "log2_images", "evaluated")
        return _off(record, len(record.verdicts), lists)
    if isinstance(record, DivergenceRecord):
        n = len(record.verdicts)
        return _off(record, n, ("reasons", "votes", "lowest", "divergence", "gap"))
    if isinstance(record, CertifiedCurve):
        return []
    if isinstance(record, SweepRecord):
        return [
            f"cell {i} {told}"
            for i, cell in enumerate(record.cells)
            if cell.record is not None
            for told in _misfits(cell.record)
        ]
    n = len(record.labels)
    told = _off(record, n, ("example_ids", "defended_correct"))
    told += _off(record, n, ("base_correct", "reference_correct"), optional=True)
    for i, outcome in enumerate(record.outcomes):
        told += [f"outcome {i} ({outcome.attack}) {words}" for words in _odd(outcome, n)]
    for i, certificate in enumerate(record.certificates):
        told += _off(certificate, n, ("verdicts",), f"certificate {i} ")
        told += [f"certificate {i} {words}" for words in _misfits(certificate)]
    return told


def _odd(outcome: AttackOutcome, n: int) -> list[str]:
    if outcome.status != "done":
        return []
    at = outcome.positions
    if at and not all(0 <= one < other for one, other in zip(at, (*at[1:], n), strict=True)):
        return [f"positions that do not rise within 0 to {n - 1}"]
    size = len(at) or n
    return [
        *_off(outcome, size, ("correct", "perturbation")),
        *_off(outcome, size, ("grid_correct", "draw_correct"), optional=True),
    ]


def _off(
    owner: object, n: int, names: tuple[str, ...], before: str = "", *, optional: bool = False
) -> list[str]:
    sizes = {name: len(getattr(owner, name)) for name in names}
    return [
        f"{before}{name}: {size} for {n} examples"
        for name, size in sizes.items()
        if size != n and (size or not optional)
    ]
