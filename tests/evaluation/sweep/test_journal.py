"""The journal after a kill at any byte, and the lock."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from art_disc.core.errors import FileFormatError, FolderBusyError
from art_disc.core.journal import only_one
from art_disc.core.records.sweep import SweepCell
from art_disc.evaluation.sweep.journal import CellJournal, encode


def cell(seed, status="failed", reason="why"):
    return SweepCell("digits", "natural", "none", 0.1, "pgd", "own", seed, status, reason)


LINES = [encode(f"hash{i}", f"key{i}", cell(i, reason="ä\n" * i)) for i in range(4)]


@given(cut=st.integers(0, sum(len(line.encode()) for line in LINES)))
def test_a_kill_at_any_byte_costs_the_unfinished_line_alone(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("journal") / "cells.jsonl"
    whole = "".join(LINES).encode()
    path.write_bytes(whole[:cut])
    ends = [sum(len(line.encode()) for line in LINES[:i]) for i in range(5)]
    kept = max(i for i in range(5) if ends[i] <= cut)
    journal = CellJournal(path)
    assert bool(journal.mend()) == (ends[kept] != cut)
    assert not journal.mend()
    assert list(journal.statuses()) == [f"hash{i}" for i in range(kept)]
    with journal:
        for line in LINES[kept:]:
            journal.append(line)
    assert path.read_bytes() == whole
    assert journal.cells({f"hash{i}": -i for i in range(4)}) == tuple(
        cell(i, reason="ä\n" * i) for i in (3, 2, 1, 0)
    )


def test_a_last_line_of_rubbish_is_cut_too(tmp_path):
    path = tmp_path / "cells.jsonl"
    path.write_bytes(LINES[0].encode() + b"\0\0\0\0\n")
    assert "5 bytes" in CellJournal(path).mend()
    assert path.read_bytes() == LINES[0].encode()


def test_damage_in_the_middle_is_refused_with_its_line(tmp_path):
    path = tmp_path / "cells.jsonl"
    path.write_text(LINES[0] + "{broken\n" + LINES[1])
    journal = CellJournal(path)
    assert journal.mend() == ""
    with pytest.raises(FileFormatError, match="line 2 is damaged"):
        journal.statuses()
    body = json.loads(LINES[0])
    del body["cell"]["eps"]
    path.write_text(json.dumps(body) + "\n")
    with pytest.raises(FileFormatError, match="line 1 is damaged"):
        journal.cells({"hash0": 0})


def test_the_last_line_of_a_cell_counts(tmp_path):
    path = tmp_path / "cells.jsonl"
    path.write_text(LINES[0] + encode("hash0", "key0", cell(0, "done", "")))
    assert CellJournal(path).statuses() == {"hash0": "done"}
    assert CellJournal(path).cells({"hash0": 0}) == (cell(0, "done", ""),)


def test_no_journal_is_an_empty_one(tmp_path):
    journal = CellJournal(tmp_path / "cells.jsonl")
    assert (journal.mend(), journal.statuses(), journal.cells({})) == ("", {}, ())


def test_a_second_process_is_kept_out_and_a_left_file_is_no_lock(tmp_path):
    (tmp_path / "sweep.lock").write_text("12345\n")
    with (
        only_one(tmp_path, "sweep"),
        pytest.raises(FolderBusyError, match=f"process {os.getpid()} is already running"),
        only_one(tmp_path, "sweep"),
    ):
        pass
    with only_one(tmp_path, "sweep"):
        pass
