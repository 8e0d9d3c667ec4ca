"""Basics that every reader needs, checked on every page; each check is seen to fail once."""

import colorsys
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from art_disc.report import compare, write_comparison, write_report
from art_disc.report.heat import contrast

ENOUGH = 4.5  # WCAG 2.2, 1.4.3: contrast of text
SCOPES = {"row", "col", "rowgroup"}


class Names(HTMLParser):
    """Tags with their attributes, and the words inside those that need a name."""

    def __init__(self, text):
        super().__init__()
        self.seen, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        entry = (tag, dict(attrs), [])
        self.seen.append(entry)
        self.open.append(entry)

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        for _, _, words in self.open:
            words.append(data)

    def of(self, *tags):
        return [(attrs, "".join(words).strip()) for t, attrs, words in self.seen if t in tags]

    def within(self, tag, inner):
        """For each `tag`, whether it holds an `inner`."""
        parts = [t for t, _, _ in self.seen if t in (tag, inner)]
        return [after == inner for before, after in pairwise([*parts, tag]) if before == tag]


def structure_faults(text):
    page, told = Names(text), []
    ((html, _),) = page.of("html")
    told += ["no lang"] * (not html.get("lang"))
    told += ["no title"] * (not any(words for _, words in page.of("title")))
    levels = [int(t[1]) for t, _, _ in page.seen if re.fullmatch(r"h[1-6]", t)]
    told += ["not one h1"] * (levels.count(1) != 1)
    told += ["heading skipped"] * any(b > a + 1 for a, b in pairwise([0, *levels]))
    told += ["image without alt" for attrs, _ in page.of("img") if not attrs.get("alt")]
    told += ["heading cell without scope" for a, _ in page.of("th") if a.get("scope") not in SCOPES]
    captions = page.within("table", "caption")
    for (attrs, _), caption in zip(page.of("table"), captions, strict=True):
        told += ["table without a name"] * (not caption and not attrs.get("aria-label"))
    for attrs, words in page.of("a", "button", "summary", "caption"):
        told += ["no name"] * (not words and not attrs.get("aria-label"))
    for attrs, _ in page.of("div", "section"):
        named = attrs.get("aria-label") or attrs.get("aria-labelledby")
        told += ["region without a name"] * (attrs.get("role") == "region" and not named)
    ids = [attrs["id"] for _, attrs, _ in page.seen if "id" in attrs]
    told += ["id twice"] * (len(ids) != len(set(ids)))
    return told


def rules_of(text):
    """Selector and declarations of every rule of a page's stylesheet, custom properties put in."""
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL).group(1)
    values = dict(re.findall(r"(--[\w-]+):\s*([^;}]+)", style))
    style = re.sub(r"var\((--[\w-]+)\)", lambda found: values[found.group(1)], style)
    for selector, body in re.findall(r"([^{};]+)\{([^{}]*)\}", style):
        pairs = (part.split(":", 1) for part in body.split(";") if ":" in part)
        yield selector.strip(), {name.strip(): value.strip() for name, value in pairs}


def colour(value):
    found = re.match(r"#([0-9a-f]{6}|[0-9a-f]{3})\b", value or "")
    if not found:
        return None
    digits = found.group(1)
    return "#" + (digits if len(digits) == 6 else "".join(2 * d for d in digits))


def contrast_faults(text):
    """Texts with their own background, and all others on every background without own text."""
    own, inks, backs = [], [], {"page": "#ffffff"}
    for selector, rule in rules_of(text):
        ink = colour(rule.get("color"))
        back = colour(rule.get("background"))
        if ink and back and selector != "body":
            own.append((selector, ink, back))
        elif back:
            backs[selector] = back
        if ink and (not back or selector == "body"):
            inks.append((selector, ink))
    own += [
        (f"{selector} on {where}", ink, back)
        for selector, ink in inks
        for where, back in backs.items()
    ]
    return [f"{where}: {contrast(*pair):.2f}" for where, *pair in own if contrast(*pair) < ENOUGH]


