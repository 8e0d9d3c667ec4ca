"""What an LQ-VAE of the preset `certified` makes certain, in front of a classifier of the paper.

The first test images are decided at each budget: certified, falsified with an image within the
budget, or undecided, and why; and how many bits a budget may flip. The first certified images of
each budget (`--attacked`) are then attacked end to end, by `LatentCodeAttack` and as table 7 is
(`--attacks`): none of these may break one.

    python -m studies.lqvae_certificate --n-ex 1000 --eps .02 .05 .1 --jobs 2 --data-dir DIR

Networks are trained once and cached, an interrupted training goes on; what is decided is kept under
--work after every 100 images, what attacks break after each budget, and taken up again.
"""

import argparse
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import art_disc as ad
from art_disc.attacks import LatentCodeAttack
from art_disc.core.files import replace_file
from art_disc.core.intervals import clopper_pearson_lower
from art_disc.core.plain import digest_of
from art_disc.core.records import Environment
from art_disc.metrics import Spend, certify_codes
from art_disc.networks import weights_hash
from art_disc.reproduction.purifier_bench import Bench, Judged
from art_disc.reproduction.purifier_end_to_end import ATTACKS, SURROGATES
from art_disc.reproduction.rows import none_failed
from studies import common

NAME, IMAGES = "lqvae_certificate", 1000
BUDGETS, SECONDS = [0.02, 0.05, 0.1], 10.0
AT_ONCE = 100
VERDICTS = ("certified", "falsified", "undecided")


def part(classifier: Any, x: Any, y: Any, eps: float, options: argparse.Namespace) -> list[Any]:
    """Return what is found of some images: verdict, reason, free bits, codes looked at."""
    found = certify_codes(
        classifier,
        x,
        y,
        eps=eps,
        spend=Spend(seconds=options.seconds),
        n_jobs=options.jobs,
        verbose=False,
    )
    rows = found.verdicts, found.reasons, found.free.tolist(), found.evaluated.tolist()
    return [list(row) for row in zip(*rows, strict=True)]


def kept(file: Path, make: Callable[[], Any]) -> tuple[Any, float]:
    """Return what a part of the study found, and the seconds that it took; a file is not redone."""
    if not file.is_file():
        clock = common.Clock()
        made = make()
        facts = {"found": made, "seconds": clock.facts()["seconds"]}
        replace_file(file, json.dumps(facts).encode())
    facts = json.loads(file.read_text(encoding="utf-8"))
    return facts["found"], facts["seconds"]


def decided(
    classifier: Any, data: ad.Dataset, eps: float, options: argparse.Namespace, folder: Path
) -> tuple[list[Any], float]:
    """Return what is found of all images, and the seconds that it took, part by part."""
    rows, seconds = [], 0.0
    for start in range(0, len(data.x_test), AT_ONCE):
        own = slice(start, min(start + AT_ONCE, len(data.x_test)))
        images, labels = data.x_test[own], data.y_test[own]
        found, spent = kept(
            folder / f"{eps:g}-{own.start}-{own.stop}.json",
            partial(part, classifier, images, labels, eps, options),
        )
        rows += found
        seconds += spent
        counts = Counter(row[0] for row in rows)
        print(f"eps {eps:g}: {len(rows)} images, {dict(counts)}", flush=True)
    return rows, seconds


def summary(rows: list[Any]) -> dict[str, Any]:
    """Return counts of verdicts and reasons, and the distribution of free bits.

    >>> row = ["undecided", "20 seconds spent; margin at least -1", 9, 0]
    >>> summary([["certified", "", 3, 8], row])["reasons"]
    {'n seconds spent': 1}
    """
    verdicts = Counter(row[0] for row in rows)
    reasons = Counter(re.sub(r"[\d.]+", "n", row[1].split(";")[0]) for row in rows if row[1])
    free = [row[2] for row in rows]
    points = (0, 5, 25, 50, 75, 95, 100)
    return {
        **{verdict: verdicts[verdict] for verdict in VERDICTS},
        "lower_limit_99": clopper_pearson_lower(verdicts["certified"], len(rows), 0.99),
        "reasons": dict(sorted(reasons.items())),
        "free_bits": dict(zip(map(str, points), np.percentile(free, points).tolist(), strict=True)),
        "images_by_free_bits": {str(k): v for k, v in sorted(Counter(free).items())},
    }


def broken(
    judged: Judged,
    part: ad.Dataset,
    eps: float,
    certified: NDArray[np.int64],
    attacks: Sequence[str],
    out: Path,
) -> dict[str, int]:
    """Return how many certified images each attack breaks, of those that none before it broke."""
    if not len(certified):
        return {}
    some = replace(
        part, x_test=part.x_test[certified], y_test=part.y_test[certified],
        test_ids=part.test_ids[certified],
    )  # fmt: skip
    aimed = LatentCodeAttack(judged.classifier, eps=eps, verbose=False)
    record = ad.evaluate(
        judged.classifier, some, eps=eps, attacks=[aimed, *attacks], surrogates=SURROGATES,
        checks=None, sequential=True, out=out, resume=True, verbose=False,
    ).record  # fmt: skip
    found: Counter[str] = Counter()
    for outcome in none_failed(record).select(scored_on="defended", eps=eps):
        found[outcome.attack] += sum(outcome.breaks(eps))
    return dict(found)


