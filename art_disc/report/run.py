"""The run folder: `record.json`, `pictures.npz`, `summary.json` and `report.html`."""

from pathlib import Path

from art_disc.core.errors import FileFormatError
from art_disc.core.files import replace_file, write_json
from art_disc.core.records import CertificateRecord, EvaluationRecord, load_record
from art_disc.report.certificate import certificate_page
from art_disc.report.evaluation import evaluation_page
from art_disc.report.pictures import Pictures
from art_disc.report.summary import summarise

Record = EvaluationRecord | CertificateRecord

RECORD, PICTURES = "record.json", "pictures.npz"
SUMMARY, REPORT = "summary.json", "report.html"


def write_report(record: Record, out: str | Path, *, pictures: Pictures | None = None) -> Path:
    """Write a run folder: record, pictures, summary and a self-contained page.

    The record is written first, so that nothing is lost if the page cannot be drawn. Each file is
    replaced in one step; pictures of an earlier run in the same folder are removed.

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
    record = load_record(source / RECORD)
    _check_fit(record, source / RECORD)
    pictures = source / PICTURES
    return record, Pictures.load(pictures) if pictures.is_file() else None


def render_run(folder: str | Path) -> Path:
    """Make the summary and the page of a run folder again; the same record gives the same bytes.

    Returns:
        Path of `report.html`.

    Raises:
        DataNotFoundError: No record in this folder.
        FileFormatError: The record or the pictures are damaged or of another version.
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    record, pictures = read_run(folder)
    return _render(record, pictures, Path(folder))


def _render(record: Record, pictures: Pictures | None, folder: Path) -> Path:
    write_json(folder / SUMMARY, summarise(record))
    if isinstance(record, EvaluationRecord):
        page = evaluation_page(record, pictures)
    else:
        page = certificate_page(record)
    return replace_file(folder / REPORT, page.encode())


def _check_fit(record: Record, path: Path) -> None:
    """Refuse per-example lists that disagree: a table made from them would be wrong silently."""
    try:
        lengths = _lengths(record)
    except TypeError as error:
        msg = f"{path} is a damaged {record.kind} record: {error}"
        raise FileFormatError(msg) from error
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name}: {n}" for name, n in lengths.items())
        msg = f"{path} is damaged: its lists must have one entry for each example, got {told}"
        raise FileFormatError(msg)


def _lengths(record: Record) -> dict[str, int]:
    if isinstance(record, CertificateRecord):
        return _sizes(record, "verdicts", "reasons", "free_pixels", "log2_images", "evaluated")
    lengths = _sizes(record, "labels", "example_ids", "base_correct", "defended_correct")
    for i, outcome in enumerate(record.outcomes):
        if outcome.status == "done":
            sizes = _sizes(outcome, "correct", "perturbation")
            lengths |= {f"outcome {i} ({outcome.attack}) {k}": n for k, n in sizes.items()}
    for i, certificate in enumerate(record.certificates):
        lengths |= {f"certificate {i} {k}": n for k, n in _lengths(certificate).items()}
    return lengths


def _sizes(owner: object, *names: str) -> dict[str, int]:
    return {name: len(getattr(owner, name)) for name in names}
