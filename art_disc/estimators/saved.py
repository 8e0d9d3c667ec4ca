"""The folder of a saved classifier: a readable JSON, and npz files that it names with their hashes.

A file's name has part of its hash in it, so a later save into the same folder writes beside what is
there, and the JSON, which takes its place in one step, leads from the old files to the new ones.
"""

import hashlib
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from art_disc.core.errors import (
    ArtDiscError,
    DataNotFoundError,
    FileChangedError,
    FileFormatError,
    FileVersionError,
    InputError,
)
from art_disc.core.files import check_folder, make_folder, read_json, write_json
from art_disc.core.plain import digest_of, to_plain
from art_disc.core.records.checked import decode
from art_disc.defences.stored import files_of

FILE = "classifier.json"
FORMAT, VERSION = "art_disc classifier", 1
_WORDS = "(network|codebook|lqvae|state)"
_KEPT = re.compile(rf"{_WORDS}-[0-9a-f]{{16}}\.npz")
# what a killed save left: files before they had their names, and those by which one is replaced
_SCRATCH = re.compile(rf"\.{_WORDS}\.part|\.(\.{_WORDS}\.part|{re.escape(FILE)})\.[0-9]+\.part")


@dataclass(frozen=True, slots=True)
class SavedNetwork:
    """What the JSON says of a network.

    Attributes:
        name: Its class.
        arguments: What it is made with; None where the user makes it.
        weights: The name of its file.
        frozen: Names of its parameters that no training changes.
    """

    name: str
    arguments: dict[str, Any] | None
    weights: str
    frozen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SavedClassifier:
    """What the JSON says of a classifier, in plain values.

    Attributes:
        input_shape: Of one image, in the classifier's layout.
        nb_classes: Number of classes.
        channels_first: Layout.
        clip_values: Input range.
        standardisation: (mean, std), or None.
        network: See `SavedNetwork`.
        sign_gradient: How signs are differentiated.
        voting: How draws are counted; None where no defence draws.
        loss: The class of a loss that the user gives; None: cross-entropy.
        listed: Defences in ART's own list, in order; each see `defence_words`.
        inside: Defences in the module, behind those.
        state: File of the streams' states, and of scores by which the loaded one is checked.
        files: SHA-256 of each file.
    """

    input_shape: tuple[int, int, int]
    nb_classes: int
    channels_first: bool
    clip_values: tuple[float, float]
    standardisation: Any
    network: SavedNetwork
    sign_gradient: Any
    voting: Any
    loss: str | None
    listed: tuple[dict[str, Any], ...]
    inside: tuple[dict[str, Any], ...]
    state: str
    files: dict[str, str]


