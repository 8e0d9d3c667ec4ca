"""Where trained weights are kept between runs."""

import os
from pathlib import Path


def cache_dir() -> Path:
    """Return `$ART_DISC_CACHE`, else `$XDG_CACHE_HOME/art_disc`, else `~/.cache/art_disc`."""
    if own := os.environ.get("ART_DISC_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "art_disc"
