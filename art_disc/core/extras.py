"""Packages of the optional extras, imported where they are needed."""

from importlib import import_module
from typing import Any

from art_disc.core.errors import MissingExtraError


def need(module: str, extra: str, what: str) -> Any:
    """Import a module of an extra; `what` begins the message: `the HTML report`.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        msg = (
            f'{what} needs {package}, which is not installed; run: pip install "art-disc[{extra}]"'
        )
        raise MissingExtraError(msg) from error
