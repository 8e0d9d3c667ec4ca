"""How a small CIFAR-10 network of signs is to be made and trained to come near its twin.

The pair of the tables (`reproduction.binarised_recipes`), images as they are: the twin of full
precision is that of the table, the network of signs is trained by other learning rates and batches
or has a real first and last layer, in float32, for a processor without bfloat16. Every try is a
row. A training goes on at the next call, after its last whole epoch.

    python -m studies.binarised_pair --data-dir DIR
"""

from dataclasses import replace
from functools import partial
from typing import Any

import torch

import art_disc as ad
from art_disc.core.records import Share
from art_disc.core.records.protocols import ProtocolTableRecord
from art_disc.reproduction.binarised_recipes import recipe_for
from studies import common
from studies.mnist_two_codes import summarise
from studies.summary import percent

TABLE = "tables/panda2019-table4"
SHARED = {"epochs": 20, "augment": "crop_flip"}
# first and last layer, and the training; the inputs of a real last layer are real too
TRIES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("binary", {"learning_rate": 5e-3, "batch_size": 50}),
    ("binary", {"learning_rate": 2e-3, "batch_size": 100}),
    ("real", {"learning_rate": 5e-3, "batch_size": 100}),
)


def row(data: ad.Dataset, ends: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Train the network of signs, or take it from the cache, and count what it gets right."""
    recipe = recipe_for(data.name)
    network = partial(recipe.network, first=ends, last=ends)
    recipe = replace(recipe, network=network, trainings={"bnn": SHARED | settings})
    made = recipe.trained(data)
    right = made.classifier.predict(data.x_test).argmax(axis=1) == data.y_test
    clean = Share.of(right)
    print(ends, settings, clean, flush=True)
    return {
        "network": f"{recipe.words}: {made.training}",
        "ends": ends,
        "images": len(data.x_train),
        "clean": summarise(clean),
        "losses": list(made.result.losses),
    }


def of_table() -> dict[str, tuple[str, dict[str, Any]]]:
    """Return what the published table's own rows say of the pair at 8 bits, by precision."""
    record = ProtocolTableRecord.load(common.RESULTS / f"{TABLE}.json")
    return {one.precision: (one.network, summarise(one.clean)) for one in record.rows
            if one.bits == 8}  # fmt: skip


def table() -> list[str]:
    """Return every training beside the twin, as part of a page."""
    found = common.load("binarised_pair")
    own = of_table()
    twin, shown = own.pop("real"), [*own.values()]
    lines = [("full precision", _words(twin[0]), "", percent(twin[1]), "")]
    ends = len(shown) * ["binary"] + [one["ends"] for one in found["rows"]]
    losses = len(shown) * [""] + [f"{one['losses'][-1]:.2f}" for one in found["rows"]]
    shown += [(one["network"], one["clean"]) for one in found["rows"]]
    lines += [
        (
            "signs" if end == "binary" else "signs, but for a real first and last layer",
            _words(network),
            loss,
            percent(clean),
            f"{100 * (twin[1]['value'] - clean['value']):.1f}",
        )
        for end, loss, (network, clean) in zip(ends, losses, shown, strict=True)
    ]
    heads = (
        "weights and activations", "training", "its last loss", "right when clean",
        "points below the twin",
    )  # fmt: skip
    return [
        *common.markdown(heads, lines),
        "The first two are of [table 4](reproduction.md); `studies/binarised_pair.py` made the "
        f"others ({common.where(found)}).",
    ]


def _words(network: str) -> str:
    return network.partition(": ")[2].rpartition(", weights")[0]


def main() -> None:
    options = common.parser(str(__doc__).splitlines()[0]).parse_args()
    torch.set_num_threads(options.threads)
    data = ad.load_dataset("cifar10", data_dir=options.data_dir)
    common.write("binarised_pair", {"rows": [row(data, *one) for one in TRIES]}, options.threads)


if __name__ == "__main__":
    main()
