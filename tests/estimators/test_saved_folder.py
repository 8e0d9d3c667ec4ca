"""The folder of a saved classifier: a stop loses no save, and no file but its own is touched."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from art_disc import load_classifier
from art_disc.core.errors import FileFormatError, InputError
from art_disc.estimators import saved
from art_disc.estimators.saved import FILE
from tests.estimators.test_saving import NOISE, X, book, files, rewrite, small_classifier


def stop(*_, **__):
    raise KeyboardInterrupt


@pytest.fixture
def old():
    return small_classifier()


@pytest.fixture
def new():
    return small_classifier(defences=NOISE)


@pytest.fixture
def folder(old, tmp_path):
    """A folder with the save of one classifier."""
    return old.save(tmp_path / "saved")


def test_a_stop_while_the_first_old_file_goes_leaves_the_new_save(folder, new, monkeypatch):
    unlink, olds = Path.unlink, set(files(folder))

    def stops(self, **options):
        # once: what follows the stop may remove files again
        if self.name in olds:
            olds.clear()
            raise KeyboardInterrupt
        unlink(self, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", stops)
        with pytest.raises(KeyboardInterrupt):
            new.save(folder)
    assert np.array_equal(load_classifier(folder).predict(X), new.predict(X))


def test_a_stop_right_after_the_json_leaves_the_new_save(folder, new, monkeypatch):
    write = saved.write_json

    def stops(*args, **options):
        write(*args, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(saved, "write_json", stops)
        with pytest.raises(KeyboardInterrupt):
            new.save(folder)
    assert np.array_equal(load_classifier(folder).predict(X), new.predict(X))


def test_what_cannot_be_removed_stays(folder, new, monkeypatch):
    unlink, before = Path.unlink, set(files(folder))

    def refuses(self, **options):
        if self.name in before:
            raise PermissionError(self)
        unlink(self, **options)

    (folder / "..network.part.17.part").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuses)
        new.save(folder)
    assert np.array_equal(load_classifier(folder).predict(X), new.predict(X))
    assert before < set(files(folder))


@pytest.mark.parametrize("place", ["_sha256", "write_json"])
def test_a_stop_leaves_no_scratch_file(old, tmp_path, monkeypatch, place):
    monkeypatch.setattr(saved, place, stop)
    with pytest.raises(KeyboardInterrupt):
        old.save(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (FILE, '{"mine": 1}'),
        (FILE, "no JSON"),
        (".thesis.part", "mine"),
        ("network-mine.npz", "mine"),
    ],
)
def test_a_file_of_somebody_elses_is_neither_replaced_nor_removed(old, tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=f"holds {name}; give another path"):
        old.save(tmp_path)
    assert files(tmp_path) == [name]
    assert path.read_text() == text


def test_a_save_beside_other_files_leaves_them(folder, new):
    (folder / ".thesis.part").write_text("mine")
    (folder / ".thesis").mkdir()
    new.save(folder)
    assert {".thesis", ".thesis.part"} < set(files(folder))


@pytest.mark.parametrize("name", [".state.part", "..network.part.17.part", f".{FILE}.17.part"])
def test_scratch_files_of_a_killed_save_are_cleared_away(folder, new, name):
    (folder / name).write_bytes(b"half")
    new.save(folder)
    assert name not in files(folder)


def told(folder):
    return json.loads((folder / FILE).read_text())


def test_files_elsewhere_are_not_read(folder, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    weights = told(folder)["network"]["weights"]
    shutil.copy(folder / weights, outside / weights)
    for name in (f"../outside/{weights}", str(outside / weights)):
        listed = {**told(folder)["files"], name: told(folder)["files"][weights]}
        for changes in ({}, {"files": listed}):
            rewrite(folder, network={**told(folder)["network"], "weights": name}, **changes)
            with pytest.raises(FileFormatError, match="none of its own files"):
                load_classifier(folder)


def test_what_torch_unpickles_is_not_read(folder, old):
    torch.save(old.base_network.state_dict(), folder / "w.pt")
    listed = {**told(folder)["files"], "w.pt": saved._sha256(folder / "w.pt")}
    rewrite(folder, network={**told(folder)["network"], "weights": "w.pt"}, files=listed)
    with pytest.raises(FileFormatError, match=r"'w\.pt', which is none of its own files"):
        load_classifier(folder)


@pytest.mark.parametrize("word", ["network", "state", "codebook"])
def test_a_file_without_a_hash_is_not_read(tmp_path, word):
    folder = small_classifier(defences=[book()]).save(tmp_path / "saved")
    hashes = told(folder)["files"]
    rewrite(folder, files={n: h for n, h in hashes.items() if not n.startswith(word)})
    with pytest.raises(FileFormatError, match=f"'{word}-.*none of its own files"):
        load_classifier(folder)
