"""The entries of `studies.entries` as docs/leaderboard.md, its JSON, and the README's table."""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby

from art_disc.report.kinds.published import eps_words
from studies.architecture import ROOT
from studies.common import markdown
from studies.entries import NO_ENTRY, TWO_CODES, Entry, Share, entries

FILE = ROOT / "docs" / "leaderboard.json"
HEADS = (
    "eps",
    "defence",
    "network trained",
    "clean",
    "certified",
    "unbroken",
    "checks",
    "cost an image",
    "reported",
    "record",
)
# file, defence and training of what the README shows, at these budgets of grey images
SHOWN = (
    ("decided/", TWO_CODES, "adversarial"),
    ("decided/", TWO_CODES, "natural"),
    ("verified_binarised/windows", "codes 0 and 1", "against flips of codes, network of signs"),
    ("tables/chen2018-table3", "none", "adversarial"),
    ("tables/chen2019-table2-fashion_mnist", "none", "adversarial"),
    ("tables/chen2019-table2-fashion_mnist", TWO_CODES, "adversarial"),
    ("tables/chen2018-table4", "none", "natural"),
    ("code_space_cifar10", "density, 300 codes", "natural"),
)
BUDGETS = (0.1, 0.2, 0.3, 2 / 255, 8 / 255)


def percent(share: Share | None) -> str:
    """Return a share and what it is of.

    >>> percent(Share(192, 200)), percent(None)
    ('96.0 % of 200', '')
    """
    return f"{100 * share.value:.1f} % of {share.total:,}" if share else ""


def board() -> list[str]:
    """Return the tables, one for each data set."""
    lines = []
    for dataset, rows in groupby(entries(), lambda entry: entry.dataset):
        lines += [f"## {dataset}", "", *markdown(HEADS, map(_cells, rows))]
    without = [f"`{name}` ({why})" for name, why in NO_ENTRY.items()]
    return [*lines, "## Records without a row", "", f"{', '.join(without)}."]


def _cells(entry: Entry) -> tuple[str, ...]:
    return (
        eps_words(entry.eps, entry.dataset),
        entry.defence,
        entry.training,
        percent(entry.clean),
        percent(entry.certified) or "no certificate",
        percent(entry.unbroken) or "not attacked",
        entry.verdict or "not run",
        ", ".join(_cost(entry)),
        "; ".join(_reported(entry)),
        f"`{entry.file.removesuffix('.json')}`",
    )


def _cost(entry: Entry) -> Iterator[str]:
    for number, name in ((entry.gradients, "gradients"), (entry.queries, "queries")):
        if number:
            yield f"{number:,.0f} {name}"
    if entry.seconds is not None:
        yield f"{entry.seconds:.2g} s" if entry.seconds < 10 else f"{entry.seconds:.0f} s"


def _reported(entry: Entry) -> Iterator[str]:
    if entry.reported is not None:
        yield f"{entry.reported:g} %"
    if entry.reported_certified is not None:
        yield f"certified {entry.reported_certified:g} %"


def headline() -> list[str]:
    """Return the README's table: of each setting and budget the record of most images."""
    best: dict[tuple[str, float, str, str], Entry] = {}
    for entry in entries():
        if entry.eps in BUDGETS and any(_is(entry, *one) for one in SHOWN):
            place = (entry.dataset, entry.eps, entry.defence, entry.training)
            best[place] = max(best.get(place, entry), entry, key=_images)
    rows = [
        (
            entry.dataset,
            eps_words(entry.eps, entry.dataset),
            entry.defence,
            entry.training,
            percent(entry.clean),
            percent(entry.certified) or "no certificate",
            percent(entry.unbroken),
        )
        for entry in best.values()
    ]
    heads = ("data", "l_inf eps", "defence", "network trained", "clean", "certified", "unbroken")
    return markdown(heads, rows)


def _is(entry: Entry, file: str, defence: str, training: str) -> bool:
    return entry.file.startswith(file) and (entry.defence, entry.training) == (defence, training)


def _images(entry: Entry) -> int:
    return entry.unbroken.total if entry.unbroken else 0


def as_json() -> str:
    """Return the entries, a line each, by RobustBench's keys where they mean the same."""
    lines = (json.dumps(_plain(entry), allow_nan=False) for entry in entries())
    return "[\n" + ",\n".join(lines) + "\n]\n"


def _plain(entry: Entry) -> dict[str, object]:
    return {
        "dataset": entry.dataset,
        "threat": "Linf",
        "eps": entry.eps,
        "name": entry.defence,
        "training": entry.training,
        "architecture": entry.network,
        **_accuracy("clean", entry.clean),
        **_accuracy("unbroken", entry.unbroken),
        "unbroken_ci95": _rounded(entry.unbroken.interval if entry.unbroken else ()),
        **_accuracy("certified", entry.certified),
        "certified_limit99": None if entry.limit is None else _rounded([entry.limit])[0],
        "certificate": entry.certificate or None,
        "attacks": entry.attacks or None,
        "verdict": entry.verdict or None,
        "gradients_per_image": entry.gradients and round(entry.gradients, 1),
        "queries_per_image": entry.queries and round(entry.queries, 1),
        "seconds_per_image": entry.seconds and round(entry.seconds, 3),
        "reported": entry.reported,
        "reported_certified": entry.reported_certified,
        "file": f"studies/results/{entry.file}",
        "commit": entry.commit,
        "date": entry.created,
    }


def _accuracy(name: str, share: Share | None) -> dict[str, object]:
    value, total = (_rounded([share.value])[0], share.total) if share else (None, None)
    return {f"{name}_acc": value, f"{name}_n": total}


def _rounded(shares: Sequence[float]) -> list[float]:
    return [round(100 * share, 2) for share in shares]
