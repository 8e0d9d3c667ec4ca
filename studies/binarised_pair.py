"""How a small CIFAR-10 network of signs is to be made and trained to come near its twin.

The pair of the tables (`reproduction.binarised_recipes`), images as they are and in float32, for a
processor without bfloat16: the twin of full precision as it is there; the network of signs by other
learning rates and batches, with a real first and last layer, or taught by the twin. Every try is a
row. A training goes on at the next call, after its last whole epoch.

    python -m studies.binarised_pair --data-dir DIR
"""

import re
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

import art_disc as ad
from art_disc.core.records import Share
from art_disc.core.records.protocols import ProtocolTableRecord
from art_disc.reproduction.binarised_recipes import recipe_for
from art_disc.training import Distilled, Trained
from studies import common
from studies.mnist_two_codes import summarise
from studies.summary import percent

TABLE = "tables/panda2019-table4"
SHARED = {"epochs": 20, "augment": "crop_flip"}
TWIN = {"learning_rate": 1e-3, "batch_size": 100}


@dataclass(frozen=True)
class Try:
    """One way to make and train the network of signs.

    Attributes:
        ends: First and last layer; the inputs of a real last layer are real too.
        training: Settings of `train` besides the shared ones.
        taught: Whether the twin is its teacher.
    """

    ends: str
    training: dict[str, Any]
    taught: bool = False


TRIES = (
    Try("binary", {"learning_rate": 5e-3, "batch_size": 50}),
    Try("binary", {"learning_rate": 2e-3, "batch_size": 100}),
    Try("real", {"learning_rate": 5e-3, "batch_size": 100}),
    Try("real", {"learning_rate": 5e-3, "batch_size": 100}, taught=True),
)


def twin_of(data: ad.Dataset) -> Trained:
    """Train the twin of full precision, or take it from the cache."""
    return replace(recipe_for(data.name), trainings={"real": SHARED | TWIN}).trained(data, "real")


def tried(data: ad.Dataset, one: Try, twin: Trained) -> Trained:
    """Train the network of signs, or take it from the cache."""
    recipe = recipe_for(data.name)
    network = partial(recipe.network, first=one.ends, last=one.ends)
    recipe = replace(recipe, network=network, trainings={"bnn": SHARED | one.training})
    return recipe.trained(data, objective=Distilled(twin.classifier.model) if one.taught else None)


def row(data: ad.Dataset, made: Trained, **told: Any) -> dict[str, Any]:
    """Count what a network gets right."""
    clean = Share.of(made.classifier.predict(data.x_test).argmax(axis=1) == data.y_test)
    print(made.training, told, clean, flush=True)
    return {
        "network": f"{recipe_for(data.name).words}: {made.training}",
        **told,
        "images": len(data.x_train),
        "clean": summarise(clean),
        "losses": list(made.result.losses),
    }


def of_table() -> dict[str, dict[str, Any]]:
    """Return what the published table's own rows say of the pair at 8 bits: twin, and signs."""
    record = ProtocolTableRecord.load(common.RESULTS / f"{TABLE}.json")
    return {
        {"real": "twin", "bnn": "rows"}[one.precision]: {
            "network": one.network, "clean": summarise(one.clean), "ends": "binary",
        }
        for one in record.rows if one.bits == 8
    }  # fmt: skip


def table() -> list[str]:
    """Return every training beside its twin, as part of a page."""
    found, published = common.load("binarised_pair"), of_table()
    heads = (
        "weights and activations", "training", "its last loss", "right when clean",
        "points below its twin",
    )  # fmt: skip
    pairs = (published["twin"], [published["rows"]]), (found["twin"], found["rows"])
    lines = [line for twin, rows in pairs for line in _lines(twin, rows)]
    return [
        *common.markdown(heads, lines),
        "The first two are of [table 4](reproduction.md); `studies/binarised_pair.py` made the "
        f"others, in float32 ({common.where(found)}).",
    ]


def _lines(twin: dict[str, Any], rows: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return the lines of a twin, and of networks of signs below it."""
    signs = {"binary": "signs", "real": "signs, but for a real first and last layer"}
    best = twin["clean"]["value"]
    below = [f"{100 * (best - one['clean']['value']):.1f}" for one in rows]
    kinds = ["full precision", *(signs[one["ends"]] for one in rows)]
    return [
        (
            kind,
            _training(one["network"]),
            # a teacher's loss is another one
            f"{one['losses'][-1]:.2f}" if "losses" in one and not one.get("taught") else "",
            percent(one["clean"]),
            points,
        )
        for kind, one, points in zip(kinds, [twin, *rows], ["", *below], strict=True)
    ]


def _training(network: str) -> str:
    words = network.partition(": ")[2].rpartition(", weights")[0]
    # the only teacher that a try has
    return re.sub(r"taught by \w{16}", "taught by its twin", words)


def main() -> None:
    options = common.parser(str(__doc__).splitlines()[0]).parse_args()
    torch.set_num_threads(options.threads)
    data = ad.load_dataset("cifar10", data_dir=options.data_dir)
    twin = twin_of(data)
    rows = [row(data, tried(data, one, twin), ends=one.ends, taught=one.taught) for one in TRIES]
    common.write("binarised_pair", {"twin": row(data, twin), "rows": rows}, options.threads)


if __name__ == "__main__":
    main()
