"""The wheel builds and works away from the checkout."""

import gc
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import art_disc
from art_disc.core.provenance import git

ROOT = Path(__file__).parents[1]


def _built(kind, folder):
    subprocess.run(
        [sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", folder, ROOT],
        check=True,
        capture_output=True,
    )
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return _built("wheel", tmp_path_factory.mktemp("wheel"))


def test_the_sdist_holds_all_that_the_tests_need(tmp_path):
    tracked = git(ROOT, "ls-files", "-z")
    if tracked is None:
        pytest.skip("no checkout: this is what an sdist unpacks to")
    # settings of git and CI aside
    wanted = {name for name in tracked.decode().split("\0") if name and name[0] != "."}
    with tarfile.open(_built("sdist", tmp_path)) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert sorted(wanted - held) == []
    assert {"studies/common.py", "docs/images/architecture.svg", "constraints.txt"} <= held


def test_the_long_description_has_no_link_into_the_repository(wheel):
    archive = zipfile.ZipFile(wheel)
    name = next(name for name in archive.namelist() if name.endswith("METADATA"))
    text = archive.read(name).decode()
    assert "Description-Content-Type: text/markdown" in text
    targets = re.findall(r"\]\(([^)]*)\)", text)
    assert targets
    assert all(target.startswith("https://") for target in targets)
    # the words stay
    assert "broken on purpose (docs/checks.md)" in text


def _pulled(requirements, extras=frozenset()):
    """Names of all that these requirements bring, as far as it is installed here."""
    found, left = (
        {},
        [(Requirement(text), extra) for text in requirements for extra in extras or {""}],
    )
    while left:
        wanted, extra = left.pop()
        name = canonicalize_name(wanted.name)
        if wanted.marker and not wanted.marker.evaluate({"extra": extra}):
            continue
        if not set(wanted.extras) - found.get(name, set()) and name in found:
            continue
        found.setdefault(name, set()).update(wanted.extras)
        try:
            inner = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            # the extra `zoo` may not be installed; its own names are held all the same
            continue
        left += [(Requirement(text), e) for text in inner for e in wanted.extras or {""}]
    return set(found)


def test_every_package_that_an_installation_brings_is_pinned():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {canonicalize_name(n): v for n, _, v in (line.partition("==") for line in lines) if v}
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    named = [f"art-disc[{','.join(settings['project']['optional-dependencies'])}]"]
    pulled = _pulled(named + settings["build-system"]["requires"]) - {"art-disc"}
    assert {"torch", "numba", "scikit-learn-extra", "hatchling", "trove-classifiers"} <= pulled
    assert sorted(pulled - set(pins)) == []


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "art_disc/py.typed" in names
    assert any(name.endswith(".html.j2") for name in names)
    assert all(name.startswith(("art_disc/", "art_disc-")) for name in names)
    metadata = next(name for name in names if name.endswith("METADATA"))
    text = zipfile.ZipFile(wheel).read(metadata).decode()
    assert "Requires-Dist: packaging" in text
    assert "Provides-Extra: kmedoids" in text


def test_the_installed_wheel_runs_outside_the_checkout(wheel, tmp_path):
    site = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, wheel],
        check=True,
        capture_output=True,
    )
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import art_disc; "
        "assert art_disc.__file__.startswith(sys.argv[1]), art_disc.__file__; "
        "from art_disc.cli import main; "
        "sys.exit(main(['evaluate', '--epochs', '1', '--n-ex', '5', '--attacks', 'fgsm', "
        "'--eps', '0.1', '--quiet', '--out', 'run']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(site)],
        cwd=tmp_path,
        env=os.environ | {"ART_DISC_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "report.html").is_file()


def test_every_public_name_is_there():
    import art_disc

    for name in art_disc.__all__:
        assert getattr(art_disc, name) is not None
    with pytest.raises(AttributeError, match="no attribute"):
        art_disc.no_such_name  # noqa: B018
    assert set(dir(art_disc)) == set(art_disc.__all__)


@pytest.mark.parametrize("collects", [True, False])
def test_names_are_loaded_without_garbage_collection_and_leave_it_as_it_was(monkeypatch, collects):
    seen = []

    def loaded(name):
        seen.append(gc.isenabled())
        if name == "art_disc.lost":
            raise ImportError(name)
        return SimpleNamespace(Thing=name)

    monkeypatch.setattr(art_disc, "import_module", loaded)
    monkeypatch.setattr(art_disc, "_PUBLIC", {"Thing": "art_disc.new", "Lost": "art_disc.lost"})
    before = gc.isenabled()
    (gc.enable if collects else gc.disable)()
    try:
        assert art_disc.Thing == "art_disc.new"
        assert gc.isenabled() == collects
        with pytest.raises(ImportError):
            _ = art_disc.Lost
        assert gc.isenabled() == collects
    finally:
        (gc.enable if before else gc.disable)()
    assert seen == [False, False]
