"""What studies of defences that draw found: parts and pictures of docs/randomised_results.md."""

from statistics import median
from typing import Any

from art_disc.report.drawing import BLUE, GREEN, GREY, INK, ORANGE, PURPLE
from art_disc.reproduction import published_randomised
from studies.common import load, markdown, where

# Zhang, Liang 2019, section 5.1
PUBLISHED = {
    (row.defence, row.eps): row.value
    for row in published_randomised("text")
    if (row.dataset, row.base, row.metric) == ("mnist", "natural", "robust")
}


def share(count: dict[str, Any]) -> str:
    low, high = count["ci95"]
    number = 100 * count["right"] / count["of"]
    return f"{number:.1f} % [{100 * low:.1f}, {100 * high:.1f}] of {count['of']}"


def budget(eps: float) -> str:
    grey = 255 * eps
    return f"{grey:.0f}/255" if eps < 0.02 else f"{eps:g}"


def papers(row: dict[str, Any]) -> dict[str, Any] | None:
    """The papers' attack on the defence itself: not the one made for the bare network."""
    own = [a for a in row["attacks"] if a["attack"].startswith("papers:")]
    if row["defence"] != "none":
        own = [a for a in own if "on none," not in a["attack"]]
    return own[0] if own else None


def attacked(dataset: str) -> list[str]:
    """Return what attacks leave of a data set's defences, and by which attacks."""
    found = load(f"randomised_attack_{dataset}")
    rows, defences = [], found["settings"]["defences"]
    for row in found["rows"]:
        theirs = papers(row)
        printed = PUBLISHED.get((defences[row["defence"]], row["eps"]))
        rows.append(
            (
                budget(row["eps"]),
                row["defence"],
                share(row["clean"]),
                "" if theirs is None else share(theirs),
                *(("" if printed is None else f"{printed:g} %",) if dataset == "mnist" else ()),
                f"{share(row['worst'])} ({row['lowest single']})",
            )
        )
    printed = ["printed"] if dataset == "mnist" else []
    heads = ["eps", "defence", "clean", "papers' attack", *printed, "worst of all (lowest single)"]
    lines = markdown(heads, rows)
    made = dict.fromkeys(a["attack"] for row in found["rows"] for a in row["attacks"])
    lines += ["Attacks:", "", *(f"- {words}" for words in made), ""]
    settings = found["settings"]
    lines += [
        f"Images: {settings['images']}; {settings['votes'].partition(';')[0]}; 95 % "
        "Clopper-Pearson intervals over images."
    ]
    defences = "; ".join(f"{k}: `{v}`" for k, v in settings["defences"].items() if v != "none")
    lines += [f"Defences: {defences}.", ""]
    return [*lines, f"(`studies/randomised_attack.py`; {where(found)})", ""]


def certified() -> list[str]:
    """Return what three bounds certify of fixed codewords on MNIST."""
    found = load("mnist_randomised_certificate")
    rows = found["rows"]
    total = rows[0]["total"]
    settings = found["settings"]
    attack = "PGD-40, mean of 20 gradients"
    return [
        f"First {total} test images, {settings['draws']} votes each, every verdict with confidence "
        f"{settings['confidence']}. For each budget the down-sampling, the noise and the network "
        "(trained naturally, or trained on through the defence: `noisy`) are those that certified "
        f"most of {settings['choosing']} by the tight bound. Pinsker and smoothing stand beside it "
        "for the same classifier, and for the one that certified most of those training images by "
        "them.",
        "",
        *level_with_pinsker(rows),
        *markdown(
            (
                "eps",
                "chosen (filter-stride, sigma, network)",
                "clean",
                "tight",
                "Pinsker",
                "smoothing",
                "Pinsker, its own choice",
                "smoothing, its own choice",
                "99 % lower limit of tight",
                f"left by {attack}",
            ),
            (
                (
                    f"{row['eps']:g}",
                    row["defence"].replace("_", ", "),
                    f"{100 * row['clean'] / total:.1f} %",
                    *(f"{100 * row['certified'][b] / total:.1f} %" for b in BOUNDS),
                    *(own_choice(row, b) for b in BOUNDS[1:]),
                    f"{100 * row['limit99']['tight']:.1f} %",
                    share(row[attack]),
                )
                for row in rows
            ),
        ),
        f"(`studies/mnist_randomised_certificate.py`; {where(found)})",
        "",
    ]


