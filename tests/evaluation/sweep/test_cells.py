"""The enumeration of cells, against a count by hand and laws."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from art_disc.evaluation.sweep import SweepPlan, plan_cells

FACTS = {"data": "d", "weights": "w", "threads": 1}


def some(*values):
    return st.lists(st.sampled_from(values), min_size=1, max_size=2 * len(values))


PLANS = st.builds(
    SweepPlan,
    name=st.just("law"),
    datasets=some("digits", "mnist"),
    defences=some("none", "density:n_codes=2", "density:n_codes=3"),
    eps=some(0.0, 0.1, "0.1", "8/255"),
    attacks=some("fgsm", "pgd:max_iter=3", "pgd", "square"),
    trainings=some("natural", "natural:epochs=2"),
    surrogates=some("own", "base", "identity", "soft:3"),
    seeds=some(0, 1),
)


@given(PLANS)
def test_the_cells_are_the_cross_product_without_duplicates(plan):
    cells = plan_cells(plan)
    gradient = {a for a in plan.attacks if a != "square"}
    each = len(set(plan.datasets)) * len(set(plan.trainings)) * len(set(plan.eps))
    each *= len(set(plan.seeds))
    blind = len(set(plan.attacks)) - len(gradient)
    expected = 0
    for defence in set(plan.defences):
        # its own backward pass is soft:10, so none of the surrogates is the same as `own`
        sources = 1 if defence == "none" else len(set(plan.surrogates))
        expected += each * (len(gradient) * sources + blind)
    assert len(cells) == expected
    assert len({cell.key for cell in cells}) == expected
    assert len({cell.content_hash(FACTS) for cell in cells}) == expected
    assert cells == plan_cells(plan)
    assert {c.surrogate for c in cells if c.defence == "none"} <= {"own", "none"}
    assert all((c.surrogate == "none") == (c.attack.label == "square") for c in cells)


@given(PLANS, st.sampled_from(["defences", "eps", "attacks", "surrogates", "seeds"]))
def test_a_wider_plan_keeps_every_cell_and_its_hash(plan, key):
    wider = {
        "defences": "density:n_codes=4",
        "eps": 0.25,
        "attacks": "sign_adam",
        "surrogates": "soft:7",
        "seeds": 9,
    }
    more = dataclasses.replace(plan, **{key: (*getattr(plan, key), wider[key])})
    # a plan that named no gradient source of its own for the undefended net still has one
    before = {c.key: c.content_hash(FACTS) for c in plan_cells(plan)}
    after = {c.key: c.content_hash(FACTS) for c in plan_cells(more)}
    assert before.items() <= after.items()


def test_keys_can_be_read(tiny):
    cells = plan_cells(tiny(defences=["bitdepth:bits=2"], surrogates=["own"], eps=["8/255"]))
    assert [cell.key for cell in cells] == [
        "digits/natural:epochs=3/bitdepth:bits=2/eps=0.03137254902/fgsm/own/seed=0",
        "digits/natural:epochs=3/bitdepth:bits=2/eps=0.03137254902/square:max_iter=5/none/seed=0",
    ]


def test_the_hash_is_of_what_decides_the_numbers(tiny):
    def hashes(facts=FACTS, **changes):
        return {cell.key: cell.content_hash(facts) for cell in plan_cells(tiny(**changes))}

    plain = hashes()
    # neither the name nor the limit nor the order of the plan is in a number
    assert hashes(name="other", time_limit="3s", eps=[0.3, 0.1]) == plain
    # the tier is, where the word does not say all settings
    other = hashes(attacks=["fgsm", "pgd"], tier="smoke")
    standard = hashes(attacks=["fgsm", "pgd"])
    assert other.keys() == standard.keys()
    changed = {key.split("/")[4] for key in other if other[key] != standard[key]}
    assert changed == {"pgd"}
    for name in FACTS:
        moved = hashes(FACTS | {name: "another"})
        assert not set(moved.values()) & set(plain.values())


@pytest.mark.parametrize("eps", [0.0, 0.1])
def test_cost_is_what_the_attack_says_and_nothing_at_eps_0(tiny, eps):
    (cell,) = plan_cells(tiny(attacks=["square:max_iter=5"], eps=[eps], defences=["none"]))
    assert cell.passes == (0, 15)
    assert cell.cost == (17 if eps else 2)
