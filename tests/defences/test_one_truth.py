"""What is certified, described and hashed is what predicts, whatever is set after building."""

import copy
import inspect
import itertools
import pickle

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from sklearn.base import clone
from torch import nn

from art_disc.certificates.divergence.finding import divergence_model
from art_disc.certificates.divergence.front import kl_certify
from art_disc.certificates.front import certify
from art_disc.codebooks import (
    BitDepthCodebook,
    Codebook,
    DensityCodebook,
    KMeansCodebook,
    MarginCodebook,
    UniformCodebook,
)
from art_disc.core.errors import CertificateError, InputError, SealedError
from art_disc.defences import (
    DEFENCES,
    CodebookPreprocessor,
    ColorDepthReduction,
    GaussianNoise,
    InputBitDepth,
    JpegCompression,
    PixelDiscretization,
    RandDisc,
    traits,
)
from art_disc.defences.preprocessor import MapPreprocessor
from art_disc.estimators import build_classifier, encoded_shape
from art_disc.estimators.classifier import DefendedClassifier
from art_disc.estimators.describe import defence_lines
from art_disc.estimators.module import DefendedModule
from tests.lqvae_file import lqvae_file

SHAPE = (1, 5, 7)
SMALL = {
    "density": {"n_codes": 3, "radius": 0.2},
    "kmedoids": {"n_codes": 3},
    "kmeans": {"n_codes": 3},
    "randdisc": {"sigma": 0.05, "n_clusters": None},
    "bilinear": {"height": 9, "width": 4},
    "tv": {"steps": 5},
    "lqvae": {"file": lqvae_file(SHAPE)},
}
# of every kind that a parameter may be of
VALUES = (
    1, 2, 3, 0.3, 2.5, True, False, None, "identity", "soft:3", "one_hot", "4:4:4", "bilinear",
    "anisotropic", "kmeans++", "adaptive", "l1", "highest", [[0.3], [1.0]], (0.0, 255.0),
    Codebook([0.3, 1.0]), UniformCodebook(5),
)  # fmt: skip
# a text may be the name of a file that is not there
ORDINARY = (ValueError, TypeError, AttributeError, FileNotFoundError)


def images(seed=0, n=6):
    return np.random.default_rng(seed).random((n, *SHAPE), dtype=np.float32)


def network(defences):
    generator = torch.Generator().manual_seed(0)
    inputs = int(np.prod(encoded_shape(defences, SHAPE)))
    net = nn.Sequential(nn.Flatten(), nn.Linear(inputs, 3))
    net[1].weight.data = torch.randn(3, inputs, generator=generator)
    net[1].bias.data.zero_()
    return net.eval()


def classifier_behind(*defences, **options):
    return build_classifier(
        network(defences), input_shape=SHAPE, nb_classes=3, defences=defences, **options
    )


def certified(classifier, x):
    """What is known for certain, or why nothing is."""
    try:
        return certify(classifier, x, eps=0.05, max_free=3, verbose=False).verdicts
    except CertificateError as error:
        if "divergence" in str(error):
            raise
    try:
        return divergence_model(classifier)
    except CertificateError as error:
        return str(error)


def told(classifier, x):
    """All that anybody can learn of a classifier and its defences."""
    if hasattr(classifier, "predict_draws"):
        scores = classifier.predict_draws(x, 3, seed=1)
        scores = [scores, classifier.frozen(2).predict(x)]
    else:
        scores = classifier.predict(x)
    chain = [traits(defence) for defence in classifier.defences]
    books = [one.codebook for one in chain if one.codebook is not None]
    return {
        "scores": np.asarray(scores[0]).tolist(),
        "base": classifier.base.predict(x).tolist() if classifier.has_base else None,
        "lines": defence_lines(classifier),
        "hash": [str((one.identity(), one.facts())) for one in chain],
        "books": [(b.codewords_.tolist(), b.levels, b.get_params().keys(), str(b)) for b in books],
        "noise": [str(one.noise()) for one in chain],
        "certified": str(certified(classifier, x)),
        "shape": classifier.encoded_shape,
    }


def tried(change, *args, refused=None, **options):
    """Change something; where `refused` is given, nothing else than that may come of it."""
    try:
        change(*args, **options)
    except ORDINARY as error:
        if refused is not None and not isinstance(error, refused):
            raise
        return
    assert refused is None, f"{change} took {args} {options}"


def set_everything(one, names, refused=None):
    """Set each of the names to values of every kind, past the checks and through them."""
    for name, value in itertools.product(names, VALUES):
        tried(one.set_params, refused=refused, **{name: value})
        tried(setattr, one, name, value, refused=refused)


def pickled(one):
    return pickle.loads(pickle.dumps(one))  # noqa: S301 - our own bytes


