"""The leaderboard has a row for all that records say of robustness, and says it as they do."""

import itertools
import json
import re
from dataclasses import replace

import pytest

from art_disc.core.files import read_json
from art_disc.core.records import Share
from art_disc.core.records.purifiers import PurifierTableRecord
from studies import entries as board
from studies import leaderboard
from studies.architecture import ROOT
from studies.common import RESULTS, load
from studies.entries import NO_ENTRY, READERS, entries, name_of
from studies.leaderboard import as_json, headline
from tests.core.record_examples import RECORDS

ENTRIES = entries()
ROWS = json.loads(as_json())


def test_every_result_file_has_rows_or_a_reason_to_have_none():
    names = {name_of(path) for path in RESULTS.rglob("*.json")}
    folders = {name: f"{name.partition('/')[0]}/" for name in names}
    names = {folders[name] if folders[name] in NO_ENTRY else name for name in names}
    read = {entry.file.removesuffix(".json") for entry in ENTRIES}
    assert read | NO_ENTRY.keys() == names
    assert not read & NO_ENTRY.keys()
    used = {name if name in READERS else f"{name.partition('/')[0]}/" for name in read}
    assert used - {"tables/"} == READERS.keys(), "a reader of files that are not there"


def test_a_file_that_nothing_is_said_of_is_named(monkeypatch):
    for name in ("binarised_cost", "tables/chen2019-figure5"):
        monkeypatch.setattr(board, "NO_ENTRY", {k: v for k, v in NO_ENTRY.items() if k != name})
        with pytest.raises(ValueError, match=f"^{name}\\.json: name it"):
            entries()


def test_rows_say_what_the_records_say():
    # read here without the readers
    def row(file, eps, name, training):
        place = f"studies/results/{file}.json", eps, name, training
        (found,) = (r for r in ROWS if (r["file"], r["eps"], r["name"], r["training"]) == place)
        return found

    file = "decided/disc_adv_pre-1000-0.1"
    said = read_json(RESULTS / f"{file}.json")["results"]["rows"][0]
    found = row(file, 0.1, "density, 2 codes", "adversarial")
    assert (found["certified_n"], found["certificate"]) == (1000, "complete")
    assert found["certified_acc"] == pytest.approx(said["certified"] / 10)
    assert found["unbroken_acc"] == pytest.approx(100 - said["falsified"] / 10)
    assert found["clean_acc"] == pytest.approx(100 - said["wrong_when_clean"] / 10)
    assert found["certified_limit99"] == pytest.approx(100 * said["lower_limit_99"], abs=0.01)
    checked = row("mnist_checks", 0.3, "density, 2 codes", "natural")
    assert (checked["unbroken_acc"], checked["verdict"]) == (72.5, "complete")
    assert (checked["certified_acc"], checked["reported"]) == (0.0, 75.35)
    attacked = row("tables/chen2018-table3", 0.3, "density, 2 codes", "natural")
    assert attacked["certificate"] is attacked["certified_acc"] is attacked["verdict"] is None
    assert (attacked["unbroken_acc"], attacked["unbroken_n"], attacked["clean_n"]) == (
        76.0, 200, 10_000,
    )  # fmt: skip
    draws = row("randomised_attack_mnist", 0.1, "RandDisc (`randdisc:preset=mnist`)", "natural")
    assert (draws["unbroken_acc"], draws["unbroken_n"], draws["reported"]) == (97.0, 100, 94.4)


def test_no_row_certifies_more_than_is_unbroken_or_right():
    for entry in ENTRIES:
        for most in (entry.unbroken, entry.clean):
            if entry.certified and most and most.total == entry.certified.total:
                assert entry.certified.count <= most.count, entry
        assert (entry.certified is None) == (not entry.certificate)


def test_what_only_enumeration_looked_at_is_not_called_unbroken():
    alone = [e for e in ENTRIES if e.certificate == "enumeration" and not e.attacks]
    assert len(alone) > 10
    assert all(entry.unbroken is None for entry in alone)


def test_whichever_attack_is_asked_they_leave_the_same_together():
    budgets = [load("code_space")["attacks"]]
    for path in (RESULTS / "decided_attacks").glob("*.json"):
        budgets += [one["attacks"] for one in load(f"decided_attacks/{path.stem}")["budgets"]]
    for rows in budgets:
        assert {row["count"] - row["missed"] for row in rows} == {board.together(rows).count}


def test_of_a_purifier_counts_what_attackers_left_who_knew_of_it():
    (record,) = (one for one in RECORDS if isinstance(one, PurifierTableRecord))
    assert list(board.purifiers(record)) == [], "a black box knows nothing"
    row = record.rows[0]
    known = replace(row.cells[1], knowledge="end to end, worst")
    (found,) = board.purifiers(replace(record, rows=(replace(row, cells=(known,)),)))
    assert (found.defence, found.unbroken, found.clean) == ("lqvae", Share(3, 4), Share(8, 10))


def test_no_code_that_is_certified_was_broken():
    found = load("lqvae_certificate")
    assert all(not sum(row["certified_and_broken_by"].values()) for row in found["rows"])
    # and each verdict is counted on the board
    rows = {e.eps: e for e in ENTRIES if e.file == "lqvae_certificate.json"}
    for row in found["rows"]:
        entry = rows[row["eps"]]
        assert entry.certified == Share(row["certified"], found["images"])
        assert entry.unbroken == Share(row["certified"] + row["undecided"], found["images"])


def test_budgets_stand_together_and_most_certified_comes_first():
    places = [(entry.dataset, entry.eps) for entry in ENTRIES]
    assert len(set(places)) == len(list(itertools.groupby(places)))
    for before, after in itertools.pairwise(ENTRIES):
        if (before.dataset, before.eps) == (after.dataset, after.eps) and after.certified:
            assert before.certified.value >= after.certified.value


def test_the_page_explains_every_key():
    text = (ROOT / "docs" / "leaderboard.md").read_text(encoding="utf-8")
    keys = text.partition("| key | holds |")[2].partition("\n\n")[0]
    named = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (.*?) \|", keys, re.M)))
    assert all(list(row) == named for row in ROWS)


def test_the_readme_shows_of_each_setting_the_record_of_most_images(monkeypatch):
    mnist = [e for e in ENTRIES if (e.dataset, e.eps, e.training) == ("mnist", 0.1, "adversarial")]
    found = next(e for e in mnist if e.file.startswith("decided/"))
    fewer = replace(found, certified=Share(9, 10), unbroken=Share(9, 10))
    for order in ([found, fewer], [fewer, found]):
        monkeypatch.setattr(leaderboard, "entries", lambda order=order: order)
        (line,) = [line for line in headline() if line.startswith("| mnist")]
        assert f"{100 * found.certified.value:.1f} % of {found.certified.total:,}" in line


def test_a_share_keeps_its_images():
    found = next(e for e in ENTRIES if e.file == "mnist_two_codes.json")
    assert (found.unbroken, found.clean) == (Share(717, 1000), Share(9926, 10_000))
