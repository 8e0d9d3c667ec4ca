"""CIFAR-10 subset, 10 density codewords, radius 64/255: time and memory, in a process of its own.

python -m studies.colour_codebook --data-dir DIR
"""

import art_disc as ad
from studies import common


def main() -> None:
    options = common.parser(__doc__.splitlines()[0]).parse_args()
    data = ad.load_dataset("cifar10", data_dir=options.data_dir)
    loaded, clock = common.peak_memory_mb(), common.Clock()
    codebook = ad.DensityCodebook(n_codes=10, radius=64 / 255).fit(data.x_train)
    common.write(
        "colour_codebook",
        {
            "dataset": {"name": data.name, "fingerprint": data.fingerprint},
            "images": len(data.x_train),
            **clock.facts(),
            "peak_memory_mb": common.peak_memory_mb(),
            "peak_memory_after_loading_mb": loaded,
            "codewords_255": codebook.levels,
            "separation_255": 255 * codebook.separation(),
        },
        options.threads,
    )


if __name__ == "__main__":
    main()
