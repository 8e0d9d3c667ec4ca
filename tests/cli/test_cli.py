"""The command line: what it prints, writes and returns."""

import dataclasses
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from art_disc.attacks import ATTACKS
from art_disc.certificates.complete import method as search_of
from art_disc.certificates.methods import METHODS
from art_disc.cli import main, options
from art_disc.codebooks import Codebook
from art_disc.core.records import EvaluationRecord, load_record
from art_disc.report.verdict import verdict_title

QUICK = ["--dataset", "digits", "--epochs", "3", "--n-ex", "20", "--quiet"]


pytestmark = pytest.mark.usefixtures("trained_once")


def run(capsys, *words):
    code = main([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_evaluate_writes_a_run_and_says_the_same(capsys, tmp_path):
    words = (
        "evaluate",
        *QUICK,
        "--checks",
        "none",
        "--attacks",
        "fgsm,sign_adam",
        "--set",
        "sign_adam.max_iter=5",
    )
    code, out, _ = run(capsys, *words, "--eps", "8/255", "0.3", "--out", tmp_path / "a")
    assert code == 0
    record = EvaluationRecord.load(tmp_path / "a" / "record.json")
    assert record.eps == (8 / 255, 0.3)
    assert str(record.worst(0.3)) in out
    assert record.worst(0.3).count < record.clean().count
    assert {r.settings.get("max_iter") for r in record.outcomes} == {5, None}
    assert (tmp_path / "a" / "report.html").is_file()
    summary = json.loads((tmp_path / "a" / "summary.json").read_text())
    assert summary["dataset"] == "digits"

    code, again, _ = run(capsys, *words, "--eps", "8/255", "0.3", "--out", tmp_path / "b")
    assert again.replace("/b/", "/a/") == out


def test_checks_are_told_and_a_finished_run_is_taken_up(capsys, tmp_path):
    words = ("evaluate", *QUICK, "--attacks", "fgsm", "--eps", "0.2", "--out", tmp_path)
    code, out, _ = run(capsys, *words, "--set", "fgsm.num_random_init=0", "--export", "png")
    assert code == 0
    record = EvaluationRecord.load(tmp_path / "record.json")
    assert (record.checks_tier, len(record.checks)) == ("quick", 11)
    assert f"verdict: {verdict_title(record)}" in out
    assert "11 quick checks" in verdict_title(record)
    sets = list((tmp_path / "adversarial").glob("*.npz"))
    assert len(sets) == len({(r.attack, r.surrogate, r.knowledge, r.eps) for r in record.outcomes})
    assert len(list(sets[0].with_suffix("").glob("*.png"))) == 20
    code, again, _ = run(capsys, *words, "--resume")
    assert (code, again) == (0, out)


def test_an_attack_that_fails_is_in_the_last_lines_and_in_the_exit_code(
    capsys, monkeypatch, tmp_path
):
    def no_memory(*_):
        msg = "12 GiB"
        raise MemoryError(msg)

    monkeypatch.setitem(ATTACKS, "bim", dataclasses.replace(ATTACKS["bim"], make=no_memory))
    words = ("evaluate", *QUICK, "--attacks", "fgsm,bim", "--checks", "none", "--eps", "0.2")
    code, out, _ = run(capsys, *words, "--out", tmp_path)
    assert code == 1
    *_, verdict, failed, report = out.splitlines()
    assert verdict == "verdict: Not checked; failed attacks: bim"
    assert failed.startswith("4 of 8 attack runs failed: bim on base at eps 0.2")
    assert "MemoryError: 12 GiB" in failed
    assert report.startswith("report: ")


@pytest.mark.usefixtures("few_queries")
def test_standard_checks_train_a_reference(capsys, tmp_path):
    words = ("evaluate", "--n-ex", "10", "--quiet", "--epochs", "2", "--attacks", "fgsm")
    small = ("--set", "fgsm.num_random_init=0", "--eps", "0.1", "--out", tmp_path)
    code, _, _ = run(capsys, *words, *small, "--checks", "standard")
    assert code == 0
    record = EvaluationRecord.load(tmp_path / "record.json")
    assert record.reference["weights"] != record.network["weights"]
    assert next(c for c in record.checks if c.id == "C17").status == "pass"


def test_certify_prints_verdicts_and_writes_them(capsys, tmp_path):
    words = ("--eps", "0.05", "0.1", "--unable", "3", "--out", tmp_path)
    code, out, _ = run(capsys, "certify", *QUICK, *words)
    assert code == 0
    rows = [line.split() for line in out.splitlines()[1:3]]
    for row, eps in zip(rows, ("0.05", "0.1"), strict=True):
        record = load_record(tmp_path / f"eps-{eps}" / "record.json")
        counts = [record.count(v) for v in ("certified", "falsified", "undecided")]
        assert [int(n) for n in row[1:4]] == counts
        assert sum(counts) == 20
        assert int(row[4]) == record.unable(3) > 0
        assert int(row[5]) == record.correct.count(False)
        assert row[6] == f"{record.certified_accuracy:.1%}"
    assert "Certificates over budgets" in (tmp_path / "report.html").read_text()


def test_certify_by_a_method_decides_what_is_too_large_to_enumerate(capsys, tmp_path):
    found = {}
    for method, words in (
        ("enumeration", ("--max-free", "2")),
        ("bounds", ("--arithmetic", "exact")),
        ("complete", ("--nodes", "200", "--seconds", "600", "--megabytes", "100")),
    ):
        out = tmp_path / method
        code, _, _ = run(
            capsys, "certify", *QUICK, "--eps", "0.1", "--out", out, "--method", method, *words
        )
        assert code == 0
        found[method] = load_record(out / "eps-0.1" / "record.json")
        assert found[method].method == method
    assert found["bounds"].settings["arithmetic"] == "exact"
    settings = found["complete"].settings
    assert [settings[f"spend_{name}"] for name in ("nodes", "seconds", "megabytes")] == [
        200, 600, 100,
    ]  # fmt: skip
    assert found["complete"].count("undecided") < found["enumeration"].count("undecided")


def test_certify_goes_on_where_it_was_stopped(capsys, monkeypatch, tmp_path):
    words = ("certify", *QUICK, "--eps", "0.1", "--method", "complete", "--nodes", "50")
    _, whole, _ = run(capsys, *words)
    search, searched = search_of.Search, []

    class Stopped(search):
        def run(self):
            if len(searched) == 2:
                raise KeyboardInterrupt
            searched.append(self.found.index)
            return super().run()

    monkeypatch.setattr(search_of, "_SEARCHED", 1)
    monkeypatch.setattr(search_of, "Search", Stopped)
    code, out, err = run(capsys, *words, "--out", tmp_path)
    assert (code, out, len(searched)) == (130, "", 2)
    monkeypatch.setattr(search_of, "Search", search)
    code, out, _ = run(capsys, *words, "--out", tmp_path, "--jobs", "1")
    assert code == 0
    assert out.startswith(whole)
    code, _, err = run(capsys, *words, "--out", tmp_path, "--stratified")
    assert code == 2
    assert "findings of other images, labels; give another folder" in err


def test_methods_of_certificates_are_those_there_are():
    assert set(options.METHODS) == set(METHODS)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--nodes", "5"), "--nodes is of --method complete, not of enumeration"),
        (("--method", "bounds", "--seconds", "5"), "--seconds is of --method complete"),
        (("--method", "solver", "--nodes", "5"), "--nodes is of --method complete, not of solver"),
        (("--method", "complete", "--max-free", "5"), "--max-free is of --method enumeration"),
        (("--method", "complete", "--nodes", "0"), "nodes must be"),
        (("--defence", "noise:sigma=0.1", "--method", "complete"), "--method is of certificates"),
        (("--defence", "noise:sigma=0.1", "--nodes", "9"), "GaussianModel searches nothing"),
        (("--defence", "noise:sigma=0.1", "--megabytes", "9"), "--megabytes is of certificates"),
    ],
)
def test_options_of_another_certificate_are_refused(capsys, words, told):
    code, out, err = run(capsys, "certify", *QUICK, "--eps", "0.05", *words)
    assert (code, out) == (2, "")
    assert told in err


