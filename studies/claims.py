"""What the claims of the papers came to: one sentence each, with the number that answers it."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from art_disc.attacks import ATTACKS
from art_disc.core.records import Share, load_record
from art_disc.core.records.published import Gain, TableRecord, TableRow
from art_disc.reproduction import FIGURE3, published_certificates, published_purifiers
from art_disc.reproduction.purifier_run import STEP_EPS
from studies.common import RESULTS, load, markdown
from studies.tables import measured, rows_of, twins
from studies.verdicts import (
    FAILED,
    HELD,
    NAMES,
    OPEN,
    Verdict,
    certified,
    decided,
    judged,
    mnist_text,
    of_network,
    of_row,
    randomised,
    share_of,
    verdicts,
)

# rows that claims are about
NATURAL, ADVERSARIAL, TWO = ("nat_pre", 0), ("adv_pre", 0), ("disc_nat_pre", 2)
CODES = tuple(("disc_nat_pre", k) for k in (2, 5, 10, 50, 100, 300))


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


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _between(row: Any) -> str:
    low, high = row.certified / row.total, 1 - row.falsified / row.total
    return f"between {_percent(low)} and {_percent(high)} of {row.total:,} random images"


def _gained(gain: Gain, *rows: TableRow) -> str:
    """Return a gain of these rows in points, and the word for it as one that is claimed."""
    word = HELD if gain.significant and gain.difference > 0 else OPEN
    if word == HELD and any("code_space" not in row.worst_of for row in rows):
        word = f"{OPEN}: attack on codes not run"
    points = f"{100 * gain.difference:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"
    return f"{points} here; {word}."


def _gain_of(record: TableRecord, row: TableRow) -> Gain:
    """Return the comparison of one of a record's rows with its base."""
    return record.gains()[record.rows.index(row)]


def _chen2018() -> Iterator[str]:
    record = measured("chen2018-table3", "mnist", NATURAL, TWO, ADVERSARIAL, ("disc_adv_pre", 2))
    rows = rows_of(record)
    base, row = rows["nat_pre", 0], rows["disc_nat_pre", 2]
    word, why = of_row(row, base) or (OPEN, "")
    found = decided("disc_nat_pre", 0.3, row.network)
    yield (
        f"Two codewords before a network trained naturally keep {row.printed_robust:g} % of MNIST "
        f"at 0.3: {_percent(row.worst.value)} are left here (base {_percent(base.worst.value)}); "
        f"by the complete method it is {_between(found)}; {word}: {why}."
    )
    base, row = rows["adv_pre", 0], rows["disc_adv_pre", 2]
    yield (
        f"Before a network trained adversarially they add "
        f"{(row.printed_robust or 0) - (base.printed_robust or 0):.1f} points: "
        f"{_gained(_gain_of(record, row), row)}"
    )
    yield _at_a_tenth("chen2018", "2")
    rows = rows_of(measured("chen2018-table4", "cifar10", *CODES))
    row = rows["disc_nat_pre", 50]
    word, why = of_row(row) or (OPEN, "")
    yield (
        f"On CIFAR-10 50 codewords keep {row.printed_robust:g} % at 2/255: "
        f"{_percent(row.worst.value)} are left here; {word}: {why}."
    )
    few, many = rows["disc_nat_pre", 5], rows["disc_nat_pre", 300]
    yield (
        f"There 5 codewords keep more than 300, {few.printed_robust:g} % to "
        f"{many.printed_robust:g} % (clean {few.clean.value:.1%} to {many.clean.value:.1%} here): "
        f"{_gained(Gain.of(few.alive, many.alive), few, many)}"
    )


def _at_a_tenth(paper: str, table: str) -> str:
    """Answer the printed share of certified images at 0.1."""
    printed = next(r for r in published_certificates(paper, table) if r.eps == 0.1)
    found = decided("disc_adv_pre", 0.1, _load(f"{paper}-table{table}").network)
    word, why = certified(printed.success, found)
    return (
        f"{printed.success:g} % are certified at 0.1 (table {table}): by the complete method it is "
        f"{_between(found)}; {word}: {why}."
    )


