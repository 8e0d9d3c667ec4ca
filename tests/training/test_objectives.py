"""A loss of the user's own: it teaches, its facts are the cache's, and a wrong one is refused."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from art_disc.core.errors import InputError
from art_disc.networks import DigitsNet, weights_hash
from art_disc.training import (
    Adversarial,
    Adversary,
    CrossEntropy,
    Objective,
    loop,
    train,
    trained,
)

FAST = {"epochs": 1, "verbose": False}


@pytest.fixture(scope="module")
def small(digits):
    return digits.subset(n_train=192, n_test=60, stratified=True)


def fresh():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return DigitsNet()


@dataclass(frozen=True)
class Smoothed(Objective):
    share: float

    def __call__(self, model, x, y, *, progress, generator):
        return nn.functional.cross_entropy(model(x), y, label_smoothing=self.share)

    def facts(self):
        return {"label_smoothing": self.share}

    def describe(self):
        return f"label smoothing {self.share:g}"


class Plain:
    """The members of an objective, without the class."""

    eps = None

    def __init__(self, loss=None, facts=None):
        self.loss, self.own, self.seen = loss, facts or {"plain": 1}, []

    def __call__(self, model, x, y, *, progress, generator):
        self.seen.append((progress, tuple(x.shape)))
        loss = nn.functional.cross_entropy(model(x), y)
        return loss if self.loss is None else self.loss(loss)

    def facts(self):
        return self.own

    def describe(self):
        return "plain"


def confidence(model, data):
    with torch.no_grad():
        return float(model(torch.tensor(data.x_test)).softmax(dim=1).amax(dim=1).mean())


def test_label_smoothing_teaches_less_certainty_at_equal_accuracy(digits):
    sure, unsure = fresh(), fresh()
    options = {"epochs": 8, "learning_rate": 5e-3, "verbose": False}
    plain = train(sure, digits, **options)
    smoothed = train(unsure, digits, objective=Smoothed(0.4), **options)
    assert min(plain.accuracy, smoothed.accuracy) > 0.93
    assert confidence(sure, digits) > 0.9
    # the optimum of a smoothed loss over ten classes is 1 - 0.4 * 9 / 10
    assert confidence(unsure, digits) == pytest.approx(0.64, abs=0.08)
    assert smoothed.robust_accuracy is None


def test_smoothing_by_nothing_is_cross_entropy_and_both_ways_to_an_adversary_are_one(small):
    adversary = Adversary(0.1, steps=2, ramp=0.5)
    assert train(fresh(), small, objective=Smoothed(0.0), **FAST) == train(fresh(), small, **FAST)
    short = train(fresh(), small, adversary=adversary, **FAST)
    assert train(fresh(), small, objective=Adversarial(adversary), **FAST) == short
    own = train(fresh(), small, objective=Smoothed(0.2), adversary=adversary, **FAST)
    assert own.weights != short.weights
    assert own.robust_accuracy is not None


def test_it_sees_every_batch_and_how_far_the_training_is(small):
    plain = Plain()
    result = train(fresh(), small, objective=plain, epochs=2, batch_size=64, verbose=False)
    assert [progress for progress, _ in plain.seen] == pytest.approx([i / 6 for i in range(6)])
    assert {shape for _, shape in plain.seen} == {(64, 1, 8, 8)}
    assert result == train(fresh(), small, epochs=2, batch_size=64, verbose=False)


def test_an_adversary_grows_over_the_training_as_its_ramp_says(small):
    weights = {
        ramp: train(fresh(), small, adversary=Adversary(0.2, steps=1, ramp=ramp), **FAST).weights
        for ramp in (0.0, 0.5)
    }
    assert weights[0.0] != weights[0.5]
    seen = []

    class Seen(Smoothed):
        def __call__(self, model, x, y, *, progress, generator):
            seen.append(x)
            return super().__call__(model, x, y, progress=progress, generator=generator)

    x, y = torch.tensor(small.x_train), torch.tensor(small.y_train)
    objective = Adversarial(Adversary(0.2, steps=1, ramp=0.5), Seen(0.0))
    for progress in (0.1, 0.25, 0.5, 0.9):
        objective(fresh(), x, y, progress=progress, generator=torch.Generator().manual_seed(0))
    moved = [float((images - x).abs().max()) for images in seen]
    assert moved == pytest.approx([0.04, 0.1, 0.2, 0.2], abs=1e-5)


def test_its_facts_are_part_of_the_caches_key(small, tmp_path):
    def cached(**options):
        return trained(DigitsNet, small, cache=tmp_path, **FAST, **options)[1].cached

    adversary = {"adversary": Adversary(0.1, steps=1)}
    for options in (
        {},
        adversary,
        {"objective": Smoothed(0.1)},
        {"objective": Smoothed(0.2)},
        {"objective": Smoothed(0.2)} | adversary,
    ):
        assert not cached(**options)
        assert cached(**options)
    assert cached(objective=CrossEntropy())
    assert cached(objective=Adversarial(Adversary(0.1, steps=1), Smoothed(0.2)))
    assert len(list(tmp_path.iterdir())) == 5


def test_a_checkpoint_of_another_objective_is_refused(small, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    file = tmp_path / "half.npz"

    def stop(epoch, _):
        if epoch == 2:
            raise KeyboardInterrupt

    options = {"epochs": 3, "verbose": False, "checkpoint": file}
    with pytest.raises(KeyboardInterrupt):
        train(fresh(), small, objective=Smoothed(0.1), on_epoch=stop, **options)
    with pytest.raises(InputError, match="another label_smoothing"):
        train(fresh(), small, objective=Smoothed(0.2), **options)
    whole = train(fresh(), small, objective=Smoothed(0.1), epochs=3, verbose=False)
    assert train(fresh(), small, objective=Smoothed(0.1), **options) == whole


@pytest.mark.parametrize(
    ("objective", "text"),
    [
        (nn.CrossEntropyLoss(), "objective must be an Objective or None, got CrossEntropyLoss"),
        (lambda *_: 0, "objective must be an Objective or None, got function"),
        (CrossEntropy, "got the class CrossEntropy"),
        (Plain(facts={"epochs": 3}), "names of their own, got 'epochs'"),
        (Plain(facts={"weight": torch.ones(2)}), "plain JSON values"),
        (Plain(lambda loss: loss.detach()), r"has a gradient, got \(\), requires_grad False"),
        (Plain(lambda loss: loss.repeat(3)), r"a scalar tensor that has a gradient, got \(3,\)"),
        (Plain(lambda loss: loss.item()), "a scalar tensor that has a gradient, got float"),
    ],
)
def test_what_is_no_objective_is_refused_before_a_step(small, objective, text):
    network = fresh()
    before = weights_hash(network)
    with pytest.raises(InputError, match=text):
        train(network, small, objective=objective, **FAST)
    assert weights_hash(network) == before


def test_an_objective_without_its_members_cannot_be_made():
    class Half(Objective):
        def __call__(self, model, x, y, *, progress, generator):
            return model(x).sum()

    with pytest.raises(TypeError, match="abstract"):
        Half()


def test_they_say_what_they_are():
    adversary = Adversary(0.1)
    assert CrossEntropy().describe() == "natural"
    assert Adversarial(adversary).describe() == adversary.describe()
    assert Adversarial(adversary, Smoothed(0.1)).describe().endswith(", label smoothing 0.1")
