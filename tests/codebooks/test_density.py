import json
import subprocess
import sys
from collections import Counter
from math import exp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from art_disc.codebooks import DensityCodebook, PixelCounts
from art_disc.core.errors import CodebookWarning, InputError, NotFittedError


def reference(images, n_codes, reach, kernel=lambda a, b: float(a == b)):
    """Algorithm 1 of Chen et al. 2018, densities summed anew in every step."""
    left = Counter(
        tuple(int(v) for v in p) for p in np.moveaxis(images, 1, -1).reshape(-1, images.shape[1])
    )
    codes, densities = [], []
    while left and len(codes) < n_codes:
        density = {v: sum(n * kernel(v, u) for u, n in left.items()) for v in left}
        best = max(sorted(left), key=density.__getitem__)
        codes.append(list(best))
        densities.append(density[best])
        left = {
            u: n
            for u, n in left.items()
            if max(abs(a - b) for a, b in zip(u, best, strict=True)) > reach
        }
    return codes, densities


def box(bandwidth):
    return lambda a, b: float(max(abs(i - j) for i, j in zip(a, b, strict=True)) <= bandwidth)


def gaussian(bandwidth):
    def kernel(a, b):
        return exp(-sum((i - j) ** 2 for i, j in zip(a, b, strict=True)) / (2 * bandwidth**2))

    return kernel


def draw(shape, levels, seed):
    rng = np.random.default_rng(seed)
    # crowded at one end, so that densities differ
    return levels[(len(levels) * rng.random(shape) ** 2).astype(int)].astype(np.uint8)


def fitted(images, n_codes, reach, **options):
    book = DensityCodebook(n_codes, reach / 255, **options)
    return book.fit(images)


def assert_as_reference(book, expected):
    codes, densities = expected
    assert np.rint(np.array(book.levels)).astype(int).tolist() == codes
    assert np.array_equal(book.codewords_, (np.array(codes) / 255).astype(np.float32))
    assert book.densities_ == pytest.approx(densities, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "radius", "levels"), [("mnist", 0.6, [0, 253]), ("fashion_mnist", 0.2, [0, 255])]
)
def test_the_codewords_of_real_grey_images(shared_data, name, radius, levels):
    x = np.load(shared_data(f"{name}.npz"))["x_train"][:, None]
    counts = PixelCounts.of(x)
    book = DensityCodebook(2, radius).fit(counts)
    assert sorted(book.codewords_[:, 0].tolist()) == [np.float32(v / 255) for v in levels]
    assert book.densities_.tolist() == [np.sum(x == v) for v in np.rint(book.levels).ravel()]


# VmHWM, not ru_maxrss: that one starts at the size of the process that forked this one
COLOUR = """
import json, re, sys, time
import numpy as np
from art_disc.codebooks import DensityCodebook, PixelCounts
x = np.load(sys.argv[1])["x_train"]
start = time.process_time()
book = DensityCodebook(10, 64 / 255).fit(PixelCounts.of(x, channels_first=False))
seconds = time.process_time() - start
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) / 2**20
print(json.dumps([len(x), seconds, peak, book.levels, book.densities_.tolist()]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc for the peak of memory")
def test_ten_colours_of_20000_images_take_little_time_and_memory(shared_data):
    path = shared_data("cifar10.npz")
    command = [sys.executable, "-c", COLOUR, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    n, seconds, gigabytes, levels, densities = json.loads(done.stdout)
    assert n == 20_000
    assert seconds < 5
    assert gigabytes < 1
    codes = np.rint(levels).astype(int)
    gaps = np.abs(codes[:, None] - codes).max(axis=-1)[~np.eye(10, dtype=bool)]
    assert gaps.min() > 64
    assert densities == sorted(densities, reverse=True)


# counts work, not seconds, which depend on how busy the machine is
WORK = """
import json, sys
import numpy as np
from art_disc.codebooks import DensityCodebook, PixelCounts, density
counts = PixelCounts.of(np.load(sys.argv[1])["x_train"], channels_first=False)
beyond, compared = density._beyond, []
def counted(pixels, code, reach):
    compared.append(len(pixels))
    return beyond(pixels, code, reach)
