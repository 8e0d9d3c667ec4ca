"""Randomised discretisation under the papers' attack and under stronger ones.

MNIST (Zhang, Liang 2019, section 5.1): sigma = tau = .15, two clusters; the papers' attack is PGD
on RandMix, 40 steps of .1 eps, the mean of 20 gradients each, one random start. CIFAR-10 stands in
for their ImageNet (section 5.2): 10 steps of .2 eps with 100 gradients, five clusters, sigma = tau
= 32/255, beside their four baselines and the fixed-centre ablation.

Ours, besides: a second start; as many gradients as single ones, each a step; the hard value of
RandDisc instead of RandMix's, with RandMix's gradient or the identity; and images made for the
undefended network. The fixed centres are RandMix's, as in the paper.

    python -m studies.randomised_attack mnist --data-dir DIR
    python -m studies.randomised_attack cifar10 --data-dir DIR

Each finished piece is kept under --work, so an interrupted run goes on where it stopped.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from art.attacks.evasion import ProjectedGradientDescent

import art_disc as ad
from art_disc.core.intervals import clopper_pearson_interval
from art_disc.core.seeds import derive_seed, global_seeds
from art_disc.reproduction.recipes import experiment
from art_disc.training import trained
from studies import common

# the papers' vote, and one with less luck in it
VOTES = (20, 100)


@dataclass(frozen=True)
class Attack:
    """PGD through a defence; what it made is scored on others too."""

    name: str
    through: str
    steps: int
    draws: int
    step: float
    scored: tuple[str, ...]
    seed: int = 0
    budgets: tuple[float, ...] | None = None

    @property
    def summary(self) -> str:
        many = f", mean of {self.draws} gradients" if self.draws > 1 else ""
        return f"PGD on {self.through}, {self.steps} steps of {self.step:g} eps{many}, one start"


@dataclass(frozen=True)
class Study:
    """One data set's defences, budgets and attacks."""

    defences: Mapping[str, tuple[str, ...]]
    budgets: tuple[float, ...]
    attacks: tuple[Attack, ...]
    images: int
    most_at: float | None = None
    most: int = 0

    def number(self, attack: Attack, eps: float) -> int:
        """Images: the papers' attack on their own defence has more of them at one budget."""
        papers = attack.name == "papers" and "RandDisc" in attack.scored
        return self.most if papers and eps == self.most_at else self.images


def against(
    name: str,
    step: float,
    paper: tuple[int, int],
    *,
    surrogates_at: tuple[float, ...] = (),
    second_at: tuple[float, ...] = (),
    single: bool = True,
) -> list[Attack]:
    """The papers' attack on one randomised defence, and ours."""
    steps, draws = paper
    mix = "RandMix" if name == "RandDisc" else name
    both = ("RandDisc", "RandMix") if name == "RandDisc" else (name,)
    found = [Attack("papers", mix, steps, draws, step, both)]
    if second_at:
        found.append(Attack("second start", mix, steps, draws, step, both, 2, second_at))
    if single:
        found.append(Attack("single gradients", mix, steps * draws, 1, 0.025, both))
    if surrogates_at:
        found += [
            Attack("hard value", f"{name}/mix:20", steps, draws, step, both, 1, surrogates_at),
            Attack("identity", f"{name}/identity", steps, draws, step, both, 0, surrogates_at),
        ]
    return found


MNIST = Study(
    defences={
        "none": (),
        "Gaussian": ("noise:sigma=0.15",),
        "RandDisc": ("randdisc:preset=mnist",),
        "RandMix": ("randmix:preset=mnist",),
    },
    budgets=(0.1, 0.2, 0.05, 0.15, 0.07),
    attacks=(
        Attack("papers", "none", 40, 1, 0.1, ("none", "Gaussian", "RandDisc", "RandMix")),
        Attack("more steps", "none", 200, 1, 0.025, ("none", "Gaussian", "RandDisc", "RandMix"), 2),
        *against("Gaussian", 0.1, (40, 20), single=False),
        *against("RandDisc", 0.1, (40, 20), surrogates_at=(0.1, 0.2), second_at=(0.1, 0.2)),
    ),
    images=100,
    most_at=0.1,
    most=300,
)

