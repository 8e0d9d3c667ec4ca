"""The pages in a real browser: what is rendered, whether tables sort, whether plots appear."""

import json
import re
from html import escape, unescape

import numpy as np
import pytest

from art_disc.report import write_report
from art_disc.report.heat import contrast
from tests.browser import chromium, needs_browser

pytestmark = needs_browser

# Runs in a copy of the page: opens what is closed, looks at every text and picture, sorts a table.
PROBE = """
const lift = (colour) => "#" + colour.match(/[\\d.]+/g).slice(0, 3)
  .map((v) => Number(v).toString(16).padStart(2, "0")).join("");
const backdrop = (node) => {
  for (let e = node; e; e = e.parentElement) {
    const back = getComputedStyle(e).backgroundColor;
    if (!back.startsWith("rgba(0, 0, 0, 0")) return lift(back);
  }
  return "#ffffff";
};
// before anything moves: as in the screenshot
const images = [...document.images].map((i) => {
  const box = i.getBoundingClientRect();
  return [i.naturalWidth, i.naturalHeight, box.x, box.y + scrollY, box.width, box.height];
});
const height = document.documentElement.scrollHeight;
const texts = new Map();
document.querySelectorAll("details").forEach((d) => { d.open = true; });
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const node = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || ["SCRIPT", "STYLE"].includes(node.tagName)) continue;
  const pair = lift(getComputedStyle(node).color) + backdrop(node);
  if (!texts.has(pair)) texts.set(pair, walker.currentNode.data.trim().slice(0, 40));
}
const column = (table, i) => [...table.tBodies[0].rows]
  .filter((r) => !r.classList.contains("group")).map((r) => r.cells[i].textContent.trim());
const sorted = {};
document.querySelectorAll("table.sortable").forEach((table) => {
  const name = table.closest("[role=region]").getAttribute("aria-label");
  const heads = [...table.tHead.rows[0].cells];
  sorted[name] = heads.map((head, i) => {
    const found = [[head.getAttribute("aria-sort"), column(table, i)]];
    for (let n = 0; n < 3; n += 1) {
      head.querySelector("button").click();
      found.push([head.getAttribute("aria-sort"), column(table, i)]);
    }
    return found;
  });
});
const seen = {
  images, sorted, texts: [...texts],
  banner: document.querySelector(".banner")?.innerText ?? "",
  first: document.querySelector("h2 + *")?.className ?? "",
  height,
  width: document.documentElement.scrollWidth,
  fetched: performance.getEntriesByType("resource").map((r) => r.name)
    .filter((n) => !n.startsWith("data:")),
};
document.documentElement.dataset.seen = JSON.stringify(seen);
"""


def look(folder, page, width):
    """Dump what the probe saw in a copy of the page, whose policy is lifted for it."""
    source = page.read_text(encoding="utf-8")
    lifted = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", source)
    copy = folder / "probe.html"
    copy.write_text(lifted.replace("</body>", f"<script>{PROBE}</script></body>"))
    dump, complaints = chromium(folder, copy, f"--window-size={width},900", "--dump-dom")
    assert complaints == []
    return json.loads(unescape(re.search(r'data-seen="([^"]*)"', dump).group(1)))


@pytest.fixture(scope="module", params=["evaluation", "sweep"])
def opened(request, tmp_path_factory, make):
    """A page of each kind, written once, and what a browser sees of it."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "evaluation":
        statuses = {1: "pass", 10: "not run", 3: "fail", 5: "not run"}
        checks = tuple(make.check(*pair) for pair in statuses.items())
        page = write_report(make.rich(checks=checks), folder, pictures=make.pictures())
    else:
        page = write_report(make.sweep(), folder)
    return request.param, folder, page, look(folder, page, 1200)


def test_the_verdict_is_read_from_the_rendered_page(opened):
    kind, _, _, seen = opened
    told = {"evaluation": "Flawed: C3 failed", "sweep": "Not checked"}[kind]
    assert told in seen["banner"]
    assert seen["first"].startswith("banner"), "it comes first"


def test_the_page_s_own_policy_lets_its_script_run_and_no_other(opened):
    _, folder, page, _ = opened
    dump, complaints = chromium(folder, page, "--dump-dom")
    assert complaints == []
    assert dump.count('<button type="button">') > 5
    assert 'aria-sort="none"' in dump
    foreign = folder / "foreign.html"
    text = page.read_text(encoding="utf-8")
    foreign.write_text(text.replace("</main>", "<script>document.title = 'x'</script></main>"))
    dump, complaints = chromium(folder, foreign, "--dump-dom")
    assert "<title>x</title>" not in dump
    assert any("Content Security Policy" in line for line in complaints)


def numbers(column):
    """Leading numbers of a column's cells, those without one left out."""
    found = (re.match(r"[-+]?[\d,]*\.?\d+", cell) for cell in column)
    return [float(match.group().replace(",", "")) for match in found if match]


