"""Every result file says where it comes from, and what has changed since is told."""

import re
from dataclasses import replace

import pytest

from art_disc.core.provenance import git
from art_disc.core.records import Environment
from art_disc.core.records.study import StudyRecord
from studies.architecture import ROOT
from studies.provenance import RESULTS, TABLES, made, made_by, rests_on, results

PAGE = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `([\w/.]+)`[^|]*\| .*?`((?:studies|art_disc)/[\w/.]+)`", PAGE, re.M))


def script(path):
    module = made_by(path).replace(".", "/")
    return f"{module}/" if module.startswith("art_disc") else f"{module}.py"


def test_the_page_names_every_result_file_with_its_script():
    places = {p: p.relative_to(RESULTS).as_posix() for p in results()}
    wanted = {re.sub("/.*", "/", name): script(path) for path, name in places.items()}
    assert wanted == ROWS
    assert len(wanted) > 15
    for made_there in wanted.values():
        assert (ROOT / made_there).exists()


def test_the_page_that_shows_a_result_names_its_script():
    rows = re.findall(r"^\| `([\w/.]+)`[^|]*\| (.*?) \| (.*?) \|$", PAGE, re.M)
    assert len(rows) == len(ROWS)
    for name, made_there, shown in rows:
        script = re.search(r"`((?:studies|art_disc)/[\w/.]+|art-disc \w+)`", made_there)[1]
        pages = re.findall(r"\]\(([^)]*)\)", shown)
        assert pages, name
        for page in pages:
            text = (ROOT / "docs" / page).read_text(encoding="utf-8")
            assert script in text or f"results/{name}" in text, (name, page)


def test_a_result_rests_on_what_its_script_reaches():
    found = rests_on("studies.mnist_checks")
    assert {"studies/mnist_checks.py", "studies/mnist_two_codes.py", "studies/common.py"} <= set(
        found
    )
    # by `ad.evaluate` and its own imports, and what these import
    assert {"art_disc/evaluation", "art_disc/attacks", "art_disc/core"} <= set(found)
    assert "art_disc/cli" not in found
    assert "studies/zoo_digits.py" not in found
    assert {"art_disc/reproduction", "art_disc/evaluation"} <= set(rests_on(TABLES))


@pytest.fixture
def checkout(tmp_path):
    for name in ("evaluation/run.py", "cli/main.py"):
        path = tmp_path / "art_disc" / name
        path.parent.mkdir(parents=True)
        path.write_text('"""What it is."""\nx = 1\n')
    _commit(tmp_path)
    return tmp_path


def _commit(root):
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    for words in (("init", "-q"), ("add", "."), (*who, "commit", "-qm", "a")):
        assert git(root, *words) is not None
    return git(root, "rev-parse", "HEAD").decode().strip()


def _result(root, commit):
    here = Environment("2026-01-01T00:00:00+00:00", "1", "3.11", "linux", {}, commit=commit)
    path = RESULTS / "mnist_checks.json"
    StudyRecord("mnist_checks", {}, {}, here).save(root / path)
    return path


def told(root, path):
    from studies.provenance import changed_since

    changed_since.cache_clear()
    return str(made(path, root))


def test_what_it_rests_on_is_compared_with_the_commit_that_it_names(checkout):
    head = _commit_of(checkout)
    path = _result(checkout, head)
    assert told(checkout, path).endswith(
        f"made at {head[:12]}; nothing that it rests on changed since"
    )
    code = checkout / "art_disc" / "evaluation" / "run.py"
    code.write_text('"""Said better."""\n# and why\nx = 1\n')
    (checkout / "art_disc" / "cli" / "main.py").write_text("x = 2\n")
    assert "nothing that it rests on" in told(checkout, path)
    code.write_text("x = 2\n")
    assert "1 files that it rests on changed since (evaluation 1)" in told(checkout, path)
    _commit(checkout)
    assert "(evaluation 1)" in told(checkout, path)
    code.unlink()
    assert "(evaluation 1)" in told(checkout, path)


def _commit_of(root):
    return git(root, "rev-parse", "HEAD").decode().strip()


def test_dirty_is_said(checkout):
    head = _commit_of(checkout)
    assert f"made at {head[:12]}, dirty; nothing" in told(
        checkout, _result(checkout, f"{head}-dirty-00")
    )


def test_a_file_without_a_note_is_compared_with_the_commit_that_brought_it(checkout):
    path = _result(checkout, "unknown")
    assert "is not known" in told(checkout, path)
    brought = _commit(checkout)
    assert f"commit not noted, committed at {brought[:12]}; nothing" in told(checkout, path)
    (checkout / "art_disc" / "evaluation" / "run.py").write_text("x = 2\n")
    assert "(evaluation 1)" in told(checkout, path)


def test_a_commit_that_is_not_there_is_no_claim(checkout):
    assert "is not known" in told(checkout, _result(checkout, "0" * 40))


def test_a_matrix_with_columns_of_two_commits_names_the_older_one():
    from studies.zoo_digits import merged
    from tests.core.record_examples import RECORDS

    old = next(record for record in RECORDS if record.kind == "zoo")
    old = replace(old, environment=replace(old.environment, commit="a" * 40))
    new = replace(old, environment=replace(old.environment, commit="b" * 40))
    assert merged(old, new).environment.commit == "a" * 40
