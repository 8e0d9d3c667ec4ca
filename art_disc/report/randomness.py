"""Plots of randomness measured, and the table of supplied images, from records alone."""

from itertools import cycle
from typing import Any

import numpy as np

from art_disc.core.records.base import Share
from art_disc.core.records.draws import RULES, DrawsRecord, PersistentCurve
from art_disc.core.records.randomness import AgreementRecord, ConvergenceRecord
from art_disc.core.records.supplied import SuppliedRecord, TransferRecord
from art_disc.report.drawing import BLUE, GREEN, GREY, INK, ORANGE, PURPLE
from art_disc.report.hardness import new_axes

_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, INK)
_MARKERS = "os^Dv"
_RULES = {
    "mean": "mean probability",
    "vote": "most votes",
    "any": "any draw right",
    "all": "all draws right",
}
# intervals leave no free corner inside
_ABOVE: dict[str, Any] = {
    "loc": "lower center",
    "bbox_to_anchor": (0.5, 1.0),
    "ncols": 3,
    "fontsize": 9,
    "title_fontsize": 9,
}
_EXACT = "bars: 95 % Clopper-Pearson intervals"


def _bars(shares: list[Share]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the lower and upper lengths of error bars in percent, shape (2, n)."""
    low = [share.value - share.interval[0] for share in shares]
    high = [share.interval[1] - share.value for share in shares]
    return np.asarray(np.maximum(100 * np.array([low, high]), 0))


def _points(axes: Any, at: Any, shares: list[Share], **look: Any) -> None:
    axes.errorbar(
        at, [100 * share.value for share in shares], yerr=_bars(shares), capsize=3, **look
    )


def agreement_plot(record: AgreementRecord, ax: Any = None) -> Any:
    """Draw median and quartiles of the cosine over draws a gradient, and zero gradients; Axes.

    Args:
        record: Of `gradient_agreement`.
        ax: Axes to draw on; None: new ones.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    axes = new_axes() if ax is None else ax
    low, middle, high = zip(*(record.quartiles(m) for m in record.draws), strict=True)
    axes.fill_between(record.draws, low, high, color=BLUE, alpha=0.18, linewidth=0)
    axes.plot(record.draws, middle, color=BLUE, marker="o", label="median cosine; band: quartiles")
    zeros = [record.zero_share(m).value for m in record.draws]
    axes.plot(
        record.draws, zeros, color=ORANGE, marker="s", linestyle="--", label="share of zero ones"
    )
    axes.axhline(0, color=GREY, linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    axes.set_xticks(record.draws, [str(m) for m in record.draws])
    axes.set_xticks([], minor=True)
    axes.set(xlabel="draws M of each estimate", ylabel="two estimates of one gradient")
    axes.set_ylim(min(-0.05, min(low) - 0.05), 1.05)
    axes.legend(loc="best", fontsize=9)
    return axes


def convergence_plot(record: ConvergenceRecord, ax: Any = None) -> Any:
    """Draw robust accuracy over draws a gradient at equal gradients and return the Axes.

    Args:
        record: Of `eot_convergence`.
        ax: Axes to draw on; None: new ones.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    axes = new_axes() if ax is None else ax
    numbers = [point.draws for point in record.points]
    shares: list[Share] = [point.share for point in record.points]
    _points(axes, numbers, shares, color=BLUE, marker="o", label="PGD with EOT-M")
    clean, worst = 100 * record.clean.value, 100 * record.worst.value
    axes.axhline(clean, color=INK, linestyle="-.", linewidth=1.2, label="without a change")
    axes.axhline(worst, color=ORANGE, linestyle="--", linewidth=1.2, label="worst of all M")
    axes.set_xscale("log")
    axes.set_xticks(
        numbers, [f"{point.draws}\n{point.steps} steps" for point in record.points], fontsize=9
    )
    axes.set_xticks([], minor=True)
    axes.set(ylim=(-2, 102), ylabel="still correct (%)")
    axes.set_xlabel(f"draws M a gradient, at {record.gradients} gradients an image")
    axes.legend(**_ABOVE, title=f"eps = {record.eps:.4g}; {_EXACT}")
    return axes


def draws_plot(record: DrawsRecord, ax: Any = None) -> Any:
    """Draw how many draws of an image are right, and accuracy by each rule; return the Axes.

    Args:
        record: Of `score_draws`.
        ax: Axes to draw on; None: new ones.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    axes = new_axes() if ax is None else ax
    counts = np.bincount(record.right, minlength=record.draws + 1)
    axes.bar(np.arange(record.draws + 1), counts, color=BLUE, width=0.9)
    shares = {rule: record.share(rule) for rule in RULES}
    for rule, share in shares.items():
        low, high = share.interval
        told = f"{_RULES[rule]}: {share.value:.1%} [{low:.1%}, {high:.1%}]"
        axes.plot([], [], " ", label=told)
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel=f"right draws of {record.draws}", ylabel=f"images of {len(record.right)}")
    axes.legend(loc="best", fontsize=9, title="accuracy, 95 % exact interval", title_fontsize=9)
    return axes


def persistent_plot(record: PersistentCurve, ax: Any = None, *, label: str = "") -> Any:
    """Draw the share of images that fall to repeated submissions and return the Axes.

    Args:
        record: Of `persistent_curve`.
        ax: Axes to draw on, others' curves may be there; None: new ones.
        label: Of the curve.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    axes = new_axes() if ax is None else ax
    drawn = sum(not line.get_label().startswith("_") for line in axes.lines)
    colour, marker = _COLOURS[drawn % len(_COLOURS)], _MARKERS[drawn % len(_MARKERS)]
    middle, half = 100 * np.array(record.broken), 196 * np.array(record.errors)
    low, high = np.clip(middle - half, 0, 100), np.clip(middle + half, 0, 100)
    axes.fill_between(record.submissions, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(
        record.submissions,
        middle,
        color=colour,
        marker=marker,
        markersize=4,
        label=label or f"{record.total} images, {record.draws} draws each",
    )
    axes.set(ylim=(-2, 102), xlabel="submissions t of the same image")
    axes.set_ylabel("misclassified at least once (%)")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(loc="best", fontsize=9, title="bands: 1.96 standard errors", title_fontsize=8)
    return axes


def transfer_plot(record: TransferRecord, ax: Any = None) -> Any:
    """Draw what each source's examples leave the target and the source; return the Axes.

    Args:
        record: Of `transfer`.
        ax: Axes to draw on; None: new ones.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    axes = new_axes() if ax is None else ax
    names = [row.source for row in record.rows if row.status == "done"]
    at = np.arange(len(names))
    targets: list[Share] = [record.share(name) for name in names]
    own: list[Share] = [record.source_share(name) for name in names]
    _points(axes, at - 0.08, targets, color=BLUE, marker="o", linestyle="", label="target")
    _points(axes, at + 0.08, own, color=ORANGE, marker="s", linestyle="", label="source itself")
    clean = 100 * record.clean.value
    axes.axhline(clean, color=INK, linestyle="-.", linewidth=1.2, label="target, no change")
    axes.set_xticks(at, names, rotation=20, ha="right", fontsize=9)
    axes.set(ylim=(-2, 102), xlim=(-0.5, max(len(names), 1) - 0.5), ylabel="still correct (%)")
    axes.set_xlabel("examples made on")
    title = f"eps = {record.eps:.4g}; {_EXACT}"
    axes.legend(**_ABOVE, title=title)
    return axes


def supplied_plot(record: SuppliedRecord, ax: Any = None) -> Any:
    """Draw the accuracy of each defence on each set of supplied images and return the Axes.

    Args:
        record: Of `score_images`.
        ax: Axes to draw on; None: new ones.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    axes = new_axes() if ax is None else ax
    at, width = np.arange(len(record.sets)), 0.7 / max(len(record.defences), 1)
    looks = zip(record.defences, cycle(_COLOURS), cycle(_MARKERS), strict=False)
    for i, (defence, colour, marker) in enumerate(looks):
        shares: list[Share] = [record.share(found.name, defence) for found in record.sets]
        where = at + (i - (len(record.defences) - 1) / 2) * width
        _points(axes, where, shares, color=colour, marker=marker, linestyle="", label=defence)
    names = [found.name for found in record.sets]
    axes.set_xticks(at, names, rotation=20, ha="right", fontsize=9)
    axes.set(ylim=(-2, 102), xlim=(-0.5, len(names) - 0.5), ylabel="still correct (%)")
    axes.set_xlabel("supplied images")
    title = f"eps = {record.eps:.4g}; {_EXACT}"
    axes.legend(**_ABOVE, title=title)
    return axes


def supplied_table(record: SuppliedRecord, *, plain: bool = False) -> str:
    """Return the table of supplied images as text: sets down, defences across, mean and worst.

    Args:
        record: Of `score_images`.
        plain: As for `SuppliedRecord.share`.
    """
    names = list(record.defences)
    head = ["images", "n", "out of budget", *names]
    body = []
    for found in record.sets:
        shares = [record.share(found.name, name, plain=plain) for name in names]
        far = len(found.out_of_budget)
        values = (f"{share.value:.1%}" for share in shares)
        body.append([found.name, str(len(found.within)), str(far), *values])
    means = (f"{record.mean(name, plain=plain):.1%}" for name in names)
    worst = (f"{record.worst(name, plain=plain).value:.1%}" for name in names)
    body.append(["mean", "", "", *means])
    body.append(["worst set", "", "", *worst])
    if not plain:
        together = (record.together(name) for name in names)
        body.append(["worst by image", "", "", *(f"{share.value:.1%}" for share in together)])
    widths = [max(len(row[i]) for row in (head, *body)) for i in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *body)
    ]
    return "\n".join(lines)
