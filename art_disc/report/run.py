"""The run folder: record, pictures, summary, examples and page."""

from pathlib import Path

from art_disc.core.errors import FileFormatError, InputError
from art_disc.core.files import replace_file, write_json
from art_disc.core.records import EvaluationRecord, Record, load_record
from art_disc.report.page import made_by, render
from art_disc.report.pictures import Pictures
from art_disc.report.views import summarise, view_of

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
        FileFormatError: Records of this kind have no page; the message says why.
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
    pictures = Path(folder) / PICTURES
    record = load_record(Path(folder) / RECORD)
    return record, Pictures.load(pictures) if pictures.is_file() else None


def read_evaluation(folder: str | Path) -> EvaluationRecord:
    """Read the record of a run folder of an evaluation.

    Raises:
        DataNotFoundError: No record in this folder.
        FileFormatError: As for `read_run`.
        InputError: It is the record of something else.
    """
    record, _ = read_run(folder)
    if not isinstance(record, EvaluationRecord):
        msg = f"{folder} must hold the record of an evaluation, got one of a {record.kind}"
        raise InputError(msg)
    return record


def render_run(folder: str | Path) -> Path:
    """Make all but the record of a run folder again; the same record gives the same bytes.

    Returns:
        Path of `report.html`.

    Raises:
        DataNotFoundError: No record in this folder.
        FileFormatError: The record or the pictures are damaged or of another version, or records
            of this kind have no page; the message says why.
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    record, pictures = read_run(folder)
    return _render(record, pictures, Path(folder))


def _render(record: Record, pictures: Pictures | None, folder: Path) -> Path:
    view = view_of(record)
    if view.no_page:
        msg = f"{folder / RECORD} is a record of kind {record.kind!r}: {view.no_page}"
        raise FileFormatError(msg)
    write_json(folder / SUMMARY, summarise(record))
    (folder / EXAMPLES).unlink(missing_ok=True)
    if view.examples is not None:
        replace_file(folder / EXAMPLES, view.examples(record).encode())
    document = view.document(record, pictures) if view.pictures else view.document(record)
    return replace_file(folder / REPORT, render(document, made_by(record)).encode())
