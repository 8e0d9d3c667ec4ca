"""What single studies found, as parts of pages (`studies.pages`)."""

from studies import sweep_at_scale
from studies.common import about, load, markdown, timed_ratio, where


def percent(share: dict) -> str:
    """Return a share with its 95 % interval and what it is of, in words."""
    low, high = share["ci95"]
    return f"{100 * share['value']:.1f} % [{100 * low:.1f}, {100 * high:.1f}] of {share['total']}"


def attacks() -> list[str]:
    """Return what attacks leave of two codewords on MNIST."""
    result = load("mnist_two_codes")
    base, defended = result["clean_10000"]["base"], result["clean_10000"]["defended"]
    rows = {
        (row["attack"], row["scored_on"], row["surrogate"], row["knowledge"]): row
        for row in result["attacks"]
    }
    pgd_base = rows["pgd", "base", None, "base"]
    published = result["published"]
    soft, identity = (
        percent(rows["pgd", "defended", name, "bpda"]) for name in ("soft(alpha=10)", "identity")
    )
    cells = (
        (
            "clean, 10,000 images",
            f"{100 * base['value']:.2f} %",
            f"{100 * defended['value']:.2f} %",
            f"{published['clean']} %",
        ),
        (
            "the papers' BPDA attack (100 steps)",
            "",
            percent(result["papers_attack_soft"]),
            f"{published['bpda']} %",
        ),
        (
            "PGD-100, 2 random starts",
            percent(pgd_base),
            f"soft {soft}; identity {identity}",
            "",
        ),
        (
            "worst over all gradient attacks, example by example",
            "",
            percent(result["worst_1000_gradient_attacks"]),
            "",
        ),
        (
            "the same and Square (1,000 queries) on the first 300",
            "",
            percent(result["worst_300_all_attacks"]),
            "",
        ),
    )
    lines = [
        "MNIST, Madry's network trained naturally, two density codewords "
        f"{{0, {result['codewords_255'][1]:.0f}/255}}, no retraining, l_inf eps {result['eps']}:",
        "",
        *markdown(("accuracy", "base", "defended", "published (Chen et al. 2019)"), cells),
        f"(`studies/mnist_two_codes.py`; first 1,000 test images, 95 % Wilson intervals; "
        f"{where(result)})",
    ]
    return [*lines, ""]


def checks() -> list[str]:
    """Return what is left under the checks, and their verdict."""
    result = load("mnist_checks")
    cost = result["cost"]
    red = [f"{c['id']} ({c['summary']})" for c in result["checks"] if c["status"] == "fail"]
    shares = {
        "the papers' attack": result["papers_attack"],
        "worst of all white-box attacks": result["worst_white_box"],
        "worst of all attacks, example by example": result["worst"],
        "the same on the 8-bit grid": result["worst_on_8bit_grid"],
        "undefended network": result["worst_base"],
        "the network trained on adversarially for a few minutes, for transfers": result[
            "reference"
        ]["worst"],
    }
    left = ((name, percent(share)) for name, share in shares.items())
    missing = [c["id"] for c in result["checks"] if c["status"] == "not run"]
    lines = [
        "The same defence under the `standard` checks, first 200 images, "
        f"l_inf eps {result['eps']}:",
        "",
        *markdown(
            ("", "left"),
            (("published, the papers' attack", f"{result['published']['bpda']} %"), *left),
        ),
        f"Verdict: {result['verdict']}. Failed: {'; '.join(red) or 'none'}. Not run: "
        f"{', '.join(missing) or 'none'}. {cost['attacks']} attacks, "
        f"{cost['gradients_per_image']:,.0f} gradients and "
        f"{cost['queries_per_image']:,.0f} queries an image, {cost['seconds'] / 60:.0f} minutes.",
        "",
        f"(`studies/mnist_checks.py`; {where(result)})",
    ]
    return [*lines, ""]


def costs() -> list[str]:
    """Return what the defence, its codebooks, thermometer codes and sweeps cost."""
    parts = _overhead(), _colour(), _medoids(), _thermometer(), sweep_at_scale.lines()
    return "\n\n".join(parts).splitlines()


