"""`art-disc sweep` in this process."""

from dataclasses import replace

import pytest

from art_disc.attacks import ATTACKS
from art_disc.cli import main
from art_disc.core.records.sweep import SweepRecord
from art_disc.evaluation.sweep import SweepPlan, plan_cells

PLAN = """
name = "small"
datasets = ["digits"]
n_ex = 8
trainings = ["natural:epochs=3"]
defences = ["none", "bitdepth:bits=2"]
eps = [0.1, 0.3]
attacks = ["fgsm", "square:max_iter=5"]
"""


@pytest.fixture
def plan_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.toml").write_text(PLAN)
    return "plan.toml"


def run(capsys, *words):
    code = main([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_sweep_stops_at_its_limit_goes_on_and_says_what_the_record_says(
    capsys, plan_file, tmp_path
):
    words = ("sweep", plan_file, "--jobs", "1")
    code, out, err = run(capsys, *words, "--quiet", "--time-limit", "0.001s")
    assert (code, err) == (0, "")
    assert "stopped by the time limit: 8 cells left" in out
    code, out, err = run(capsys, *words)
    assert code == 0
    assert "8 cells: 0 done, 8 left, about" in err
    assert "8/8 cells" in err
    assert "8 of 8 cells: 8 done, 0 failed, 0 skipped" in out
    assert "left" not in out
    record = SweepRecord.load(tmp_path / "runs/small/record.json")
    for merged in record.merged().values():
        for eps in merged.eps:
            assert str(merged.worst(eps)) in out
    gradients = sum(cell.gradients for cell in record.cells)
    assert f"{gradients} gradients" in out
    assert (tmp_path / "runs/small/report.html").is_file()


def test_a_cell_that_fails_is_in_the_last_lines_and_in_the_exit_code(
    capsys, plan_file, monkeypatch
):
    def no_memory(*_):
        msg = "12 GiB"
        raise MemoryError(msg)

    monkeypatch.setitem(ATTACKS, "square", replace(ATTACKS["square"], make=no_memory))
    code, out, _ = run(capsys, "sweep", plan_file, "--jobs", "1", "--quiet")
    assert code == 1
    assert "8 of 8 cells: 4 done, 4 failed, 0 skipped" in out
    assert "failed: square:max_iter=5 at eps 0.1 on digits, natural:epochs=3, none (Memory" in out


def test_a_dry_run_lists_the_cells_and_writes_nothing(capsys, plan_file, tmp_path):
    code, out, _ = run(capsys, "sweep", plan_file, "--dry-run")
    keys = [cell.key for cell in plan_cells(SweepPlan.from_toml(plan_file))]
    assert code == 0
    assert [line.split("  ")[0] for line in out.splitlines()[:-1]] == keys
    assert out.splitlines()[-1].startswith("8 cells, 4 gradients and 6")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere.toml"], "no such plan file"),
        (["plan.toml", "--backend", "dask"], "scheduler"),
        (["plan.toml", "--scheduler", "tcp://a:1"], "backend='dask'"),
        (["plan.toml", "--jobs", "0"], "jobs"),
        (["plan.toml", "--time-limit", "soon"], "90s"),
    ],
)
def test_bad_input_is_one_readable_line_and_exit_code_2(capsys, plan_file, words, told):
    code, out, err = run(capsys, "sweep", *words)
    assert (code, out) == (2, "")
    assert told in err
    assert err.startswith("art-disc: ")
    assert err.count("\n") == 1


def test_the_plan_that_the_docs_name_has_more_than_sixty_cells():
    from pathlib import Path

    file = Path(__file__).parents[3] / "studies" / "plans" / "digits.toml"
    assert len(plan_cells(SweepPlan.from_toml(file))) >= 60