_SMALL = (2 / 255, 4 / 255)
_BASELINES = ("BitDepth", "JPEG", "TVM", "ResizePadding")
_RANDOM = ("Gaussian", "RandDisc", "RandMix", "fixed centres")
CIFAR10 = Study(
    defences={
        "none": (),
        "BitDepth": ("bitdepth:bits=2",),
        "JPEG": ("jpeg:ratio=4",),
        "TVM": ("tv:weight=0.1,steps=20",),
        "ResizePadding": ("resizepad",),
        "Gaussian": ("noise:sigma=32/255",),
        "RandDisc": ("randdisc:preset=imagenet",),
        "RandMix": ("randmix:preset=imagenet",),
        "fixed centres": ("randmix:preset=imagenet-fixed",),
    },
    budgets=_SMALL,
    attacks=(
        Attack("papers", "none", 10, 1, 0.2, ("none", *_BASELINES, *_RANDOM)),
        Attack("more steps", "none", 100, 1, 0.05, ("none", *_BASELINES, *_RANDOM), 2),
        *(Attack("papers", name, 10, 1, 0.2, (name,)) for name in _BASELINES[:3]),
        *(Attack("more steps", name, 100, 1, 0.05, (name,)) for name in _BASELINES[:3]),
        *(Attack("identity", f"{name}/identity", 40, 1, 0.1, (name,)) for name in _BASELINES[:3]),
        *against("ResizePadding", 0.2, (10, 100), second_at=_SMALL),
        *against("Gaussian", 0.2, (10, 100), second_at=_SMALL),
        *against("fixed centres", 0.2, (10, 100), second_at=_SMALL),
        *against("RandDisc", 0.2, (10, 100), surrogates_at=_SMALL, second_at=_SMALL),
    ),
    images=50,
)
STUDIES = {"mnist": MNIST, "cifar10": CIFAR10}


class Bench:
    """A data set, its naturally trained network, and classifiers around it by name."""

    def __init__(self, dataset: str, data_dir: str | None) -> None:
        self.study = STUDIES[dataset]
        self.data = ad.load_dataset(dataset, data_dir=data_dir)
        found = experiment(dataset)
        shape = self.data.input_shape, self.data.nb_classes
        self.training = dict(found.trainings["natural"])
        self.network, result = trained(
            lambda: found.network(*shape), self.data, seed=0, **found.trainings["natural"]
        )
        self.clean = result.accuracy
        # the gradient of the images alone is asked for
        self.network.requires_grad_(requires_grad=False)

    def classifier(self, name: str, draws: int = 1) -> Any:
        """Return `NAME` or `NAME/SURROGATE`, with so many draws under the gradient."""
        defence, _, surrogate = name.partition("/")
        defences = [ad.defences.parse_defence(text) for text in self.study.defences[defence]]
        if surrogate:
            defences = [d.with_surrogate(surrogate) for d in defences]
        made = ad.build_classifier(self.network, data=self.data, defences=defences)
        if isinstance(made, ad.RandomizedClassifier):
            made = made.with_samples(eot=draws).with_seed(derive_seed(0, name, draws))
        return made

    def votes(self, name: str, x: Any) -> Any:
        """Return votes of the first 20 and of all 100 draws, (2, n, classes)."""
        made = self.classifier(name)
        if not isinstance(made, ad.RandomizedClassifier):
            scores = made.predict(x, batch_size=100)[None]
            return np.repeat(_counted(scores)[None], 2, axis=0)
        draws = made.predict_draws(x, VOTES[1], seed=derive_seed(1, name))
        return np.stack([_counted(draws[:n]) for n in VOTES])

    def made(self, attack: Attack, eps: float) -> Any:
        """Return the adversarial images of one attack."""
        number = self.study.number(attack, eps)
        x, y = self.data.x_test[:number], self.data.y_test[:number]
        classifier = self.classifier(attack.through, attack.draws)
        pgd = ProjectedGradientDescent(
            classifier,
            eps=eps,
            eps_step=attack.step * eps,
            max_iter=attack.steps,
            num_random_init=1,
            batch_size=100,
            verbose=False,
        )
        with global_seeds(attack.seed):
            return pgd.generate(x, y)


