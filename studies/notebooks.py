"""Execute the notebooks at full size and keep what they show: `make executed`.

python -m studies.notebooks             those whose outputs are not those of their code
python -m studies.notebooks 01 04       these, in any case

A notebook is written when it ran through and shows nothing that it should not (`faults`). Its
metadata then holds a record: versions, machine, time, and a digest of code cells and outputs; its
last cell says the same to readers.
"""

import argparse
import ast
import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

import art_disc as ad
from art_disc.core.errors import FileFormatError, InputError
from art_disc.core.files import replace_file
from art_disc.core.records import Environment
from art_disc.core.records.study import StudyRecord
from studies.architecture import ROOT
from studies.common import machine, where

FOLDER = ROOT / "notebooks"
REFUSED = ROOT / "runs" / "notebooks"
MOST_BYTES = 1_000_000
# code hosts and the site show no other kinds of output
KINDS = {"text/plain", "text/html", "text/markdown", "image/png"}
PICTURE = "image/png"
UNWANTED = {
    "a path of a machine": r"(?<![\w.])/(?:home|root|tmp|work|usr|var|mnt|Users)/|\b[A-Z]:\\",
    "the address of an object": r"\bat 0x[0-9a-f]+",
    "a traceback": r"Traceback \(most recent call last\)",
    "a warning": r"\w*Warning\b",
    "a progress bar": r"\r|\x1b\[|[0-9]it/s|█",
}

Cell = Any
Notebook = Any


def notebooks() -> list[Path]:
    """Return the paths of all notebooks, in their order."""
    return sorted(FOLDER.glob("*.ipynb"))


def read(path: Path) -> Notebook:
    return nbformat.read(path, as_version=4)


def as_bytes(notebook: Notebook) -> bytes:
    return (nbformat.writes(notebook, version=4) + "\n").encode()


def code_cells(notebook: Notebook) -> list[Cell]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def digest(notebook: Notebook) -> str:
    """Return the SHA-256 of all code cells with their outputs: a change of either shows."""
    told = [(cell.source, cell.execution_count, cell.outputs) for cell in code_cells(notebook)]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def made(notebook: Notebook) -> StudyRecord:
    """Return the record of the run that a notebook shows.

    Raises:
        FileFormatError: It holds none.
    """
    return StudyRecord.from_dict(notebook.metadata.get("art_disc"), where="the notebook's metadata")


def words(record: StudyRecord) -> str:
    """Return what a notebook's last cell says of its run."""
    minutes = record["cpu_seconds"] / 60
    python = record.environment.python
    return (
        f"*Executed by `make executed` in {minutes:.1f} minutes of one core, without the training "
        f"of networks that were in the cache: {where(record)}, Python {python}.*"
    )


def faults(notebook: Notebook) -> list[str]:
    """Return what is wrong with what a notebook shows; nothing, where it is as it should be."""
    return [*_run(notebook), *_size(notebook), *_order(notebook), *_shown(notebook)]


def _run(notebook: Notebook) -> Iterator[str]:
    try:
        record = made(notebook)
    except FileFormatError as error:
        yield str(error)
        return
    if record["digest"] != digest(notebook):
        yield "code cells and outputs are not those of one run"
    if notebook.cells[-1].source != words(record):
        yield "the last cell does not say what the record of the run says"


def _size(notebook: Notebook) -> Iterator[str]:
    size = len(as_bytes(notebook))
    if size > MOST_BYTES:
        yield f"{size} bytes, more than {MOST_BYTES}"


def _order(notebook: Notebook) -> Iterator[str]:
    for number, cell in enumerate(code_cells(notebook), 1):
        if cell.execution_count != number:
            yield f"code cell {number} was executed as number {cell.execution_count}"


def _shown(notebook: Notebook) -> Iterator[str]:
    cells = code_cells(notebook)
    drawing = _drawing([ast.parse(cell.source) for cell in cells])
    for number, cell in enumerate(cells, 1):
        for output in cell.outputs:
            yield from (f"code cell {number} shows {what}" for what in _unwanted(output))
        wanted, got = drawing[number - 1], sum(PICTURE in o.get("data", ()) for o in cell.outputs)
        if got < wanted:
            yield f"code cell {number} draws {wanted} pictures, {got} are shown"


