"""Networks of saved classifiers: the one that is loaded computes what the saved one did."""

import copy
import json

import numpy as np
import pytest
import torch
from torch import nn

from art_disc import build_classifier, load_classifier
from art_disc.core.errors import FileChangedError, FileFormatError, InputError
from art_disc.estimators.saved import FILE
from art_disc.networks import DigitsNet
from tests.estimators.test_saving import SHAPE, Own, X, rewrite, small, small_classifier


def saved(network, folder):
    classifier = build_classifier(network, **SHAPE)
    return classifier, classifier.save(folder)


class Linear(nn.Linear):
    """Looks like torch's, and is something else on dark images."""

    def forward(self, x):
        out = super().forward(x)
        return torch.where(x.mean(dim=1, keepdim=True) < 0.3, -out, out)


def test_a_layer_that_only_looks_like_ours_is_the_users_own(tmp_path):
    def made():
        network = small()
        network.layers[1] = Linear(64, 8, bias=False)
        return network

    classifier, folder = saved(made(), tmp_path / "saved")
    with pytest.raises(InputError, match="BinarizedNet, which its arguments alone do not make"):
        load_classifier(folder)
    loaded = load_classifier(folder, made)
    assert np.array_equal(loaded.predict(X * 0.3), classifier.predict(X * 0.3))


def dark(_module, given, made):
    return torch.where(given[0].mean() < 0.3, -made, made)


def turned(_module, given, _made):
    return (-given[0],)


def entered(_module, given):
    return given


def exchange(layer):
    layer.forward = lambda x, old=layer.forward: old(x)


HOOKS = {
    "dark images": lambda layer: layer.register_forward_hook(dark),
    "gradients": lambda layer: layer.register_full_backward_hook(turned),
    "before": lambda layer: layer.register_forward_pre_hook(entered),
    "before gradients": lambda layer: layer.register_full_backward_pre_hook(lambda *_: None),
    "forward": exchange,
}


@pytest.mark.parametrize("kind", HOOKS)
@pytest.mark.parametrize("place", [lambda c: c.base_network.layers[1], lambda c: c.model])
def test_hooks_are_refused(kind, place, tmp_path):
    classifier = small_classifier()
    HOOKS[kind](place(classifier))
    with pytest.raises(InputError, match=r"(Linear|Module) has a hook, or a forward that its"):
        classifier.save(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_hooks_of_a_network_that_its_user_makes_are_saved_around(tmp_path):
    def made():
        network = Own()
        network.register_forward_hook(dark)
        return network

    classifier, folder = saved(made(), tmp_path / "saved")
    assert np.array_equal(load_classifier(folder, made).predict(X), classifier.predict(X))


class Masked(Own):
    """Rules one class out."""

    def forward(self, x):
        out = super().forward(x)
        out[:, 9] = -1e9
        return out


def test_a_class_that_is_ruled_out_hides_no_other_network(tmp_path):
    classifier, folder = saved(Masked(), tmp_path / "saved")
    assert np.array_equal(load_classifier(folder, Masked).predict(X), classifier.predict(X))
    with pytest.raises(InputError, match="predicts otherwise"):
        load_classifier(folder, lambda: Masked(act=nn.ReLU))


class Unsteady(Own):
    """Has a bit of state that no file holds, which moves its scores a little."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x) * (1 + 1e-5 * self.calls)


def test_what_is_not_the_same_to_the_last_bit_is_not_saved(tmp_path):
    with pytest.raises(InputError, match="something that no file holds has a hand in it"):
        saved(Unsteady(), tmp_path / "saved")


class Drawing(Own):
    """Draws from torch's global stream."""

    def forward(self, x):
        out = super().forward(x)
        return out + torch.randn_like(out)


def test_a_network_that_draws_is_loaded_and_moves_no_stream(tmp_path):
    _, folder = saved(Drawing(), tmp_path / "saved")
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    load_classifier(folder, Drawing)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("fails", [lambda: Own(act=nn.ReLU), lambda: Own(units=7)])
def test_a_network_that_is_refused_is_left_as_it_was(tmp_path, fails):
    _, folder = saved(Own(), tmp_path / "saved")
    given = fails().train()
    given[1].weight.requires_grad_(False)
    before = copy.deepcopy(given.state_dict())
    with pytest.raises(InputError):
        load_classifier(folder, given)
    assert all(torch.equal(before[name], value) for name, value in given.state_dict().items())
    assert given.training
    assert [one.requires_grad for one in given.parameters()] == [False, True, True, True]


@pytest.mark.parametrize("make", [small, Own])
def test_frozen_parameters_stay_frozen(make, tmp_path):
    network = make()
    next(network.parameters()).requires_grad_(False)
    _, folder = saved(network, tmp_path / "saved")
    loaded = load_classifier(folder, make if make is Own else None)
    kept, found = (
        [one.requires_grad for one in n.parameters()] for n in (network, loaded.base_network)
    )
    assert found == kept
    assert kept.count(False) == 1


def named(name):
    class Named(Own):
        def __init__(self):
            super().__init__()
            setattr(self, name, nn.Parameter(torch.tensor([3.0])))

    return Named


@pytest.mark.parametrize("name", ["file", "allow_pickle", "compress", "arr_0"])
def test_a_parameter_may_have_any_name(name, tmp_path):
    made = named(name)
    _, folder = saved(made(), tmp_path / "saved")

    def other():
        network = made()
        nn.init.zeros_(getattr(network, name))
        return network

    assert getattr(load_classifier(folder, other).base_network, name).item() == 3.0


class Half(Own):
    def __init__(self):
        super().__init__()
        self.register_buffer("bits", torch.ones(2, dtype=torch.bfloat16))


class Extra(Own):
    def get_extra_state(self):
        return {"a": 1}

    def set_extra_state(self, state):
        pass


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (Half, r"bits .* of torch\.bfloat16"),
        (Extra, "_extra_state .* got a dict; keep it elsewhere"),
    ],
)
def test_what_is_no_array_is_named(make, text, tmp_path):
    with pytest.raises(InputError, match=text):
        saved(make(), tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_another_memory_layout_is_named(tmp_path):
    network = DigitsNet((1, 8, 8), 10).to(memory_format=torch.channels_last)
    _, folder = saved(network, tmp_path / "saved")
    with pytest.raises(InputError, match="DigitsNet, which its arguments alone do not make"):
        load_classifier(folder)


@pytest.fixture
def folder(tmp_path):
    return small_classifier().save(tmp_path / "saved")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_a_number_that_is_none_is_a_change(folder, number):
    text = (folder / FILE).read_text()
    (folder / FILE).write_text(text.replace('"nb_classes": 10', f'"nb_classes": {number}'))
    with pytest.raises(FileChangedError, match="was changed since it was saved"):
        load_classifier(folder)


def test_a_version_that_was_changed_is_a_change(folder):
    text = (folder / FILE).read_text()
    (folder / FILE).write_text(text.replace('"version": 1', '"version": 3'))
    with pytest.raises(FileChangedError):
        load_classifier(folder)


def test_scores_that_are_not_there_are_named(folder):
    rewrite(folder, state=json.loads((folder / FILE).read_text())["network"]["weights"])
    with pytest.raises(FileFormatError, match="holds no scores"):
        load_classifier(folder)