def _chen2019() -> Iterator[str]:
    rows = rows_of(measured("chen2019-table2", "gtsrb", NATURAL, *CODES))
    base = rows["nat_pre", 0].worst.value
    defended = (row for (setting, _), row in rows.items() if setting == "disc_nat_pre")
    best = max(defended, key=lambda row: row.worst.value)
    gain = best.worst.value - base
    yield (
        "Pixel discretisation helps little where colours matter: on GTSRB at 8/255 the best "
        f"density codebook leaves {_percent(best.worst.value)} of a network trained naturally "
        f"(base {_percent(base)}, {100 * gain:+.1f} points), {_percent(best.clean.value)} clean; "
        f"{f'{HELD}: fewer than 20' if gain < 0.2 else f'{FAILED}: 20 or more'}."
    )
    fashion = measured("chen2019-table2", "fashion_mnist", NATURAL, TWO)
    rows = rows_of(fashion)
    base, row = rows["nat_pre", 0], rows["disc_nat_pre", 2]
    yield (
        "On Fashion-MNIST two codewords lift a network trained naturally from "
        f"{base.printed_robust:g} % to {row.printed_robust:g} % at 0.1: "
        f"{_gained(_gain_of(fashion, row), row)}"
    )
    yield _at_a_tenth("chen2019", "4")
    panels = _load("chen2019-figure5").rows
    told = " and ".join(f"{row.exact:.3f} for {row.printed:g} printed" for row in panels)
    near = all(abs(row.exact - row.printed) < 0.05 for row in panels)
    yield (
        "A budget reaches few classes of MNIST and many of CIFAR-10: median exponents are "
        f"{told}; {HELD if near else FAILED}."
    )
    free = {
        row["dataset"]: row["separability"]["share_of_pixels_free"]
        for row in load("hardness")["rows"]
        if "density" in row["codebook"] and row["printed_median_per_pixel"]
    }
    apart = free["mnist"] < 0.1 and free["cifar10"] > 0.5
    yield (
        "The pixels of MNIST fall into clusters and those of CIFAR-10 do not: at the budgets of "
        f"figure 5 {_percent(free['mnist'])} and {_percent(free['cifar10'])} of all training "
        f"pixels can change their codeword by 8-bit changes; {HELD if apart else FAILED}."
    )
    facts = {fact.words: fact for fact in _load("chen2019-figure6").rows}
    fact = facts["these, of all pixels"]
    yield (
        f"The most crowded colour of CIFAR-10 has {_percent(fact.printed or 0)} of all pixels "
        f"within 8/255 (from the counts of figure 6): {_percent(fact.ours)} here; "
        f"{HELD if abs(fact.ours - (fact.printed or 0)) < 0.005 else FAILED}."
    )


def _panda2019() -> Iterator[str]:
    rows, colour = (_load(f"panda2019-table{n}").rows for n in (5, 4))
    for table, eps, where in ((rows, 0.3, "0.3"), (colour, 16 / 255, "16/255 on CIFAR-10")):
        row = next(r for r in table if (r.model, r.eps) == ("BNN-2b", eps))
        worst = row.under("raw").worst
        word, why = of_network(row, worst)
        yield (
            f"Two input bits keep a binarised network at {row.printed_robust:g} % under FGSM at "
            f"{where}: a white box of what is deployed leaves {_percent(worst.value)}; "
            f"{word}: {why}."
        )
    few, many = (next(r for r in rows if (r.model, r.eps) == (f"Full-{n}b", 0.1)) for n in (2, 8))
    left = few.under("raw").worst
    word, why = of_network(few, left)
    yield (
        f"Two input bits keep a real network at {few.printed_robust:g} % at 0.1, where eight keep "
        f"{many.printed_robust:g} %: {_percent(left.value)} and "
        f"{_percent(many.under('raw').worst.value)} are left here; {word}: {why}."
    )
    more, less, pairs = twins([*rows, *colour])
    yield (
        f"Binarised networks resist more than real ones: here in {more} of {pairs} pairs, less in "
        f"{less}; {HELD if more > less else FAILED}."
    )


def _zhang2019() -> Iterator[str]:
    printed = {r.defence: r.value for r in mnist_text() if r.metric == "robust"}
    left = {d: share_of(row["worst"]) for row, d in randomised() if row["eps"] == 0.1}
    (name,) = (d for d in printed if d != "none")
    (verdict,) = (v for v in verdicts() if (v.paper, v.table) == ("zhang2019", "text"))
    yield (
        f"RandDisc lifts MNIST at 0.1 from {printed['none']:g} % to {printed[name]:g} %: here from "
        f"{_percent(left['none'].value)} to {_percent(left[name].value)} of {left[name].total}; "
        f"{verdict.word}: {verdict.why}."
    )
    gauss = next(share for d, share in left.items() if d.startswith("noise"))
    yield (
        "Gaussian noise alone is always better than nothing: at 0.1 it leaves "
        f"{_percent(gauss.value)}, an undefended network {_percent(left['none'].value)}; "
        f"{_apart(gauss, left['none'])}."
    )
    yield _certified_over_base()
    yield _stands_in()


