import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from art_disc.codebooks import METRICS, Codebook, nearest


def exact(pixels, codes, metric, ties="lowest"):
    """Nearest codeword of 8-bit pixels in Python's integers."""

    def away(pixel, code):
        gaps = [abs(a - b) for a, b in zip(pixel, code, strict=True)]
        return {"l1": sum(gaps), "l_inf": max(gaps), "l2": sum(g * g for g in gaps)}[metric]

    found, tied = [], 0
    for pixel in pixels.tolist():
        gaps = [away(pixel, code) for code in codes.tolist()]
        best = [j for j, gap in enumerate(gaps) if gap == min(gaps)]
        tied += len(best) > 1
        found.append(best[0 if ties == "lowest" else -1])
    return np.array(found), tied


def codes_of(rng, k, channels):
    codes = np.unique(rng.integers(0, 256, (4 * k, channels)), axis=0)
    return rng.permutation(codes)[:k]


def book_of(codes, metric, ties="lowest"):
    return Codebook((codes / 255).astype(np.float32), metric=metric, ties=ties)


def by_torch(book, pixels):
    channels = list((255 * torch.from_numpy(pixels)).unbind(-1))
    return nearest(channels, book.levels, book.metric, book.ties, torch).numpy()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("k", [2, 3, 10, 50])
def test_8_bit_colours_go_where_exact_integers_say(metric, k):
    rng = np.random.default_rng(k)
    # even codewords: halfway between two of them is a colour that ties in every metric
    codes = codes_of(rng, k, 3) // 2 * 2
    colours = rng.integers(0, 256, (1000, 3))
    pairs = codes[rng.integers(0, k, (1000, 2))]
    colours = np.vstack([colours, pairs.sum(axis=1) // 2])
    expected, tied = exact(colours, codes, metric)
    book = book_of(codes, metric)
    pixels = (colours / 255).astype(np.float32)
    assert np.array_equal(book.assign(pixels), expected)
    assert np.array_equal(by_torch(book, pixels), expected)
    assert tied > 10


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("ties", ["lowest", "highest"])
@pytest.mark.parametrize("k", [2, 5, 20, 50])
def test_every_grey_level_goes_where_exact_integers_say(metric, ties, k):
    # even codewords: half of the midpoints lie on a grey level
    codes = 2 * codes_of(np.random.default_rng(k), k, 1) // 4 * 2
    codes = np.random.default_rng(k).permutation(np.unique(codes, axis=0))
    levels = np.arange(256)[:, None]
    expected, tied = exact(levels, codes, metric, ties)
    book = book_of(codes, metric, ties)
    pixels = (levels / 255).astype(np.float32)
    assert np.array_equal(book.assign(pixels), expected)
    assert np.array_equal(by_torch(book, pixels), expected)
    assert tied > 0


@pytest.mark.parametrize("channels", [1, 3])
@given(
    seed=st.integers(0, 2**32 - 1),
    k=st.integers(2, 50),
    metric=st.sampled_from(METRICS),
    ties=st.sampled_from(["lowest", "highest"]),
)
def test_numpy_and_torch_agree_on_any_float(channels, seed, k, metric, ties):
    rng = np.random.default_rng(seed)
    codes = rng.random((k, channels)).astype(np.float32)
    pixels = rng.uniform(-0.5, 1.5, (200, channels)).astype(np.float32)
    book = Codebook(codes, metric=metric, ties=ties)
    index = book.assign(pixels)
    assert np.array_equal(index, by_torch(book, pixels))
    order = {"l1": 1, "l2": 2, "l_inf": np.inf}[metric]
    gaps = np.linalg.norm(pixels[:, None].astype(np.float64) - codes, order, axis=-1)
    chosen = np.take_along_axis(gaps, index[:, None], axis=1)[:, 0]
    assert np.abs(chosen - gaps.min(axis=1)).max() < 1e-6


def test_the_metrics_differ():
    codes = np.array([[60, 60, 60], [80, 20, 20], [100, 0, 0]])
    pixel = np.array([[0, 0, 0]])
    found = {m: int(book_of(codes, m).assign(pixel.astype(np.float32))[0]) for m in METRICS}
    assert found == {"l1": 2, "l2": 1, "l_inf": 0}
