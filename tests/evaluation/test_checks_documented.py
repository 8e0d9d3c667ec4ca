"""What docs/checks.md says of the checks is what the code does."""

import re
from pathlib import Path

from art_disc.evaluation import Thresholds
from art_disc.evaluation.checks import TABLE
from studies.broken_defences import CASES

PAGE = (Path(__file__).parents[2] / "docs" / "checks.md").read_text(encoding="utf-8")


def test_every_check_has_its_line():
    rows = re.findall(r"^\| (C\d+) (.+?) \| (\w+) \|", PAGE, flags=re.MULTILINE)
    assert rows == [(check.id, check.title, check.tier) for check in TABLE]


def test_the_lines_that_are_drawn_are_the_thresholds():
    lines = {row.split()[1]: row for row in PAGE.splitlines() if row.startswith("| C")}
    t = Thresholds()
    told = {
        "C2": "1e-5", "C4": f"{t.surrogate_step:.0%}", "C8": f"{t.unbounded:.0%}",
        "C9": f"{100 * t.convergence:g} points", "C10": f"{100 * t.black_box:g} points",
        "C12": f"{100 * t.transfer:g} points", "C14": "1e-4", "C15": f"{100 * t.eot:g} points",
        "C16": f"{t.draws} draws", "C18": f"{t.planted:.0%}",
    }  # fmt: skip
    for check, words in told.items():
        assert words.replace("%", " %") in lines[check], check
    assert (t.forward, t.spread) == (1e-5, 1e-4)
    assert f"{t.loss_change:.0%}".replace("%", " %") in lines["C9"]


def test_every_broken_case_is_listed_under_its_check():
    told = PAGE.split("## Broken on purpose")[1]
    assert {case.check for case in CASES} <= set(re.findall(r"C\d+", told))