def test_what_a_certificate_may_spend_is_refused_where_none_spends(capsys):
    for words in ((), ("--certify",), ("--certify", "bounds")):
        code, _, err = run(capsys, "evaluate", *QUICK, *words, "--seconds", "3")
        assert code == 2
        assert "--seconds is of --certify complete; leave it out" in err
    for words in ((), ("--certify", "bounds")):
        code, _, err = run(capsys, "evaluate", *QUICK, *words, "--max-free", "3")
        assert code == 2
        assert "--max-free is of --certify enumeration; leave it out" in err


@pytest.mark.parametrize("method", [("--max-free", "8"), ("bounds",), ("complete", "--nodes", "7")])
def test_evaluate_with_certificate(capsys, tmp_path, method):
    code, _, _ = run(
        capsys, "evaluate", *QUICK, "--checks", "none", "--attacks", "fgsm", "--certify", *method,
        "--eps", "0.1", "--out", tmp_path,
    )  # fmt: skip
    assert code == 0
    record = EvaluationRecord.load(tmp_path / "record.json")
    assert record.certificates[0].eps == 0.1
    settings = record.certificates[0].settings
    assert record.certificates[0].method == ("enumeration" if "--max-free" in method else method[0])
    assert settings["max_free"] == (8 if "--max-free" in method else 12)
    assert settings["spend_nodes"] == (7 if "--nodes" in method else 10_000)
    assert "ertified" in (tmp_path / "report.html").read_text()


