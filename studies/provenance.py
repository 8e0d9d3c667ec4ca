"""Which result files are older than the code that they rest on.

python -m studies.provenance        the same as `make results`

A result rests on its script, on what that imports of `studies`, and on every room of the package
that these import, or that such a room imports. That may be too much and is never too little.
Changed is a file whose code differs from that of the commit; comments and docstrings do not count.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import art_disc
from art_disc.core.files import read_json
from art_disc.core.provenance import CODE, UNKNOWN, git
from studies.architecture import ROOT, Graph, imported, modules, room_imports, room_of

STUDIES = {
    f"studies.{path.stem}".removesuffix(".__init__"): path
    for path in sorted((ROOT / "studies").glob("*.py"))
}
RESULTS = Path("studies") / "results"
TABLES = "art_disc.reproduction"


@dataclass(frozen=True)
class Made:
    """Where a result file comes from.

    Attributes:
        path: Of the file in the repository.
        commit: At which it was made; where that was not noted, at which it came into the
            repository; empty: it is not there yet.
        noted: Whether the file itself says so.
        dirty: Whether the code had changes that were not committed.
        changed: Files that it rests on and whose code is another one now; None: not known, since
            the commit is not in this repository.
    """

    path: Path
    commit: str
    noted: bool
    dirty: bool
    changed: tuple[str, ...] | None

    def __str__(self) -> str:
        made = "made at" if self.noted else "commit not noted, committed at"
        where = f"{made} {self.commit[:12] or '(nowhere)'}{', dirty' if self.dirty else ''}"
        return f"{self.path.as_posix()}: {where}; {self._since()}"

    def _since(self) -> str:
        if self.changed is None:
            return "what changed since is not known: the commit is not in this repository"
        if not self.changed:
            return "nothing that it rests on changed since"
        # a script, or a room of the package
        places = Counter(name.removeprefix("art_disc/").split("/")[0] for name in self.changed)
        listed = ", ".join(f"{place} {count}" for place, count in sorted(places.items()))
        return f"{len(self.changed)} files that it rests on changed since ({listed})"


def made_by(path: Path) -> str:
    """Return the module that makes a result file: a study, or the room of published tables."""
    name = path.relative_to(RESULTS).parts[0].removesuffix(".json")
    if name == "tables":
        return TABLES
    of = [study for study in STUDIES if f"studies.{name}_".startswith(f"{study}_")]
    return max(of, key=len)


@cache
def rests_on(module: str) -> tuple[str, ...]:
    """Return the files and folders of the repository that a result of a module rests on."""
    studies = _closure({module}, {name: _named(name) & set(STUDIES) for name in STUDIES})
    used = {room_of(name) for study in studies for name in _named(study)}
    graph = _rooms()
    rooms = _closure((used | {room_of(module)}) & set(graph), graph)
    scripts = {f"studies/{STUDIES[name].name}" for name in studies & set(STUDIES)}
    return tuple(sorted(scripts | {f"art_disc/{room}" for room in rooms}))


_rooms = cache(room_imports)


def _named(module: str) -> set[str]:
    """Return the studies and modules of the package that a study names."""
    if module not in STUDIES:
        return set()
    tree = ast.parse(STUDIES[module].read_text(encoding="utf-8"))
    return {*imported(tree, STUDIES | modules()), *_public(tree)}


def _public(tree: ast.Module) -> Iterator[str]:
    """Yield the modules behind `ad.NAME`, which are loaded on first use."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "ad":
            yield art_disc._PUBLIC.get(node.attr, f"art_disc.{node.attr}")


def _closure(start: set[str], graph: Graph) -> set[str]:
    found: set[str] = set()
    while start:
        found |= start
        start = {other for node in start for other in graph.get(node, ())} - found
    return found


def made(path: Path, root: Path = ROOT) -> Made:
    """Look up where a result file comes from and what has changed since.

    Args:
        path: Of a record in `root`, below studies/results.
        root: The checkout.
    """
    body = read_json(root / path)
    commit, dirty, _ = body["environment"].get("commit", UNKNOWN).partition("-dirty-")
    noted = commit != UNKNOWN
    if not noted:
        commit = _text(git(root, "log", "-1", "--format=%H", "--", str(path)))
    return Made(path, commit, noted, bool(dirty), changed(commit, made_by(path), root))


def changed(commit: str, module: str, root: Path = ROOT) -> tuple[str, ...] | None:
    """Return what a result of a module rests on and is not what it was at a commit; None: unknown.

    Args:
        commit: At which it was made.
        module: Which makes it.
        root: The checkout.
    """
    below = rests_on(module)
    every = changed_since(commit, root)
    if every is None:
        return None
    return tuple(name for name in every if any(Path(name).is_relative_to(b) for b in below))


@cache
def changed_since(commit: str, root: Path) -> tuple[str, ...] | None:
    """Return the files whose code is not what it was at a commit; None: no such commit."""
    listed = git(root, "diff", "--name-only", "--no-renames", "-z", commit, "--", *CODE)
    if not commit or listed is None:
        return None
    return tuple(n for n in _text(listed).split("\0") if n and _differs(commit, n, root))


def _differs(commit: str, name: str, root: Path) -> bool:
    before = git(root, "show", f"{commit}:{name}")
    if before is None or not (root / name).is_file() or not name.endswith(".py"):
        return True
    return _code(before) != _code((root / name).read_bytes())


def _code(source: bytes) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        named = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if named and ast.get_docstring(node) is not None:
            del node.body[0]
    return ast.dump(tree)


def _text(printed: bytes | None) -> str:
    return (printed or b"").decode().strip()


def results(root: Path = ROOT) -> list[Path]:
    """Return the records below studies/results."""
    return [path.relative_to(root) for path in sorted((root / RESULTS).rglob("*.json"))]


def main() -> None:
    for path in results():
        print(made(path))


if __name__ == "__main__":
    main()
