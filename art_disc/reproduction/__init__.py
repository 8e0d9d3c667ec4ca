"""The papers' tables and figures run again, their numbers beside ours."""

from art_disc.reproduction.certificates import CERTIFICATES, reproduce_certificates
from art_disc.reproduction.figure5 import FIGURE5, reproduce_figure5
from art_disc.reproduction.published import (
    Published,
    PublishedCertificate,
    published,
    published_certificates,
)
from art_disc.reproduction.run import reproduce
from art_disc.reproduction.tables import TABLES

__all__ = [
    "CERTIFICATES",
    "FIGURE5",
    "TABLES",
    "Published",
    "PublishedCertificate",
    "published",
    "published_certificates",
    "reproduce",
    "reproduce_certificates",
    "reproduce_figure5",
]
