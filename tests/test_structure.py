"""The shape of the package: attacks run in one place, no import circles, nothing written twice."""

import ast
import copy
import statistics
from collections import defaultdict

import pytest

from studies.architecture import PACKAGE, circle, module_imports, modules

FILES = sorted(PACKAGE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
RUN, MOST_LINES, MOST_BODY = 6, 320, 40
INNER = ("body", "orelse", "finalbody", "handlers")
SILENT = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def test_no_room_has_an_import_circle():
    assert circle(module_imports()) is None


def test_the_search_for_circles_finds_one():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None


def statements(nodes):
    """Every statement in order, as (what it says, line); of a compound one its head alone."""
    for node in nodes:
        inner = [field for field in INNER if hasattr(node, field)]
        if not isinstance(node, SILENT) and not _says_nothing(node):
            head = copy.copy(node)
            for field in inner:
                setattr(head, field, [])
            yield ast.dump(head), node.lineno
        for field in inner:
            yield from statements(getattr(node, field))


def _says_nothing(node):
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return text or (isinstance(node, ast.AnnAssign) and node.value is None)


def repeated(trees):
    """Where the same run of statements begins, for each that stands more than once."""
    places = defaultdict(list)
    for name, tree in trees.items():
        found = list(statements(tree.body))
        for i in range(len(found) - RUN + 1):
            run = tuple(text for text, _ in found[i : i + RUN])
            places[run].append(f"{name}:{found[i][1]}")
    return [where for where in places.values() if len(where) > 1]


def test_no_run_of_six_statements_stands_twice():
    assert repeated({str(path.relative_to(PACKAGE)): tree for path, tree in TREES.items()}) == []


def test_the_search_for_runs_sees_through_nesting():
    run = "for i in a:\n  b(i)\n  if c:\n    d = 1\n  else:\n    e()\n  f = {tail}\n"
    trees = {name: ast.parse(run.format(tail=tail)) for name, tail in (("x", 2), ("y", 2))}
    assert repeated(trees) == [["x:1", "y:1"]]
    assert repeated(trees | {"y": ast.parse(run.format(tail=3))}) == []


def test_attacks_are_run_in_one_place():
    calls = [
        name
        for name, path in modules().items()
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "generate"
        and not name.startswith("art_disc.attacks")
    ]
    assert len(calls) == 1, calls
    assert calls[0].startswith("art_disc.trials.")


def test_the_median_file_is_short():
    assert statistics.median(len(path.read_text().splitlines()) for path in FILES) <= 140


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
