import copy
import io
import json
import pickle

import numpy as np
import pytest
from sklearn.base import clone

from art_disc.codebooks import (
    METRICS,
    BitDepthCodebook,
    Codebook,
    DensityCodebook,
    KMeansCodebook,
    KMedoidsCodebook,
    MarginCodebook,
    PixelCounts,
    UniformCodebook,
    distance,
)
from art_disc.core.errors import (
    DataNotFoundError,
    FileChangedError,
    FileFormatError,
    FileVersionError,
    InputError,
    NotFittedError,
)
from art_disc.core.plain import digest_of
from art_disc.defences import PixelDiscretization

X = np.random.default_rng(0).random((3, 3, 8, 8)).astype(np.float32)
COLOURS = [[0, 0, 0], [0.2, 0.3, 0.4], [1, 0.5, 0]]

BOOKS = {
    "colour": lambda: Codebook(COLOURS, metric="l2", ties="highest"),
    "grey": lambda: Codebook([0.9, 0.1], per_channel=True, metric="l1"),
    "density": lambda: DensityCodebook(4, 0.1, metric="l1").fit(X),
    "box": lambda: DensityCodebook(2, 0.2, kernel="box", bandwidth=9).fit(X[:, :1]),
    "uniform": lambda: UniformCodebook(5),
    "bits": lambda: BitDepthCodebook(3),
}


@pytest.fixture(params=BOOKS)
def book(request):
    return BOOKS[request.param]()


def sample(book):
    return X if book.per_channel or book.n_channels_ == 3 else X[:, :1]


def test_what_is_saved_assigns_as_before(book, tmp_path):
    path = book.save(tmp_path / "book.npz")
    back = Codebook.load(str(path))
    for name in ("metric", "per_channel", "ties"):
        assert getattr(back, name) == getattr(book, name)
    assert np.array_equal(back.codewords_, book.codewords_)
    # on the borders too
    levels = np.arange(256, dtype=np.float32)[:, None] / 255
    pixels = np.repeat(levels, sample(book).shape[1], axis=1)
    for batch in (np.moveaxis(sample(book), 1, -1), pixels):
        assert np.array_equal(back.assign(batch), book.assign(batch))


LEARNED = {
    "density": lambda: DensityCodebook(4, 0.1, metric="l1").fit(X),
    "medoids": lambda: KMedoidsCodebook(3, "sqeuclidean", random_state=1, assign_metric="l2").fit(
        X
    ),
    "means": lambda: KMeansCodebook(np.int64(3), per_channel=True, random_state=1).fit(X),
    "margin": lambda: MarginCodebook(3, 8 / 255, per_channel=True).fit(X),
}


@pytest.mark.parametrize("name", [*BOOKS, *LEARNED])
def test_a_codebook_comes_back_as_what_it_was(name, tmp_path):
    book = {**BOOKS, **LEARNED}[name]()
    back = Codebook.load(book.save(tmp_path / "book.npz"))
    assert type(back) is type(book)
    assert back.file_ == "book.npz"
    assert back.fingerprint == book.fingerprint
    params = {k: v for k, v in back.get_params().items() if k != "codewords"}
    assert params == {k: v for k, v in book.get_params().items() if k != "codewords"}
    learned, found = (
        {k: v for k, v in vars(one).items() if k.endswith("_") and k != "file_"}
        for one in (book, back)
    )
    assert found.keys() == learned.keys()
    for key, value in learned.items():
        assert np.array_equal(value, found[key]), key
    # and once more, under another name
    again = Codebook.load(back.save(tmp_path / "again.npz"))
    assert (again.file_, again.origin_) == ("again.npz", book.origin_)


@pytest.mark.parametrize("make", LEARNED.values(), ids=LEARNED)
def test_a_codebook_tells_what_it_was_learned_from(make, tmp_path):
    book = make()
    assert book.origin_["pixels"] == 3 * 8 * 8
    assert book.origin_["distinct"] == len(PixelCounts.of(X).values)
    back = Codebook.load(book.save(tmp_path / "book.npz"))
    back.fit(X[:, ::-1])
    assert back.file_ is None
    assert back.origin_["pixels"] == 3 * 8 * 8
    assert back.origin_["fingerprint"] != book.origin_["fingerprint"]
    assert clone(book).origin_ is None


@pytest.mark.parametrize("make", LEARNED.values(), ids=LEARNED)
def test_a_codebook_that_was_used_can_be_fitted_again(make):
    book = make()
    before = book.transform(X)
    assert np.array_equal(book.fit(X).transform(X), before)


