"""docs/reproduction.md, made from the committed tables of studies/results/tables.

python -m studies.tables
"""

from pathlib import Path
from typing import Any

from art_disc.core.files import replace_file
from art_disc.core.intervals import holm
from art_disc.core.records import load_record
from art_disc.core.records.protocols import ProtocolOutcome, ProtocolRow, ProtocolTableRecord
from art_disc.core.records.published import Gain, TableRecord, TableRow
from art_disc.report import as_markdown
from art_disc.report.kinds.published import eps_words
from studies.common import RESULTS

TABLES = RESULTS / "tables"
PAGE = Path(__file__).parents[1] / "docs" / "reproduction.md"

INTRODUCTION = """# The papers' tables, run again

`art-disc reproduce` without a name lists the tables and figures of Chen et al. 2018 and 2019, Panda
et al. 2019 and Kyatham et al. 2020 that can be run again. One of them, on the data at hand:

```
art-disc reproduce chen2018-table3 --n-ex 200
art-disc reproduce chen2018-table4 --setting disc_nat_pre --codes 10 300 --train-steps 500
art-disc reproduce chen2019-figure1 --dataset mnist
art-disc reproduce chen2018-table2 --method complete --sample random --n-ex 1000 --jobs 2
art-disc reproduce panda2019-table5 --setting BNN-2b Full-2b
art-disc reproduce kyatham2020-table7 --dataset mnist --setting A --checks standard
```

Networks are trained (or taken from the cache), each row is attacked, and our numbers are printed
beside the published ones, with what differs. `--train-steps` and `--n-ex` choose the size; the same
words go on with an interrupted run. TABLE.json, TABLE.md and the record of every row are in
`runs/reproduce`.

- *robust, printed* is the number in the paper. *papers' attack, ours* is their attack as their
  published code has it, on our network: for defended networks Adam on gradient signs with a margin
  loss, through the softened codebook, no random start; for undefended ones PGD with cross-entropy
  from one random start. Theirs keeps the last iterate; here an example also counts as
  broken if an earlier iterate broke it.
- *worst of all, ours* counts an example only if none of our attacks broke it, with its 95 % Wilson
  interval. Which attacks is said below each table.
- *gain over base* compares that worst case with the undefended network's on the same images:
  points, paired 95 % interval, and * where McNemar's exact p is below 0.05 after Holm's adjustment
  for the number of rows of the table.

- *worst white box, ours* leaves out transfer from the base and queries. Where it is above the worst
  of all, the defence hides gradients from its own attacker, and the worst of all is the better
  estimate, though still an upper one.

The networks are smaller and the trainings shorter than the papers', so levels differ. Rows that are
compared share network, base training, test images and budget; retrained ones had more epochs, and
defended ones are attacked through more surrogates than their base, which has none.

## Input bits and binarised networks (panda2019)

The printed numbers of Panda et al. 2019 follow from one protocol, which their text does not state,
and which is not a white box of what is deployed. Both are run, side by side (`--protocol`):

- `paper`: attackers start from the image that the input's discretisation makes, at the centres of
  its cells, add eps times the sign of the gradient once (FGSM), and the sum is discretised again.
  Below half a cell (.1255 at 2 bits, .0314 at 4) no pixel leaves its cell: the network sees the
  same image, and accuracy is that on clean images, whatever the network. At half a cell exactly
  (32/255 at 2 bits) a step up leaves the cell and one down does not; above, at 2 bits, every pixel
  moves by one cell, at .2 as at .3. On MNIST black pixels become .1255 before anything is added, so
  that images lie outside the budget around the raw ones.
- `raw`: a white box of all that predicts, from the raw image through the discretisation, whose
  gradient is taken straight through. FGSM, then the per-example worst of FGSM and of the suite
  `binarised` ([binarised networks](binarised.md)) with fewer steps and without its decision-based
  attack: PGD, AutoPGD with two losses, Square and the attack on codes, on binarised networks
  through several gradients of the signs at several temperatures. Networks of full precision meet
  the same attacks.
  This is the number to judge a network by; it is an upper estimate still.

*free* says how much an attacker has to work with: the share of input values that reach a second
code within the budget from where attackers start. At 8 bits the image is taken as it is, and both
protocols are one. `bitdepth:bits=2,centred=true` is eq. (2) with codewords at the mean of each
cell's grey levels; the tables take eq. (2) as printed.

MNIST rows are of FCN2 (784-600x4-10), `--network fcn1` takes the wide one of the paper; CIFAR-10
rows are of BinaryNet's network in small widths, binarised and real alike, where the paper compares
unequal widths and optimisers. `panda2019-figure6` measures the first hidden layer before it is
normalised. Figures 7 and 8 were not run here: the commands take CIFAR-100 or ImageNet of your own
(`--data-dir`).

## A purifier (kyatham2020)

The classifiers A, B and C of Kyatham et al. 2020 stand behind an [LQ-VAE](purifiers.md). Every
column says what its attacker knew; the paper's own columns do not know of the filter, but for table
7:

- *white box*: examples are made on the network itself: the plain classifier, or those trained
  against FGSM or PGD. That theirs were made so too follows from what they left of adversarially
  trained networks under DeepFool and CW.
- *grey box* (tables 1 to 3): they are made on the plain classifier and then filtered. Whoever makes
  them does not know that there is a filter, so it says nothing about one who does.
- *black box* (tables 4 to 6): they are made on another classifier, `A/B` is A attacked by way of B.
- *end to end* (table 7): the filter is known. *one step* is the paper's BPDA: FGSM along the soft
  quantiser's gradient. *latent codes* drives the means across the thresholds towards a code that
  the classifier gets wrong (`LatentCodeAttack`). *worst* is the per-example worst of these and of
  PGD, AutoPGD with two losses and Square, through the soft quantiser, a blunter one, the tent and
  identities. This is the number to judge the purifier by, and an upper estimate still.
- *end to end*, of sampled inference: PGD with EOT (8 draws), each image scored by 20 fresh draws:
  right where most are (*majority vote*), where all are (*worst draw*, an attacker who submits an
  image up to 20 times), or with draws that are fixed and known (*fixed draws*).

FGSM's 0.3 is on [0, 1] as printed; the published code adds it on [-1, 1], which is 0.15 here, so
table 7 is run at 0.1, 0.15 and 0.3. It names no classifier: all three are run. Defense-GAN is
printed alone. `--preset paper` takes the LQ-VAE of the text; the default, `code`, is that of the
published code. `kyatham2020-figure3` counts the bits that CW's images flip, and beside them those
of FGSM end to end. Tables 3 and 6 were not run here: the commands take CelebA's images of your own,
cut to 64x64, one folder a class (`--data-dir`).
"""

