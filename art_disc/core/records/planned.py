"""What records of tables have in common: rows, of which so many were asked for."""

from collections.abc import Sized

from art_disc.core.records.rules import check_most


class PlannedRows:
    """A record that has `rows`, and as many as `planned` once it is complete."""

    __slots__ = ()
    rows: Sized
    planned: int

    def check(self) -> None:
        """Refuse more rows than were planned."""
        check_most(len(self.rows), self.planned, "number of rows", "planned")

    @property
    def complete(self) -> bool:
        """Whether every row that was asked for is there."""
        return len(self.rows) == self.planned
