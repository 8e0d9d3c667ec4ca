"""What a certificate refuses."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_disc.certificates import known as known_parts
from art_disc.certificates.divergence.finding import divergence_model
from art_disc.certificates.target import find_target
from art_disc.codebooks import Codebook
from art_disc.core.errors import CertificateError, InputError
from art_disc.defences import GaussianNoise, JpegCompression, PixelDiscretization
from art_disc.estimators import build_classifier
from art_disc.metrics import certify, codebook_of, kl_certify

BOOK = Codebook([0.2, 0.8])
X = np.full((2, 1, 2, 2), 0.45, dtype=np.float32)


def plain_art(defences=None, preprocessing=(0.0, 1.0)):
    torch.manual_seed(0)
    return PyTorchClassifier(
        nn.Sequential(nn.Flatten(), nn.Linear(4, 3)),
        loss=nn.CrossEntropyLoss(),
        input_shape=(1, 2, 2),
        nb_classes=3,
        clip_values=(0.0, 1.0),
        device_type="cpu",
        preprocessing_defences=defences,
        preprocessing=preprocessing,
    )


class Fake:
    """As little of a classifier as there can be, around one defence."""

    clip_values = (0.0, 1.0)
    channels_first = True
    input_shape = (1, 2, 2)

    def __init__(self, defence, predict=None):
        self.defences = (defence,)
        self.model = SimpleNamespace(preprocessors=(defence,))
        self.own = predict or (lambda x: np.stack([x.mean((1, 2, 3)), 0.1 + 0 * x[:, 0, 0, 0]], 1))

    def predict(self, x, batch_size=128):
        return self.own(self.defences[0](x)[0])


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """These classes do no more than they say, as far as a certificate by itself can see."""
    monkeypatch.setattr(known_parts, "ESTIMATORS", {*known_parts.ESTIMATORS, Fake, Claiming})


class Moving:
    """A defence that says it has a codebook and does something else."""

    codebook = BOOK

    def __call__(self, x, y=None):
        return np.clip(x + np.float32(0.05), 0, 1), y


def test_the_codebook_of_a_built_classifier(tiny):
    assert codebook_of(tiny(BOOK, (1, 2, 2))) is not None
    for placement in ("module", "preprocessor"):
        found = codebook_of(tiny(BOOK, (1, 2, 2), placement=placement))
        assert np.array_equal(found.codewords_, BOOK.codewords_)


def test_colours_of_any_number_of_scalar_codewords_are_certified(tiny, assert_witnesses):
    # their codewords are shown to the map as grey pixels: two are no colour of three channels
    classifier = tiny(Codebook([0.2, 0.8], per_channel=True), (3, 1, 2))
    x = np.random.default_rng(0).uniform(0.3, 0.7, (6, 3, 1, 2)).astype(np.float32)
    found = certify(classifier, x, eps=0.1, verbose=False)
    assert max(found.record.free_pixels) > 0
    assert_witnesses(found, classifier, x, classifier.predict(x).argmax(axis=1), 0.1)


@pytest.mark.parametrize("upper", [1.0, 255.0])
def test_images_of_codewords_lie_between_the_ends_in_each_channel(tiny, upper):
    # of these rows neither the first nor the last is the least, or the largest
    codes = np.array([[0.5, 0.2, 0.9], [0.1, 0.8, 0.3], [0.6, 0.4, 0.7]])
    target = find_target(tiny(Codebook(codes), (3, 1, 2), upper=upper))
    for end, expected in zip(target.ends((3, 1, 2)), ([1, 2, 3], [6, 8, 9]), strict=True):
        assert np.allclose(end, np.array(expected)[:, None, None] / 10 * upper)


def test_a_plain_art_classifier_is_certified(assert_witnesses):
    for preprocessing in ((0.0, 1.0), (0.3, 0.2)):
        classifier = plain_art([PixelDiscretization(BOOK)], preprocessing)
        assert np.array_equal(codebook_of(classifier).codewords_, BOOK.codewords_)
        result = certify(classifier, X, eps=0.2, verbose=False)
        assert result.count("undecided") == 0
        assert_witnesses(result, classifier, X, classifier.predict(X).argmax(axis=1), 0.2)


def test_a_classifier_without_a_codebook_is_refused():
    with pytest.raises(CertificateError, match=r"no defence first.*build_classifier"):
        certify(plain_art(), X, eps=0.1)
    with pytest.raises(CertificateError, match="StandardisationMeanStd"):
        codebook_of(plain_art(preprocessing=(0.5, 0.5)))
    with pytest.raises(CertificateError, match="no defence"):
        codebook_of(object())


def test_a_defence_that_is_switched_off_does_not_count():
    with pytest.raises(CertificateError, match="no defence"):
        codebook_of(plain_art([PixelDiscretization(BOOK, apply_predict=False)]))


def test_something_before_the_codebook_is_refused():
    from art.defences.preprocessor import GaussianAugmentation

    noise = GaussianAugmentation(sigma=0.1, augmentation=False, apply_predict=True)
    classifier = plain_art([noise, PixelDiscretization(BOOK)])
    with pytest.raises(CertificateError, match="GaussianAugmentation"):
        certify(classifier, X, eps=0.1)


def test_a_defence_that_moves_its_codewords_is_refused(monkeypatch):
    monkeypatch.setattr(known_parts, "CODEBOOK_MAPS", {Moving})
    with pytest.raises(CertificateError, match="moves some of its own codewords"):
        certify(Fake(Moving()), X, eps=0.1)


def test_a_random_classifier_is_refused():
    rng = np.random.default_rng(0)
    fake = Fake(PixelDiscretization(BOOK), lambda x: rng.random((len(x), 3)))
    with pytest.raises(CertificateError, match="random"):
        certify(fake, X, eps=0.1)


def test_a_map_that_is_not_the_codebook_is_refused(monkeypatch):
    class Idle(Moving):
        def __call__(self, x, y=None):
            return x, y

    monkeypatch.setattr(known_parts, "CODEBOOK_MAPS", {Idle})
    with pytest.raises(CertificateError, match="differently"):
        certify(Fake(Idle()), X, eps=0.1)


@pytest.mark.parametrize(
    ("codes", "level"), [([0.2, 0.8], 0.2), ([0.0, 1.0], 0.0), ([0.0, 1.0], 1.0)]
)
def test_a_map_that_is_none_is_refused_where_images_are_codewords_already(
    monkeypatch, codes, level
):
    class Idle(Moving):
        codebook = Codebook(codes)

        def __call__(self, x, y=None):
            return x, y

    monkeypatch.setattr(known_parts, "CODEBOOK_MAPS", {Idle})
    # one pixel, which has to be moved upwards or downwards
    monkeypatch.setattr(Fake, "input_shape", (1, 1, 1))
    with pytest.raises(CertificateError, match="differently"):
        certify(Fake(Idle()), np.full((2, 1, 1, 1), level, dtype=np.float32), eps=0.1)


def test_scores_of_another_shape_are_refused():
    fake = Fake(PixelDiscretization(BOOK), lambda x: x.mean((1, 2, 3)))
    with pytest.raises(CertificateError, match="scores of shape"):
        certify(fake, X, eps=0.1)


def test_another_input_range_is_refused():
    fake = Fake(PixelDiscretization(BOOK))
    for clip in ((-1.0, 1.0), (0.0, 2.0), None):
        fake.clip_values = clip
        with pytest.raises(CertificateError, match="clip_values"):
            certify(fake, X, eps=0.1)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"eps": -0.1}, InputError, "eps must be"),
        ({"eps": float("nan")}, InputError, "eps must be"),
        ({"eps": 8}, InputError, "8/255"),
        ({"method": "guess"}, InputError, "method must be one of enumeration"),
        ({"rule": "paper_float"}, CertificateError, "proves nothing"),
        ({"rule": "eq2"}, InputError, "rule must be"),
        ({"domain": "int8"}, InputError, "domain must be"),
        ({"max_free": -1}, InputError, "max_free"),
        ({"max_free": 41}, InputError, "0..40"),
        ({"batch_size": 0}, InputError, "batch_size"),
        ({"y": [0]}, InputError, "one label for each"),
        ({"y": [0, 7]}, InputError, "0..2"),
        ({"x": X * np.nan}, InputError, "finite"),
        ({"x": X * 4}, InputError, "must lie in"),
        ({"x": X[0]}, InputError, "4 axes"),
    ],
)
def test_wrong_arguments_are_refused(tiny, options, error, text):
    settings = {"x": X, "y": [0, 1], "eps": 0.1, "verbose": False} | options
    with pytest.raises(error, match=text):
        certify(tiny(BOOK, (1, 2, 2)), settings.pop("x"), settings.pop("y"), **settings)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_defence_that_is_not_applied_certifies_nothing(digits, digits_net):
    from art_disc.estimators import build_classifier

    book = Codebook([0.0, 1.0])
    idle = PixelDiscretization(book, apply_predict=False)
    classifier = build_classifier(
        digits_net, data=digits, defences=[idle], placement="preprocessor"
    )
    # images of codewords: the undefended network gives them the scores that the map would
    x = book.quantize(digits.x_test[:5])
    with pytest.raises(CertificateError, match="no defence first"):
        certify(classifier, x, eps=0.2, verbose=False)
    with pytest.raises(InputError, match="always applied"):
        build_classifier(digits_net, data=digits, defences=[idle])
    claims = Claiming(nn.Flatten(), (PixelDiscretization(BOOK),))
    with pytest.raises(CertificateError, match="differently"):
        certify(claims, BOOK.quantize(X), eps=0.1, verbose=False)


def test_what_cannot_be_certified_is_told_without_enumerating(digits, digits_net):
    from art_disc.estimators import build_classifier
    from art_disc.metrics import check_certifiable

    bare = build_classifier(digits_net, data=digits)
    with pytest.raises(CertificateError, match="no defence first"):
        check_certifiable(bare, digits.x_test[:3])
    classifier = build_classifier(digits_net, data=digits, defences=[PixelDiscretization(BOOK)])
    with pytest.raises(InputError, match="max_free"):
        check_certifiable(classifier, digits.x_test[:3], max_free=50)
    check_certifiable(classifier, digits.x_test[:3])


class Claiming:
    """A classifier of a module's predictions that names the defences it likes."""

    clip_values = (0.0, 1.0)
    channels_first = True
    input_shape = (1, 2, 2)

    def __init__(self, model, defences):
        self.model, self.defences = model, defences

    def predict(self, x, batch_size=128):
        with torch.no_grad():
            return self.model(torch.as_tensor(x)).numpy()


