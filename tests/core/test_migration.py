"""Results of schema version 2 become records of version 3 with the same numbers."""

import json

import pytest

from art_disc.core.records import record_class
from art_disc.reproduction.figure5 import TITLE
from studies.migrate_results import migrated
from tests.core.record_examples import EVALUATION, HERE, RECORDS

BY_KIND = {record.kind: json.loads(json.dumps(record.to_dict())) for record in RECORDS}
ENVIRONMENT = json.loads(json.dumps(EVALUATION.to_dict()["environment"]))


def older(value):
    """The same body as version 2 wrote it."""
    if isinstance(value, list):
        return [older(part) for part in value]
    if not isinstance(value, dict):
        return value
    check = {"status", "summary", "cure"} <= value.keys()
    body = {"told" if check and k == "summary" else k: older(v) for k, v in value.items()}
    return body | ({"schema_version": 2} if "schema_version" in body else {})


def study(name, **body):
    about = {"study": name, "date": "2026-01-01", "machine": {"cores": 2}}
    return about | {"environment": ENVIRONMENT} | body


def read(body):
    return record_class(body["kind"]).from_dict(body)


@pytest.mark.parametrize("kind", ["evaluation", "sweep", "certificate", "table"])
def test_a_record_of_version_2_is_the_same_record(kind):
    old = older(BY_KIND[kind])
    assert ("told" in json.dumps(old)) == (kind in ("evaluation", "sweep"))
    assert read(migrated(old)) == next(record for record in RECORDS if record.kind == kind)
    assert migrated(BY_KIND[kind]) == BY_KIND[kind], "what is new already stays as it is"


def test_a_study_keeps_its_numbers():
    rows = [{"id": "C1", "status": "pass", "told": "fine"}, {"seconds": 0.5}]
    record = read(migrated(study("speed", rows=rows, n=3)))
    assert (record.name, record.machine, record.environment) == ("speed", {"cores": 2}, HERE)
    assert record["n"] == 3
    assert record["rows"] == [{"id": "C1", "status": "pass", "summary": "fine"}, {"seconds": 0.5}]


def test_a_study_around_a_record_and_a_figure_become_that_record():
    zoo, figure = BY_KIND["zoo"], BY_KIND["equivalence classes"]
    assert read(migrated(study("zoo_digits", record=older(zoo), flaws=[]))).kind == "zoo"
    plain = {name: figure[name] for name in ("figure", "environment", "rows")}
    found = read(migrated(plain))
    assert (found.figure, found.title) == ("f", TITLE)
    assert found.rows == read(figure).rows
    with pytest.raises(SystemExit, match="expected a record of version 2"):
        migrated({"schema_version": 1, "kind": "evaluation"})