def test_given_codewords_that_are_set_are_of_no_file(tmp_path):
    back = Codebook.load(BOOKS["grey"]().save(tmp_path / "book.npz"))
    assert back.origin_ is None
    assert back.set_params(codewords=[0.3, 0.4]).file_ is None


def test_the_fingerprint_is_of_codewords_and_rule():
    book = Codebook([[0.1], [0.9]], metric="l2")
    assert book.fingerprint == Codebook([0.1, 0.9], metric="l2").fingerprint
    others = [
        Codebook([0.9, 0.1], metric="l2"),
        Codebook([0.1, 0.90001], metric="l2"),
        Codebook([0.1, 0.9], metric="l1"),
        Codebook([0.1, 0.9], metric="l2", ties="highest"),
        Codebook([0.1, 0.9], metric="l2", per_channel=True),
    ]
    assert len({book.fingerprint, *(other.fingerprint for other in others)}) == 6


def test_a_seed_that_is_a_generator_is_not_kept(tmp_path):
    book = KMeansCodebook(2, random_state=np.random.default_rng(0)).fit(X)
    back = Codebook.load(book.save(tmp_path / "book.npz"))
    assert back.random_state is None
    assert np.array_equal(back.codewords_, book.codewords_)


class Mine(UniformCodebook):
    """A user's class."""


def test_a_class_of_the_users_own_comes_back_as_its_codewords(tmp_path):
    back = Codebook.load(Mine(4).save(tmp_path / "book.npz"))
    assert type(back) is Codebook
    assert back.fingerprint == UniformCodebook(4).fingerprint


def test_a_file_of_before_is_its_codewords(tmp_path):
    path = BOOKS["density"]().save(tmp_path / "book.npz")
    rewrite(path, sha256=None, fingerprint=None, parameters=None, learned=None)
    back = Codebook.load(path)
    assert type(back) is Codebook
    assert back.fingerprint == BOOKS["density"]().fingerprint


@pytest.mark.parametrize("name", ["colour", "density", "uniform"])
def test_other_codewords_than_were_saved_are_noticed(name, tmp_path):
    path = BOOKS[name]().save(tmp_path / "book.npz")
    _, codewords = header_of(path)
    rewrite(path, codewords=codewords[::-1])
    with pytest.raises(FileChangedError, match=r"book\.npz holds other codewords.*save it anew"):
        Codebook.load(path)


def header_of(path):
    with np.load(path) as arrays:
        return json.loads(str(arrays["header"])), arrays["codewords"]


def rewrite(path, codewords=None, **changes):
    """Change a file, as somebody would who knows of its digest."""
    header, old = header_of(path)
    header = {k: v for k, v in {**header, **changes}.items() if v is not None}
    # one of an earlier release has none
    if header.pop("sha256", None):
        header["sha256"] = digest_of(header)
    np.savez(path, codewords=old if codewords is None else codewords, header=json.dumps(header))


def to_pickle(path):
    path.write_bytes(pickle.dumps(COLOURS))


def to_pickled_array(path):
    np.savez(path, codewords=np.array(COLOURS, dtype=object), header="{}", allow_pickle=True)


def to_foreign(path):
    np.savez(path, weights=np.arange(3))


def to_nothing(path):
    np.savez(path)


def to_truncated(path):
    path.write_bytes(path.read_bytes()[:-40])


