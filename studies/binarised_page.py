"""What the studies of binarised networks found, as parts of docs/binarised.md."""

from studies.common import RESULTS, load, markdown, where
from studies.summary import percent


def attacked() -> list[str]:
    """Return what is left of the networks of `studies.binarised_attacks`, and by which gradient."""
    paths = sorted(RESULTS.glob("binarised_attacks_*.json"))
    found = {
        p.stem.removeprefix("binarised_attacks_").replace("_", " "): load(p.stem) for p in paths
    }
    parts = ("clean", "fgsm", "suite")
    left = [
        (name, f"{one['eps']:g}", *(percent(one["found"][part]) for part in parts))
        for name, one in found.items()
    ]
    lines = markdown(("input", "eps", "clean", "one FGSM", "suite, fewer steps"), left)
    for name, one in found.items():
        by: dict[str, dict[str, str]] = {}
        for row in one["found"]["attacks"]:
            if row["surrogate"]:
                through = row["surrogate"].removeprefix("identity+")
                by.setdefault(through, {})[row["attack"]] = f"{100 * row['value']:.1f} %"
        heads = list(dict.fromkeys(attack for cells in by.values() for attack in cells))
        each = [(f"`{key}`", *(cells.get(a, "") for a in heads)) for key, cells in by.items()]
        lines += markdown((f"{name}, through", *heads), each)
    made = "; ".join(f"{name}: {where(one)}" for name, one in found.items())
    return [*lines, f"(`studies/binarised_attacks.py`; {made})"]


def verified() -> list[str]:
    """Return what `studies.verified_binarised` proved, what attacks left, and what it says."""
    paths = sorted((RESULTS / "verified_binarised").glob("*.json"), reverse=True)
    found = {p.stem.partition("-")[0]: load(f"verified_binarised/{p.stem}") for p in paths}
    rows = []
    for name, one in found.items():
        for row in one["rows"]:
            shares = [
                f"{row[key]:,} ({100 * row[key] / one['images']:.1f} %)"
                for key in ("certified", "attacks_leave")
            ]
            counts = shares[0], f"{row['falsified']:,}", f"{row['undecided']:,}", shares[1]
            of = f"`{name}`, {one['images']:,}"
            rows.append((of, f"{row['eps']:g}", *counts, f"{row['seconds']:.0f}"))
    heads = (
        "network, images",
        "eps",
        "certified",
        "falsified, with those wrong when clean",
        "undecided",
        "attacks leave",
        "seconds in all",
    )
    first = next(iter(found.values()))
    settings, printed = first["attacks"]["settings"], [row["published"] for row in first["rows"]]
    proved, left = (" and ".join(f"{row[key]} %" for row in printed) for key in ("verified", "pgd"))
    right = "; ".join(
        f"`{name}`: {100 * one['accuracy_10000']:.1f} %" for name, one in found.items()
    )
    return [
        f"Right of all test images when clean: {right}. Images drawn at random from the test set, "
        f"one core, at most {first['seconds_an_image']:g} s an image:",
        "",
        *markdown(heads, rows),
        f"The attacks are the one on codes ({settings['code_space.num_random_init']} starts, "
        f"{settings['code_space.annealing']:,} random flips each), PGD, AutoPGD and Square: where "
        "they leave more than is certified or undecided, the solver found what they did not. "
        "For comparison only, networks, codes and training being others: "
        f"Jia and Rinard verify {proved} where PGD leaves {left}.",
        "",
        "(`studies/verified_binarised.py`; "
        + "; ".join(f"{name}: {where(one)}" for name, one in found.items())
        + ")",
    ]


def searched() -> list[str]:
    """Return what the attack on codes overlooks of what the solver falsified."""
    found = load("binarised_search")
    budgets = [f"{one['eps']:g}" for one in found["rows"]]
    rows = [
        (
            f"{levels[0]['starts']}",
            f"{levels[0]['flips']:,}",
            *(f"{one['left']} ({100 * one['left'] / found['images']:.1f} %)" for one in levels),
        )
        for levels in zip(*(one["levels"] for one in found["rows"]), strict=True)
    ]
    there = " and ".join(f"{one['falsified']} at {one['eps']:g}" for one in found["rows"])
    heads = ("starts", "random flips each", *(f"left at {eps}" for eps in budgets))
    return [
        f"Of these {found['images']:,} images, {there} are right when clean and falsified. The "
        "attack on codes alone, each line on what the lines above leave:",
        "",
        *markdown(heads, rows),
        f"(`studies/binarised_search.py`; {where(found)})",
    ]


def cost() -> list[str]:
    """Return the times of networks of signs, and how small their files are."""
    found = load("binarised_cost")
    rows = [
        (
            f"`{row['network']}`, {row['images']:,}",
            *(f"{float(f'{row[kind]:.3g}'):,g}" for kind in ("latent", "signs", "int8")),
        )
        for row in found["milliseconds_of_networks"]
    ]
    size = {
        (row["network"], row["binarization"]): f"{row['float'] / row['bits']:.1f}"
        for row in found["files"]
    }
    return [
        f"Milliseconds of a pass, one thread ({found['capability']}), least of several: with "
        "latent weights, with signs alone (a file of bits that was loaded), and with int8:",
        "",
        *markdown(("network, images", "latent", "signs", "int8"), rows),
        f"A file of bits is {size['fcn1', 'bnn']} (`fcn1`), {size['fcn2', 'bnn']} (`fcn2`) and "
        f"{size['binarynet_cifar', 'bnn']} times (`binarynet_cifar`) smaller than the float file, "
        f"{size['resnet20', 'bnn']} times for `resnet20`, a part of which is real; of `fcn2` as "
        f"`xnor`, whose first layer is real, {size['fcn2', 'xnor']} times.",
        "",
        f"(`studies/binarised_cost.py`; {where(found)})",
    ]
