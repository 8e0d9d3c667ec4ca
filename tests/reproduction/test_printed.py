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
from studies import printed_page, verdicts
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


def test_a_network_that_is_worse_on_clean_images_is_judged_by_what_it_keeps_of_them():
    left, weak = Share(300, 1000), Share(500, 1000)
    # 40 of 90 are as large a part as 22 of 50
    assert judged(40.0, left, weak, 90.0) == ("undecided", "our network is weaker")
    # 70 of 90 are as large a part as 39 of 50
    assert judged(70.0, left, weak, 90.0) == ("did not hold", "our attacks left less")
    assert judged(20.0, left, weak, 90.0)[0] == "held"
    # one that is better keeps what is printed
    assert judged(40.0, left, weak, 30.0)[0] == "did not hold"
    row = row_of(alive="1" * 300 + "0" * 700, clean=weak, printed_clean=90.0, printed_robust=40.0)
    assert of_row(row) == ("undecided", "our network is weaker")


def test_what_is_left_of_a_defence_confirms_nothing_where_its_base_resists():
    row = row_of(alive="1" * 1000, printed_robust=50.0, worst_of="code_space")
    base = row_of(alive="1" * 300 + "0" * 700, printed_robust=5.0, defence="", n_codes=0)
    assert of_row(row)[0] == "held"
    assert of_row(row, base) == ("undecided", "our network resists by itself")
    assert of_row(row, replace(base, printed_robust=30.0))[0] == "held"
    assert of_row(replace(row, printed_robust=None), base) == ()
    assert of_row(replace(row, alive="0" * 1000), base)[0] == "did not hold"


def test_what_was_decided_is_of_the_same_weights_and_of_most_images(tmp_path, monkeypatch):
    def study(name):
        images = int(name.split("-")[1])
        row = {"eps": 0.1, "certified": images, "falsified": 0, "undecided": 0}
        weights = "other" if images == 900 else "abc"
        return {"training": f"natural, weights {weights}", "images": images, "rows": [row]}

    monkeypatch.setattr(verdicts, "RESULTS", tmp_path)
    monkeypatch.setattr(verdicts, "load", lambda name: study(name.removeprefix("decided/")))
    (tmp_path / "decided").mkdir()
    for n in (100, 200, 900):
        (tmp_path / "decided" / f"disc_nat_pre-{n}-0.1.json").touch()
    assert verdicts.decided("disc_nat_pre", 0.1, "net: natural, weights abc").total == 200
    for words in (("disc_nat_pre", 0.2, "abc"), ("disc_adv_pre", 0.1, "abc")):
        assert verdicts.decided(*words) is None


def test_a_number_of_fewer_images_is_not_of_full_size(monkeypatch):
    def full(n, column):
        monkeypatch.setattr(printed_page, "tables", lambda: {"t": table_of(row_of(alive="1" * n))})
        words = "disc_nat_pre, density, 2 codes"
        return printed_page.full_size(
            stand(printed_page.tables(), "chen2018-table3", words, column)
        )

    assert [full(n, "robust at 0.3") for n in (200, 999, 1000)] == [False, False, True]
    assert full(200, "clean")
    assert not printed_page.full_size(stand({}, "chen2018-table3", "nat_pre", "clean"))


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
