"""What the tutorial, the how-to pages and the glossary say is so."""

import re

import pytest

from tests.pages import ROOT, commands_of, run_page

# ART's PGD hands torch an array in a way that NumPy 2 announces the end of
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.usefixtures("trained_once"),
]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_tutorial_runs(capsys, tmp_path):
    run_page("docs/tutorial.md")
    said = capsys.readouterr().out
    turns = ("clean", "under PGD")
    clean, attacked = (float(re.search(rf"^{one} ([.\d]+)$", said, re.M)[1]) for one in turns)
    assert attacked < clean - 0.2, "the attack works"
    assert "verdict: No flaw found by 11 quick checks" in said
    certified, unbroken = map(int, re.search(r"certified (\d+)%, unbroken (\d+)%", said).groups())
    worst = re.search(r"eps 0.1 .*worst of all attacks ([\d.]+)%", said)[1]
    assert 0 < certified <= unbroken
    assert certified <= float(worst), "what is certified stands under every attack"
    assert said.rstrip().endswith("True")
    assert (tmp_path / "runs" / "tutorial" / "report.html").is_file()


def test_the_page_on_a_network_of_your_own_runs(capsys):
    run_page("docs/own_network.md")
    said = capsys.readouterr().out
    assert "of 50" in said
    assert said.rstrip().endswith("True"), "defend and build_classifier give the same scores"


def test_the_page_on_pipelines_runs(capsys):
    run_page("docs/art_pipelines.md")
    same, attacked, shape = capsys.readouterr().out.splitlines()
    assert same == "True"
    assert float(attacked) < 0.8, "PGD sees the defence in ART's list"
    assert shape == "(50, 10) 2"


def test_the_page_on_writing_a_defence_runs(capsys):
    run_page("docs/write_a_defence.md")
    said = capsys.readouterr().out
    clean, attacked = map(float, re.findall(r"defended.*? ([\d.]+)% \[", said))
    assert attacked < clean - 30
    assert "No flaw found by 11 quick checks" in said


def test_the_page_on_builds_that_fail_runs(capsys):
    run_page("docs/continuous_integration.md")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all("points below" in line for line in lines)


def test_the_page_on_one_image_runs(capsys, tmp_path):
    run_page("docs/one_image.md")
    assert capsys.readouterr().out == "12 free pixels of 64\n"
    assert (tmp_path / "three.png").is_file()


def test_the_page_on_exports_runs(capsys):
    few = 'attacks=["fgsm", "square"], settings={"square.max_iter": 50},'
    run_page("docs/exports.md", **{'attacks=["fgsm", "square"],': few})
    said = capsys.readouterr().out
    assert re.search(r"defended +fgsm +0\.1 +[01]\.\d+", said)
    assert re.search(r"^0\.\d+$", said, re.M), "clean accuracy"
    assert re.search(r"^\d+ +(True|False) +0\.\d+$", said, re.M), "an example a row"


def test_the_page_on_sweeps_runs(capsys):
    # starting processes, and attacks of this size, are tested elsewhere
    quick = {"jobs=2": "jobs=1", "n_ex=50": 'n_ex=10, tier="smoke"', "max_iter=500": "max_iter=20"}
    run_page("docs/sweeps.md", **quick)
    lines = capsys.readouterr().out.splitlines()
    found = [line.split(" ", 1) for line in lines]
    assert [defence for defence, _ in found] == ["none", "density:n_codes=2,radius=0.6"]
    assert all("of 10" in worst for _, worst in found)


@pytest.mark.parametrize(
    ("page", "least"),
    [("tutorial", 2), ("own_network", 1), ("continuous_integration", 2), ("one_image", 1)],
)
def test_the_commands_of_the_pages_parse(page, least):
    from art_disc.cli.main import make_parser

    commands = commands_of(f"docs/{page}.md")
    assert len(commands) == least
    for words in commands:
        make_parser().parse_args(words.split())


def test_the_glossary_has_the_words_of_the_records():
    from art_disc.core.records import KNOWLEDGE, VERDICTS
    from art_disc.core.records.outcomes import CHECK_TIERS, STATUSES

    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    knowledge = text.partition("## Knowledge")[2].partition("## ")[0]
    assert tuple(re.findall(r"^\| `([^`]*)`", knowledge, re.M)) == KNOWLEDGE
    for word in (*VERDICTS, *CHECK_TIERS, *STATUSES):
        assert word in text


def test_the_page_on_installing_names_every_extra():
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    text = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    extras = text.partition("## Extras")[2].partition("## Data")[0]
    named = re.findall(r"^\| `([^`]*)`", extras, re.M)
    assert sorted(named) == sorted(settings["project"]["optional-dependencies"])
