"""A truth value is no number: `True` where a budget, a count or a share belongs is a slip."""

import math

import numpy as np
import pytest

import art_disc as ad
from art_disc.certificates.divergence.gaussian import check_order
from art_disc.core.checks import check_choice, check_count, check_eps, check_positive, number_of
from art_disc.core.errors import InputError
from art_disc.core.intervals import wilson_interval
from art_disc.core.seeds import check_seed, derive_seed
from art_disc.data.idealized import IdealizedImages
from art_disc.hardness.neighbourhoods import NeighbourhoodSizes
from art_disc.metrics import (
    binary_divergence,
    certified_accuracy_curve,
    certify,
    kl_certify,
    printed_proposition2_limit,
    votes_for_gap,
)
from art_disc.training.recipe import Recipe

X = np.zeros((1, 1, 2, 2), dtype=np.float32)


@pytest.fixture(scope="module")
def fixed():
    return _built(ad.ColorDepthReduction(2))


@pytest.fixture(scope="module")
def noisy():
    return _built(ad.GaussianNoise(0.2))


def _built(defence):
    import torch
    from torch import nn

    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    return ad.build_classifier(net, input_shape=(1, 2, 2), nb_classes=2, defences=[defence])


@pytest.mark.parametrize("value", [True, False, np.True_, np.array(True), "1", b"1", None, [1.0]])
def test_what_is_no_number_is_nan(value):
    assert math.isnan(number_of(value))


@pytest.mark.parametrize("value", [1, 1.0, np.float32(1), np.int8(1), np.array(1.0)])
def test_what_is_a_number_is_one(value):
    assert number_of(value) == 1
    assert type(number_of(value)) is float


@pytest.mark.parametrize("value", [True, False, np.True_])
def test_the_rules_of_numbers_refuse_truth_values(value):
    for call in (
        lambda: check_eps(value),
        lambda: check_positive(value, "it", zero=True),
        lambda: check_count(value, "it", least=0),
        lambda: check_choice(value, "it", (0, 1)),
        lambda: check_seed(value),
        lambda: derive_seed(value),
    ):
        with pytest.raises(InputError):
            call()


@pytest.mark.parametrize("option", ["eps", "max_free", "batch_size"])
def test_a_certificate_refuses_them(fixed, option):
    with pytest.raises(InputError, match=f"{option}.*True"):
        certify(fixed, X, **{"eps": 0.1, "verbose": False} | {option: True})


@pytest.mark.parametrize("option", ["eps", "draws", "confidence", "orders", "seed", "batch_size"])
def test_a_certificate_by_divergence_refuses_them(noisy, option):
    value = [True] if option == "orders" else True
    options = {"eps": 0.1, "draws": 10, "verbose": False}
    with pytest.raises(InputError, match=f"{option[:5]}.*True"):
        kl_certify(noisy, X, **options | {option: value})
    with pytest.raises(InputError, match=f"{option[:5]}.*True"):
        certified_accuracy_curve(noisy, X, [0], **options | {option: value})


@pytest.mark.parametrize("option", ["eps", "step_factor", "gradients", "seed"])
def test_so_does_the_convergence_of_gradients(noisy, option):
    options = {"eps": 0.1, "draws": (1,), "gradients": 1, "verbose": False}
    with pytest.raises(InputError, match="True"):
        ad.eot_convergence(noisy, X, [0], **options | {option: True})


@pytest.mark.parametrize(
    "call",
    [
        lambda: ad.GaussianNoise(True),
        lambda: ad.ResizePad(fill=True),
        lambda: ad.DensityCodebook(2, radius=True).fit(X),
        lambda: ad.DensityCodebook(2, radius=0.1, kernel="gaussian", bandwidth=True).fit(X),
        lambda: IdealizedImages([0.0, 1.0], True),
        lambda: IdealizedImages([0.0, 1.0], 0.01).lemma1(10, True),
        lambda: wilson_interval(1, 2, True),
        lambda: binary_divergence(True, 0.5),
        lambda: check_order(True),
        lambda: printed_proposition2_limit(True, 10, 0.1),
        lambda: votes_for_gap(True, 0.1, 2),
        lambda: Recipe(warm_up=True),
        lambda: NeighbourhoodSizes.quantile(None, True),
    ],
)
def test_settings_of_all_rooms_refuse_them(call):
    with pytest.raises(InputError):
        call()
