"""Records as frames of pandas: what stands in them is what the records themselves count."""

import importlib
import sys
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import pytest

from art_disc.core.errors import InputError, MissingExtraError
from art_disc.core.records import Record, Share, load_record
from art_disc.core.records.rules import like
from tests.core.record_examples import CERTIFICATE, COMMITTED, EVALUATION
from tests.core.record_examples import RECORDS as MADE

pytest.importorskip("pandas", reason="pandas is not installed: pip install 'art-disc[pandas]'")
ROWS = {
    "activation norms": "rows", "bit flips": "rows", "certificate": "verdicts",
    "certificate curve": "certificates", "certificate table": "rows", "certified curve": "points",
    "certified figure": "rows",
    "divergence certificate": "verdicts", "equivalence classes": "rows",
    "eot convergence": "points", "evaluation": "outcomes", "gradient agreement": "draws",
    "hardness": "budgets", "persistent attacker": "submissions", "pixel figure": "rows",
    "protocol table": "rows",
    "purifier table": "rows", "scored draws": "right", "supplied images": "sets",
    "sweep": "cells", "table": "rows", "transfer": "rows", "zoo": "cells",
}  # fmt: skip


def of_kind(kind):
    return next(record for record in MADE if record.kind == kind)


@pytest.mark.parametrize("record", MADE, ids=lambda record: record.kind)
def test_every_kind_but_studies_has_rows(record):
    if record.kind == "study":
        with pytest.raises(InputError, match="StudyRecord has no rows"):
            record.to_frame()
        return
    frame, entries = record.to_frame(), getattr(record, ROWS[record.kind])
    assert len(frame) >= len(entries) > 0
    assert frame.equals(record.to_frame(ROWS[record.kind]))
    assert not set(frame.columns) & {"environment", "record"}
    assert all(isinstance(name, str) for name in frame.columns)


def test_committed_results_become_frames():
    frames = [load_record(path).to_frame() for path in COMMITTED if "tables" in str(path)]
    assert len(frames) > 3
    assert all(len(frame) for frame in frames)


def test_attacks_have_the_shares_that_the_record_counts():
    frame = EVALUATION.to_frame()
    assert list(frame.attack) == [row.attack for row in EVALUATION.outcomes]
    for row, outcome in zip(frame.itertuples(), EVALUATION.outcomes, strict=True):
        if outcome.status == "done":
            assert (row.share_count, row.share_total) == (outcome.share.count, outcome.share.total)
            assert row.share == outcome.share.value
        else:
            assert np.isnan(row.share)
    assert frame.gradients.sum() == sum(row.gradients for row in EVALUATION.outcomes)


def test_lists_in_a_row_become_rows_by_explode():
    outcome = EVALUATION.outcomes[0]
    each = EVALUATION.to_frame().head(1).explode(["correct", "perturbation"])
    assert list(each.correct) == list(outcome.correct)
    assert list(each.perturbation) == list(outcome.perturbation)


def test_examples_checks_and_certificates_have_rows_by_name():
    each = EVALUATION.to_frame("labels")
    assert list(each.example_ids) == list(EVALUATION.example_ids)
    assert list(each.defended_correct) == list(EVALUATION.defended_correct)
    assert list(EVALUATION.to_frame("checks").id) == [check.id for check in EVALUATION.checks]
    proved = EVALUATION.to_frame("certificates")
    found = [verdict for one in EVALUATION.certificates for verdict in one.verdicts]
    assert list(proved.verdicts) == found


def test_what_is_optional_and_absent_is_no_column():
    bare = replace(EVALUATION, base_correct=(), reference_correct=())
    assert not {"base_correct", "reference_correct"} & set(bare.to_frame("labels").columns)
    assert len(bare.to_frame("labels")) == len(bare.labels)


def test_a_curve_of_certificates_has_a_row_for_each_budget_and_example():
    curve = of_kind("certificate curve")
    counted = curve.to_frame().groupby("eps").verdicts.value_counts()
    for one in curve.certificates:
        for verdict in set(one.verdicts):
            assert counted[one.eps, verdict] == one.count(verdict)


def test_what_only_the_record_can_count_is_counted():
    sweep = of_kind("sweep")
    for row, cell in zip(sweep.to_frame().itertuples(), sweep.cells, strict=True):
        worst = cell.record.worst(cell.eps) if cell.record else None
        assert (row.left == worst.value) if worst else np.isnan(row.left)
    supplied = of_kind("supplied images")
    for row in supplied.to_frame().itertuples():
        # counts an image beyond the budget as the clean one
        assert row.left_count == supplied.share(row.name, row.defence).count
        assert row.clean_count == supplied.clean(row.name, row.defence).count
    transfer = of_kind("transfer").to_frame().set_index("source")
    assert transfer.left["own"] == of_kind("transfer").share("own").value
    assert np.isnan(transfer.left["base"]), "it failed"
    agreement = of_kind("gradient agreement")
    for row in agreement.to_frame().itertuples():
        quartiles = (row.lower_quartile, row.median, row.upper_quartile)
        assert quartiles == agreement.quartiles(row.draws)


def test_parts_within_a_part_have_rows_of_their_own():
    table = of_kind("protocol table")
    frame = table.to_frame()
    expected = [(row.model, one.protocol) for row in table.rows for one in row.outcomes]
    assert list(zip(frame.model, frame.protocol, strict=True)) == expected
    assert list(frame.worst) == [one.worst.value for row in table.rows for one in row.outcomes]


def test_fields_without_rows_are_refused_with_those_that_have_some():
    with pytest.raises(InputError, match=r"outcomes.*certificates.*checks.*labels"):
        EVALUATION.to_frame("defences")
    with pytest.raises(InputError, match="verdicts"):
        CERTIFICATE.to_frame("outcomes")


@dataclass(frozen=True, slots=True)
class Own(Record, kind="own, for frames"):
    """A record of the user's own."""

    names: tuple[str, ...]
    sizes: Annotated[tuple[float, ...], like("names")]
    shares: tuple[Share, ...] = ()


def test_a_kind_of_one_s_own_has_rows_too():
    frame = Own(("a", "b"), (1.0, 2.0)).to_frame("names")
    assert frame.to_dict("list") == {"names": ["a", "b"], "sizes": [1.0, 2.0]}


def test_without_pandas_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r'to_frame needs pandas.*"art-disc\[pandas\]"'):
        EVALUATION.to_frame()
    assert importlib.import_module("art_disc.report"), "nothing else needs it"
