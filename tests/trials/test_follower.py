"""The best iterate is kept, and the steps are told as they were."""

import numpy as np
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescent
from torch import nn

import art_disc as ad
from art_disc.core.budget import Budget
from art_disc.trials.follower import Follower, Steps, add_padded


class Overshoot(ProjectedGradientDescent):
    """PGD that walks back to the clean image at the end: its last iterate is never adversarial."""

    def generate(self, x, y=None, **_):
        super().generate(x, y)
        return x.copy()


class Gate(nn.Module):
    """Class 1 where the only pixel is in (0.4, 0.6): an attack may pass through and come out."""

    def forward(self, x):
        pixel = x.flatten(1)[:, :1]
        inside = 0.1 - (pixel - 0.5).abs()
        return torch.cat([torch.zeros_like(inside), inside], dim=1)


def test_an_earlier_iterate_counts_where_the_last_one_failed(digits, digits_net):
    classifier = ad.build_classifier(digits_net, data=digits)
    options = {"eps": 0.3, "eps_step": 0.05, "max_iter": 10, "verbose": False}
    lost = Overshoot(classifier, **options)
    record = ad.evaluate(
        classifier, digits, eps=0.3, attacks=[lost], n_ex=30, checks=None, verbose=False
    ).record
    (row,) = record.select(scored_on="defended")
    broken = np.array(row.breaks(0.3)) & np.array(record.defended_correct)
    assert broken.sum() > 20
    sizes = np.array(row.perturbation)
    assert ((sizes[broken] > 0) & (sizes[broken] <= 0.3 + 1e-6)).all()


def test_only_images_inside_the_budget_and_the_range_are_kept():
    x = np.full((4, 1, 1, 1), 0.3, dtype=np.float32)
    y = np.zeros(4, dtype=np.int64)
    follower = Follower(x, y, Budget(0.2))
    tried = torch.tensor([0.45, 0.55, 0.3, -0.1]).reshape(4, 1, 1, 1)
    with follower.watching(Gate()) as seen:
        pass
    gate = Gate()
    with seen.watching(gate):
        gate(tried)
    # 0.55 is adversarial but too far; 0.3 is no error; -0.1 is out of range
    assert list(follower.found) == [0]
    assert follower.found[0] == pytest.approx(0.45)
    assert follower.by_step == []


def test_what_leaves_the_range_within_the_budget_is_not_kept_and_the_first_one_is():
    x = np.full((2, 1, 1, 1), 0.45, dtype=np.float32)
    # the range ends at 0.5, where the gate does not; both images are of class 0
    follower, gate = Follower(x, np.zeros(2, dtype=np.int64), Budget(0.2, upper=0.5)), Gate()
    with follower.watching(gate):
        for values in ([0.55, 0.48], [0.55, 0.49]):
            gate(torch.tensor(values).reshape(2, 1, 1, 1))
    assert list(follower.found) == [1]
    assert follower.found[1] == pytest.approx(0.48)


def test_a_batch_that_was_lost_stays_lost():
    x, y = np.full((1, 1, 1, 1), 0.3, dtype=np.float32), np.zeros(1, dtype=np.int64)
    steps = Steps()
    for seen in (False, True):
        follower, gate = Follower(x, y, Budget(0.2)), Gate()
        with follower.watching(gate):
            gate(torch.tensor(x, requires_grad=seen))
        steps.add(follower)
    assert steps.fields(2) == {}


def test_steps_are_counted_where_a_gradient_is_taken():
    x = np.full((3, 1, 1, 1), 0.3, dtype=np.float32)
    follower = Follower(x, np.zeros(3, dtype=np.int64), Budget(0.2, "2"))
    gate = Gate()
    with follower.watching(gate):
        for values in ([0.3, 0.3, 0.3], [0.45, 0.3, 0.3], [0.3, 0.46, 0.3]):
            gate(torch.tensor(values).reshape(3, 1, 1, 1).requires_grad_())
        gate(torch.zeros(2, 1, 1, 1))  # another shape: no iterate of the batch
    assert follower.by_step == [3, 2, 1]
    by_hand = nn.functional.cross_entropy(
        gate(torch.full((3, 1, 1, 1), 0.3)), torch.zeros(3, dtype=torch.long), reduction="sum"
    )
    assert follower.loss_by_step[0] == pytest.approx(float(by_hand))


def test_curves_of_batches_add_up():
    assert add_padded([], [3.0, 1.0]) == [3.0, 1.0]
    assert add_padded([5.0, 4.0, 2.0], [3.0, 1.0]) == [8.0, 5.0, 3.0]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_losses_that_are_not_finite_are_no_curve(bad):
    steps = Steps(alive=[3.0, 2.0], loss=[1.0, bad])
    assert steps.fields(4) == {"by_step": (3, 2), "loss_by_step": ()}
    assert Steps(alive=[3.0], loss=[1.0]).fields(4)["loss_by_step"] == (0.25,)


def test_of_a_random_model_the_last_iterate_is_scored(digits, digits_net):
    """One lucky draw of an early iterate must not take the place of the attack's own result."""
    n, eps = 60, 0.12

    def build():
        noise = ad.GaussianNoise(0.5)
        return ad.build_classifier(
            digits_net, data=digits, defences=[noise], eot_samples=2, vote_samples=4
        )

    record = ad.evaluate(
        build(), digits, eps=eps, attacks=["pgd"], n_ex=n, checks=None, verbose=False,
        settings={"pgd.max_iter": 10, "pgd.num_random_init": 1},
    ).record  # fmt: skip
    (row,) = record.select(knowledge="bpda+eot")
    assert row.by_step == ()
    model = build()
    attack = ProjectedGradientDescent(
        model, eps=eps, eps_step=2.5 * eps / 10, max_iter=10, num_random_init=1, verbose=False
    )
    x, y = digits.x_test[:n], digits.y_test[:n]
    by_hand = attack.generate(x, np.eye(10, dtype=np.float32)[y])
    mean = np.exp(model.predict_draws(by_hand, 20, seed=5)).mean(axis=0)
    left = (mean.argmax(axis=1) == y) & np.array(record.defended_correct)
    assert row.share.count <= left.sum() + 4


def test_steps_of_a_part_of_the_batches_are_not_told(digits, digits_net):
    class Half(ProjectedGradientDescent):
        """Attacks the first batch only."""

        def generate(self, x, y=None, **_):
            return super().generate(x, y) if len(x) == 10 else x

    classifier = ad.build_classifier(digits_net, data=digits)
    attack = Half(classifier, eps=0.2, max_iter=3, verbose=False)
    record = ad.evaluate(
        classifier, digits, eps=0.2, attacks=[attack], n_ex=15, batch_size=10, checks=None,
        verbose=False,
    ).record  # fmt: skip
    assert all(row.by_step == row.loss_by_step == () for row in record.outcomes)


def test_an_evaluation_tells_its_steps(digits, digits_net):
    classifier = ad.build_classifier(digits_net, data=digits)
    record = ad.evaluate(
        classifier, digits, eps=0.3, attacks=["pgd"], n_ex=25, batch_size=10, checks=None,
        settings={"pgd.max_iter": 7, "pgd.num_random_init": 1}, verbose=False,
    ).record  # fmt: skip
    (row,) = record.select(scored_on="defended")
    assert len(row.by_step) == len(row.loss_by_step) == 7
    assert sorted(row.by_step, reverse=True) == list(row.by_step)
    assert row.by_step[-1] >= row.share.count
    assert row.loss_by_step[-1] > row.loss_by_step[0]
