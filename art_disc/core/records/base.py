"""What every record has in common: environment, counted shares, versioned JSON."""

import dataclasses
import platform
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar, Self

from art_disc.core.errors import FileFormatError
from art_disc.core.files import read_json, write_json
from art_disc.core.intervals import wilson_interval

SCHEMA_VERSION = 2

Setting = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Share:
    """A count out of a total, with its 95% Wilson interval."""

    count: int
    total: int

    @property
    def value(self) -> float:
        """Share in [0, 1]."""
        return self.count / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Two-sided 95% Wilson limits in [0, 1]."""
        return wilson_interval(self.count, self.total)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.2%} [{low:.2%}, {high:.2%}] of {self.total}"


@dataclass(frozen=True, slots=True)
class Environment:
    """Where and when a record was made."""

    created: str
    art_disc: str
    python: str
    platform: str
    packages: dict[str, str]
    device: str = "cpu"
    threads: int = 1

    @classmethod
    def here(cls, *, device: str = "cpu", threads: int = 1) -> Self:
        """Describe this process."""
        names = ("adversarial-robustness-toolbox", "numpy", "scikit-learn", "scipy", "torch")
        return cls(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            art_disc=metadata.version("art-disc"),
            python=platform.python_version(),
            platform=f"{sys.platform} {platform.machine()}",
            packages={name: metadata.version(name) for name in names},
            device=device,
            threads=threads,
        )


class Record:
    """Reading and writing shared by the records that are files of their own."""

    __slots__ = ()
    kind: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, with the kind and the version of the format."""
        body = _plain(self)
        return {"kind": self.kind, "schema_version": SCHEMA_VERSION, **body}

    def save(self, path: str | Path) -> Path:
        """Write the record as JSON, in one step: a reader never sees half a file."""
        return write_json(path, self.to_dict())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a record.

        Raises:
            DataNotFoundError: No such file.
            FileFormatError: Not JSON, not this kind of record, or of another version.
        """
        return cls.from_dict(read_json(path), where=str(path))

    @classmethod
    def from_dict(cls, data: Any, *, where: str = "record") -> Self:
        """Build the record from what `to_dict` gave.

        Raises:
            FileFormatError: Another kind, another version, or fields that do not fit.
        """
        if not isinstance(data, dict) or data.get("kind") != cls.kind:
            msg = f"{where} is no {cls.kind} record of art_disc"
            raise FileFormatError(msg)
        if data.get("schema_version") != SCHEMA_VERSION:
            msg = (
                f"{where} has schema version {data.get('schema_version')!r}, this release reads "
                f"{SCHEMA_VERSION}; run the evaluation again"
            )
            raise FileFormatError(msg)
        body = {k: v for k, v in data.items() if k not in ("kind", "schema_version")}
        try:
            return cls(**cls._decode(body))
        except (TypeError, KeyError, AttributeError) as error:
            msg = f"{where} is a damaged {cls.kind} record: {error}"
            raise FileFormatError(msg) from error

    @classmethod
    def _decode(cls, body: dict[str, Any]) -> dict[str, Any]:
        return with_tuples(body) | {"environment": Environment(**body["environment"])}


def _plain(value: Any) -> Any:
    """Return a record's fields; dataclasses.asdict would copy every number of every tuple."""
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
        return tuple(_plain(part) for part in value)
    return value


def with_tuples(body: dict[str, Any]) -> dict[str, Any]:
    """Return the same mapping with its lists, as JSON has them, turned into tuples."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in body.items()}