def to_bent(path):
    content = bytearray(path.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(content)


@pytest.mark.parametrize(
    "learned",
    [
        {"_codewords": [[0.9], [0.95]]},
        {"codewords_": [[0.9], [0.95]]},
        {"__class__": "x"},
        {"__dunder_": 1},
        {"fit": 1},
        {"is_fitted": True},
        {"ragged_": [[1], [1, 2]]},
        [1],
        5,
    ],
    ids=str,
)
def test_a_header_sets_nothing_but_what_is_learned(learned, tmp_path):
    path = BOOKS["density"]().save(tmp_path / "book.npz")
    rewrite(path, learned=learned)
    with pytest.raises(FileFormatError, match=r"book\.npz holds codewords that do not fit"):
        Codebook.load(path)


def test_numbers_of_numpy_are_described_as_numbers():
    told = PixelDiscretization(DensityCodebook(np.int64(4), np.float64(0.1)).fit(X)).describe()
    assert told == PixelDiscretization(DensityCodebook(4, 0.1).fit(X)).describe()


class Shaped(UniformCodebook):
    """A user's class, with a function as parameter."""

    def __init__(self, n_codes=4, shape=None):
        self.shape = shape
        super().__init__(n_codes)


def test_what_no_file_holds_is_named(tmp_path):
    with pytest.raises(InputError, match=r"the shape of Shaped .* a ufunc; save Codebook\("):
        Shaped(4, np.sin).save(tmp_path / "book.npz")


def test_a_header_that_was_changed_is_noticed(tmp_path):
    path = BOOKS["density"]().save(tmp_path / "book.npz")
    header, codewords = header_of(path)
    for key, value in {
        "parameters": {**header["parameters"], "radius": 0.9},
        "learned": {**header["learned"], "origin_": {"pixels": 1}},
    }.items():
        np.savez(path, codewords=codewords, header=json.dumps({**header, key: value}))
        with pytest.raises(FileChangedError, match=r"book\.npz was changed since it was saved"):
            Codebook.load(path)


def to_text_header(path):
    np.savez(path, codewords=np.array(COLOURS), header="no json")


def to_list_header(path):
    np.savez(path, codewords=np.array(COLOURS), header="[1]")


def to_other_version(path):
    rewrite(path, version=2)


def to_other_format(path):
    rewrite(path, format="something")


def to_other_parameters(path):
    rewrite(path, name="DensityCodebook", parameters={"colour": 1})


def to_parameters_that_do_not_fit(path):
    rewrite(path, name="UniformCodebook", parameters={"n_codes": 500})


def to_no_metric(path):
    rewrite(path, metric=None)


def to_bad_metric(path):
    rewrite(path, metric="cosine")


def to_bad_codewords(path):
    rewrite(path, codewords=np.full((2, 3), 7.0))


def to_words(path):
    rewrite(path, codewords=np.array(["a", "b"]))


@pytest.mark.parametrize(
    "spoil",
    [
        to_pickle,
        to_pickled_array,
        to_foreign,
        to_nothing,
        to_truncated,
        to_bent,
        to_text_header,
        to_list_header,
        to_other_version,
        to_other_format,
        to_other_parameters,
        to_parameters_that_do_not_fit,
        to_no_metric,
        to_bad_metric,
        to_bad_codewords,
        to_words,
    ],
)
def test_a_spoilt_file_is_refused_by_name(spoil, tmp_path):
    path = BOOKS["colour"]().save(tmp_path / "book.npz")
    spoil(path)
    with pytest.raises(FileFormatError, match=r"book\.npz"):
        Codebook.load(path)


def test_another_version_has_an_error_of_its_own(tmp_path):
    path = BOOKS["colour"]().save(tmp_path / "book.npz")
    to_other_version(path)
    with pytest.raises(FileVersionError, match="reads version 1"):
        Codebook.load(path)


def test_a_missing_file_and_an_unfitted_codebook(tmp_path):
    with pytest.raises(DataNotFoundError, match="nowhere"):
        Codebook.load(tmp_path / "nowhere.npz")
    with pytest.raises(NotFittedError):
        DensityCodebook().save(tmp_path / "book.npz")
    assert not list(tmp_path.iterdir())


def test_clone_keeps_the_parameters_and_forgets_what_was_learned(book):
    twin = clone(book)
    assert type(twin) is type(book)
    mine, theirs = book.get_params(), twin.get_params()
    assert mine.keys() == theirs.keys()
    assert all(np.array_equal(mine[key], theirs[key]) for key in mine)
    assert twin.is_fitted != isinstance(book, DensityCodebook)
    twin.fit(sample(book))
    assert np.array_equal(twin.codewords_, book.codewords_)


def test_params_that_are_set_take_effect_at_fit():
    book = DensityCodebook(2, 0.1)
    assert book.set_params(n_codes=5, metric="l2") is book
    assert book.fit(X).n_codes_ == 5
    assert book.metric == "l2"


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda b: pickle.loads(pickle.dumps(b))])  # noqa: S301
def test_copies_assign_alike(book, copied):
    x = sample(book)
    assert np.array_equal(copied(book).quantize(x), book.quantize(x))


