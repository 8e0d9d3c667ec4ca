"""`art-disc show` writes a picture, and says in words what it shows."""

import numpy as np
import pytest
from PIL import Image

from art_disc.cli.main import main
from art_disc.report.panels import MARK


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_without_a_network_it_needs_no_training(capsys, tmp_path):
    words = "show digits:3 --eps 0.2 --defence density:n_codes=2,radius=0.6 --out one"
    assert main(words.split()) == 0
    said = capsys.readouterr().out
    assert "free at 0.2 (51/255): " in said
    assert "picture: one.png" in said
    with Image.open(tmp_path / "one.png") as picture:
        away = np.abs(np.asarray(picture.convert("RGB")) - 255 * MARK).max(axis=-1)
    # 12 of 64 pixels of one of three panels side by side
    assert (away < 1).mean() > 0.02


def test_a_file_needs_a_data_set_where_something_is_learned(capsys):
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save("mine.png")
    assert main(["show", "mine.png", "--eps", "0.1"]) == 2
    assert "mine.png has no training images" in capsys.readouterr().err
    assert main(["show", "mine.png", "--eps", "0.1", "--dataset", "digits"]) == 0
    assert main(["show", "mine.png", "--eps", "0.1", "--defence", "colordepth:n_codes=3"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("option", ["--attack pgd", "--epochs 3", "--training pgd", "--retrain 1"])
def test_what_is_of_a_network_is_refused_without_one(option, capsys):
    assert main(["show", "digits:3", "--eps", "0.1", *option.split()]) == 2
    said = capsys.readouterr().err
    assert f"{option.split()[0]} is of a network, which --network default would bring" in said
