"""What README says of speed: rows of `benchmarks/RESULTS.md`, which `make bench` writes."""

import re

from benchmarks.calls import EOT, FROZEN, NETWORKS
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
    soft, peer = "soft, 300 colours, alpha 25.5", "autograd through `cdist` and `softmax`"
    lines = [
        *(
            (name, "`torch.cdist(p=inf).argmin`", f"{found[name][2]} times as fast")
            for name in ("nearest of 2 colours", "nearest of 300 colours")
        ),
        ("gradient of their soft surrogate", peer, f"{found[soft][2]} times as fast"),
        (f"its memory, {memory[0]}", memory[1], f"{memory[2]} times less"),
    ]
    attacks = (*(f"PGD-20, {name}" for name in NETWORKS), FROZEN if FROZEN in found else EOT)
    lines += [(name, found[name][0], f"{found[name][3]} times as long") for name in attacks]
    counted = f"{pixels} pixels counted, in {most} of arrays"
    lines.append((counted, "one pass of NumPy's `bincount`", f"{share} as fast"))
    return markdown(("what", "beside", "ours"), lines)
