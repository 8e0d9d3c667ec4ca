"""Everything that tells how hard a data set is to defend by a codebook, budget by budget."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from art_disc.codebooks import Codebook, PixelCounts
from art_disc.core.budget import each_budget
from art_disc.core.files import replace_file
from art_disc.core.records import Environment
from art_disc.core.records.hardness import (
    ClassesFacts,
    HardnessRecord,
    HardnessRow,
    NeighbourhoodFacts,
    SeparabilityFacts,
)
from art_disc.data import as_dataset
from art_disc.hardness.equivalence import EquivalenceClasses, equivalence_classes
from art_disc.hardness.neighbourhoods import NeighbourhoodSizes, neighbourhood_sizes
from art_disc.hardness.separability import Separability, separability
from art_disc.report import check_extra
from art_disc.report.hardness import png


def survey(  # noqa: PLR0913 - each is a choice of its own
    data: Any,
    codebook: Codebook,
    *,
    eps: float | Sequence[float],
    defence: str = "",
    rule: str = "exact",
    domain: str = "real",
    plots: str | Path | None = None,
    seed: int = 0,
) -> HardnessRecord:
    """Measure equivalence classes, separability and neighbourhoods at every budget.

    Args:
        data: A `Dataset`, or arrays of `as_dataset`. Classes are counted on its test images; pixels
            on its training images, or on the test images where there are none.
        codebook: Fitted.
        eps: One or several l_inf budgets in [0, 1].
        defence: What the codebook is called in the record.
        rule: As for `equivalence_classes`.
        domain: As for `equivalence_classes`.
        plots: Folder of one PNG a plot and budget; None: none are drawn.
        seed: Of the pixels that the plot of colours shows.

    Raises:
        InputError: A budget, rule or domain does not fit.
        MissingExtraError: Plots are asked for, and matplotlib is not installed.
    """
    if plots is not None:
        check_extra()
    data = as_dataset(data)
    counts = PixelCounts.of(data.x_train if len(data.x_train) else data.x_test)
    rows = []
    for budget in each_budget(eps):
        classes = equivalence_classes(data.x_test, codebook, eps=budget, rule=rule, domain=domain)
        apart = separability(counts, codebook, eps=budget, domain=domain)
        around = neighbourhood_sizes(counts, eps=budget)
        rows.append(
            HardnessRow(
                eps=budget,
                equivalence_classes=ClassesFacts(**classes.facts()),
                separability=SeparabilityFacts(**apart.facts()),
                neighbourhoods=NeighbourhoodFacts(**around.facts()),
            )
        )
        if plots is not None:
            _draw(Path(plots), classes, apart, around, colours_seed=seed)
    return HardnessRecord(
        dataset={"name": data.name, "fingerprint": data.fingerprint},
        defence=defence,
        codewords_255=tuple(map(tuple, codebook.levels)),
        budgets=tuple(rows),
        environment=Environment.here(),
    )


def _draw(
    folder: Path,
    classes: EquivalenceClasses,
    apart: Separability,
    around: NeighbourhoodSizes,
    *,
    colours_seed: int,
) -> None:
    plots = {"classes": classes.plot(), "pixels": apart.plot(), "neighbours": around.plot()}
    if around.values.shape[1] == 3:
        plots["colours"] = around.scatter(seed=colours_seed)
    for name, axes in plots.items():
        replace_file(folder / f"{name}-eps-{classes.eps:.4g}.png", png(axes))
