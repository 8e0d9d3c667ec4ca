"""The wheel builds and works away from the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT],
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


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