def test_codebook_prints_and_saves(capsys, tmp_path):
    file = tmp_path / "book.npz"
    code, out, _ = run(
        capsys, "codebook", "--defence", "density:n_codes=3,radius=64/255", "--out", file
    )
    assert code == 0
    assert "3 codewords" in out
    assert Codebook.load(file).n_codes_ == 3
    assert sum(float(line.split()[-3][:-1]) for line in out.splitlines()[1:4]) == pytest.approx(
        100, abs=0.02
    )


@pytest.fixture
def pictures(tmp_path):
    """A folder of colour pictures."""
    x = np.random.default_rng(0).integers(0, 4, (6, 9, 8, 3), dtype=np.uint8) * 80
    for i, image in enumerate(x):
        file = tmp_path / "pictures" / f"{i % 2}" / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(file)
    return tmp_path / "pictures"


def test_a_codebook_of_any_number_of_files(capsys, tmp_path, pictures):
    for jobs in ([], ["--jobs", "2"]):
        code, out, err = run(capsys, "codebook", "--data", pictures, *jobs, "--out", tmp_path / "b")
        assert code == 0
        assert "10 codewords" in out
        assert "432 pixels" in err
        assert "100%" in err
    assert Codebook.load(tmp_path / "b.npz").origin_["pixels"] == 432
    code, again, err = run(capsys, "codebook", "--data", pictures, "--quiet")
    assert (code, err) == (0, "")
    assert again.splitlines() == out.splitlines()[:-1]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--dataset", "mnist"], "not allowed with argument"),
        (["--data-dir", "."], "--data-dir says where named data sets lie"),
        (["--jobs", "0"], "n_jobs must be a whole number other than 0"),
        (["--defence", "density:n_codez=2"], "n_codes"),
        (["--defence", "jpeg"], "not one codebook"),
        (["--out", "pictures/0/0.png/book"], "0.png is a file"),
    ],
)
def test_a_codebook_is_refused_before_anything_is_counted(
    capsys, monkeypatch, tmp_path, pictures, words, told
):
    monkeypatch.chdir(tmp_path)
    (pictures / "0" / "0.png").write_bytes(b"read only in the end")
    code, out, err = run(capsys, "codebook", "--data", pictures, *words)
    assert (code, out) == (2, "")
    assert re.search(told, err)
    assert "cannot be counted" not in err


def test_a_bad_file_leaves_the_codebook_as_it_was(capsys, tmp_path, pictures):
    (tmp_path / "book.npz").write_bytes(b"an older one")
    (pictures / "0" / "2.png").write_bytes(b"no image")
    words = ("codebook", "--data", pictures, "--quiet", "--out", tmp_path / "book.npz")
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert "1 of 6 files cannot be counted" in err
    assert "2.png" in err
    assert (tmp_path / "book.npz").read_bytes() == b"an older one"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["book.npz", "pictures"]
    code, _, err = run(capsys, "codebook", "--jobs", "2")
    assert (code, "--jobs is of the files of --data" in err) == (2, True)


