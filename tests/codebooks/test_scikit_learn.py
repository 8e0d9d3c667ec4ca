"""Codebooks as scikit-learn takes them: what of its checks applies, and the same laws on images."""

import copy
import warnings

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError as SklearnNotFittedError
from sklearn.exceptions import SkipTestWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_is_fitted

from art_disc.codebooks import (
    BitDepthCodebook,
    Codebook,
    DensityCodebook,
    KMeansCodebook,
    KMedoidsCodebook,
    MarginCodebook,
    PixelCounts,
    UniformCodebook,
)
from art_disc.core.errors import InputError, NotFittedError

LEARNED = {
    "density": lambda: DensityCodebook(4, 0.1),
    "medoids": lambda: KMedoidsCodebook(3, random_state=0),
    "means": lambda: KMeansCodebook(3, random_state=0),
    "margin": lambda: MarginCodebook(3, per_channel=True),
}
FIXED = {
    "given": lambda: Codebook([[0.1, 0.2, 0.3], [0.9, 0.5, 0.1]], metric="l2"),
    "uniform": lambda: UniformCodebook(4),
    "bits": lambda: BitDepthCodebook(3),
}
BOOKS = LEARNED | FIXED
X = (np.random.default_rng(0).integers(0, 256, (6, 3, 5, 5)) / 255).astype(np.float32)

TAGS = hasattr(BaseEstimator, "__sklearn_tags__")
# checks that take the estimator alone, or tables of two axes that a codebook may refuse
API = (
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_estimators_unfitted",
    "check_fit_score_takes_y",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
    "check_do_not_raise_errors_in_init_or_set_params",
)
# and what of these does not apply, with the reason
REFUSED = "hyperparameters of codewords that need no data are checked as they are set, not in fit"
IMAGES = "it hands over a table of two axes, where a codebook takes images of four"
NOT_APPLYING = {
    **{(name, "check_do_not_raise_errors_in_init_or_set_params"): REFUSED for name in FIXED},
    **{(name, "check_fit_score_takes_y"): IMAGES for name in BOOKS},
}
# every other check of scikit-learn hands over tables, too: check_estimator sees that by the tag of
# the input and leaves them out, and what they ask is asked below of images


@pytest.mark.parametrize("check", API)
@pytest.mark.parametrize("name", BOOKS)
def test_the_checks_of_scikit_learn_that_apply_pass(name, check):
    if not hasattr(estimator_checks, check):
        pytest.skip("another version of scikit-learn has no such check")
    if not TAGS and (name, check) == ("given", "check_parameters_default_constructible"):
        pytest.skip("before 1.6 it takes the class alone, and a codebook needs its codewords")
    reason = NOT_APPLYING.get((name, check))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if reason is None:
            getattr(estimator_checks, check)(type(BOOKS[name]()).__name__, BOOKS[name]())
            return
        # one that passes after all has no place in the list
        with pytest.raises((AssertionError, InputError, TypeError, ValueError)):
            getattr(estimator_checks, check)(type(BOOKS[name]()).__name__, BOOKS[name]())


@pytest.fixture(params=BOOKS)
def book(request):
    return BOOKS[request.param]()


@pytest.mark.skipif(not TAGS, reason="no tags before 1.6")
def test_check_estimator_sees_that_tables_are_no_input(book):
    with pytest.warns(SkipTestWarning, match="Can't test estimator"):
        check_estimator(book)
    assert not book.__sklearn_tags__().input_tags.two_d_array
    assert book.__sklearn_tags__().requires_fit == (not book.is_fitted)


def test_transform_makes_images_of_codewords(book):
    made = book.fit(X).transform(X)
    assert made.dtype == np.float32
    assert np.array_equal(made, book.quantize(X))
    assert np.array_equal(book.transform(np.rint(255 * X).astype(np.uint8)), made)
    assert np.array_equal(clone(book).fit_transform(X), made)
    assert np.array_equal(clone(book).fit_transform(X, np.arange(6)), made)
    assert np.array_equal(book.transform(made), made)


def test_each_image_is_transformed_by_itself(book):
    made = book.fit(X).transform(X)
    assert np.array_equal(book.transform(X[::-1]), made[::-1])
    assert all(np.array_equal(book.transform(X[i : i + 1])[0], made[i]) for i in range(len(X)))


def test_fit_returns_self_and_is_found_again(book):
    before = book.get_params()
    assert book.fit(X) is book
    assert book.get_params().keys() == before.keys()
    assert all(np.array_equal(book.get_params()[name], before[name]) for name in before)
    words = book.codewords_.copy()
    state = copy.deepcopy({k: v for k, v in vars(book).items() if not k.startswith("_")})
    given = X.copy()
    given.flags.writeable = False
    book.transform(given)
    assert {k: v for k, v in vars(book).items() if not k.startswith("_")}.keys() == state.keys()
    assert np.array_equal(book.fit(given).codewords_, words)


def test_images_that_are_none_are_refused(book):
    book.fit(X)
    for wrong in (X[0], X.reshape(6, -1), X[:, :, :0], X + 2, np.full_like(X, np.nan), "images"):
        with pytest.raises(InputError):
            book.transform(wrong)


@pytest.mark.parametrize("make", LEARNED.values(), ids=LEARNED)
def test_before_fit_there_is_nothing_to_transform_with(make):
    with pytest.raises(SklearnNotFittedError):
        check_is_fitted(make())
    with pytest.raises(NotFittedError, match="call fit"):
        make().transform(X)
    check_is_fitted(make().fit(X))
    assert make().fit(PixelCounts.of(X)).is_fitted


def test_a_pipeline_takes_it(book):
    steps = make_pipeline(book, FunctionTransformer(np.negative))
    assert np.array_equal(steps.fit_transform(X), -clone(book).fit(X).transform(X))
