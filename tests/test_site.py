"""The documentation site: every public name is described, links lead somewhere, pages fit."""

import ast
import json
import re
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest

from tests.browser import chromium, needs_browser
from tests.pages import ROOT, python_of

HTML = ROOT / "docs" / "_build" / "html"

for package in ("furo", "myst_nb", "sphinx"):
    pytest.importorskip(package, reason=f"{package} is not installed: make docs installs it")


def unchanged(built):
    """Whether nothing that the site is made of is newer than the file that `make docs` leaves."""
    if not built.is_file():
        return False
    made_of = [*ROOT.glob("*.md"), *(ROOT / "notebooks").glob("*.ipynb")]
    for place in (".", "images", "root", "static"):
        made_of += (ROOT / "docs" / place).glob("*.*")
    made_of += (ROOT / "art_disc").rglob("*.py")
    return max(path.stat().st_mtime for path in made_of) < built.stat().st_mtime


@pytest.fixture(scope="module")
def site():
    """The site as `make docs` leaves it, built here if it did not or if something has changed."""
    built = HTML.parent / "built"
    if not unchanged(built):
        words = ["-q", "-E", "-W", "-b", "html", "-c", "docs", ".", HTML]
        done = subprocess.run(
            [sys.executable, "-m", "sphinx", *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        built.touch()
    return HTML


@pytest.fixture(scope="module")
def described(site):
    """Names of all that is described, the other paths to it among them."""
    from sphinx.util.inventory import InventoryFile

    with (site / "objects.inv").open("rb") as file:
        found = InventoryFile.load(file, "", lambda base, uri: uri)
    return {name for kind in found if kind.startswith("py:") for name in found[kind]}


def test_every_public_name_is_described(described):
    from docs.api_pages import homes

    found = homes()
    assert len(found) > 300
    assert sorted({home for home in found.values() if home not in described}) == []
    assert {f"art_disc.core.records.{name}" for name in ("load_record", "Share")} <= described


def used(code):
    """Everything that some Python takes from the package, in full names."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("art_disc"):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute):
            text = ast.unparse(node)
            if re.fullmatch(r"ad(\.\w+)+", text):
                yield f"art_disc{text[2:]}"


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def test_whatever_the_pages_use_is_described(described):
    from docs.api_pages import homes

    taken = {name for path in [*PAGES, *NOTEBOOKS] for name in used(python_of(path))}
    assert len(taken) > 60
    known = described | {"art_disc.core"}
    found = homes()

    def full(name):
        # a method of what is described elsewhere, `ad.Codebook.load`
        above, _, last = name.rpartition(".")
        return found.get(name) or (f"{found[above]}.{last}" if above in found else name)

    assert sorted(name for name in taken if full(name) not in known) == []


class Page(HTMLParser):
    """Where a page's links lead, and the places in it that a link can lead to."""

    def __init__(self, path):
        super().__init__()
        self.links, self.places, self.scripts = [], set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.places |= {found[key] for key in ("id", "name") if found.get(key)}
        self.links += [found[key] for key in ("href", "src") if found.get(key)]


def dead_links(folder):
    """Return (page, link) of every link within a folder that leads to no file or place in it."""
    pages = {path: Page(path) for path in folder.rglob("*.html")}
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            place = unquote(parts.fragment)
            there = place in pages[target].places if target in pages else not place
            if not target.is_file() or (place and not there):
                dead.append((str(path.relative_to(folder)), link))
    return dead


def test_the_search_for_dead_links_finds_them(tmp_path):
    (tmp_path / "a.html").write_text('<a href="b.html#there">1</a><a href="#here" id="here">2</a>')
    (tmp_path / "b.html").write_text('<p id="there"><a href="a.html#no"></a><img src="c.png">')
    assert sorted(dead_links(tmp_path)) == [("b.html", "a.html#no"), ("b.html", "c.png")]


def test_no_link_is_dead(site):
    assert len(list(site.rglob("*.html"))) > 50
    assert dead_links(site) == []


def test_pages_fetch_nothing_from_elsewhere(site):
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.findall(r'<(?:script|img|iframe)[^>]* src="(?:https?:)?//[^"]*"', text), path
        assert not re.findall(r'<link rel="stylesheet"[^>]* href="(?:https?:)?//[^"]*"', text), path


PROBE = """
const seen = {
  width: document.documentElement.scrollWidth,
  heading: document.querySelector("h1").innerText,
  names: document.querySelectorAll("dt.sig").length,
  broken: [...document.images].filter((i) => !i.naturalWidth).map((i) => i.src),
};
document.documentElement.dataset.seen = JSON.stringify(seen);
"""


@needs_browser
@pytest.mark.parametrize("page", ["docs/index", "docs/api/art_disc.metrics", "README"])
def test_pages_fit_a_desktop_and_a_phone(site, tmp_path, page):
    # beside the page, so that its style sheets are found
    copy = site / f"{page}-probe.html"
    text = (site / f"{page}.html").read_text(encoding="utf-8")
    # a browser's window is never narrower than 500, a frame is
    for width in (1280, 390):
        probed = text.replace("</body>", f"<script>{PROBE}</script></body>")
        copy.write_text(probed, encoding="utf-8")
        try:
            dump, complaints = chromium(tmp_path, copy, f"--window-size={width},900", "--dump-dom")
        finally:
            copy.unlink()
        assert complaints == []
        seen = json.loads(unescape(re.search(r'data-seen="([^"]*)"', dump).group(1)))
        assert seen["width"] <= max(width, 500)
        assert seen["heading"].strip()
        assert seen["broken"] == []
        assert (seen["names"] > 50) == ("api" in page)
