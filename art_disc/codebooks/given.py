"""Codebooks as a user gives them."""

from typing import Any

from art_disc.codebooks.codebook import Codebook
from art_disc.core.errors import InputError


def check_codebook(codebook: Any) -> Codebook:
    """Return what is a codebook.

    Raises:
        InputError: It is none, a defence for example; the message says where its codebook is.
    """
    if not isinstance(codebook, Codebook):
        cure = "give its .codebook" if hasattr(codebook, "codebook") else "DensityCodebook is one"
        msg = f"codebook must be a fitted Codebook, got {type(codebook).__name__}; {cure}"
        raise InputError(msg)
    return codebook