def in_place(array):
    array[0] = 0.5


def change_codebook(book, refused=None):
    set_everything(book, book.get_params(), refused)
    tried(in_place, book.codewords_, refused=ValueError)
    if isinstance(book, DensityCodebook | KMeansCodebook | MarginCodebook):
        tried(book.fit, images(9), refused=refused)


@pytest.fixture(params=DEFENCES)
def built(request):
    """The user's own defence, its codebook, and a classifier that was built from them."""
    row = DEFENCES[request.param]
    options, book = SMALL.get(request.param, {}), None
    if request.param == "randdisc":
        book = Codebook([0.2, 0.8], metric="l2")
        own = RandDisc(centres=book, **options)
    elif issubclass(row.kind, CodebookPreprocessor):
        book = clone(row.make(**options).codebook).fit(images(3))
        own = PixelDiscretization(book)
    else:
        own = row.make(**options)
    return own, book, classifier_behind(own)


def test_what_becomes_of_the_users_objects_means_nothing(built):
    own, book, classifier = built
    x = images(1)
    before = told(classifier, x)
    set_everything(own, own.params)
    tried(own.fit, images(9))
    if book is not None:
        change_codebook(book)
    assert told(classifier, x) == before


def test_what_a_classifier_holds_cannot_be_changed(built):
    classifier = built[2]
    x = images(1)
    before = told(classifier, x)
    for made in (classifier, copy.deepcopy(classifier), pickled(classifier)):
        inside, step = made.defences[0], made.model.maps[0]
        assert inside.map is step
        names = [name for name in inside.params if not name.startswith("apply")]
        set_everything(inside, names, SealedError)
        for name in set(vars(step)) - {"training"} - set(vars(nn.Module())):
            tried(setattr, step, name, 0.5, refused=SealedError)
            tried(delattr, step, name, refused=SealedError)
        if inside.codebook is not None:
            tried(inside.fit, images(9), refused=SealedError)
            change_codebook(inside.codebook, SealedError)
        for name in ("preprocessors", "standardisation", "channels_first", "upper"):
            tried(setattr, made.model, name, None, refused=AttributeError)
        made.model.maps[0] = nn.Identity()
        assert told(made, x) == before


def test_another_surrogate_is_another_classifier_of_the_same_map(built):
    classifier = built[2]
    x = images(1)
    if classifier.defences[0].surrogate is None:
        pytest.skip("this defence has no surrogate to exchange")
    before = told(classifier, x)
    twin = classifier.with_surrogate("identity")
    assert str(twin.defences[0].surrogate.name) == "identity"
    assert told(classifier, x) == before
    after = told(twin, x)
    assert {k: v for k, v in after.items() if k != "hash"} == {
        k: v for k, v in before.items() if k != "hash"
    }


class Rising(nn.Module):
    """Class 1 where the pixel is bright."""

    def forward(self, x):
        z = 8 * (x.flatten(1).mean(1) - 0.5)
        return torch.stack([-z, z], dim=1)


def test_the_codebook_that_is_certified_is_the_one_that_predicts():
    # it was: class 0 certified at .45, where predict at .55 is class 1
    book = Codebook([0.2, 0.8], metric="l2")
    classifier = build_classifier(
        Rising(),
        input_shape=(1, 1, 1),
        nb_classes=2,
        defences=[RandDisc(sigma=0.05, centres=book)],
        vote_samples=200,
    )
    options = {"eps": 0.1, "draws": 1000, "seed": 0, "verbose": False}
    x = np.full((1, 1, 1, 1), 0.45, np.float32)
    before = kl_certify(classifier, x, [0], **options)
    book.set_params(codewords=[0.3, 1.0])
    after = kl_certify(classifier, x, [0], **options)
    assert classifier.predict(x + 0.1).argmax() == 1
    assert before.verdicts == after.verdicts == ("undecided",)
    assert before.lowest == after.lowest


def plain(defence):
    """An ART classifier that holds the user's own defence."""
    return PyTorchClassifier(
        network([defence]),
        nn.CrossEntropyLoss(),
        SHAPE,
        3,
        clip_values=(0, 1),
        preprocessing_defences=[defence],
        preprocessing=None,
        device_type="cpu",
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda book: book.set_params(codewords=[0.4, 0.6]),
        lambda book: setattr(book, "metric", "l1"),
        lambda book: setattr(book, "codewords", [0.4, 0.6]),
    ],
)
def test_a_defence_keeps_the_codewords_that_it_was_given(change):
    book = Codebook([0.1, 0.9])
    defence = PixelDiscretization(book)
    own = plain(defence)
    before = own.predict(images()), certified(own, images())
    change(book)
    assert defence.codebook.codewords_.ravel().tolist() == pytest.approx([0.1, 0.9])
    assert np.array_equal(own.predict(images()), before[0])
    assert certified(own, images()) == before[1]
    with pytest.raises(SealedError, match=r"sklearn\.base\.clone"):
        defence.codebook.set_params(metric="l2")


