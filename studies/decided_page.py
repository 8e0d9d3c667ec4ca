"""What `studies.decided` and `studies.decided_attacks` found, as parts of pages and a picture."""

from collections.abc import Iterator, Sequence
from typing import Any

from art_disc.core.records.study import StudyRecord
from art_disc.report.drawing import BLUE, GREEN, INK, SHADE
from art_disc.reproduction.published import published_certificates
from studies.common import RESULTS, load, made_at, made_on, markdown
from studies.decided import PRINTED, PRINTED_AT

# the setting of the papers' tables of certificates
CERTIFIED = "disc_adv_pre"


def _studies(name: str) -> list[StudyRecord]:
    return [load(f"{name}/{path.stem}") for path in sorted((RESULTS / name).glob("*.json"))]


def decided() -> list[str]:
    """Return what the complete method decided, certified and unbroken side by side."""
    printed = {
        (CERTIFIED, row.eps): f"{row.success:g} %"
        for row in published_certificates("chen2019", "4")
    }
    rows = []
    studies = _studies("decided")
    for study in studies:
        total = study["images"]
        for row in study["rows"]:
            counts = (
                total - row["wrong_when_clean"],
                row["certified"],
                total - row["falsified"],
                row["undecided"],
            )
            shares = (f"{100 * count / total:.1f} %" for count in counts)
            rows.append(
                (
                    f"`{study['setting']}`",
                    f"{row['eps']:g}",
                    f"{total:,}",
                    *shares,
                    f"{100 * row['lower_limit_99']:.1f} %",
                    f"{PRINTED[study['setting']]} %" if row["eps"] == PRINTED_AT else "",
                    printed.get((study["setting"], row["eps"]), ""),
                )
            )
    if not rows:
        return []
    heads = ("setting", "eps", "images", "clean", "certified", "unbroken", "undecided")
    return [
        "The papers' settings of two codewords on MNIST, decided image by image "
        '(`certify(method="complete")`, test images drawn at random): robust accuracy lies '
        "between *certified* and *unbroken*. Printed robust accuracy: Chen et al. 2018, Table 3, "
        "under the papers' attack; printed certified: Chen et al. 2019, Table IV, of 10,000, "
        "images by enumeration of up to 2^25 to 2^30 code images each. *undecided* is what the "
        "search gave up after its seconds: where it is large, as at 0.3, robust accuracy is open, "
        "and what attacks leave is no more than an upper end.",
        "",
        *markdown((*heads, "99 % lower limit", "printed robust", "printed certified"), rows),
        f"(`studies/decided.py`; {'; '.join(_notes(studies))})",
        "",
    ]


def _notes(studies: Sequence[StudyRecord]) -> Iterator[str]:
    """Yield how each setting was trained and decided, and on what machines."""
    for setting in dict.fromkeys(study["setting"] for study in studies):
        own = [study for study in studies if study["setting"] == setting]
        runs = []
        for study in own:
            budgets = " and ".join(f"{row['eps']:g}" for row in study["rows"])
            seconds = sum(row["seconds"] for row in study["rows"])
            runs.append(
                f"eps {budgets}: at most {study['seconds_an_image']:g} s an image, "
                f"{study['jobs']} process{'es' if study['jobs'] > 1 else ''}, "
                f"{seconds / 60:.0f} minutes, {made_at(study)}"
            )
        yield f"`{setting}`: {own[0]['training']}; {'; '.join(runs)}"
    yield from dict.fromkeys(map(made_on, studies))


def decided_attacks() -> list[str]:
    """Return what the suite leaves of the same settings, and who contradicts a certificate."""
    rows = []
    studies = _studies("decided_attacks")
    for study in studies:
        for budget in study["budgets"]:
            found = {row["attack"]: row for row in _strongest(budget["attacks"])}
            codes, said = found.pop("code_space"), budget["certificates"]
            best = min(found.values(), key=lambda row: row["count"])
            rows.append(
                (
                    f"`{study['setting']}`",
                    f"{budget['eps']:g}",
                    f"{100 * codes['value']:.1f} %",
                    f"{100 * best['value']:.1f} % (`{best['attack']}`)",
                    f"{codes['missed']} of {codes['total']}",
                    _cost(codes),
                    "; ".join(f"`{name}` {_cost(row)}" for name, row in found.items()),
                    f"{said['certified_but_broken']} of {said['certified']}",
                )
            )
    if not rows:
        return []
    made = [f"`{study['setting']}`: {made_at(study)}" for study in studies]
    made += dict.fromkeys(map(made_on, studies))
    heads = (
        "setting",
        "eps",
        "left by the code-space attack",
        "best other attack",
        "it misses",
        "gradients, queries an image",
        "the others'",
        "certified but broken",
    )
    return [
        "The suite `standard` on 200 random images of the same settings, each attack through each "
        "surrogate, the better of them; *it misses*: images that the code-space attack "
        "leaves and another breaks.",
        "",
        *markdown(heads, rows),
        f"(`studies/decided_attacks.py`; {'; '.join(made)})",
        "",
    ]


def _cost(row: dict) -> str:
    return f"{row['gradients_per_image']:.0f}, {row['queries_per_image']:.0f}"


def _strongest(rows: Sequence[dict]) -> list[dict]:
    """Return a row for each attack: the surrogate that leaves least, all its costs together."""
    best: dict[str, dict] = {}
    for row in rows:
        kept = best.setdefault(row["attack"], row | _NO_COST)
        kept["gradients_per_image"] += row["gradients_per_image"]
        kept["queries_per_image"] += row["queries_per_image"]
        if row["count"] < kept["count"]:
            kept |= {name: row[name] for name in ("count", "value", "missed")}
    return list(best.values())


_NO_COST = {"gradients_per_image": 0.0, "queries_per_image": 0.0}


def paint(figure: Any) -> None:
    """Draw certified and unbroken over budgets, a panel for each training."""
    titles = {
        "disc_adv_pre": "trained adversarially",
        "disc_nat_pre": "trained naturally",
    }
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (setting, title) in zip(panels, titles.items(), strict=True):
        # of two records of a budget that of more images
        at = {
            row["eps"]: (study["images"], row)
            for study in sorted(_studies("decided"), key=lambda study: study["images"])
            if study["setting"] == setting
            for row in study["rows"]
        }
        points = [(eps, total, row) for eps, (total, row) in sorted(at.items())]
        eps = [eps for eps, *_ in points]
        certified = [100 * row["certified"] / total for _, total, row in points]
        unbroken = [100 - 100 * row["falsified"] / total for _, total, row in points]
        clean = [100 - 100 * row["wrong_when_clean"] / total for _, total, row in points]
        axes.fill_between(eps, certified, unbroken, color=SHADE, label="undecided", linewidth=0)
        look = {"clip_on": False}
        axes.plot(eps, clean, ":", color=INK, label="clean", **look)
        axes.plot(eps, unbroken, "v--", color=BLUE, label="unbroken", **look)
        axes.plot(eps, certified, "o-", color=GREEN, label="certified", **look)
        axes.set(title=title, xlabel="l_inf budget eps", ylim=(0, 100))
    panels[0].set_ylabel("test images (%)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
