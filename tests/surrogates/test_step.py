import numpy as np
import pytest
import torch

from art_disc.codebooks import Codebook, nearest
from art_disc.surrogates import SoftAssignment, channels_255, straight_through

CODES = torch.tensor(np.random.default_rng(0).random(20).astype(np.float32))
BOOK = Codebook(CODES.numpy())


def hard(x):
    return CODES[nearest(channels_255(x, BOOK), BOOK.levels, "l_inf", "lowest", torch)][:, None]


class Counted:
    """The soft assignment, and how many images each call was given."""

    def __init__(self):
        self.calls = []

    def __call__(self, x):
        self.calls.append(len(x))
        return SoftAssignment(10.0)(x, BOOK)


@pytest.fixture
def x():
    return torch.rand((6, 1, 40, 40), generator=torch.Generator().manual_seed(1))


def test_the_value_under_grad_is_the_hard_one_bit_for_bit(x):
    soft = Counted()
    value = straight_through(x.requires_grad_(), hard, soft, 2)
    assert value.requires_grad
    assert torch.equal(value.detach(), hard(x.detach()))
    assert set(value.detach().unique().tolist()) <= set(CODES.tolist())


def test_the_usual_trick_is_not_exact(x):
    # why there is an autograd function: the sum rounds
    smooth = SoftAssignment(10.0)(x.requires_grad_(), BOOK)
    trick = smooth + (hard(x) - smooth).detach()
    off = (trick.detach() != hard(x.detach())).float().mean()
    assert off > 0.001


def test_the_gradient_is_that_of_the_surrogate(x):
    grad = torch.rand(x.shape, generator=torch.Generator().manual_seed(2))
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    straight_through(a, hard, Counted(), 100).backward(grad)
    SoftAssignment(10.0)(b, BOOK).backward(grad)
    assert torch.equal(a.grad, b.grad)
    assert (a.grad.abs() > 1e-4).float().mean() > 0.8


@pytest.mark.parametrize("chunk", [1, 2, 4, 5, 6, 7])
def test_chunks_change_nothing(x, chunk):
    grad = torch.rand(x.shape, generator=torch.Generator().manual_seed(2))
    grads = []
    for size in (chunk, 6):
        leaf = x.clone().requires_grad_()
        soft = Counted()
        straight_through(leaf, hard, soft, size).backward(grad)
        assert sum(soft.calls) == 6
        assert max(soft.calls) <= size
        grads.append(leaf.grad)
    assert torch.allclose(*grads, rtol=1e-5, atol=1e-7)


def test_the_surrogate_is_called_in_the_backward_pass_only(x):
    soft = Counted()
    value = straight_through(x.clone().requires_grad_(), hard, soft, 100)
    assert not soft.calls
    value.sum().backward()
    assert soft.calls == [6]


def test_without_a_gradient_there_is_no_surrogate_and_no_graph(x):
    soft = Counted()
    with torch.no_grad():
        values = [straight_through(x.clone().requires_grad_(), hard, soft, 3)]
    values.append(straight_through(x, hard, soft, 3))
    for value in values:
        assert not value.requires_grad
        assert torch.equal(value, hard(x))
    assert not soft.calls
