"""ART's evasion attacks for torch classifiers, one row each, by family."""

from art_disc.attacks.zoo import (
    auto,
    batches,
    carlini,
    evolution,
    minimal,
    patches,
    physical,
    queries,
    steps,
    videos,
)

ROWS = (
    *steps.ROWS,
    *auto.ROWS,
    *minimal.ROWS,
    *carlini.ROWS,
    *queries.ROWS,
    *evolution.ROWS,
    *batches.ROWS,
    *videos.ROWS,
    *physical.ROWS,
    *patches.ROWS,
    queries.RANDOM_SEARCH,
)
