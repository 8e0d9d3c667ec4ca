"""Boxes are widened and codewords win by as much as the docs say: not a tenth less, nor more."""

import itertools

import numpy as np
import pytest

from art_disc.codebooks import Codebook
from art_disc.codebox.boxes import WIDEN, box, levels_of, slack
from art_disc.codebox.grid import grid_shells
from art_disc.codebox.margins import best_l2_margin
from art_disc.metrics import reachable_codes


def codes(levels, book, eps, **options):
    x = np.array(levels, dtype=np.float32).reshape(1, -1, 1, 1) / np.float32(255)
    return np.flatnonzero(reachable_codes(x, book, eps=eps, **options)[0, 0]).tolist()


@pytest.mark.parametrize("share", [0.9, 1.1])
@pytest.mark.parametrize(
    # by how much 140 + budget may fall short of the border at 150, in grey levels
    ("metric", "allowed"),
    [("l_inf", WIDEN + 1e-3 / 2), ("l1", WIDEN + 1e-3 / 2), ("l2", WIDEN + 0.25 / 200)],
)
def test_colours_are_widened_and_win_by_the_slack(metric, allowed, share):
    book = Codebook(np.array([[100] * 3, [200, 100, 100]]) / 255, metric=metric)
    reached = codes([140, 100, 100], book, (10 - share * allowed) / 255)
    assert reached == ([0, 1] if share < 1 else [0])


@pytest.mark.parametrize("share", [0.9, 1.1])
def test_scalars_are_widened_and_win_by_the_slack(share):
    book = Codebook(np.array([100, 200]) / 255)
    reached = codes([140], book, (10 - share * (WIDEN + 1e-3 / 2)) / 255)
    assert reached == ([0, 1] if share < 1 else [0])


@pytest.mark.parametrize("share", [0.9, 1.1])
def test_cubes_that_cover_a_box_together_are_smaller_by_the_slack(share):
    # the codeword is 10 above the box, each rival's cube ends at its middle but for the slack
    gap = 10 - WIDEN
    away = gap - share * 1e-3
    book = Codebook(np.array([[100, 100], [100 - away, 85], [100 + away, 85]]) / 255)
    assert codes([100, 85], book, 5 / 255) == ([0, 1, 2] if share < 1 else [1, 2])


@pytest.mark.parametrize("share", [0.9, 1.1])
def test_two_rivals_together_leave_the_slack_in_l2(share):
    book = Codebook(np.array([[100, 120], [80, 104], [104, 96]]) / 255, metric="l2")
    levels, x = levels_of(book), np.float32([95, 29024 / 272 - 8])

    def margin(eps):
        low, high = box(x[None] / np.float32(255), eps)
        return best_l2_margin(low[0], high[0], levels[0], levels[1:])[0]

    short, enough = 7.9 / 255, 8 / 255
    for _ in range(40):
        middle = (short + enough) / 2
        wins = margin(middle) >= -share * slack(book)
        short, enough = (short, middle) if wins else (middle, enough)
    assert codes(x, book, enough) == ([0, 1, 2] if share < 1 else [1, 2])


def test_the_printed_rule_counts_a_tie_and_no_more():
    book = Codebook(np.array([0, 200]) / 255)
    tie = np.float64(np.float32(200) * np.float32(1 / 255)) / 2
    assert codes([0], book, tie, rule="paper_float") == [0, 1]
    assert codes([0], book, np.nextafter(tie, 0), rule="paper_float") == [0]


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("shift", [0, 0.3])
def test_colours_come_once_each_and_nearest_first(channels, shift):
    levels = np.array([2, 128, 254])[:channels] + shift
    found = np.concatenate(list(grid_shells(np.float32(levels / 255), 4 / 255)))
    sides = [[v for v in range(256) if abs(v - level) <= 4 + 1e-4] for level in levels]
    listed = sorted(
        itertools.product(*sides),
        key=lambda v: max(abs(a - b) for a, b in zip(v, levels, strict=True)),
    )
    assert len(found) == len(listed)
    whole = np.rint(255 * found).astype(int)
    assert set(map(tuple, whole.tolist())) == set(listed)
    far = np.abs(whole - levels).max(axis=1)
    assert (np.diff(far) > -1e-4).all()


def test_colours_are_in_memory_by_the_shell():
    # of 3.6 million colours those of one distance at once
    sizes = [len(points) for points in grid_shells(np.float32([128 / 255] * 3), 0.3)]
    assert sum(sizes) == 153**3
    assert max(sizes) <= 153**3 - 151**3
