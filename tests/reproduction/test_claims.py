"""Each claim of the papers is one sentence with the number that answers it."""

import re
from dataclasses import replace

import pytest

from art_disc.core.records.base import Share
from art_disc.core.records.published import Gain
from art_disc.core.records.purifiers import PurifierCell, PurifierRow
from studies import claims, tables, verdicts
from studies.verdicts import FAILED, HELD, NAMES, OPEN
from tests.reproduction.test_printed import row_of, table_of

# claims that are answered, a paper
LEAST = {"chen2018": 5, "zhang2019": 4, "chen2019": 6, "panda2019": 3, "kyatham2020": 2}


@pytest.mark.parametrize("paper", NAMES)
def test_every_claim_has_a_number_and_a_word(paper):
    found = list(claims.CLAIMS[paper]())
    assert len(found) == len(set(found)) >= LEAST[paper]
    for claim in found:
        assert re.search(rf"; ({HELD}|{FAILED}|{OPEN})\b[^;]*\.$", claim), claim
        assert re.search(r"\d", claim)
        assert "nan" not in claim
        assert "None" not in claim


@pytest.mark.parametrize(
    ("one", "other", "word"),
    [
        (Share(90, 100), Share(50, 100), HELD),
        (Share(50, 100), Share(90, 100), FAILED),
        (Share(52, 100), Share(50, 100), OPEN),
    ],
)
def test_a_share_is_larger_where_the_intervals_are_apart(one, other, word):
    assert claims._apart(one, other).startswith(word)


def test_a_claimed_gain_holds_where_it_is_significant_and_positive():
    assert claims._gained(Gain(0.1, 0.05, 0.15, 0.001, 0.01)) == "+10.0 [+5.0, +15.0] here; held."
    row = row_of(worst_of="pgd")
    sure = Gain(0.1, 0.05, 0.15, 0.001, 0.01)
    assert claims._gained(sure, row).endswith(f"{OPEN}: attack on codes not run.")
    assert claims._gained(sure, replace(row, worst_of="pgd; code_space")).endswith(f"{HELD}.")
    for gain in (Gain(0.1, -0.05, 0.15, 0.2, 0.2), Gain(-0.1, -0.15, -0.05, 0.001, 0.01)):
        assert claims._gained(gain).endswith(f"; {OPEN}.")


def test_a_claim_is_answered_by_the_record_of_most_images(tmp_path, monkeypatch):
    """A part that was run first does not answer for a table that came later, nor one with less."""
    other = row_of(alive="1" * 999, dataset="cifar10")

    def save(name, n, *rows):
        defended = row_of(alive="1" * n)
        table_of(*rows, defended, other).save(tmp_path / "tables" / f"{name}.json")

    for name, n in (("chen2018-table3", 500), ("chen2018-table3-mnist", 200)):
        save(name, n, row_of(alive="1" * n, setting="nat_pre", defence="", n_codes=0))
    # of more images, but without the base
    save("chen2018-table3-codes", 900)
    monkeypatch.setattr(tables, "TABLES", tmp_path / "tables")
    found = tables.measured("chen2018-table3", "mnist", claims.NATURAL, claims.TWO).rows
    assert [len(row.alive) for row in found] == [500, 500]


def test_a_budget_at_which_no_more_is_certified_leaves_the_claim_open():
    claim = claims._certified_over_base()
    budgets = re.findall(r"([\d.]+): ([\d.]+) % to ([\d.]+) %", claim)
    assert len(budgets) >= 4
    above, total = map(int, re.search(r"at (\d) of (\d) budgets", claim).groups())
    assert total == len(budgets)
    assert (OPEN in claim) == (above < total)


def test_what_nobody_attacked_confirms_no_print():
    def cell(defence, knowledge, printed, alive):
        return PurifierCell(defence, knowledge, printed, alive, Share(90, 100), "FGSM")

    good, bad = "1" * 90 + "0" * 10, "0" * 90 + "1" * 10
    grey = [
        cell("none", "white box", 20.0, bad),
        cell("lqvae", "grey box", 88.0, good),
        cell("pgd_trained", "white box", 88.0, good),
        PurifierCell("defense_gan", "grey box", 88.0),
    ]
    whole = [
        cell("lqvae", "end to end, one step", 88.0, good),
        cell("lqvae", "end to end, worst", None, bad),
    ]
    broken = [cell("lqvae", "grey box", 88.0, bad)]
    said = [
        list(verdicts.of_cells(PurifierRow("mnist", "fgsm", "A", 0.3, None, tuple(cells), ())))
        for cells in (grey, broken, whole)
    ]
    less = FAILED, "our attacks left less"
    assert said[0] == [
        ("lqvae", 100, OPEN, "filter not attacked"),
        ("pgd_trained", 100, OPEN, "one attack alone"),
    ]
    # by the worst of all that know of the filter, whatever the single step leaves
    assert said[1] == said[2] == [("lqvae", 100, *less)]


def test_a_number_that_was_run_twice_is_judged_once(tmp_path, monkeypatch):
    few, many = (row_of(alive="1" * n, printed_robust=80.0) for n in (100, 200))
    for name, row in (("chen2018-table3", few), ("chen2018-table3-mnist", many)):
        table_of(row).save(tmp_path / "tables" / f"{name}.json")
    monkeypatch.setattr(verdicts, "RESULTS", tmp_path)
    monkeypatch.setattr(verdicts, "randomised", lambda: ())
    (one,) = verdicts.verdicts()
    assert (one.table, one.why) == ("3", "attack on codes not run")
    # by more images the word may be another one
    broken = row_of(alive="0" * 300, printed_robust=80.0)
    table_of(broken).save(tmp_path / "tables" / "chen2018-table3-more.json")
    (one,) = verdicts.verdicts()
    assert one.word == FAILED
