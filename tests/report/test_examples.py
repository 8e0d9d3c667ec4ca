"""`examples.csv` and the tables of who broke what, against a count by hand."""

import csv
import dataclasses
import io

import pytest

from art_disc.core.files import write_json
from art_disc.report import read_run, render_run, write_report
from art_disc.report.examples import smallest_changes

pytestmark = pytest.mark.usefixtures("unpainted")


def lines_of(record, folder):
    write_report(record, folder)
    return list(csv.DictReader(io.StringIO((folder / "examples.csv").read_text())))


def broken_by_hand(record, i, eps):
    """Attacks that broke example i of a record within eps, its clean mistakes aside."""
    names = set()
    for o in record.outcomes:
        at = list(o.positions or range(len(o.correct)))
        if o.scored_on != "defended" or i not in at or not record.defended_correct[i]:
            continue
        j = at.index(i)
        if not o.correct[j] and o.perturbation[j] <= eps + 1e-6:
            names.add(o.attack)
    return names


def test_every_example_has_a_line_that_agrees_with_the_record(tmp_path, everything, make):
    lines = lines_of(everything, tmp_path)
    assert [int(line["example_id"]) for line in lines] == list(everything.example_ids)
    assert [int(line["label"]) for line in lines] == list(everything.labels)
    for eps, name in ((make.small, "0.0313725"), (make.large, "0.3")):
        broken = [line[f"broken@{name}"] == "1" for line in lines]
        assert broken == [not ok for ok in everything.survives(eps)]
        for i, line in enumerate(lines):
            names = set(filter(None, line[f"broken_by@{name}"].split(";")))
            assert names == broken_by_hand(everything, i, eps)
            assert line["defended_correct"] == str(int(everything.defended_correct[i]))
    grid = [line["grid_broken@0.3"] == "1" for line in lines]
    assert grid == [not ok for ok in everything.survives(make.large, grid=True)]
    assert {line["grid_broken@0.0313725"] for line in lines} == {""}, "not scored there"
    # position 24 is broken by the attack on a part of the examples alone
    assert lines[24]["broken_by@0.3"] == "hop_skip_jump"


def test_what_was_not_attacked_is_empty_not_zero(tmp_path, interrupted):
    lines = lines_of(interrupted, tmp_path)
    assert {line["broken@0.3"] for line in lines} == {""}
    assert {line["broken@0.0313725"] for line in lines} == {"0", "1"}


def test_the_smallest_change_is_over_all_attacks(make):
    sizes = {"pgd": 0.3, "fgsm": 0.25, "square": 0.1}
    rows = [
        make.outcome(name, broken, perturbation=(size,) * make.n)
        for (name, size), broken in zip(sizes.items(), ((1, 2, 3), (2, 3), (3,)), strict=True)
    ]
    rows.append(make.outcome("pgd", (1,), scored_on="base", perturbation=(0.01,) * make.n))
    rows.append(make.outcome("l2", (1,), norm="2", perturbation=(0.02,) * make.n))
    rows.append(
        make.outcome("part", (0,), n=2, wrong=(), positions=(3, 7), perturbation=(0.05, 0.05))
    )
    found = smallest_changes(make.record(outcomes=tuple(rows)))
    # 0 is wrong without any change
    assert found[:5] == (0.0, 0.3, 0.25, 0.05, None)
    assert found[7] is None


def test_rendering_again_makes_the_same_file_and_other_records_have_none(tmp_path, make, record):
    write_report(record, tmp_path)
    before = (tmp_path / "examples.csv").read_bytes()
    (tmp_path / "examples.csv").unlink()
    render_run(tmp_path)
    assert (tmp_path / "examples.csv").read_bytes() == before
    write_report(make.certificate(), tmp_path)
    assert not (tmp_path / "examples.csv").exists()


def test_names_with_commas_and_quotes_survive(tmp_path, make):
    odd = 'Own, "attack"\n2'
    lines = lines_of(make.record(outcomes=(make.outcome(odd, (1,)),)), tmp_path)
    assert lines[1]["broken_by@0.3"] == odd


def test_which_attack_broke_what_and_what_alone(show, everything, make):
    page = show(everything)
    start = next(
        i
        for i, row in enumerate(page.rows)
        if row[0].startswith("eps 0.3 ") and "without any change" in row[0]
    )
    hits = [broken_by_hand(everything, i, make.large) for i in range(make.n)]
    broken = sum(map(bool, hits))
    assert page.rows[start][0].endswith(f"{broken} of 40 broken, 1 wrong without any change")
    names = {name for names in hits for name in names}
    rows = page.rows[start + 1 : start + 1 + len(names)]
    for name, total, alone in rows:
        assert int(total) == sum(name in one for one in hits)
        assert int(alone) == sum(one == {name} for one in hits)
    assert [int(row[1]) for row in rows] == sorted((int(row[1]) for row in rows), reverse=True)


def test_an_attack_that_broke_nothing_is_told_too(show, make):
    page = show(make.record(outcomes=(make.outcome("pgd"), make.outcome("fgsm", (1,)))))
    assert ("pgd", "0", "0") in page.rows


def test_example_by_example_on_the_page(show, everything):
    page = show(everything)
    assert page.row_of("#124") == ("#124", "4", "right", "right", "0.3", "hop_skip_jump")
    assert page.row_of("#100")[3:] == ("wrong", "0", "nothing")
    assert page.row_of("#135")[3:] == ("right", "", "nothing")
    assert "details" in page.tags


def test_a_long_list_is_cut_on_the_page_but_not_in_the_file(tmp_path, show, make):
    n = 250
    record = make.record(
        outcomes=(make.outcome("pgd", (1, 240), n=n),),
        labels=(0,) * n,
        example_ids=tuple(range(n)),
        base_correct=(True,) * n,
        defended_correct=(True,) * n,
    )
    text = show(record).text
    assert "The first 200 of 250; all are in examples.csv." in text
    assert len(lines_of(record, tmp_path)) == n


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"positions": (5, 4)}, r"outcomes\[0\]: positions must rise, got 4 after 5"),
        ({"positions": (4, 40)}, r"outcomes\[0\].positions must be at most 39, by labels, got 40"),
        ({"positions": (4, 6, 7)}, "correct must have 3 entries, as positions, got 2"),
        (
            {"positions": (4, 6), "grid_correct": (True,)},
            "grid_correct must have 2 entries",
        ),
        ({"positions": (4, 6), "draws": 3, "draw_correct": (1,)}, "draw_correct must have 2"),
    ],
)
def test_a_part_whose_lists_disagree_is_refused(tmp_path, make, changes, told):
    from art_disc.core.errors import FileFormatError, InputError

    row = make.outcome("pgd", n=2, positions=(4, 6))
    body = make.record(outcomes=(row,)).to_dict()
    body["outcomes"] = [body["outcomes"][0] | changes]
    write_json(tmp_path / "record.json", body)
    with pytest.raises(FileFormatError, match=told):
        read_run(tmp_path)
    with pytest.raises(InputError, match=told.rpartition(r"\]")[2].lstrip(":. ")):
        make.record(outcomes=(dataclasses.replace(row, **changes),))


def test_a_reference_of_another_length_is_refused(tmp_path, make):
    from art_disc.core.errors import FileFormatError

    body = make.record().to_dict() | {"reference_correct": [True]}
    write_json(tmp_path / "record.json", body)
    with pytest.raises(FileFormatError, match="reference_correct must have 40 entries"):
        read_run(tmp_path)
