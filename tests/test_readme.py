"""The README's Python runs as it stands."""

import ast
import builtins
from pathlib import Path

import pytest

from tests.pages import commands_of, python_of, run_page

README = Path(__file__).parents[1] / "README.md"

pytestmark = pytest.mark.usefixtures("trained_once")


# ART's PGD hands torch an array in a way that NumPy 2 announces the end of
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_python_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run_page("README.md")
    said = capsys.readouterr().out
    assert "worst of all attacks" in said
    assert "No flaw found" in said
    assert (tmp_path / "runs" / "digits" / "report.html").is_file()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_script_of_the_page_on_python_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run_page("docs/in_python.md")
    said = capsys.readouterr().out
    assert "worst of all attacks" in said
    certified, unbroken = map(float, said.splitlines()[-2].split())
    assert 0 < float(said.splitlines()[-1]) < certified <= unbroken < 1
    assert (tmp_path / "runs" / "digits" / "report.html").is_file()


@pytest.mark.parametrize(("page", "least"), [("README.md", 5), ("docs/command_line.md", 15)])
def test_the_commands_of_the_readme_parse(page, least):
    from art_disc.cli.main import make_parser

    commands = commands_of(page)
    assert len(commands) >= least
    for words in commands:
        make_parser().parse_args(words.split())


@pytest.mark.parametrize("page", sorted(README.parent.glob("docs/*.md")), ids=lambda p: p.stem)
def test_a_page_imports_the_classes_that_it_uses(page):
    tree = ast.parse(python_of(page))
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    made = {node.id for node in names if isinstance(node.ctx, ast.Store)} | set(dir(builtins))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            made |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ClassDef):
            made.add(node.name)
    # what stands for a reader's own is small
    assert {node.id for node in names if node.id[0].isupper()} <= made


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_python_of_the_page_on_randomness_runs(capsys):
    run_page("docs/randomised.md")
    assert "of 40" in capsys.readouterr().out


def test_the_python_of_the_page_on_codes_runs(capsys):
    run_page("docs/code_space.md")
    clean, attacked = map(float, capsys.readouterr().out.split())
    assert attacked < clean - 0.2


def test_the_python_of_the_page_on_certificates_runs(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    # starting processes is tested elsewhere
    run_page("docs/certificates.md", **{"n_jobs=2": "n_jobs=1"})
    pixels, signs = capsys.readouterr().out.splitlines()
    certified, unbroken = map(float, pixels.split())
    assert 0 < certified <= unbroken < 1
    certified, undecided, same = map(float, signs.split())
    assert 0 < certified < 1
    assert undecided == 0
    assert same == 1
    assert (tmp_path / "runs" / "digits" / "curve.png").is_file()
    assert (tmp_path / "runs" / "digits" / "eps-0.3" / "report.html").is_file()


def test_the_python_of_the_hardness_page_runs(capsys):
    run_page("docs/hardness.md")
    assert "share_of_pixels_free" in capsys.readouterr().out


def test_the_python_of_the_report_page_runs(monkeypatch, tmp_path):
    from art_disc.core.records import registry

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "RECORDS", dict(registry.RECORDS))
    run_page("docs/report.md")
    assert (tmp_path / "runs" / "timing.json").is_file()
