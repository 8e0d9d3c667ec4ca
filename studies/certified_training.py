"""Certified training on the code box: a preset trained, then certified by bounds and completely.

python -m studies.certified_training --eps 0.3 --data-dir DIR [--seed 0] [--jobs 2]
python -m studies.certified_training --eps 0.1 --vary kappa=0.95 adversary=codes --validate
python -m studies.certified_training --eps 0.1 --dataset fashion_mnist --defence margin:eps=0.1

`--vary` changes a preset's network, objective or settings of `train`, by name (`train_eps` is the
objective's eps, `adversary=codes:STEPS` a mixed loss). What is to be chosen is looked at by
`--validate`: training images that are held out are certified and attacked, and no test image is.
Goes on where it was stopped, at other commits too: a training is known by its content. `--smoke` is
the same on the digits in a minute, its result in the work folder; `--time` tells an epoch's cost.
"""

import argparse
import json
import re
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

import art_disc as ad
from art_disc.certificates.spend import Spend
from art_disc.core.journal import Journal, only_one
from art_disc.core.plain import digest_of
from art_disc.core.provenance import commit
from art_disc.core.words import parse_number
from art_disc.defences import parse_defence, traits
from art_disc.networks import save_weights
from art_disc.training import Preset, TrainingResult, certified_preset, train, watched
from studies import common
from studies.varied import varied

# nothing but steps
ONE_EPOCH = {"epochs": 1, "population_statistics": False, "averaging": 0.0, "verbose": False}
HELD_OUT = {"mnist": 5000, "fashion_mnist": 5000, "cifar10": 2000}
DEFENCE = "density:n_codes=2,radius=0.6"
SPEND = Spend(nodes=5000, seconds=60)
SMOKE = ["size=small", "epochs=8", "learning_rate=3e-3", "batch_size=64"]


