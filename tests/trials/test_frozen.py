"""Weights require no gradient while an attack runs, and what they did before once it is over."""

import threading
from functools import partial

import numpy as np
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescent
from torch import nn

import art_disc as ad
from art_disc.core.budget import Budget
from art_disc.core.seeds import derive_seed
from art_disc.trials import Trial, run_trial
from art_disc.trials.frozen import frozen_parameters


def network():
    made = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    made[0].bias.requires_grad_(requires_grad=False)
    return made


def wanted(model):
    return [one.requires_grad for one in model.parameters()]


BEFORE = [True, False, True, True]


def test_what_the_user_had_frozen_stays_so_also_after_an_error():
    model = network()
    with frozen_parameters(model):
        assert wanted(model) == [False] * 4
    assert wanted(model) == BEFORE
    with pytest.raises(KeyboardInterrupt), frozen_parameters(model):
        raise KeyboardInterrupt
    assert wanted(model) == BEFORE
    with frozen_parameters(object()):
        pass


def test_blocks_of_threads_that_overlap_leave_no_weight_frozen():
    model, entered, leave = network(), threading.Event(), threading.Event()

    def other():
        with frozen_parameters(model):
            entered.set()
            leave.wait()

    thread = threading.Thread(target=other)
    with frozen_parameters(model):
        thread.start()
        entered.wait()
    # the other block still runs
    assert wanted(model) == [False] * 4
    leave.set()
    thread.join()
    assert wanted(model) == BEFORE


def test_an_attack_takes_no_gradient_of_weights_and_finds_the_same(digits, digits_net):
    classifier = ad.build_classifier(digits_net, data=digits, defences="density:n_codes=2")
    x, y = digits.x_test[:8], digits.y_test[:8]
    seen = []

    def make():
        seen.append([one.requires_grad for one in classifier.model.parameters()])
        return attack

    options = {"eps": 0.2, "eps_step": 0.05, "max_iter": 4, "verbose": False}
    attack = ProjectedGradientDescent(classifier, **options)
    classifier.model.zero_grad(set_to_none=True)
    before = wanted(classifier.model)
    seeds = partial(derive_seed, 7)
    found = run_trial(Trial(make, classifier, x, y, Budget(0.2), seeds))
    assert not any(seen[0])
    assert wanted(classifier.model) == before
    assert all(one.grad is None for one in classifier.model.parameters())
    plain = attack.generate(x.copy(), np.eye(10, dtype=np.float32)[y])
    assert any(one.grad is not None for one in classifier.model.parameters())
    assert torch.equal(torch.from_numpy(found.images), torch.from_numpy(plain))
    # four steps, the start counted with them
    assert found.gradients == 4 * len(x)
    assert np.abs(found.images - x).max() > 0.1
