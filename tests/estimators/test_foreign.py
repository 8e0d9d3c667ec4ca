"""Somebody else's preprocessors in ART's list, attacked as if they were not there."""

import numpy as np
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescent
from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
from art.estimators.classification import PyTorchClassifier

from art_disc import build_classifier, defend
from art_disc.core.errors import InputError
from art_disc.defences import ColorDepthReduction, StraightThrough


class Levels(PreprocessorPyTorch):
    """A hard defence that gives no gradient: seven levels, by rounding."""

    def __init__(self, **options):
        super().__init__(device_type="cpu", **options)

    def forward(self, x, y=None):
        return torch.round(6 * x) / 6, y


class Half(PreprocessorPyTorch):
    """Every second row and column."""

    def __init__(self):
        super().__init__(device_type="cpu")

    def forward(self, x, y=None):
        return x[..., ::2, ::2], y


class Nothing(PreprocessorPyTorch):
    def __init__(self):
        super().__init__(device_type="cpu")

    def forward(self, x, y=None):
        return x, y


@pytest.fixture
def sample(digits):
    return digits.x_test[:40].copy(), np.eye(10, dtype=np.float32)[digits.y_test[:40]]


@pytest.fixture
def foreign(digits, digits_net):
    return build_classifier(digits_net, data=digits, defences=[Levels()], placement="preprocessor")


def test_the_value_is_the_preprocessors_own_and_the_gradient_the_identitys(
    digits, digits_net, foreign, sample
):
    x, y = sample
    other = foreign.with_surrogate("identity")
    assert [type(d) for d in other.defences] == [StraightThrough]
    assert other.placement == "preprocessor"
    assert np.array_equal(other.predict(x), foreign.predict(x))
    assert not foreign.loss_gradient(x, y).any()
    expected = foreign.base.loss_gradient(Levels()(x)[0], y)
    got = other.loss_gradient(x, y)
    assert np.allclose(got, expected, rtol=1e-4, atol=1e-7)
    assert np.abs(got).max() > 0
    # ART's NumPy path asks for estimate_gradient
    assert np.array_equal(other.defences[0].estimate_gradient(x, x + 1), x + 1)


def test_an_attack_that_saw_nothing_succeeds_through_the_identity(foreign, sample):
    x, y = sample

    def accuracy(source):
        attack = ProjectedGradientDescent(
            source, eps=0.3, eps_step=0.06, max_iter=10, batch_size=64, verbose=False
        )
        labels = foreign.predict(attack.generate(x, y)).argmax(axis=1)
        return np.mean(labels == y.argmax(axis=1))

    assert accuracy(foreign) > 0.8
    assert accuracy(foreign.with_surrogate("identity")) < 0.3


def test_other_surrogates_leave_foreign_ones_as_they_are(foreign):
    assert [type(d) for d in foreign.with_surrogate("soft").defences] == [Levels]
    back = foreign.with_surrogate("identity").with_surrogate("soft")
    assert [type(d) for d in back.defences] == [Levels]
    twice = foreign.with_surrogate("identity").with_surrogate("identity")
    assert type(twice.defences[0].preprocessor) is Levels


def test_one_that_changes_the_shape_keeps_its_own_gradient(digits, digits_net):
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 10))
    half = build_classifier(
        net, input_shape=(1, 8, 8), nb_classes=10, defences=[Half()], placement="preprocessor"
    )
    assert [type(d) for d in half.with_surrogate("identity").defences] == [Half]
    with pytest.raises(InputError, match=r"Half makes \(2, 1, 4, 4\) of \(2, 1, 8, 8\)"):
        StraightThrough(Half()).forward(torch.zeros(2, 1, 8, 8))


def test_beside_a_defence_of_ours_both_are_passed(digits, digits_net, sample):
    x, y = sample
    own = PyTorchClassifier(
        model=digits_net,
        loss=torch.nn.CrossEntropyLoss(),
        input_shape=(1, 8, 8),
        nb_classes=10,
        clip_values=(0, 1),
        preprocessing_defences=[Levels()],
        preprocessing=None,
        device_type="cpu",
    )
    made = defend(own, ColorDepthReduction(3)).with_surrogate("identity")
    assert [type(d) for d in made.defences] == [StraightThrough, ColorDepthReduction]
    seen = ColorDepthReduction(3)(Levels()(x)[0])[0]
    expected = made.base.loss_gradient(seen, y)
    assert np.allclose(made.loss_gradient(x, y), expected, rtol=1e-4, atol=1e-7)


def test_labels_flags_and_inputs_are_passed_on():
    x, token = torch.rand(3, 1, 4, 4), object()
    wrapped = StraightThrough(Levels(apply_fit=False, apply_predict=True))
    assert (wrapped.apply_fit, wrapped.apply_predict) == (False, True)
    assert wrapped.forward(x, token)[1] is token
    assert wrapped.describe() == "StraightThrough(Levels)"
    leaf = x.clone().requires_grad_()
    out, _ = StraightThrough(Nothing()).forward(leaf)
    out.sum().backward()
    assert torch.equal(out, x)
    assert torch.equal(leaf.grad, torch.ones_like(x))
    with pytest.raises(InputError, match="expected an ART PreprocessorPyTorch, got int"):
        StraightThrough(3)
