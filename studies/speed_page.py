"""What README says of speed: rows of `benchmarks/RESULTS.md`, which `make bench` writes."""

import re

from benchmarks.calls import DRAWS, EOT, NETWORKS
from studies.architecture import ROOT
from studies.common import markdown

RESULTS = ROOT / "benchmarks" / "RESULTS.md"
ROW = re.compile(r"^\| (.*) \|$", re.M)


def rows(text: str) -> dict[str, list[str]]:
    r"""Return the cells of each row of a page's tables by its first; of two, those of the first.

    >>> rows("| a | b |\n| --- | --- |\n| x | 1 |\n| x | 2 |")["x"]
    ['1']
    """
    found: dict[str, list[str]] = {}
    for line in ROW.findall(text):
        first, *others = line.split(" | ")
        found.setdefault(first, others)
    return found


def below(text: str, heads: str) -> list[str]:
    r"""Return the cells of the first row of the table that begins with these heads.

    >>> below("| a | b |\n| --- | --- |\n| x | 1 |", "| a |")
    ['x', '1']
    """
    cells: list[str] = ROW.findall(text[text.index(heads) :])[2].split(" | ")
    return cells


def table() -> list[str]:
    """Return what a defence costs beside what a user would write, and an attack beside the bare."""
    text = RESULTS.read_text(encoding="utf-8")
    found = rows(text)
    memory, (pixels, *_, share, most, _) = (
        below(text, heads) for heads in ("\n| ours | peer |", "\n| pixels | channels |")
    )
    nearest, soft = "nearest of 300 colours", "soft, 300 colours, alpha 25.5"
    peer = "autograd through `cdist` and `softmax`"
    lines = [
        (nearest, "`torch.cdist(p=inf).argmin`", f"{found[nearest][2]} times as fast"),
        ("gradient of their soft surrogate", peer, f"{found[soft][2]} times as fast"),
        (f"its memory, {memory[0]}", memory[1], f"{memory[2]} times less"),
    ]
    for name, beside in (
        *((f"PGD-20, {name}", "the bare network") for name in NETWORKS),
        (EOT, f"{DRAWS} gradients of the bare network"),
    ):
        lines.append((name, beside, f"{found[name][3]} times as long"))
    lines.append((f"{pixels} pixels counted, in {most}", "one pass of NumPy", f"{share} as fast"))
    return markdown(("", "beside", ""), lines)
