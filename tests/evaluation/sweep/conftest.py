import dataclasses

import pytest

from art_disc.core.records import Environment
from art_disc.evaluation.sweep import SweepPlan

NOWHERE = Environment("", "", "", "", {})
TINY = {
    "name": "tiny",
    "datasets": ["digits"],
    "n_ex": 8,
    "stratified": True,
    "trainings": ["natural:epochs=3"],
    "defences": ["none", "density:n_codes=2,radius=0.6"],
    "eps": [0.1, 0.3],
    "attacks": ["fgsm", "square:max_iter=5"],
    "surrogates": ["base", "own"],
}


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Networks of these tests are trained once, and nowhere near the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ART_DISC_CACHE", str(tmp_path_factory.getbasetemp() / "sweep-weights"))
        yield


@pytest.fixture(scope="session")
def tiny():
    """Make the small plan, with some keys changed."""

    def make(**changes):
        return SweepPlan.from_dict(TINY | changes)

    return make


@pytest.fixture(scope="session")
def timeless():
    """Return a sweep's cells without what may differ between two runs: times and machines."""

    def strip(record):
        return [
            dataclasses.replace(cell, seconds=0.0, record=cell.record and _timeless(cell.record))
            for cell in record.cells
        ]

    def _timeless(record):
        rows = tuple(dataclasses.replace(row, seconds=0.0) for row in record.outcomes)
        return dataclasses.replace(record, environment=NOWHERE, outcomes=rows)

    return strip