def _unwanted(output: Any) -> Iterator[str]:
    """Yield what an output should not be, or not hold."""
    if output.output_type == "error":
        yield f"an error, {output.ename}: {output.evalue}"
        return
    if output.output_type == "stream":
        texts = [output.text]
        if output.name != "stdout":
            yield f"{output.name}: {output.text}"
    else:
        texts = [text for kind, text in output.data.items() if kind.startswith("text/")]
        yield from (f"{kind}, which is not shown everywhere" for kind in set(output.data) - KINDS)
    for what, pattern in UNWANTED.items():
        yield from (
            f"{what}: {found[0]!r}" for text in texts if (found := re.search(pattern, text))
        )


def _drawing(trees: Sequence[ast.Module]) -> list[int]:
    """Return how many pictures each cell makes at least, through functions of the notebook too."""
    helpers: dict[str, int] = {}
    found = []
    for tree in trees:
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                helpers[node.name] = _figures(node.body, helpers)
        apart = (ast.FunctionDef, ast.ClassDef)
        found.append(_figures([n for n in tree.body if not isinstance(n, apart)], helpers))
    return found


def _figures(nodes: Sequence[ast.stmt], helpers: dict[str, int]) -> int:
    calls = [n for node in nodes for n in ast.walk(node) if isinstance(n, ast.Call)]
    made_here = {"plt.subplots": 1, "plt.figure": 1, **helpers}
    return sum(made_here.get(ast.unparse(call.func), 0) for call in calls)


def execute(path: Path) -> None:
    """Execute a notebook and write it with its outputs.

    Raises:
        CellExecutionError: A cell failed; the notebook stays as it was.
        InputError: It ran, and shows what it should not; the notebook stays as it was, and what it
            showed is in `REFUSED`.
    """
    notebook = read(path)
    if notebook.metadata.pop("art_disc", None):
        notebook.cells.pop()
    before = os.times()
    environment = Environment.here(threads=1)
    client = NotebookClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        coalesce_streams=True,
        record_timing=False,
        on_cell_executed=_progress,
    )
    client.execute(cwd=str(FOLDER), env=_full_size())
    spent = os.times()
    facts = {
        "digest": digest(notebook),
        "seconds": round(spent.elapsed - before.elapsed, 1),
        "cpu_seconds": round(sum(spent[2:4]) - sum(before[2:4]), 1),
    }
    record = StudyRecord(path.stem, machine(), facts, environment)
    notebook.metadata = {
        "art_disc": record.to_dict(),
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    last = nbformat.v4.new_markdown_cell(words(record), id="made")
    notebook.cells.append(last)
    found = faults(notebook)
    if found:
        kept = replace_file(REFUSED / path.name, as_bytes(notebook))
        msg = "; ".join((f"expected {path.name} to show nothing of this", *found, f"see {kept}"))
        raise InputError(msg)
    replace_file(path, as_bytes(notebook))
    print(f"{path.name}: {facts['seconds']:.0f} s, {facts['cpu_seconds']:.0f} s of CPU", flush=True)


def _progress(cell: Cell, cell_index: int, **_: Any) -> None:
    """Say that a cell is done, and stop at once where it shows what it should not."""
    found = [what for output in cell.outputs for what in _unwanted(output)]
    if found:
        msg = "; ".join((f"expected cell {cell_index} to show nothing of this", *found))
        raise InputError(msg)
    print(f"cell {cell_index} done", flush=True)


def _full_size() -> dict[str, str]:
    """Return the environment of a kernel: this checkout, one thread, not in smoke mode."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    changed = {
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
        # tqdm's where ipywidgets is not installed; no notebook shows a bar
        "PYTHONWARNINGS": "ignore:IProgress not found",
    }
    return {k: v for k, v in os.environ.items() if k != "ART_DISC_SMOKE"} | changed


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("names", nargs="*", help="how their files' names begin; none: the stale")
    names = options.parse_args().names
    for name in ("mnist", "cifar10"):
        ad.load_dataset(name)  # not on data that stand in for these
    for path in notebooks():
        if any(path.name.startswith(name) for name in names) or (not names and faults(read(path))):
            execute(path)


if __name__ == "__main__":
    main()
