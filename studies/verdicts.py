"""Which printed numbers held on our networks.

A printed accuracy of a defence under attack is set beside what the worst of all our attacks left:
*held* where it lies in or below our 95 % interval, *did not hold* where it lies above, *undecided*
where our images are too few to say. Levels are of our networks, which are not the papers'.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from art_disc.core.intervals import clopper_pearson_lower
from art_disc.core.records import Share, load_record
from art_disc.core.records.protocols import ProtocolTableRecord
from art_disc.core.records.published import CertificateTableRecord, TableRecord, TableRow
from art_disc.core.records.purifiers import PurifierTableRecord
from art_disc.reproduction import (
    published_randomised,
)
from studies.common import RESULTS, load

HELD, FAILED, OPEN = "held", "did not hold", "undecided"
# an interval wider than that says little of a printed number inside it
WIDEST = 0.1
NAMES = {
    "chen2018": "Chen et al. 2018",
    "zhang2019": "Zhang, Liang 2019",
    "chen2019": "Chen et al. 2019",
    "panda2019": "Panda et al. 2019",
    "kyatham2020": "Kyatham et al. 2020",
}


class Verdict(NamedTuple):
    """What became of one printed number: where it stands, the word, and why in few words."""

    paper: str
    table: str
    dataset: str
    word: str
    why: str


def judged(printed: float, left: Share) -> tuple[str, str]:
    """Return the word for a printed accuracy under attack, in percent, and why."""
    low, high = left.interval
    share = printed / 100
    if share > high:
        return FAILED, "our attacks left less"
    if share < low:
        return HELD, "our attacks left more"
    if high - low > WIDEST:
        return OPEN, "interval wider than 10 points"
    return HELD, "inside our interval"


def certified(printed: float, row: Any) -> tuple[str, str]:
    """Return the word for a printed share of certified images, in percent, and why."""
    unbroken = Share(row.total - row.falsified, row.total)
    if printed / 100 > unbroken.interval[1]:
        return FAILED, "more images are falsified"
    if printed / 100 <= clopper_pearson_lower(row.certified, row.total, 0.975):
        return HELD, "as many are certified"
    if row.undecided == 0:
        return HELD, "inside our interval"
    return OPEN, "search left too many open"


def verdicts() -> list[Verdict]:
    """Return a verdict for each printed accuracy under attack, or share, that was measured."""
    found = []
    for path in sorted((RESULTS / "tables").glob("*-table*.json")):
        record = load_record(path)
        paper, _, rest = path.stem.partition("-table")
        table = rest.partition("-")[0]
        found += [Verdict(paper, table, *one) for one in _of(record)]
    known = {(r.defence, r.eps): r.value for r in mnist_text() if r.metric == "robust"}
    for row, defence in randomised():
        if defence != "none" and (defence, row["eps"]) in known:
            left = Share(row["worst"]["right"], row["worst"]["of"])
            word = judged(known[defence, row["eps"]], left)
            found.append(Verdict("zhang2019", "text", "mnist", *word))
    return found


def _of(record: Any) -> Iterator[tuple[str, str, str]]:
    if isinstance(record, TableRecord):
        yield from ((row.dataset, *of_row(row)) for row in record.rows if of_row(row))
    elif isinstance(record, ProtocolTableRecord):
        asked = ((row, row.under("raw")) for row in record.rows if row.printed_robust is not None)
        yield from (
            (row.dataset, *judged(row.printed_robust, raw.worst)) for row, raw in asked if raw
        )
    elif isinstance(record, CertificateTableRecord):
        yield from (("mnist", *certified(row.printed_success, row)) for row in record.rows)
    elif isinstance(record, PurifierTableRecord):
        cells = ((row, cell) for row in record.rows for cell in row.cells if cell.left)
        for row, cell in cells:
            if cell.printed is not None and cell.defence != "none":
                yield row.dataset, *judged(cell.printed, cell.left)


def of_row(row: TableRow) -> tuple[str, str] | tuple[()]:
    """Return the word for a defended row, and why; empty where none is to be given."""
    if not row.defence or row.printed_robust is None:
        return ()
    word, why = judged(row.printed_robust, row.worst)
    # on colours it breaks most of what the others leave
    if word == HELD and row.n_codes and "code_space" not in row.worst_of:
        return OPEN, "attack on codes not run"
    return word, why


def mnist_text() -> list[Any]:
    """Return what Zhang and Liang print of MNIST and a network trained naturally."""
    return [
        row
        for row in published_randomised("text")
        if (row.dataset, row.base) == ("mnist", "natural")
    ]


def randomised() -> Iterator[tuple[dict[str, Any], str]]:
    record = load("randomised_attack_mnist")
    for row in record["rows"]:
        yield row, record["settings"]["defences"][row["defence"]]
