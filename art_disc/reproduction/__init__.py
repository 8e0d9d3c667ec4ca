"""The papers' tables and figures run again, their numbers beside ours."""

from art_disc.reproduction.binarised_run import reproduce_binarised
from art_disc.reproduction.binarised_tables import BINARISED_TABLES
from art_disc.reproduction.certificates import CERTIFICATES, reproduce_certificates
from art_disc.reproduction.certified_figures import CERTIFIED_FIGURES, reproduce_certified
from art_disc.reproduction.figure3 import FIGURE3, reproduce_figure3
from art_disc.reproduction.figure5 import FIGURE5, reproduce_figure5
from art_disc.reproduction.figure6 import FIGURE6, reproduce_figure6
from art_disc.reproduction.figures import FIGURES, PrintedFigure
from art_disc.reproduction.pixel_figures import PIXEL_FIGURES, reproduce_pixels
from art_disc.reproduction.printed import Printed, printed
from art_disc.reproduction.published import (
    Published,
    PublishedCertificate,
    PublishedNetwork,
    PublishedPurifier,
    PublishedRandomised,
    published,
    published_certificates,
    published_networks,
    published_purifiers,
    published_randomised,
)
from art_disc.reproduction.purifier_run import reproduce_purifiers
from art_disc.reproduction.purifier_tables import PURIFIER_TABLES
from art_disc.reproduction.randomised_run import reproduce_randomised
from art_disc.reproduction.randomised_tables import RANDOMISED_TABLES
from art_disc.reproduction.run import reproduce
from art_disc.reproduction.standing import Standing, standings
from art_disc.reproduction.tables import TABLES

__all__ = [
    "BINARISED_TABLES",
    "CERTIFICATES",
    "CERTIFIED_FIGURES",
    "FIGURE3",
    "FIGURE5",
    "FIGURE6",
    "FIGURES",
    "PIXEL_FIGURES",
    "PURIFIER_TABLES",
    "RANDOMISED_TABLES",
    "TABLES",
    "Printed",
    "PrintedFigure",
    "Published",
    "PublishedCertificate",
    "PublishedNetwork",
    "PublishedPurifier",
    "PublishedRandomised",
    "Standing",
    "printed",
    "published",
    "published_certificates",
    "published_networks",
    "published_purifiers",
    "published_randomised",
    "reproduce",
    "reproduce_binarised",
    "reproduce_certificates",
    "reproduce_certified",
    "reproduce_figure3",
    "reproduce_figure5",
    "reproduce_figure6",
    "reproduce_pixels",
    "reproduce_purifiers",
    "reproduce_randomised",
    "standings",
]