class Folder:
    """A folder into which a classifier is being saved.

    Raises:
        InputError: It holds something else than a saved classifier.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = check_folder(path)
        self.files: dict[str, str] = {}
        self._made = not self.path.exists()
        self._before = set() if self._made else {one.name for one in self.path.iterdir()}
        strange = sorted(name for name in self._before if not _is_name_of_ours(name))
        if strange and _files_named(self.path / FILE) is None:
            msg = (
                "expected a new or empty folder, or that of a saved classifier, which is replaced; "
                f"{self.path} holds {', '.join(strange[:3])}; give another path"
            )
            raise InputError(msg)
        make_folder(self.path)

    def keep(self, word: str, write: Callable[[Path], Any]) -> str:
        """Have a file written, and return its name: a word and part of its hash."""
        scratch = self.path / f".{word}.part"
        try:
            write(scratch)
            digest = _sha256(scratch)
            name = f"{word}-{digest[:16]}.npz"
            # first, so that no stop leaves a file that `give_up` does not know
            self.files[name] = digest
            scratch.replace(self.path / name)
        finally:
            scratch.unlink(missing_ok=True)
        return name

    def finish(self, saved: SavedClassifier) -> None:
        """Write the JSON in one step; then remove what an earlier save left, as far as it goes."""
        head = {"format": FORMAT, "version": VERSION, "art_disc": metadata.version("art-disc")}
        body = {**head, **to_plain(asdict(saved))}
        write_json(self.path / FILE, {**body, "sha256": digest_of(body)}, indent=2)
        self._remove(self._before - set(self.files))

    def give_up(self) -> None:
        """Leave the folder as it was, or, where the JSON leads to the new files, as it is."""
        self._remove(set(self.files) - self._before - (_files_named(self.path / FILE) or set()))
        if self._made and not any(self.path.iterdir()):
            self.path.rmdir()

    def _remove(self, names: set[str]) -> None:
        for file in (self.path / name for name in names if _is_name_of_ours(name)):
            # what stays is in nobody's way, and the next save tries again
            with suppress(OSError):
                if file.is_file():
                    file.unlink()


def read_saved(path: str | Path) -> SavedClassifier:
    """Return what the JSON of a folder says; all files are there and as they were written.

    Raises:
        DataNotFoundError: No such folder, or a file is missing.
        FileChangedError: A file is not as it was written.
        FileVersionError: Saved by a newer release.
        FileFormatError: No saved classifier.
    """
    folder = Path(path)
    if not folder.is_dir():
        msg = f"no such folder: {folder}; classifier.save(folder) makes one"
        raise DataNotFoundError(msg)
    source = folder / FILE
    if not source.is_file():
        msg = f"{folder} lacks {FILE}: no classifier was saved there, or not to the end; save anew"
        raise DataNotFoundError(msg)
    data = read_json(source)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        msg = f"{source} is no saved classifier; give the folder of classifier.save(folder)"
        raise FileFormatError(msg)
    if not _is_unchanged(data):
        msg = f"{source} was changed since it was saved; take an earlier copy, or save anew"
        raise FileChangedError(msg)
    if data.get("version") not in range(1, VERSION + 1):
        msg = (
            f"{source} is of version {data.get('version')!r}, saved by art_disc "
            f"{data.get('art_disc')}; this release reads up to version {VERSION}: install that one"
        )
        raise FileVersionError(msg)
    for name in ("format", "version", "art_disc"):
        del data[name]
    saved = decode(SavedClassifier, data, str(source))
    _check_names(saved, source)
    for name, digest in saved.files.items():
        _check_file(folder / name, digest)
    return saved


def _is_unchanged(data: dict[str, Any]) -> bool:
    """Take the digest out of what a JSON says, and tell whether it is of that."""
    try:
        return bool(data.pop("sha256", None) == digest_of(data))
    # a number that is none, which is never written
    except ValueError:
        return False


def _check_names(saved: SavedClassifier, source: Path) -> None:
    """Refuse files that lie elsewhere, or that have no hash."""
    defences = (*saved.listed, *saved.inside)
    read = [saved.network.weights, saved.state, *(n for one in defences for n in files_of(one))]
    known = list(saved.files)
    odd = [name for name in read if name not in known]
    odd += [name for name in known if not _KEPT.fullmatch(name)]
    if odd:
        msg = f"{source} names {odd[0]!r}, which is none of its own files; save anew"
        raise FileFormatError(msg)


def _check_file(file: Path, digest: str) -> None:
    if not file.is_file():
        msg = f"{file.parent} lacks {file.name}, which its {FILE} names; copy the whole folder"
        raise DataNotFoundError(msg)
    if _sha256(file) != digest:
        msg = f"{file} was changed since it was saved; take an earlier copy, or save anew"
        raise FileChangedError(msg)


def _is_name_of_ours(name: str) -> bool:
    """Whether files of a save may have such a name; the JSON's is told by what is in it."""
    return any(pattern.fullmatch(name) for pattern in (_KEPT, _SCRATCH))


def _files_named(file: Path) -> set[str] | None:
    """Return the names that a JSON leads to; None where it is of no saved classifier."""
    try:
        data = read_json(file)
    except ArtDiscError:
        return None
    ours = isinstance(data, dict) and data.get("format") == FORMAT
    return set(data.get("files", ())) if ours else None


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
