import subprocess
import sys
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from art_disc.codebooks import (
    Codebook,
    KMeansCodebook,
    KMedoidsCodebook,
    PixelCounts,
)
from art_disc.codebooks.objective import nearest_rows
from art_disc.core.errors import CodebookWarning, InputError, MissingExtraError
from art_disc.defences import PixelDiscretization

OBJECTIVES = ("l1", "sqeuclidean")


def cost_of(pixels, codes, objective):
    """Total distance on the 255 scale, pixel by pixel, in whole numbers."""
    gaps = np.asarray(pixels, dtype=np.int64)[:, None] - np.asarray(codes, dtype=np.int64)[None]
    away = np.abs(gaps).sum(axis=-1) if objective == "l1" else (gaps**2).sum(axis=-1)
    return int(away.min(axis=1).sum())


def scale(objective):
    return 255 if objective == "l1" else 255**2


def pixels_of(images):
    return np.moveaxis(images, 1, -1).reshape(-1, images.shape[1])


def levels(book):
    return np.rint(np.array(book.levels)).astype(np.int64)


def as_images(pixels):
    return np.asarray(pixels, dtype=np.uint8).T[None, :, None]


def best_by_hand(pixels, k, objective):
    values = np.unique(pixels, axis=0)
    return min(cost_of(pixels, list(codes), objective) for codes in combinations(values, k))


def algorithm_2(pixels, k, rounds, objective, rng):
    """Algorithm 2 of Chen et al. 2019 as printed, pixel by pixel; `rounds` is its T."""
    codes = [tuple(p) for p in pixels[rng.choice(len(pixels), k, replace=False)]]
    for _ in range(rounds):
        for pixel in map(tuple, pixels):
            if pixel in codes:
                continue
            for i in range(k):
                switched = [*codes[:i], pixel, *codes[i + 1 :]]
                if cost_of(pixels, switched, objective) < cost_of(pixels, codes, objective):
                    codes = switched
                    break
    return codes


def improving_swaps(pixels, codes, objective):
    """Every exchange of one codeword for one pixel value that lowers the cost."""
    codes = [tuple(c) for c in codes]
    now = cost_of(pixels, codes, objective)
    return [
        (i, tuple(value))
        for i, value in product(range(len(codes)), np.unique(pixels, axis=0))
        if cost_of(pixels, [*codes[:i], tuple(value), *codes[i + 1 :]], objective) < now
    ]


