"""Which printed numbers held on our networks.

A printed accuracy of a defence under attack is set beside what the worst of all our attacks left:
*held* where it lies in or below our 95 % interval, *did not hold* where it lies above, *undecided*
where our images are too few to say. Where our network is worse on clean images than the paper's, a
print does not hold if even the same share of what is right without an attack is more than was left.
"""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

from art_disc.core.intervals import clopper_pearson_lower
from art_disc.core.records import Share, load_record
from art_disc.core.records.protocols import ProtocolRow, ProtocolTableRecord
from art_disc.core.records.published import CertificateTableRecord, TableRecord, TableRow
from art_disc.core.records.purifiers import PurifierRow, PurifierTableRecord
from art_disc.reproduction import published_randomised
from art_disc.reproduction.printed import kind_of
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


def judged(
    printed: float, left: Share, clean: Share, printed_clean: float | None = None
) -> tuple[str, str]:
    """Return the word for a printed accuracy under attack, in percent, and why.

    Args:
        printed: By the paper.
        left: By the worst of our attacks.
        clean: Right without an attack.
        printed_clean: That of the paper, in percent; None: it is not printed.
    """
    low, high = left.interval
    share, whole = printed / 100, 1.0 if printed_clean is None else printed_clean / 100
    # as large a part of what is right without an attack
    part = share * min(1, clean.value / whole) if whole else share
    if part > high:
        return FAILED, "our attacks left less"
    if share > high:
        return OPEN, "our network is weaker"
    if share < low:
        return HELD, "our attacks left more"
    if high - low > WIDEST:
        return OPEN, "interval wider than 10 points"
    return HELD, "inside our interval"


def beside_base(
    word: tuple[str, str], printed: float | None, left: Share | None
) -> tuple[str, str]:
    """Return a defence's word in view of what is printed, and was left, of a network without one.

    Where that is left more than is printed, what the defence is left confirms nothing.
    """
    resists = printed is not None and left is not None and printed / 100 < left.interval[0]
    return (OPEN, "our network resists by itself") if resists and word[0] == HELD else word


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
    judged_rows: dict[tuple[Any, ...], tuple[int, Verdict]] = {}
    # a whole table before what was run of it besides
    for path in sorted((RESULTS / "tables").glob("*-table*.json"), key=lambda p: (len(p.stem), p)):
        paper, _, rest = path.stem.partition("-table")
        table = rest.partition("-")[0]
        record: Any = load_record(path)
        judge = _OF.get(type(record))
        for row, images, word, why in judge(record) if judge else ():
            key = paper, table, *row
            # of two runs of one number the one of more images
            if key not in judged_rows or images > judged_rows[key][0]:
                judged_rows[key] = images, Verdict(paper, table, row[0], word, why)
    found = [verdict for _, verdict in judged_rows.values()]
    known = {(r.defence, r.eps): r.value for r in mnist_text() if r.metric == "robust"}
    ours = {(defence, row["eps"]): row for row, defence in randomised()}
    for (defence, eps), printed in known.items():
        if defence == "none" or (row := ours.get((defence, eps))) is None:
            continue
        word = judged(printed, share_of(row["worst"]), share_of(row["clean"]))
        base = share_of(ours["none", eps]["worst"])
        word = beside_base(word, known.get(("none", eps)), base)
        found.append(Verdict("zhang2019", "text", "mnist", *word))
    return found


def share_of(counts: dict[str, int]) -> Share:
    """Return a study's share as one with an interval."""
    return Share(counts["right"], counts["of"])


Judged = tuple[tuple[Any, ...], int, str, str]


def _accuracies(record: TableRecord) -> Iterator[Judged]:
    for row in record.rows:
        key = row.dataset, row.setting, kind_of(row.defence), row.n_codes, row.eps
        if word := of_row(row, record.base_of(row)):
            yield key, len(row.alive), *word


def _networks(record: ProtocolTableRecord) -> Iterator[Judged]:
    for row in record.rows:
        raw = row.under("raw")
        if raw is not None and row.printed_robust is not None:
            key = row.dataset, row.model, row.base, row.eps
            word, why = of_network(row, raw.worst)
            theirs = row.under("paper")
            if word == FAILED and theirs and of_network(row, theirs.after_fgsm)[0] == HELD:
                why = "it does under their protocol"
            yield key, len(raw.alive), word, why


def of_network(row: ProtocolRow, left: Share) -> tuple[str, str]:
    """Return the word for a network's row by what attacks left, and why."""
    return judged(row.printed_robust or 0, left, row.clean, row.printed_clean)


def _certificates(record: CertificateTableRecord) -> Iterator[Judged]:
    for row in record.rows:
        found = decided("disc_adv_pre", row.eps, record.network) or row
        yield ("mnist", row.eps), found.total, *certified(row.printed_success, found)


def decided(setting: str, eps: float, network: str) -> Any:
    """Return what the complete method found of a network, of most images; None: it was not run.

    It has `certified`, `falsified` and `undecided` of `total` images.

    Args:
        setting: Of the two density codewords before it, as in `SETTINGS`.
        eps: Budget.
        network: In words that end in its weights.
    """
    weights = network.rsplit(maxsplit=1)[-1]
    rows = [
        SimpleNamespace(**row, total=study["images"])
        for path in (RESULTS / "decided").glob(f"{setting}-*.json")
        for study in [load(f"decided/{path.stem}")]
        for row in study["rows"]
        if row["eps"] == eps and study["training"].split()[-1] == weights
    ]
    return max(rows, key=lambda row: row.total, default=None)


def _purifiers(record: PurifierTableRecord) -> Iterator[Judged]:
    for row in record.rows:
        key = row.dataset, row.attack, row.model, row.eps
        yield from (((*key, defence), *word) for defence, *word in of_cells(row))


# which row of a table is judged, of how many images, the word and why
_OF: dict[type, Callable[[Any], Iterator[Judged]]] = {
    TableRecord: _accuracies,
    ProtocolTableRecord: _networks,
    CertificateTableRecord: _certificates,
    PurifierTableRecord: _purifiers,
}


def of_cells(row: PurifierRow) -> Iterator[tuple[str, int, str, str]]:
    """Yield for each printed accuracy of a purifier's row its defence, images, word and why.

    A cell is of one attack, and most know nothing of the filter: what it leaves confirms no print.
    """
    for cell in row.cells:
        if None in (cell.printed, cell.left, cell.clean) or cell.defence == "none":
            continue
        worst = row.cell(cell.defence, "end to end, worst")
        if worst is not None and worst.left is not None:
            yield cell.defence, worst.left.total, *judged(cell.printed, worst.left, cell.clean)
            continue
        word, why = judged(cell.printed, cell.left, cell.clean)
        if word != FAILED:
            word = OPEN
            why = "filter not attacked" if cell.defence == "lqvae" else "one attack alone"
        yield cell.defence, cell.left.total, word, why


def of_row(row: TableRow, base: TableRow | None = None) -> tuple[str, str] | tuple[()]:
    """Return the word for a defended row beside its base, and why; empty: none is to be given."""
    if not row.defence or row.printed_robust is None:
        return ()
    found = judged(row.printed_robust, row.worst, row.clean, row.printed_clean)
    word, why = beside_base(found, base and base.printed_robust, base and base.worst)
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
