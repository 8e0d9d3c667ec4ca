"""Published tables of purifiers run again: every column says what its attacker knew."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from art_disc.core.records.purifiers import (
    BitFlipRecord,
    BitFlipRow,
    PurifierCell,
    PurifierRow,
    PurifierTableRecord,
)
from art_disc.report.document import Document, Notes, Section
from art_disc.report.drawing import COLOURS
from art_disc.report.kinds.published import differences, eps_words, printed, with_interval
from art_disc.report.table import Table
from art_disc.report.views import View, measured, settings_section

_CAPTION = "Percentages, with 95 % intervals where they are given; printed: the paper's own number"
DEFENCES = {
    "none": "no defence",
    "lqvae": "LQ-VAE",
    "lqvae_sampled": "LQ-VAE, sampled",
    "defense_gan": "Defense-GAN",
    "pgd_trained": "PGD-trained",
    "fgsm_trained": "FGSM-trained",
}
_ATTACKS = {
    "fgsm": "FGSM",
    "deepfool": "DeepFool",
    "cw_l2": "CW l2",
    "bim": "iterative FGSM",
    "pgd": "PGD",
}
_KNOWLEDGE = {
    "white box": "made on this network itself",
    "grey box": "made on the classifier alone, by someone who does not know of the filter: it says "
    "nothing about attackers who do",
    "black box": "made on a substitute, without any access to the classifier or a filter",
    "end to end, one step": "FGSM through filter and classifier, by the soft quantiser's gradient, "
    "as the paper's BPDA",
    "end to end, latent codes": "the encoder's means driven across the thresholds towards a code "
    "that the classifier gets wrong",
    "end to end, worst": "the per-example worst of all attacks through filter and classifier",
    "end to end, majority vote": "PGD with EOT on a filter that draws, and made on the classifier "
    "alone; right where most of fresh draws are",
    "end to end, worst draw": "the same images; right where every one of fresh draws is",
    "end to end, fixed draws": "the filter's draws are fixed, and attackers know them",
}
# what figure 3 is about, and what it says of this attack's images
_FEW, _PRINTED = 0.06, {"cw_l2": "over 90%"}

# heading, what a row shows, and the mean of the rows
Column = tuple[str, Callable[[PurifierRow], str], str]


def _document(record: PurifierTableRecord) -> Document:
    columns = list(_columns(record))
    rows = [tuple(show(row) for _, show, _ in columns) for row in record.rows]
    if len(rows) > 1 and len({row.dataset for row in record.rows}) == 1:
        rows.append(tuple(mean for *_, mean in columns))
    table = Table.of("Theirs and ours", _CAPTION, [head for head, *_ in columns], rows)
    return Document.of(
        f"{record.table}: {record.title}",
        f"{len(record.rows)} of {record.planned} rows",
        Section.of("Theirs and ours", table, _clean(record), Notes(tuple(_notes(record)))),
        settings_section(record, {"Run": record.settings}),
    )


def _columns(record: PurifierTableRecord) -> Iterator[Column]:
    yield "data", lambda row: row.dataset, "mean of the rows"
    yield "attack", lambda row: _ATTACKS.get(row.attack, row.attack), ""
    yield "classifier", lambda row: row.model, ""
    yield "eps", lambda row: "" if row.eps is None else eps_words(row.eps, row.dataset), ""
    if (mean := _mean([row.printed_clean for row in record.rows])) is not None:
        yield "no attack: printed", lambda row: printed(row.printed_clean), printed(mean)
    pairs = dict.fromkeys((c.defence, c.knowledge) for row in record.rows for c in row.cells)
    for defence, knowledge in pairs:
        name = f"{DEFENCES[defence]} ({knowledge})"
        cells = [row.cell(defence, knowledge) for row in record.rows]
        theirs = [None if c is None else c.printed for c in cells]
        ours = [None if c is None or c.left is None else 100 * c.left.value for c in cells]
        if any(value is not None for value in theirs):
            yield f"{name}: printed", _cell(defence, knowledge, _printed), printed(_mean(theirs))
        if any(value is not None for value in ours):
            yield f"{name}: ours", _cell(defence, knowledge, _left), printed(_mean(ours))


def _cell(
    defence: str, knowledge: str, show: Callable[[PurifierCell], str]
) -> Callable[[PurifierRow], str]:
    def words(row: PurifierRow) -> str:
        cell = row.cell(defence, knowledge)
        return "" if cell is None else show(cell)

    return words


def _printed(cell: PurifierCell) -> str:
    return printed(cell.printed)


def _left(cell: PurifierCell) -> str:
    return "" if cell.left is None else with_interval(cell.left)


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean to two digits; None where one of the values is missing."""
    there = [value for value in values if value is not None]
    return round(sum(there) / len(there), 2) if len(there) == len(values) > 0 else None