def _overhead() -> str:
    result = load("overhead")
    pgd, records = result["pgd20_defended_over_base"], result["records_and_report"]
    return (
        f"PGD-{pgd['steps']} on {pgd['images']} MNIST images takes "
        f"{timed_ratio(pgd['seconds']['defended'], pgd['seconds']['base'])} as long through the "
        "two-codeword defence as on the bare network; records and report take "
        f"{100 * records['share']:.1f} % of an evaluation "
        f"(`studies/overhead.py`; {where(result)})."
    )


def _colour() -> str:
    result = load("colour_codebook")
    return (
        f"Ten colour codewords, radius 64/255, from {result['images']:,} CIFAR-10 images: "
        f"about {about(result['cpu_seconds'])} s of CPU time, "
        f"{result['peak_memory_mb'] / 1000:.2f} GB at most, the images included "
        f"(`studies/colour_codebook.py`; {where(result)})."
    )


def _medoids() -> str:
    result = load("kmedoids_colour")
    found, density = result["rows"]["kmedoids"], result["rows"]["density"]
    return (
        f"300 colour medoids from the same images: about {about(found['seconds'])} s, "
        f"{found['peak_memory_mb'] / 1000:.2f} GB at most; their cost on all pixels is "
        f"{result['cost_above_larger_sample']:.2%} above that of a run on a ten times larger "
        "sample. 300 density codewords, radius 16/255: about "
        f"{about(density['seconds'])} s "
        f"(`studies/kmedoids_colour.py`; {where(result)})."
    )


def _thermometer() -> str:
    result = load("thermometer_speed")
    seconds = (layout["seconds"] for layout in result["layouts"])
    first, last = (timed_ratio(spent["art"], spent["ours"]) for spent in seconds)
    return (
        f"Thermometer codes, {result['levels']} levels, {result['images']} CIFAR-10 images: "
        f"NCHW {first}, NHWC {last} as fast as ART's own `ThermometerEncoding` in the same run, "
        "equal values "
        f"(`studies/thermometer_speed.py`; {where(result)})."
    )


def certificates() -> list[str]:
    """Return what enumeration certifies."""
    result = load("mnist_certificate")
    lines = [
        "The certificate by enumeration on the first 1,000 images, "
        f"`max_free={result['max_free']}`:",
        "",
        *markdown(
            ("eps", "certified", "falsified", "undecided", "exact 99 % lower limit"),
            (
                (
                    *(str(row[name]) for name in ("eps", "certified", "falsified", "undecided")),
                    f"{100 * row['lower_limit_99']:.1f} %",
                )
                for row in result["rows"]
            ),
        ),
    ]
    return [*lines, f"(`studies/mnist_certificate.py`; {where(result)})", ""]


def free_pixels() -> list[str]:
    """Return how many images enumeration has to give up."""
    result = load("mnist_free_pixels")
    lines = [
        "Images with more than b free pixels, of 10,000, as the papers' float rule counts them and "
        "with every tie counted:",
        "",
        *markdown(
            ("eps", "b", "printed", "float rule", "exact rule"),
            (
                (
                    f"{row['eps']}",
                    f"{row['b']}",
                    f"{row['published_percent']} %",
                    f"{row['paper_float_percent']:.2f} %",
                    f"{row['exact_percent']:.2f} %",
                )
                for row in result["rows"]
            ),
        ),
    ]
    return [*lines, f"(`studies/mnist_free_pixels.py`; {where(result)})", ""]


def hardness() -> list[str]:
    """Return how far budgets reach into the codes of data sets."""
    result = load("hardness")
    heads = ("data", "codebook", "eps", "median", "printed", "pixels that can change")
    return [
        "How far a budget reaches into a data set's codes, median over test images of the "
        "exponent's share (1/d) log_k of the code images in reach, and the share of training "
        "pixels that can change their codeword:",
        "",
        *markdown(heads, map(_hardness_row, result["rows"])),
        f"(`studies/hardness.py`; printed: Chen et al. 2019; {where(result)})",
    ]


def _hardness_row(row: dict) -> tuple[str, ...]:
    exact = next(
        c for c in row["equivalence_classes"] if (c["rule"], c["domain"]) == ("exact", "real")
    )
    printed = row["printed_median_per_pixel"]
    return (
        row["dataset"],
        row["codebook"],
        f"{row['eps']:.3g}",
        f"{exact['median_per_pixel']:.3f}",
        str(printed or ""),
        f"{row['separability']['share_of_pixels_free']:.1%}",
    )
