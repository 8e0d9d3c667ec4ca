"""Every kind of record has a view, and a kind of one's own needs two lines."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from art_disc.cli import main
from art_disc.core.errors import FileFormatError, InputError
from art_disc.core.records import RECORDS, Environment, Record, load_record, register
from art_disc.core.records.draws import DrawsRecord, persistent_curve
from art_disc.core.records.study import StudyRecord
from art_disc.report import (
    Document,
    Paragraph,
    Section,
    Table,
    View,
    as_markdown,
    as_text,
    read_run,
    register_view,
    render_run,
    write_report,
)
from art_disc.report.document import Notes
from art_disc.report.table import body, row
from art_disc.report.views import VIEWS, view_of

HERE = Environment("2026-01-01T00:00:00+00:00", "1", "3.11", "linux", {})
DRAWS = DrawsRecord(2, (1, 2, 0), (True,) * 3, (True,) * 3, 0, ("noise",), HERE)


def test_every_kind_has_a_view_that_can_be_loaded():
    assert set(VIEWS) >= set(RECORDS)
    for kind in RECORDS:
        assert isinstance(view_of(type("Any", (), {"kind": kind})()), View)


def toy_document(record):
    heads = ("basket", "#apples")
    rows = ((str(i), str(n)) for i, n in enumerate(record.apples))
    table = Table.of("Apples", "Apples by basket", heads, rows)
    return Document.of(f"{record.owner}'s apples", "", Section.of("Baskets", table))


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setattr("art_disc.core.records.registry.RECORDS", RECORDS.copy())
    monkeypatch.setattr("art_disc.report.views.VIEWS", VIEWS.copy())

    @dataclass(frozen=True, slots=True)
    class Toy(Record):
        """Apples in baskets."""

        kind: ClassVar[str] = "toy"
        apples: tuple[int, ...]
        owner: str
        environment: Environment

    register(Toy)
    register_view("toy", View(toy_document))
    return Toy((3, 12), "Eve <&>", HERE)


def test_a_kind_of_one_s_own_takes_two_lines(toy, tmp_path, capsys):
    page = write_report(toy, tmp_path).read_text()
    assert load_record(tmp_path / "record.json") == toy == read_run(tmp_path)[0]
    assert "Eve &lt;&amp;&gt;" in page
    assert '<td class="number">12</td>' in page
    assert json.loads((tmp_path / "summary.json").read_text()) == {
        "kind": "toy", "schema_version": toy.to_dict()["schema_version"], "owner": "Eve <&>"
    }  # fmt: skip
    text = "Eve <&>'s apples\nbasket  apples\n0            3\n1           12"
    assert as_text(toy) == text
    assert as_markdown(toy).endswith("| basket | apples |\n| --- | --- |\n| 0 | 3 |\n| 1 | 12 |\n")
    assert main(["report", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith(text)


def test_a_kind_without_a_page_says_why(toy, tmp_path, capsys):
    views = sys.modules["art_disc.report.views"].VIEWS
    views["toy"] = View(toy_document, no_page="apples are eaten, not looked at")
    toy.save(tmp_path / "record.json")
    with pytest.raises(FileFormatError, match="of kind 'toy': apples are eaten"):
        render_run(tmp_path)
    assert main(["report", str(tmp_path)]) == 2
    assert "apples are eaten, not looked at" in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()


def test_a_kind_without_a_view_is_named(toy, monkeypatch, tmp_path):
    monkeypatch.setattr("art_disc.report.views.VIEWS", VIEWS)
    with pytest.raises(InputError, match=r"kind 'toy' have no view, .*\.register_view"):
        as_text(toy)
    with pytest.raises(InputError, match="no view"):
        write_report(toy, tmp_path)
    assert load_record(tmp_path / "record.json") == toy, "the record is safe"


def test_a_view_is_not_replaced_silently(toy):
    with pytest.raises(InputError, match="kind 'sweep' have a view"):
        register_view("sweep", View(toy_document))


def test_a_table_is_aligned_and_escaped():
    table = Table.of(
        "t", "c", ("name", "#n", "why"), [row("a|b", "7", "x"), body([("c", "1000", "")], "more")]
    )
    assert table.text() == "name     n  why\na|b      7  x\nmore\nc     1000"
    assert table.markdown().splitlines()[2] == r"| a\|b | 7 | x |"


def test_notes_are_lines_and_lists():
    parts = (Paragraph("one"), Notes(("two", "three")))
    shown = Document.of("T", "", Section.of("S", *parts), Section.of("empty", None))
    assert shown.text() == "T\none\ntwo\nthree"
    assert shown.markdown() == "# T\n\none\n\n- two\n- three\n"
    assert [section.title for section in shown.sections] == ["S"]


COMMITTED = Path(__file__).parents[2] / "studies" / "results"


def test_every_committed_record_is_shown(show):
    kinds = set()
    for path in sorted([*COMMITTED.glob("*.json"), *COMMITTED.glob("tables/*.json")]):
        record = load_record(path)
        kinds.add(record.kind)
        assert len(as_text(record).splitlines()) > 2, path
        assert "| --- |" in as_markdown(record), path
        assert len(show(record).rows) > 2, path
    assert kinds >= {"study", "table", "certificate table", "equivalence classes", "zoo"}


def test_a_study_lists_its_numbers_and_rows(show):
    rows = [{"eps": 0.1, "of": {"right": 3, "all": 40}}, {"eps": 0.2, "note": "none"}]
    results = {"images": 40, "worst_of": {"value": 0.075, "ci95": [0.02, 0.2]}, "rows": rows}
    record = StudyRecord("small", {"cores": 2}, results, HERE)
    page = show(record)
    assert ("worst of, ci95", "0.02, 0.2") in page.rows
    assert ("eps", "of, right", "of, all", "note") in page.rows
    assert ("0.1", "3", "40", "") in page.rows
    assert ("0.2", "", "", "none") in page.rows
    assert "\nimages           40\n" in as_text(record)


def test_records_of_draws_have_pages(show, tmp_path):
    page = show(DRAWS)
    assert page.row_of("most votes")[1].endswith("3 of 3")
    assert page.row_of("all draws right")[1].endswith("1 of 3")
    page = show(persistent_curve(DRAWS))
    assert page.row_of("2")[1] == "66.7%"
    assert "broken" in as_text(persistent_curve(DRAWS))


FRESH = """
import sys
from art_disc.core.records import load_record
from art_disc.report import as_text
from art_disc.report.views import VIEWS, view_of
for kind in VIEWS:
    view_of(type("Any", (), {"kind": kind})())
print(as_text(load_record(sys.argv[1])))
slow = {"torch", "art", "sklearn", "matplotlib", "jinja2"}
print(sorted({name.split(".")[0] for name in sys.modules} & slow))
"""


def test_no_view_needs_torch_and_no_text_a_plot(record, tmp_path):
    path = record.save(tmp_path / "record.json")
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(path)], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "[]"
    assert done.stdout.startswith("clean   base 100.00%")
