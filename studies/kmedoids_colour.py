"""300 colour medoids of the CIFAR-10 subset: time, memory, and a sample ten times larger beside it.

python -m studies.kmedoids_colour --data-dir DIR
"""

import argparse
from typing import Any

import art_disc as ad
from studies import common

SAMPLE = 20_000


def timed(codebook: Any, pixels: Any) -> dict[str, Any]:
    clock = common.Clock()
    codebook.fit(pixels)
    return {
        **clock.facts(),
        "peak_memory_mb": common.peak_memory_mb(),
        "codewords": codebook.n_codes_,
        "cost": getattr(codebook, "cost_", None),
        "sample_cost": getattr(codebook, "sample_cost_", None),
        "swaps": getattr(codebook, "n_swaps_", None),
    }


def main() -> None:
    words: argparse.ArgumentParser = common.parser(__doc__.splitlines()[0])
    words.add_argument("--sample-size", type=int, default=SAMPLE)
    words.add_argument("--times", type=int, default=10, help="how much larger the other sample is")
    options = words.parse_args()
    size = options.sample_size
    data = ad.load_dataset("cifar10", data_dir=options.data_dir)
    # the first fit counts the pixels too, as a user's would; memory only ever rises
    medoids = ad.KMedoidsCodebook(300, sample_size=size, random_state=0)
    rows = {"kmedoids": timed(medoids, data.x_train)}
    rows["density"] = timed(ad.DensityCodebook(300, 16 / 255), data.x_train)
    counts = ad.PixelCounts.of(data.x_train)
    larger = ad.KMedoidsCodebook(300, sample_size=options.times * size, random_state=0)
    rows["kmedoids_larger_sample"] = timed(larger, counts)
    rows["kmeans"] = timed(ad.KMeansCodebook(300, random_state=0), counts)
    excess = rows["kmedoids"]["cost"] / rows["kmedoids_larger_sample"]["cost"] - 1
    common.write(
        "kmedoids_colour",
        {
            "dataset": {"name": data.name, "fingerprint": data.fingerprint},
            "images": len(data.x_train),
            "pixels": counts.total,
            "colours": len(counts.counts),
            "sample_size": size,
            "larger_sample_size": options.times * size,
            "cost_above_larger_sample": round(excess, 5),
            "rows": rows,
        },
        options.threads,
    )


if __name__ == "__main__":
    main()
