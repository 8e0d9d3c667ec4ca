"""MNIST, two codewords, naturally trained base: verdicts of the certificate by enumeration.

python -m studies.mnist_certificate --data-dir DIR
"""

import art_disc as ad
from studies import common

EPS = (0.05, 0.1)
N_EX = 1000
MAX_FREE = 12


def main() -> None:
    options = common.parser(__doc__.splitlines()[0]).parse_args()
    data, classifier = common.mnist_two_codes(options)
    subset = data.subset(n_test=N_EX)
    rows = []
    for eps in EPS:
        record = ad.metrics.certify(
            classifier, subset.x_test, subset.y_test, eps=eps, max_free=MAX_FREE
        ).record
        counts = {v: record.count(v) for v in ("certified", "falsified", "undecided")}
        reasons = {r: record.reasons.count(r) for r in sorted(set(record.reasons)) if r}
        rows.append(
            {
                "eps": eps,
                **counts,
                "undecided_reasons": reasons,
                "certified_accuracy": record.certified_accuracy,
                "lower_limit_99": record.lower_limit(0.99),
                "code_images_classified": sum(record.evaluated),
                "seconds": round(record.seconds, 1),
                "assumes": record.assumes,
            }
        )
        print(rows[-1])
    common.write(
        "mnist_certificate",
        {
            "dataset": {"name": data.name, "fingerprint": data.fingerprint, "test": "first 1,000"},
            "network": {"name": "MadryMnistNet", "training": common.MNIST_TRAINING},
            "codewords_255": [level[0] for level in classifier.defences[0].codebook.levels],
            "max_free": MAX_FREE,
            "rule": "exact",
            "domain": "real",
            "rows": rows,
        },
        options.threads,
    )


if __name__ == "__main__":
    main()
