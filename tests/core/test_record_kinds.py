"""Every kind of record that is written can be read without knowing which it is."""

import importlib
import json
import pkgutil
import subprocess
import sys
from dataclasses import replace

import pytest

import art_disc.core
from art_disc.core.errors import FileFormatError
from art_disc.core.records import load_record
from art_disc.core.records.base import Environment, Record
from art_disc.core.records.draws import DrawsRecord, persistent_curve
from art_disc.core.records.randomness import AgreementRecord, ConvergencePoint, ConvergenceRecord
from art_disc.core.records.supplied import SuppliedRecord, TransferRecord, TransferRow

for module in pkgutil.iter_modules(art_disc.core.__path__):
    importlib.import_module(f"art_disc.core.{module.name}")

HERE = Environment("2026-01-01T00:00:00+00:00", "1", "3.11", "linux", {})
LINES = ("RandDisc(n_clusters=2)",)
DRAWS = DrawsRecord(3, (3, 1), (True, False), (True, False), 0, LINES, HERE)
MADE = [
    DRAWS,
    persistent_curve(DRAWS),
    AgreementRecord("margin", (1, 5), ((0.1, 0.2), (0.5, 0.75)), (1, 0), 0, LINES, 1.5, HERE),
    ConvergenceRecord(
        0.1, 20, 2.5, True, 3, (True, True),
        (ConvergencePoint(5, 4, 0.0625, 20, (True, False), (3, 1), 0.5),),
        0, {"vote": "mean"}, LINES, HERE,
    ),
    TransferRecord(
        0.1, 1e-6, LINES, (True, True),
        (TransferRow("base", (), "pgd", {"max_iter": 3}, "failed", "ValueError: no"),), 3, 0, HERE,
    ),
]  # fmt: skip


@pytest.mark.parametrize("record", MADE, ids=[record.kind for record in MADE])
def test_what_is_saved_is_what_is_loaded(tmp_path, record):
    found = load_record(record.save(tmp_path / "r.json"))
    assert type(found) is type(record)
    assert found == record
    assert found != replace(record, environment=replace(HERE, device="cuda"))


def kinds(cls=Record):
    for child in cls.__subclasses__():
        # a dataclass with slots is made twice, and the first one stays about for a while
        if child.__dict__.get("__dataclass_fields__") and "__slots__" in child.__dict__:
            yield child
        yield from kinds(child)


@pytest.mark.parametrize("kind", sorted({child.kind for child in kinds()}))
def test_every_kind_is_known(tmp_path, kind):
    path = tmp_path / "r.json"
    path.write_text(json.dumps({"kind": kind, "schema_version": 1}))
    with pytest.raises(FileFormatError, match="has schema version 1, this release reads 3"):
        load_record(path)


def test_the_supplied_images_are_among_them():
    assert {SuppliedRecord.kind, "transfer", "eot convergence"} <= {c.kind for c in kinds()}


def test_reading_one_kind_needs_no_other():
    code = (
        "import sys, art_disc.core.records; "
        "late = ('randomness', 'supplied', 'draws', 'sweep', 'zoo', 'table'); "
        "print([n for n in late if f'art_disc.core.{n}_record' in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
