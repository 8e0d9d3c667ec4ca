"""MNIST, randomised discretisation with fixed codewords: what is certified at which budget.

Network, down-sampling and noise are chosen for each budget on training images alone; the certified
accuracy is then counted once on the first test images. Candidates are every filter and stride of
POOLS at every deviation of SIGMAS, codewords {0, 1}, behind the naturally trained network and
behind the same network trained on through the defence. A closed form says first at which budgets a
candidate could certify an image whose votes all agree (its ceiling); only the best few of those
are voted on. The other bounds are counted on that classifier, and on the one that they would have
chosen themselves.

    python -m studies.mnist_randomised_certificate --data-dir DIR

The choice takes few votes and lowers the confidence with them, such that an image whose votes all
agree has the same limit in both. Finished votes are kept under --work, so an interrupted run goes
on where it stopped.
"""

import argparse
import copy
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from art.attacks.evasion import ProjectedGradientDescent

import art_disc as ad
from art_disc.certificates.divergence.decide import ORDERS, decide
from art_disc.certificates.divergence.votes import vote_limits
from art_disc.core.intervals import clopper_pearson_interval
from art_disc.core.seeds import global_seeds
from art_disc.metrics import CertifiedCurve, certified_accuracy_curve, divergence_model
from art_disc.networks import weights_hash
from art_disc.training import trained
from studies import common

BUDGETS = (0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3)
POOLS = ((1, 1), (1, 2), (2, 3), (2, 4), (4, 4), (2, 7))
SIGMAS = (0.15, 0.25, 0.5)
BOUNDS = ("tight", "pinsker", "smoothing")
# a ceiling that is lower than the best by more than this is not voted on
SLACK = 0.4
MOST = 5
CHOOSING = 100
CHOOSING_DRAWS = 200
CONFIDENCE = 0.999
AGAIN = {"epochs": 1, "learning_rate": 1e-3, "batch_size": 100, "precision": "bfloat16"}
TRAIN_IMAGES = 55_000


@dataclass(frozen=True)
class Candidate:
    """One defence and how its network was trained."""

    filter_size: int
    stride: int
    sigma: float
    noisy: bool = False

    @property
    def name(self) -> str:
        kind = "noisy" if self.noisy else "natural"
        return f"pool{self.filter_size}-{self.stride}_sigma{self.sigma:g}_{kind}"

    def defences(self) -> list[Any]:
        disc = ad.RandDisc(centres=[[0.0], [1.0]], sigma=self.sigma)
        if self.stride == 1:
            return [disc]
        pool = ad.MaxPoolDownsample(self.filter_size, self.stride, resize=False)
        return [pool, disc, ad.BilinearResize(28, 28)]

    def classifier(self, data: ad.Dataset) -> ad.RandomizedClassifier:
        network = common.mnist_network(data)
        if self.noisy:
            part = replace(
                data, x_train=data.x_train[:TRAIN_IMAGES], y_train=data.y_train[:TRAIN_IMAGES]
            )
            network, _ = trained(
                lambda: copy.deepcopy(network), part, seed=0, defences=self.defences(), **AGAIN
            )
        return ad.build_classifier(network, data=data, defences=self.defences())


def ceiling(candidate: Candidate, data: ad.Dataset, x: Any, draws: int) -> list[float]:
    """Share of images that could be certified at each budget if every vote were right."""
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))
    model = divergence_model(ad.build_classifier(network, data=data, defences=candidate.defences()))
    counts = np.zeros((len(x), 10), np.int64)
    counts[:, 0] = draws
    limits = vote_limits(counts, np.zeros(len(x), np.int64), CONFIDENCE)
    images = x.astype(np.float64)
    found = (decide(model, images, eps, limits, "tight", ORDERS) for eps in BUDGETS)
    return [float(d.certified.mean()) for d in found]


def worth_voting(ceilings: dict[Candidate, list[float]]) -> list[Candidate]:
    """The candidates with the highest ceilings at some budget, the least noise first in a tie."""
    kept: set[Candidate] = set()
    for column in range(len(BUDGETS)):
        best = max(line[column] for line in ceilings.values())
        if best < 0.05:
            continue
        able = [c for c, line in ceilings.items() if line[column] >= best - SLACK]
        # among equals, what is pooled less and drowned less keeps more of the image
        able.sort(key=lambda c: (c.stride, c.sigma))
        kept |= set(able[:MOST])
    return sorted(kept, key=lambda c: c.name)


def work_folder(options: argparse.Namespace, data: ad.Dataset) -> Path:
    """A folder of what these data, this network and its further training give."""
    made = f"{data.fingerprint} {weights_hash(common.mnist_network(data))} {AGAIN} {TRAIN_IMAGES}"
    mark = hashlib.sha256(made.encode()).hexdigest()[:8]
    folder = common.work_folder(options, f"mnist_randomised_certificate-{mark}")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def curve(
    candidate: Candidate,
    data: ad.Dataset,
    part: tuple[str, slice],
    votes: tuple[int, float],
    folder: Path,
) -> CertifiedCurve:
    """The votes of a candidate on a part of the images, from disk if they were counted before."""
    (kind, rows), (draws, confidence) = part, votes
    images = (getattr(data, f"{v}_{kind}")[rows] for v in "xy")
    which = f"{kind}-{rows.start}-{rows.stop}"
    path = folder / f"{candidate.name}_{which}_{draws}-votes_{confidence:.6g}.json"
    if path.is_file():
        return CertifiedCurve.load(path)
    found = certified_accuracy_curve(
        candidate.classifier(data),
        *images,
        eps=BUDGETS,
        draws=draws,
        confidence=confidence,
        batch_size=4,
        verbose=False,
    )
    found.save(path)
    print(
        path.name, [p.certified for p in found.line("tight")], f"{found.seconds:.0f} s", flush=True
    )
    return found