def table() -> list[str]:
    """Return the lines of a page that show what was found."""
    made = common.load(NAME)
    rows = []
    for row in made["rows"]:
        free, lost = row["free_bits"], row["certified_and_broken_by"]
        cells = (f"{row['eps']:g}", *(str(row[verdict]) for verdict in VERDICTS))
        time = f"{row['seconds'] / made['images']:.1f} s"
        bits = " / ".join(f"{free[str(point)]:.0f}" for point in (5, 50, 95))
        rows.append((*cells, bits, time, str(row["attacked"]), str(sum(lost.values()))))
    heads = (
        *("eps", *VERDICTS, "free bits, 5 % / median / 95 %", "an image"),
        *("certified and attacked", "broken"),
    )
    return [
        f"{made['dataset']['name']}, the first {made['images']:,} test images, of which "
        f"{made['clean']} are right without a change, by classifier A behind `certified`; at most "
        f"{made['seconds_an_image']:g} s of search each, {made['jobs']} at once.",
        "",
        *common.markdown(heads, rows),
        "",
        f"{_attacks(made)}(`studies/lqvae_certificate.py`; {common.where(made)})",
    ]


def _attacks(made: dict[str, Any]) -> str:
    if not any(row["attacked"] for row in made["rows"]):
        return "What is certified was not attacked yet; what is not, by LatentCodeAttack. "
    return (
        f"Attacked by LatentCodeAttack, {', '.join(made['attacks'])}, end to end through the "
        f"filter's own gradient and {', '.join(SURROGATES)}. "
    )


def place_of(folder: Path, bench: Bench, judged: Judged, options: argparse.Namespace) -> Path:
    """Return where findings are kept: those of these very networks, images and packages."""
    known = [
        bench.data.fingerprint, weights_hash(judged.classifier.base_network),
        weights_hash(bench.vae.network), Environment.here().decisive,
    ]  # fmt: skip
    steps = options.train_steps or "all"
    words = f"{options.dataset}-{options.model}-{options.seconds:g}-{steps}"
    return folder / f"{words}-{digest_of(known)[:12]}"


def name_of(options: argparse.Namespace) -> str:
    """Return the result's name: what is not as it is by default stands in it, but for attacks."""
    steps = options.train_steps
    words = [
        "" if options.eps == BUDGETS else "_".join(f"{eps:g}" for eps in options.eps),
        "" if options.seconds == SECONDS else f"{options.seconds:g}seconds",
        "" if options.dataset == "mnist" else options.dataset,
        "" if options.model == "A" else options.model,
        "" if options.n_ex == IMAGES else f"{options.n_ex}images",
        "" if steps is None else f"{steps}steps",
    ]
    return "_".join([NAME, *filter(None, words)])


def main() -> None:
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--model", default="A", choices="ABC")
    parser.add_argument("--n-ex", type=int, default=IMAGES)
    parser.add_argument("--eps", type=float, nargs="+", default=BUDGETS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of a search, an image")
    parser.add_argument("--attacked", type=int, default=200, help="certified images a budget")
    parser.add_argument("--attacks", nargs="+", default=ATTACKS, help="beside LatentCodeAttack")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--train-steps", type=int, help="batches in place of the recipes'")
    run(parser.parse_args())


def run(options: argparse.Namespace) -> None:
    """Train, decide, attack, and write what was found."""
    torch.set_num_threads(options.threads)
    folder = common.work_folder(options, NAME)
    data = ad.load_dataset(options.dataset, data_dir=options.data_dir)
    bench = Bench(data, options.n_ex, folder, preset="certified", train_steps=options.train_steps)
    judged = bench.judged(options.model, "lqvae")
    own, rows = place_of(folder, bench, judged, options), []
    for eps in options.eps:
        found, seconds = decided(judged.classifier, bench.part, eps, options, own)
        certified = np.flatnonzero([row[0] == "certified" for row in found])[: options.attacked]
        aimed = own / "-".join([f"{eps:g}", digest_of(certified.tolist())[:8], *options.attacks])
        args = judged, bench.part, eps, certified, options.attacks, aimed
        lost, _ = kept(aimed.with_name(f"{aimed.name}.json"), partial(broken, *args))
        rows.append({
            "eps": eps, **summary(found), "seconds": round(seconds, 1),
            "attacked": len(certified), "certified_and_broken_by": lost,
        })  # fmt: skip
        print(rows[-1])
    common.write(
        name_of(options),
        {
            "dataset": {"name": data.name, "fingerprint": data.fingerprint},
            "classifier": bench.judged(options.model).network,
            "purifier": judged.network,
            "lipschitz_bound": {
                name: bench.vae.network.lipschitz_bound(order)
                for name, order in (("l2", 2), ("linf", np.inf))
            },
            "images": options.n_ex,
            "clean": int(judged.right[: options.n_ex].sum()),
            "seconds_an_image": options.seconds,
            "jobs": options.jobs,
            "attacks": list(options.attacks),
            "rows": rows,
        },
        options.threads,
    )


if __name__ == "__main__":
    main()
