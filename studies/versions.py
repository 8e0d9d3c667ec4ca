"""The tests with other versions of Python, ART, torch and NumPy, each in an environment of its own.

python -m studies.versions [NAME ...]   the same as `make versions`: what this code has not run yet
python -m studies.versions --keep NAME  leaves the environment there, for a look at what failed

uv builds them, with a pythonX.Y that it finds on this machine. torch from PyPI brings CUDA on
Linux: 6 GB an environment, which is deleted once its tests have run; one that was kept is used
again.
"""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from art_disc.core.files import read_json, write_json
from studies import common
from studies.architecture import ROOT

NAME = "versions"
EXTRAS = ("brevitas", "dask", "fast", "mlflow", "pandas", "report", "verify", "zoo")
TOOLS = ("hypothesis", "mpmath", "pytest", "python-sat")
# where the package meets Python, ART, torch, NumPy, SciPy, scikit-learn and the extras: minutes
# of a core; the whole suite, which CI runs with pinned versions, takes hours
TESTS = (
    "art_disc/core/words.py",
    "tests/core/test_records.py",
    "tests/core/test_frames.py",
    "tests/codebooks/test_scikit_learn.py",
    "tests/surrogates/test_surrogates.py",
    "tests/estimators/test_contract.py",
    "tests/estimators/test_defend.py",
    "tests/estimators/test_saved_networks.py",
    "tests/attacks/test_feeding.py",
    "tests/attacks/test_table.py",
    "tests/certificates/test_methods.py",
    "tests/certificates/test_solver_sat.py",
    "tests/networks/test_from_brevitas.py",
    "tests/report/test_tracking.py",
    "tests/report/test_run.py",
    "tests/training/test_natural.py",
    "tests/trials/test_trial.py",
)
# errors where versions are pinned; elsewhere other packages announce what others are to change
TOLD = (
    "-Wdefault::DeprecationWarning",
    "-Wdefault::FutureWarning",
    "-Wdefault::PendingDeprecationWarning",
    # old torch, of what Brevitas calls
    "-Wdefault:Named tensors:UserWarning",
)
PATCHES = (
    *("--attacks", "patch,patch_torch,patch_numpy"),
    *("--defence", "none", "--defence", "density:n_codes=2,radius=0.6", "--epochs", "5"),
)


@dataclass(frozen=True)
class Setting:
    """An environment.

    Attributes:
        python: Version of the interpreter.
        versions: `pinned` in constraints.txt, `oldest` that pyproject.toml admits, or `newest`.
        extras: Of the package.
        also: Requirements beside it.
        patches: Whether ART's patch attacks are run too, by `art-disc zoo`.
    """

    python: str
    versions: str
    extras: tuple[str, ...] = EXTRAS
    also: tuple[str, ...] = ()
    patches: bool = False


SETTINGS = {
    "pinned": Setting("3.11", "pinned"),
    # scikit-learn-extra's wheel is built for NumPy 1
    "oldest": Setting("3.11", "oldest", (*EXTRAS, "kmedoids")),
    "newest-3.12": Setting("3.12", "newest"),
    "newest-3.13": Setting("3.13", "newest", also=("torchvision",), patches=True),
}


# in the table, in this order
SHOWN = {"adversarial-robustness-toolbox": "ART", "torch": "torch", "numpy": "NumPy"}


def main() -> None:
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SETTINGS)}")
    parser.add_argument(
        "--others", default="not asked for", help="why those without a result have none"
    )
    parser.add_argument("--keep", action="store_true", help="do not delete the environments")
    options = parser.parse_args()
    folder, places = common.work_folder(options, NAME), Path(options.work).resolve() / NAME
    pieces = {name: folder / f"{name}.json" for name in SETTINGS}
    for name in options.names or SETTINGS:
        if not pieces[name].is_file():
            write_json(pieces[name], tried(SETTINGS[name], places / name, keep=options.keep))
        print(name, pieces[name].read_text())
    found = {
        name: read_json(piece)
        if piece.is_file()
        else asdict(SETTINGS[name]) | {"not_run": options.others}
        for name, piece in pieces.items()
    }
    common.write(NAME, {"tests": TESTS, "environments": found}, threads=1)


def tried(setting: Setting, folder: Path, *, keep: bool) -> dict[str, Any]:
    """Build an environment and run the tests in it.

    Returns:
        What was asked for, and `packages` with the counts of the tests, or why there is no such
        environment (`not_run`).
    """
    said = asdict(setting)
    try:
        python = built(setting, folder)
    except subprocess.CalledProcessError as error:
        shutil.rmtree(folder / "venv", ignore_errors=True)
        return said | {"not_run": error.stderr.strip()[-600:]}
    said["python"] = said_by(python, "-c", "import platform; print(platform.python_version())")
    said["packages"] = packages(python)
    said |= tested(python, folder)
    if setting.patches:
        said["cells"] = patched(python, folder)
    if not keep:
        shutil.rmtree(folder / "venv")
    return said