def blobs(n, seed, channels=3):
    """Colours in a few clouds of unlike size, repeated colours among them."""
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 256, (6, channels))
    which = np.minimum(rng.geometric(0.4, n) - 1, 5)
    noise = rng.normal(0, 18, (n, channels))
    return np.clip(np.rint(centres[which] + noise) // 4 * 4, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("name", "codes"), [("mnist", [0, 252]), ("fashion_mnist", [0, 192])])
def test_two_medoids_of_real_grey_images(shared_data, name, codes):
    x = np.load(shared_data(f"{name}.npz"))["x_train"][:, None]
    counts = PixelCounts.of(x)
    book = KMedoidsCodebook(2).fit(counts)
    assert levels(book).ravel().tolist() == codes
    # the swaps reach the same cost from any start, without knowing that pixels are scalars
    other = KMedoidsCodebook(2, solver="swap", random_state=3).fit(counts)
    assert other.cost_ == book.cost_
    # and no pair of levels is cheaper
    levels_of = np.arange(256)
    histogram = np.bincount(x.ravel(), minlength=256)
    away = np.abs(levels_of[:, None] - levels_of)
    cheapest = min(
        int(histogram @ np.minimum(away[a], away[b])) for a, b in combinations(levels_of, 2)
    )
    assert book.cost_ == pytest.approx(cheapest / 255 / x.size, rel=1e-12)


@given(
    hnp.arrays(np.uint8, st.integers(1, 14), elements=st.sampled_from([0, 1, 3, 7, 60, 200, 255])),
    st.integers(1, 4),
    st.sampled_from(OBJECTIVES),
)
@pytest.mark.filterwarnings("ignore::art_disc.core.errors.CodebookWarning")
def test_scalar_medoids_are_the_best_of_all_subsets(pixels, k, objective):
    pixels = pixels[:, None]
    book = KMedoidsCodebook(k, objective).fit(as_images(pixels))
    k = min(k, len(np.unique(pixels)))
    assert book.n_codes_ == k
    best = best_by_hand(pixels, k, objective)
    assert cost_of(pixels, levels(book), objective) == best
    assert book.cost_ == pytest.approx(best / len(pixels) / scale(objective), rel=1e-12, abs=0)
    assert book.sample_cost_ == book.cost_
    assert set(levels(book).ravel()) <= set(pixels.ravel())


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_scalar_medoids_of_random_histograms(objective, k):
    rng = np.random.default_rng(k)
    pixels = np.repeat(rng.choice(256, 11, replace=False), rng.integers(1, 50, 11))[:, None]
    book = KMedoidsCodebook(k, objective).fit(as_images(pixels))
    assert cost_of(pixels, levels(book), objective) == best_by_hand(pixels, k, objective)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("k", [1, 2, 3, 7])
def test_no_single_swap_of_colours_helps(objective, k):
    pixels = blobs(260, seed=k)
    book = KMedoidsCodebook(k, objective, n_init=1, refinements=0, random_state=k)
    book.fit(as_images(pixels))
    assert book.n_swaps_ > 0
    assert not improving_swaps(pixels, levels(book), objective)
    assert book.cost_ == book.sample_cost_
    expected = cost_of(pixels, levels(book), objective) / len(pixels) / scale(objective)
    assert book.cost_ == pytest.approx(expected, rel=1e-12)


@settings(max_examples=40)
@given(
    hnp.arrays(np.uint8, (9, 2), elements=st.sampled_from([0, 1, 5, 90, 255])),
    st.integers(1, 4),
    st.sampled_from(OBJECTIVES),
    st.integers(0, 5),
)
@pytest.mark.filterwarnings("ignore::art_disc.core.errors.CodebookWarning")
def test_few_colours_with_ties_end_where_no_swap_helps(pixels, k, objective, seed):
    book = KMedoidsCodebook(k, objective, n_init=1, random_state=seed).fit(as_images(pixels))
    assert book.n_codes_ == min(k, len(np.unique(pixels, axis=0)))
    assert not improving_swaps(pixels, levels(book), objective)
    # codewords are pixels, and no two are equal
    assert {tuple(c) for c in levels(book)} <= {tuple(p) for p in pixels}


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_swaps_find_the_best_of_few_colours(objective):
    for seed in range(5):
        pixels = blobs(40, seed)
        book = KMedoidsCodebook(3, objective, random_state=seed).fit(as_images(pixels))
        assert cost_of(pixels, levels(book), objective) == best_by_hand(pixels, 3, objective)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_printed_algorithm_is_not_better(objective):
    pixels = blobs(70, seed=1)
    printed = min(
        cost_of(pixels, algorithm_2(pixels, 4, 8, objective, np.random.default_rng(s)), objective)
        for s in range(5)
    )
    book = KMedoidsCodebook(4, objective, random_state=0).fit(as_images(pixels))
    ours = cost_of(pixels, levels(book), objective)
    # both stop where no swap helps; over several starts they meet
    assert printed * 0.99 <= ours <= printed
    with_exact = algorithm_2(pixels[:, :1], 2, 8, objective, np.random.default_rng(0))
    exact = KMedoidsCodebook(2, objective).fit(as_images(pixels[:, :1]))
    assert cost_of(pixels[:, :1], levels(exact), objective) <= cost_of(
        pixels[:, :1], with_exact, objective
    )


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("solver", ["auto", "swap"])
def test_a_pixel_that_occurs_thrice_counts_thrice(channels, solver):
    pixels = blobs(60, seed=4, channels=channels)
    thrice = np.concatenate([pixels, pixels[:20], pixels[:20]])
    once = KMedoidsCodebook(3, solver=solver, random_state=0).fit(as_images(pixels))
    more = KMedoidsCodebook(3, solver=solver, random_state=0).fit(as_images(thrice))
    assert more.cost_ == pytest.approx(cost_of(thrice, levels(more), "l1") / 100 / 255)
    assert cost_of(thrice, levels(more), "l1") <= cost_of(thrice, levels(once), "l1")
    assert cost_of(pixels, levels(once), "l1") <= cost_of(pixels, levels(more), "l1")
    # a heavy colour draws a medoid to itself
    heavy = np.concatenate([pixels, np.repeat(pixels[7:8], 5000, axis=0)])
    book = KMedoidsCodebook(3, solver=solver, random_state=0).fit(as_images(heavy))
    assert pixels[7].tolist() in levels(book).tolist()


@given(st.integers(0, 3), st.sampled_from(["l1", "sqeuclidean"]), st.integers(1, 3))
@settings(max_examples=8)
def test_more_codewords_cost_no_more_and_order_does_not_matter(seed, objective, channels):
    pixels = blobs(50, seed, channels)
    costs = [
        KMedoidsCodebook(k, objective, random_state=0).fit(as_images(pixels)).cost_
        for k in (1, 2, 4, 8)
    ]
    assert costs == sorted(costs, reverse=True)
    shuffled = np.random.default_rng(seed).permutation(pixels)
    one, two = (
        KMedoidsCodebook(4, objective, random_state=0).fit(as_images(p)) for p in (pixels, shuffled)
    )
    assert np.array_equal(one.codewords_, two.codewords_)


@pytest.mark.parametrize("make", [KMedoidsCodebook, KMeansCodebook])
def test_a_seed_gives_one_codebook_and_other_seeds_other_samples(make):
    images = as_images(blobs(1500, seed=2))
    books = [make(6, sample_size=300, random_state=seed).fit(images) for seed in (5, 5, 6)]
    assert np.array_equal(books[0].codewords_, books[1].codewords_)
    assert books[0].cost_ == books[1].cost_
    assert books[0].sample_cost_ == books[1].sample_cost_ != books[2].sample_cost_
    assert make(random_state=np.random.default_rng(5)).fit(images).is_fitted
    assert make().fit(images).is_fitted


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_cost_is_of_all_pixels_and_refining_lowers_it(objective):
    pixels = blobs(3000, seed=3)
    options = {"sample_size": 60, "random_state": 1}
    plain = KMedoidsCodebook(12, objective, refinements=0, **options).fit(as_images(pixels))
    book = KMedoidsCodebook(12, objective, refinements=4, **options).fit(as_images(pixels))
    for one in (plain, book):
        expected = cost_of(pixels, levels(one), objective) / len(pixels) / scale(objective)
        assert one.cost_ == pytest.approx(expected, rel=1e-12)
    assert plain.sample_cost_ == book.sample_cost_ < book.cost_ < plain.cost_
    assert book.n_codes_ == 12


def test_refined_medoids_are_the_best_of_their_cells():
    pixels = blobs(400, seed=9)
    book = KMedoidsCodebook(4, sample_size=20, refinements=100, random_state=0)
    codes = levels(book.fit(as_images(pixels)))
    label, _ = nearest_rows(pixels, codes.astype(float), "l1")
    for i in range(4):
        cell = pixels[label == i]
        assert cost_of(cell, codes[i : i + 1], "l1") == best_by_hand(cell, 1, "l1")


def test_the_sample_is_drawn_by_multiplicity():
    # one colour in nine of ten pixels: one sampled pixel in ten is another
    pixels = np.concatenate([np.zeros((9000, 3), np.uint8), blobs(1000, seed=0)])
    book = KMedoidsCodebook(1, sample_size=200, refinements=0, random_state=0)
    book.fit(as_images(pixels))
    assert levels(book).tolist() == [[0, 0, 0]]
    assert book.sample_cost_ == pytest.approx(book.cost_, rel=0.35)


@pytest.mark.parametrize("make", [KMedoidsCodebook, KMeansCodebook])
def test_per_channel_learns_one_set_of_levels_from_all_channels(make):
    images = as_images(blobs(200, seed=6))
    book = make(4, per_channel=True, random_state=0).fit(images)
    flat = make(4, random_state=0).fit(images.reshape(1, 1, 1, -1))
    assert book.codewords_.shape == (4, 1)
    assert np.array_equal(book.codewords_, flat.codewords_)
    assert book.cost_ == pytest.approx(flat.cost_)
    assert book.quantize((images / 255).astype(np.float32)).shape == images.shape


@pytest.mark.parametrize("make", [KMedoidsCodebook, KMeansCodebook])
def test_fewer_values_than_codewords_give_all_values_and_a_warning(make):
    pixels = np.array([[0, 0, 0], [9, 9, 9], [0, 0, 0], [200, 0, 1]], dtype=np.uint8)
    with pytest.warns(CodebookWarning, match="only 3 of 5 codewords.*ask for fewer"):
        book = make(5, random_state=0).fit(as_images(pixels))
    assert levels(book).tolist() == [[0, 0, 0], [9, 9, 9], [200, 0, 1]]
    assert book.cost_ == book.sample_cost_ == 0


@pytest.mark.parametrize("make", [KMedoidsCodebook, KMeansCodebook])
def test_the_rule_afterwards_is_assign_metric(make, tmp_path):
    images = as_images(blobs(100, seed=8))
    x = np.random.default_rng(0).random((2, 3, 5, 5), dtype=np.float32)
    results = []
    for metric in ("l_inf", "l1", "l2"):
        book = make(9, assign_metric=metric, random_state=0).fit(images)
        plain = Codebook(book.codewords_, metric=metric)
        got = book.quantize(x)
        assert np.array_equal(got, plain.quantize(x))
        assert np.array_equal(PixelDiscretization(book)(x)[0], got)
        assert book.separation() == plain.separation()
        assert book.sealed().nearest_metric == metric
        assert Codebook.load(book.save(tmp_path / "book.npz")).nearest_metric == metric
        results.append(got)
    assert not np.array_equal(results[0], results[1])


def test_means_beat_medoids_at_the_square_and_lose_at_l1():
    pixels = blobs(1500, seed=5)
    images = as_images(pixels)
    means = KMeansCodebook(5, n_init=10, random_state=0).fit(images)
    medoids = KMedoidsCodebook(5, "sqeuclidean", random_state=0).fit(images)
    absolute = KMedoidsCodebook(5, "l1", random_state=0).fit(images)
    centres = np.array(means.levels)
    _, away = nearest_rows(pixels, centres, "sqeuclidean")
    assert means.cost_ == pytest.approx(away.mean() / 255**2, rel=1e-5)
    assert means.cost_ < medoids.cost_ < 1.05 * means.cost_
    _, away = nearest_rows(pixels, centres, "l1")
    assert absolute.cost_ < away.mean() / 255
    # each mean is that of its cell, pixels counted as often as they occur
    label, _ = nearest_rows(pixels, centres, "sqeuclidean")
    for i in range(5):
        assert centres[i] == pytest.approx(pixels[label == i].mean(axis=0), abs=0.5)


def test_floats_and_bytes_and_counts_give_the_same_codebook():
    images = as_images(blobs(120, seed=7))
    floats = (images / 255).astype(np.float32)
    before = floats.copy()
    books = [
        KMedoidsCodebook(4, random_state=0).fit(x) for x in (images, floats, PixelCounts.of(images))
    ]
    assert np.array_equal(books[0].codewords_, books[1].codewords_)
    assert np.array_equal(books[0].codewords_, books[2].codewords_)
    assert np.array_equal(floats, before)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"n_codes": 0}, "n_codes must be a whole number >= 1, got 0"),
        ({"metric": "l_inf"}, "metric must be one of l1, sqeuclidean, got 'l_inf'.*assign_metric"),
        ({"solver": "pam"}, "solver must be one of auto, exact, swap, scikit-learn-extra"),
        ({"solver": "exact"}, "exact solver is for scalar codewords, got pixels of 3.*per_channel"),
        ({"sample_size": 1}, "sample_size must be a whole number >= 2, got 1"),
        ({"refinements": -1}, "refinements must be a whole number >= 0"),
        ({"n_init": 0}, "n_init must be a whole number >= 1"),
        ({"assign_metric": "cosine"}, "assign_metric must be one of l1, l2, l_inf"),
        ({"random_state": -1}, "random_state must be a whole number >= 0"),
        ({"random_state": "seven"}, "random_state must be a whole number"),
    ],
)
def test_hyperparameters_that_do_not_fit_are_refused_at_fit(options, text):
    book = KMedoidsCodebook(**options)
    with pytest.raises(InputError, match=text):
        book.fit(as_images(blobs(10, seed=0)))
    assert not book.is_fitted
    assert book.get_params().items() >= options.items()