def cost() -> list[str]:
    """Return the time and the memory of gradients of many draws."""
    found = load("eot_cost")
    spent = found["cpu_seconds"]
    words = {
        "bare": "bare network, one gradient after the other (ART's `loss_gradient`)",
        "draws": "defended, `eot_samples` draws, default memory",
        "draws_at_the_memory_of_one": "the same in the memory of a single draw",
        "loop": "a loop over single draws, our class",
        "loop_of_arts_class": "a loop over single draws, ART's class around our module",
        "arts_eot": "ART's own expectation over transformation",
    }
    rows = [
        (words[key], f"{median(spent[key]):.2f} ({min(spent[key]):.2f} to {max(spent[key]):.2f})")
        for key in words
    ]
    memory = [
        (
            f"{part['stated'] / 1e6:.2f} MB" if "stated" in part else f"({part['of']})",
            f"{part['kept'] / 1e6:.2f} MB",
            f"{part['alive'] / 1e6:.2f} MB",
        )
        for part in found["memory"]
    ]
    return [
        f"Loss gradients of {found['images']} MNIST images, Madry's network, {found['weights']} "
        "weights, RandDisc with the paper's settings; medians of five and their range, in one run, "
        "all kinds in turn.",
        "",
        *markdown((f"{found['draws']} gradients an image", "CPU seconds"), rows),
        "What autograd keeps for the backward pass, and all tensors that live at once, short-lived "
        "ones included, beside the `memory_bytes` that were stated; the loops have no limit.",
        "",
        *markdown(("`memory_bytes`", "kept for the backward pass", "alive at most"), memory),
        f"(`studies/eot_cost.py`; {where(found)})",
        "",
    ]


BOUNDS = ("tight", "pinsker", "smoothing")


def own_choice(row: dict[str, Any], bound: str) -> str:
    """What a bound certifies with the classifier that it would have chosen."""
    if bound not in row["chosen by"]:
        return "none"
    found = row["chosen by"][bound]
    share = 100 * found["certified"][bound] / found["total"]
    return f"{share:.1f} % ({found['defence'].replace('_', ', ')})"


def level_with_pinsker(rows: list[dict[str, Any]]) -> list[str]:
    """Say at which budgets the tight bound certifies no more than Pinsker does."""
    lines = [
        f"At eps {row['eps']:g} the tight bound and Pinsker certify the same "
        f"{row['certified']['tight']} of the {row['clean']} images that are right when clean."
        for row in rows
        if row["certified"]["tight"] == row["certified"]["pinsker"] > 0
    ]
    return [*lines, ""] if lines else []


def paint_certified(figure: Any) -> None:
    """Draw what three bounds certify over budgets."""
    rows = load("mnist_randomised_certificate")["rows"]
    axes = figure.add_subplot()
    eps = [row["eps"] for row in rows]
    total = rows[0]["total"]
    axes.plot(eps, [100 * row["clean"] / total for row in rows], ":", color=INK, label="clean")
    looks = zip(BOUNDS, (BLUE, ORANGE, GREEN), ("o-", "^--", "D-."), strict=True)
    for bound, colour, look in looks:
        line = [100 * row["certified"][bound] / total for row in rows]
        axes.plot(eps, line, look, color=colour, label=f"certified, {bound}")
    left = [row["PGD-40, mean of 20 gradients"] for row in rows]
    axes.plot(eps, [100 * p["right"] / p["of"] for p in left], "v-", color=PURPLE, label="PGD, EOT")
    axes.set(xlabel="eps in [0, 1]", ylabel="accuracy (%)", ylim=(0, 101))
    figure.legend(loc="outside lower center", ncols=3, fontsize=9)


def paint_attack(figure: Any) -> None:
    """Draw what attacks leave over budgets."""
    rows = load("randomised_attack_mnist")["rows"]
    axes = figure.add_subplot()
    looks = {
        "none": (INK, "s"),
        "Gaussian": (GREY, "D"),
        "RandDisc": (BLUE, "o"),
        "RandMix": (GREEN, "^"),
    }
    for name, (colour, marker) in looks.items():
        mine = [row for row in rows if row["defence"] == name]
        eps = [0.0, *(row["eps"] for row in mine)]
        clean = 100 * mine[0]["clean"]["right"] / mine[0]["clean"]["of"]
        worst = [100 * row["worst"]["right"] / row["worst"]["of"] for row in mine]
        axes.plot(eps, [clean, *worst], marker + "-", color=colour, label=f"{name}, worst of all")
        theirs = [papers(row) for row in mine]
        if name != "none" and all(theirs):
            line = [100 * a["right"] / a["of"] for a in theirs if a is not None]
            axes.plot(eps, [clean, *line], marker + "--", color=colour, label=f"{name}, papers'")
    axes.set(xlabel="eps in [0, 1]", ylabel="accuracy (%)", ylim=(0, 101))
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
