"""Codebooks in files: the codewords, and what they are of."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from art_disc.core.checks import Float32Array
from art_disc.core.errors import FileChangedError, FileFormatError, FileVersionError, InputError
from art_disc.core.files import read_npz, write_npz
from art_disc.core.plain import digest_of, from_plain, to_plain

FORMAT = "art_disc codebook"
FORMAT_VERSION = 1


def write_codebook(book: Any, path: str | Path) -> Path:
    """Write a fitted `Codebook` as npz: codewords, and a JSON header of all else."""
    parameters = {k: v for k, v in book.get_params(deep=False).items() if k != "codewords"}
    if isinstance(parameters.get("random_state"), np.random.Generator):
        parameters["random_state"] = None
    learned = {k: v for k, v in vars(book).items() if k.endswith("_") and k != "file_"}
    header = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "name": type(book).__name__,
        "metric": book.nearest_metric,
        "per_channel": bool(book.per_channel),
        "ties": book.ties,
        "fingerprint": book.fingerprint,
        "parameters": _plain(book, parameters),
        "learned": _plain(book, learned),
    }
    header["sha256"] = digest_of(header)
    return write_npz(path, {"codewords": book.codewords_, "header": np.array(json.dumps(header))})


def _plain(book: Any, values: dict[str, Any]) -> dict[str, Any]:
    plain = {}
    for name, value in values.items():
        try:
            plain[name] = to_plain(value)
        except InputError as error:
            msg = (
                f"the {name} of {type(book).__name__} is of a kind that no file holds: {error}; "
                "save Codebook(book.codewords_), with its metric and ties"
            )
            raise InputError(msg) from error
    return plain


def read_codebook(base: type[Any], path: str | Path) -> Any:
    """Return what `write_codebook` wrote, of the class `base` or one derived from it here.

    A class of somebody else's, and a file of an earlier release, come back as `base`.

    Raises:
        DataNotFoundError: No such file.
        FileChangedError: Header or codewords are not as they were written.
        FileFormatError: Damaged, foreign, or of a version that this release cannot read.
    """
    header, codewords = _parts(path)
    try:
        rule = {key: header[key] for key in ("metric", "per_channel", "ties")}
        given = base(codewords, **rule)
        made = _of_its_class(base, header, given)
        for name, value in from_plain(header.get("learned", {})).items():
            _set_learned(made, name, value)
    except FileFormatError:
        raise
    except KeyError as error:
        msg = f"{path} has a damaged codebook header: {error}"
        raise FileFormatError(msg) from error
    # an InputError, or a value of another type or shape
    except (ValueError, TypeError, AttributeError) as error:
        msg = f"{path} holds codewords that do not fit: {error}"
        raise FileFormatError(msg) from error
    if {made.fingerprint, header.get("fingerprint", given.fingerprint)} != {given.fingerprint}:
        msg = (
            f"{path} holds other codewords than {type(made).__name__}.save wrote; save it anew, or "
            "take an earlier copy"
        )
        raise FileChangedError(msg)
    made.file_ = Path(path).name
    return made


def _set_learned(book: Any, name: str, value: Any) -> None:
    """Set what `fit` found, by scikit-learn's kind of name, and nothing that the class has."""
    there = getattr(type(book), name, None)
    if not name.endswith("_") or name.startswith("_") or there is not None:
        msg = f"{name!r} is nothing that {type(book).__name__} learns"
        raise InputError(msg)
    setattr(book, name, np.asarray(value) if isinstance(value, tuple) else value)


def _of_its_class(base: Any, header: dict[str, Any], given: Any) -> Any:
    """Return a codebook of the class that the header names, with the given codewords."""
    known: dict[str, Any] = {one.__name__: one for one in _derived(base)}
    kind: Any = known.get(header["name"])
    if kind is None or "parameters" not in header:
        return given
    made = kind(**from_plain(header["parameters"]))
    if not made.is_fitted:
        made._adopt(given.codewords_)
    return made


def _derived(base: type[Any]) -> Iterator[type[Any]]:
    """Yield the classes of this package that derive from one."""
    kinds: list[type] = base.__subclasses__()
    for kind in kinds:
        if kind.__module__.startswith("art_disc."):
            yield kind
            yield from _derived(kind)


def _parts(path: str | Path) -> tuple[dict[str, Any], Float32Array]:
    """Return header and codewords of a file of this format and version."""
    arrays = read_npz(path)
    if set(arrays) != {"codewords", "header"}:
        msg = f"{path} is no codebook of art_disc: it holds {sorted(arrays) or 'nothing'}"
        raise FileFormatError(msg)
    try:
        header = json.loads(str(arrays["header"]))
        version = (header["format"], header["version"])
        # files of earlier releases have none
        told = header.pop("sha256", None)
        changed = told is not None and told != digest_of(header)
    # no JSON, or a number that is none, too
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        msg = f"{path} has a damaged codebook header: {error}"
        raise FileFormatError(msg) from error
    if changed:
        msg = f"{path} was changed since it was saved; take an earlier copy, or save it anew"
        raise FileChangedError(msg)
    if version != (FORMAT, FORMAT_VERSION):
        msg = f"{path} is {version[0]!r} version {version[1]!r}; this release reads version 1"
        raise FileVersionError(msg) if version[0] == FORMAT else FileFormatError(msg)
    return header, arrays["codewords"]