def test_nothing_to_learn_from_is_refused():
    for make in (KMedoidsCodebook, KMeansCodebook):
        with pytest.raises(InputError, match="no pixels"):
            make().fit(PixelCounts(1))


@pytest.mark.parametrize("error", [ImportError("absent"), ValueError("numpy.dtype size changed")])
def test_without_scikit_learn_extra_the_error_says_what_to_install(monkeypatch, error):
    def absent(name):
        raise error

    monkeypatch.setattr("art_disc.codebooks.solvers.import_module", absent)
    book = KMedoidsCodebook(solver="scikit-learn-extra")
    with pytest.raises(MissingExtraError) as caught:
        book.fit(as_images(blobs(10, seed=0)))
    for words in (
        str(error),
        'pip install "art-disc[kmedoids]"',
        "pip install cython",
        "pip install --no-build-isolation --no-binary scikit-learn-extra scikit-learn-extra",
    ):
        assert words in str(caught.value)


# its last release is older than this Python and this scikit-learn
OLD_LIBRARY = pytest.mark.filterwarnings("ignore:distutils Version classes:DeprecationWarning")


def extra_solver():
    """KMedoids of scikit-learn-extra, where it can be imported."""
    try:
        from sklearn_extra.cluster import KMedoids
    except (ImportError, ValueError) as error:
        pytest.skip(f"scikit-learn-extra cannot be imported: {error}")
    return KMedoids


