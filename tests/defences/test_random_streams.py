"""What copies, pickles, frozen versions and other layouts of a defence that draws draw."""

import copy
import pickle

import numpy as np
import pytest
import torch

from art_disc.defences import DEFENCES, ResizePad

from .conftest import make

DRAWING = [name for name in DEFENCES if make(name, (3, 6, 7)).is_random]
X = np.random.default_rng(1).random((5, 3, 6, 7)).astype(np.float32)
MORE = {
    "resizepad of one size": lambda: ResizePad(6, 8, 9, per_image=False, seed=4),
    "lqvae that samples": lambda: make("lqvae", (3, 6, 7), inference="sampled", seed=4),
}


def pickled(defence):
    return pickle.loads(pickle.dumps(defence))  # noqa: S301 - our own bytes


def new(name):
    return MORE[name]() if name in MORE else make(name, (3, 6, 7))


def test_there_are_defences_that_draw():
    assert {"noise", "randdisc", "randmix", "resizepad"} <= set(DRAWING)


@pytest.mark.parametrize("upper", [1.0, 255.0])
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("name", [*DRAWING, *MORE])
def test_both_layouts_draw_the_same(name, frozen, upper):
    made = []
    for first in (True, False):
        defence = new(name).with_layout(channels_first=first, clip_values=(0, upper))
        defence = defence.frozen(3) if frozen else defence
        x = X * np.float32(upper)
        x = x if first else np.ascontiguousarray(np.moveaxis(x, 1, -1))
        calls = [defence(x)[0] for _ in range(2)]
        made.append([out if first else np.moveaxis(out, -1, 1) for out in calls])
    assert np.allclose(made[0], made[1], atol=1e-6 * upper)
    assert np.array_equal(made[0][0], made[0][1]) == frozen
    assert not np.allclose(made[0][0], X * np.float32(upper), atol=1e-3 * upper)


@pytest.mark.parametrize("name", DRAWING)
def test_the_gradient_does_not_mind_the_layout(name):
    found = []
    for first in (True, False):
        defence = new(name).with_layout(channels_first=first, clip_values=(0, 1)).frozen(3)
        leaf = torch.tensor(X if first else np.moveaxis(X, 1, -1).copy()).requires_grad_()
        made = defence.map(leaf)
        made = made if first else made.movedim(-1, 1)
        weights = torch.linspace(-1, 1, made.numel()).view(made.shape)
        made.backward(weights)
        found.append(leaf.grad if first else leaf.grad.movedim(-1, 1))
    assert torch.allclose(*found, atol=1e-5)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
@pytest.mark.parametrize("name", DRAWING)
def test_a_copy_goes_on_by_itself_and_a_frozen_one_stays(name, copied):
    defence = new(name)
    defence(X)
    twin = copied(defence)
    calls = [defence(X)[0] for _ in range(2)]
    assert not np.array_equal(*calls)
    assert np.array_equal([twin(X)[0] for _ in range(2)], calls)
    frozen = new(name).frozen(7)
    picture = frozen(X)[0]
    assert np.array_equal(copied(frozen)(X)[0], picture)
    # the freezing seed decides, not what was drawn, nor the own seed
    assert np.array_equal(twin.with_seed(9).frozen(7)(X)[0], picture)


@pytest.mark.parametrize("name", DRAWING)
def test_what_is_changed_begins_anew(name):
    first = new(name)(X)[0]
    used = new(name)
    used(X)
    for fresh in (used.with_place(0), used.with_seed(used.seed), used.with_surrogate("identity")):
        # one that has no surrogate is itself, and goes on
        assert fresh is used or np.array_equal(fresh(X)[0], first)
