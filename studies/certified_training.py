"""Certified training on the code box: a preset trained, then certified by bounds and completely.

python -m studies.certified_training --eps 0.3 --data-dir DIR [--seed 0] [--jobs 2]

Goes on where it was stopped. 5,000 training images are held out to look at on the way; test images
are seen by the certificates alone. `--smoke` is the same on the digits in a minute, and writes its
result into the work folder; `--time` tells what an epoch costs.
"""

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

import art_disc as ad
from art_disc.certificates.spend import Spend
from art_disc.core.journal import Journal
from art_disc.data.dataset import stratified_ids
from art_disc.defences import traits
from art_disc.networks import CertifiedNet, ibp_initialised_, save_weights
from art_disc.networks.certified import SIZES
from art_disc.training import Preset, certified_preset, ibp_accuracy, train, trained
from studies import common

HELD_OUT, LOOKED_AT = 5000, 1000
SPEND = Spend(nodes=5000, seconds=60)
SMOKE: Mapping[str, Any] = {"epochs": 8, "learning_rate": 3e-3, "batch_size": 64}


def split(data: ad.Dataset, held_out: int) -> ad.Dataset:
    """Return the training images alone, of which some are held out as its test images."""
    chosen = stratified_ids(data.y_train, held_out, seed=0)
    rest = torch.ones(len(data.y_train), dtype=torch.bool)
    rest[torch.as_tensor(chosen)] = False
    return replace(
        data,
        x_train=data.x_train[rest.numpy()],
        y_train=data.y_train[rest.numpy()],
        x_test=data.x_train[chosen],
        y_test=data.y_train[chosen],
        test_ids=chosen,
    )


def network_of(data: ad.Dataset, options: Mapping[str, Any]) -> nn.Module:
    """Return a network as a training begins with it."""
    return ibp_initialised_(CertifiedNet(data.input_shape, data.nb_classes, **options))


def watched(data: ad.Dataset, eps: float, journal: Journal) -> Any:
    """Return what notes clean and IBP accuracy on held-out images after every epoch."""
    x, y = torch.tensor(data.x_test[:LOOKED_AT]), torch.tensor(data.y_test[:LOOKED_AT])

    def look(epoch: int, module: nn.Module) -> None:
        with torch.no_grad():
            right = torch.cat([module(part).argmax(dim=1) for part in x.split(500)]) == y
        clean, ibp = float(right.float().mean()), ibp_accuracy(module, x, y, eps=eps)
        row = {"epoch": epoch, "clean": round(clean, 4), "ibp": round(ibp, 4)}
        print(row, flush=True)
        journal.append(json.dumps(row) + "\n")

    return look


def certified(
    classifier: ad.DefendedClassifier, data: ad.Dataset, options: argparse.Namespace, work: Path
) -> dict[str, Any]:
    """Return what bounds prove of the test images, and what the complete method decides."""
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
            "certified_accuracy": record.certified_accuracy,
            "lower_limit_99": record.lower_limit(0.99),
            "seconds": round(record.seconds, 1),
        }
        print(method, found[method], flush=True)
    return found


def study(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Train, certify, and return what was found."""
    preset = certified_preset(options.eps)
    data = ad.load_dataset("digits" if options.smoke else "mnist", data_dir=options.data_dir)
    if options.n_ex is not None:
        data = data.subset(n_test=options.n_ex, stratified=True)
    inner = split(data, 200 if options.smoke else HELD_OUT)
    defence = ad.PixelDiscretization(ad.DensityCodebook(n_codes=2, radius=0.6))
    settings = {**preset.settings, **(SMOKE if options.smoke else {})}
    if options.epochs is not None:
        settings["epochs"] = options.epochs
    sizes = {"size": "small"} if options.smoke else preset.network
    clock = common.Clock()
    with Journal(work / "epochs.jsonl") as journal:
        network, result = trained(
            partial(network_of, data, sizes),
            inner,
            seed=options.seed,
            objective=preset.objective,
            defences=[defence],
            on_epoch=watched(inner, options.eps, journal),
            cache=work / "weights",
            **settings,
        )
    spent = clock.facts()
    epochs = {row["epoch"]: row for _, row in Journal(work / "epochs.jsonl").lines()}
    classifier = ad.build_classifier(network, data=data, defences=[defence])
    found = certified(classifier, data, options, work)
    save_weights(network, work / "network.npz", header={"weights": result.weights, "found": found})
    codebook: Any = traits(classifier.defences[0]).codebook
    return {
        "dataset": {"name": data.name, "fingerprint": data.fingerprint, "test": len(data.x_test)},
        "network": {"name": "CertifiedNet", **sizes, "weights": result.weights},
        "codewords_255": [level[0] for level in codebook.levels],
        "objective": preset.objective.describe(),
        "settings": settings,
        "seed": options.seed,
        "eps": options.eps,
        "held_out": len(inner.x_test),
        "epochs": [epochs[number] for number in sorted(epochs)],
        "training": {**spent, "cached": result.cached},
        "spend": asdict(SPEND),
        "certificates": found,
    }


def seconds_a_step(data: ad.Dataset, preset: Preset, size: str, steps: int) -> float:
    """Return processor seconds of a training step after the ramp, a mean over `steps`."""
    batch = preset.settings["batch_size"]
    few = data.subset(n_train=batch * steps, n_test=10)
    defence = ad.PixelDiscretization(ad.DensityCodebook(n_codes=2, radius=0.6).fit(few.x_train))
    objective = replace(preset.objective, warm_up=0.0, ramp=0.0)
    settings = {**preset.settings, "epochs": 1, "population_statistics": False, "verbose": False}
    ends: list[float] = []
    start = time.process_time()
    train(
        network_of(data, {"size": size}),
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
    parser.add_argument("--eps", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, help="None: the preset's")
    parser.add_argument("--n-ex", type=int, help="test images that are certified; None: all")
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
    name = f"certified_training_{options.eps:g}_seed{options.seed}"
    work = common.work_folder(options, name)
    work.mkdir(parents=True, exist_ok=True)
    found = study(options, work)
    if options.smoke:
        (work / "result.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    else:
        common.write(name, found, options.threads)


if __name__ == "__main__":
    main()
