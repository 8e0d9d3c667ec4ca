"""Plots of randomness: what is drawn is what the records say."""

import numpy as np
import pytest

from art_disc.core import extras
from art_disc.core.errors import MissingExtraError
from art_disc.core.records.base import Environment
from art_disc.core.records.draws import DrawsRecord, persistent_curve
from art_disc.core.records.randomness import AgreementRecord, ConvergencePoint, ConvergenceRecord
from art_disc.core.records.supplied import SuppliedRecord, SuppliedSet, TransferRecord, TransferRow
from art_disc.report import as_text
from art_disc.report.hardness import png
from art_disc.report.randomness import (
    agreement_plot,
    convergence_plot,
    draws_plot,
    persistent_plot,
    supplied_plot,
    transfer_plot,
)

HERE = Environment("2025-01-02", "0.1.0", "3.12.0", "linux", {"numpy": "2.0.0"})
AGREEMENT = AgreementRecord(
    "cross_entropy", (1, 10), ((0.0, 0.1, 0.2, 0.3), (0.5, 0.6, 0.7, 0.8)), (4, 0), 0, (), 1.0, HERE
)


def bits(text):
    return tuple(c == "1" for c in text)


def point(draws, text):
    return ConvergencePoint(draws, 8 // draws, 0.1, 8, bits(text), (0,) * len(text), 1.0)


CONVERGENCE = ConvergenceRecord(
    0.1, 8, 2.5, True, 20, bits("11110"), (point(1, "11100"), point(4, "00110")), 0, {}, (), HERE
)
DRAWS = DrawsRecord(4, (0, 2, 4, 4), bits("0011"), bits("0111"), 0, (), HERE)
ROW = {"defences": (), "attack": "pgd", "settings": {}, "distances": (0.1,) * 4}
TRANSFER = TransferRecord(
    0.1,
    1e-6,
    (),
    bits("1110"),
    (
        TransferRow("base", status="done", own_correct=bits("0000"), right=bits("1100"), **ROW),
        TransferRow("frozen", status="failed", reason="it did", **{**ROW, "distances": ()}),
        TransferRow("own", status="done", own_correct=bits("1000"), right=bits("1000"), **ROW),
    ),
    0,
    0,
    HERE,
)


def supplied(name, right):
    clean = {"a": bits("1111"), "b": bits("1110")}
    return SuppliedSet(
        name, f"{name}.npz", (1, 2, 3, 4), (), (0.1,) * 4, (True,) * 4, (), clean,
        {"a": bits(right), "b": bits("1000")},
    )  # fmt: skip


SUPPLIED = SuppliedRecord(
    0.1, 1e-6, {"a": (), "b": ()}, (supplied("one", "1100"), supplied("two", "1110")), 20, 0, HERE
)


def labelled(axes):
    return axes.get_xlabel() and axes.get_ylabel()


def heights(axes):
    return {c.get_label(): c.lines[0].get_ydata().tolist() for c in axes.containers}


def test_agreement():
    axes = agreement_plot(AGREEMENT)
    assert axes.lines[0].get_xdata().tolist() == [1, 10]
    assert axes.lines[0].get_ydata().tolist() == pytest.approx([0.15, 0.65])
    assert axes.lines[1].get_ydata().tolist() == [0.5, 0]
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((0.075, 0.725))
    assert labelled(axes)


def test_convergence():
    axes = convergence_plot(CONVERGENCE)
    ((_, drawn),) = heights(axes).items()
    assert drawn == pytest.approx([60, 40])
    lines = {line.get_label(): line.get_ydata() for line in axes.lines}
    assert set(lines["without a change"]) == {80}
    assert set(lines["worst of all M"]) == {20}
    assert [t.get_text() for t in axes.get_xticklabels()] == ["1\n8 steps", "4\n2 steps"]
    assert labelled(axes)


def test_draws():
    axes = draws_plot(DRAWS)
    assert [bar.get_height() for bar in axes.patches] == [1, 0, 1, 0, 2]
    told = [text.get_text() for text in axes.get_legend().get_texts()]
    assert [t.split(":")[1].split()[0] for t in told] == ["50.0%", "75.0%", "75.0%", "50.0%"]
    assert labelled(axes)


def test_persistent_curves_share_axes():
    axes = persistent_plot(persistent_curve(DRAWS), label="clean")
    persistent_plot(persistent_curve(DRAWS, submissions=2), axes, label="again")
    one, two = axes.lines
    assert one.get_ydata().tolist() == pytest.approx([37.5, 550 / 12, 50, 50])
    assert len(two.get_ydata()) == 2
    assert one.get_color() != two.get_color()
    assert labelled(axes)


def test_transfer_leaves_failures_out():
    axes = transfer_plot(TRANSFER)
    drawn = heights(axes)
    assert drawn == {"target": [50, 25], "source itself": [0, 25]}
    assert [t.get_text() for t in axes.get_xticklabels()] == ["base", "own"]
    assert labelled(axes)


def test_supplied():
    axes = supplied_plot(SUPPLIED)
    assert heights(axes) == {"a": [50, 75], "b": [25, 25]}
    assert [t.get_text() for t in axes.get_xticklabels()] == ["one", "two"]
    assert labelled(axes)
    assert np.all(np.diff([c.lines[0].get_xdata() for c in axes.containers], axis=0) > 0)


@pytest.mark.parametrize(
    ("plot", "record"),
    [
        (agreement_plot, AGREEMENT),
        (convergence_plot, CONVERGENCE),
        (draws_plot, DRAWS),
        (persistent_plot, persistent_curve(DRAWS)),
        (transfer_plot, TRANSFER),
        (supplied_plot, SUPPLIED),
    ],
)
def test_every_plot_is_drawn_from_what_was_read_back(plot, record, tmp_path):
    back = type(record).load(record.save(tmp_path / "record.json"))
    assert back == record
    assert png(plot(back)).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("record", "first", "words"),
    [
        (AGREEMENT, "10", ("10", "0.575", "0.65", "0.725")),
        (CONVERGENCE, "4", ("4", "2", "8")),
        (TRANSFER, "frozen", ("frozen", "pgd", "", "", "failed: it did")),
        (SUPPLIED, "two", ("two", "4", "0", "75.0%", "25.0%")),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_the_page_and_the_text_hold_the_numbers(show, record, first, words):
    page = show(record)
    assert page.row_of(first)[: len(words)] == words
    assert "Its numbers are in the table." in page.of("img")[0]["alt"]
    line = next(line for line in as_text(record).splitlines() if line.split()[0] == first)
    assert line.split()[: len(words)] == " ".join(words).split()[: len(words)]


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(extras, "import_module", missing)
    with pytest.raises(MissingExtraError, match="report"):
        agreement_plot(AGREEMENT)