density._beyond = counted
book = DensityCodebook(300, 16 / 255).fit(counts)
print(json.dumps([len(counts.counts), sum(compared), book.levels, book.densities_.tolist()]))
"""


def test_300_colours_take_a_small_share_of_all_comparisons(shared_data):
    path = shared_data("cifar10.npz")
    command = [sys.executable, "-c", WORK, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    colours, compared, levels, densities = json.loads(done.stdout)
    assert colours > 3_000_000
    codes = np.rint(levels).astype(int)
    assert codes.shape == (300, 3)
    gaps = np.abs(codes[:, None] - codes).max(axis=-1)[~np.eye(300, dtype=bool)]
    assert gaps.min() > 16
    assert densities == sorted(densities, reverse=True)
    # 2.4 % here, 1.8 s with the counting (studies/results/kmedoids_colour.json)
    assert compared < 0.03 * 300 * colours


@pytest.mark.parametrize("reach", [0, 10, 64])
def test_colour_codewords_follow_the_published_algorithm(reach):
    images = draw((40, 3, 6, 6), np.arange(0, 256, 51), seed=reach)
    expected = reference(images, 10, reach)
    assert len(expected[0]) == 10
    assert_as_reference(fitted(images, 10, reach), expected)


@given(
    hnp.arrays(np.uint8, (3, 2, 3, 3), elements=st.sampled_from([0, 3, 4, 8, 200, 255])),
    st.integers(1, 6),
    st.sampled_from([0, 1, 4, 60, 196]),
)
@pytest.mark.filterwarnings("ignore::art_disc.core.errors.CodebookWarning")
def test_ties_go_to_the_lowest_colour_and_pixels_may_run_out(images, n_codes, reach):
    assert_as_reference(fitted(images, n_codes, reach), reference(images, n_codes, reach))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("name", "make"), [("box", box), ("gaussian", gaussian)])
@pytest.mark.parametrize("bandwidth", [3, 40.5])
@pytest.mark.parametrize("reach", [5, 30])
def test_kernel_densities_are_sums_over_the_pixels_left(channels, name, make, bandwidth, reach):
    levels = np.random.default_rng(0).choice(256, 30, replace=False)
    images = draw((4, channels, 6, 6), np.sort(levels), seed=7)
    expected = reference(images, 5, reach, make(bandwidth))
    book = fitted(images, 5, reach, kernel=name, bandwidth=bandwidth)
    assert_as_reference(book, expected)
    # removed pixels no longer count: without that the later densities would be larger
    whole = reference(images, 1, reach, make(bandwidth))[1][0]
    assert book.densities_[0] == pytest.approx(whole)


@pytest.mark.parametrize(("name", "make"), [("box", box), ("gaussian", gaussian)])
def test_kernel_densities_of_colours(name, make):
    images = draw((4, 3, 5, 5), np.array([0, 9, 20, 90, 100, 255]), seed=3)
    expected = reference(images, 2, 30, make(20))
    assert expected[1] != reference(images, 2, 30)[1]
    assert_as_reference(fitted(images, 2, 30, kernel=name, bandwidth=20), expected)


def test_a_narrow_kernel_is_the_identity():
    images = draw((4, 1, 6, 6), np.arange(0, 256, 5), seed=1)
    plain = fitted(images, 4, 12)
    for options in ({"kernel": "box", "bandwidth": 0.5}, {"kernel": "gaussian", "bandwidth": 1e-3}):
        assert np.array_equal(fitted(images, 4, 12, **options).codewords_, plain.codewords_)


@pytest.mark.parametrize("options", [{}, {"kernel": "box", "bandwidth": 0.5}])
@pytest.mark.parametrize("reach", [*range(0, 255, 23), 64, 153])
def test_the_radius_is_inclusive(reach, options):
    def codes(other):
        image = np.array([0, 0, 0, other], dtype=np.uint8).reshape(1, 1, 2, 2)
        return np.rint(fitted(image, 2, reach, **options).levels).ravel().tolist()

    assert codes(reach + 1) == [0, reach + 1]
    if reach:
        with pytest.warns(CodebookWarning, match="only 1 of 2 codewords"):
            assert codes(reach) == [0]


@pytest.mark.parametrize("options", [{}, {"kernel": "gaussian", "bandwidth": 2}])
def test_too_few_pixels_give_fewer_codewords_and_no_duplicate(options):
    image = np.array([0, 0, 7, 9], dtype=np.uint8).reshape(1, 1, 2, 2)
    with pytest.warns(CodebookWarning, match="only 3 of 5 codewords.*no more pixel values"):
        book = fitted(image, 5, 0, **options)
    assert sorted(np.rint(book.levels).ravel().tolist()) == [0, 7, 9]
    assert book.n_codes_ == len(book.densities_) == 3


def test_floats_and_bytes_give_the_same_codebook():
    images = draw((5, 3, 4, 4), np.arange(0, 256, 31), seed=2)
    floats = (images / 255).astype(np.float32)
    before = floats.copy()
    assert np.array_equal(fitted(floats, 4, 50).codewords_, fitted(images, 4, 50).codewords_)
    assert np.array_equal(floats, before)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"n_codes": 0}, "n_codes must be a whole number >= 1, got 0"),
        ({"n_codes": 2.0}, "n_codes must be a whole number"),
        ({"radius": 64}, r"radius is on the \[0, 1\] scale, got 64; write 64/255"),
        ({"radius": -0.1}, "radius is on"),
        ({"radius": float("nan")}, "radius is on"),
        ({"kernel": "epanechnikov"}, "kernel must be one of identity, box, gaussian"),
        ({"kernel": "box"}, "kernel 'box' needs bandwidth > 0 in grey levels, got None"),
        ({"kernel": "gaussian", "bandwidth": -1}, "needs bandwidth > 0"),
        ({"metric": "cosine"}, "metric must be one of l1, l2, l_inf"),
    ],
)
@pytest.mark.filterwarnings("ignore::art_disc.core.errors.CodebookWarning")
def test_hyperparameters_that_do_not_fit_are_refused_at_fit(options, text):
    book = DensityCodebook(**options)
    with pytest.raises(InputError, match=text):
        book.fit(np.zeros((1, 1, 2, 2), dtype=np.float32))
    assert not book.is_fitted


def test_nothing_to_learn_from_is_refused():
    with pytest.raises(InputError, match="no pixels"):
        DensityCodebook().fit(PixelCounts(1))
    with pytest.raises(InputError, match="up to 3 channels"):
        DensityCodebook(kernel="box", bandwidth=1).fit(np.zeros((1, 4, 2, 2), dtype=np.uint8))


def test_an_unfitted_codebook_says_so():
    book = DensityCodebook(3)
    for use in (
        lambda: book.codewords_,
        lambda: book.levels,
        lambda: book.quantize(np.zeros((1, 1, 2, 2), dtype=np.float32)),
        book.separation,
    ):
        with pytest.raises(NotFittedError, match=r"DensityCodebook\(n_codes=3\).*call fit"):
            use()
