"""Plots of hardness: what is drawn is what was measured."""

import numpy as np
import pytest

import art_disc as ad
from art_disc.core import extras
from art_disc.core.errors import MissingExtraError
from art_disc.metrics import equivalence_classes, neighbourhood_sizes, separability
from art_disc.report.drawing import new_axes
from art_disc.report.hardness import cdf_plot, history_plot, png

BOOK = ad.Codebook([0.0, 1.0])


@pytest.fixture
def grey():
    return np.random.default_rng(0).integers(0, 256, (5, 1, 4, 4), dtype=np.uint8)


@pytest.fixture
def colour():
    return np.random.default_rng(1).integers(90, 120, (3, 3, 4, 4), dtype=np.uint8)


def labelled(axes):
    return all((axes.get_xlabel(), axes.get_ylabel()))


def test_the_cdf_of_equivalence_classes(grey):
    found = equivalence_classes(grey, BOOK, eps=0.1)
    axes = found.plot()
    values, shares = found.cdf()
    drawn = axes.lines[0]
    assert drawn.get_xdata()[1:].tolist() == pytest.approx(values.tolist())
    assert drawn.get_ydata()[1:].tolist() == pytest.approx(shares.tolist())
    assert drawn.get_ydata()[0] == 0
    assert labelled(axes)
    assert axes.get_xlim() == (0, 1)
    assert "25.5/255" in axes.get_legend().get_texts()[0].get_text()


@pytest.mark.parametrize("distinct", [True, False])
def test_the_cdf_of_neighbourhoods(grey, distinct):
    found = neighbourhood_sizes(np.minimum(grey, 30), eps=2 / 255, distinct=distinct)
    axes = found.plot()
    values, shares = found.cdf()
    assert axes.lines[0].get_xdata()[1:].tolist() == values.tolist()
    assert axes.lines[0].get_ydata()[1:].tolist() == pytest.approx(shares.tolist())
    assert axes.get_xscale() == "log"
    assert ("distinct" in axes.get_ylabel()) == distinct


def test_lines_differ_in_more_than_colour():
    lines = {"one": np.arange(3.0), "two": np.arange(4.0)}
    axes = cdf_plot(lines, labels=("value", "share"))
    looks = {(line.get_color(), line.get_linestyle()) for line in axes.lines[:2]}
    assert len({style for _, style in looks}) == len({colour for colour, _ in looks}) == 2


def test_a_median_between_two_images_is_the_one_that_is_told_elsewhere():
    # one pixel of the first image is free, three of the second: neither is the median
    images = np.array([[[[0, 0, 0, 120]]], [[[0, 120, 120, 120]]]], dtype=np.uint8)
    found = equivalence_classes(images, BOOK, eps=0.1)
    assert found.median == 0.5
    (label,) = (line.get_label() for line in found.plot().lines if "median" in line.get_label())
    assert label.endswith("median 0.5")


def test_axes_that_are_given_are_drawn_on(grey, colour):
    results = (
        equivalence_classes(grey, BOOK, eps=0.1),
        neighbourhood_sizes(grey, eps=0.1),
        separability(grey, BOOK, eps=0.1),
    )
    for result in results:
        axes = new_axes()
        assert result.plot(axes) is axes
        assert axes.lines
    solid = new_axes(solid=True)
    assert neighbourhood_sizes(colour, eps=0.1).scatter(solid) is solid


def test_the_histogram_marks_codewords_and_what_the_budget_crosses(grey):
    axes = separability(grey, BOOK, eps=0.1).plot()
    assert axes.lines[0].get_ydata().tolist() == np.bincount(grey.ravel(), minlength=256).tolist()
    upright = {line.get_xdata()[0] for line in axes.lines[1:]}
    assert upright == {0, 127.5, 255}
    assert axes.patches[0].get_x() == pytest.approx(127.5 - 25.5)
    assert axes.patches[0].get_width() == pytest.approx(51)
    assert axes.get_yscale() == "log"
    assert labelled(axes)


def test_colour_codewords_are_marked_for_each_channel(colour):
    book = ad.Codebook([[0.0, 0.2, 0.4], [0.8, 0.6, 1.0]])
    axes = separability(colour, book, eps=0.1, domain="8bit").plot()
    marks = [np.sort(line.get_xdata()) / 255 for line in axes.lines[3:]]
    assert np.stack(marks, axis=1) == pytest.approx(np.sort(book.codewords_, axis=0))
    assert len({line.get_linestyle() for line in axes.lines[:3]}) == 3


def test_many_scalar_codewords_do_not_hide_the_histogram(grey):
    axes = separability(grey, ad.Codebook(np.linspace(0, 1, 40)), eps=0.001).plot()
    assert len(axes.lines) == 2
    assert len(axes.lines[1].get_xdata()) == 40


def test_the_scatter_shows_colours_by_their_size_or_its_logarithm(colour):
    found = neighbourhood_sizes(colour, eps=10 / 255)
    axes = found.scatter()
    points = axes.collections[0]
    drawn = np.stack(points._offsets3d, axis=1) * 255
    sizes = {tuple(v): n for v, n in zip(found.values.tolist(), found.pixels, strict=True)}
    expected = [np.log(sizes[tuple(np.rint(row).astype(int))]) for row in drawn]
    shades = np.array(expected) / np.log(found.pixels.max())
    assert points.get_array().tolist() == pytest.approx(shades.tolist())
    linear = found.scatter(log=False).collections[0].get_array()
    assert linear.tolist() == pytest.approx((np.exp(expected) / found.pixels.max()).tolist())
    assert len(drawn) == len(found.values)
    assert axes.get_zlabel() == "blue"
    assert len(found.scatter(sample=7).collections[0]._offsets3d[0]) == 7


def test_the_scatter_is_drawn_by_its_seed(colour):
    found = neighbourhood_sizes(colour, eps=10 / 255)

    def drawn(seed):
        return found.scatter(sample=9, seed=seed).collections[0]._offsets3d[0].tolist()

    assert drawn(1) == drawn(1) != drawn(2)


def test_a_history_has_bands():
    lines = {"training images": [(9, 10), (10, 10)], "test images": [(5, 10), (4, 10)]}
    axes = history_plot([2, 4], lines, eps=8 / 255)
    assert [list(line.get_ydata()) for line in axes.lines] == [[90, 100], [50, 40]]
    corners = axes.collections[1].get_paths()[0].vertices[:, 1]
    assert corners.min() < 40
    assert corners.max() > 50
    assert "8/255" in axes.get_ylabel()


def test_pictures_come_out(grey, colour):
    assert png(separability(grey, BOOK, eps=0.1).plot()).startswith(b"\x89PNG")
    assert png(neighbourhood_sizes(colour, eps=0.1).scatter()).startswith(b"\x89PNG")


def test_the_users_style_stays():
    import matplotlib as mpl

    with mpl.rc_context({"font.size": 3}):
        new_axes()
        assert mpl.rcParams["font.size"] == 3


def test_without_matplotlib_the_message_says_what_to_install(grey, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(extras, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r"art-disc\[report\]"):
        separability(grey, BOOK, eps=0.1).plot()
