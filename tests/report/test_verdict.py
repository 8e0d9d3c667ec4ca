"""The verdict and its checks come first, in words as well as in colour."""

import dataclasses

import pytest

from art_disc.report import as_text
from art_disc.report.summary import evaluation_summary
from art_disc.report.verdict import verdict_title

ENDS = (", run for check C9", ", run for check C10")
STATUS = {"pass": "✓ pass", "fail": "✖ fail", "not run": "○ not run"}


def of_class(page, tag, name):
    return [a for a in page.of(tag) if name in a.get("class", "").split()]


@pytest.mark.parametrize(
    ("checks", "complete", "level", "words"),
    [
        (
            [(1, "pass"), (3, "fail"), (8, "fail")],
            True,
            "flawed",
            "C3, C8 failed (of 3 quick",
        ),
        ([(3, "fail"), (5, "not run")], True, "flawed", "Flawed: C3 failed (of 2 quick"),
        ([(1, "pass"), (5, "not run")], True, "incomplete", "C5 was not run (of 2 quick"),
        ([(5, "not run"), (9, "not run")], True, "incomplete", "C5, C9 were not run"),
        ([(1, "pass")], False, "incomplete", "the run was interrupted (of 1 quick check)"),
        ([(1, "pass"), (2, "pass")], True, "complete", "No flaw found by 2 quick checks"),
        ([], True, "unchecked", "Not checked"),
        ([], False, "unchecked", "Not checked: the run was interrupted"),
    ],
)
def test_the_verdict_is_the_first_thing_on_the_page(show, make, checks, complete, level, words):
    made = tuple(make.check(*check) for check in checks)
    tier = "quick" if checks else ""
    record = make.record(checks=made, checks_tier=tier, complete=complete)
    assert words in as_text(record)
    page = show(record)
    assert len(of_class(page, "div", level)) == 1
    # after the list of sections
    after = page.text.split("Verdict ", 2)[2]
    assert words in after[: len(words) + 20]
    assert "robust" not in after[: after.index("Checks")].lower()


def test_a_complete_evaluation_still_claims_no_more(show, make):
    text = show(make.record(checks=(make.check(1),), checks_tier="")).text
    assert "No flaw found by 1 check That is no proof" in text


def test_each_check_is_told_with_its_status_cure_and_examples(show, everything):
    page = show(everything)
    rows = {row[0]: row for row in page.rows if row and row[0].startswith("C") and len(row) == 6}
    for check in everything.checks:
        row = rows[check.id]
        assert row[1] == STATUS[check.status]
        assert row[2] == check.title
        assert row[3].startswith(check.summary)
        assert ("Cure: " + check.cure in row[3]) == (check.status == "fail")
        assert row[5] == check.tier
    assert rows["C3"][4].startswith("25 #100, #101,")
    assert rows["C3"][4].endswith("#119 and 5 more")
    assert "#120" not in rows["C3"][4]
    assert rows["C1"][4] == "none"
    assert "4 standard checks of the evaluation: 1 failed, 1 not run, 2 passed" in page.text
    assert len(of_class(page, "tr", "fail")) == 1
    assert len(of_class(page, "tr", "not-run")) == 1


def test_checks_sort_by_number_not_by_letter(show, make):
    page = show(make.record(checks=tuple(make.check(i) for i in (2, 10))))
    assert [a["data-sort"] for a in page.of("th") if a.get("data-sort") in ("2", "10")] == [
        "2",
        "10",
    ]


def test_without_checks_the_page_says_how_to_get_them(show, record):
    assert "No checks were asked for" in show(record).text


def test_the_reference_and_the_8_bit_grid_stand_beside_the_defended(show, everything, make):
    page = show(everything)
    heads = ["Undefended network", "Adversarially trained reference", "Defended"]
    row = page.row_of("Not broken by any attack, eps 0.3")
    models = ("base", "reference", "defended")
    assert page.row_of("Examples still correct")[1:4] == tuple(heads)
    for cell, model in zip(row[1:4], models, strict=True):
        share = everything.worst(make.large, model=model)
        assert cell.endswith(f"{share.count} of {share.total}")
    grid = everything.worst(make.large, grid=True)
    assert grid.count == 22
    assert row[4].endswith("22 of 40")
    assert page.row_of("Not broken by any attack, eps 0.03")[4] == "not measured"


def test_rows_that_a_check_asked_for_are_told_as_such(show, everything):
    page = show(everything)
    titles = [row[0] for row in page.rows if len(row) == 1]
    at = "Defended model, l-inf, eps 0.3 (76.5/255)"
    own, nine, ten = (titles.index(f"{at}{end}") for end in ("", *ENDS))
    assert own < nine < ten < titles.index("Undefended network, l-inf, eps 0.3 (76.5/255)")
    row = next(row for row in page.rows if row[0] == "hop_skip_jump" and len(row) > 5)
    assert row[1].endswith("7 of 10 (part)")


