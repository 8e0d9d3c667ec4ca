"""Draw the rooms of the package and what each imports, from the imports themselves.

python -m studies.architecture [docs/images/architecture.svg]

An arrow leads from a room to a room that it imports; one that a longer way of arrows shows already
is left out (the transitive reduction), since the lower rooms serve nearly all others.
"""

import argparse
import ast
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "art_disc"
PICTURE = ROOT / "docs" / "images" / "architecture.svg"
Graph = dict[str, set[str]]


def modules() -> dict[str, Path]:
    """Return dotted name -> file of every module of the package."""
    return {_dotted(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def _dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def module_imports() -> Graph:
    """Return module -> modules of the package that it names, wherever in it it does so.

    The public list in `art_disc/__init__.py` is lazy and names everything: it counts as empty.
    """
    files = modules()
    trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in files.items()}
    found = {name: set(imported(tree, files)) - {"art_disc"} for name, tree in trees.items()}
    return found | {"art_disc": set()}


def imported(tree: ast.Module, files: Mapping[str, Path]) -> Iterator[str]:
    """Yield the modules among `files` that a module names, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in files)
        elif isinstance(node, ast.ImportFrom) and node.module in files:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in files else node.module for name in inner)


def layers() -> list[str]:
    """Return the rooms of the import contract, the highest first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    rooms = next(c["layers"] for c in contracts if c["type"] == "layers")
    return [room.removeprefix("art_disc.") for room in rooms]


def room_imports() -> Graph:
    """Return room -> other rooms that its modules import."""
    rooms: Graph = {room: set() for room in layers()}
    for name, others in module_imports().items():
        room = room_of(name)
        if room in rooms:
            rooms[room] |= {room_of(other) for other in others} & set(rooms) - {room}
    return rooms


def room_of(module: str) -> str:
    """Return the room that a module of the package is in; the package itself is in none."""
    return (*module.split("."), "")[1]


def circle(graph: Graph) -> list[str] | None:
    """Return one circle of a graph, first node repeated at its end; None where there is none."""
    done: set[str] = set()
    path: list[str] = []

    def visit(node: str) -> list[str] | None:
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


def reduced(graph: Graph) -> Graph:
    """Return the transitive reduction of a graph without circles."""
    reach: Graph = {}

    def below(node: str) -> set[str]:
        if node not in reach:
            reach[node] = set().union(*({other} | below(other) for other in graph[node]))
        return reach[node]

    return {
        node: {o for o in others if not any(o in below(via) for via in others - {o})}
        for node, others in graph.items()
    }


def holds(room: str) -> str:
    """Return the first line of a room's docstring: what it holds."""
    tree = ast.parse((PACKAGE / room / "__init__.py").read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or "").partition("\n")[0]


def draw(path: Path) -> Path:
    """Draw the rooms, the highest on top, with what each holds, and write the picture."""
    import matplotlib as mpl

    mpl.use("Agg")
    # the same imports give the same file
    mpl.rcParams |= {"svg.hashsalt": "art_disc", "svg.fonttype": "none"}
    from matplotlib import pyplot as plt

    rooms, graph = layers(), reduced(room_imports())
    height = {room: len(rooms) - 1 - i for i, room in enumerate(rooms)}
    figure, ax = plt.subplots(figsize=(11, 0.42 * len(rooms)))
    colours = plt.get_cmap("tab10").colors
    box = {"boxstyle": "round,pad=0.25", "fc": "white", "ec": "#555555"}
    for i, room in enumerate(rooms):
        y = height[room]
        ax.text(0, y, f"{room:^14}", ha="center", va="center", family="monospace", bbox=box)
        ax.text(1.1, y, holds(room), ha="left", va="center", fontsize=9, color="#333333")
        for other in sorted(graph[room]):
            straight = y - height[other] == 1
            x, gap = (0, 0.33) if straight else (-0.95, 0.0)
            arrow = {
                "arrowstyle": "-|>",
                "color": colours[i % len(colours)],
                "connectionstyle": f"arc3,rad={0 if straight else 0.5}",
            }
            drawn = ax.annotate("", (x, height[other] + gap), (x, y - gap), arrowprops=arrow)
            drawn.arrow_patch.set_gid(f"{room} imports {other}")
    ax.set(xlim=(-5, 9), ylim=(-0.6, len(rooms) - 0.4))
    ax.axis("off")
    path.parent.mkdir(parents=True, exist_ok=True)
    when = {"metadata": {"Date": None}} if path.suffix == ".svg" else {}
    figure.savefig(path, bbox_inches="tight", **when)
    plt.close(figure)
    return path


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("picture", nargs="?", type=Path, default=PICTURE)
    print(draw(words.parse_args().picture))
    for room, others in reduced(room_imports()).items():
        print(f"{room}: {', '.join(sorted(others)) or '-'}")


if __name__ == "__main__":
    main()
