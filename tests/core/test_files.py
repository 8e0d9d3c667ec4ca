import io
import json
import pickle
import zipfile

import numpy as np
import pytest

from art_disc.core.errors import DataNotFoundError, FileFormatError, InputError
from art_disc.core.files import (
    check_folder,
    make_folder,
    read_json,
    read_npz,
    replace_file,
    write_json,
    write_npz,
)
from art_disc.core.journal import only_one


class Bomb:
    """Unpickling it raises."""

    def __reduce__(self):
        return exec, ("raise SystemExit('unpickled')",)


def test_a_file_is_written_whole_with_its_folder(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    assert replace_file(path, b"one") == path
    replace_file(str(path), b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_a_file_is_no_folder_and_a_folder_is_no_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"kept")
    for there in (path, path / "a" / "b"):
        for make in (check_folder, make_folder):
            with pytest.raises(InputError, match=r"expected a folder.*is a file; give"):
                make(there)
        with pytest.raises(InputError, match="is a file"), only_one(there, "run"):
            pass
        with pytest.raises(InputError, match="is a file"):
            replace_file(there / "record.json", b"new")
    with pytest.raises(InputError, match="expected the path of a file, got the folder"):
        replace_file(tmp_path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"kept"
    assert check_folder(tmp_path / "new") == tmp_path / "new"
    assert not (tmp_path / "new").exists()
    assert make_folder(str(tmp_path / "new" / "a")).is_dir()


def test_a_failed_write_leaves_the_old_file_and_no_scraps(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(self, content):
        with self.open("wb") as file:
            file.write(content[:1])
        raise OSError("disk full")  # noqa: EM101

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match="disk full"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_failed_move_leaves_the_old_file_and_no_scraps(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def refuse(self, target):
        raise PermissionError

    monkeypatch.setattr("pathlib.Path.replace", refuse)
    with pytest.raises(PermissionError):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_json_round_trip(tmp_path):
    data = {"é": [1, 2.5, None, True], "nested": {"a": "b"}}
    assert read_json(write_json(tmp_path / "x.json", data)) == data


def test_nan_is_no_json_and_writes_nothing(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe{}", b"no json"])
def test_damaged_json_is_named(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"x\.json is not JSON"):
        read_json(path)


@pytest.mark.parametrize("read", [read_json, read_npz])
def test_a_missing_file_is_named(tmp_path, read):
    with pytest.raises(DataNotFoundError, match=r"no such file.*nothing"):
        read(tmp_path / "nothing")


def test_npz_round_trip_keeps_types_and_values(tmp_path):
    arrays = {"a": np.arange(6, dtype=np.int16).reshape(2, 3), "b": np.array("text")}
    path = write_npz(tmp_path / "x.npz", arrays)
    back = read_npz(path)
    assert set(back) == {"a", "b"}
    for key, array in arrays.items():
        assert back[key].dtype == array.dtype
        assert np.array_equal(back[key], array)
    assert set(read_npz(path, ("b", "absent"))) == {"b"}


def npz_with_object(path):
    np.savez(path, a=np.array([Bomb()], dtype=object), allow_pickle=True)


def bare_pickle(path):
    path.write_bytes(pickle.dumps(Bomb()))


def one_npy(path):
    with path.open("wb") as file:
        np.save(file, np.arange(3))


def object_npy(path):
    with path.open("wb") as file:
        np.save(file, np.array([Bomb()], dtype=object), allow_pickle=True)


def zip_of_text(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "hello")


def truncated(path):
    np.savez(path, a=np.arange(1000))
    path.write_bytes(path.read_bytes()[:-50])


def bent(path):
    np.savez_compressed(path, a=np.arange(1000))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20] = bytes(20)
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def text(path):
    path.write_text(json.dumps({"a": 1}))


@pytest.mark.parametrize(
    "make",
    [npz_with_object, bare_pickle, one_npy, object_npy, zip_of_text, truncated, bent, empty, text],
)
def test_what_is_no_npz_of_plain_arrays_is_refused_and_never_unpickled(tmp_path, make):
    path = tmp_path / "x.npz"
    make(path)
    with pytest.raises(FileFormatError, match=r"x\.npz"):
        read_npz(path)


def test_the_bomb_is_real():
    buffer = io.BytesIO(pickle.dumps(Bomb()))
    with pytest.raises(SystemExit, match="unpickled"):
        pickle.load(buffer)  # noqa: S301 - what must never happen
