"""What the metadata of a wheel or sdist says that pyproject.toml cannot."""

import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

# a link or picture whose target is a file of the repository: it leads nowhere on a package index
_INSIDE = re.compile(r"!?\[([^\]]*)\]\((?![a-z]+://)[^)]*\)")


class Readme(MetadataHookInterface):
    """The README with the words of such links in place of the links."""

    def update(self, metadata: dict) -> None:
        """Set the long description."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        words = _INSIDE.sub(r"\1", text)
        metadata["readme"] = {"content-type": "text/markdown", "text": words}
