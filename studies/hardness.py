"""How hard four data sets are to defend by discretisation, before any network is trained.

Equivalence classes in reach of test images (Figure 5 of Chen et al. 2019), pixels around each
colour of the training images (Figure 6) and separability (section V-B). The papers print three
figures: a median of 0.06 for MNIST and 0.27 for CIFAR-10 (k = 300, eps 8), and a largest
neighbourhood of 1,567,080 pixels of all 50,000 CIFAR-10 training images.

    python -m studies.hardness --data-dir DIR
"""

import itertools

import numpy as np

import art_disc as ad
from art_disc.metrics import equivalence_classes, neighbourhood_sizes, separability
from studies import common

GREY = {"mnist": 0.6, "fashion_mnist": 0.2}
COLOUR = ("cifar10", "gtsrb")
IMAGES = 1000
K = 300
PRINTED = {("mnist", 0.3): 0.06, ("cifar10", 8 / 255): 0.27}
NOTES = [
    "47 of 784 pixels (MNIST) and 300^276 (CIFAR-10) in the text are 784 * 0.06 and 1024 * 0.27: "
    "they follow from medians rounded to two decimals. Ours for MNIST, 48 and 49 pixels, round to "
    "0.06 as well.",
    "For CIFAR-10 the exact count is above the printed 0.27: 0.28 where changed pixels are 8-bit "
    "again, 0.30 where they are real. k-medoids and the rule d <= d* + 2 eps lie higher still. The "
    "paper does not say how C_i was computed, nor which of its codebooks of 300 codewords was "
    "used. Of the other ways to count that were tried, those that look at the 8 corners of the box "
    "and the pixel alone, or stop one level short of the budget with real-valued changes, round to "
    "0.27; which of them, if any, was printed cannot be told. A codebook learned from half of the "
    "images changes the median by less than 0.005, so that our having 20,000 of 50,000 training "
    "images is not likely to be the reason.",
    "The largest neighbourhood of our 20,000 training images times 50,000 / 20,000 is near the "
    "printed 1,567,080: the paper counts pixels, not distinct colours, of which a ball holds at "
    "most 17^3 = 4,913.",
]


def classes(
    data: ad.Dataset, book: ad.Codebook, eps: float, images: int
) -> list[dict[str, object]]:
    """Every rule and domain on the first test images."""
    rows = []
    for rule, domain in (("exact", "8bit"), ("exact", "real"), ("paper", "real")):
        clock = common.Clock()
        found = equivalence_classes(data.x_test[:images], book, eps=eps, rule=rule, domain=domain)
        rows.append(found.facts() | clock.facts())
    return rows


def named(book: ad.Codebook) -> str:
    """Return kind and settings in words."""
    if isinstance(book, ad.DensityCodebook):
        return f"density, k = {book.n_codes_}, radius {255 * book.radius:g}/255"
    return f"k-medoids, k = {book.n_codes_}, seed 0"


def one(data: ad.Dataset, counts: ad.PixelCounts, book: ad.Codebook, eps: float) -> dict:
    """Everything about one codebook and budget."""
    images = IMAGES if book.n_channels_ > 1 else len(data.x_test)
    row = {
        "dataset": data.name,
        "codebook": named(book),
        "n_codes": book.n_codes_,
        "eps": eps,
        "printed_median_per_pixel": None,
        "equivalence_classes": classes(data, book, eps, images),
        "separability": separability(counts, book, eps=eps, domain="8bit").facts(),
    }
    printed = PRINTED.get((data.name, eps))
    # the papers' figures are for the density codebook, where they say
    row["printed_median_per_pixel"] = printed if isinstance(book, ad.DensityCodebook) else None
    medians = [round(part["median_per_pixel"], 4) for part in row["equivalence_classes"]]
    print(
        data.name, named(book), f"{eps:.4g}", medians, row["separability"]["share_of_pixels_free"]
    )
    return row


def around(data: ad.Dataset, counts: ad.PixelCounts, eps: float) -> dict:
    """Neighbourhood sizes and what they cost."""
    clock = common.Clock()
    found = neighbourhood_sizes(counts, eps=eps)
    spent = clock.facts()
    row = {"dataset": data.name, "training_images": len(data.x_train)} | spent | found.facts()
    row["peak_memory_of_the_process_mb"] = common.peak_memory_mb()
    if data.name == "cifar10":
        row["largest_times_50000_over_images"] = row["largest"] * 50_000 / len(data.x_train)
        row["printed_largest_of_50000_images"] = 1_567_080
    print(row)
    return row


def variants(data: ad.Dataset, book: ad.Codebook) -> dict[str, float]:
    """Return the CIFAR-10 median under other ways to count."""
    x = data.x_test[:IMAGES]
    found = {
        f"eps 7/255, {domain}": equivalence_classes(x, book, eps=7 / 255, domain=domain).median
        for domain in ("8bit", "real")
    }
    fewer = ad.DensityCodebook(n_codes=K, radius=16 / 255).fit(data.x_train[::2])
    found["codebook of every second image, 8bit"] = equivalence_classes(
        x, fewer, eps=8 / 255, domain="8bit"
    ).median
    for name, steps in (("8 corners and the pixel", (-8, 8)), ("27 points", (-8, 0, 8))):
        offsets = np.array([*itertools.product(steps, repeat=3), (0, 0, 0)])
        found[f"{name}, 8/255"] = sampled(x, book, offsets)
    return found


def sampled(x: np.ndarray, book: ad.Codebook, offsets: np.ndarray) -> float:
    """Return the median where only these points of the box are looked at."""
    pixels = np.rint(255 * np.moveaxis(x, 1, -1).reshape(len(x), -1, 3)).astype(np.int64)
    logs = []
    for image in pixels:
        points = np.clip(image[:, None] + offsets, 0, 255).astype(np.float32) / np.float32(255)
        codes = np.sort(book.assign(points), axis=1)
        sizes = 1 + (np.diff(codes, axis=1) != 0).sum(axis=1)
        logs.append(np.log(sizes).sum() / np.log(book.n_codes_) / len(image))
    return float(np.median(logs))


def main() -> None:
    options = common.parser(__doc__.splitlines()[0]).parse_args()
    rows, sizes, datasets, others = [], [], [], {}
    for name in (*GREY, *COLOUR):
        data = ad.load_dataset(name, data_dir=options.data_dir)
        counts = ad.PixelCounts.of(data.x_train)
        datasets.append({"name": name, "fingerprint": data.fingerprint, "test": len(data.x_test)})
        if name in GREY:
            books = [ad.DensityCodebook(n_codes=2, radius=GREY[name]).fit(counts)]
            budgets = [0.1, 0.3]
        else:
            books = [
                ad.DensityCodebook(n_codes=K, radius=16 / 255).fit(counts),
                ad.KMedoidsCodebook(n_codes=K, random_state=0).fit(counts),
            ]
            budgets = [2 / 255, 4 / 255, 8 / 255]
        sizes.append(around(data, counts, budgets[-1]))
        rows += [one(data, counts, book, eps) for book in books for eps in budgets]
        if name == "cifar10":
            others = variants(data, books[0])
            print(others)
    body = {
        "source": "Chen et al. 2019, sections V-A2 and V-B, Figures 5 and 6",
        "images": f"all test images of the grey sets, the first {IMAGES} of the colour sets; "
        "neighbourhoods and separability: all training images; separability on the 8-bit grid",
        "datasets": datasets,
        "rows": rows,
        "cifar10_median_counted_otherwise": others,
        "neighbourhoods": sizes,
        "notes": NOTES,
    }
    common.write("hardness", body, options.threads)


if __name__ == "__main__":
    main()