@dataclass(frozen=True)
class Run:
    """One training and what is certified of it.

    Attributes:
        options: Of the command.
        preset: What is trained.
        inner: Trains it; its test images are those that are held out.
        shown: Whose test images are certified and attacked.
        work: Folder of certificates and attacks of this very code.
    """

    options: argparse.Namespace
    preset: Preset
    inner: ad.Dataset
    shown: ad.Dataset
    work: Path

    @classmethod
    def of(cls, options: argparse.Namespace) -> "Run":
        """Return what the options say."""
        data = ad.load_dataset(
            "digits" if options.smoke else options.dataset, data_dir=options.data_dir
        )
        preset = certified_preset(options.eps)
        preset = varied(preset, options.vary)
        preset = varied(preset, SMOKE) if options.smoke else preset
        inner = data.held_out(200 if options.smoke else HELD_OUT[options.dataset])
        shown = inner if options.validate else data
        if options.n_ex is not None:
            shown = shown.subset(n_test=options.n_ex, stratified=True)
        work = common.work_folder(options, name_of(options))
        return cls(options, preset, inner, shown, work)

    def trained(self) -> tuple[ad.DefendedClassifier, TrainingResult, list[dict[str, Any]]]:
        """Return the classifier, how its training went, and a row for each epoch."""
        facts = (
            self.preset.objective.facts(),
            dict(self.preset.network),
            dict(self.preset.settings),
        )
        words = (self.options.defence, self.options.eps, self.options.seed)
        key = digest_of([*facts, self.inner.fingerprint, *words])[:12]
        folder = Path(self.options.work) / "certified_training" / "trainings" / key
        folder.mkdir(parents=True, exist_ok=True)
        journal, defence = Journal(folder / "epochs.jsonl"), parse_defence(self.options.defence)
        with only_one(folder, "training"), journal:
            journal.mend()
            network, result = self.preset.trained(
                self.inner,
                defence,
                seed=self.options.seed,
                on_epoch=watched(
                    self.inner, self.options.eps, _Teller(journal), images=len(self.inner.x_test)
                ),
                cache=folder,
            )
        epochs = {row["epoch"]: row for _, row in journal.lines()}
        classifier = ad.build_classifier(network, data=self.shown, defences=[defence])
        return classifier, result, [epochs[number] for number in sorted(epochs)]

    def certified(self, classifier: ad.DefendedClassifier) -> tuple[dict[str, Any], list[str]]:
        """Return what bounds prove of the images, what the complete method decides, and how."""
        found, verdicts = {}, []
        for name in ("bounds", "complete", *(["exact"] if self.options.exact else [])):
            method = "bounds" if name == "bounds" else "complete"
            record = ad.metrics.certify(
                classifier,
                self.shown.x_test,
                self.shown.y_test,
                eps=self.options.eps,
                method=method,
                arithmetic="exact" if name == "exact" else "float",
                spend=SPEND if method == "complete" else None,
                n_jobs=self.options.jobs if method == "complete" else 1,
                out=self.work / name,
            ).record
            found[name] = {
                **{v: record.count(v) for v in ("certified", "falsified", "undecided")},
                "wrong_when_clean": record.correct.count(False),
                "certified_accuracy": record.certified_accuracy,
                "lower_limit_99": record.lower_limit(0.99),
                "seconds": round(record.seconds, 1),
            }
            print(name, found[name], flush=True)
            if name == "complete":
                verdicts = list(record.verdicts)
        return found, verdicts

    def attacked(
        self, classifier: ad.DefendedClassifier, verdicts: list[str], suite: str
    ) -> dict[str, Any]:
        """Return what attacks leave of the first images, and how many certified ones they break.

        There must be none of these.
        """
        eps, number = self.options.eps, min(self.options.attacked, len(self.shown.x_test))
        some = self.shown.subset(n_test=number)
        record = ad.evaluate(
            classifier, some, eps=[eps], attacks=suite, checks=None,
            out=self.work / f"{suite}_{number}", resume=True,
        ).record  # fmt: skip
        survives = record.survives(eps)
        broken = [v for v, left in zip(verdicts, survives, strict=False) if not left]
        found = {
            "suite": suite,
            "images": number,
            "unbroken": sum(map(bool, survives)),
            "certified_and_broken": broken.count("certified"),
            "undecided_and_broken": broken.count("undecided"),
        }
        print(found, flush=True)
        return found

    def found(self) -> dict[str, Any]:
        """Train, certify, attack, and return what was found."""
        self.work.mkdir(parents=True, exist_ok=True)
        classifier, result, epochs = self.trained()
        found, verdicts = self.certified(classifier)
        network, options = classifier.base_network, self.options
        header = {"weights": result.weights, "found": found}
        save_weights(network, self.work / "network.npz", header=header)
        codebook: Any = traits(classifier.defences[0]).codebook
        return {
            "dataset": {
                "name": self.shown.name,
                "fingerprint": self.shown.fingerprint,
                "test": len(self.shown.x_test),
                "held_out": len(self.inner.x_test),
                "certified": "held out" if options.validate else "test",
            },
            "defence": repr(classifier.defences[0]),
            "network": {
                "name": "CertifiedNet", **self.preset.network, "weights": result.weights
            },
            "codewords_255": [[float(c) for c in level] for level in codebook.levels],
            "objective": self.preset.objective.describe(),
            "objective_facts": self.preset.objective.facts(),
            "train_eps": self.preset.objective.eps,
            "settings": self.preset.settings,
            "varied": sorted(options.vary),
            "seed": options.seed,
            "eps": options.eps,
            "epochs": epochs,
            "cached": result.cached,
            "spend": asdict(SPEND),
            "jobs": options.jobs,
            "certificates": found,
            "attacks": [self.attacked(classifier, verdicts, suite) for suite in options.suites],
        }  # fmt: skip


