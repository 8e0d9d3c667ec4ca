"""The environments that the tests are run in cover what the package says that it runs on."""

import tomllib

import pytest
from packaging.requirements import Requirement

from studies.architecture import ROOT
from studies.versions import SETTINGS, SHOWN, TESTS, remarks, row

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RUN = {
    "python": "3.13.0",
    "packages": {"adversarial-robustness-toolbox": "1.20.1", "torch": "2.15.0", "numpy": "2.5.5"},
    "passed": 40,
    "failed": ["tests.core::test_a"],
    "skipped": {"no package": 2},
    "cells": [
        {"attack": "patch", "defence": "none", "status": "lowered", "clean": 7, "attacked": 5},
        {"attack": "patch", "defence": "two", "status": "refused", "reason": "no"},
    ],
}


def test_every_python_and_both_ends_of_the_ranges_have_an_environment():
    named = [one.rsplit(" ", 1)[1] for one in PROJECT["classifiers"] if ":: 3." in one]
    assert {one.python for one in SETTINGS.values()} == set(named)
    assert {one.versions for one in SETTINGS.values()} == {"pinned", "oldest", "newest"}


def test_every_extra_that_tests_use_is_in_an_environment():
    tried = {extra for one in SETTINGS.values() for extra in one.extras}
    # wandb has its own process and is told to a stand-in; the others are for work on the package
    assert tried == set(PROJECT["optional-dependencies"]) - {"dev", "docs", "wandb"}


def test_no_requirement_is_without_a_lowest_version():
    extras = PROJECT["optional-dependencies"]
    tried = {extra for one in SETTINGS.values() for extra in one.extras}
    asked = [*PROJECT["dependencies"], *(text for extra in tried for text in extras[extra])]
    assert [text for text in asked if not Requirement(text).specifier] == []


@pytest.mark.parametrize("place", TESTS)
def test_the_tests_are_there(place):
    assert (ROOT / place).exists()


def test_a_row_and_its_remarks_hide_nothing():
    assert row(RUN) == ("3.13.0", "1.20.1", "2.15.0", "2.5.5", "40", "1", "2")
    said = " ".join(remarks(RUN))
    for word in ("test_a", "no package", "from 7 to 5", "refused (no)"):
        assert word in said
    missing = {"python": "3.12", "not_run": "no interpreter"}
    assert row(missing) == ("3.12", *["not run"] * len(SHOWN), "", "", "")
    assert remarks(missing) == ["not run: no interpreter"]
