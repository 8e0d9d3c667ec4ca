"""The README's Python runs as it stands."""

import re
from pathlib import Path

import pytest

from tests.pages import commands_of, run_page

README = Path(__file__).parents[1] / "README.md"


# ART's PGD hands torch an array in a way that NumPy 2 announces the end of
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_python_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ART_DISC_CACHE", str(tmp_path / "cache"))
    run_page("README.md")
    assert "worst of all attacks" in capsys.readouterr().out
    assert (tmp_path / "runs" / "digits" / "report.html").is_file()


def test_the_commands_of_the_readme_parse():
    from art_disc.cli.main import make_parser

    commands = commands_of("README.md")
    assert len(commands) >= 5
    for words in commands:
        make_parser().parse_args(words.split())


def test_the_figures_of_the_readme_are_those_of_the_result_files():
    from studies.summary import section

    assert section() in README.read_text(encoding="utf-8")


def test_timings_are_printed_with_the_digits_that_are_found_again():
    from studies.common import about, timed_ratio

    shown = [about(value) for value in (3258, 249.7, 12.9, 2.07, 0.7946, 0.0312)]
    assert shown == ["3,000", "200", "13", "2.1", "0.8", "0.03"]
    # medians 2 and 4; the fastest over the slowest, and the other way round
    assert timed_ratio([1, 2, 9], [3, 4, 8]) == "0.5 times (0.1 to 3.0 between single timings)"


def test_the_reproduction_page_is_made_from_the_result_files():
    from studies.tables import PAGE, page

    assert PAGE.read_text(encoding="utf-8") == page()


def test_the_table_of_the_attack_on_codes_is_made_from_its_result():
    from studies.code_space import DOCS, page

    assert DOCS.read_text(encoding="utf-8") == page()


def test_the_tables_of_attacked_signs_are_made_from_their_results():
    from studies.binarised_attacks import DOCS, page, results

    assert DOCS.read_text(encoding="utf-8") == page()
    found = results()["bare"]["found"]
    assert found["fgsm"]["value"] - found["suite"]["value"] > 0.3
    assert found["no_gradient_of_its_own"] == 0


def test_the_figures_of_the_page_on_binarised_networks_are_those_of_the_results():
    from studies.common import load

    page = (README.parent / "docs" / "binarised.md").read_text(encoding="utf-8")
    verified = load("verified_binarised/windows-200")
    assert f"{100 * verified['accuracy_10000']:.1f} % clean on MNIST" in page
    for row in verified["rows"]:
        proved, left = (f"{row[k]} ({row[k] / 2:.1f} %)" for k in ("certified", "attacks_leave"))
        cells = (f"{row['eps']:g}"[1:], proved, row["falsified"], row["undecided"], left)
        assert f"| {' | '.join(map(str, cells))} | {row['seconds']:.0f} |" in page
    alone = verified["rows"][-1]["falsified_by_the_solver_alone"]
    assert f"together break {alone}\nimages fewer" in page
    cost = load("binarised_cost")
    for one in cost["milliseconds_of_networks"]:
        times = (f"{float(f'{one[k]:.3g}'):,g}" for k in ("latent", "signs", "int8"))
        assert f"| `{one['network']}`, {one['images']:,} | {' | '.join(times)} |" in page
    for one in cost["files"]:
        ratio = one["float"] / one["bits"]
        if one["binarization"] == "bnn" or one["network"] == "fcn2":
            assert f"{ratio:.1f}" in page


def test_the_page_of_attacks_is_made_from_the_tables_and_the_result_file():
    from studies.zoo_digits import DOCS, page

    assert DOCS.read_text(encoding="utf-8") == page()


def test_the_matrix_of_signs_has_no_flaw_and_no_gradient_less_than_its_twin():
    from art_disc.core.records.zoo import ZooRecord
    from studies.zoo_digits import BINARISED

    record = ZooRecord.load(BINARISED)
    assert record.flaws() == ()
    for cell in record.cells:
        twin = record.cell(cell.attack, "real")
        assert not cell.zero_gradients or twin.zero_gradients, cell


def test_the_page_of_attacks_says_which_successes_kept_no_budget():
    from art_disc.core.records.zoo import ZooRecord
    from studies.zoo_digits import DOCS, FILE, about

    record = ZooRecord.load(FILE)
    beyond = [c for c in record.cells if c.eps is None and c.linf_max > 0.21]
    lowered = sum(c.status == "lowered" for c in beyond)
    assert lowered > 100
    assert f", {lowered} are of attacks that take no budget" in about(record)
    text = DOCS.read_text(encoding="utf-8")
    assert text.partition("## A binarised network")[0].count("*+ ") == lowered
    # whatever is installed
    assert "62 classes of ART" in text


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_python_of_the_page_on_randomness_runs(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("ART_DISC_CACHE", str(tmp_path))
    run_page("docs/randomised.md")
    assert "of 40" in capsys.readouterr().out


def test_the_python_of_the_page_on_codes_runs(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("ART_DISC_CACHE", str(tmp_path))
    run_page("docs/code_space.md")
    clean, attacked = map(float, capsys.readouterr().out.split())
    assert attacked < clean - 0.2


def test_the_python_of_the_page_on_certificates_runs(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ART_DISC_CACHE", str(tmp_path / "cache"))
    # starting processes is tested elsewhere
    run_page("docs/certificates.md", **{"n_jobs=2": "n_jobs=1"})
    pixels, signs = capsys.readouterr().out.splitlines()
    certified, unbroken = map(float, pixels.split())
    assert 0 < certified <= unbroken < 1
    certified, undecided, same = map(float, signs.split())
    assert 0 < certified < 1
    assert undecided == 0
    assert same == 1
    assert (tmp_path / "runs" / "digits" / "curve.png").is_file()
    assert (tmp_path / "runs" / "digits" / "eps-0.3" / "report.html").is_file()


def test_the_tight_bound_is_never_below_pinsker_in_the_study_and_mostly_above():
    from studies.summary import load

    rows = load("mnist_randomised_certificate")["rows"]
    assert len(rows) == 9
    gains = {r["eps"]: r["certified"]["tight"] - r["certified"]["pinsker"] for r in rows}
    assert min(gains.values()) >= 0
    # at .02 both certify all but five of the images that are right
    assert all(
        gain > 0
        for (eps, gain), row in zip(gains.items(), rows, strict=True)
        if row["certified"]["pinsker"] and eps != 0.02
    )


def test_the_page_of_randomised_results_is_made_from_the_result_files():
    from studies.randomised_page import DOCS, PAGE, page

    text = page()
    assert PAGE.read_text(encoding="utf-8") == text
    for picture in re.findall(r"\((images/[^)]*)\)", text):
        assert (DOCS / picture).is_file()


def test_the_python_of_the_hardness_page_runs(capsys):
    run_page("docs/hardness.md")
    assert "share_of_pixels_free" in capsys.readouterr().out


def test_the_python_of_the_report_page_runs(monkeypatch, tmp_path):
    from art_disc.core.records import registry

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "RECORDS", dict(registry.RECORDS))
    run_page("docs/report.md")
    assert (tmp_path / "runs" / "timing.json").is_file()
