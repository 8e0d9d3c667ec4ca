"""A network of signs and its twin of full precision and the same width, on CIFAR-10.

The small pair of the tables (`reproduction.binarised_recipes`), images as they are, in batches of
half the size: twice as many steps from as many epochs. In float32, for a processor without
bfloat16. A training goes on at the next call, after its last whole epoch.

    python -m studies.binarised_pair --data-dir DIR
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

import art_disc as ad
from art_disc.core.records import Share
from art_disc.core.records.protocols import ProtocolTableRecord
from art_disc.reproduction.binarised_recipes import PRECISIONS, recipe_for
from studies import common
from studies.mnist_two_codes import summarise
from studies.summary import percent

TABLE = "tables/panda2019-table4"
SETTINGS = {"epochs": 20, "batch_size": 50, "augment": "crop_flip"}
RATES = {"bnn": 5e-3, "real": 1e-3}
NAMES = {"bnn": "signs", "real": "full precision"}


def row(data: ad.Dataset, precision: str) -> dict[str, Any]:
    """Train one of the pair, or take it from the cache, and count the test images it gets right."""
    settings = {**SETTINGS, "learning_rate": RATES[precision]}
    recipe = replace(recipe_for(data.name), trainings={precision: settings})
    made = recipe.trained(data, precision)
    right = made.classifier.predict(data.x_test).argmax(axis=1) == data.y_test
    clean = Share.of(right)
    print(precision, clean, flush=True)
    return {
        "precision": precision,
        "network": f"{recipe.words}: {made.training}",
        "clean": summarise(clean),
    }


def of_table() -> dict[str, dict[str, Any]]:
    """Return what the published table's own rows say of the pair at 8 bits, by precision."""
    record = ProtocolTableRecord.load(common.RESULTS / f"{TABLE}.json")
    return {
        one.precision: {"network": one.network, "clean": summarise(one.clean)}
        for one in record.rows
        if one.bits == 8
    }


def gap(pair: Mapping[str, Mapping[str, Any]]) -> float:
    """Return by how many points the twin gets more images right."""
    return 100 * (pair["real"]["clean"]["value"] - pair["bnn"]["clean"]["value"])


def table() -> list[str]:
    """Return both pairs, as part of a page."""
    found = common.load("binarised_pair")
    pairs = of_table(), {one["precision"]: one for one in found["rows"]}
    gaps = [f"{gap(pair):.1f}" for pair in pairs]
    lines = [
        (
            NAMES[precision],
            pair[precision]["network"].partition(": ")[2].rpartition(", weights")[0],
            percent(pair[precision]["clean"]),
        )
        for pair in pairs
        for precision in PRECISIONS
    ]
    return [
        *common.markdown(("weights and activations", "training", "right when clean"), lines),
        f"Of full precision more: {gaps[0]} points in the table's own rows, {gaps[1]} with batches "
        f"of half the size in float32. (`studies/binarised_pair.py`; {common.where(found)})",
    ]


def main() -> None:
    options = common.parser(str(__doc__).splitlines()[0]).parse_args()
    torch.set_num_threads(options.threads)
    data = ad.load_dataset("cifar10", data_dir=options.data_dir)
    common.write("binarised_pair", {"rows": [row(data, p) for p in PRECISIONS]}, options.threads)


if __name__ == "__main__":
    main()
