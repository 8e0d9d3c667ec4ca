"""Optional dependencies, imported when the first page is drawn."""

from importlib import import_module
from typing import Any

from art_disc.core.errors import MissingExtraError


def need(module: str) -> Any:
    """Import a module of the `report` extra.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        msg = (
            f"the HTML report needs {package}, which is not installed; "
            'run: pip install "art-disc[report]"'
        )
        raise MissingExtraError(msg) from error
