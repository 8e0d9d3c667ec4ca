"""MNIST, two codewords, naturally trained base, eps .3: the published attack beside stronger ones.

Published (Chen et al. 2019, Table II; natural base, no retraining): 98.81 % clean, 75.35 % under
their BPDA attack. Here: Madry's network trained naturally, that attack, and the per-example worst
of PGD-100 (2 random starts), AutoPGD with two losses and Square, through the papers' surrogate,
the identity, and the papers' with a slope beyond the outer codewords (a random start puts pixels
there, where the papers' has none).

    python -m studies.mnist_two_codes --data-dir DIR

Finished pieces are kept under --work, so an interrupted run goes on where it stopped.
"""

from pathlib import Path

import art_disc as ad
from art_disc.core.records import EvaluationRecord, Share
from art_disc.networks import weights_hash
from studies import common

EPS = 0.3
SETTINGS = {
    "pgd.max_iter": 100,
    "pgd.eps_step": 0.01,
    "pgd.num_random_init": 2,
    "apgd_ce.max_iter": 50,
    "apgd_dlr.max_iter": 50,
    "sign_adam.max_iter": 100,
    "sign_adam.eps_step": 0.01,
    "square.max_iter": 1000,
}
IMAGES = {"fgsm": 1000, "sign_adam": 1000, "pgd": 1000, "apgd_ce": 1000, "apgd_dlr": 1000}
SQUARE_IMAGES = 300


def piece(
    classifier: ad.DefendedClassifier, data: ad.Dataset, key: str, n_ex: int, work: Path
) -> EvaluationRecord:
    """Return the record of one attack, from disk if it was finished before.

    Args:
        classifier: Defended; `key` says through which surrogates it is attacked.
        data: MNIST.
        key: `ATTACK`: soft and identity; `ATTACK/leaky`: the classifier's own alone.
        n_ex: The first so many test images.
        work: Folder of finished pieces.
    """
    name, _, own = key.partition("/")
    settings = {k: v for k, v in SETTINGS.items() if k.startswith(f"{name}.")}
    path = work / key.replace("/", "_") / "record.json"
    if path.is_file():
        record = EvaluationRecord.load(path)
        same = record.network["weights"] == weights_hash(classifier.base_network)
        wanted = {k.partition(".")[2]: v for k, v in settings.items()}.items()
        same = same and all(o.eps == EPS and wanted <= o.settings.items() for o in record.outcomes)
        if record.complete and same and len(record.labels) == n_ex:
            return record
    return ad.evaluate(
        classifier,
        data,
        eps=EPS,
        attacks=[name],
        settings=settings,
        surrogates=() if own else ("soft", "identity"),
        # what checks attack with is none of this study's rows; `studies.mnist_checks` has them
        checks=None,
        n_ex=n_ex,
        out=path.parent,
        training=common.MNIST_TRAINING,
    ).record


def summarise(share: Share) -> dict:
    low, high = share.interval
    return {"count": share.count, "total": share.total, "value": share.value, "ci95": [low, high]}


def rows_of(records: dict[str, EvaluationRecord]) -> list[dict]:
    # a leaky piece attacks the base once more, with the same draws: one row is enough
    return [
        {
            "attack": row.attack,
            "scored_on": row.scored_on,
            "knowledge": row.knowledge,
            "surrogate": row.surrogate,
            "settings": row.settings,
            "status": row.status,
            **summarise(row.share),
            "gradients_per_image": row.gradients / row.share.total,
            "queries_per_image": row.queries / row.share.total,
            "seconds": row.seconds,
        }
        for key, record in records.items()
        for row in record.outcomes
        if row.knowledge == "bpda" or "/" not in key
    ]


def worst(records: dict[str, EvaluationRecord], n_ex: int, knowledge: tuple[str, ...]) -> Share:
    """Per-example worst over the records, on the first `n_ex` examples."""
    alive = [True] * n_ex
    for record in records.values():
        survives = record.survives(EPS, knowledge=knowledge)
        for i in range(min(n_ex, len(survives))):
            alive[i] = alive[i] and survives[i]
    return Share(sum(alive), n_ex)


def main() -> None:
    options = common.parser(__doc__.splitlines()[0]).parse_args()
    work = common.work_folder(options, "mnist_two_codes")
    data, classifier = common.mnist_two_codes(options)
    clean = {}
    for name, model in (("base", classifier.base), ("defended", classifier)):
        right = int((model.predict(data.x_test).argmax(axis=1) == data.y_test).sum())
        clean[name] = summarise(Share(right, len(data.y_test)))
        print(name, clean[name])
    leaky = classifier.with_surrogate(ad.SoftAssignment(10, leak=1))
    records = {name: piece(classifier, data, name, n, work) for name, n in IMAGES.items()}
    for name in ("sign_adam", "pgd", "apgd_ce", "apgd_dlr"):
        records[f"{name}/leaky"] = piece(leaky, data, f"{name}/leaky", IMAGES[name], work)
    gradient_only = worst(records, 1000, ("base", "bpda"))
    records["square"] = piece(classifier, data, "square", SQUARE_IMAGES, work)
    everything = ("none", "base", "bpda")
    body = {
        "dataset": {"name": data.name, "fingerprint": data.fingerprint, "test": "first 1,000"},
        "network": {"name": "MadryMnistNet", "training": common.MNIST_TRAINING},
        "codewords_255": [row[0] for row in classifier.defences[0].codebook.levels],
        "eps": EPS,
        "clean_10000": clean,
        "published": {"clean": 98.81, "bpda": 75.35, "source": "Chen et al. 2019, Table II"},
        "papers_attack_soft": next(
            summarise(row.share)
            for row in records["sign_adam"].outcomes
            if row.surrogate == "soft(alpha=10)"
        ),
        "worst_1000_gradient_attacks": summarise(gradient_only),
        "worst_1000_with_square_on_300": summarise(worst(records, 1000, everything)),
        "worst_300_all_attacks": summarise(worst(records, SQUARE_IMAGES, everything)),
        "attacks": rows_of(records),
    }
    common.write("mnist_two_codes", body, options.threads)


if __name__ == "__main__":
    main()