def _counted(draws: Any) -> Any:
    classes = draws.shape[2]
    return (draws.argmax(axis=2)[..., None] == np.arange(classes)).sum(axis=0)


def pieces(bench: Bench, folder: Path) -> dict[tuple[Attack | None, str, float], Any]:
    """Votes under every attack, from disk where they were counted before; None: no attack."""
    found: dict[tuple[Attack | None, str, float], Any] = {}
    number = max(bench.study.most, bench.study.images)
    for name in bench.study.defences:
        path = folder / f"clean_{name}_{number}.npz"
        if not path.is_file():
            np.savez(path, votes=bench.votes(name, bench.data.x_test[:number]))
        found |= {(None, name, eps): np.load(path)["votes"] for eps in bench.study.budgets}
    for eps in bench.study.budgets:
        for attack in bench.study.attacks:
            if attack.budgets is not None and eps not in attack.budgets:
                continue
            number = bench.study.number(attack, eps)
            path = folder / f"{attack.name}_{attack.through}_{eps:.4f}_{number}.npz".replace(
                "/", "-"
            )
            if not path.is_file():
                images = bench.made(attack, eps)
                np.savez(path, **{name: bench.votes(name, images) for name in attack.scored})
                print(path.name, flush=True)
            with np.load(path) as votes:
                found |= {(attack, name, eps): votes[name] for name in attack.scored}
    return found


def right(votes: Any, labels: Any) -> Any:
    """Whether the label has more votes than any other class; a tie is wrong."""
    others = votes.copy()
    others[np.arange(len(labels)), labels] = -1
    return votes[np.arange(len(labels)), labels] > others.max(axis=1)


def share(ok: Any) -> dict[str, Any]:
    low, high = clopper_pearson_interval(int(ok.sum()), len(ok), 0.95)
    return {"right": int(ok.sum()), "of": len(ok), "ci95": [round(low, 4), round(high, 4)]}


def rows(
    bench: Bench, found: Mapping[tuple[Attack | None, str, float], Any]
) -> list[dict[str, Any]]:
    """One row a defence and budget: clean, each attack, and the worst of them an example."""
    made = []
    for eps in sorted(bench.study.budgets):
        few = bench.study.images
        for name in bench.study.defences:
            by = {a: v for (a, d, e), v in found.items() if d == name and e == eps}
            labels = {a: bench.data.y_test[: v.shape[1]] for a, v in by.items()}
            kept = {a: right(v[1], labels[a]) for a, v in by.items()}
            row: dict[str, Any] = {"defence": name, "eps": round(eps, 6)}
            row["clean"] = share(kept[None])
            row["attacks"] = [
                {
                    "attack": f"{a.name}: {a.summary}",
                    **share(ok),
                    "by 20 votes": share(right(by[a][0], labels[a])),
                }
                for a, ok in kept.items()
                if a is not None
            ]
            lowest = min((a for a in kept if a is not None), key=lambda a: kept[a][:few].sum())
            row["lowest single"] = lowest.name
            row["worst"] = share(np.logical_and.reduce([ok[:few] for ok in kept.values()]))
            made.append(row)
    return made


def main() -> None:
    words = common.parser(__doc__.splitlines()[0])
    words.add_argument("dataset", choices=STUDIES)
    options = words.parse_args()
    torch.set_num_threads(options.threads)
    bench = Bench(options.dataset, options.data_dir)
    folder = common.work_folder(options, f"randomised_attack_{options.dataset}")
    folder.mkdir(parents=True, exist_ok=True)
    found = pieces(bench, folder)
    common.write(
        f"randomised_attack_{options.dataset}",
        {
            "settings": {
                "images": f"the first {bench.study.images} test images; clean, and the papers' "
                f"attack where it says so, the first {bench.study.most or bench.study.images}",
                "votes": f"right: most of {VOTES[1]} fresh draws; beside it of {VOTES[0]}",
                "defences": {k: " ".join(v) or "none" for k, v in bench.study.defences.items()},
                "network": {"training": bench.training, "clean accuracy": bench.clean},
            },
            "rows": rows(bench, found),
        },
        options.threads,
    )


if __name__ == "__main__":
    main()
