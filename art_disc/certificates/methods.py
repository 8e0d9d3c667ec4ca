"""The certificate methods by name: a new one is a module and a line here."""

from art_disc.certificates.enumeration import by_enumeration
from art_disc.certificates.problem import Method

METHODS: dict[str, Method] = {
    "enumeration": by_enumeration,
}
