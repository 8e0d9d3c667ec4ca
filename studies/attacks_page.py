"""The table of attacks and what `studies.zoo_digits` found, as parts of docs/attacks.md."""

from art_disc.attacks import ATTACKS
from art_disc.attacks.zoo.discovery import LEFT_OUT
from art_disc.core.records.zoo import ZooRecord
from art_disc.evaluation.zoo.matrix import attack_list, left_out_list
from art_disc.report.kinds import zoo
from studies.common import RESULTS, made_at


def attacks() -> list[str]:
    """Return the attacks that run here."""
    # not those that are found: an attack whose package is absent cannot be
    classes = LEFT_OUT.keys() | {spec.art for spec in ATTACKS.values() if spec.art}
    said = f"{len(classes)} classes of ART are in this table or left out."
    return [said, "", attack_list().markdown()]


def left_out() -> list[str]:
    """Return the attacks that do not, and why."""
    return [left_out_list().markdown()]


def matrix(name: str) -> list[str]:
    """Return a matrix with what it is of."""
    record = ZooRecord.load(RESULTS / f"{name}.json")
    parts = (part.markdown() for part in zoo.matrix(record).parts)
    made = f"(`studies/zoo_digits.py`; {made_at(record)})"
    return ["\n\n".join((about(record), *parts, made))]


def about(record: ZooRecord) -> str:
    """Say what the matrix is of, and how many of its successes kept no budget."""
    lowered = [cell for cell in record.cells if cell.status == "lowered"]
    beyond = sum(map(record.beyond, lowered))
    return (
        f"{len(record.labels)} {record.dataset['name']}, a network trained by: "
        f"{record.network['training']}; l_inf budget {record.eps:g} (in l2 the norm of a change by "
        f"{record.eps:g} everywhere), tier {record.tier}. It shows what runs, and measures no "
        f"robustness: of {len(lowered)} cells in which the accuracy fell, {beyond} are of attacks "
        f"that take no budget and changed some value by more than {record.eps:g}. Times are of a "
        "busy machine."
    )
