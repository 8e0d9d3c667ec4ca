"""Plots of randomness measured, from records alone.

Each takes a record and the Axes to draw on (None: new ones), and returns the Axes; without
matplotlib it raises a `MissingExtraError`.
"""

from collections.abc import Sequence
from itertools import cycle
from typing import Any

import numpy as np

from art_disc.core.records.base import Share
from art_disc.core.records.draws import RULES, DrawsRecord, PersistentCurve
from art_disc.core.records.randomness import AgreementRecord, ConvergenceRecord
from art_disc.core.records.supplied import SuppliedRecord, TransferRecord
from art_disc.report.drawing import (
    BLUE,
    COLOURS,
    GREY,
    INK,
    MARKERS,
    ORANGE,
    error_bars,
    new_axes,
)

RULE_WORDS = {
    "mean": "mean probability",
    "vote": "most votes",
    "any": "any draw right",
    "all": "all draws right",
}


def _level(axes: Any, share: Share, label: str, colour: str = INK, dashes: str = "-.") -> None:
    axes.axhline(100 * share.value, color=colour, linestyle=dashes, linewidth=1.2, label=label)


def _draws_below(axes: Any, numbers: Sequence[int], labels: Sequence[str]) -> None:
    """Set a logarithmic axis of numbers of draws, each with its label."""
    axes.set_xscale("log")
    axes.set_xticks(numbers, labels, fontsize=9)
    axes.set_xticks([], minor=True)


def _names_below(axes: Any, names: Sequence[str], what: str) -> None:
    axes.set_xticks(range(len(names)), names, rotation=20, ha="right", fontsize=9)
    axes.set(xlim=(-0.5, max(len(names), 1) - 0.5), xlabel=what)


def _correct(axes: Any, eps: float) -> Any:
    """Finish Axes of shares still correct: limits, label and a legend above; return them."""
    axes.set(ylim=(-2, 102), ylabel="still correct (%)")
    # intervals leave no free corner inside
    axes.legend(
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=3,
        fontsize=9,
        title_fontsize=9,
        title=f"eps = {eps:.4g}; bars: 95 % Clopper-Pearson intervals",
    )
    return axes


def agreement_plot(record: AgreementRecord, ax: Any = None) -> Any:
    """Draw median and quartiles of the cosine over draws a gradient, and the zero gradients."""
    axes = ax or new_axes()
    low, middle, high = zip(*(record.quartiles(m) for m in record.draws), strict=True)
    axes.fill_between(record.draws, low, high, color=BLUE, alpha=0.18, linewidth=0)
    axes.plot(record.draws, middle, color=BLUE, marker="o", label="median cosine; band: quartiles")
    zeros = [record.zero_share(m).value for m in record.draws]
    axes.plot(
        record.draws, zeros, color=ORANGE, marker="s", linestyle="--", label="share of zero ones"
    )
    axes.axhline(0, color=GREY, linewidth=0.8, linestyle=":")
    _draws_below(axes, record.draws, [str(m) for m in record.draws])
    axes.set(xlabel="draws M of each estimate", ylabel="two estimates of one gradient")
    axes.set_ylim(min(-0.05, min(low) - 0.05), 1.05)
    axes.legend(loc="best", fontsize=9)
    return axes


def convergence_plot(record: ConvergenceRecord, ax: Any = None) -> Any:
    """Draw robust accuracy over draws a gradient at equal gradients."""
    axes = ax or new_axes()
    numbers = [point.draws for point in record.points]
    shares = [point.share for point in record.points]
    error_bars(axes, numbers, shares, color=BLUE, marker="o", label="PGD with EOT-M")
    _level(axes, record.clean, "without a change")
    _level(axes, record.worst, "worst of all M", ORANGE, "--")
    _draws_below(axes, numbers, [f"{point.draws}\n{point.steps} steps" for point in record.points])
    axes.set_xlabel(f"draws M a gradient, at {record.gradients} gradients an image")
    return _correct(axes, record.eps)


def draws_plot(record: DrawsRecord, ax: Any = None) -> Any:
    """Draw how many draws of an image are right, and accuracy by each rule."""
    axes = ax or new_axes()
    counts = np.bincount(record.right, minlength=record.draws + 1)
    axes.bar(np.arange(record.draws + 1), counts, color=BLUE, width=0.9)
    for rule in RULES:
        share = record.share(rule)
        low, high = share.interval
        words = f"{RULE_WORDS[rule]}: {share.value:.1%} [{low:.1%}, {high:.1%}]"
        axes.plot([], [], " ", label=words)
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel=f"right draws of {record.draws}", ylabel=f"images of {len(record.right)}")
    axes.legend(loc="best", fontsize=9, title="accuracy, 95 % exact interval", title_fontsize=9)
    return axes


def persistent_plot(record: PersistentCurve, ax: Any = None, *, label: str = "") -> Any:
    """Draw the share of images that fall to repeated submissions, beside others' curves."""
    axes = ax or new_axes()
    drawn = sum(not line.get_label().startswith("_") for line in axes.lines)
    colour, marker = COLOURS[drawn % len(COLOURS)], MARKERS[drawn % len(MARKERS)]
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
    """Draw what each source's examples leave the target and the source."""
    axes = ax or new_axes()
    names = list(record.finished)
    at = np.arange(len(names))
    targets = [record.share(name) for name in names]
    own = [row.own_share for row in record.finished.values()]
    error_bars(axes, at - 0.08, targets, color=BLUE, marker="o", linestyle="", label="target")
    error_bars(axes, at + 0.08, own, color=ORANGE, marker="s", linestyle="", label="source itself")
    _level(axes, record.clean, "target, no change")
    _names_below(axes, names, "examples made on")
    return _correct(axes, record.eps)


def supplied_plot(record: SuppliedRecord, ax: Any = None) -> Any:
    """Draw the accuracy of each defence on each set of supplied images."""
    axes = ax or new_axes()
    at, width = np.arange(len(record.sets)), 0.7 / max(len(record.defences), 1)
    looks = zip(record.defences, cycle(COLOURS), cycle(MARKERS), strict=False)
    for i, (defence, colour, marker) in enumerate(looks):
        shares = [record.share(found.name, defence) for found in record.sets]
        where = at + (i - (len(record.defences) - 1) / 2) * width
        error_bars(axes, where, shares, color=colour, marker=marker, linestyle="", label=defence)
    _names_below(axes, [found.name for found in record.sets], "supplied images")
    return _correct(axes, record.eps)
