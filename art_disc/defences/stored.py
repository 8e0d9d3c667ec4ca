"""Defences as JSON tells them, with files beside it, and made again of these."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, Protocol

from art_disc.codebooks import Codebook
from art_disc.core.errors import FileFormatError, InputError
from art_disc.core.plain import digest_of, from_plain, to_plain
from art_disc.defences.preprocessor import MapPreprocessor
from art_disc.defences.table import DEFENCES
from art_disc.networks import LQVAENet

# what stands in files of its own: how it is read
_FILES: dict[str, tuple[type, Callable[[Path], Any]]] = {
    "codebook": (Codebook, Codebook.load),
    "lqvae": (LQVAENet, LQVAENet.load),
}


class Keep(Protocol):
    """Where files are kept."""

    def __call__(self, word: str, write: Callable[[Path], Any]) -> str:
        """Return the name of the file that `write` makes, which begins with a word."""


def defence_words(defence: Any, keep: Keep) -> dict[str, Any]:
    """Return what `defence_of` makes an equal defence of, from the beginning of its stream.

    `describe` and `fingerprint` are for readers.

    Raises:
        InputError: It is not of the table's classes, or has an object of the user's own.
    """
    kind = type(defence)
    if _known().get(kind.__name__) is not kind:
        _refuse(kind, "add a line to art_disc.defences.DEFENCES, or save the classifier without it")
    # surrogates apart, they are numbers and words
    surrogates = kind.vocabulary.classes
    parameters: dict[str, Any] = {}
    for name in kind.params:
        value = getattr(defence, name)
        word = next((w for w, (made, _) in _FILES.items() if isinstance(value, made)), None)
        if word is not None:
            if not type(value).__module__.startswith("art_disc."):
                _refuse(type(value), f"give {kind.__name__} one of art_disc's, made of its numbers")
            parameters[name] = {"file": keep(word, value.save), "holds": word}
            if word == "codebook":
                parameters[name]["from"] = value.file_
            continue
        try:
            parameters[name] = to_plain(value, surrogates)
        except InputError as error:
            cure = "save a classifier with another one"
            if name == "surrogate":
                cure = "save classifier.with_surrogate('identity'), and set it after loading"
            msg = f"the {name} of {kind.__name__} is of a kind that no file holds: {error}; {cure}"
            raise InputError(msg) from error
    told = {"class": kind.__name__, "describe": defence.describe()}
    content = digest_of([told, parameters.get("surrogate")])[:16]
    return {**told, "fingerprint": content, "parameters": parameters}


def files_of(words: dict[str, Any]) -> list[Any]:
    """Return the names of the files of which `defence_of` makes a defence, whatever they are."""
    parameters = words.get("parameters")
    values = parameters.values() if isinstance(parameters, dict) else ()
    return [value["file"] for value in values if _is_file(value)]


def defence_of(words: dict[str, Any], folder: Path) -> MapPreprocessor:
    """Return the defence of `defence_words`, whose files are in a folder.

    Raises:
        FileFormatError: This release has no such defence, or a file holds something else.
        DataNotFoundError: A file is missing.
    """
    try:
        kind = _known()[words["class"]]
        read = {name: _read(value, kind, folder) for name, value in words["parameters"].items()}
        later = {name: read.pop(name) for name in kind.set_later}
        made = kind(**read)
        made.set_params(**later)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, FileFormatError):
            raise
        msg = f"this release has no defence {words}: {error}"
        raise FileFormatError(msg) from error
    return made


def _refuse(kind: type, cure: str) -> NoReturn:
    msg = f"{kind.__name__} is of a class of your own, which no file can make again; {cure}"
    raise InputError(msg)


def _read(value: Any, kind: type[MapPreprocessor], folder: Path) -> Any:
    if _is_file(value):
        made = _FILES[value["holds"]][1](folder / value["file"])
        if "from" in value:
            # what it was loaded from before, if from anything
            made.file_ = value["from"]
        return made
    return from_plain(value, kind.vocabulary.classes)


def _is_file(value: Any) -> bool:
    return isinstance(value, dict) and "file" in value


def _known() -> dict[str, type[MapPreprocessor]]:
    return {row.kind.__name__: row.kind for row in DEFENCES.values()}
