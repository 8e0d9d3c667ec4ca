"""What README and docs show of the committed result files.

It stands between marks, each on a line of its own:

    <!-- generated: NAME -->
    <!-- end -->

`python -m studies.pages`, which is `make pages`, makes all of it again, and the files and pictures
beside it; a test compares. To show something new, name a function here that returns lines of
Markdown, and set its marks.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from art_disc.core.files import replace_file
from art_disc.report.drawing import draw
from studies import (
    attacks_page,
    binarised_page,
    binarised_pair,
    certificates_page,
    certified_page,
    claims,
    code_space_page,
    decided_page,
    leaderboard,
    lqvae_certificate,
    lqvae_speed,
    lqvae_theorem,
    lqvae_training,
    margin_codebook,
    printed_page,
    randomised_page,
    speed_page,
    summary,
    tables,
    versions,
)
from studies.architecture import ROOT

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
IMAGES = ROOT / "docs" / "images"
BETWEEN = re.compile(r"^(<!-- generated: ([\w-]+) -->)$.*?^(<!-- end -->)$", re.M | re.S)
MARK = re.compile(r"^<!-- (?:generated|end)\b", re.M)

Part = Callable[[], Sequence[str]]

PARTS: dict[str, Part] = {
    "headline": leaderboard.headline,
    "leaderboard": leaderboard.board,
    "lqvae-certificate": lqvae_certificate.table,
    "lqvae-theorem": lqvae_theorem.table,
    "lqvae-speed": lqvae_speed.line,
    "lqvae-training": lqvae_training.table,
    "margin-codebook": margin_codebook.table,
    "mnist-attacks": summary.attacks,
    "mnist-checks": summary.checks,
    "mnist-decided": decided_page.decided,
    "mnist-decided-attacks": decided_page.decided_attacks,
    "mnist-enumeration": summary.certificates,
    "mnist-free-pixels": summary.free_pixels,
    "certificates-sound": certificates_page.soundness,
    "certificates-speed": certificates_page.speed,
    "certified": certified_page.table,
    "certified-tries": certified_page.tries,
    "certified-trainings": certified_page.trainings,
    "costs": summary.costs,
    "hardness": summary.hardness,
    "printed-counts": printed_page.counts,
    "printed-numbers": printed_page.numbers,
    "verdicts": claims.summary,
    "reproduction": tables.lines,
    "speed": speed_page.table,
    "randomised-mnist": partial(randomised_page.attacked, "mnist"),
    "randomised-cifar10": partial(randomised_page.attacked, "cifar10"),
    "randomised-certified": randomised_page.certified,
    "randomised-cost": randomised_page.cost,
    "code-space-mnist": partial(code_space_page.tables, "code_space"),
    "code-space-cifar10": partial(code_space_page.tables, "code_space_cifar10"),
    "binarised-attacks": binarised_page.attacked,
    "binarised-verified": binarised_page.verified,
    "binarised-search": binarised_page.searched,
    "binarised-cost": binarised_page.cost,
    "binarised-pair": binarised_pair.table,
    "versions": versions.table,
    "attacks": attacks_page.attacks,
    "attacks-left-out": attacks_page.left_out,
    "attacks-matrix": partial(attacks_page.matrix, "zoo_digits"),
    "attacks-matrix-binarised": partial(attacks_page.matrix, "zoo_digits_binarised"),
    "attacks-matrix-purifier": partial(attacks_page.matrix, "zoo_digits_purifier"),
}

# beside what stands in pages
FILES: dict[Path, Callable[[], str]] = {ROOT / "docs" / "leaderboard.json": leaderboard.as_json}
PICTURES: dict[str, Callable[[Any], None]] = {
    "certify_speed": certificates_page.paint_searches,
    "mnist_decided": decided_page.paint,
    "mnist_randomised_certificate": randomised_page.paint_certified,
    "randomised_attack_mnist": randomised_page.paint_attack,
}


def made_again(text: str, parts: dict[str, Part]) -> str:
    """Return a page with all that stands between marks made anew.

    Args:
        text: Of the page.
        parts: What may stand there, by name.

    Raises:
        ValueError: There is no such part, or a mark has no partner.
    """

    def made(found: re.Match) -> str:
        begin, name, end = found.groups()
        if name not in parts:
            msg = f"expected a part that studies/pages.py names, got {name!r}"
            raise ValueError(msg)
        return "\n\n".join((begin, "\n".join(parts[name]()).strip(), end))

    after, pairs = BETWEEN.subn(made, text)
    if 2 * pairs != len(MARK.findall(text)):
        msg = "expected an end behind each generated part before the next begins"
        raise ValueError(msg)
    return after


def main() -> None:
    made = {page: made_again(page.read_text(encoding="utf-8"), PARTS).encode() for page in PAGES}
    made |= {path: text().encode() for path, text in FILES.items()}
    made |= {IMAGES / f"{name}.svg": draw(paint, height=4.2) for name, paint in PICTURES.items()}
    made |= {IMAGES / f"{name}.svg": picture for name, picture in tables.pictures().items()}
    for path, content in made.items():
        if not path.is_file() or path.read_bytes() != content:
            print(replace_file(path, content))


if __name__ == "__main__":
    main()
