"""Tables beside the printed ones: the gain over the base, and its significance."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from art_disc.core.errors import FileFormatError, InputError
from art_disc.core.intervals import holm, mcnemar, paired_difference
from art_disc.core.records.base import Environment, Share
from art_disc.core.records.published import TableRecord, TableRow

ENVIRONMENT = Environment("2025-01-02T03:04:05+00:00", "0.1", "3.11", "linux", {"numpy": "2"})


def row(setting, alive, **changes):
    facts = {
        "dataset": "mnist",
        "setting": setting,
        "defence": "density, 2 codes" if "disc" in setting else "",
        "n_codes": 2,
        "eps": 0.3,
        "printed_clean": 99.0,
        "printed_robust": None,
        "printed_steps": 100,
        "clean": Share(90, 100),
        "papers_attack": Share(5, len(alive)),
        "alive": alive,
        "white_box": Share(7, len(alive)),
        "correct": "1" * len(alive),
        "attack": "pgd",
        "worst_of": "pgd; square",
        "network": "net",
    }
    return TableRow(**facts | changes)


def table(*rows, planned=None):
    return TableRecord("t", "title", rows, planned or len(rows), {"n_ex": 10}, ENVIRONMENT)


BASE = "0" * 16 + "1" * 4
BETTER = "1" * 12 + "0" * 5 + "1" * 3
SAME = "1" + "0" * 16 + "1" * 3


def test_the_gain_is_paired_and_adjusted():
    record = table(
        row("nat_pre", BASE), row("disc_nat_pre", BETTER), row("disc_nat_re", SAME)
    )  # fmt: skip
    gains = record.gains()
    assert list(gains) == [1, 2]
    first, second = gains[1], gains[2]
    # twelve won, one lost; one won, one lost
    assert first.difference == pytest.approx(11 / 20)
    assert (first.low, first.high) == paired_difference(3, 12, 1, 4)
    assert first.p == pytest.approx(2 * mcnemar(12, 1))
    assert (second.difference, second.p) == (0.0, 1.0)
    assert first.significant
    assert not second.significant


def test_a_row_is_compared_with_its_own_base_alone():
    others = [
        row("adv_pre", BASE),
        row("nat_pre", BASE, dataset="gtsrb"),
        row("nat_pre", BASE, eps=0.1),
        row("nat_pre", BASE + "0"),
        row("nat_pre", BASE, network="net of other weights"),
    ]
    record = table(*others, row("disc_nat_pre", BETTER))
    assert record.base_of(record.rows[-1]) is None
    assert record.gains() == {}
    record = table(*others, row("nat_pre", SAME), row("disc_nat_re", BETTER, network="net; again"))
    assert record.base_of(record.rows[-1]).alive == SAME
    assert row("disc_adv_re", BASE).base_setting == "adv_pre"


def test_it_is_written_and_read(tmp_path):
    record = table(row("nat_pre", BASE, differs=("network", "data")), planned=2)
    assert TableRecord.load(record.save(tmp_path / "t.json")) == record
    assert not record.complete
    assert record.rows[0].worst == Share(4, 20)
    body = record.to_dict()
    with pytest.raises(FileFormatError, match="damaged"):
        TableRecord.from_dict(body | {"rows": [{"dataset": "mnist"}]})
    assert dataclasses.replace(record, planned=1).complete


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_is_the_smallest_level_at_which_its_procedure_rejects(p):
    adjusted = holm(p)
    # step down: at level a the i-th smallest is rejected while p_(i) <= a / (n - i)
    for place, found in enumerate(adjusted):
        order = sorted(range(len(p)), key=p.__getitem__)
        need = max(
            min(1.0, p[j] * (len(p) - rank))
            for rank, j in enumerate(order[: order.index(place) + 1])
        )
        assert found == pytest.approx(need)
    assert all(a >= b for a, b in zip(adjusted, p, strict=True))


def test_holm_refuses_what_is_no_probability():
    with pytest.raises(InputError, match="p values"):
        holm([0.5, 1.5])
