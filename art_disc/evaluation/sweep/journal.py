"""The sweep's journal, one line a finished cell."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from art_disc.core.errors import FileFormatError
from art_disc.core.journal import Journal
from art_disc.core.records.checked import decode
from art_disc.core.records.sweep import SweepCell


def encode(content: str, key: str, cell: SweepCell) -> str:
    """Return the journal's line of a cell: strict JSON of its content hash, name and findings."""
    body = {"hash": content, "key": key, "cell": asdict(cell)}
    return json.dumps(body, allow_nan=False) + "\n"


class CellJournal(Journal):
    """Finished cells, appended line by line; a line is on the disk before the next cell counts.

    A line in the middle that is damaged raises FileFormatError, which names it.
    """

    cure = "delete that line, its cell is then run again"

    def statuses(self) -> dict[str, str]:
        """Return the status of each cell in the journal by its hash; its last line counts."""
        return {body["hash"]: body["cell"]["status"] for _, body in self._bodies()}

    def cells(self, wanted: dict[str, int]) -> tuple[SweepCell, ...]:
        """Return the cells with these hashes, ordered by the number that belongs to each."""
        found = {}
        for number, body in self._bodies():
            if body["hash"] in wanted:
                try:
                    found[wanted[body["hash"]]] = decode(SweepCell, body["cell"], "cell")
                except FileFormatError as error:
                    raise self.damaged(number) from error
        return tuple(found[order] for order in sorted(found))

    def _bodies(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, body in self.lines():
            try:
                _ = body["hash"], body["cell"]["status"]
            except (KeyError, TypeError) as error:
                raise self.damaged(number) from error
            yield number, body
