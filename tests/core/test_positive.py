"""One check of numbers above zero, as every setting uses it."""

import math

import numpy as np
import pytest

from art_disc.certificates.divergence.gaussian import gaussian_shift
from art_disc.core.checks import check_positive, check_rate
from art_disc.core.errors import InputError
from art_disc.defences import GaussianNoise, JpegCompression, RandDisc, RandMix, TotalVariation
from art_disc.defences.jpeg_model import DctModel

NONE = [0, 0.0, -1e-300, math.nan, math.inf, -math.inf, True, "0.5", None, np.ones(1)]


@pytest.mark.parametrize("value", [5e-324, 3, 0.25, np.float32(0.25), np.int64(7)])
def test_a_number_above_zero_comes_back_as_a_float(value):
    for check in (check_positive, check_rate):
        for zero in (False, True):
            found = check(value, "it", zero=zero)
            assert type(found) is float
            assert found == value


@pytest.mark.parametrize("value", NONE)
def test_anything_else_is_refused(value):
    with pytest.raises(InputError) as error:
        check_positive(value, "it", scale=" of the moon")
    assert str(error.value) == f"it must be a number > 0 of the moon, got {value!r}"
    with pytest.raises(InputError, match=r"it must be a number > 0 on the \[0, 1\] scale, got"):
        check_rate(value, "it")


def test_zero_is_allowed_where_it_is_asked_for():
    assert check_positive(0, "it", zero=True) == 0
    assert check_rate(0.0, "it", zero=True) == 0
    with pytest.raises(InputError, match="it must be a number >= 0, got -1"):
        check_positive(-1, "it", zero=True)


@pytest.mark.parametrize("value", NONE[2:8])
@pytest.mark.parametrize(
    ("make", "told"),
    [
        (GaussianNoise, r"sigma must be a number > 0 on the \[0, 1\] scale"),
        (lambda v: RandDisc(2, tau=v), r"tau must be a number >= 0 on the \[0, 1\] scale"),
        (lambda v: RandMix(v, 2), r"alpha must be a number > 0 on the \[0, 1\] scale"),
        (lambda v: JpegCompression(ratio=v), "ratio must be a number > 0, raw by compressed bytes"),
        (DctModel, r"alpha must be a number > 0 \(1 / range of \[0, 1\]\)"),
        (TotalVariation, "weight must be a number > 0, got"),
        (lambda v: gaussian_shift(0.1, v, 3), "sigma must be a number > 0, got"),
    ],
    ids=["noise", "randdisc", "randmix", "jpeg", "dct", "variation", "gaussian"],
)
def test_the_settings_of_defences_and_certificates_use_it(make, told, value):
    with pytest.raises(InputError, match=told):
        make(value)