def test_the_place_of_the_surrogate_does_not_matter(capsys):
    words = ("density:n_codes=3,surrogate=soft,radius=0.1", "density:n_codes=3,radius=0.1")
    outs = [run(capsys, "codebook", "--defence", text)[1] for text in words]
    assert outs[0] == outs[1]
    assert "3 codewords" in outs[0]


def test_a_chain_of_defences_is_one_classifier(capsys, tmp_path):
    chain = (
        "maxpool:filter_size=2,stride=2,resize=false + bitdepth:bits=1 + bilinear:height=8,width=8"
    )
    words = ("evaluate", *QUICK, "--checks", "none", "--attacks", "fgsm", "--eps", "0.2")
    code, _, _ = run(capsys, *words, "--defence", chain, "--out", tmp_path)
    assert code == 0
    told = EvaluationRecord.load(tmp_path / "record.json").defences
    assert [line.partition("(")[0] for line in told] == [
        "MaxPoolDownsample", "InputBitDepth", "BilinearResize"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "twice",
    [
        ("--defence", "bitdepth", "--defence", "colordepth"),
        ("--eps", "0.1", "--eps", "0.2"),
        # the default, and then another
        ("--dataset", "digits", "--dataset", "mnist"),
    ],
)
def test_what_is_given_twice_is_refused(capsys, twice):
    """Whichever of them won, the other would be lost without a word."""
    code, _, err = run(capsys, "certify", *twice)
    assert code == 2
    assert f"{twice[0]} is given twice" in err


def test_an_evaluation_at_budget_0_ends(capsys, tmp_path):
    words = ("evaluate", *QUICK, "--eps", "0", "--attacks", "fgsm", "--out", tmp_path)
    code, out, _ = run(capsys, *words)
    assert code == 0
    assert "quick checks" in out


@pytest.mark.parametrize("words", [("--draws", "7"), ("--confidence", "0.5")])
def test_options_of_votes_are_refused_where_nothing_draws(capsys, words):
    code, _, err = run(capsys, "certify", *QUICK, "--eps", "0.05", *words)
    assert code == 2
    assert f"{words[0]} is of the certificate of a defence that draws" in err


def test_a_saved_codebook_is_a_defence(capsys, tmp_path):
    file = Codebook([0.0, 0.5, 1.0]).save(tmp_path / "book.npz")
    words = (
        "evaluate",
        *QUICK,
        "--checks",
        "none",
        "--attacks",
        "fgsm",
        "--eps",
        "0.1",
        "--out",
        tmp_path,
    )
    code, _, _ = run(capsys, *words, "--defence", file)
    assert code == 0
    record = EvaluationRecord.load(tmp_path / "record.json")
    assert record.codebook["codewords"] == [[0.0], [0.5], [1.0]]


def test_report_renders_again(capsys, tmp_path):
    run(
        capsys, "evaluate", *QUICK, "--checks", "none", "--attacks", "fgsm", "--eps", "0.1",
        "--out", tmp_path,
    )  # fmt: skip
    page = tmp_path / "report.html"
    before = page.read_bytes()
    page.unlink()
    code, out, _ = run(capsys, "report", tmp_path)
    assert (code, str(page) in out) == (0, True)
    assert page.read_bytes() == before


def test_the_users_own_network_and_weights(capsys, tmp_path, monkeypatch, digits_net):
    from art_disc.networks import save_weights

    (tmp_path / "mynet.py").write_text("from art_disc.networks import DigitsNet as make\n")
    monkeypatch.chdir(tmp_path)
    save_weights(digits_net, tmp_path / "w.npz")
    words = (
        "evaluate",
        "--checks",
        "none",
        "--n-ex",
        "50",
        "--quiet",
        "--attacks",
        "fgsm",
        "--eps",
        "0.05",
    )
    code, _, _ = run(capsys, *words, "--model", "mynet:make", "--weights", "w.npz", "--out", "own")
    assert code == 0
    record = EvaluationRecord.load("own/record.json")
    assert record.clean("base").value > 0.9
    assert record.network["training"] == "weights from w.npz"