def test_a_parameter_of_an_open_defence_changes_description_and_map_together():
    defence = PixelDiscretization(Codebook([0.0, 1.0]))
    defence.codebook = Codebook([0.25, 0.75])
    assert set(np.unique(defence(images())[0])) == {0.25, 0.75}
    noise = GaussianNoise(0.1, seed=3)
    noise.sigma = 0.3
    assert noise.describe() == GaussianNoise(0.3, seed=3).describe()
    assert np.array_equal(noise(images())[0], GaussianNoise(0.3, seed=3)(images())[0])
    assert noise.noise().sigma == 0.3


@pytest.mark.parametrize(
    ("make", "params"),
    [
        (lambda: GaussianNoise(0.1), {"sigma": -1.0}),
        (lambda: JpegCompression(50), {"ratio": 4.0}),
        (lambda: RandDisc(centres=[0.2, 0.8]), {"sigma": 0.3, "centres": [0.2, 0.2]}),
        (lambda: PixelDiscretization(Codebook([0.0, 1.0])), {"codebook": [0, 1]}),
    ],
)
def test_what_is_refused_changes_nothing(make, params):
    defence = make()
    with pytest.raises(InputError):
        defence.set_params(**params)
    assert defence.describe() == make().describe()
    assert np.array_equal(defence(images())[0], make()(images())[0])


def test_a_codebook_changes_as_a_whole_or_not_at_all():
    book = Codebook([0.2, 0.8])
    with pytest.raises(InputError, match="must differ"):
        book.set_params(metric="l2", codewords=[0.3, 0.3])
    assert (book.metric, book.codewords) == ("l_inf", [0.2, 0.8])
    uniform = UniformCodebook(4)
    uniform.n_codes = 8
    with pytest.raises(InputError, match="changed past its checks"):
        PixelDiscretization(uniform)
    assert PixelDiscretization(uniform.set_params(n_codes=8)).codebook.n_codes_ == 8


@pytest.mark.parametrize("again", [lambda book: book, copy.copy, copy.deepcopy, pickled])
def test_what_is_written_to_an_array_later_changes_no_codebook(again):
    mine = np.float32([[0.2], [0.8]])
    book = again(Codebook(mine))
    book.codewords[0] = 0.1
    before = np.float32([[0.2], [0.8]])
    assert np.array_equal(PixelDiscretization(book).codebook.codewords_, before)
    assert np.array_equal(book.set_params(metric="l2").codewords_, before)
    # set anew, it is read anew
    book.set_params(codewords=book.codewords)
    assert np.array_equal(book.codewords_, np.float32([[0.1], [0.8]]))
    book.codewords[0] = 0.3
    book.codewords = book.codewords
    with pytest.raises(InputError, match="changed past its checks"):
        PixelDiscretization(book)


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        (ColorDepthReduction, "n_codes", 2),
        (InputBitDepth, "bits", 1),
    ],
)
def test_what_a_codebook_was_made_from_is_set_with_it(make, name, value):
    by_name, as_attribute, expected = make(4), make(4), make(value)
    by_name.set_params(**{name: value})
    setattr(as_attribute, name, value)
    for defence in (by_name, as_attribute):
        assert getattr(defence, name) == value
        assert defence.describe() == expected.describe()
        assert np.array_equal(defence(images())[0], expected(images())[0])
    with pytest.raises(InputError, match=name):
        by_name.set_params(**{name: 0})
    assert by_name.describe() == expected.describe()
    with pytest.raises(SealedError):
        setattr(by_name.sealed(), name, 4)


def test_a_number_of_bits_that_is_set_leaves_codewords_centred():
    defence, expected = InputBitDepth(4, centred=True), InputBitDepth(2, centred=True)
    defence.bits = 2
    assert defence.centred
    assert defence.describe() == expected.describe() != InputBitDepth(2).describe()
    defence.set_params(centred=False)
    assert (defence.bits, defence.centred) == (2, False)
    assert np.array_equal(defence(images())[0], InputBitDepth(2)(images())[0])


def kinds(base):
    return [base, *(kind for one in base.__subclasses__() for kind in kinds(one))]


