"""Every printed number is there once, and what measures it is told."""

from collections import Counter, defaultdict
from dataclasses import replace
from types import SimpleNamespace

import pytest

from art_disc.core.records.base import Environment, Share
from art_disc.core.records.published import CertificateTableRecord, TableRecord, TableRow
from art_disc.core.records.purifiers import PurifierCell, PurifierRow, PurifierTableRecord
from art_disc.report.kinds.published import eps_plots
from art_disc.reproduction import printed, standings
from art_disc.reproduction.costs import minutes_of
from art_disc.reproduction.printed import measures
from art_disc.reproduction.published import Published, every_row, published_purifiers
from art_disc.reproduction.standing import MEASURED, OUT_OF_REACH, TO_RUN
from studies.verdicts import certified, judged, of_row
from tests.core.record_examples import RECORDS

# numbers of each table, and their sum: a digit that is wrong changes it
PRINTED = {
    "chen2018-table1": (6, 569.28),
    "chen2018-table2": (35, 1246.8),
    "chen2018-table3": (12, 1033.15),
    "chen2018-table4": (52, 2820.7),
    "chen2018-table5": (24, 1259.7),
    "chen2019-table1": (116, 7345.24),
    "chen2019-table2": (172, 10503.49),
    "chen2019-table3": (36, 2609.77),
    "chen2019-table4": (35, 1255.52),
    "kyatham2020-table1": (60, 3346.45),
    "kyatham2020-table2": (60, 3975.97),
    "kyatham2020-table3": (96, 5366.48),
    "kyatham2020-table4": (42, 3370.14),
    "kyatham2020-table5": (42, 3025.85),
    "kyatham2020-table6": (42, 3345.96),
    "kyatham2020-table7": (4, 235.69),
    "panda2019-table1": (4, 344.64),
    "panda2019-table2": (16, 1228.3),
    "panda2019-table3": (16, 1127.5),
    "panda2019-table4": (24, 1475.3),
    "panda2019-table5": (24, 1671.4),
    "panda2019-table6": (8, 634.4),
    "zhang2019-table1": (10, 25.0),
    "zhang2019-table2a": (24, 543.6),
    "zhang2019-table2b": (36, 2128.0),
    "zhang2019-tabletext": (30, 1671.6),
}


def test_no_printed_number_is_missing_or_changed():
    found = defaultdict(list)
    for number in printed():
        found[number.name].append(number.value)
    assert {name: (len(v), round(sum(v), 2)) for name, v in found.items()} == PRINTED


def test_each_number_has_one_place():
    places = Counter((n.name, n.dataset, n.row, n.column) for n in printed())
    assert set(places.values()) == {1}
    # a row of two tables is one experiment: neither radius nor budget tells them apart
    facts = defaultdict(set)
    for row in every_row(Published):
        key = row.dataset, row.setting, row.defence, row.n_codes
        facts[key].add((row.radius, row.eps, row.steps))
    assert [key for key, found in facts.items() if len(found) > 1] == []


def row_of(**changed):
    row = TableRow(
        dataset="mnist",
        setting="disc_nat_pre",
        defence="density, 2 codes",
        n_codes=2,
        eps=0.3,
        printed_clean=None,
        printed_robust=None,
        printed_steps=0,
        clean=Share(9, 10),
        papers_attack=Share(1, 2),
        alive="10",
        white_box=Share(1, 2),
        correct="11",
        attack="",
        worst_of="",
        network="",
    )
    alive = changed.get("alive", row.alive)
    share = Share.of_bits(alive)
    same = {"papers_attack": share, "white_box": share, "correct": "1" * len(alive)}
    return replace(row, **(same | changed))


def table_of(*rows):
    return TableRecord("chen2018-table3", "", rows, len(rows), {}, Environment.here())


def stand(records, name, row, column):
    (found,) = (
        one
        for one in standings(records)
        if (one.printed.name, one.printed.row, one.printed.column) == (name, row, column)
        and one.printed.dataset == "mnist"
    )
    return found


def test_a_record_measures_its_rows_in_every_table_that_prints_them():
    records = {"a.json": table_of(row_of())}
    words = "disc_nat_pre, density, 2 codes"
    for name in ("chen2018-table3", "chen2019-table2"):
        for column in ("clean", "robust at 0.3"):
            found = stand(records, name, words, column)
            assert (found.word, found.files) == (MEASURED, ("a.json",))
    assert stand(records, "chen2018-table1", words, "clean").word == MEASURED
    # the same codewords by another way, other codes, another budget and the base are other rows
    other = stand(records, "chen2019-table3", "disc_nat_pre, kmedoids, 2 codes", "clean")
    assert (other.word, other.files) == (TO_RUN, ())
    assert other.minutes > 0
    near = {"a.json": table_of(row_of(eps=0.2))}
    assert stand(near, "chen2018-table3", words, "robust at 0.3").word == TO_RUN
    assert stand(near, "chen2018-table3", words, "clean").word == MEASURED
    assert stand(records, "chen2018-table3", "nat_pre", "clean").word == TO_RUN


def test_an_average_is_measured_once_all_its_rows_are():
    cells = (
        PurifierCell("none", "white box", 10.0, "10", Share(9, 10)),
        PurifierCell("defense_gan", "grey box", 10.0),
    )
    rows = [
        PurifierRow("mnist", attack, model, None, None, cells, ())
        for attack in ("fgsm", "deepfool", "cw_l2")
        for model in "ABC"
    ]
    record = PurifierTableRecord("kyatham2020-table2", "", tuple(rows), 9, {}, Environment.here())
    for whole, left in ((record, MEASURED), (replace(record, rows=record.rows[1:]), TO_RUN)):
        name, words = "kyatham2020-table2", "all, average"
        assert stand({"p": whole}, name, words, "none").word == left
        assert stand({"p": whole}, name, words, "clean").word == left
        assert stand({"p": whole}, name, words, "lqvae").word == TO_RUN
        assert stand({"p": whole}, name, words, "defense_gan").word == OUT_OF_REACH
    assert stand({"p": record}, name, "fgsm, A", "none").word == MEASURED
    assert measures(Environment.here()) == frozenset()