def _apart(one: Share, other: Share) -> str:
    """Return the word for a share that is claimed to be the larger one."""
    if one.interval[0] > other.interval[1]:
        return HELD
    return FAILED if one.interval[1] < other.interval[0] else f"{OPEN}: intervals overlap"


def _certified_over_base() -> str:
    """Answer that down-sampled RandDisc certifies more than an undefended network keeps."""
    base = {row["eps"]: row["worst"] for row, d in randomised() if d == "none"}
    proved = {row["eps"]: row for row in load("mnist_randomised_certificate")["rows"]}
    both = sorted(base.keys() & proved.keys())
    pairs = [
        (Share(proved[e]["certified"]["tight"], proved[e]["total"]),
         share_of(base[e]))
        for e in both
    ]  # fmt: skip
    above = sum(_apart(*pair) == HELD for pair in pairs)
    told = "; ".join(
        f"{eps:g}: {_percent(one.value)} to {_percent(other.value)}"
        for eps, (one, other) in zip(both, pairs, strict=True)
    )
    word = HELD if above == len(pairs) else f"{OPEN}: our network resists by itself"
    return (
        "Of down-sampled RandDisc more is certified than an undefended network keeps: here at "
        f"{above} of {len(pairs)} budgets ({told}; codewords fixed, settings chosen for each); "
        f"{word}."
    )


def _stands_in() -> str:
    """Say what the defences leave of the images that stand in for ImageNet."""
    rows = {r["defence"]: r for r in load("randomised_attack_cifar10")["rows"]
            if abs(r["eps"] - 2 / 255) < 1e-5}  # fmt: skip
    left = {name: share_of(row["worst"]) for name, row in rows.items()}
    return (
        "RandMix keeps more than any other defence on ImageNet, which is not at hand: on CIFAR-10 "
        f"at 2/255 {_percent(left['RandMix'].value)} of {left['RandMix'].total}, Gaussian noise "
        f"{_percent(left['Gaussian'].value)} ([measured](randomised_results.md)); "
        f"{_apart(left['RandMix'], left['Gaussian'])}."
    )


def _kyatham2020() -> Iterator[str]:
    yield from (_end_to_end(), _theorem(), _flips())


def _flips() -> str:
    """Answer figure 3: of how many images CW flips few bits."""
    (row,) = (row for row in _load(FIGURE3).rows if row.attack == "cw_l2")
    few, how = row.within(0.06), ATTACKS["cw_l2"].settings
    return (
        f"Over 90 % of CW's images, made on the classifier alone, flip less than 6 % of the bits "
        f"(figure 3): {_percent(few)} of {row.left.total:,} do here, and "
        f"{_percent(row.left.value)} are still right behind the filter, by a CW of "
        f"{how['binary_search_steps']} searches of {how['max_iter']} steps, theirs are not "
        f"printed; {HELD if few > 0.9 else FAILED}."
    )


def _theorem() -> str:
    """Answer Theorem 1 by its own formula, with assumptions that an attacker leaves true."""
    found = load("lqvae_theorem")
    shift = max(found["rows"], key=lambda row: row["at_least"])
    return (
        f"Few bits flip: {shift['flips']} of 64 with probability {found['printed']['exactly']:g} "
        f"(theorem 1; its formula gives that number, for a budget that moves all bits one way): "
        f"{shift['flips']} or more do with {shift['at_least']:.2f} where the budget is taken in l2 "
        f"and each bit is pushed to its nearer threshold; {FAILED}."
    )


def _end_to_end() -> str:
    printed = next(r.lqvae for r in published_purifiers("7") if r.dataset == "mnist")
    claim = f"The filter keeps {printed:g} % of MNIST attacked end to end"
    if not (RESULTS / "tables" / "kyatham2020-table7.json").is_file():
        return f"{claim}; {OPEN}: not measured at size yet."
    rows = [row for row in _load("kyatham2020-table7").rows if row.dataset == "mnist"]
    cells = [row.cell("lqvae", "end to end, worst") for row in rows if row.eps == STEP_EPS]
    best = max(cells, key=lambda cell: cell.left.value)
    word, why = judged(printed, best.left, best.clean)
    return (
        f"{claim}: the best of {len(cells)} is left {_percent(best.left.value)} here; "
        f"{word}: {why}."
    )


CLAIMS = {
    "chen2018": _chen2018,
    "zhang2019": _zhang2019,
    "chen2019": _chen2019,
    "panda2019": _panda2019,
    "kyatham2020": _kyatham2020,
}