def test_each_parameter_of_a_defence_can_be_set():
    for kind in kinds(MapPreprocessor):
        if kind.__module__.startswith("art_disc."):
            given = inspect.signature(kind).parameters.values()
            names = {one.name for one in given if one.kind != one.VAR_KEYWORD}
            assert names - {"device_type"} <= {*kind.params, *kind.shorthands}, kind


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickled])
def test_codewords_are_read_only(again):
    for book in (Codebook([0.2, 0.8]), BitDepthCodebook(2), DensityCodebook(2, 0.1).fit(images())):
        for made in (again(book), again(book.sealed())):
            with pytest.raises(ValueError, match="read-only"):
                made.codewords_[0] = 0.5
    mine = np.array([0.2, 0.8])
    held = Codebook(mine).sealed()
    mine[0] = 0.5
    assert held.codewords.ravel().tolist() == held.codewords_.ravel().tolist()
    assert held.sealed() is held


def test_a_defence_that_is_fitted_again_leaves_the_users_codebook_alone():
    book = DensityCodebook(2, 0.1)
    defence = PixelDiscretization(book)
    defence.fit(images(1))
    first = book.codewords_.tolist()
    assert defence.codebook.codewords_.tolist() == first
    defence.fit(images(2) / 2)
    assert defence.codebook.codewords_.tolist() != first
    assert book.codewords_.tolist() == first


def test_arts_own_list_is_one_with_what_predicts():
    classifier = classifier_behind(ColorDepthReduction(4), placement="preprocessor")
    x = images()
    before = told(classifier, x)
    classifier.preprocessing_defences.append(GaussianNoise(0.1))
    assert told(classifier, x) == before
    other = ColorDepthReduction(2)
    classifier.preprocessing_defences = [other]
    expected = told(classifier_behind(ColorDepthReduction(2), placement="preprocessor"), x)
    assert told(classifier, x) == expected
    other.set_params(codebook=Codebook([0.4, 0.6]))
    assert told(classifier, x) == expected
    classifier.preprocessing_operations.clear()
    assert (classifier.defences, classifier.placement) == ((), "module")
    assert told(classifier, x) == told(classifier.base, x)


@pytest.mark.parametrize(
    ("params", "told_of"),
    [
        ({"clip_values": (0, 255)}, "must be those of the module"),
        ({"clip_values": (-1, 1)}, r"must be \(0, 1\) or \(0, 255\)"),
        ({"channels_first": False}, "must be those of the module"),
        ({"preprocessing_defences": [GaussianNoise(0.1)]}, "draws"),
        ({"model": nn.Identity()}, "another model"),
    ],
)
@pytest.mark.parametrize("placement", ["module", "preprocessor"])
def test_arts_set_params_leaves_what_is_built_in(params, told_of, placement):
    classifier = classifier_behind(ColorDepthReduction(4), placement=placement)
    before = told(classifier, images())
    with pytest.raises(InputError, match=told_of):
        classifier.set_params(postprocessing_defences=None, **params)
    assert told(classifier, images()) == before
    classifier.set_params(**classifier.get_params())
    assert told(classifier, images()) == before


def test_range_and_layout_are_the_modules():
    module = DefendedModule(network([]), [ColorDepthReduction(4)])
    options = {"loss": nn.CrossEntropyLoss(), "input_shape": SHAPE, "nb_classes": 3}
    with pytest.raises(InputError, match=r"\(0, 1\) and True"):
        DefendedClassifier(model=module, clip_values=(0, 255), **options)
    with pytest.raises(InputError, match=r"\(0, 1\) and True"):
        DefendedClassifier(model=module, clip_values=(0, 1), channels_first=False, **options)


def test_the_standardisation_is_one():
    classifier = classifier_behind(GaussianNoise(0.1), preprocessing=([0.5], [2.0]))
    x = images()
    classifier.model.mean.fill_(0.25)
    mean, std = classifier.standardisation
    assert (mean.tolist(), std.tolist()) == ([0.25], [2.0])
    by_hand = classifier.base_network(torch.tensor((x - 0.25) / 2)).detach().numpy()
    assert classifier.base.predict(x) == pytest.approx(by_hand, abs=1e-5)
    fresh = classifier_behind(GaussianNoise(0.1), preprocessing=(0.25, 2.0))
    drawn = [one.predict_draws(x, 3, seed=0) for one in (classifier, fresh)]
    assert drawn[0] == pytest.approx(drawn[1], abs=1e-5)


def test_a_network_that_is_trained_on_is_the_one_that_is_certified():
    classifier = classifier_behind(ColorDepthReduction(2))
    x = images()
    before = told(classifier, x)
    with torch.no_grad():
        classifier.base_network[1].weight.neg_()
    after = told(classifier, x)
    assert np.array(after["scores"]) == pytest.approx(-np.array(before["scores"]), abs=1e-5)
    again = build_classifier(
        classifier.base_network, input_shape=SHAPE, nb_classes=3, defences=ColorDepthReduction(2)
    )
    assert after == told(again, x)
