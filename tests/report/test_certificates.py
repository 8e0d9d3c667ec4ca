"""Certificates over budgets: the table of counts, the plot of both ends, and the page."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from art_disc.core.intervals import clopper_pearson_lower
from art_disc.core.records.certificate import CertificateCurveRecord
from art_disc.report import as_text, summarise
from art_disc.report.certificates import certificate_counts, curve_plot


@pytest.fixture
def curve(make):
    correct = (True,) * 38 + (False,) * 2
    small = make.certificate(
        eps=0.1,
        verdicts=("certified",) * 30 + ("undecided",) * 6 + ("falsified",) * 4,
        reasons=("",) * 30 + ("late",) * 6 + ("",) * 4,
        correct=correct,
        decided_at=(0.3,) * 20 + (None,) * 20,
    )
    large = make.certificate(
        eps=0.3,
        verdicts=("certified",) * 20 + ("undecided",) * 8 + ("falsified",) * 12,
        reasons=("",) * 20 + ("late",) * 8 + ("",) * 12,
        correct=correct,
        decided_at=(None,) * 37 + (0.1,) * 3,
    )
    return CertificateCurveRecord((small, large), 3.0, small.environment)


def test_the_table_counts_what_the_records_hold(curve):
    table = certificate_counts(curve.certificates, unable=20)
    cells = [[cell.text for cell in one.cells] for one in table.bodies[0].rows]
    limit = np.floor(1e4 * clopper_pearson_lower(30, 40, 0.99)) / 100
    # of sizes 2^0, 2^1, ... 2^39
    assert cells[0] == ["0.1", "30", "4", "6", "19", "2", "75.0%", "90.0%", f"{limit:.2f}%", "40"]
    assert cells[1][:8] == ["0.3", "20", "12", "8", "19", "2", "50.0%", "70.0%"]
    assert len(certificate_counts(curve.certificates).bodies[0].rows[0].cells) == 9
    assert as_text(curve) == certificate_counts(curve.certificates).text()


def test_the_plot_shades_what_is_undecided(curve):
    axes = Figure().add_subplot()
    curve_plot(curve, axes)
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert lines["certified"].get_xydata().tolist() == [[0, 95], [0.1, 75], [0.3, 50]]
    assert np.allclose(lines["not falsified"].get_ydata(), [95, 90, 70])
    assert list(lines["clean"].get_ydata()) == [95, 95]
    (shade,) = axes.collections
    corners = {(float(x), round(float(y), 6)) for x, y in shade.get_paths()[0].vertices}
    assert {(0.1, 75), (0.1, 90), (0.3, 50), (0.3, 70)} <= corners


def test_the_plot_alone_says_what_it_shows(curve):
    axes = curve_plot(curve)
    assert axes.get_xlabel().startswith("eps")
    assert axes.get_ylabel() == "accuracy (%)"
    assert axes.get_ylim() == (0, 100)
    words = [text.get_text() for text in axes.get_legend().get_texts()]
    assert sorted(words) == ["certified", "clean", "not falsified", "undecided"]


def test_where_all_is_decided_there_is_one_line(make):
    # 1 - 3 / 10 is not 7 / 10
    one = make.certificate(
        verdicts=("certified",) * 28 + ("falsified",) * 12,
        reasons=("",) * 40,
        correct=(True,) * 40,
    )
    axes = curve_plot(CertificateCurveRecord((one,), 1.0, one.environment))
    words = [text.get_text() for text in axes.get_legend().get_texts()]
    assert words == ["clean", "not falsified\n= certified"]
    assert len(axes.lines) == len(words)
    assert not axes.collections, "nothing is shaded"


def test_the_page_tells_counts_and_what_was_carried(show, curve):
    page = show(curve)
    rows = {row[0]: row for row in page.rows}
    assert rows["0.1"][1:4] == ("30", "4", "6")
    assert "eps 0.1: 20 certified examples were certified at a larger budget, 0" in page.text
    assert "eps 0.3: 0 certified examples were certified at a larger budget, 3" in page.text
    assert "Certified: 75.0% at 0.1, 50.0% at 0.3" in page.of("img")[0]["alt"]
    assert "stopped before" not in page.text
    told = summarise(curve)
    assert told["clean"] == 38
    assert [one["carried"] for one in told["certificates"]] == [20, 3]
    assert [one["wrong_when_clean"] for one in told["certificates"]] == [2, 2]


def test_a_curve_stopped_before_its_first_budget_has_a_page(show, curve):
    page = show(CertificateCurveRecord((), 1.0, curve.environment, complete=False))
    assert "stopped before its last budget" in page.text
