"""The page of a sweep: its numbers are those of the cells."""

import dataclasses
import json

import pytest

from art_disc.core.errors import FileFormatError
from art_disc.core.files import write_json
from art_disc.report import read_run, write_report
from art_disc.report.heat import PALETTE, contrast, heat_colour, luminance
from art_disc.report.kinds.sweep import heat_maps

pytestmark = pytest.mark.usefixtures("unpainted")


def between(page, start, end):
    names = [row[0] for row in page.rows]
    first = names.index(start)
    return page.rows[first + 1 : names.index(end, first + 1)]


def test_a_sweep_folder_gives_back_its_record(tmp_path, swept):
    write_report(swept, tmp_path)
    assert read_run(tmp_path) == (swept, None)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "record.json",
        "report.html",
        "summary.json",
    ]


def test_the_merged_result_is_the_worst_over_attacks_surrogates_and_seeds(show, swept):
    page = show(swept)
    rows = {row[0]: row for row in page.rows if len(row) == 6 and row[1] == "digits"}
    # two codes at 0.3: 1..20 are broken by one surrogate or the other, 0 is wrong by itself
    assert rows["two codes"][3].endswith("39 of 40")
    assert rows["two codes"][4].endswith("31 of 40")
    assert rows["two codes"][5].endswith("19 of 40")
    assert rows["none"][4:] == ("not measured", rows["none"][5])
    assert rows["none"][5].endswith("0 of 40")
    assert "8 bins" not in rows
    assert "Not checked" in page.text


def test_the_heat_map_is_each_attack_s_own_worst(show, swept, make):
    ((title, grids),) = heat_maps(swept).items()
    assert title == "digits / natural"
    small, large = grids.values()
    assert small["two codes", "pgd"].count == 31
    assert small["two codes", "fgsm"] is None
    # both surrogates of pgd together, fgsm apart
    assert large["two codes", "pgd"].count == 19
    assert large["two codes", "fgsm"].count == 36
    assert large["none", "pgd"].count == 0
    assert large["8 bins", "pgd"] is None
    page = show(swept)
    rows = between(page, "eps 0.3 (76.5/255)", "Status")
    assert rows[0][:3] == ("two codes", "47.5% 19 of 40", "90.0% 36 of 40")
    assert rows[2][1] == "not measured"
    (alt,) = (a["alt"] for a in page.of("img") if a["alt"].startswith("Heat map"))
    assert "two codes under pgd 48%" in alt
    looks = [a.get("class", "") for a in page.of("td")]
    assert any("heat-0" in look.split() for look in looks)
    assert any("heat-9" in look.split() for look in looks)


def test_every_cell_has_a_row_and_the_rest_a_reason(show, swept):
    page = show(swept)
    rows = [row for row in page.rows if len(row) == 12][1:]
    assert len(rows) == len(swept.cells)
    assert rows[1][:7] == ("two codes", "digits", "natural", "pgd", "0.3", "own", "0")
    assert rows[1][7].endswith("29 of 40")
    assert rows[1][8:] == ("40", "1", "0.03125", "✓ done")
    assert rows[6][7:] == ("", "", "", "", "✖ failed: MemoryError: 12 GiB")
    reasons = [row for row in page.rows if len(row) == 8 and row[-1] in ("MemoryError: 12 GiB",)]
    assert [row[0] for row in reasons] == ["✖ failed"]
    assert "1 of 8 cells failed." in page.text[: page.text.index("Clean accuracy, then")]


def test_the_ledger_adds_up(show, swept):
    page = show(swept)
    sums = [row for row in page.rows if row[0] == "all cells"]
    assert sums == [("all cells", "8", "12,800", "320", "8.8")] * 2
    assert ("pgd", "5", "8,000", "200", "6.2") in page.rows


def test_what_was_not_run_is_told_first(show, swept):
    cut = dataclasses.replace(swept, cells=swept.cells[:3], complete=False)
    page = show(cut)
    assert (
        "Interrupted: 5 of 8 cells were not run."
        in page.text[: page.text.index("Clean accuracy, then")]
    )
    rows = {row[0]: row[1] for row in page.rows if len(row) == 2}
    assert (rows["done"], rows["not run yet"], rows["planned"]) == ("3", "5", "8")


def test_a_sweep_without_a_finished_cell_still_makes_a_page(show, swept):
    page = show(dataclasses.replace(swept, cells=(), complete=False))
    assert "No cell finished, so there is no number." in page.text
    assert "No cell was run." in page.text
    failed = dataclasses.replace(swept, cells=swept.cells[6:], complete=False)
    assert page.of("img") == show(failed).of("img") == []


def test_curves_have_a_line_for_each_defence(show, swept):
    (alt,) = (a["alt"] for a in show(swept).of("img") if a["alt"].startswith("Line plot"))
    assert "two codes: 97.5% at 0, 77.5% at 0.03137, 47.5% at 0.3" in alt
    assert "none: 97.5% at 0, 0.0% at 0.3" in alt


def test_the_summary_of_a_sweep(tmp_path, swept):
    write_report(swept, tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["cells"] == {"done": 6, "failed": 1, "skipped": 1}
    assert (summary["planned"], summary["gradients"], summary["complete"]) == (8, 12800, True)
    first = summary["results"][0]
    assert (first["defence"], first["clean"]["count"]) == ("two codes", 39)
    assert [entry["count"] for entry in first["robust_acc"]] == [31, 19]


def test_a_damaged_cell_is_refused(tmp_path, swept, make):
    body = dataclasses.replace(swept, cells=(make.cell(record=make.record()),)).to_dict()
    body["cells"][0]["record"]["labels"] = [1, 2]
    write_json(tmp_path / "record.json", body)
    with pytest.raises(
        FileFormatError, match=r"cells\[0\]\.record: example_ids must have 2 entries, .* got 40"
    ):
        read_run(tmp_path)


def test_heat_colours_can_be_read_and_told_apart():
    assert all(contrast(back, ink) >= 4.5 for back, ink in PALETTE)
    assert all(contrast(*heat_colour(i / 200)) >= 4.5 for i in range(201))
    light = [luminance(back) for back, _ in PALETTE]
    assert light[:6] == sorted(light[:6])
    assert light[5:] == sorted(light[5:], reverse=True)
