"""What the defence costs an attack, and what records, checks and report cost a run.

PGD-20 on Madry's network, 128 MNIST images: through the two-codeword defence and on the bare
network, in one process, alternating; the ratio of the medians of five. Then one evaluation with the
`standard` suite of attacks on 200 images: the seconds that go into attacks, and those that go into
records (written after every attack) and the report.

    python -m studies.overhead --data-dir DIR
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from art.attacks.evasion import ProjectedGradientDescent

import art_disc as ad
from art_disc.core.record_base import Record
from studies import common

IMAGES, REPEATS = 128, 5


def pgd_seconds(classifier: Any, x: Any, y: Any) -> float:
    attack = ProjectedGradientDescent(
        classifier, eps=0.3, eps_step=0.04, max_iter=20, batch_size=IMAGES, verbose=False
    )
    start = time.perf_counter()
    attack.generate(x, y)
    return time.perf_counter() - start


def attack_overhead(classifier: ad.DefendedClassifier, data: ad.Dataset) -> dict:
    x, y = data.x_test[:IMAGES], np.eye(10, dtype=np.float32)[data.y_test[:IMAGES]]
    models = {"base": classifier.base, "defended": classifier}
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for model in models.values():
        pgd_seconds(model, x, y)
    for _ in range(REPEATS):
        for name, model in models.items():
            seconds[name].append(pgd_seconds(model, x, y))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "images": IMAGES,
        "steps": 20,
        "seconds": {name: [round(v, 3) for v in values] for name, values in seconds.items()},
        "ratio_of_medians": medians["defended"] / medians["base"],
    }


def record_overhead(classifier: ad.DefendedClassifier, data: ad.Dataset) -> dict:
    spent = {"records": 0.0}
    save = Record.save

    def timed(self: Record, path: str | Path) -> Path:
        start = time.perf_counter()
        try:
            return save(self, path)
        finally:
            spent["records"] += time.perf_counter() - start

    Record.save = timed  # type: ignore[method-assign]  # counted for this process alone
    try:
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            result = ad.evaluate(
                classifier, data, eps=0.3, attacks="standard", checks="quick", n_ex=200, out=folder
            )
            run = time.perf_counter() - start
            start = time.perf_counter()
            result.report(folder)
            report = time.perf_counter() - start
    finally:
        Record.save = save  # type: ignore[method-assign]
    return {
        "images": 200,
        "run_seconds": round(run, 1),
        "records_seconds": round(spent["records"], 3),
        "report_seconds": round(report, 3),
        "share": (spent["records"] + report) / (run + report),
    }


def main() -> None:
    options = common.parser(__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(options.threads)
    data = ad.load_dataset("mnist", data_dir=options.data_dir)
    codebook = ad.DensityCodebook(n_codes=2, radius=0.6).fit(data.x_train)
    defence = ad.PixelDiscretization(codebook, ad.SoftAssignment(10))
    network = common.mnist_network(data)
    classifier = ad.build_classifier(network, data=data, defences=[defence])
    body = {
        "pgd20_defended_over_base": attack_overhead(classifier, data),
        "records_and_report": record_overhead(classifier, data),
    }
    print(body)
    common.write("overhead", body, options.threads)


if __name__ == "__main__":
    main()