@pytest.mark.parametrize("word", [TO_RUN, OUT_OF_REACH])
def test_what_was_not_measured_says_why(word):
    found = [one for one in standings({}) if one.word == word]
    assert len(found) > 300
    assert all(one.reason and len(one.reason.split()) <= 5 for one in found)
    assert all((one.minutes is None) == (word == OUT_OF_REACH) for one in found)
    away = {one.printed.dataset for one in found} & {"imagenet", "celeba"}
    assert bool(away) == (word == OUT_OF_REACH)


@pytest.mark.parametrize(
    ("printed", "left", "word"),
    [
        (90.0, Share(900, 1000), "held"),
        (80.0, Share(900, 1000), "held"),
        (95.0, Share(900, 1000), "did not hold"),
        # within 8 points either way nothing is said of 100 images
        (90.0, Share(90, 100), "undecided"),
        (99.9, Share(90, 100), "did not hold"),
    ],
)
def test_a_printed_accuracy_holds_where_it_is_not_above_what_is_left(printed, left, word):
    assert judged(printed, left, Share(100, 100))[0] == word


def test_a_network_that_is_worse_on_clean_images_says_nothing():
    left, weak = Share(10, 1000), Share(600, 1000)
    assert judged(70.0, left, weak) == ("undecided", "our network is weaker")
    assert judged(59.0, left, weak) == ("did not hold", "our attacks left less")
    row = row_of(alive="0" * 1000, clean=weak, printed_robust=70.0)
    assert of_row(row) == ("undecided", "our network is weaker")


def test_a_table_7_that_names_no_classifier_costs_all_three():
    (row,) = (r for r in published_purifiers("7") if r.dataset == "mnist")
    assert not row.model
    each = [replace(row, model=name) for name in "ABC"]
    assert minutes_of(row) == sum(map(minutes_of, each)) > 0


def test_no_row_holds_whose_codes_were_not_attacked():
    row = row_of(alive="1" * 1000, printed_robust=50.0, worst_of="pgd; code_space")
    assert of_row(row) == ("held", "our attacks left more")
    assert of_row(replace(row, worst_of="pgd")) == ("undecided", "attack on codes not run")
    # defences that draw have no codes to attack
    assert of_row(replace(row, n_codes=0, worst_of="pgd"))[0] == "held"
    # a break counts whatever it was found by
    broken = row_of(alive="1" * 400 + "0" * 600, printed_robust=50.0, worst_of="pgd")
    assert of_row(broken)[0] == "did not hold"
    assert of_row(replace(row, defence="")) == ()
    assert of_row(replace(row, printed_robust=None)) == ()


@pytest.mark.parametrize(
    ("printed", "certified_images", "falsified", "word"),
    [(96.0, 990, 5, "held"), (99.9, 900, 90, "did not hold"), (96.0, 900, 20, "undecided")],
)
def test_a_printed_certificate_holds_between_certified_and_falsified(
    printed, certified_images, falsified, word
):
    left = 1000 - certified_images - falsified
    row = SimpleNamespace(
        certified=certified_images, falsified=falsified, undecided=left, total=1000
    )
    assert certified(printed, row)[0] == word


def test_printed_points_are_drawn_beside_ours():
    from matplotlib.figure import Figure

    rows = [row_of(eps=0.1, printed_clean=98.0), row_of(eps=0.3, printed_robust=75.0)]
    (plot,) = eps_plots(table_of(*rows)).values()
    figure = Figure()
    plot.paint(figure)
    crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    assert [list(line.get_ydata()) for line in crosses] == [[98.0, 75.0]]
    # of defences without codewords each has a line of its own
    others = [
        row_of(eps=eps, defence=word, n_codes=0)
        for word in ("noise:sigma=0.1", "jpeg:ratio=4")
        for eps in (0.1, 0.3)
    ]
    (plot,) = eps_plots(table_of(*others)).values()
    figure = Figure()
    plot.paint(figure)
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["noise:sigma=0.1", "jpeg:ratio=4"]


def certificates_of(**changed):
    (record,) = (r for r in RECORDS if isinstance(r, CertificateTableRecord))
    return replace(record, rows=(replace(record.rows[0], **changed),))


def test_certificates_are_drawn_into_the_figure_beside_the_printed_ones():
    from matplotlib.figure import Figure

    record = table_of(row_of(eps=0.1), row_of(eps=0.3, printed_robust=75.0))
    certificates = certificates_of(eps=0.1, certified=80, falsified=10, undecided=10)
    (plot,) = eps_plots(record, certificates).values()
    figure = Figure()
    plot.paint(figure)
    found = {line.get_label(): line for line in figure.axes[0].lines}
    assert list(found["certified"].get_xdata()) == [0.1]
    assert list(found["certified"].get_ydata()) == [80.0]
    (limit,) = found["certified, lower limit"].get_ydata()
    assert limit == pytest.approx(100 * certificates.rows[0].limit)
    assert 68 < limit < 70
    crosses = [list(line.get_ydata()) for line in found.values() if line.get_marker() == "x"]
    row = certificates.rows[0]
    assert [[row.printed_success], [row.printed_limit]] == crosses[-2:]
    assert "by enumeration" in plot.caption