class _Teller:
    """Writes what is seen after an epoch, and what it took, into a journal."""

    def __init__(self, journal: Journal) -> None:
        self.journal, self.clock = journal, common.Clock()

    def __call__(self, epoch: int, clean: float, ibp: float) -> None:
        seen = {"epoch": epoch, "clean": round(clean, 4), "ibp": round(ibp, 4)}
        row = {**seen, **self.clock.facts(), "threads": torch.get_num_threads(), "commit": commit()}
        print(row, flush=True)
        self.journal.append(json.dumps(row) + "\n")
        self.clock = common.Clock()


def budget(word: str) -> float:
    """Return a budget as commands write it."""
    return float(parse_number(word, float, "--eps"))


def name_of(options: argparse.Namespace) -> str:
    """Return the result's name: data, budget and seed, and what is not as it is by default."""
    words = ["smoke" if options.smoke else ""]
    words += ["" if options.dataset == "mnist" else options.dataset, f"{options.eps:g}"]
    words += ["" if options.defence == DEFENCE else options.defence, *sorted(options.vary)]
    words += ["" if options.n_ex is None else f"{options.n_ex}images"]
    plain = [re.sub(r"[^\w.]+", "-", word) for word in words if word]
    folder = "certified_training_tries" if options.validate else "certified_training"
    return f"{folder}/" + "_".join([*plain, f"seed{options.seed}"])


def seconds_a_step(run: Run, steps: int) -> float:
    """Return processor seconds of a training step after the ramp, a mean over `steps`."""
    # the first training of a process pays for what it loads, and each for what it prepares
    begun = [_spent(run, 1) for _ in range(2)]
    return (_spent(run, steps + 1) - begun[1]) / steps


def _spent(run: Run, steps: int) -> float:
    preset, batch = run.preset, run.preset.settings["batch_size"]
    few = run.inner.subset(n_train=batch * steps, n_test=10)
    defence, ends = parse_defence(run.options.defence).fit(few.x_train), []
    start = time.process_time()
    train(
        preset.initial(run.inner),
        few,
        objective=replace(preset.objective, warm_up=0.0, ramp=0.0),
        defences=[defence],
        # what comes after the epoch is no part of it
        on_epoch=lambda *_: ends.append(time.process_time()),
        **{**preset.settings, **ONE_EPOCH},
    )
    return ends[0] - start


def parsed(words: list[str] | None) -> argparse.Namespace:
    """Return the options of the command."""
    parser = common.parser(str(__doc__).splitlines()[0])
    parser.add_argument("--eps", type=budget, default=0.3, help="0.3 or 2/255, for example")
    parser.add_argument("--dataset", default="mnist", choices=tuple(HELD_OUT))
    parser.add_argument("--defence", default=DEFENCE, help="a codebook map, as art-disc names it")
    parser.add_argument(
        "--vary", nargs="*", action="extend", default=[], metavar="NAME=VALUE", help="of the preset"
    )
    parser.add_argument(
        "--validate", action="store_true", help="certify training images that are held out"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n-ex", type=int, help="images that are certified; None: all")
    parser.add_argument("--exact", action="store_true", help="certify in exact arithmetic too")
    parser.add_argument("--attacked", type=int, default=1000, help="first images attacked")
    parser.add_argument("--suites", nargs="*", default=["standard"], help="of these attacks")
    parser.add_argument("--jobs", type=int, default=1, help="processes of the complete method")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--time", type=int, metavar="STEPS", help="time so many steps, and end")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> None:
    options = parsed(words)
    torch.set_num_threads(options.threads)
    run = Run.of(options)
    if options.time is not None:
        step = seconds_a_step(run, options.time)
        minutes = step * len(run.inner.x_train) / run.preset.settings["batch_size"] / 60
        print(f"{step:.3f} s a step, {minutes:.2f} core-minutes an epoch")
        return
    found = run.found()
    if options.smoke:
        (run.work / "result.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    else:
        common.write(name_of(options), found, options.threads)


if __name__ == "__main__":
    main()
