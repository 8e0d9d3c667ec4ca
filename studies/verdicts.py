"""Which printed numbers held on our networks, and what the papers' claims came to.

A printed accuracy of a defence under attack is set beside what the worst of all our attacks left:
*held* where it lies in or below our 95 % interval, *did not hold* where it lies above, *undecided*
where our images are too few to say. Levels are of our networks, which are not the papers'.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

from art_disc.core.intervals import clopper_pearson_lower
from art_disc.core.records import Share, load_record
from art_disc.core.records.protocols import ProtocolTableRecord
from art_disc.core.records.published import CertificateTableRecord, TableRecord, TableRow
from art_disc.core.records.purifiers import PurifierTableRecord
from art_disc.reproduction import (
    published_certificates,
    published_purifiers,
    published_randomised,
)
from studies.common import RESULTS, load, markdown

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
    for row, defence in _randomised():
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


def _randomised() -> Iterator[tuple[dict[str, Any], str]]:
    record = load("randomised_attack_mnist")
    for row in record["rows"]:
        yield row, record["settings"]["defences"][row["defence"]]


def summary() -> list[str]:
    """Return a table and the answered claims of each paper."""
    every = verdicts()
    lines = []
    for paper, name in NAMES.items():
        own = [one for one in every if one.paper == paper]
        lines += [f"### {name}", ""]
        if own:
            heads = ("table", "data", HELD, FAILED, OPEN, "why")
            lines += markdown(heads, _counted(own))
        lines += [*(f"- {claim}" for claim in CLAIMS[paper]()), ""]
    return lines


def _counted(verdicts: Iterable[Verdict]) -> Iterator[tuple[str, ...]]:
    places: dict[tuple[str, str], list[Verdict]] = {}
    for one in verdicts:
        places.setdefault((one.table, one.dataset), []).append(one)
    for place, own in sorted(places.items()):
        words = Counter(one.word for one in own)
        why = Counter(f"{one.word}: {one.why}" for one in own)
        numbers = (str(words[word]) for word in (HELD, FAILED, OPEN))
        yield *place, *numbers, "; ".join(f"{text} ({n})" for text, n in why.most_common())


def _load(name: str) -> Any:
    return load_record(RESULTS / "tables" / f"{name}.json")


def _rows(record: TableRecord) -> dict[tuple[str, int], TableRow]:
    return {(row.setting, row.n_codes): row for row in record.rows}


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _decided(name: str) -> dict[str, Any]:
    """Return what the complete method decided at one budget, with the number of images."""
    study = load(f"decided/{name}")
    (row,) = study["rows"]
    return row | {"total": study["images"]}


def _between(row: dict[str, Any]) -> str:
    low, high = row["certified"] / row["total"], 1 - row["falsified"] / row["total"]
    return f"between {_percent(low)} and {_percent(high)} of {row['total']:,} random images"


def _chen2018() -> Iterator[str]:
    record = _load("chen2018-table3")
    rows = _rows(record)
    base, row = rows["nat_pre", 0], rows["disc_nat_pre", 2]
    word, why = of_row(row) or (OPEN, "")
    yield (
        f"Two codewords before a network trained naturally keep {row.printed_robust:g} % of MNIST "
        f"at 0.3: {_percent(row.worst.value)} are left here (base {_percent(base.worst.value)}); "
        f"by the complete method it is {_between(_decided('disc_nat_pre-200-0.3'))}; {word}: {why}."
    )
    place = next(n for n, r in enumerate(record.rows) if r.setting == "disc_adv_pre")
    gain, base, row = record.gains()[place], rows["adv_pre", 0], rows["disc_adv_pre", 2]
    yield (
        f"Before a network trained adversarially they add "
        f"{(row.printed_robust or 0) - (base.printed_robust or 0):.1f} points: "
        f"{100 * gain.difference:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}] here; "
        f"{HELD if gain.significant and gain.difference > 0 else OPEN}."
    )
    printed = next(r for r in published_certificates("chen2018", "2") if r.eps == 0.1)
    found = _decided("disc_adv_pre-10000-0.1")
    word, why = certified(printed.success, SimpleNamespace(**found))
    yield (
        f"{printed.success:g} % are certified at 0.1 (table 2): by the complete method it is "
        f"{_between(found)}; {word}: {why}."
    )
    row = _rows(_load("chen2018-table4-disc_nat_pre"))["disc_nat_pre", 50]
    word, why = of_row(row) or (OPEN, "")
    yield (
        f"On CIFAR-10 50 codewords keep {row.printed_robust:g} % at 2/255: "
        f"{_percent(row.worst.value)} are left here; {word}: {why}."
    )


def _chen2019() -> Iterator[str]:
    rows = _rows(_load("chen2019-table2-gtsrb-disc_nat_pre"))
    base = rows["nat_pre", 0].worst.value
    best = max((row for row in rows.values() if row.defence), key=lambda row: row.worst.value)
    yield (
        "Pixel discretisation helps little where colours matter: on GTSRB at 8/255 the best "
        f"density codebook leaves {_percent(best.worst.value)} of a network trained naturally "
        f"(base {_percent(base)}) and {_percent(best.clean.value)} clean; "
        f"{HELD if best.worst.value - base < 0.2 else FAILED}."
    )
    panels = _load("chen2019-figure5").rows
    told = " and ".join(f"{row.exact:.3f} for {row.printed:g} printed" for row in panels)
    near = all(abs(row.exact - row.printed) < 0.05 for row in panels)
    yield (
        "A budget reaches few classes of MNIST and many of CIFAR-10: median exponents are "
        f"{told}; {HELD if near else FAILED}."
    )


def _panda2019() -> Iterator[str]:
    rows = _load("panda2019-table5").rows
    row = next(r for r in rows if (r.model, r.eps) == ("BNN-2b", 0.3))
    worst = row.under("raw").worst
    word, why = judged(row.printed_robust, worst)
    yield (
        f"Two input bits keep a binarised network at {row.printed_robust:g} % under FGSM at 0.3: a "
        f"white box of what is deployed leaves {_percent(worst.value)}; {word}: {why}."
    )


def _zhang2019() -> Iterator[str]:
    printed = {r.defence: r.value for r in mnist_text() if r.metric == "robust"}
    ours = {d: row["worst"] for row, d in _randomised() if row["eps"] == 0.1}
    left = {d: Share(ours[d]["right"], ours[d]["of"]) for d in printed}
    (name,) = (d for d in printed if d != "none")
    easier = printed["none"] / 100 < left["none"].interval[0]
    word = (
        f"{OPEN}: our network resists by itself" if easier else judged(printed[name], left[name])[0]
    )
    yield (
        f"RandDisc lifts MNIST at 0.1 from {printed['none']:g} % to {printed[name]:g} %: here from "
        f"{_percent(left['none'].value)} to {_percent(left[name].value)} of {left[name].total}; "
        f"{word}."
    )
    yield (
        "ImageNet is not at hand; CIFAR-10 stands in for it on the page of "
        "[randomised defences](randomised_results.md)."
    )


def _kyatham2020() -> Iterator[str]:
    printed = next(r.lqvae for r in published_purifiers("7") if r.dataset == "mnist")
    claim = f"The filter keeps {printed:g} % of MNIST attacked end to end"
    if not (RESULTS / "tables" / "kyatham2020-table7.json").is_file():
        yield f"{claim}; {OPEN}: not measured at size yet."
        return
    rows = [row for row in _load("kyatham2020-table7").rows if row.dataset == "mnist"]
    left = [row.cell("lqvae", "end to end, worst").left for row in rows if row.eps == 0.15]
    best = max(left, key=lambda share: share.value)
    word, why = judged(printed, best)
    yield f"{claim}: the best of {len(left)} is left {_percent(best.value)} here; {word}: {why}."


CLAIMS = {
    "chen2018": _chen2018,
    "zhang2019": _zhang2019,
    "chen2019": _chen2019,
    "panda2019": _panda2019,
    "kyatham2020": _kyatham2020,
}
