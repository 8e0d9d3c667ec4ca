"""Where the attack on codes has its place in an evaluation, and where it is left out."""

import numpy as np
import pytest

from art_disc import ColorDepthReduction, RandDisc, build_classifier, evaluate
from art_disc.core.errors import InputError
from art_disc.core.records import WHITE_BOX
from art_disc.evaluation.plan import plan_trials


@pytest.fixture(scope="module")
def classifier(digits, digits_net):
    return build_classifier(digits_net, data=digits, defences=[ColorDepthReduction(3)])


def planned(classifier, attacks, *, norm="inf", through=None):
    trials = plan_trials(
        classifier,
        eps=(0.2,),
        attacks=attacks,
        changes={},
        surrogates=("soft", "identity"),
        norm=norm,
        targeted=False,
        through=through,
    )
    return [trial for trial in trials if trial.attack == "code_space"]


def test_it_runs_once_through_no_surrogate_and_knows_the_defence(classifier):
    for through in (None, "soft"):
        (trial,) = planned(classifier, "standard", through=through)
        assert not trial.refusal
        assert trial.surrogate is None
        assert trial.knowledge in WHITE_BOX
        assert trial.source.defences == classifier.defences
    (strong,) = planned(classifier, "strong")
    assert strong.settings["num_random_init"] > trial.settings["num_random_init"]


def test_a_suite_leaves_it_out_with_the_reason_and_by_name_it_is_refused(
    classifier, digits, digits_net
):
    drawing = build_classifier(digits_net, data=digits, defences=[RandDisc(n_clusters=2)])
    for other, reason in ((classifier.base, "got no defence"), (drawing, "got RandDisc")):
        (trial,) = planned(other, "standard")
        assert reason in trial.refusal
        with pytest.raises(InputError, match=f"code_space .*{reason}"):
            planned(other, ["pgd", "code_space"])
        with pytest.raises(InputError, match=f"code_space .*{reason}"):
            planned(other, "code_space")
    (trial,) = planned(classifier, "standard", norm="2")
    assert "knows the norms inf only" in trial.refusal
    with pytest.raises(InputError, match="code_space knows the norms inf only"):
        planned(classifier, ["code_space"], norm="2")


def test_what_it_breaks_counts_as_white_box(classifier, digits):
    options = {"eps": 0.2, "n_ex": 30, "checks": None, "verbose": False}
    record = evaluate(classifier, digits, attacks=["code_space"], **options).record
    (row,) = record.outcomes
    assert row.status == "done"
    assert row.gradients > 0
    assert row.share.count < np.sum(record.defended_correct)
    left = sum(record.survives(0.2, knowledge=tuple(WHITE_BOX)))
    assert left == row.share.count
