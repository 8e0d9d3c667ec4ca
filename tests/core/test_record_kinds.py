"""Every kind of record that is written can be read without knowing which it is."""

import json
import subprocess
import sys

import pytest

from art_disc.core.errors import FileFormatError, InputError
from art_disc.core.records import RECORDS, load_record, record_class


@pytest.mark.parametrize("kind", sorted(RECORDS))
def test_every_kind_is_known(tmp_path, kind):
    assert record_class(kind).kind == kind
    path = tmp_path / "r.json"
    path.write_text(json.dumps({"kind": kind, "schema_version": 1}))
    with pytest.raises(FileFormatError, match="has schema version 1, this release reads 3"):
        load_record(path)


def test_a_kind_that_there_is_not_is_refused():
    with pytest.raises(InputError, match=r"kind must be one of activation norms, .*, got 'poem'"):
        record_class("poem")


def test_reading_one_kind_needs_no_other():
    code = (
        "import sys, art_disc.core.records; "
        "late = ('randomness', 'supplied', 'draws', 'sweep', 'zoo', 'published'); "
        "print([n for n in late if f'art_disc.core.records.{n}' in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
