"""What README and docs show of result files is made of them, and holds what is said of it."""

import re

import pytest

from art_disc.core.records.zoo import ZooRecord
from studies.architecture import ROOT
from studies.common import RESULTS, about, load, timed_ratio
from studies.pages import FILES, PAGES, PARTS, made_again

DOCS = ROOT / "docs"
ONE = {"one": lambda: ["| a |", ""]}
NEW = "<!-- generated: one -->\n\n| a |\n\n<!-- end -->"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_page_shows_what_the_result_files_say(page):
    text = page.read_text(encoding="utf-8")
    assert made_again(text, PARTS) == text, "make pages writes it anew"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_beside_the_pages_says_what_the_result_files_say(path):
    assert path.read_text(encoding="utf-8") == FILES[path](), "make pages writes it anew"


def test_every_part_stands_on_a_page():
    text = "".join(path.read_text(encoding="utf-8") for path in PAGES)
    assert set(re.findall(r"^<!-- generated: (.*) -->$", text, re.M)) == set(PARTS)


def test_what_stands_between_marks_is_made_anew_and_nothing_else():
    old = "# A\n\n<!-- generated: one -->\nold\n<!-- end -->\nb `<!-- generated: NAME -->`\n"
    assert made_again(old, ONE) == f"# A\n\n{NEW}\nb `<!-- generated: NAME -->`\n"
    assert made_again(f"{old}{NEW}\n", ONE).count("| a |") == 2
    assert made_again("nothing", ONE) == "nothing"


@pytest.mark.parametrize(
    "text",
    [
        "<!-- generated: one -->\n",
        "<!-- end -->\n",
        f"<!-- generated: one -->\n{NEW}\n",
        f"{NEW}\n<!-- end -->\n",
        "<!-- generated: two words -->\n<!-- end -->\n",
    ],
)
def test_a_mark_without_its_partner_is_refused(text):
    with pytest.raises(ValueError, match="expected an end behind each"):
        made_again(text, ONE)


def test_a_part_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="got 'two'"):
        made_again(NEW.replace("one", "two"), ONE)


def test_timings_are_printed_with_the_digits_that_are_found_again():
    shown = [about(value) for value in (3258, 249.7, 12.9, 2.07, 0.7946, 0.0312)]
    assert shown == ["3,000", "200", "13", "2.1", "0.8", "0.03"]
    # medians 2 and 4; the fastest over the slowest, and the other way round
    assert timed_ratio([1, 2, 9], [3, 4, 8]) == "0.5 times (0.1 to 3.0 between single timings)"


def test_one_fgsm_overstates_a_network_of_signs():
    found = load("binarised_attacks_bare")["found"]
    assert found["fgsm"]["value"] - found["suite"]["value"] > 0.3
    assert found["no_gradient_of_its_own"] == 0


def test_the_figures_of_the_page_on_binarised_networks_are_those_of_the_results():
    page = (DOCS / "binarised.md").read_text(encoding="utf-8")
    paths = sorted((RESULTS / "verified_binarised").glob("*.json"))
    assert any(path.stem.startswith("windows") for path in paths)
    for path in paths:
        verified, name = load(f"verified_binarised/{path.stem}"), path.stem.partition("-")[0]
        assert f"`{name}`: {100 * verified['accuracy_10000']:.1f} %" in page
        total = verified["images"]
        for row in verified["rows"]:
            proved, left = (
                f"{row[k]:,} ({100 * row[k] / total:.1f} %)" for k in ("certified", "attacks_leave")
            )
            counts = proved, f"{row['falsified']:,}", f"{row['undecided']:,}", left
            cells = f"`{name}`, {total:,}", f"{row['eps']:g}", *counts, f"{row['seconds']:.0f}"
            assert f"| {' | '.join(cells)} |" in page
            assert row["certified_and_broken"] == 0
    cost = load("binarised_cost")
    for one in cost["milliseconds_of_networks"]:
        times = (f"{float(f'{one[k]:.3g}'):,g}" for k in ("latent", "signs", "int8"))
        assert f"| `{one['network']}`, {one['images']:,} | {' | '.join(times)} |" in page
    for one in cost["files"]:
        ratio = one["float"] / one["bits"]
        if one["binarization"] == "bnn" or one["network"] == "fcn2":
            assert f"{ratio:.1f}" in page


def test_the_matrix_of_signs_has_no_flaw_and_no_gradient_less_than_its_twin():
    from studies.zoo_digits import BINARISED

    record = ZooRecord.load(BINARISED)
    assert record.flaws() == ()
    for cell in record.cells:
        twin = record.cell(cell.attack, "real")
        assert not cell.zero_gradients or twin.zero_gradients, cell


def test_the_matrix_of_the_purifier_has_no_flaw_and_sampled_inference_hides_no_gradient():
    from studies.zoo_digits import PURIFIER

    record = ZooRecord.load(PURIFIER)
    assert record.flaws() == ()
    assert {cell.defence for cell in record.cells} == {"lqvae, mean", "lqvae, sampled"}
    for attack in ("fgsm", "pgd", "bim", "deepfool"):
        for name in ("lqvae, mean", "lqvae, sampled"):
            cell = record.cell(attack, name)
            assert cell.status == "lowered", (attack, name)
            assert not cell.zero_gradients


def test_the_page_of_attacks_says_which_successes_kept_no_budget():
    from studies.zoo_digits import FILE

    beyond = [c for c in ZooRecord.load(FILE).cells if c.eps is None and c.linf_max > 0.21]
    lowered = sum(c.status == "lowered" for c in beyond)
    assert lowered > 100
    text = (DOCS / "attacks.md").read_text(encoding="utf-8")
    digits = text.partition("## A binarised network")[0]
    assert f", {lowered} are of attacks that take no budget" in digits
    assert digits.count("*+ ") == lowered
    # whatever is installed
    assert "62 classes of ART" in text


def test_the_tight_bound_is_never_below_pinsker_in_the_study_and_mostly_above():
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


def test_pictures_of_the_pages_are_there():
    for page in PAGES:
        for picture in re.findall(r"!\[[^]]*\]\(([^)]*)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / picture).is_file(), (page, picture)