@OLD_LIBRARY
@pytest.mark.filterwarnings("ignore:Function stable_cumsum:FutureWarning")
def test_the_cost_is_within_one_percent_of_the_best_of_twenty_runs_of_pam():
    solver = extra_solver()
    # coarser, so that many points are repetitions, which our solver takes as weights
    pixels = blobs(1000, seed=11) // 8 * 8
    assert len(np.unique(pixels, axis=0)) < 900
    best = min(
        cost_of(
            pixels,
            solver(6, metric="manhattan", method="pam", init="k-medoids++", random_state=seed)
            .fit(pixels.astype(float))
            .cluster_centers_,
            "l1",
        )
        for seed in range(20)
    )
    book = KMedoidsCodebook(6, random_state=0).fit(as_images(pixels))
    assert cost_of(pixels, levels(book), "l1") <= 1.01 * best


@OLD_LIBRARY
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_scikit_learn_extra_is_a_solver(objective):
    extra_solver()
    pixels = blobs(300, seed=12)
    book = KMedoidsCodebook(3, objective, "scikit-learn-extra").fit(as_images(pixels))
    own = KMedoidsCodebook(3, objective, random_state=0).fit(as_images(pixels))
    assert book.cost_ == pytest.approx(own.cost_, rel=0.01)
    assert not improving_swaps(pixels, levels(book), objective)