def test_tables_sort_at_a_click_and_come_back(opened):
    kind, _, _, seen = opened
    name, column = {"evaluation": ("Checks that did not pass", 0), "sweep": ("All cells", 7)}[kind]
    order = [state for state, _ in seen["sorted"][name][column]]
    assert order == ["none", "ascending", "descending", "none"]
    before, up, down, after = (cells for _, cells in seen["sorted"][name][column])
    assert before == after
    assert up != down
    if kind == "evaluation":
        assert up == ["C3", "C5", "C10"] == down[::-1], "by number, not by letter"
    else:
        assert numbers(up) == sorted(numbers(up)) == numbers(down)[::-1]
        assert len(numbers(up)) == 6
        assert up[-2:] == down[-2:] == ["", ""], "what has no number stays last"
    # every sortable column of every table keeps its cells
    for table in seen["sorted"].values():
        for states in table:
            assert len({tuple(sorted(cells)) for _, cells in states}) == 1
            assert states[0][1] == states[3][1]


def test_every_text_can_be_read(opened):
    _, _, _, seen = opened
    assert len(seen["texts"]) > 8
    for pair, words in seen["texts"]:
        assert contrast(pair[:7], pair[7:]) >= 4.5, words


def test_nothing_is_fetched_and_the_page_fits(opened):
    _, folder, page, seen = opened
    assert seen["fetched"] == []
    assert seen["width"] <= 1200
    phone = look(folder, page, 500)
    assert phone["width"] <= 500, "wide tables scroll within their own box"


def colours(picture, x, y, width, height):
    """How many colours a box of the picture has."""
    box = tuple(round(v) for v in (x, y, x + width, y + height))
    return len(np.unique(np.asarray(picture.crop(box)).reshape(-1, 3), axis=0))


def test_the_screenshot_shows_every_plot(opened):
    from PIL import Image

    kind, folder, page, seen = opened
    assert len(seen["images"]) == {"evaluation": 3 + 4 * 6, "sweep": 2}[kind]
    shot = folder / "page.png"
    options = (f"--window-size=1200,{seen['height'] + 20}", f"--screenshot={shot}")
    chromium(folder, page, *options)
    with Image.open(shot) as opened_shot:
        picture = opened_shot.convert("RGB")
    assert picture.height >= seen["height"]
    for wide, high, x, y, width, height in seen["images"]:
        assert min(wide, high) > 0, "every picture is loaded"
        # a black and white picture of codewords has those two and its frame
        assert colours(picture, x, y, width, height) > 2, "blank picture"
    plots = [row for row in seen["images"] if row[4] > 300]
    assert len(plots) == {"evaluation": 3, "sweep": 2}[kind]
    for _, _, *box in plots:
        assert colours(picture, *box) > 50, "blank plot"


def in_frame(folder, page, width, script, shot=None):
    """Open a page in a frame of a width that no window may have; return what a script says of it.

    The script sees the page as `inner`, and gives a value.
    """
    source = page.read_text(encoding="utf-8")
    lifted = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", source)
    copy = folder / "frame.html"
    style = f"border: 0; width: {width}px; height: 12000px"
    copy.write_text(
        f'<body style="margin: 0"><iframe style="{style}" srcdoc="{escape(lifted)}"></iframe>'
        "<script>onload = () => {const inner = document.querySelector('iframe').contentDocument;"
        f"document.body.dataset.seen = JSON.stringify({script});}}</script>"
    )
    options = ["--dump-dom"] if shot is None else [f"--screenshot={shot}"]
    dump, _ = chromium(folder, copy, f"--window-size={max(width, 500)},12000", *options)
    found = re.search(r'data-seen="([^"]*)"', dump)
    return json.loads(unescape(found.group(1))) if found else None


BOXES = """[...inner.querySelectorAll(".scroll")].filter((e) => e.checkVisibility()).map((e) => {
  const r = e.getBoundingClientRect();
  if (LEFT) e.scrollLeft = e.scrollWidth;
  return [r.x, r.y, r.width, r.height, e.scrollWidth - e.clientWidth];
})"""


def test_tables_that_scroll_say_so_on_a_phone(tmp_path, make, unpainted):
    from PIL import Image

    page = write_report(make.rich(), tmp_path, pictures=make.pictures())
    boxes = in_frame(tmp_path, page, 390, BOXES.replace("LEFT", "0"))
    scrolled = [box for box in boxes if box[4] > 20]
    assert 3 < len(scrolled) < len(boxes), "some fit, some do not"
    for moved in ("0", "1"):
        shot = tmp_path / f"{moved}.png"
        in_frame(tmp_path, page, 390, BOXES.replace("LEFT", moved), shot)
        with Image.open(shot) as opened_shot:
            picture = np.asarray(opened_shot.convert("L"))
        for x, y, width, _, more in boxes:
            # where no word stands: at either end of the line above the caption
            row = picture[round(y) + 2, round(x) : round(x + width)]
            left, right = row[0] < 220, row[-1] < 220
            if more > 20:
                assert (left, right) == ((False, True), (True, False))[int(moved)]
            elif more == 0:
                assert (left, right) == (False, False)


@pytest.mark.parametrize(("width", "beside"), [(1280, True), (390, False)])
def test_two_plots_stand_side_by_side_where_there_is_room(tmp_path, make, width, beside):
    page = write_report(make.rich(), tmp_path)
    script = """[...inner.querySelectorAll(".plots")].map((e) => [...e.querySelectorAll("img")]
      .map((i) => [i.getBoundingClientRect().x, i.getBoundingClientRect().y]))"""
    pair, alone = in_frame(tmp_path, page, width, script)
    assert len(alone) == 1
    (left, above), (right, below) = pair
    assert (left < right, above == below) == (beside, beside)
