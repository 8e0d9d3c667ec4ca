"""The record of how hard a data set is to defend by a codebook."""

from dataclasses import dataclass

from art_disc.core.records.base import Environment, Record
from art_disc.core.records.checked import Checked
from art_disc.core.records.fields import Count, Finite, NonNegative, Setting, Unit
from art_disc.core.records.rules import check_equal


@dataclass(frozen=True, slots=True)
class ClassesFacts(Checked):
    """The code images in reach of a test image; see `metrics.equivalence_classes`.

    Attributes:
        eps: l_inf budget on the [0, 1] scale.
        rule, domain: Which codewords count as reached, and what a changed pixel may be.
        images, pixels: Images, and pixels of one of them.
        n_codes: What a pixel can be assigned to.
        median_per_pixel: Of (1/d) log_k of the code images in reach, d pixels, k codes.
        per_pixel_quartiles: The least, the quartiles and the largest of the same.
        median_exponent: Of log_k of the code images in reach.
        mean_class_size: Codewords in reach of a pixel.
        share_of_pixels_free: Pixels with more than one.
    """

    eps: NonNegative
    rule: str
    domain: str
    images: Count
    pixels: Count
    n_codes: Count
    median_per_pixel: Unit
    per_pixel_quartiles: tuple[Unit, Unit, Unit, Unit, Unit]
    median_exponent: NonNegative
    mean_class_size: NonNegative
    share_of_pixels_free: Unit


@dataclass(frozen=True, slots=True)
class SeparabilityFacts(Checked):
    """How far clusters of pixels lie apart, l_inf on the [0, 1] scale; see `metrics.separability`.

    Attributes:
        eps, twice_eps: The budget, and what two clusters must be apart by.
        domain: What a changed pixel may be.
        codeword_separation: Between codewords; None: one codeword alone.
        gap, gap_in_grey_levels: Between pixels of two cells; None: all are in one.
        gap_exceeds_twice_eps: Whether it does.
        pixels, distinct_colours: Of the data.
        share_of_pixels_free, share_of_colours_free: Those that can change their codeword.
        share_of_colour_volume_free: Of all 8-bit colours; None where that would take long.
        separable: Whether no pixel of the data can.
    """

    eps: NonNegative
    twice_eps: NonNegative
    domain: str
    codeword_separation: NonNegative | None
    gap: NonNegative | None
    gap_in_grey_levels: NonNegative | None
    gap_exceeds_twice_eps: bool
    pixels: Count
    share_of_pixels_free: Unit
    distinct_colours: Count
    share_of_colours_free: Unit
    share_of_colour_volume_free: Unit | None
    separable: bool


@dataclass(frozen=True, slots=True)
class NeighbourhoodFacts(Checked):
    """Pixels within the budget of each colour of the data; see `metrics.neighbourhood_sizes`.

    Attributes:
        eps: l_inf budget on the [0, 1] scale.
        pixels, distinct_colours: Of the data.
        weighted_by: `distinct colour` or `pixel`.
        size_quantiles: Share, as text -> number of pixels that it does not exceed.
        largest: The most pixels around a colour.
        largest_at_255: That colour, 0..255.
        median_distinct_colours_around: Distinct colours around a colour.
    """

    eps: NonNegative
    pixels: Count
    distinct_colours: Count
    weighted_by: str
    size_quantiles: dict[str, Count]
    largest: Count
    largest_at_255: tuple[Count, ...]
    median_distinct_colours_around: NonNegative


@dataclass(frozen=True, slots=True)
class HardnessRow(Checked):
    """Everything about one budget."""

    eps: NonNegative
    equivalence_classes: ClassesFacts
    separability: SeparabilityFacts
    neighbourhoods: NeighbourhoodFacts

    def check(self) -> None:
        """Refuse parts that are about another budget."""
        for name in ("equivalence_classes", "separability", "neighbourhoods"):
            check_equal(getattr(self, name).eps, self.eps, f"{name}.eps")


@dataclass(frozen=True, slots=True)
class HardnessRecord(Record, kind="hardness"):
    """How hard a data set is to defend by a codebook, before any network is trained.

    Attributes:
        dataset: `name` and `fingerprint`.
        defence: In words.
        codewords_255: k codewords of c values on the 0..255 scale.
        budgets: One entry a budget.
    """

    dataset: dict[str, Setting]
    defence: str
    codewords_255: tuple[tuple[Finite, ...], ...]
    budgets: tuple[HardnessRow, ...]
    environment: Environment