def _clean(record: PurifierTableRecord) -> Table:
    """Return what every defence costs: accuracy without an attack."""
    rows = dict.fromkeys(
        (row.dataset, row.model.split("/")[0], DEFENCES[cell.defence], f"{cell.clean.value:.1%}")
        for row in record.rows
        for cell in row.cells
        if cell.clean is not None
    )
    heads = ("data", "classifier", "defence", "no attack: ours")
    return Table.of("Without an attack", "On every test image that there is", heads, rows)


def _notes(record: PurifierTableRecord) -> Iterator[str]:
    if not record.complete:
        yield f"unfinished: {len(record.rows)} of {record.planned}"
    cells = [cell for row in record.rows for cell in row.cells]
    yield from dict.fromkeys(f"{c.knowledge}: {_KNOWLEDGE[c.knowledge]}" for c in cells)
    yield "an example counts only if it is right without the attack too: nobody must attack"
    yield from differences(record.rows)
    yield from dict.fromkeys(
        f"attacks ({cell.knowledge}): {cell.attacks}" for cell in cells if cell.attacks
    )
    yield from dict.fromkeys(
        f"network, {row.dataset}: {words}" for row in record.rows for words in row.networks
    )


def _flips(record: BitFlipRecord) -> Table:
    return Table.of(
        "Flipped bits",
        f"{record.title}, {record.dataset}; printed: less than 6 %",
        (
            *("classifier", "attack", "knowledge", "#at most 6 % flipped, printed", "#ours"),
            *("#half of the images", "#right, no attack", "#right, attacked"),
        ),
        (
            (
                *(row.model, _ATTACKS.get(row.attack, row.attack), row.knowledge),
                *(_PRINTED.get(row.attack, ""), f"{row.within(_FEW):.1%}"),
                f"up to {_half(row)} of {len(row.curve) - 1}",
                *(with_interval(row.clean), with_interval(row.left)),
            )
            for row in record.rows
        ),
    )


def _half(row: BitFlipRow) -> int:
    """Return the fewest bits that cover half of the images."""
    return next(k for k, share in enumerate(row.curve) if share >= 0.5)


def _plot_flips(record: BitFlipRecord, axes: Any) -> None:
    for place, row in enumerate(record.rows):
        share = [100 * k / (len(row.curve) - 1) for k in range(len(row.curve))]
        label = f"{row.model}, {_ATTACKS.get(row.attack, row.attack)}, {row.knowledge}"
        look = {"color": COLOURS[place % len(COLOURS)], "where": "post"}
        axes.step(share, [100 * v for v in row.curve], label=label, **look)
    axes.set(xlabel="bits flipped, % of the code", ylabel="images with at most so many, %")
    axes.legend(fontsize=8)


def _networks(record: BitFlipRecord) -> tuple[Notes]:
    known = dict.fromkeys(row.knowledge for row in record.rows)
    return (Notes((*(f"{word}: {_KNOWLEDGE[word]}" for word in known), *record.networks)),)


TABLES = View(_document)
FLIPS = measured("Flipped bits", _flips, _plot_flips, _networks)
