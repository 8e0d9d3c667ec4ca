"""CIFAR-10 subset, 10 density codewords, radius 64/255: time and memory, in a process of its own.

python -m studies.colour_codebook --data-dir DIR
"""

import resource
import time

import art_disc as ad
from studies import common


def main() -> None:
    options = common.parser(__doc__.splitlines()[0]).parse_args()
    data = ad.load_dataset("cifar10", data_dir=options.data_dir)
    loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu = time.perf_counter(), time.process_time()
    codebook = ad.DensityCodebook(n_codes=10, radius=64 / 255).fit(data.x_train)
    common.write(
        "colour_codebook",
        {
            "dataset": {"name": data.name, "fingerprint": data.fingerprint},
            "images": len(data.x_train),
            "seconds": round(time.perf_counter() - start, 2),
            "cpu_seconds": round(time.process_time() - cpu, 2),
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
            "peak_memory_after_loading_mb": loaded / 1000,
            "codewords_255": codebook.levels,
            "separation_255": 255 * codebook.separation(),
        },
        options.threads,
    )


if __name__ == "__main__":
    main()
