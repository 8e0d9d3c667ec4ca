"""The pages, read as a parser reads them: their numbers, their warnings and their structure."""

import dataclasses
import html
import math
import re
from itertools import pairwise

import pytest

from art_disc.core.intervals import wilson_interval
from art_disc.report.kinds.evaluation import NO_CHECKS


def told(share):
    low, high = share.interval
    return f"{share.value:.1%} [{low:.1%}, {high:.1%}] {share.count} of {share.total}"


def test_the_verdict_comes_first_and_holds_the_record_s_counts(show, record, make):
    page = show(record)
    clean = (told(record.clean("base")), told(record.clean()))
    assert page.text.index(NO_CHECKS) < page.text.index("18 of 40")
    assert page.rows[1] == ("Clean accuracy", *clean)
    for row, eps in zip(page.rows[2:4], (make.small, make.large), strict=True):
        assert row[1:] == (told(record.worst(eps, model="base")), told(record.worst(eps)))
    assert "mnist, n = 40" in page.row_of("Data set")
    assert "n_codes=3" in page.row_of("Defence")[1]


def test_the_headline_says_what_it_is_and_never_calls_anything_robust(show, record):
    text = show(record).text
    said = "18 of 40 images survived every attack tried here at eps 0.3 (76.5/255)."
    assert f"{said} These are upper estimates of robust accuracy, not proofs." in text
    assert text.count("of robust accuracy") == 1, "said once, of all budgets"
    words = re.findall(r"\brobust\w*\b(?: \w+)?", text, flags=re.IGNORECASE)
    assert set(words) == {"robust accuracy"}
    assert not re.search(r"\b(is|are|was) robust\b", text)


def test_all_broken_is_said_in_words(show, make):
    rows = (make.outcome("pgd", range(make.n)),)
    text = show(make.record(eps=(make.large,), outcomes=rows)).text
    assert "The attacks tried here left none of 40 images correct at eps 0.3" in text


def test_each_attack_has_a_row_and_the_strongest_comes_first(show, record):
    page = show(record)
    at = [row[0] for row in page.rows].index("Defended model, l-inf, eps 0.3 (76.5/255)")
    rows = page.rows[at + 1 : at + 5]
    assert [row[0] for row in rows] == ["pgd", "fgsm", "transfer_pgd", "square"]
    assert [row[1].rpartition("] ")[2] for row in rows] == [
        "20 of 40",
        "28 of 40",
        "33 of 40",
        "35 of 40",
    ]
    # pgd alone broke 12..19 but for none of the others; square alone broke 25 and 26
    assert [row[2] for row in rows] == ["8", "0", "0", "2"]
    # per image: of 40
    assert rows[3][3:] == ("queries (none)", "none", "no", "40", "3,086", "0.0312", "done")
    at = [row[0] for row in page.rows].index("Undefended network, l-inf, eps 0.3 (76.5/255)")
    assert page.rows[at + 1][1:4] == (
        told(record.worst(0.3, model="base")),
        "",
        "white box (base)",
    )


def test_skipped_and_failed_rows_are_last_and_told_near_the_top(show, make):
    rows = (
        make.unfinished("square", "failed", "MemoryError: 12 GiB", knowledge="none"),
        make.unfinished("deepfool", "skipped", "needs two classes"),
        make.outcome("pgd", (1, 2)),
    )
    page = show(make.record(eps=(make.large,), outcomes=rows))
    at = [row[0] for row in page.rows].index("Defended model, l-inf, eps 0.3 (76.5/255)")
    assert [row[0] for row in page.rows[at + 1 : at + 4]] == ["pgd", "square", "deepfool"]
    assert page.rows[at + 2][-1] == "failed: MemoryError: 12 GiB"
    assert page.rows[at + 3][1] == ""
    top = page.text[: page.text.index(NO_CHECKS)]
    assert "1 of 3 attack runs failed." in top
    assert "MemoryError: 12 GiB" in top
    assert "1 of 3 attack runs skipped." in top