HOW_TO_READ = [
    "Every number is what our attacks left, so an upper estimate; a gain can be the defence's, or",
    "an attack's that finds less behind it. What a gain costs in clean accuracy stands beside it.",
]


Key = tuple[str, str, str, float]


def conclusions(records: list[TableRecord]) -> list[str]:
    """Say for each data set which settings gain, what each pays, and what is masked."""
    found: dict[Key, tuple[TableRow, TableRow, Gain]] = {}
    for record in records:
        for place, gain in record.gains().items():
            row = record.rows[place]
            base = record.base_of(row)
            if base is not None:
                key = (row.dataset, row.setting, row.defence, row.eps)
                found.setdefault(key, (row, base, gain))
    # one family: every setting on this page, once
    adjusted = dict(zip(found, holm([gain.raw for *_, gain in found.values()]), strict=True))
    lines = ["## What the rows say", "", *HOW_TO_READ, ""]
    for dataset in dict.fromkeys(key[0] for key in found):
        keys = [key for key in found if key[0] == dataset]
        sure = [key for key in keys if adjusted[key] < 0.05]
        lines += [
            f"**{dataset}**: {len(sure)} of {len(keys)} defended settings differ significantly "
            f"from their base in the worst case (p adjusted over all {len(found)} of this page).",
            "",
            *(_line(*found[key], adjusted[key]) for key in sure),
        ]
        rows = [found[key][0] for key in keys]
        masked = [row for row in rows if row.worst.count < row.white_box.count]
        if masked:
            words = "; ".join(
                f"{row.setting}, {row.defence} ({row.white_box.value:.1%} white box, "
                f"{row.worst.value:.1%} all)"
                for row in masked
            )
            lines += [
                "- Masked gradients, transfer or queries broke more than any white-box attack: "
                f"{words}."
            ]
        lines += [""]
    return lines