# VmHWM, not ru_maxrss: that one starts at the size of the process that forked this one
COLOUR = """
import re, sys, time
import numpy as np
from art_disc.codebooks import KMedoidsCodebook, PixelCounts
x = np.load(sys.argv[1])["x_train"]
start = time.process_time()
counts = PixelCounts.of(x, channels_first=False)
book = KMedoidsCodebook(300, random_state=0).fit(counts)
seconds = time.process_time() - start
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) / 2**20
print(len(x), book.n_codes_, seconds, peak, book.cost_, book.sample_cost_)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc for the peak of memory")
def test_300_colours_of_20000_images_take_a_minute_at_most(shared_data):
    path = shared_data("cifar10.npz")
    command = [sys.executable, "-c", COLOUR, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    n, k, seconds, gigabytes, cost, sample_cost = map(float, done.stdout.split())
    assert (n, k) == (20_000, 300)
    assert seconds < 60
    assert gigabytes < 2
    # a run on a sample ten times larger comes to 0.0496 (studies/kmedoids_colour.py)
    assert sample_cost < cost < 0.0506


@pytest.mark.parametrize("make", [KMedoidsCodebook, KMeansCodebook])
def test_a_sample_with_too_few_values_is_named_as_the_reason(make):
    # nearly all pixels are black, so that as many as codewords were drawn are too few
    image = np.zeros((1, 3, 40, 40), dtype=np.uint8)
    image[0, :, 0, :9] = np.arange(1, 10, dtype=np.uint8)
    with pytest.warns(CodebookWarning, match=r"only \d of 5.*sample_size=5.*10 distinct.*raise"):
        book = make(5, sample_size=5, random_state=0).fit(image)
    assert book.n_codes_ < 5
    with pytest.warns(CodebookWarning, match="only 10 of 11.*no more pixel values are distinct"):
        make(11, random_state=0).fit(image)
