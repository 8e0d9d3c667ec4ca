"""docs/architecture.md speaks of files, tables and classes that are there."""

import re

import pytest

from studies.architecture import PACKAGE, PICTURE, ROOT, layers, reduced, room_imports

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PATHS = sorted(set(re.findall(r"`((?:art_disc|tests|studies|docs)/[\w/.]*)`", PAGE)))
TABLES = re.findall(r"`([A-Z]+)`,\s+`(art_disc/[\w/.]+)`", PAGE)
CLASSES = re.findall(r"`([A-Z]\w+)`\s+\(`(art_disc/[\w/.]+)`\)", PAGE)
FLOW = re.findall(r"^ +((?:[a-z_]+/)+[a-z_]*(?:\.py)?)", PAGE, flags=re.MULTILINE)


@pytest.mark.parametrize("path", PATHS)
def test_every_path_is_there(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize(("name", "path"), TABLES)
def test_every_table_is_where_the_page_says(name, path):
    assert re.search(rf"^{name}\b.* = ", (ROOT / path).read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize(("name", "path"), CLASSES)
def test_every_class_is_where_the_page_says(name, path):
    assert f"class {name}" in (ROOT / path).read_text()


@pytest.mark.parametrize("path", FLOW)
def test_every_stop_of_a_flow_is_there(path):
    assert (PACKAGE / path).exists()


def test_the_page_names_enough_for_these_tests_to_mean_something():
    assert len(PATHS) > 25
    assert len(TABLES) >= 6
    assert len(CLASSES) >= 4
    assert len(FLOW) > 12


def test_every_room_is_a_layer_and_every_layer_a_room():
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms == set(layers())


def test_the_drawing_is_of_the_present_imports():
    drawn = set(re.findall(r'id="(\w+ imports \w+)"', PICTURE.read_text(encoding="utf-8")))
    assert drawn == {
        f"{a} imports {b}" for a, found in reduced(room_imports()).items() for b in found
    }
