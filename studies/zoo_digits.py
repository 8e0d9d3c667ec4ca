"""ART's attacks on the digits network: no defence, three discretisations, two that draw.

python -m studies.zoo_digits            the matrix, in studies/results/zoo_digits.json
python -m studies.zoo_digits --column randdisc      that column alone; the others stay
python -m studies.zoo_digits --attacks pgd,square   these rows alone; the others stay
python -m studies.zoo_digits --binarised    a binarised network, alone and behind two bits, beside
                                        its real twin, in zoo_digits_binarised.json
python -m studies.zoo_digits --purifier     a small LQ-VAE, by mean and by sampled inference, in
                                        zoo_digits_purifier.json
python -m studies.zoo_digits --purifier --check     writes nothing, and fails where it shows a flaw
"""

import dataclasses
from functools import partial
from typing import Any

import art_disc as ad
from art_disc.cli.zoo import DEFENCES
from art_disc.core.records.zoo import ZooRecord
from art_disc.defences import parse_defence
from art_disc.evaluation.zoo.matrix import zoo_matrix
from art_disc.networks import DigitsNet, Stack, fcn2
from art_disc.report import as_text
from art_disc.training import LQVAE, trained
from studies import common

FILE = common.RESULTS / "zoo_digits.json"
BINARISED = common.RESULTS / "zoo_digits_binarised.json"
PURIFIER = common.RESULTS / "zoo_digits_purifier.json"
TWO_BITS = ("bitdepth:bits=2",)
# both as published for MNIST; the matrix asks whether attacks run, so a few draws will do
FEW = {"eot_samples": 2, "vote_samples": 4}
COLUMNS = (*DEFENCES, "randdisc", "randmix")


def main() -> None:
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--tier", default="smoke")
    parser.add_argument("--n-ex", type=int, default=16)
    parser.add_argument("--binarised", action="store_true", help="networks of signs")
    parser.add_argument("--purifier", action="store_true", help="an LQ-VAE")
    parser.add_argument("--check", action="store_true", help="exit code 1 for a flaw, no file")
    parser.add_argument("--column", action="append", choices=COLUMNS, help="repeatable; all")
    parser.add_argument("--attacks", metavar="NAMES", help="joined by commas; all")
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    data = ad.load_dataset("digits")
    file, training = FILE, "natural, 30 epochs, Adam, seed 0"
    if options.binarised:
        file, (made, training) = BINARISED, binarised(data)
    else:
        network, _ = trained(DigitsNet, data, seed=0, epochs=30)
        columns = () if options.purifier else options.column or COLUMNS
        made = {text: classifier(network, data, text) for text in columns}
    if options.purifier:
        file, made = PURIFIER, purified(network, data)
    how = {name: getattr(options, name) for name in ("tier", "attacks", "n_ex")}
    record = zoo_matrix(made, data, **how, time_limit=600, training=training)
    if options.check:
        print(as_text(record))
        raise SystemExit(bool(record.flaws()))
    if options.column or options.attacks:
        record = merged(ZooRecord.load(file), record)
    print(as_text(record))
    common.save(record, file.stem)


def binarised(data: ad.Dataset) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a binarised network, its real twin first, and how each was trained."""
    rates = {"real": 1e-3, "bnn": 1e-2}
    nets = {
        how: trained(
            partial(fcn2, data.input_shape, widths=(128, 128), binarization=how),
            data, seed=0, epochs=8, learning_rate=rate,
        )[0]
        for how, rate in rates.items()
    }  # fmt: skip
    columns = {"real": ("real", ()), "signs": ("bnn", ()), "signs, 2 bits": ("bnn", TWO_BITS)}
    made = {
        name: ad.build_classifier(nets[how], data=data, defences=list(defences))
        for name, (how, defences) in columns.items()
    }
    words = "natural, 8 epochs, Adam {:g}, seed 0"
    return made, {name: words.format(rates[how]) for name, (how, _) in columns.items()}


def purified(network: Any, data: ad.Dataset) -> dict[str, Any]:
    """Return a network behind a small LQ-VAE that was fitted to the digits, both inferences."""
    small = Stack(down=((16, 1), (32, 2)), up=((16, 2),), hidden=64)
    vae = LQVAE(stack=small, steps=600, learning_rate=2e-3, random_state=0)
    vae.fit(data.x_train, x_test=data.x_test, verbose=False)
    made = {}
    for inference in ("mean", "sampled"):
        # the published c has hardly a gradient: a matrix that looks for empty ones needs another
        purifier = ad.LQVAEFilter(vae, surrogate="softcode:0.1", inference=inference)
        drawing = FEW if inference == "sampled" else {}
        made[f"lqvae, {inference}"] = ad.build_classifier(
            network, data=data, defences=[purifier], **drawing
        )
    return made


def classifier(network: Any, data: ad.Dataset, text: str) -> Any:
    defences = [] if text == "none" else [parse_defence(text)]
    made = ad.build_classifier(network, data=data, defences=defences)
    return made.with_voting(**FEW) if isinstance(made, ad.RandomizedClassifier) else made


def merged(old: ZooRecord, new: ZooRecord) -> ZooRecord:
    """Return the old record with the cells of the new one, which must be of the same run.

    It names the commit of the old one: none of its cells is older.
    """
    same = ("dataset", "example_ids", "labels", "network", "tier", "eps", "seed", "time_limit")
    for name in same:
        if getattr(old, name) != getattr(new, name):
            msg = f"{FILE.name} has another {name}: run all columns"
            raise SystemExit(msg)
    defences = old.defences | new.defences
    ran = {(cell.attack, cell.defence) for cell in new.cells}
    cells = [
        (new if (attack, d) in ran else old).cell(attack, d)
        for attack in dict.fromkeys((*old.attacks, *new.attacks))
        for d in defences
    ]
    made = dataclasses.replace(new.environment, commit=old.environment.commit)
    return dataclasses.replace(new, defences=defences, cells=tuple(cells), environment=made)


if __name__ == "__main__":
    main()
