"""`art-disc score`: the table of supplied images, and what it names."""

import numpy as np
import pytest

from art_disc.cli import main
from art_disc.core.records.supplied import SuppliedRecord

WORDS = ["score", "--epochs", "1", "--quiet", "--eps", "8/255"]


pytestmark = pytest.mark.usefixtures("trained_once")


def run(capsys, *words):
    code = main([*WORDS, *(str(word) for word in words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_table_and_the_record_of_supplied_images(capsys, tmp_path, digits):
    x = np.clip(digits.x_test[:30] + np.float32(8 / 255), 0, 1)
    x[7] = 1 - digits.x_test[7]
    np.savez(tmp_path / "mine.npz", x=x)
    out = tmp_path / "out"
    code, told, _ = run(
        capsys, "--images", tmp_path / "mine.npz", "--defence", "none", "--defence",
        "noise:sigma=0.1", "--n-ex", 20, "--draws", 5, "--out", out,
    )  # fmt: skip
    assert code == 0
    record = SuppliedRecord.load(out / "score.json")
    assert (out / "score.png").read_bytes().startswith(b"\x89PNG")
    assert list(record.defences) == ["none", "noise:sigma=0.1"]
    assert record.sets[0].out_of_budget == (7,)
    assert record.sets[0].unmatched == tuple(range(20, 30))
    assert record.settings["dataset"] == "digits"
    lines = told.splitlines()
    assert lines[2].split()[:3] == ["mine", "20", "1"]
    assert lines[2].split()[3] == f"{record.share('mine', 'none').value:.1%}"
    (far,) = [line for line in lines if "farther than eps" in line]
    assert far.endswith(": 7")
    assert any("10 images belong to no test image in use" in line for line in lines)


def test_what_evaluate_exports_is_read_back(capsys, tmp_path):
    words = ["--epochs", "1", "--quiet", "--eps", "8/255", "--n-ex", "20", "--stratified"]
    exported = main(
        ["evaluate", *words, "--attacks", "fgsm", "--checks", "none", "--export", "png",
         "--out", str(tmp_path / "run")]
    )  # fmt: skip
    assert exported == 0
    capsys.readouterr()
    code, told, _ = run(
        capsys, "--images", tmp_path / "run", "--n-ex", 20, "--stratified", "--out", tmp_path
    )
    assert code == 0
    assert "NOTICE" not in told
    record = SuppliedRecord.load(tmp_path / "score.json")
    assert {len(found.within) for found in record.sets} == {20}


def test_bad_words_are_one_line_and_code_2(capsys, tmp_path, digits):
    np.savez(tmp_path / "mine.npz", x=digits.x_test[1:])
    code, _, error = run(capsys, "--images", tmp_path / "mine.npz", "--defence", "none")
    assert code == 2
    assert "the order is shifted" in error
    mine = tmp_path / "mine.npz"
    code, _, error = run(capsys, "--images", mine, mine, "--defence", "none")
    assert code == 2
    assert "two sets called mine" in error
    code, _, error = run(capsys, "--images", mine, "--defence", "none", "--defence", "none")
    assert code == 2
    assert "given twice" in error
