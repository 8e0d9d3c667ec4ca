"""What the defence costs an attack, and what records, checks and report cost a run.

PGD-20 on Madry's network, 128 MNIST images: through the two-codeword defence and on the bare
network, in one process, alternating; the ratio of the medians of five. Then the run that
`studies.mnist_checks` left under --work: seconds of its records (written after every attack) and of
its report beside those of its attacks.

    python -m studies.overhead --data-dir DIR
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from art.attacks.evasion import ProjectedGradientDescent

import art_disc as ad
from art_disc.report import read_run, write_report
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


def record_overhead(folder: Path) -> dict:
    """Time the saves and the report of a finished run against the seconds of its attacks."""
    record, pictures = read_run(folder)
    attacks = {
        (o.attack, o.knowledge, o.surrogate, o.eps, o.targeted, str(o.settings)): o.seconds
        for o in record.outcomes
    }
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        # the record is written after every attack, smaller than it is in the end
        for _ in attacks:
            record.save(Path(scratch) / "record.json")
        saves = time.perf_counter() - start
        start = time.perf_counter()
        write_report(record, scratch, pictures=pictures)
        report = time.perf_counter() - start
    run = sum(attacks.values())
    return {
        "run": "studies.mnist_checks",
        "images": len(record.labels),
        "attacks": len(attacks),
        "attack_seconds": round(run, 1),
        "records_seconds": round(saves, 3),
        "report_seconds": round(report, 3),
        "share": (saves + report) / run,
    }


def main() -> None:
    options = common.parser(__doc__.splitlines()[0]).parse_args()
    data, classifier = common.mnist_two_codes(options)
    body = {
        "pgd20_defended_over_base": attack_overhead(classifier, data),
        "records_and_report": record_overhead(common.work_folder(options, "mnist_checks")),
    }
    print(body)
    common.write("overhead", body, options.threads)


if __name__ == "__main__":
    main()
