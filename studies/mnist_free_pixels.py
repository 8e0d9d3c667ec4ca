"""MNIST, two codewords: share of the 10,000 test images with more than b free pixels.

The papers' Table IV calls these images Unable. `paper_float` computes the printed inequality as the
published tables must have (float32 pixels, float64 comparison); `exact` counts every codeword that
a perturbation can really reach, ties included.

    python -m studies.mnist_free_pixels --data-dir DIR
"""

import numpy as np

import art_disc as ad
from studies import common

BOUNDS = {0.05: 30, 0.10: 30, 0.15: 26, 0.20: 25, 0.25: 25, 0.30: 25}
PUBLISHED = {0.05: 0.43, 0.10: 1.30, 0.15: 29.18, 0.20: 74.38, 0.25: 89.48, 0.30: 95.67}


def main() -> None:
    options = common.parser(__doc__.splitlines()[0]).parse_args()
    data = ad.load_dataset("mnist", data_dir=options.data_dir)
    codebook = ad.DensityCodebook(n_codes=2, radius=0.6).fit(data.x_train)
    levels = np.rint(255 * data.x_test).astype(np.float32)
    published_pixels = levels * np.float32(1 / 255)
    rows = []
    for eps, bound in BOUNDS.items():
        row = {"eps": eps, "b": bound, "published_percent": PUBLISHED[eps]}
        for rule, x in (("paper_float", published_pixels), ("exact", data.x_test)):
            free = ad.metrics.free_pixels(x, codebook, eps=eps, rule=rule)
            row[f"{rule}_unable"] = int((free > bound).sum())
            row[f"{rule}_percent"] = 100 * float((free > bound).mean())
            row[f"{rule}_median_free"] = float(np.median(free))
        rows.append(row)
        print(row)
    common.write(
        "mnist_free_pixels",
        {
            "dataset": {"name": data.name, "fingerprint": data.fingerprint, "n": len(data.x_test)},
            "codewords_255": [level[0] for level in codebook.levels],
            "source": "Chen et al. 2019, Table IV",
            "rows": rows,
        },
        options.threads,
    )


if __name__ == "__main__":
    main()