def test_costs_of_a_part_are_per_attacked_image(show, everything):
    page = show(everything)
    row = next(row for row in page.rows if row[0] == "hop_skip_jump" and len(row) > 5)
    assert row[-4:] == ("160", "4", "0.125", "done")


def test_fresh_draws_are_told_in_four_ways(show, everything, make):
    page = show(everything)
    row = next(row for row in page.rows if "20 draws each" in " ".join(row))
    # 10 examples on no draw, 10 on 5, 10 on 15, 10 on 20 of 20
    assert "mean 50.0%, vote 77.5%, any 75.0%, all 25.0% 20 draws each" in row
    rows = tuple(
        dataclasses.replace(o, perturbation=(1.0,) * 10 + o.perturbation[10:]) if o.draws else o
        for o in everything.outcomes
    )
    record = dataclasses.replace(everything, outcomes=rows)
    row = next(row for row in show(record).rows if "20 draws each" in " ".join(row))
    # the ten on no draw are beyond the budget
    told = "mean 66.7%, vote 100.0%, any 100.0%, all 33.3% 20 draws each, "
    told += "10 beyond the budget left out"
    assert told in row


def test_steps_are_drawn_at_the_largest_budget_of_the_evaluation(show, everything, make):
    far = make.outcome("pgd", range(40), eps=1.0, by_step=(30, 0), asked_by="C8")
    base = make.outcome("pgd", (1,), knowledge="base", surrogate=None, by_step=(9, 0))
    long = make.outcome("pgd", (1,), by_step=(30,) * 20, asked_by="C9")
    longer = dataclasses.replace(long, surrogate="identity", by_step=(30,) * 3)
    rows = (*everything.outcomes, far, base, long, longer)
    record = dataclasses.replace(everything, outcomes=rows)
    (alt,) = (a["alt"] for a in show(record).of("img") if "attack steps" in a["alt"])
    # the longest run of each attack and surrogate
    assert "pgd (soft_assignment, for C9): 75.0% after step 1, 75.0% after step 20" in alt
    assert "pgd (identity): 95.0% after step 1, 57.5% after step 16" in alt
    assert alt.count("pgd") == 2, "no budget beyond the evaluation's, no transfer"


def test_nothing_followed_nothing_drawn(show, record):
    assert "Accuracy over attack steps" not in show(record).text


def test_an_attack_that_failed_is_named_wherever_the_verdict_is(show, make):
    checks = {"checks": (make.check(1),), "checks_tier": "quick", "eps": (make.large,)}
    done = make.outcome("pgd")
    failed = make.unfinished("square", "failed", "ValueError: high <= 0")
    record = make.record(outcomes=(done, failed, failed), **checks)
    title = "Incomplete: no flaw found by 1 quick check; failed attacks: square"
    assert record.verdict == "incomplete"
    assert verdict_title(record) == title
    assert evaluation_summary(record)["verdict_words"] == title
    assert title in show(record).text
    told = as_text(record)
    assert title in told
    assert "2 of 3 attack runs failed: square on defended at eps 0.3" in told
    assert "(ValueError: high <= 0)" in told
    flawed = make.record(outcomes=(done, failed), **checks | {"checks": (make.check(1, "fail"),)})
    assert verdict_title(flawed) == "Flawed: C1 failed (of 1 quick check); failed attacks: square"


def test_an_attack_that_was_left_out_is_told_with_its_reason(make):
    left_out = make.unfinished("geoda", "skipped", "is for square images")
    checks = {"checks": (make.check(1),), "eps": (make.large,)}
    record = make.record(outcomes=(make.outcome("pgd"), left_out), **checks)
    assert record.verdict == "complete"
    told = as_text(record)
    assert "1 of 2 attack runs skipped: geoda on defended at eps 0.3" in told
    assert "(is for square images)" in told


@pytest.mark.parametrize(
    ("there", "known", "told"), [(4, 10, True), (5, 10, False), (19, 1000, True), (20, 1000, False)]
)
def test_examples_of_less_than_half_the_classes_are_told(show, make, there, known, told):
    # of 1000 classes 40 examples can show 40
    labels, dataset = tuple(i % there for i in range(make.n)), {"name": "many", "classes": known}
    text = show(make.record(labels=labels, dataset=dataset)).text
    assert (f"The examples are of {there} of {known} classes" in text) == told


@pytest.mark.parametrize(("broken", "told"), [(8, False), (9, True)])
def test_queries_that_break_more_than_gradients_are_told_and_as_many_are_not(
    show, make, broken, told
):
    strong = make.outcome("pgd", range(1, 9))
    weak = make.outcome("square", range(1, 1 + broken), knowledge="none", surrogate=None)
    text = show(make.record(outcomes=(strong, weak), eps=(make.large,))).text
    assert ("they left 30 correct, white box 31" in text) == told
    assert ("masked gradients" in text) == told
