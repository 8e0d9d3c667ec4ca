"""docs/reproduction.md, made from the committed tables of studies/results/tables.

python -m studies.tables
"""

import json
from pathlib import Path

from art_disc.core.certificate_table import CertificateTableRecord
from art_disc.core.files import replace_file
from art_disc.core.record_base import Environment
from art_disc.core.table_record import TableRecord
from art_disc.reproduction import FIGURE5, as_markdown, certificates_text, classes_text
from art_disc.reproduction.figure5 import ClassesRow
from studies.common import RESULTS

TABLES = RESULTS / "tables"
PAGE = Path(__file__).parents[1] / "docs" / "reproduction.md"

INTRODUCTION = """# The papers' tables, run again

`art-disc reproduce` without a name lists the tables and figures of Chen et al. 2018 and 2019 that
can be run again. One of them, on the data at hand:

```
art-disc reproduce chen2018-table3 --n-ex 200
art-disc reproduce chen2018-table4 --setting disc_nat_pre --codes 10 300 --train-steps 500
art-disc reproduce chen2019-figure1 --dataset mnist
```

Networks are trained (or taken from the cache), each row is attacked, and our numbers are printed
beside the published ones, with what differs. `--train-steps` and `--n-ex` choose the size; the same
words go on with an interrupted run. TABLE.json, TABLE.md and the record of every row are in
`runs/reproduce`.

- *robust, printed* is the number in the paper. *papers' attack, ours* is their attack as their
  published code has it, on our network: for defended networks Adam on gradient signs with a margin
  loss, through the softened codebook, no random start, last iterate; for undefended ones PGD with
  cross-entropy from one random start.
- *worst of all, ours* counts an example only if none of our attacks broke it, with its 95 % Wilson
  interval. Which attacks is said below each table.
- *gain over base* compares that worst case with the undefended network's on the same images:
  points, paired 95 % interval, and * where McNemar's exact p is below 0.05 after Holm's adjustment
  for the number of rows of the table.

The networks are smaller and the trainings shorter than the papers', so levels differ; rows of a
table that are compared with each other share everything but the defence.
"""


def conclusions(records: list[TableRecord]) -> list[str]:
    """Say for each data set how many settings gain, and what each of these pays."""
    lines = ["## What the rows say", ""]
    seen: dict[str, dict[tuple, str]] = {}
    counts: dict[str, set[tuple]] = {}
    for record in records:
        gains = record.gains()
        for place, row in enumerate(record.rows):
            if place not in gains:
                continue
            key = (row.setting, row.defence, row.eps)
            counts.setdefault(row.dataset, set()).add(key)
            gain, base = gains[place], record.base_of(row)
            if gain.significant and base is not None:
                verb = "gains" if gain.difference > 0 else "loses"
                seen.setdefault(row.dataset, {})[key] = (
                    f"{row.setting}, {row.defence} {verb} {100 * abs(gain.difference):.1f} points "
                    f"(worst case {base.worst.value:.1%} to {row.worst.value:.1%}; clean "
                    f"{base.clean.value:.1%} to {row.clean.value:.1%})"
                )
    for dataset, keys in counts.items():
        found = seen.get(dataset, {})
        rest = len(keys) - len(found)
        lines += [
            f"**{dataset}**: {len(found)} of {len(keys)} defended settings differ significantly "
            f"from their base in the worst case, {rest} do not.",
            "",
            *(f"- {text}" for text in found.values()),
            "",
        ]
    return lines


def page() -> str:
    lines, tables = [], []
    for path in sorted(TABLES.glob("*.json")):
        body = json.loads(path.read_text(encoding="utf-8"))
        if body.get("kind") == TableRecord.kind:
            record = TableRecord.load(path)
            tables.append(record)
            lines += ["#" + as_markdown(record), _made(record.environment)]
        elif body.get("kind") == CertificateTableRecord.kind:
            certificates = CertificateTableRecord.load(path)
            lines += [f"## {certificates.table}", "", "```", certificates_text(certificates), "```"]
            lines += ["", _made(certificates.environment)]
        elif body.get("figure") == FIGURE5:
            rows = [ClassesRow(**row) for row in body["rows"]]
            lines += [f"## {FIGURE5}", "", "```", classes_text(rows), "```", ""]
            lines += [_made(Environment(**body["environment"]))]
    return "\n".join([INTRODUCTION, *conclusions(tables), *lines]).rstrip() + "\n"


def _made(where: Environment) -> str:
    return (
        f"({where.created[:10]}, {where.platform}, {where.threads} thread, torch "
        f"{where.packages['torch']}, ART {where.packages['adversarial-robustness-toolbox']})\n"
    )


def main() -> None:
    print(replace_file(PAGE, page().encode()))


if __name__ == "__main__":
    main()