def built(setting: Setting, folder: Path) -> Path:
    """Make an environment with the package of this checkout; return its interpreter."""
    python = folder / "venv" / "bin" / "python"
    if python.is_file():
        return python
    folder.mkdir(parents=True, exist_ok=True)
    uv = (sys.executable, "-m", "uv")
    said_by(*uv, "venv", "--python", setting.python, folder / "venv")
    install = (*uv, "pip", "install", "--python", python)
    how = {
        "pinned": ("--constraints", ROOT / "constraints.txt"),
        "oldest": ("--resolution", "lowest-direct"),
        "newest": (),
    }
    package = f"{ROOT}[{','.join(setting.extras)}]"
    said_by(*install, *how[setting.versions], *setting.also, "--editable", package)
    # after the package, so that their own lowest versions are not taken
    said_by(*install, *TOOLS)
    return python


def packages(python: Path) -> dict[str, str]:
    """Return the versions of an environment's packages."""
    listed = said_by(sys.executable, "-m", "uv", "pip", "list", "--python", python, "--format=json")
    return {one["name"]: one["version"] for one in json.loads(listed)}


def tested(python: Path, folder: Path) -> dict[str, Any]:
    """Run the tests; return counts, what failed by name, and why others were skipped."""
    report = folder / "tests.xml"
    clock = common.Clock()
    words = ("-m", "pytest", "-p", "no:cacheprovider", f"--junitxml={report}", *TOLD, *TESTS)
    code = logged(python, *words, log=folder / "tests.log")
    cases = list(ElementTree.parse(report).iter("testcase"))  # noqa: S314 - our own
    failed = [case for case in cases if {child.tag for child in case} & {"failure", "error"}]
    skipped = [child.get("message", "") for case in cases for child in case.iter("skipped")]
    return {
        "exit_code": code,
        "passed": len(cases) - len(failed) - len(skipped),
        "failed": [f"{case.get('classname')}::{case.get('name')}" for case in failed],
        "skipped": dict(Counter(skipped)),
        "seconds": clock.facts()["seconds"],
    }


def patched(python: Path, folder: Path) -> list[dict[str, Any]]:
    """Run the patch attacks on the digits; return a cell of the matrix each."""
    words = ("-m", "art_disc", "zoo", "--quiet", "--out", folder, *PATCHES)
    logged(python, *words, log=folder / "zoo.log")
    kept = ("attack", "defence", "status", "reason", "total", "clean", "attacked")
    return [{name: cell[name] for name in kept} for cell in read_json(folder / "zoo.json")["cells"]]


def table() -> list[str]:
    """Return what the install page shows: a row an environment, and what was left out."""
    record = common.load(NAME)
    found = record["environments"]
    lines = common.markdown(
        ("environment", "Python", *SHOWN.values(), "passed", "failed", "skipped"),
        [(name, *row(one)) for name, one in found.items()],
    )
    for name, one in found.items():
        lines += [f"- {name}: {why}" for why in remarks(one)]
    tests = ", ".join(f"`{test}`" for test in record["tests"])
    return [*lines, "", f"Tests: {tests} (`studies/{NAME}.py`; {common.made_at(record)})."]


def row(found: dict[str, Any]) -> tuple[str, ...]:
    """Return an environment's cells behind its name."""
    if "packages" not in found:
        return found["python"], *("not run",) * len(SHOWN), "", "", ""
    counts = found["passed"], len(found["failed"]), sum(found["skipped"].values())
    return found["python"], *(found["packages"][one] for one in SHOWN), *map(str, counts)


def remarks(found: dict[str, Any]) -> list[str]:
    """Return what a reader has to know of an environment beside its counts."""
    if "packages" not in found:
        return [f"not run: {found['not_run']}"]
    said = [f"failed: `{name}`" for name in found["failed"]]
    said += [f"{count} skipped: {why}" for why, count in found["skipped"].items()]
    for name in dict.fromkeys(cell["attack"] for cell in found.get("cells", ())):
        cells = [cell for cell in found["cells"] if cell["attack"] == name]
        said.append(f"`{name}`: " + "; ".join(map(cell_words, cells)))
    return said


def cell_words(cell: dict[str, Any]) -> str:
    """Return what an attack did to a defence, in words.

    >>> cell_words({"defence": "none", "status": "lowered", "clean": 7, "attacked": 5})
    'none, lowered from 7 to 5'
    """
    if cell["status"] in ("lowered", "ran"):
        return f"{cell['defence']}, {cell['status']} from {cell['clean']} to {cell['attacked']}"
    return f"{cell['defence']}, {cell['status']} ({cell['reason']})"


def logged(*words: Any, log: Path) -> int:
    """Run a command as tests that repeat want it, its output in a file; return its exit code."""
    around = os.environ | {"CI": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with log.open("wb") as out:
        done = subprocess.run(words, cwd=ROOT, env=around, check=False, stdout=out, stderr=out)  # noqa: S603 - ours
    return done.returncode


def said_by(*words: Any) -> str:
    """Run a command; return what it prints."""
    done = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603 - ours
    return done.stdout.strip()


if __name__ == "__main__":
    main()