def test_quantised_pixels_are_codewords_and_stay(book):
    x = sample(book)
    before = x.copy()
    once = book.quantize(x)
    assert once.dtype == np.float32
    assert once.shape == x.shape
    assert np.array_equal(x, before)
    assert not np.shares_memory(once, x)
    rows = np.moveaxis(once, 1, -1).reshape(-1, 1 if book.per_channel else x.shape[1])
    assert set(map(tuple, rows.tolist())) <= set(map(tuple, book.codewords_.tolist()))
    assert not np.array_equal(once, x)
    assert np.array_equal(book.quantize(once), once)
    last = book.quantize(np.moveaxis(x, 1, -1), channels_first=False)
    assert np.array_equal(np.moveaxis(last, -1, 1), once)


@pytest.mark.parametrize("images", [X, X[:, :1]], ids=["colour", "grey"])
@pytest.mark.parametrize("name", BOOKS)
def test_usage_is_the_share_of_pixels_on_each_codeword(name, images):
    book = BOOKS[name]()
    if not book.per_channel and book.n_channels_ != images.shape[1]:
        pytest.skip("a codebook of another number of channels")
    rounded = (np.rint(255 * images) / 255).astype(np.float32)
    index = book.assign(np.moveaxis(rounded, 1, -1))
    expected = [float(np.mean(index == j)) for j in range(book.n_codes_)]
    assert book.usage(PixelCounts.of(images)) == pytest.approx(expected)


def test_separation_is_the_smallest_distance(book):
    codes = book.codewords_.astype(np.float64)
    order = {"l1": 1, "l2": 2, "l_inf": np.inf}[book.metric]
    gaps = [np.linalg.norm(codes[i] - codes[j], order) for i in range(len(codes)) for j in range(i)]
    assert book.separation() == pytest.approx(min(gaps), abs=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_a_single_codeword_has_no_neighbour(metric):
    book = Codebook([[0.1, 0.2, 0.3]], metric=metric)
    assert book.separation() == np.inf
    assert (book.quantize(X) == book.codewords_[0][:, None, None]).all()


def test_the_codewords_given_are_copied():
    given = np.array([0.1, 0.9], dtype=np.float32)
    book = Codebook(given)
    given[:] = 0
    assert book.codewords_.ravel().tolist() == [np.float32(0.1), np.float32(0.9)]


@pytest.mark.parametrize(
    ("codewords", "options", "text"),
    [
        ([], {}, r"shape \(k, c\)"),
        (0.5, {}, r"shape \(k, c\)"),
        (np.zeros((2, 3, 1)), {}, r"shape \(k, c\)"),
        ([0, 255], {}, r"in \[0, 1\], got 0.0..255.0"),
        ([-0.1, 1], {}, "in "),
        ([0, np.nan], {}, "finite"),
        ([0.5, 0.5], {}, "differ"),
        ([0.1, 0.1 + 1e-12], {}, "differ"),
        ([[0.1, 0], [0.1, 0]], {}, "differ"),
        ([0, 1], {"metric": "l3"}, "metric must be one of"),
        ([0, 1], {"ties": "random"}, "ties must be one of"),
        (COLOURS, {"per_channel": True}, "per_channel needs scalar"),
    ],
)
def test_codewords_that_do_not_fit_are_refused(codewords, options, text):
    with pytest.raises(InputError, match=text):
        Codebook(codewords, **options)


def test_pixels_that_do_not_fit_are_refused():
    colour, grey = Codebook(COLOURS), Codebook([0, 1])
    with pytest.raises(InputError, match=r"3 channel\(s\), got 1"):
        colour.quantize(X[:, :1])
    with pytest.raises(InputError, match=r"1 channel\(s\), got 3.*per_channel=True"):
        grey.quantize(X)
    with pytest.raises(InputError, match="NaN"):
        grey.assign(np.array([[np.nan]], dtype=np.float32))


def test_a_saved_file_holds_no_pickle(tmp_path):
    path = BOOKS["density"]().save(tmp_path / "book.npz")
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
        assert sorted(arrays.files) == ["codewords", "header"]
        assert arrays["codewords"].dtype == np.float32


def test_fixed_codewords_follow_their_hyperparameters():
    assert UniformCodebook(8).set_params(n_codes=2).codewords_.ravel().tolist() == [0, 1]
    assert BitDepthCodebook(2).set_params(bits=4).n_codes_ == 16
    with pytest.raises(InputError, match="linf"):
        Codebook([0.0, 1.0]).set_params(metric="linf")
    with pytest.raises(InputError, match="linf"):
        distance([np.zeros(2), np.zeros(2)], [1.0, 1.0], "linf", np)
