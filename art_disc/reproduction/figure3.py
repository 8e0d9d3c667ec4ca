"""Figure 3 of Kyatham et al. 2020 run again: how many bits of a code an attack flips."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from art_disc.attacks import attack_table
from art_disc.core.records import Share
from art_disc.core.records.base import Environment
from art_disc.core.records.fields import Setting
from art_disc.core.records.purifiers import BitFlipRecord, BitFlipRow
from art_disc.data import load_dataset
from art_disc.metrics import bit_flips
from art_disc.reproduction.purifier_bench import Bench

FIGURE3 = "kyatham2020-figure3"
TITLE = "bits of the latent code that adversarial images flip"
# the figure's attack, made on the classifier alone, and one that knows the filter
_ATTACKS: tuple[tuple[str, str, float | None], ...] = (
    ("cw_l2", "grey box", None),
    ("fgsm", "end to end, one step", 0.3),
)


def reproduce_figure3(  # noqa: PLR0913 - each is a choice of its own
    *,
    out: str | Path = "runs/reproduce",
    models: Sequence[str] = ("A",),
    preset: str = "code",
    n_ex: int = 1000,
    train_steps: int | None = None,
    attack_settings: dict[str, Any] | None = None,
    seed: int = 0,
    data_dir: str | Path | None = None,
    verbose: bool = True,
) -> BitFlipRecord:
    """Count the bits that CW's images flip, and beside them those of FGSM end to end.

    Args:
        out: Folder of `kyatham2020-figure3.json` and of adversarial images.
        models: Classifiers, `A`, `B`, `C`; the paper does not name its own.
        preset: Of the LQ-VAE.
        n_ex: The first so many test images of MNIST.
        train_steps: Batches in place of the recipes'.
        attack_settings: `{"cw_l2.max_iter": 20}`: over the usual ones.
        seed: Of trainings and attacks.
        data_dir: Where mnist.npz is looked for first.
        verbose: Show progress bars.

    Raises:
        InputError: No such classifier, preset or setting, or more images than there are.
        DataNotFoundError: MNIST is not there.
    """
    attack_table([name for name, *_ in _ATTACKS], attack_settings or {})
    # first: the code may change while it runs
    environment = Environment.here(threads=torch.get_num_threads())
    bench = Bench(
        load_dataset("mnist", data_dir=data_dir), n_ex, Path(out), preset, train_steps,
        attack_settings or {}, seed, verbose,
    )  # fmt: skip
    rows: list[BitFlipRow] = []
    networks: list[str] = []
    for model in models:
        purified = bench.judged(model, "lqvae")
        for attack, knowledge, eps in _ATTACKS:
            source = bench.judged(model) if knowledge == "grey box" else purified
            images, _ = bench.examples(source, attack, eps)
            flips = bit_flips(purified.classifier, bench.part.x_test, images)
            rows.append(
                BitFlipRow(
                    model, attack, knowledge, flips.curve(), Share.of(purified.right[:n_ex]),
                    Share.of(bench.left(purified, images)),
                )
            )  # fmt: skip
        networks += [bench.judged(model).network, purified.network]
    asked: dict[str, Setting] = {
        "n_ex": n_ex, "seed": seed, "train_steps": train_steps, "preset": preset,
    }  # fmt: skip
    record = BitFlipRecord(
        FIGURE3,
        TITLE,
        bench.data.name,
        tuple(rows),
        tuple(dict.fromkeys(networks)),
        asked,
        environment,
    )
    record.save(Path(out) / f"{FIGURE3}.json")
    return record
