"""Figure 6 of Panda et al. 2019 run again: how large the first hidden layer's activations are."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from art.attacks.evasion import FastGradientMethod
from numpy.typing import NDArray
from torch import Tensor, nn

from art_disc.core.budget import Budget
from art_disc.core.checks import Float32Array, check_count
from art_disc.core.records import Share
from art_disc.core.records.base import Environment
from art_disc.core.records.fields import Setting
from art_disc.core.records.protocols import ActivationRecord, ActivationRow
from art_disc.core.seeds import derive_seed
from art_disc.data import Dataset, load_dataset
from art_disc.estimators import DefendedClassifier
from art_disc.reproduction.binarised_recipes import PRECISIONS, recipe_for
from art_disc.trials.score import predict_labels
from art_disc.trials.trial import Trial, run_trial

FIGURE6 = "panda2019-figure6"
TITLE = "MNIST: L1 norm of the first hidden layer, clean and after FGSM, binarised and real"
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def first_layer_norms(network: nn.Module, x: Float32Array) -> NDArray[np.float64]:
    """Return the L1 norm of what the first layer gives, over its number of units.

    The values are those before they are normalised and cut off: behind that, the norm of a layer of
    signs is the same for every image.

    Args:
        network: Its first linear layer or convolution is looked at.
        x: Images (n, c, h, w) in [0, 1].

    Returns:
        Float64 of shape (n,).
    """
    layer = next(m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d))
    seen: list[Tensor] = []
    hook = layer.register_forward_hook(lambda _, __, out: seen.append(out.detach()))
    try:
        with torch.no_grad():
            network(torch.from_numpy(x))
    finally:
        hook.remove()
    return seen[0].flatten(1).abs().mean(dim=1).double().numpy()


def reproduce_figure6(  # noqa: PLR0913 - each is a choice of its own
    *,
    out: str | Path = "runs/reproduce",
    network: str | None = None,
    n_ex: int = 500,
    eps: Sequence[float] = (0.1, 0.3),
    train_steps: int | None = None,
    seed: int = 0,
    data_dir: str | Path | None = None,
    verbose: bool = True,
) -> ActivationRecord:
    """Measure first-layer activations on the first `n_ex` test images, clean and after FGSM.

    Args:
        out: Folder of `panda2019-figure6.json`.
        network: A network of MNIST, `fcn1` for example; None: the usual one, `fcn2`.
        n_ex: Test images.
        eps: Budgets of FGSM in [0, 1].
        train_steps: Batches in place of the recipe's epochs.
        seed: Of trainings.
        data_dir: Where mnist.npz is looked for first.
        verbose: Show progress bars.

    Raises:
        InputError: No such network, or more images than there are.
        DataNotFoundError: MNIST is not there.
    """
    # first: the code may change while it runs
    environment = Environment.here(threads=torch.get_num_threads())
    data = load_dataset("mnist", data_dir=data_dir)
    recipe, part = recipe_for("mnist", network), data.part(check_count(n_ex, "n_ex"))
    rows = []
    for precision in PRECISIONS:
        made = recipe.trained(data, precision, train_steps=train_steps, seed=seed, verbose=verbose)
        for value, x in _attacked(made.classifier, part, sorted(eps), seed):
            norms = np.quantile(first_layer_norms(made.classifier.base_network, x), _QUANTILES)
            right = Share.of(predict_labels(made.classifier, x) == part.y_test)
            rows.append(
                ActivationRow(
                    recipe.words, precision, value, tuple(norms.tolist()), right, made.training
                )
            )
    asked: dict[str, Setting] = {
        "n_ex": n_ex,
        "seed": seed,
        "train_steps": train_steps,
        "network": recipe.name,
    }
    record = ActivationRecord(FIGURE6, TITLE, data.name, tuple(rows), asked, environment)
    record.save(Path(out) / f"{FIGURE6}.json")
    return record


def _attacked(
    classifier: DefendedClassifier, data: Dataset, eps: Sequence[float], seed: int
) -> Iterator[tuple[float, Float32Array]]:
    """Yield budget and images, the clean ones first."""
    yield 0.0, data.x_test
    for value in eps:
        trial = Trial(
            partial(FastGradientMethod, classifier, eps=value),
            classifier,
            data.x_test,
            data.y_test,
            Budget(value),
            lambda first: derive_seed(seed, first),
        )
        yield value, run_trial(trial).images
