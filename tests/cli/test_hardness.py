"""`art-disc hardness`: it prints and writes what the metrics say."""

import json

import pytest

import art_disc as ad
from art_disc.cli import main
from art_disc.metrics import equivalence_classes, neighbourhood_sizes, separability

pytestmark = pytest.mark.usefixtures("trained_once")


def test_numbers_and_plots(capsys, tmp_path, digits):
    words = ["hardness", "--defence", "density:n_codes=2,radius=0.6", "--n-ex", "50"]
    assert main([*words, "--eps", "0.1", "51/255", "--out", str(tmp_path)]) == 0
    written = json.loads((tmp_path / "hardness.json").read_text())
    book = ad.DensityCodebook(n_codes=2, radius=0.6).fit(digits.x_train)
    assert [row["eps"] for row in written["budgets"]] == [0.1, 0.2]
    for row in written["budgets"]:
        eps = row["eps"]
        classes = equivalence_classes(digits.x_test[:50], book, eps=eps)
        assert row["equivalence_classes"] == classes.facts()
        assert row["separability"] == separability(digits, book, eps=eps).facts()
        assert row["neighbourhoods"] == neighbourhood_sizes(digits, eps=eps).facts()
    out = capsys.readouterr().out
    assert f"{written['budgets'][1]['equivalence_classes']['median_exponent']:.1f}" in out
    names = {
        f"{plot}-eps-{eps}.png"
        for plot in ("classes", "pixels", "neighbours")
        for eps in (0.1, 0.2)
    }
    assert {path.name for path in tmp_path.iterdir()} == names | {"hardness.json"}
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in names)


def test_a_defence_without_a_codebook_is_refused(capsys):
    assert main(["hardness", "--defence", "noise:sigma=0.1"]) == 2
    assert "is not one codebook" in capsys.readouterr().err
    assert main(["hardness", "--defence", "none"]) == 2
