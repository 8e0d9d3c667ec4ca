"""The run folder: record, pictures, summary, examples and page."""

from pathlib import Path

from art_disc.core.errors import FileFormatError
from art_disc.core.files import replace_file, write_json
from art_disc.core.records import (
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
