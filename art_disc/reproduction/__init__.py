"""The papers' tables and figures run again, their numbers beside ours."""

from art_disc.reproduction.binarised_run import reproduce_binarised
from art_disc.reproduction.binarised_tables import BINARISED_TABLES
from art_disc.reproduction.certificates import CERTIFICATES, reproduce_certificates
from art_disc.reproduction.figure5 import FIGURE5, reproduce_figure5
from art_disc.reproduction.figure6 import FIGURE6, reproduce_figure6
from art_disc.reproduction.published import (
    Published,
    PublishedCertificate,
    PublishedNetwork,
    published,
    published_certificates,
    published_networks,
)
from art_disc.reproduction.run import reproduce
from art_disc.reproduction.tables import TABLES

__all__ = [
    "BINARISED_TABLES",
    "CERTIFICATES",
    "FIGURE5",
    "FIGURE6",
    "TABLES",
    "Published",
    "PublishedCertificate",
    "PublishedNetwork",
    "published",
    "published_certificates",
    "published_networks",
    "reproduce",
    "reproduce_binarised",
    "reproduce_certificates",
    "reproduce_figure5",
    "reproduce_figure6",
]