@pytest.mark.filterwarnings("ignore:broken2.* came without weights")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--dataset", "imagenet21k"], "digits"),
        (["--eps", "-0.1"], ">= 0"),
        (["--eps", "8"], "8/255"),
        (["--defence", "magic"], "density"),
        (["--defence", "density:n_codes=0"], "n_codes"),
        (["--defence", "density:speed=3"], "key=value"),
        (["--attacks", "pgdd"], "known"),
        (["--set", "pgd.max_iter"], "VALUE"),
        (["--set", "pgd.nothing=3"], "pgd.max_iter"),
        (["--surrogates", "cubic"], "identity"),
        (["--model", "nosuchmodule:make"], "nosuchmodule"),
        (["--model", "json"], "MODULE:FACTORY"),
        (["--model", "collections:OrderedDict"], "torch module"),
        (["--model", "operator:neg"], "TypeError"),
        (["--model", "broken:make"], "SyntaxError"),
        (["--model", "broken2:make"], "fails on images"),
        (["--norm", "2"], "--eps"),
        (["--certify", "--defence", "none"], "codebook"),
        (["--weights", "nosuchfile.npz"], "nosuchfile"),
        (["--device", "abacus"], "abacus"),
        (["--batch-size", "0"], "--batch-size must be"),
    ],
)
def test_bad_input_is_one_readable_line_and_exit_code_2(capsys, tmp_path, monkeypatch, words, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.py").write_text("def make(:")
    (tmp_path / "broken2.py").write_text(
        "import torch\n\n\nclass make(torch.nn.Linear):\n"
        "    def __init__(self):\n        super().__init__(3, 3)\n"
    )
    code, out, err = run(
        capsys,
        "evaluate",
        "--checks",
        "none",
        "--epochs",
        "1",
        "--n-ex",
        "5",
        "--quiet",
        "--out",
        tmp_path,
        *words,
    )
    assert code == 2
    assert out == ""
    assert told in err
    assert err.startswith("art-disc: ")
    assert "Traceback" not in err
    assert err.count("\n") == 1


def test_damaged_files_are_told(capsys, tmp_path):
    bad = tmp_path / "book.npz"
    bad.write_bytes(b"PK\x03\x04 not really")
    assert run(capsys, "codebook", "--defence", bad)[0] == 2
    poison = tmp_path / "data.npz"
    poison.write_bytes(pickle.dumps({"x_test": np.zeros(3)}))
    code, _, err = run(capsys, "codebook", "--dataset", poison)
    assert code == 2
    assert "pickle" in err
    (tmp_path / "record.json").write_text("{}")
    assert run(capsys, "report", tmp_path)[0] == 2
    assert run(capsys, "report", tmp_path / "nowhere")[0] == 2


def test_usage_errors_and_help(capsys):
    assert run(capsys, "evaluate", "--eps", "tiny")[0] == 2
    assert run(capsys)[0] == 2
    code, out, _ = run(capsys, "evaluate", "--help")
    assert code == 0
    assert "--max-free" in out


def test_help_of_every_command_loads_nothing_heavy():
    script = """
import sys
from art_disc.cli.main import COMMANDS, main
for words in [[], *([c.__name__.rpartition(".")[2]] for c in COMMANDS)]:
    assert main([*words, "--help"]) == 0, words
    heavy = {"torch", "art", "numpy", "scipy", "sklearn", "matplotlib", "msgspec"}
    assert not heavy & set(sys.modules), (words, heavy & set(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("usage: art-disc") > 10


def test_module_entry_point():
    done = subprocess.run(
        [sys.executable, "-m", "art_disc", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("art-disc ")


def test_ctrl_c_keeps_what_was_finished(tmp_path):
    """A real process, a real SIGINT in the middle of a run that would last for minutes."""
    command = [
        sys.executable, "-m", "art_disc", "evaluate", "--epochs", "1", "--n-ex", "20",
        "--attacks", "fgsm,pgd", "--set", "pgd.max_iter=200000", "--eps", "0.2",
        "--out", str(tmp_path),
    ]  # fmt: skip
    record = tmp_path / "record.json"
    # a process started in the background ignores SIGINT, and so would its child
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONFAULTHANDLER": "1"},
    )
    signal.signal(signal.SIGINT, inherited)
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not (
            record.is_file() and len(json.loads(record.read_text())["outcomes"]) >= 4
        ):
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130, err
    saved = EvaluationRecord.load(record)
    assert not saved.complete
    assert {row.attack for row in saved.outcomes} == {"fgsm"}
    assert b"interrupted" in out
    assert "nterrupted" in (tmp_path / "report.html").read_text()
