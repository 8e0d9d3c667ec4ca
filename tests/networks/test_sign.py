import numpy as np
import pytest
import torch

from art_disc.core.errors import InputError
from art_disc.networks.sign import ESTIMATORS, chosen, estimating, sign

X = np.array([-3.0, -1.0, -0.75, -1e-30, -0.0, 0.0, 1e-30, 0.25, 1.0, 1.5], dtype=np.float32)
G = np.array([0.5, -2.0, 3.0, -0.25, 1.0, -4.0, 0.75, 2.0, -1.0, 0.125], dtype=np.float32)
INSIDE = np.abs(X) < 1

# gradients by hand
SLOPES = {
    "identity": G,
    "hard_tanh": G * INSIDE,
    "clipped": np.clip(G, -1, 1),
    "polynomial": G * (2 - 2 * np.abs(X)) * INSIDE,
}


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("shape", [(10,), (2, 5), (5, 1, 2)])
def test_values_are_signs_and_gradients_those_of_the_formula(estimator, shape):
    x = torch.from_numpy(X.copy()).reshape(shape).requires_grad_()
    made = sign(x, estimator)
    made.backward(torch.from_numpy(G).reshape(shape))
    assert np.array_equal(made.detach().numpy().ravel(), np.where(X >= 0, 1, -1))
    assert np.allclose(x.grad.numpy().ravel(), SLOPES[estimator], rtol=1e-6, atol=0)
    with torch.no_grad():
        assert torch.equal(sign(x, estimator), made)


def test_the_estimators_differ():
    assert set(SLOPES) == set(ESTIMATORS)
    assert len({tuple(np.asarray(g).tolist()) for g in SLOPES.values()}) == len(SLOPES)


def test_in_the_published_code_the_sign_of_zero_is_zero():
    made = sign(torch.from_numpy(X), zero=0)
    assert np.array_equal(made.numpy(), np.sign(X))
    assert set(made.tolist()) == {-1, 0, 1}


@pytest.mark.parametrize("zero", [0, 1])
def test_what_is_no_number_stays_so(zero):
    made = sign(torch.tensor([float("nan"), float("inf"), -float("inf")]), zero=zero)
    assert made[0].isnan()
    assert made[1:].tolist() == [1, -1]


def test_an_estimator_is_chosen_inside_a_block_alone():
    assert chosen("identity") == "identity"
    with estimating("clipped"):
        assert chosen("identity") == "clipped"
        with estimating(None):
            assert chosen("identity") == "identity"
        assert chosen("identity") == "clipped"
    assert chosen("identity") == "identity"


@pytest.mark.parametrize("options", [{"estimator": "tanh"}, {"zero": -1}, {"zero": True}])
def test_other_words_are_refused(options):
    with pytest.raises(InputError, match=next(iter(options))):
        sign(torch.zeros(2), **options)
