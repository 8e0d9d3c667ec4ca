"""Where the thresholds of the checks lie: defences that hold beside defences that are broken.

On scikit-learn's digits, eps 0.1 (adversarially trained networks) and 0.2 (the others): every case
of `studies.broken_defences` under the check that must see it, and, under every check of the `full`
tier, networks that were trained adversarially, alone and behind a discretisation, and behind noise.

    python -m studies.check_calibration
    python -m studies.check_calibration --again "adversarially trained, noise 0.05" C18
    python -m studies.check_calibration --luck

The second line runs one check of one honest case again and puts it into the committed result; the
third tells, in a result of its own, how often C4 takes noise for a gradient or a gradient for
noise. The first takes about half an hour on one core.
"""

import itertools
from dataclasses import asdict
from typing import Any

import torch

import art_disc as ad
from art_disc.core.records import EvaluationRecord
from art_disc.evaluation import Checks, Thresholds
from art_disc.networks import DigitsNet
from art_disc.training import Adversary, trained
from studies import common
from studies.broken_defences import CASES, Case, NoiseBackwards, two_codes

N = 100
EPS_HONEST, EPS_BROKEN = 0.1, 0.2
# runs of C4, each with noise and random signs of its own
RUNS = 48


def network(data: ad.Dataset, *, seed: int = 0, adversary: Adversary | None = None) -> Any:
    options = {} if adversary is None else {"adversary": adversary}
    return trained(DigitsNet, data, seed=seed, epochs=30, verbose=False, **options)[0]


def honest(data: ad.Dataset) -> dict[str, tuple[ad.DefendedClassifier, Any]]:
    """Return classifiers that are known to hold, each with a reference of another seed."""
    adversary = Adversary(eps=EPS_HONEST)
    first, second = (network(data, seed=seed, adversary=adversary) for seed in (0, 1))

    def build(*defences: Any, **options: int) -> ad.DefendedClassifier:
        return ad.build_classifier(first, data=data, defences=defences, **options)

    return {
        "adversarially trained, no defence": (build(), second),
        "adversarially trained, 8 values a channel": (build(ad.ColorDepthReduction(8)), second),
        "adversarially trained, noise 0.05": (
            build(ad.GaussianNoise(0.05), eot_samples=4, vote_samples=8),
            second,
        ),
    }


def checked(classifier: ad.DefendedClassifier, data: ad.Dataset, **options: Any) -> list[dict]:
    chosen = {"attacks": ["fgsm", "pgd"], "n_ex": N} | options
    record: EvaluationRecord = ad.evaluate(classifier, data, **chosen, verbose=False).record
    return [
        {"id": c.id, "status": c.status, "summary": c.summary, "numbers": c.numbers,
         "examples": list(c.example_ids)}
        for c in record.checks
    ]  # fmt: skip


def broken_one(case: Case, data: ad.Dataset, natural: Any) -> dict:
    classifier = case.make(natural, data)
    checks = Checks(case.tier, n_ex=N, n_decision=20, n_random=50, only=(case.check,))
    found = checked(classifier, data, eps=EPS_BROKEN, checks=checks, **case.options_for(classifier))
    mine = next(c for c in found if c["id"] == case.check)
    print(f"{case.check:4} {mine['status']:8} {case.name}: {mine['summary']}", flush=True)
    return {"name": case.name, "must_fail": case.check, **mine}


def luck(data: ad.Dataset, natural: Any) -> list[dict]:
    """How often C4 passes a gradient of white noise, and fails one that follows the loss."""

    def noise(seed: int) -> ad.DefendedClassifier:
        defence = NoiseBackwards(seed)
        return ad.build_classifier(natural, data=data, defences=[defence], placement="preprocessor")

    def follows(_: int) -> ad.DefendedClassifier:
        return two_codes()(natural, data)

    cases = {"a gradient of white noise": noise, "two codewords, soft assignment": follows}
    rows = []
    for (name, make), n in itertools.product(cases.items(), (20, N)):
        checks = Checks("quick", n_ex=n, only=("C4",))
        options = {"eps": EPS_BROKEN, "attacks": ["fgsm"], "surrogates": (), "n_ex": n}
        runs = [checked(make(s), data, checks=checks, seed=s, **options) for s in range(RUNS)]
        found = [next(c for c in run if c["id"] == "C4") for run in runs]
        counts = {s: sum(c["status"] == s for c in found) for s in ("pass", "fail", "not run")}
        ahead = sorted(c["numbers"]["ahead"] for c in found if "ahead" in c["numbers"])
        row = {"name": name, "images": n, "runs": RUNS, **counts}
        rows.append(row | {"ahead": {"least": ahead[0], "most": ahead[-1]}})
        print(rows[-1], flush=True)
    return rows


def again(name: str, check: str, data: ad.Dataset, threads: int) -> None:
    """Replace one check of one honest case in the committed result."""
    body = common.load("check_calibration").results
    classifier, reference = honest(data)[name]
    checks = Checks("full", n_ex=N, n_decision=10, n_random=50, only=(check,))
    found = checked(
        classifier, data, eps=EPS_HONEST, attacks="standard", checks=checks, reference=reference
    )
    new = next(c for c in found if c["id"] == check)
    print(new["status"], new["summary"])
    (case,) = (row for row in body["honest"] if row["name"] == name)
    case["checks"] = [new if c["id"] == check else c for c in case["checks"]]
    common.write("check_calibration", body, threads)


def main() -> None:
    words = common.parser(__doc__.splitlines()[0])
    words.add_argument("--again", nargs=2, metavar=("CASE", "CHECK"))
    words.add_argument("--luck", action="store_true")
    options = words.parse_args()
    torch.set_num_threads(options.threads)
    data = ad.load_dataset("digits")
    if options.again:
        again(*options.again, data, options.threads)
        return
    natural = network(data)
    if options.luck:
        found = {"eps": EPS_BROKEN, "luck": luck(data, natural)}
        common.write("check_calibration_luck", found, options.threads)
        return
    broken = [broken_one(case, data, natural) for case in CASES]
    held = []
    for name, (classifier, reference) in honest(data).items():
        found = checked(
            classifier,
            data,
            eps=EPS_HONEST,
            attacks="standard",
            checks=Checks("full", n_ex=N, n_decision=10, n_random=50),
            reference=reference,
        )
        for c in found:
            print(f"{c['id']:4} {c['status']:8} {name}: {c['summary']}", flush=True)
        held.append({"name": name, "checks": found})
    body = {
        "dataset": {"name": data.name, "fingerprint": data.fingerprint, "test": f"first {N}"},
        "eps": {"honest": EPS_HONEST, "broken": EPS_BROKEN},
        "thresholds": asdict(Thresholds()),
        "broken": broken,
        "honest": held,
    }
    common.write("check_calibration", body, options.threads)


if __name__ == "__main__":
    main()