def _line(row: TableRow, base: TableRow, gain: Gain, p: float) -> str:
    verb = "gains" if gain.difference > 0 else "loses"
    return (
        f"- {row.setting}, {row.defence}, eps {eps_words(row.eps, row.dataset)} {verb} "
        f"{100 * abs(gain.difference):.1f} points, {base.worst.value:.1%} to {row.worst.value:.1%} "
        f"(p {p:.1g}); clean accuracy {base.clean.value:.1%} to {row.clean.value:.1%}"
    )


def protocol_conclusions(records: list[ProtocolTableRecord]) -> list[str]:
    """Say what either protocol leaves, and of which networks more."""
    lines = []
    for record in records:
        rows = [row for row in record.rows if row.under("paper") and row.under("raw")]
        if not rows or not record.complete:
            continue
        still = [row for row in rows if _under(row, "paper").free == 0]
        lines += [f"**{record.table}**: {len(rows)} rows under both protocols.", ""]
        if still:
            kept = sum(_under(row, "paper").fgsm == row.correct for row in still)
            left = sorted(_under(row, "raw").worst.value for row in still)
            lines += [
                f"- In {len(still)} of them attackers of `paper` can change nothing that the "
                f"network sees; in {kept} of these every image that was right stays so. The worst "
                f"case of `raw` leaves {left[0]:.1%} to {left[-1]:.1%} of the same images.",
            ]
        moved = [row for row in rows if row not in still and _under(row, "paper").free is not None]
        if moved:
            most = max(_under(row, "paper").after_fgsm.value for row in moved)
            lines += [
                f"- In the {len(moved)} others with discretised inputs one FGSM step of `paper` "
                f"leaves at most {most:.1%}.",
            ]
        lines += [*_twins(rows), ""]
    return ["## What the protocols say", "", *lines] if lines else []


def _under(row: ProtocolRow, protocol: str) -> ProtocolOutcome:
    found = row.under(protocol)
    if found is None:
        msg = f"{row.model} was not run under {protocol}"
        raise ValueError(msg)
    return found


def _twins(rows: list[ProtocolRow]) -> list[str]:
    """Compare binarised networks with their real twins in the worst case of `raw`."""
    real = {(r.dataset, r.bits, r.base, r.eps): r for r in rows if r.precision == "real"}
    pairs = [
        (_under(row, "raw").worst.value, _under(twin, "raw").worst.value)
        for row in rows
        if row.precision == "bnn" and (twin := real.get((row.dataset, row.bits, row.base, row.eps)))
    ]
    if not pairs:
        return []
    more = sum(bnn > twin for bnn, twin in pairs)
    less = sum(bnn < twin for bnn, twin in pairs)
    return [
        f"- In the worst case of `raw` the binarised network keeps more than its real twin in "
        f"{more} of {len(pairs)} pairs, less in {less}."
    ]


def page() -> str:
    records = [load_record(path) for path in sorted(TABLES.glob("*.json"))]
    tables = [record for record in records if isinstance(record, TableRecord)]
    protocols = [record for record in records if isinstance(record, ProtocolTableRecord)]
    said = [*conclusions(tables), *protocol_conclusions(protocols)]
    lines = [line for record in records for line in (f"#{as_markdown(record)}", _made(record))]
    return "\n".join([INTRODUCTION, *said, *lines]).rstrip() + "\n"


def _made(record: Any) -> str:
    where = record.environment
    return (
        f"({where.created[:10]}, {where.platform}, {where.threads} thread, torch "
        f"{where.packages['torch']}, ART {where.packages['adversarial-robustness-toolbox']})\n"
    )


def main() -> None:
    print(replace_file(PAGE, page().encode()))


if __name__ == "__main__":
    main()
