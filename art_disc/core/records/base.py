"""What every record has in common: environment, counted shares, versioned JSON."""

import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from art_disc.core.compiled import compiler
from art_disc.core.errors import FileFormatError, FileVersionError
from art_disc.core.extras import need
from art_disc.core.files import read_json, write_json
from art_disc.core.intervals import wilson_interval
from art_disc.core.provenance import UNKNOWN, commit
from art_disc.core.records.checked import Checked, decode
from art_disc.core.records.fields import Count
from art_disc.core.records.frames import rows_of
from art_disc.core.records.rules import most

SCHEMA_VERSION = 3


@dataclass(frozen=True, slots=True)
class Share(Checked):
    """A count out of a total, with its 95% Wilson interval."""

    count: Annotated[Count, most("total")]
    total: Count

    @classmethod
    def of(cls, flags: Sequence[bool] | NDArray[np.bool_]) -> Self:
        """Count those that hold."""
        return cls(int(np.sum(flags)), len(flags))

    @classmethod
    def of_bits(cls, bits: str) -> Self:
        """Count the `1` of a row of 0 and 1."""
        return cls(bits.count("1"), len(bits))

    @property
    def value(self) -> float:
        """Share in [0, 1]."""
        return self.count / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Two-sided 95% Wilson limits in [0, 1]."""
        return wilson_interval(self.count, self.total)

    def in_columns(self) -> dict[str, Any]:
        """Return value, count and total, without a value where there is nothing to count."""
        value = self.value if self.total else None
        return {"": value, "_count": self.count, "_total": self.total}

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.2%} [{low:.2%}, {high:.2%}] of {self.total}"


@dataclass(frozen=True, slots=True)
class Environment(Checked):
    """Where, when and by which code a record was made.

    Attributes:
        commit: As `art_disc.core.provenance.commit` says it: `unknown` without a checkout and in
            records that were made before commits were noted.
    """

    created: str
    art_disc: str
    python: str
    platform: str
    packages: dict[str, str]
    device: str = "cpu"
    threads: Count = 1
    commit: str = UNKNOWN

    @classmethod
    def here(cls, *, device: str = "cpu", threads: int = 1) -> Self:
        """Describe this process."""
        names = ("adversarial-robustness-toolbox", "numpy", "scikit-learn", "scipy", "torch")
        packages = {name: metadata.version(name) for name in names}
        if (numba := compiler()) is not None:
            # its loops round otherwise
            packages["numba"] = numba.__version__
        return cls(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            art_disc=metadata.version("art-disc"),
            python=platform.python_version(),
            platform=f"{sys.platform} {platform.machine()}",
            packages=packages,
            device=device,
            threads=threads,
            commit=commit(),
        )

    @property
    def decisive(self) -> dict[str, Any]:
        """What of it numbers may depend on, by name; where and when they were made is not."""
        names = ("art_disc", "commit", "packages", "device", "threads")
        return {name: getattr(self, name) for name in names}


class Record(Checked):
    """A record that is a file of its own: a frozen dataclass, as `class Toy(Record, kind="toy")`.

    Fields that several kinds have, unless one says otherwise of its own:

    Attributes:
        kind: What is written as the file's kind.
        eps: l_inf budget in the classifier's input range.
        defences: One line a defence, in the order in which they are applied.
        settings: What the run was asked for.
        seed: Of every random draw.
        seconds: What it took.
        environment: Where and when.
    """

    __slots__ = ()
    kind: ClassVar[str]
    whole: ClassVar[bool] = True

    def __init_subclass__(cls, *, kind: str | None = None) -> None:
        super().__init_subclass__()
        # dataclass makes a class with slots once more, and then names no kind
        if kind is not None:
            cls.kind = kind

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, with the kind and the version of the format."""
        body = msgspec.to_builtins(self)
        return {"kind": self.kind, "schema_version": SCHEMA_VERSION, **body}

    def save(self, path: str | Path) -> Path:
        """Write the record as JSON, in one step: a reader never sees half a file."""
        return write_json(path, self.to_dict())

    def to_frame(self, rows: str | None = None) -> Any:
        """Return the record as a `DataFrame` of pandas (extra `pandas`).

        A share is three columns: its value in [0, 1], `..._count` and `..._total`. A list in a row
        stays a tuple in its cell; `DataFrame.explode` makes rows of it.

        Args:
            rows: Name of the field that has a row for each entry: `outcomes` (each attack; what
                is taken without a name), `labels` (each example), `checks` or `certificates` of an
                evaluation, `verdicts` of a certificate, `cells` of a sweep, ...

        Raises:
            InputError: No such field has rows; the message names those that do.
            MissingExtraError: pandas is not installed.
        """
        return need("pandas", "pandas", "to_frame").DataFrame(rows_of(self, rows, self.counted))

    def counted(self, rows: str, i: int) -> Sequence[dict[str, Any]]:  # noqa: ARG002 - of others
        """Return what the record counts for entry `i` of the field `rows`: several make rows.

        For `to_frame`; of most records an entry has all there is to say of it.
        """
        return ({},)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a record.

        Raises:
            DataNotFoundError: No such file.
            FileFormatError: As for `from_dict`.
        """
        return cls.from_dict(read_json(path), where=str(path))

    @classmethod
    def from_dict(cls, data: Any, *, where: str = "record") -> Self:
        """Build the record from what `to_dict` gave.

        Raises:
            FileFormatError: Another kind, another version, or a field that does not fit; the
                message names it, what was expected and what is there.
        """
        if not isinstance(data, dict) or data.get("kind") != cls.kind:
            msg = f"{where} is no {cls.kind} record of art_disc"
            raise FileFormatError(msg)
        if data.get("schema_version") != SCHEMA_VERSION:
            msg = (
                f"{where} has schema version {data.get('schema_version')!r}, this release reads "
                f"{SCHEMA_VERSION}; run it again, or convert a record of version 2 by "
                "studies/migrate_results.py of the repository"
            )
            raise FileVersionError(msg)
        body = {k: v for k, v in data.items() if k not in ("kind", "schema_version")}
        return decode(cls, body, f"{where} is a damaged {cls.kind} record")
