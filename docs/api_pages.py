"""Pages of the reference, one a public module, written from the package as it is."""

import importlib
import inspect
import pkgutil
import re
import shutil
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, get_origin, get_type_hints

from sphinx.util.typing import stringify_annotation

import art_disc
from art_disc.cli.main import make_parser
from art_disc.core.records.registry import RECORDS, record_class

FOLDER = Path(__file__).parent / "api"
# what a user meets first comes first; a name that several modules offer is described on the first
ORDER = (
    "art_disc",
    "art_disc.data",
    "art_disc.codebooks",
    "art_disc.defences",
    "art_disc.surrogates",
    "art_disc.estimators",
    "art_disc.attacks",
    "art_disc.evaluation",
    "art_disc.evaluation.checks",
    "art_disc.evaluation.sweep",
    "art_disc.metrics",
    "art_disc.training",
    "art_disc.networks",
    "art_disc.report",
    "art_disc.core.records",
    "art_disc.core.errors",
)
# public without an `__all__`: all that they define
WHOLE = (
    "art_disc.core.errors",
    "art_disc.core.intervals",
    "art_disc.core.seeds",
    "art_disc.defences.images",
    "art_disc.estimators.contract",
    "art_disc.report.certificates",
    "art_disc.report.randomness",
    # `load_record` returns what they define
    *sorted({record_class(kind).__module__ for kind in RECORDS}),
)


@cache
def public_names() -> dict[str, list[str]]:
    """Every public module with its public names, in the order of the pages."""
    found = {"art_disc": list(art_disc.__all__)}
    for info in pkgutil.walk_packages(art_disc.__path__, "art_disc."):
        if info.ispkg:
            module = importlib.import_module(info.name)
            found[info.name] = list(getattr(module, "__all__", ()))
    for name in WHOLE:
        module = importlib.import_module(name)
        found[name] = sorted(own for own in vars(module) if _defined(module, own))
    place = {name: (ORDER.index(name) if name in ORDER else len(ORDER), name) for name in found}
    return {name: found[name] for name in sorted(found, key=place.__getitem__) if found[name]}


def _defined(module: ModuleType, name: str) -> bool:
    value = getattr(module, name)
    routine = inspect.isclass(value) or inspect.isfunction(value)
    return routine and not name.startswith("_") and value.__module__ == module.__name__


def homes() -> dict[str, str]:
    """For every public name, as `module.name`, the full name under which it is described."""
    described: dict[Any, str] = {}
    found = {}
    # the package's own list comes last: its names are described in their rooms
    for module, names in sorted(public_names().items(), key=lambda item: item[0] == "art_disc"):
        for name in names:
            value = getattr(importlib.import_module(module), name)
            full = f"{module}.{name}"
            if inspect.ismodule(value):
                found[full] = value.__name__
            elif inspect.isclass(value) or inspect.isfunction(value):
                found[full] = described.setdefault(value, full)
            else:
                found[full] = full
    return found


def page(module: str, names: list[str], home: dict[str, str]) -> str:
    """Return a module's page: what it says of itself, a list of its names, each name."""
    lines = [module, "=" * len(module), "", f".. automodule:: {module}", ""]
    described = []
    for name in names:
        full = home[f"{module}.{name}"]
        value = getattr(importlib.import_module(module), name)
        lines += [f"* :py:obj:`~{full}`: {_first_line(value)}"]
        if full == f"{module}.{name}" and not inspect.ismodule(value):
            described += ["", *_directive(full, value)]
    below = [name for name in public_names() if _parent(name) == module]
    return "\n".join([*lines, "", *_tree(below), *described, ""])


def _parent(module: str) -> str:
    """The module on whose page another one stands, or "" for those of the first level."""
    above = module.rpartition(".")[0]
    return above if above in public_names() and above != "art_disc" else ""


def _tree(modules: Iterable[str]) -> list[str]:
    """Links to pages of modules; without the package's name, which would fill the margin."""
    lines = [f"   {name.removeprefix('art_disc.')} <{name}>" for name in modules]
    return [".. toctree::", "   :maxdepth: 1", "", *lines, ""]


def _directive(full: str, value: Any) -> Iterator[str]:
    if inspect.isclass(value):
        yield from (f".. autoclass:: {full}", "   :members:")
        if shown_bases(value):
            yield "   :show-inheritance:"
    elif inspect.isfunction(value):
        yield f".. autofunction:: {full}"
    else:
        # the module is the one that the page has spoken of
        yield from (f".. py:data:: {full.rpartition('.')[2]}", "", f"   {_first_line(value)}")


def _first_line(value: Any) -> str:
    """What a class, function or module says first of itself; what a constant holds."""
    if inspect.isclass(value) or inspect.isfunction(value) or inspect.ismodule(value):
        return bars((inspect.getdoc(value) or "").partition("\n")[0])
    if isinstance(value, Collection) and not isinstance(value, str):
        named = all(isinstance(one, str) for one in value)
        held = ", ".join(f"`{one}`" for one in value) if named else type(next(iter(value))).__name__
        return f"{type(value).__name__.capitalize()} of {len(value)}: {held}."
    if get_origin(value):
        # without the rules that its parts carry
        value = get_type_hints(type("Holder", (), {"__annotations__": {"held": value}}))["held"]
        return f"A type, `{stringify_annotation(value, 'smart').replace('~', '')}`."
    return f"`{' '.join(repr(value).split())}`."


def bars(text: str) -> str:
    """Escape bars outside of backticks: they mean sizes and norms, not reST's substitutions."""
    return re.sub(r"(`[^`]*`)|\|", lambda found: found[1] or r"\|", text)


def shown_bases(value: type) -> list[type]:
    """Bases that a reader can look up: those of other packages, and the public ones of this."""
    bases = [base for base in value.__bases__ if base is not object]
    return [b for b in bases if not b.__module__.startswith("art_disc") or b in _public()]


@cache
def _public() -> frozenset[Any]:
    found = set()
    for module, names in public_names().items():
        values = (getattr(importlib.import_module(module), name) for name in names)
        found.update(value for value in values if inspect.isclass(value))
    return frozenset(found)


def commands() -> str:
    """Return the page of the command line: the help of every command, word for word."""
    lines = ["The command line", "================", ""]
    (choices,) = (a.choices for a in make_parser()._actions if isinstance(a.choices, dict))
    for name, parser in choices.items():
        title = f"art-disc {name}"
        lines += [title, "-" * len(title), "", ".. code-block:: text", ""]
        lines += [f"   {line}".rstrip() for line in parser.format_help().splitlines()] + [""]
    return "\n".join(lines)


def write(folder: Path = FOLDER) -> None:
    """Write all pages into a folder of their own; a page that is the same is left alone."""
    home = homes()
    modules = public_names()
    pages = {f"{module}.rst": page(module, names, home) for module, names in modules.items()}
    first = _tree(name for name in modules if not _parent(name))
    tree = [*first[:3], "   commands", *first[3:]]
    pages["index.rst"] = "\n".join(["Reference", "=========", "", *tree])
    pages["commands.rst"] = commands()
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        if old.name not in pages:
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
