"""Certified training on the code box: a preset trained, then certified by bounds and completely.

python -m studies.certified_training --eps 0.3 --data-dir DIR [--seed 0] [--jobs 2]
python -m studies.certified_training --eps 0.1 --dataset fashion_mnist --defence margin:eps=0.1

Goes on where it was stopped. Training images are held out to look at on the way; test images are
seen by the certificates alone. `--smoke` is the same on the digits in a minute, and writes its
result into the work folder; `--time` tells what an epoch costs.
"""

import argparse
import json
import re
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

import art_disc as ad
from art_disc.certificates.spend import Spend
from art_disc.core.journal import Journal
from art_disc.core.words import parse_number
from art_disc.defences import parse_defence, traits
from art_disc.networks import save_weights
from art_disc.networks.certified import SIZES
from art_disc.training import Preset, certified_preset, train, watched
from studies import common

HELD_OUT = {"mnist": 5000, "fashion_mnist": 5000, "cifar10": 2000}
DEFENCE = "density:n_codes=2,radius=0.6"
SPEND = Spend(nodes=5000, seconds=60)
SMOKE: dict[str, Any] = {"epochs": 8, "learning_rate": 3e-3, "batch_size": 64}


def certified(
    classifier: ad.DefendedClassifier, data: ad.Dataset, options: argparse.Namespace, work: Path
) -> tuple[dict[str, Any], list[str]]:
    """Return what bounds prove of the test images, what the complete method decides, and how."""
    found = {}
    for method in ("bounds", "complete"):
        record = ad.metrics.certify(
            classifier,
            data.x_test,
            data.y_test,
            eps=options.eps,
            method=method,
            spend=SPEND if method == "complete" else None,
            n_jobs=options.jobs if method == "complete" else 1,
            out=work / method,
        ).record
        found[method] = {
            **{v: record.count(v) for v in ("certified", "falsified", "undecided")},
            "wrong_when_clean": record.correct.count(False),
            "certified_accuracy": record.certified_accuracy,
            "lower_limit_99": record.lower_limit(0.99),
            "seconds": round(record.seconds, 1),
        }
        print(method, found[method], flush=True)
    return found, list(record.verdicts)


def attacked(
    classifier: ad.DefendedClassifier,
    data: ad.Dataset,
    verdicts: list[str],
    options: argparse.Namespace,
    work: Path,
) -> dict[str, Any]:
    """Return what attacks leave of the first test images, and how many certified ones they break.

    There must be none of these.
    """
    some = data.subset(n_test=min(options.attacked, len(data.x_test)))
    record = ad.evaluate(
        classifier, some, eps=[options.eps], attacks=options.suite, checks=None,
        out=work / options.suite, resume=True,
    ).record  # fmt: skip
    survives = record.survives(options.eps)
    broken = [v for v, left in zip(verdicts, survives, strict=False) if not left]
    found = {
        "suite": options.suite,
        "images": len(some.x_test),
        "unbroken": sum(map(bool, survives)),
        "certified_and_broken": broken.count("certified"),
    }
    print(found, flush=True)
    return found