def test_a_claim_hides_no_defence_of_the_module():
    disc = PixelDiscretization(BOOK)
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    shape = {"input_shape": (1, 2, 2), "nb_classes": 2}
    chain = build_classifier(net, defences=[JpegCompression(50), disc], **shape)
    with pytest.raises(CertificateError, match="JpegCompression first"):
        certify(Claiming(chain.model, (disc,)), X, eps=0.05, verbose=False)
    noisy = build_classifier(net, defences=[JpegCompression(50), GaussianNoise(0.1)], **shape)
    with pytest.raises(CertificateError, match="JpegCompression first"):
        divergence_model(Claiming(noisy.model, (noisy.defences[1],)))


def test_the_cure_of_what_draws_is_taken_where_it_is_named():
    shape = {"input_shape": (1, 2, 2), "nb_classes": 3}
    flat = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    noise = GaussianNoise(0.1)
    for defences, cured in (([noise], False), ([PixelDiscretization(BOOK), noise], True)):
        classifier = build_classifier(flat, defences=defences, **shape)
        with pytest.raises(CertificateError, match="kl_certify is for classifiers") as refused:
            certify(classifier, X, eps=0.1)
        assert (".frozen(seed)" in str(refused.value)) == cured
        if cured:
            assert certify(classifier.frozen(0), X, eps=0.01, verbose=False).verdicts
        else:
            kl_certify(classifier, X, eps=0.01, draws=20, verbose=False)


def test_a_defence_that_draws_is_refused_whatever_the_classifier_says_of_itself(tiny):
    inner = tiny(BOOK, (1, 2, 2))
    classifier = Claiming(inner.model, (*inner.defences, GaussianNoise(0.1)))
    with pytest.raises(CertificateError, match="draws"):
        certify(classifier, X, eps=0.05, verbose=False)
