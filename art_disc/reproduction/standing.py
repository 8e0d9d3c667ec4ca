"""Where each printed number stands: measured by a record, to be run, or out of reach here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from art_disc.core.records import Record
from art_disc.core.showing import Shown
from art_disc.reproduction.costs import minutes_of
from art_disc.reproduction.printed import Measure, Printed, measures, printed

MEASURED, TO_RUN, OUT_OF_REACH = "measured", "to be run", "cannot be run here"
# data sets that are not at hand; the commands take images of the user's own
_MISSING = {"imagenet": "ImageNet", "celeba": "CelebA", "cifar100": "CIFAR-100"}
_METRICS = {
    "bits": "a setting, not a result",
    "filter": "a setting, not a result",
    "stride": "a setting, not a result",
    "cited": "cited from another paper",
    "gain": "a difference of other numbers",
}


@dataclass(frozen=True, slots=True)
class Standing(Shown):
    """A printed number and what became of it.

    Attributes:
        printed: The number.
        files: Records that measured it, by their names; none: not measured.
        reason: Why it was not; empty where it was.
        minutes: Of one core, about what its row costs; None: it is measured, or cannot be run here.
    """

    printed: Printed
    files: tuple[str, ...] = ()
    reason: str = ""
    minutes: float | None = None

    @property
    def word(self) -> str:
        """`MEASURED`, `TO_RUN` or `OUT_OF_REACH`."""
        if self.files:
            return MEASURED
        return OUT_OF_REACH if self.minutes is None else TO_RUN


def standings(records: Mapping[str, Record | Iterable[Measure]]) -> tuple[Standing, ...]:
    """Return where every printed number stands.

    Args:
        records: By name: a record of a table, or what else has measured, as `printed` tells it.
    """
    known = {
        name: measures(found) if isinstance(found, Record) else frozenset(found)
        for name, found in records.items()
    }
    return tuple(_standing(number, known) for number in printed())


def _standing(number: Printed, known: Mapping[str, frozenset[Measure]]) -> Standing:
    if files := tuple(name for name, found in known.items() if number.measure in found):
        return Standing(number, files)
    if reason := why_not(number):
        return Standing(number, reason=reason)
    return Standing(number, reason="in the queue", minutes=minutes_of(number.published))


def why_not(number: Printed) -> str:
    """Return why a number cannot be measured here, in a few words; empty: it can."""
    metric = number.column.partition(" ")[0]
    if metric in _METRICS:
        return _METRICS[metric]
    if number.column == "defense_gan":
        return "no trained Defense-GAN here"
    if "nips_defence" in number.row or "nips" in number.row:
        return "competition entries are not here"
    if number.dataset in _MISSING:
        return f"{_MISSING[number.dataset]} is not at hand"
    return ""