def test_many_failures_are_counted_not_all_told(show, make):
    rows = tuple(make.unfinished(f"a{i}", "failed", "") for i in range(7))
    assert "and 2 more, all in the table of attacks" in show(make.record(outcomes=rows)).text


def test_an_interrupted_run_says_so_first(show, interrupted, record):
    banner = "Interrupted: incomplete - only finished rows are shown"
    page = show(interrupted)
    assert banner in page.text[: page.text.index(NO_CHECKS)]
    assert "The defended model was not attacked at eps 0.3 (76.5/255)." in page.text
    assert page.rows[3][1:] == ("not measured", "not measured")
    assert banner not in show(record).text


def test_a_number_without_a_white_box_attack_says_so(show, make, record):
    rows = tuple(row for row in make.outcomes if row.knowledge != "bpda" or row.eps == make.small)
    warning = "Not a white-box number at eps 0.3 (76.5/255)."
    assert warning in show(make.record(outcomes=rows)).text
    assert "Not a white-box number" not in show(record).text
    unfinished = make.unfinished("pgd", "failed", "out of memory")
    assert warning in show(make.record(outcomes=(*rows, unfinished))).text


def test_a_transfer_attack_stronger_than_the_white_box_is_pointed_out(show, make, record):
    rows = (
        make.outcome("pgd", (1, 2)),
        make.outcome("transfer_pgd", range(1, 9), knowledge="base", surrogate=None),
    )
    text = show(make.record(eps=(make.large,), outcomes=rows)).text
    assert "they left 31 correct, white box 37" in text
    assert "masked gradients" not in show(record).text


def test_nothing_but_clean_predictions_still_makes_a_page(show, make):
    record = make.record(outcomes=(), complete=False, histogram=(), codebook={}, defences=())
    page = show(record)
    assert "No attack was run." in page.text
    assert page.rows[1][2] == told(record.clean())
    assert page.of("img") == []
    assert page.row_of("Defence")[1] == "none"


def test_attacks_on_the_base_alone_leave_the_defended_unmeasured(show, make):
    rows = tuple(row for row in make.outcomes if row.scored_on == "base")
    page = show(make.record(outcomes=rows))
    assert [row[2] for row in page.rows[2:4]] == ["not measured"] * 2
    assert "The defended model was not attacked" in page.text
    assert "survived every attack" not in page.text


def test_budgets_outside_the_unit_range_have_no_second_reading(show, make):
    record = make.record(
        eps=(8.0,), clip_values=(0.0, 255.0), outcomes=(make.outcome("pgd", (1,), eps=8.0),)
    )
    text = show(record).text
    assert "at eps 8. That is" in text
    assert "/255" not in text


def test_values_from_the_record_are_escaped(show, make, tmp_path, pictures):
    bad = "<script>alert('x')</script>\"&"
    record = make.record(
        dataset={"name": bad, bad: bad},
        network={"name": bad},
        defences=(bad,),
        codebook={"name": bad},
        outcomes=(
            make.outcome(bad, (1,), settings={bad: bad}, surrogate=bad),
            make.unfinished(bad, "failed", bad),
        ),
    )
    page = show(record, pictures=dataclasses.replace(pictures, attack=bad))
    assert page.tags.count("script") == 1, "the page's own"
    assert page.text.count("alert('x')") > 10
    source = (tmp_path / "report.html").read_text()
    assert bad not in source
    assert bad in html.unescape(source)


