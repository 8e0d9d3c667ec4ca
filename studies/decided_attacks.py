"""What attacks leave of the images that `studies.decided` decides, and who contradicts it.

The suite `standard` on 200 random test images, behind two density codewords, for one of the papers'
networks: accuracy left by each attack, and the images that it leaves and another breaks (`missed`).
With `--records` the verdicts of the certificates are laid beside: no attack may break an image that
is certified at its budget.

    python -m studies.decided_attacks disc_adv_pre --eps 0.1 --data-dir DIR --records FOLDER

FOLDER: the `--work` of `studies.decided`; every record of the row counts. Attacks that are finished
are kept under --work. Results are in studies/results/decided_attacks/; `studies.pages` makes a
table of them.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import art_disc as ad
from art_disc.core.records import AttackOutcome, CertificateRecord
from art_disc.reproduction.certificates import sampled
from studies import common
from studies.code_space import rows_of
from studies.decided import PRINTED, setting

IMAGES = 200
# as deep as the papers' own attack, whose step is .01
SETTINGS = {"pgd.max_iter": 100, "pgd.eps_step": 0.01}


def verdicts(folder: str | None, row: str, data: ad.Dataset, eps: float) -> dict[int, str]:
    """Return what the row's records say at a budget, by the test image's id."""
    known: dict[int, str] = {}
    for path in sorted(Path(folder).glob(f"**/{row}-*/eps-{eps:g}/record.json")) if folder else ():
        record = CertificateRecord.load(path)
        chosen = sampled(data, len(record.verdicts), "random", seed=0)
        known |= dict(zip(chosen.test_ids.tolist(), record.verdicts, strict=True))
    return known


def confronted(outcomes: Sequence[AttackOutcome], ids: Any, known: dict[int, str]) -> dict:
    """Return how many images the certificates and the attacks have in common, and who is right."""
    broken = ~np.array([o.correct for o in outcomes if o.scored_on == "defended"]).all(axis=0)
    said = np.array([known.get(i, "") for i in ids.tolist()])
    counts = {name: int((said == name).sum()) for name in ("certified", "falsified", "undecided")}
    return {
        "images": int((said != "").sum()),
        **counts,
        "certified_but_broken": int((broken & (said == "certified")).sum()),
        "falsified_but_unbroken": int((~broken & (said == "falsified")).sum()),
        "undecided_and_broken": int((broken & (said == "undecided")).sum()),
    }


def run(options: argparse.Namespace) -> None:
    """Attack the images of one row and write what is left."""
    torch.set_num_threads(options.threads)
    data, trained = setting(options.row, options.data_dir)
    chosen = sampled(data, options.n_ex, "random", seed=0)
    name, budgets = f"{options.row}-{options.n_ex}", []
    for eps in options.eps:
        folder = common.work_folder(options, "decided_attacks") / f"{name}-{eps:g}"
        how: dict[str, Any] = {"settings": SETTINGS, "checks": None, "out": folder, "resume": True}
        record = ad.evaluate(trained.classifier, chosen, eps=eps, **how).record
        known = verdicts(options.records, options.row, data, eps)
        budgets.append(
            {
                "eps": eps,
                "attacks": rows_of(record.outcomes),
                "certificates": confronted(record.outcomes, chosen.test_ids, known),
            }
        )
        print(budgets[-1]["certificates"])
    common.write(
        f"decided_attacks/{name}-{'-'.join(f'{eps:g}' for eps in options.eps)}",
        {
            "dataset": {"name": data.name, "fingerprint": data.fingerprint},
            "setting": options.row,
            "training": trained.training,
            "images": options.n_ex,
            "sample": "random",
            "budgets": budgets,
        },
        options.threads,
    )


def main() -> None:
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("row", choices=PRINTED)
    parser.add_argument("--eps", type=float, nargs="+", default=[0.1, 0.2, 0.3])
    parser.add_argument("--n-ex", type=int, default=IMAGES)
    parser.add_argument("--records", help="folder of the row's certificates")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
