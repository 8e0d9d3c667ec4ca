"""The shape of the package: attacks run in one place, no import circles, nothing written twice."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

import art_disc

PACKAGE = Path(art_disc.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
RUN, MOST_LINES, MOST_BODY = 6, 320, 40


def name_of(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in FILES}


def imports_of(tree):
    """Modules of the package that a module names, wherever in it, for type checkers too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in inner)


IMPORTS = {name: set(imports_of(TREES[path])) for name, path in MODULES.items()}


def circle(graph):
    """Return one circle of a graph, or None."""
    done, path = set(), []

    def visit(node):
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return None
        path.append(node)
        found = next((c for other in sorted(graph[node]) if (c := visit(other))), None)
        path.pop()
        done.add(node)
        return found

    return next((c for node in sorted(graph) if (c := visit(node))), None)


def test_no_room_has_an_import_circle():
    graph = {name: set(found) for name, found in IMPORTS.items()}
    graph["art_disc"] = set()
    assert circle(graph) is None


def test_the_search_for_circles_finds_one():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None


def statements(tree):
    """Every statement of a module in order, as (text, line); of a compound one its head alone."""
    for node in tree.body if hasattr(tree, "body") else ():
        if _is_silent(node):
            yield from statements(node)
            continue
        inner = [
            field for field in ("body", "orelse", "finalbody", "handlers") if hasattr(node, field)
        ]
        head = {k: v for k, v in ast.iter_fields(node) if k not in inner}
        yield type(node).__name__ + _dump(head), node.lineno
        for field in inner:
            yield from statements(ast.Module(getattr(node, field), []))


def _dump(fields):
    parts = (ast.dump(v) if isinstance(v, ast.AST) else repr(v) for v in fields.values())
    lists = (
        "".join(ast.dump(item) if isinstance(item, ast.AST) else repr(item) for item in v)
        for v in fields.values()
        if isinstance(v, list)
    )
    return "|".join(p for p in parts if "object at 0x" not in p) + "|".join(lists)


def _is_silent(node):
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    bare = isinstance(node, ast.AnnAssign) and node.value is None
    return (
        text
        or bare
        or isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)
    )


def test_no_run_of_six_statements_stands_twice():
    places = defaultdict(list)
    for path, tree in TREES.items():
        found = list(statements(tree))
        for i in range(len(found) - RUN + 1):
            window = found[i : i + RUN]
            key = "\n".join(text for text, _ in window)
            places[key].append(f"{path.relative_to(PACKAGE)}:{window[0][1]}")
    assert [where for where in places.values() if len(where) > 1] == []


def test_attacks_are_run_in_one_place():
    calls = [
        name
        for name, path in MODULES.items()
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "generate"
        and not name.startswith("art_disc.attacks")
    ]
    assert len(calls) == 1, calls
    assert calls[0].startswith("art_disc.trials.")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_and_bodies_are_small(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES
    long = [
        f"{node.name} ({size})"
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (size := _body_lines(node)) > MOST_BODY
    ]
    assert long == []


def _body_lines(function):
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0
