import json
import subprocess
import sys

import pytest

from art_disc.core.errors import DataNotFoundError, FileFormatError, MissingExtraError
from art_disc.core.records import EvaluationRecord
from art_disc.report import read_run, render_run, write_report


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_run_folder_gives_back_its_record_and_pictures(tmp_path, record, pictures):
    page = write_report(record, tmp_path / "run", pictures=pictures)
    assert page == tmp_path / "run" / "report.html"
    back, shown = read_run(tmp_path / "run")
    assert back == record
    assert (shown.clean == pictures.clean).all()
    assert sorted(p.name for p in page.parent.iterdir()) == [
        "examples.csv",
        "pictures.npz",
        "record.json",
        "report.html",
        "summary.json",
    ]


def test_a_certificate_folder_gives_back_its_record(tmp_path, certificate):
    write_report(certificate, tmp_path)
    assert read_run(tmp_path) == (certificate, None)


def test_certificates_within_an_evaluation_come_back(tmp_path, make):
    record = make.record(certificates=(make.certificate(),))
    page = write_report(record, tmp_path).read_bytes()
    assert read_run(tmp_path)[0] == record
    assert render_run(tmp_path).read_bytes() == page
    short = make.certificate().to_dict() | {"reasons": []}
    del short["kind"], short["schema_version"]
    edit(tmp_path / "record.json", certificates=[short])
    with pytest.raises(FileFormatError, match=r"certificates\[0\]: reasons must have 40 .* got 0"):
        read_run(tmp_path)


@pytest.mark.parametrize("kind", ["record", "certificate", "interrupted", "everything", "swept"])
def test_rendering_again_gives_the_same_bytes(tmp_path, request, kind, pictures):
    record = request.getfixturevalue(kind)
    shown = pictures if kind == "record" else None
    page = write_report(record, tmp_path, pictures=shown)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    page.write_text("gone")
    assert render_run(tmp_path) == page
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_pictures_of_an_earlier_run_do_not_stay(tmp_path, record, pictures):
    write_report(record, tmp_path, pictures=pictures)
    write_report(record, tmp_path)
    assert read_run(tmp_path)[1] is None


def test_the_user_s_matplotlib_settings_neither_matter_nor_change(tmp_path, record):
    import matplotlib

    plain = write_report(record, tmp_path).read_bytes()
    with matplotlib.rc_context({"font.size": 30, "svg.hashsalt": "other"}):
        before = dict(matplotlib.rcParams)
        assert render_run(tmp_path).read_bytes() == plain
        assert dict(matplotlib.rcParams) == before


def test_no_folder_no_report(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"record\.json"):
        render_run(tmp_path / "none")


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "recipe"},
        {"schema_version": 99},
        {"environment": {"python": "3.12"}},
        {"surprise": 1},
        {"outcomes": [3]},
        {"labels": None},
        {"labels": [1, 2]},
        {"defended_correct": [True]},
    ],
)
def test_damaged_records_are_refused(tmp_path, record, changes):
    write_report(record, tmp_path)
    edit(tmp_path / "record.json", **changes)
    with pytest.raises(FileFormatError):
        render_run(tmp_path)


def test_a_truncated_record_is_refused(tmp_path, record):
    write_report(record, tmp_path)
    text = (tmp_path / "record.json").read_text()
    (tmp_path / "record.json").write_text(text[: len(text) // 2])
    with pytest.raises(FileFormatError, match="not JSON"):
        read_run(tmp_path)


def test_an_outcome_shorter_than_the_data_is_refused(tmp_path, record):
    write_report(record, tmp_path)
    outcomes = record.to_dict()["outcomes"]
    outcomes[1]["correct"] = outcomes[1]["correct"][:-1]
    edit(tmp_path / "record.json", outcomes=outcomes)
    with pytest.raises(FileFormatError, match=r"outcomes\[1\]: perturbation must have 39 entries"):
        read_run(tmp_path)


def test_a_certificate_whose_lists_disagree_is_refused(tmp_path, certificate):
    write_report(certificate, tmp_path)
    edit(tmp_path / "record.json", reasons=[])
    with pytest.raises(FileFormatError, match="reasons must have 40 entries, as verdicts, got 0"):
        read_run(tmp_path)


@pytest.mark.parametrize("module", ["jinja2", "matplotlib"])
def test_a_missing_extra_is_named_and_the_record_is_safe(tmp_path, record, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r'pip install "art-disc\[report\]"'):
        write_report(record, tmp_path)
    assert EvaluationRecord.load(tmp_path / "record.json") == record
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    "words",
    [
        "evaluate --dataset nowhere.npz",
        "certify --dataset nowhere.npz --eps 0.1 --out run",
        "sweep plan.toml",
        "reproduce chen2018-figure1 --data-dir nowhere",
        "reproduce chen2019-figure5 --data-dir nowhere",
    ],
)
def test_a_missing_extra_is_said_before_anything_runs(tmp_path, monkeypatch, capsys, words):
    from art_disc.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ART_DISC_DATA", str(tmp_path))
    (tmp_path / "plan.toml").write_text(
        'name = "p"\ndatasets = ["nowhere.npz"]\ndefences = ["none"]\neps = [0.1]\n'
        'attacks = ["fgsm"]\n'
    )
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(words.split()) == 2
    assert 'pip install "art-disc[report]"' in capsys.readouterr().err


def test_plots_of_hardness_without_the_extra_count_nothing(monkeypatch, digits, tmp_path):
    from art_disc import UniformCodebook
    from art_disc.hardness import survey

    monkeypatch.setattr(survey, "equivalence_classes", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError):
        survey.survey(digits, UniformCodebook(2), eps=[0.1], defence="", plots=tmp_path)


FRESH = """
import sys
from art_disc.report import render_run
assert not {"jinja2", "matplotlib"} & set(sys.modules), "slow imports wait for the first page"
render_run(sys.argv[1])
rooms = {name.split(".")[1] for name in sys.modules if name.startswith("art_disc.")}
print(sorted(rooms), sorted({"torch", "art", "sklearn", "matplotlib.pyplot"} & set(sys.modules)))
"""


def test_a_report_needs_neither_torch_nor_art_nor_sklearn(tmp_path, record, pictures):
    page = write_report(record, tmp_path, pictures=pictures)
    before = page.read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.strip() == "['core', 'report'] []"
    assert page.read_bytes() == before
