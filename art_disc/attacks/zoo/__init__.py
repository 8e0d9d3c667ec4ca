"""ART's evasion attacks for torch classifiers, one row each, by family."""

from art_disc.attacks.zoo import batches, minimal, patches, physical, queries, steps

ROWS = (
    *steps.ROWS,
    *minimal.ROWS,
    *queries.ROWS,
    *batches.ROWS,
    *physical.ROWS,
    *patches.ROWS,
    queries.RANDOM_SEARCH,
)
