"""MNIST, two codewords, naturally trained base, eps .3: the standard checks on 200 images.

Published (Chen et al. 2019, Table II): 75.35 % under the papers' BPDA attack. Here the whole
`standard` tier: every surrogate, loss and transfer, queries (Square with 5,000; HopSkipJump on the
first 50), doubled steps, and the report with its verdict.

    python -m studies.mnist_checks --data-dir DIR

The run is kept under --work after every attack and goes on where it stopped. The reference is the
same network trained on adversarially (see REFERENCE).
"""

import torch

import art_disc as ad
from art_disc.core.records import WHITE_BOX, EvaluationRecord
from art_disc.evaluation import Checks
from art_disc.training import Adversary, trained
from studies import common
from studies.mnist_two_codes import summarise

EPS, IMAGES = 0.3, 200
# from scratch a budget of 0.3 costs epochs on a plateau, and with a single step the network learns
# to withstand that step alone
REFERENCE = (
    "the natural network trained on against PGD-5 (step 0.1), eps 0.3: 20,000 images, 3 epochs, "
    "Adam 1e-3 with a cosine to 0, batch 64, seed 0"
)


def reference(data: ad.Dataset) -> torch.nn.Module:
    """Return Madry's network, trained on adversarially once (see REFERENCE)."""
    network, result = trained(
        lambda: common.mnist_network(data),
        data.subset(n_train=20_000),
        epochs=3,
        batch_size=64,
        seed=0,
        adversary=Adversary(eps=EPS, steps=5, step_size=0.1),
    )
    print(f"reference: clean {result.accuracy:.2%}, PGD-20 {result.robust_accuracy}")
    return network


def rows_of(record: EvaluationRecord) -> list[dict]:
    return [
        {
            "attack": o.attack,
            "scored_on": o.scored_on,
            "knowledge": o.knowledge,
            "surrogate": o.surrogate,
            "eps": o.eps,
            "targeted": o.targeted,
            "asked_by": o.asked_by,
            "settings": o.settings,
            "status": o.status,
            "reason": o.reason,
            **(summarise(o.share) if o.status == "done" else {}),
            "gradients_per_image": o.gradients / max(1, len(o.correct)),
            "queries_per_image": o.queries / max(1, len(o.correct)),
            "seconds": o.seconds,
        }
        for o in record.outcomes
    ]


def spent(record: EvaluationRecord) -> dict:
    """Cost of the whole run; one attack is scored on several models but runs once."""
    seen, total = set(), {"gradients": 0, "queries": 0, "seconds": 0.0}
    for o in record.outcomes:
        key = (o.attack, o.knowledge, o.surrogate, o.eps, o.targeted, str(o.settings))
        if o.status == "done" and key not in seen:
            seen.add(key)
            total["gradients"] += o.gradients
            total["queries"] += o.queries
            total["seconds"] += o.seconds
    n = len(record.labels)
    return {
        "attacks": len(seen),
        "gradients_per_image": total["gradients"] / n,
        "queries_per_image": total["queries"] / n,
        "seconds": round(total["seconds"], 1),
    }


def main() -> None:
    options = common.parser(__doc__.splitlines()[0]).parse_args()
    data, classifier = common.mnist_two_codes(options)
    out = common.work_folder(options, "mnist_checks")
    result = ad.evaluate(
        classifier,
        data,
        eps=EPS,
        attacks="standard",
        surrogates=("soft", "identity"),
        checks=Checks("standard", n_ex=IMAGES, n_decision=50),
        reference=reference(data),
        certify=True,
        n_ex=IMAGES,
        out=out,
        resume=True,
        training=common.MNIST_TRAINING,
        announce=print,
    )
    record = result.record
    print(result.report(out))
    everything = record.worst(EPS)
    papers = next(
        o for o in record.select(attack="sign_adam", surrogate="soft(alpha=10)", targeted=False)
    )
    body = {
        "dataset": {"name": data.name, "fingerprint": data.fingerprint, "test": "first 200"},
        "network": {"name": "MadryMnistNet", "training": common.MNIST_TRAINING},
        "reference": {
            "training": REFERENCE,
            "clean": summarise(record.clean("reference")),
            "worst": summarise(record.worst(EPS, model="reference")),
        },
        "eps": EPS,
        "published": {"bpda": 75.35, "source": "Chen et al. 2019, Table II"},
        "clean": {m: summarise(record.clean(m)) for m in ("base", "defended")},
        "papers_attack": summarise(papers.share),
        "worst_white_box": summarise(record.worst(EPS, knowledge=WHITE_BOX)),
        "worst": summarise(everything),
        "worst_on_8bit_grid": summarise(record.worst(EPS, grid=True)),
        "worst_base": summarise(record.worst(EPS, model="base")),
        "broken_alone_by": record.breakers(EPS),
        "verdict": record.verdict,
        "checks": [
            {"id": c.id, "title": c.title, "status": c.status, "summary": c.summary,
             "examples": list(c.example_ids), "numbers": c.numbers}
            for c in record.checks
        ],
        "certificate": {
            v: record.certificates[0].count(v) for v in ("certified", "falsified", "undecided")
        },
        "cost": spent(record),
        "attacks": rows_of(record),
    }  # fmt: skip
    common.write("mnist_checks", body, options.threads)


if __name__ == "__main__":
    main()
