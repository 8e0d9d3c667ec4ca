"""Published figures of pixels, and of what is certified beside what attacks leave."""

import re

import numpy as np
import pytest

from art_disc.cli import main
from art_disc.cli.tables import known_tables
from art_disc.codebooks import Codebook
from art_disc.core.errors import InputError
from art_disc.core.records import load_record
from art_disc.core.records.pixels import PixelFact
from art_disc.metrics import neighbourhood_sizes, separability
from art_disc.reproduction import FIGURES, PIXEL_FIGURES, reproduce_pixels
from art_disc.reproduction.pixel_figures import colour_facts, level_facts
from studies import printed_page
from studies.common import RESULTS
from studies.queue_plan import plan


def told(facts):
    return {fact.words: fact.ours for fact in facts}


def test_the_numbers_of_figure_6_are_those_of_a_count_by_hand():
    draw = np.random.default_rng(0)
    # a crowd of greys, and few others
    grey = np.repeat(draw.integers(90, 111, (60, 1)), 3, axis=1)
    colours = np.concatenate([grey, draw.integers(0, 256, (40, 3))]).astype(np.uint8)
    images = colours.T.reshape(1, 3, 10, 10)
    eps, words = 8, np.array([[0.4, 0.4, 0.4], [0.1, 0.5, 0.9]], np.float32)
    distinct = np.unique(colours, axis=0).astype(int)
    apart = np.abs(distinct[:, None] - colours.astype(int)[None]).max(axis=2)
    around = (apart <= eps).sum(axis=1)
    flat = np.ptp(distinct, axis=1) <= 16
    facts = colour_facts(neighbourhood_sizes(images, eps=eps / 255), words)
    assert told(facts) == pytest.approx(
        {
            "distinct colours": len(distinct),
            "pixels in the largest neighbourhood": around.max(),
            "these, of all pixels": around.max() / 100,
            "colours with less than a hundredth of them": (around < around.max() / 100).mean(),
            "pixels around the median colour": np.median(around),
            "pixels around the median grey one": np.median(around[flat]),
            "pixels around the median other one": np.median(around[~flat]),
            "grey codewords": 0.5,
        }
    )
    printed = {fact.words: fact.printed for fact in facts if fact.printed is not None}
    # section V-B: about 4 million distinct pixels, and the caption's largest neighbourhood
    assert printed == {
        "distinct colours": 4_000_000,
        "pixels in the largest neighbourhood": 1_567_080,
        "these, of all pixels": pytest.approx(1_567_080 / 51_200_000),
    }


def test_the_numbers_of_figure_7_are_those_of_a_count_by_hand():
    levels = np.array(
        [0] * 50 + [25] * 6 + [26] * 4 + [127] * 10 + [229] * 5 + [230] * 25, np.uint8
    )
    found = told(
        level_facts(separability(levels.reshape(1, 1, 10, 10), Codebook([0.0, 1.0]), eps=0.1))
    )
    assert found == pytest.approx(
        {
            "at level 0": 0.5,
            "darker than a tenth of the range": 0.56,
            "lighter than nine tenths": 0.25,
            "in between": 0.19,
            "that can change their codeword": 0.1,
        }
    )


def test_the_codebooks_and_budgets_of_the_figures_are_the_papers():
    told = {n: (f.dataset, f.n_codes, f.radius, f.eps) for n, f in PIXEL_FIGURES.items()}
    assert told == {
        "chen2019-figure6": ("cifar10", 300, 16 / 255, 8 / 255),
        "chen2019-figure7": ("mnist", 2, 0.6, 0.3),
    }


def test_a_share_above_one_is_refused():
    for values in ((1.5, None), (0.5, 1.5)):
        with pytest.raises(InputError, match="share"):
            PixelFact("x", *values, share=True)
    assert PixelFact("x", 1.5, 2.5).share is False


def test_both_figures_are_drawn_and_kept(tmp_path, capsys):
    draw = np.random.default_rng(0)
    labels = np.arange(20) % 10
    for name, shape in (("cifar10", (20, 32, 32, 3)), ("mnist", (20, 28, 28))):
        images = {f"x_{part}": draw.integers(0, 256, shape, np.uint8) for part in ("train", "test")}
        np.savez(tmp_path / f"{name}.npz", y_train=labels, y_test=labels, **images)
    for name, figure in PIXEL_FIGURES.items():
        words = ["reproduce", name, "--data-dir", str(tmp_path), "--out", str(tmp_path)]
        assert main(words) == 0
        record = load_record(tmp_path / f"{name}.json")
        assert (record.train_images, record.eps, record.figure) == (20, figure.eps, name)
        assert np.shape(record.levels) == (3 if "6" in name else 1, 256)
        assert sum(record.levels[0]) == 20 * (32 * 32 if "6" in name else 28 * 28)
        shown = capsys.readouterr().out
        assert all(fact.words in shown for fact in record.rows)
        assert ("1,567,080" in shown) == ("6" in name)
    drawn = {file.name for file in tmp_path.glob("*.svg")}
    assert drawn == {"chen2019-figure7-mnist.svg"}
    assert "1,567,080" in (tmp_path / "chen2019-figure6.md").read_text(encoding="utf-8")
    for name in ("linear", "log"):
        file = tmp_path / f"chen2019-figure6-{name}.png"
        assert file.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="name must"):
        reproduce_pixels("chen2019-figure5")
    for odd in (["--n-ex", "3"], ["--codes", "2"], ["--seed", "1"]):
        assert main(["reproduce", "chen2019-figure7", *odd, "--out", str(tmp_path)]) == 2
        assert "has no meaning for chen2019-figure7" in capsys.readouterr().err
    assert main(["reproduce", "chen2019-figure5", "--seed", "0"]) == 2
    assert "--seed has no meaning for chen2019-figure5" in capsys.readouterr().err


def test_every_figure_of_the_papers_stands_in_the_list_and_what_can_be_run_in_the_queue():
    there = [re.fullmatch(r"(.*)-figure(\d)([a-d]?)", one.name) for one in FIGURES]
    numbers = {(paper, int(n)) for paper, n, _ in (one.groups() for one in there)}
    most = {"chen2018": 3, "chen2019": 7, "kyatham2020": 3, "panda2019": 8, "zhang2019": 4}
    assert numbers == {(paper, n) for paper, last in most.items() for n in range(1, last + 1)}
    assert len({one.name for one in FIGURES}) == len(FIGURES)
    sheets = {one.name for one in plan() if "-figure" in one.name}
    assert sheets == {one.name for one in FIGURES if not one.reason}
    # the commands list what was not run here too, on images of the user's own
    known = {name for name in known_tables() if "-figure" in name}
    assert known >= sheets
    assert known <= {one.name for one in FIGURES}
    assert all(len(one.reason.split()) <= 5 for one in FIGURES)


def test_the_page_says_of_each_figure_where_it_stands():
    page = "\n".join(printed_page.numbers())
    for one in FIGURES:
        (line,) = re.findall(rf"^\| {one.name} \|.*$", page, re.M)
        *_, stands, minutes = (cell.strip() for cell in line.strip("| ").split(" | "))
        there = (RESULTS / "tables" / f"{one.name}.json").is_file()
        if there:
            assert f"tables/{one.name}.json" in line
        elif one.reason:
            assert one.reason in line
        else:
            assert stands == "in the queue"
            assert int(minutes) > 0
    counted = next(line for line in printed_page.counts() if "figures and panels" in line)
    measured = sum((RESULTS / "tables" / f"{one.name}.json").is_file() for one in FIGURES)
    assert f"Of {len(FIGURES)} figures and panels {measured} are made again" in counted