def counted(found: CertifiedCurve, column: int) -> dict[str, int]:
    return {b: found.line(b)[column].certified for b in BOUNDS}


def chosen_for(
    curves: dict[Candidate, CertifiedCurve], column: int, bound: str = "tight"
) -> Candidate:
    """The candidate that certifies most training images; more clean votes decide a tie."""
    return max(curves, key=lambda c: (counted(curves[c], column)[bound], curves[c].clean))


def row(name: Candidate, found: CertifiedCurve, column: int) -> dict[str, Any]:
    points = {b: found.line(b)[column] for b in BOUNDS}
    return {
        "defence": name.name,
        "clean": found.clean,
        "certified": {b: p.certified for b, p in points.items()},
        "limit99": {b: round(p.limit, 4) for b, p in points.items()},
        "total": found.total,
    }


def attacked(
    candidate: Candidate, data: ad.Dataset, eps: float, number: int, folder: Path
) -> dict[str, Any]:
    """What the papers' attack leaves of the first images, through the defence's own surrogate."""
    path = folder / f"{candidate.name}_pgd_{eps:g}_{number}.npz"
    if not path.is_file():
        classifier = candidate.classifier(data).with_samples(eot=20)
        x, y = data.x_test[:number], data.y_test[:number]
        pgd = ProjectedGradientDescent(
            classifier,
            eps=eps,
            eps_step=0.1 * eps,
            max_iter=40,
            num_random_init=1,
            batch_size=100,
            verbose=False,
        )
        with global_seeds(0):
            images = pgd.generate(x, y)
        np.savez(path, right=ad.score_draws(classifier, images, y, n=100).vote_correct)
        print(path.name, flush=True)
    right = np.load(path)["right"]
    low, high = clopper_pearson_interval(int(right.sum()), len(right), 0.95)
    return {"right": int(right.sum()), "of": len(right), "ci95": [round(low, 4), round(high, 4)]}


def main() -> None:
    words = common.parser(__doc__.splitlines()[0])
    words.add_argument("--n-ex", type=int, default=1000)
    words.add_argument("--draws", type=int, default=1000)
    words.add_argument("--attacked", type=int, default=100, help="test images that are attacked")
    options = words.parse_args()
    torch.set_num_threads(options.threads)
    data = ad.load_dataset("mnist", data_dir=options.data_dir)
    work = work_folder(options, data)
    choosing = "train", slice(TRAIN_IMAGES, TRAIN_IMAGES + CHOOSING)
    every = [Candidate(*pool, sigma) for pool in POOLS for sigma in SIGMAS]
    ceilings = {c: ceiling(c, data, data.x_train[choosing[1]], options.draws) for c in every}
    both = [replace(c, noisy=noisy) for c in worth_voting(ceilings) for noisy in (False, True)]
    print(len(both), "candidates are voted on", flush=True)
    few = CHOOSING_DRAWS, 1 - (1 - CONFIDENCE) ** (CHOOSING_DRAWS / options.draws)
    curves = {c: curve(c, data, choosing, few, work) for c in both}
    test = "test", slice(0, options.n_ex)
    rows = []

    def counted_on_test(candidate: Candidate, column: int) -> dict[str, Any]:
        found = curve(candidate, data, test, (options.draws, CONFIDENCE), work)
        training = {"clean": curves[candidate].clean, **counted(curves[candidate], column)}
        return {"training images": training, **row(candidate, found, column)}

    for column, eps in enumerate(BUDGETS):
        best = chosen_for(curves, column)
        chosen = {"eps": eps, **counted_on_test(best, column)}
        # a bound that certifies no training image has no choice of its own
        own = {b: chosen_for(curves, column, b) for b in BOUNDS[1:]}
        chosen["chosen by"] = {
            b: counted_on_test(candidate, column)
            for b, candidate in own.items()
            if counted(curves[candidate], column)[b]
        }
        chosen["PGD-40, mean of 20 gradients"] = attacked(best, data, eps, options.attacked, work)
        rows.append(chosen)
    common.write(
        "mnist_randomised_certificate",
        {
            "settings": {
                "codewords": [0, 1],
                "pools": POOLS,
                "sigmas": SIGMAS,
                "draws": options.draws,
                "confidence": CONFIDENCE,
                "natural": common.MNIST_TRAINING,
                "noisy": {**AGAIN, "images": TRAIN_IMAGES, "after": "natural"},
                "choosing": f"training images {choosing[1].start} to {choosing[1].stop - 1}, "
                f"{few[0]} draws",
            },
            "meaning": "each verdict holds with the confidence; limit99 is a 99 % lower limit of "
            "the robust accuracy on the distribution, the verdicts' own failures included",
            "ceilings": {c.name: line for c, line in ceilings.items()},
            "voted on training images": {
                c.name: {"clean": k.clean} | {b: [p.certified for p in k.line(b)] for b in BOUNDS}
                for c, k in curves.items()
            },
            "rows": rows,
        },
        options.threads,
    )


if __name__ == "__main__":
    main()
