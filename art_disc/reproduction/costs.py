"""About how many minutes of one core a row of a table costs, at the sizes of the queue.

Attacks cost what the committed tables took an image (x86-64, one thread); trainings are counted in
passes at the pace of these. An LQ-VAE took 65 minutes on one machine and 164 on another; DeepFool
and CW of tables of purifiers were timed on a few images, and attacks on filter and classifier were
counted by hand, at 17 billion products a second. Half or twice as much is no surprise.
"""

from art_disc.reproduction.published import (
    AVERAGE,
    Published,
    PublishedCertificate,
    PublishedNetwork,
    PublishedPurifier,
    PublishedRandomised,
)

# images attacked or certified in the queue's runs
IMAGES = {"mnist": 1000, "fashion_mnist": 1000, "cifar10": 500, "gtsrb": 500}
# seconds an image: of an undefended network, of a defended one, and on top for each codeword
_SECONDS = {"mnist": (2.0, 3.0, 0.0), "fashion_mnist": (2.0, 2.5, 0.0)}
_COLOUR = (1.0, 1.2, 0.01)
# minutes of the trainings that rows share, and of one that goes on behind a defence
_TRAININGS = {
    ("mnist", "natural"): (8, 3),
    ("mnist", "adversarial"): (60, 12),
    ("fashion_mnist", "natural"): (8, 3),
    ("fashion_mnist", "adversarial"): (25, 10),
    ("cifar10", "natural"): (10, 3),
    ("cifar10", "adversarial"): (40, 9),
    ("gtsrb", "natural"): (10, 3),
    ("gtsrb", "adversarial"): (40, 9),
}
_NETWORK = {"mnist": (5, 0.6), "cifar10": (25, 1.0)}
# an attack's images, classifiers trained against one among them; table 7 is attacked end to end,
# each classifier by itself
_PURIFIER, _END_TO_END = {"fgsm": 1, "deepfool": 10, "cw_l2": 90}, 250
# of an LQ-VAE, and of each training of a classifier before it
LQVAE_MINUTES, CLASSIFIER_MINUTES = 110.0, 15.0
_CERTIFICATE = 30
# a defence that draws at one budget, 300 images
RANDOMISED_MINUTES = 40.0
# 1000 votes for each of 300 images, and on top each budget's attack, where there is one
VOTED_MINUTES = {"mnist": (5.0, 10.0), "cifar10": (15.0, 0.0)}


Row = Published | PublishedCertificate | PublishedNetwork | PublishedPurifier | PublishedRandomised


def base_minutes(dataset: str, base: str) -> float:
    """Return about how long the training of a base network takes, which rows share."""
    return _TRAININGS[dataset, base][0]


def minutes_of(row: Row, budgets: int | None = None) -> float:
    """Return about how many minutes of one core a published row costs, base networks aside.

    Args:
        row: As published.
        budgets: At which it is attacked, of accuracies and networks; None: the printed ones.
    """
    if isinstance(row, Published):
        return _accuracies(row, 1 if budgets is None else budgets)
    if isinstance(row, PublishedNetwork):
        training, seconds = _NETWORK[row.dataset]
        attacked = len(row.robust) if budgets is None else budgets
        return training + attacked * IMAGES[row.dataset] * seconds / 60
    if isinstance(row, PublishedPurifier):
        return _purifiers(row)
    if isinstance(row, PublishedRandomised):
        return RANDOMISED_MINUTES if row.eps else 1
    return _CERTIFICATE


def _accuracies(row: Published, budgets: int) -> float:
    bare, defended, each = _SECONDS.get(row.dataset, _COLOUR)
    seconds = bare if row.defence == "none" else defended + each * row.n_codes
    again = _TRAININGS[row.dataset, row.base][1] if row.training == "re" else 0
    return again + budgets * IMAGES[row.dataset] * seconds / 60


def _purifiers(row: PublishedPurifier) -> float:
    if row.model == AVERAGE:
        return 0
    if row.table == "7":
        # one that names no classifier is of all three
        return _END_TO_END * (1 if row.model else 3)
    return _PURIFIER.get(row.attack, 10)
