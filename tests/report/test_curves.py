"""The curves of an evaluation: what coincides is one line, with one entry of the legend."""

from dataclasses import replace

import pytest

from art_disc.core.records.certificate import CertifiedCurve
from art_disc.report.curves import accuracy_plot, step_plot
from art_disc.report.drawing import Drawing, new_figure, one_label, together
from art_disc.report.views import view_of
from tests.core.record_examples import RECORDS


def entries(drawing):
    """Entries of the legend, and the lines of the upper Axes as data."""
    with new_figure() as figure:
        drawing.paint(figure)
    (legend,) = figure.legends
    lines = [tuple(map(tuple, line.get_xydata().tolist())) for line in figure.axes[0].lines]
    return [text.get_text() for text in legend.get_texts()], lines


def test_the_legend_has_no_more_entries_than_there_are_lines(make):
    rows = (
        make.outcome("pgd", range(1, 9), eps=make.small),
        make.outcome("pgd", range(1, 20)),
        make.outcome("square", range(1, 4), knowledge="none", surrogate=None),
    )
    told, lines = entries(accuracy_plot(make.record(outcomes=rows)))
    assert len(told) == len(lines) == len(set(lines)) == 2
    assert "defended, worst of all\n= defended, white box (bpda)" in told
    # in words they are told apart still
    assert "defended, white box (bpda): 97.5% at 0" in accuracy_plot(make.record(outcomes=rows)).alt


def test_steps_that_coincide_are_one_line(make):
    steps = tuple(range(38, 20, -1))
    rows = (
        make.outcome("pgd", range(1, 20), by_step=steps),
        make.outcome("pgd", range(1, 20), by_step=steps, surrogate="identity"),
        make.outcome("apgd", range(1, 9), by_step=steps[:4]),
    )
    told, lines = entries(step_plot(make.record(outcomes=rows)))
    assert told == ["pgd (soft_assignment)\n= pgd (identity)", "apgd (soft_assignment)"]
    assert len(set(lines)) == 2


def test_as_many_different_lines_as_there_are_colours_are_shown(make):
    rows = tuple(
        make.outcome(f"a{i:02}", range(1, 20), by_step=(38, 38 - i // 2), surrogate=None)
        for i in range(24)
    )
    drawing = step_plot(make.record(outcomes=rows))
    told, lines = entries(drawing)
    assert len(told) == len(lines) == len(set(lines)) == 10
    assert "The strongest 10 of 12." in drawing.caption


def test_an_attack_of_one_step_is_seen(make):
    rows = (make.outcome("fgsm", range(1, 20), by_step=(30,), loss_by_step=(0.5,)),)
    with new_figure() as figure:
        step_plot(make.record(outcomes=rows)).paint(figure)
    for axes in figure.axes:
        assert [line.get_marker() for line in axes.lines] == ["o"], "one point makes no line"


@pytest.mark.parametrize("lines", [{}, {"a": 1}, {"a": 1, "b": 2, "c": 1, "d": 1}])
def test_together_loses_no_line(lines):
    found = together(lines)
    assert sorted(name for names in found for name in names) == sorted(lines)
    assert all(lines[name] == line for names, line in found.items() for name in names)
    assert len(set(found.values())) == len(found)


def test_a_line_alone_keeps_its_name():
    assert one_label(("pgd",)) == "pgd"


def test_bounds_that_certify_the_same_are_one_line():
    record = next(one for one in RECORDS if isinstance(one, CertifiedCurve))
    same = tuple(replace(record.points[0], bound=bound) for bound in record.bounds)
    (drawing,) = (
        part
        for part in view_of(record).document(replace(record, points=same)).parts
        if isinstance(part, Drawing)
    )
    assert "certified: inverted divergence\n= certified: Pinsker" in entries(drawing)[0]