def study(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Train, certify, and return what was found."""
    preset = certified_preset(options.eps)
    data = ad.load_dataset(
        "digits" if options.smoke else options.dataset, data_dir=options.data_dir
    )
    if options.n_ex is not None:
        data = data.subset(n_test=options.n_ex, stratified=True)
    inner = data.held_out(200 if options.smoke else HELD_OUT[options.dataset])
    defence = parse_defence(options.defence)
    if options.size is not None:
        preset = replace(preset, network=preset.network | {"size": options.size})
    if options.smoke:
        preset = replace(preset, network={"size": "small"}, settings=preset.settings | SMOKE)
    if options.epochs is not None:
        preset = replace(preset, settings=preset.settings | {"epochs": options.epochs})
    with Journal(work / "epochs.jsonl") as journal:
        clock = common.Clock()

        def tell(epoch: int, clean: float, ibp: float) -> None:
            nonlocal clock
            row = {"epoch": epoch, "clean": round(clean, 4), "ibp": round(ibp, 4), **clock.facts()}
            print(row, flush=True)
            journal.append(json.dumps(row) + "\n")
            clock = common.Clock()

        network, result = preset.trained(
            inner,
            defence,
            seed=options.seed,
            on_epoch=watched(inner, options.eps, tell),
            cache=work / "weights",
        )
    epochs = {row["epoch"]: row for _, row in Journal(work / "epochs.jsonl").lines()}
    classifier = ad.build_classifier(network, data=data, defences=[defence])
    found, verdicts = certified(classifier, data, options, work)
    left = attacked(classifier, data, verdicts, options, work)
    save_weights(network, work / "network.npz", header={"weights": result.weights, "found": found})
    codebook: Any = traits(classifier.defences[0]).codebook
    return {
        "dataset": {"name": data.name, "fingerprint": data.fingerprint, "test": len(data.x_test)},
        "defence": repr(classifier.defences[0]),
        "network": {"name": "CertifiedNet", **preset.network, "weights": result.weights},
        "codewords_255": [level[0] for level in codebook.levels],
        "objective": preset.objective.describe(),
        "settings": preset.settings,
        "seed": options.seed,
        "eps": options.eps,
        "held_out": len(inner.x_test),
        "epochs": [epochs[number] for number in sorted(epochs)],
        "cached": result.cached,
        "spend": asdict(SPEND),
        "jobs": options.jobs,
        "certificates": found,
        "attacks": left,
    }


def budget(word: str) -> float:
    """Return a budget as commands write it."""
    return float(parse_number(word, float, "--eps"))


def name_of(options: argparse.Namespace) -> str:
    """Return the result's name: data, budget and seed, and what is not as it is by default."""
    words = ["" if options.dataset == "mnist" else options.dataset, f"{options.eps:g}"]
    words += [] if options.defence == DEFENCE else [re.sub(r"[^\w.]+", "-", options.defence)]
    words += [options.size or "", "" if options.epochs is None else f"{options.epochs}epochs"]
    words += ["" if options.n_ex is None else f"{options.n_ex}images"]
    return "certified_training/" + "_".join([*filter(None, words), f"seed{options.seed}"])


def seconds_a_step(data: ad.Dataset, preset: Preset, size: str, steps: int) -> float:
    """Return processor seconds of a training step after the ramp, a mean over `steps`."""
    batch = preset.settings["batch_size"]
    few = data.subset(n_train=batch * steps, n_test=10)
    defence = parse_defence(DEFENCE).fit(few.x_train)
    objective = replace(preset.objective, warm_up=0.0, ramp=0.0)
    settings = {**preset.settings, "epochs": 1, "population_statistics": False, "verbose": False}
    ends: list[float] = []
    start = time.process_time()
    train(
        replace(preset, network={"size": size}).initial(data),
        few,
        objective=objective,
        defences=[defence],
        # what comes after the epoch is no part of it
        on_epoch=lambda *_: ends.append(time.process_time()),
        **settings,
    )
    return (ends[0] - start) / steps


def main(words: list[str] | None = None) -> None:
    parser = common.parser(str(__doc__).splitlines()[0])
    parser.add_argument("--eps", type=budget, default=0.3, help="0.3 or 2/255, for example")
    parser.add_argument("--dataset", default="mnist", choices=tuple(HELD_OUT))
    parser.add_argument("--defence", default=DEFENCE, help="a codebook map, as art-disc names it")
    parser.add_argument("--size", choices=SIZES, help="of the network; None: the preset's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, help="None: the preset's")
    parser.add_argument("--n-ex", type=int, help="test images that are certified; None: all")
    parser.add_argument("--attacked", type=int, default=1000, help="first test images attacked")
    parser.add_argument("--suite", default="standard", help="of these attacks")
    parser.add_argument("--jobs", type=int, default=1, help="processes of the complete method")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--time", type=int, metavar="STEPS", help="time so many steps, and end")
    options = parser.parse_args(words)
    torch.set_num_threads(options.threads)
    if options.time is not None:
        data, preset = ad.load_dataset("mnist", data_dir=options.data_dir), certified_preset(0.3)
        for size in SIZES:
            step = seconds_a_step(data, preset, size, options.time)
            minutes = step * 55_000 / preset.settings["batch_size"] / 60
            print(f"{size}: {step:.3f} s a step, {minutes:.2f} core-minutes an epoch")
        return
    name = name_of(options)
    work = common.work_folder(options, name)
    work.mkdir(parents=True, exist_ok=True)
    found = study(options, work)
    if options.smoke:
        (work / "result.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    else:
        common.write(name, found, options.threads)


if __name__ == "__main__":
    main()