@pytest.fixture
def page(request, tmp_path, make, unpainted):
    """The text of a page of each kind."""
    if request.param == "comparison":
        square = make.outcome("square", (3,), knowledge="none")
        pair = make.record(), make.record(outcomes=(*make.outcomes, square))
        return write_comparison(compare(*pair), tmp_path).read_text(encoding="utf-8")
    record = request.getfixturevalue(request.param)
    shown = {"pictures": make.pictures()} if request.param == "everything" else {}
    return write_report(record, tmp_path, **shown).read_text(encoding="utf-8")


KINDS = ["record", "everything", "interrupted", "certificate", "swept", "comparison"]


@pytest.mark.parametrize("page", KINDS, indirect=True)
def test_no_page_lacks_the_basics(page):
    assert structure_faults(page) == []
    assert contrast_faults(page) == []


@pytest.mark.parametrize("page", ["everything"], indirect=True)
@pytest.mark.parametrize(
    ("good", "bad", "told"),
    [
        ('<html lang="en-GB">', "<html>", "no lang"),
        ("<title>Evaluation on mnist - art_disc</title>", "<title></title>", "no title"),
        ("<h2 id", "<h4 id", "heading skipped"),
        ("</header>", "<h1>again</h1></header>", "not one h1"),
        ('alt="', 'data-alt="', "image without alt"),
        ('<th scope="col"', "<th", "heading cell without scope"),
        ("<caption>", "<p>", "table without a name"),
        ("<summary>Example by example</summary>", "<summary></summary>", "no name"),
        ("</main>", '<a href="#checks"></a></main>', "no name"),
        ('aria-label="Checks that passed"', "", "region without a name"),
        ("</main>", '<p id="checks">x</p></main>', "id twice"),
    ],
)
def test_each_fault_is_found(page, good, bad, told):
    assert good in page
    assert told in structure_faults(page.replace(good, bad))


@pytest.mark.parametrize("page", ["everything"], indirect=True)
@pytest.mark.parametrize(
    ("good", "bad", "where"),
    [
        ("--soft: #52606d", "--soft: #8793a0", ".sub on page"),
        ("color: #5f1410", "color: #d0746c", ".alert"),
        (".verdict-pass, .verdict-done { color: #00614a", ".x { color: #30a080", ".x on page"),
        (
            "tr.not-run th { background: #fff5e0",
            "tr.not-run th { background: #c08a50",
            "tr.not-run",
        ),
        (
            "td.heat-0 { background: #8c2d04; color: #ffffff",
            "td.heat-0 { background: #8c2d04; color: #000000",
            "td.heat-0",
        ),
    ],
)
def test_pale_text_is_found(page, good, bad, where):
    assert good in page
    assert any(where in told for told in contrast_faults(page.replace(good, bad)))


# degrees on the circle of colours: red, amber, green
HUES = {
    (0, 10): (
        ".banner.flawed",
        ".alert",
        ".verdict-fail, .verdict-failed",
        "tr.fail td, tr.fail th",
    ),
    (30, 45): (
        *(".banner.incomplete", ".warning", ".verdict-not-run, .verdict-skipped"),
        "tr.not-run td, tr.not-run th",
    ),
    (140, 170): (".banner.complete", ".verdict-pass, .verdict-done"),
}


@pytest.mark.parametrize("page", ["everything"], indirect=True)
def test_what_failed_is_red_what_lacks_is_amber_and_what_passed_is_green(page):
    rules = dict(rules_of(page))
    for (low, high), selectors in HUES.items():
        for selector in selectors:
            values = [colour(value) for value in rules[selector].values()]
            found = [hue(value) for value in values if value]
            assert found, selector
            assert all(low <= degrees <= high for degrees in found), (selector, found)


def hue(value):
    red, green, blue = (int(value[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return 360 * colorsys.rgb_to_hsv(red, green, blue)[0]


@pytest.mark.parametrize("page", KINDS, indirect=True)
def test_nothing_is_fetched(page):
    addresses = re.findall(r"""(?:src|href|action|data)=["']([^"']*)""", page)
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "http:" not in page.replace("http://www.w3.org", "")
    assert "https:" not in page
    assert "default-src 'none'" in page
    assert "@import" not in page
    assert "url(" not in page