@pytest.mark.parametrize("kind", ["record", "interrupted", "certificate", "everything", "swept"])
def test_structure_for_readers_of_every_kind(show, request, pictures, kind):
    record = request.getfixturevalue(kind)
    page = show(record, pictures=pictures) if kind == "record" else show(record)
    levels = [int(tag[1]) for tag in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.of("html")[0]["lang"] == "en-GB"
    assert any(meta.get("name") == "viewport" for meta in page.of("meta"))
    scopes = {heading.get("scope") for heading in page.of("th")}
    assert scopes <= {"row", "col", "rowgroup"}
    assert page.tags.count("caption") == page.tags.count("table") > 0
    assert all(len(image["alt"]) > 20 for image in page.of("img"))
    assert all(image["src"].startswith("data:image/") for image in page.of("img"))
    assert "iframe" not in page.tags
    assert [link["href"] for link in page.of("link")] == ["data:,"], "no icon is asked for"
    assert page.of("script") == [{}], "inline"
    identifiers = [a["id"] for _, a in page.attributes if "id" in a]
    assert len(identifiers) == len(set(identifiers))
    named = [a["aria-labelledby"] for _, a in page.attributes if "aria-labelledby" in a]
    assert set(named) <= set(identifiers)


def test_the_plots_say_their_numbers_in_words(show, record):
    curve, pixels = (image["alt"] for image in show(record).of("img"))
    assert "defended, worst of all: 97.5% at 0, 77.5% at 0.03137, 45.0% at 0.3" in curve
    assert "defended, queries (none): 97.5% at 0, 87.5% at 0.3" in curve
    assert "Codewords at 0, 102, 255; cell borders at 51, 178.5." in pixels


def test_colour_codebooks_are_a_strip_and_pictures_have_four_rows(show, make):
    words = [[0.0, 0.5, 1.0], [1.0, 0.0, 0.2], [0.1, 0.1, 0.1]] * 7
    channels = make.record().histogram * 3
    record = make.record(histogram=channels, codebook={"name": "k", "codewords": words})
    page = show(record, pictures=make.pictures(4, channels=3))
    alts = [image["alt"] for image in page.of("img")]
    assert "strip with the 21 codewords as colours" in alts[-1]
    assert len(alts) == 2 + 4 * 4
    assert "Example 101, adversarial: label 1, predicted 2" in alts
    assert "(0, 127.5, 255)" in page.text
    assert "and 5 more" in page.text


@pytest.mark.parametrize("channels", [2, 3])
def test_one_codebook_for_each_of_several_channels(show, make, channels):
    page = show(make.record(histogram=make.record().histogram * channels))
    assert "cell borders at 51, 178.5" in page.of("img")[1]["alt"]


def test_settings_and_what_was_spent(show, record):
    page = show(record)
    spent = {
        row[0]: row[1:]
        for row in page.rows
        if len(row) == 5 and row[0] in ("defended model", "undefended network", "all")
    }
    gradients = sum(outcome.gradients for outcome in record.outcomes)
    queries = sum(outcome.queries for outcome in record.outcomes)
    assert spent["all"] == ("9", f"{gradients:,}", f"{queries:,}", "11.2")
    assert spent["undefended network"][0] == "2"
    assert "max_iter = 40, eps_step = 0.01" in page.text
    assert page.row_of("torch")[1] == "2.4.0"
    assert page.row_of("created")[1] == "2025-01-02T03:04:05+00:00"


def test_a_certificate_s_page(show, certificate):
    page = show(certificate)
    rows = {row[0]: row for row in page.rows}
    assert rows["certified"][2:] == ("30 of 40", "75.0%")
    assert rows["falsified"][2:] == ("4 of 40", "10.0%")
    assert rows["undecided"][2:] == ("6 of 40", "15.0%")
    assert rows["too many images"] == ("too many images", "4")
    limit = math.floor(certificate.lower_limit(0.99) * 10_000) / 100
    assert f"{limit:.2f}%" in page.text
    assert certificate.assumes in page.text
    assert "certified: median 14.5, largest 29" in page.of("img")[0]["alt"]


def test_a_certificate_of_nothing_still_makes_a_page(show, make):
    lists = ("verdicts", "reasons", "free_pixels", "log2_images", "evaluated")
    page = show(make.certificate(**dict.fromkeys(lists, ())))
    assert "No example was judged." in page.text


def test_large_samples_show_two_decimals(show, make):
    rows = (make.outcome("pgd", range(1, 300), n=2000),)
    many = (True,) * 2000
    record = make.record(
        eps=(make.large,),
        outcomes=rows,
        labels=(0,) * 2000,
        example_ids=tuple(range(2000)),
        base_correct=many,
        defended_correct=many,
    )
    low, high = wilson_interval(1700, 2000)
    assert show(record).rows[2][2] == f"85.00% [{low:.2%}, {high:.2%}] 1700 of 2000"


def test_certificates_stand_beside_the_attacks(show, make):
    sound = ("falsified",) * 20 + ("certified",) * 18 + ("undecided",) * 2
    certificate = make.certificate(eps=make.large, verdicts=sound)
    rows = (make.outcome("pgd", range(1, 20)),)
    page = show(make.record(outcomes=rows, certificates=(certificate,)))
    name = "Certified (proved), eps 0.3 (76.5/255)"
    assert page.row_of(name)[1] == "no certificate"
    assert page.row_of(name)[2].endswith("18 of 40")
    row = next(row for row in page.rows if "enumeration" in row)
    assert row[2:6] == ("18 (45.0%)", "20 (50.0%)", "2 (5.0%)", "not told")
    assert row[-1] == "26.78%"
    assert "certificates here are wrong" not in page.text


def test_what_certificates_assume_is_said_once(show, make):
    same = [make.certificate(eps=eps) for eps in (0.01, 0.02)]
    text = show(make.record(certificates=tuple(same))).text
    assert text.count(same[0].assumes) == 1
    assert f"What the verdicts assume {same[0].assumes}" in text
    other = make.certificate(eps=0.03, assumes="the 8-bit grid")
    text = show(make.record(certificates=(*same, other))).text
    assert text.count(same[0].assumes) == 1
    assert "What the verdicts at eps 0.01 (2.55/255), 0.02 (5.1/255) assume l-inf" in text
    assert "What the verdicts at eps 0.03 (7.65/255) assume the 8-bit grid" in text


def test_what_was_found_stands_near_the_top(show, make):
    page = show(make.rich(), pictures=make.pictures())
    order = [a["aria-labelledby"] for tag, a in page.attributes if tag == "section"]
    assert order[:5] == [
        *("verdict", "checks", "accuracy-over-eps-and-attack-steps", "examples"),
        "accuracy-under-attack",
    ]
    # the long table of what passed is opened at a click
    folded = page.text.index("2 of 4 standard checks passed: what they found")
    assert page.text.index("measured 0.3 against 1") < folded
    assert folded < page.text.index("measured 0.10 against 1")


def test_sections_are_listed_and_lead_somewhere(show, make):
    page = show(make.rich(), pictures=make.pictures())
    places = [a["aria-labelledby"] for tag, a in page.attributes if tag == "section"]
    assert [a["href"] for a in page.of("a")] == [f"#{place}" for place in places]
    assert len(places) > 8


def test_the_first_line_says_a_codebook_in_short(show, make):
    line = "PixelDiscretization(DensityCodebook(n_codes=3, metric='l2'), k=3, codewords='{}'{})"
    full = "0123456789abcdef"
    defences = line.format(full, ""), line.format(full, ", file='b.npz'"), "JpegCompression(75)"
    page = show(make.record(defences=defences))
    first = page.text[: page.text.index("Verdict")]
    assert first.count("PixelDiscretization(DensityCodebook, k=3, codewords='0123456789ab')") == 2
    assert "JpegCompression(75)" in first
    assert full not in first
    assert "n_codes=3, metric='l2'" in page.row_of("Defence")[1]
    assert full in page.row_of("Defence")[1]


def test_an_attack_that_breaks_a_certified_example_is_told_first(show, make):
    certificate = make.certificate(eps=make.large)
    rows = (make.outcome("pgd", range(1, 9), wrong=()),)
    page = show(make.record(outcomes=rows, certificates=(certificate,)))
    told = "8 certified examples were broken: the certificates here are wrong."
    assert told in page.text[: page.text.index(NO_CHECKS)]
    assert "#101 at eps 0.3 (76.5/255), #102" in page.text
    assert "and 3 more" in page.text
