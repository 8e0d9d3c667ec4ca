"""Images that were made elsewhere: transfers, and supplied sets."""

from collections.abc import Iterator

from art_disc.core.records.base import Share
from art_disc.core.records.supplied import SuppliedRecord, SuppliedSet, TransferRecord, TransferRow
from art_disc.report import randomness as plots
from art_disc.report.document import Notice
from art_disc.report.reading import first
from art_disc.report.table import Table, run_row
from art_disc.report.views import measured

_NAMED = 10


def supplied_table(record: SuppliedRecord, *, plain: bool = False) -> Table:
    """Return sets down, defences across, mean and worst; `plain`: as for `SuppliedRecord.share`."""
    names = list(record.defences)
    rows: list[tuple[tuple[str, str, str], list[float]]] = []
    for found in record.sets:
        heads = (found.name, str(len(found.within)), str(len(found.out_of_budget)))
        rows.append((heads, [record.share(found.name, d, plain=plain).value for d in names]))
    rows.append((("mean", "", ""), [record.mean(d, plain=plain) for d in names]))
    rows.append((("worst set", "", ""), [record.worst(d, plain=plain).value for d in names]))
    if not plain:
        rows.append((("worst by image", "", ""), [record.together(d).value for d in names]))
    return Table.of(
        "Supplied images",
        f"Still correct on supplied images within eps {record.eps:.4g}",
        ("images", "#n", "#out of budget", *(f"#{name}" for name in names)),
        ((*heads, *(f"{share:.1%}" for share in shares)) for heads, shares in rows),
    )


def supplied_notices(record: SuppliedRecord) -> tuple[Notice, ...]:
    """What is odd about the sets: images out of budget, misplaced, or of no test image."""
    return tuple(
        Notice("warning", "NOTICE:", f"{found.name}: {words}")
        for found in record.sets
        for words in _oddities(found)
    )


def _oddities(found: SuppliedSet) -> Iterator[str]:
    if far := [str(i) for i in found.out_of_budget]:
        yield (
            f"{len(far)} images are farther than eps from their clean ones and count as these, at "
            f"most {max(found.distances):.4g}: {first(far, _NAMED)}"
        )
    if found.misplaced:
        near = ", ".join(f"{a} near {b}" for a, b in found.misplaced[:_NAMED])
        yield f"within eps of another clean image: {near}"
    if odd := [str(i) for i in found.unmatched]:
        yield f"{len(odd)} images belong to no test image in use: {first(odd, _NAMED)}"


def _transfer(record: TransferRecord) -> Table:
    def shares(found: TransferRow) -> tuple[Share | str, Share | str]:
        done = found.status == "done"
        return (record.share(found.source), found.own_share) if done else ("", "")

    rows = [run_row(found, found.source, found.attack, *shares(found)) for found in record.rows]
    return Table.of(
        "Transfer",
        f"Still correct at eps {record.eps:.4g} on what was made on each source",
        ("made on", "attack", "target", "source itself", "status"),
        (
            *rows,
            ("no change", "", record.clean, "", ""),
            ("worst of all", "", record.worst, "", ""),
        ),
    )


SUPPLIED = measured("Supplied images", supplied_table, plots.supplied_plot, supplied_notices)
TRANSFER = measured("Transfer to one target", _transfer, plots.transfer_plot)
