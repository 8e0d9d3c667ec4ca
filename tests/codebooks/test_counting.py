"""Pixels of files: the counts of all that they hold, with memory that does not grow with them."""

import os
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from art_disc.codebooks import PixelCounts, count_files, counting
from art_disc.core import streams
from art_disc.core.errors import (
    DataNotFoundError,
    FileFormatError,
    InputError,
    InputWarning,
    WorkerLostError,
)
from art_disc.data import load_dataset

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (6, 3, 9, 8), dtype=np.uint8)
GREY = RNG.integers(0, 256, (5, 1, 7, 6), dtype=np.uint8)


def put(path, image):
    """Write one image (c, h, w) as a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)).save(path)


def put_all(folder, images, suffix=".png"):
    for i, image in enumerate(images):
        put(folder / f"{i:03}{suffix}", image)


def counted(path, **options):
    return count_files(path, verbose=False, **options)


def assert_same(got, expected):
    assert np.array_equal(got.values, expected.values)
    assert np.array_equal(got.counts, expected.counts)


@pytest.mark.parametrize("images", [GREY, COLOURS], ids=["grey", "colour"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, ">f8"])
@pytest.mark.parametrize("kind", ["npy", "npz", "packed npz"])
def test_arrays_are_counted_as_they_would_be_in_memory(
    images, layout, dtype, kind, tmp_path, monkeypatch
):
    # two images at once
    monkeypatch.setattr(streams, "_VALUES", 2 * images[0].size)
    x = images if dtype == np.uint8 else (images / np.float32(255)).astype(dtype)
    x = np.moveaxis(x, 1, -1) if layout == "nhwc" else x
    file = tmp_path / f"x.{kind[-3:]}"
    if kind == "npy":
        np.save(file, x)
    else:
        save = np.savez if kind == "npz" else np.savez_compressed
        save(file, y_train=np.arange(3), x_train=np.ascontiguousarray(x), x_test=x[:1])
    assert_same(counted(file), PixelCounts.of(images))


def test_greys_without_a_channel_axis(tmp_path):
    np.save(tmp_path / "x.npy", GREY[:, 0])
    assert_same(counted(tmp_path / "x.npy"), PixelCounts.of(GREY))


def test_an_npy_may_lie_column_by_column(tmp_path):
    np.save(tmp_path / "x.npy", np.asfortranarray(COLOURS))
    assert_same(counted(tmp_path), PixelCounts.of(COLOURS))
    np.savez(tmp_path / "x.npz", np.asfortranarray(COLOURS))
    with pytest.raises(FileFormatError, match=r"x\.npz .*column.*ascontiguousarray"):
        counted(tmp_path)


def test_of_an_npz_the_training_images_are_counted(tmp_path):
    np.savez(tmp_path / "both.npz", x_train=COLOURS, x_test=COLOURS[:1], y_test=np.arange(6))
    np.savez(tmp_path / "test.npz", x_test=COLOURS[:2], y_test=np.arange(6))
    np.savez(tmp_path / "one.npz", pixels=COLOURS[:3])
    for name, n in (("both", 6), ("test", 2), ("one", 3)):
        assert_same(counted(tmp_path / f"{name}.npz"), PixelCounts.of(COLOURS[:n]))
    np.savez(tmp_path / "none.npz", a=COLOURS, b=COLOURS)
    with pytest.raises(FileFormatError, match=r"none\.npz must hold x_train.*got a, b"):
        counted(tmp_path / "none.npz")


def test_files_of_all_kinds_and_sizes_at_any_depth(tmp_path):
    put_all(tmp_path / "b" / "deep", COLOURS)
    put_all(tmp_path / "a", GREY, ".bmp")
    put(tmp_path / "loose.PNG", COLOURS[0, :, :4])
    np.save(tmp_path / "x.npy", GREY)
    (tmp_path / "notes.txt").write_text("no image")
    put(tmp_path / ".hidden" / "1.png", COLOURS[0])
    put(tmp_path / "._1.png", COLOURS[0])
    greys = np.repeat(np.concatenate([GREY, GREY]), 3, axis=1)
    expected = PixelCounts.of(COLOURS).update(COLOURS[:1, :, :4]).update(greys)
    assert_same(counted(tmp_path), expected)


def test_the_counts_are_those_of_the_data_set(tmp_path):
    for part in ("train", "test"):
        for name in "ab":
            put_all(tmp_path / part / name, COLOURS[: 2 if part == "test" else 6])
    assert_same(counted(tmp_path), PixelCounts.of(load_dataset(tmp_path).x_train))
    # without test images beside it, a folder may have any name
    (tmp_path / "test").rename(tmp_path / "other")
    assert counted(tmp_path).total == 16 * 72


def test_processes_find_the_same(tmp_path, monkeypatch):
    put_all(tmp_path / "a", COLOURS)
    put_all(tmp_path / "b", GREY)
    np.save(tmp_path / "x.npy", GREY)
    groups = []
    work = counting.in_processes
    monkeypatch.setattr(counting, "in_processes", lambda *a, **k: groups.append(a) or work(*a, **k))
    assert_same(counted(tmp_path, n_jobs=2), counted(tmp_path))
    assert len(groups) == 1
    (tmp_path / "a" / "000.png").write_bytes(b"no image")
    with pytest.raises(FileFormatError, match=r"1 of 12 files cannot .*000\.png"):
        counted(tmp_path, n_jobs=2)


def test_one_file_needs_no_processes(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", GREY)
    monkeypatch.setattr(counting, "in_processes", None)
    assert_same(counted(tmp_path, n_jobs=2), PixelCounts.of(GREY))


@pytest.mark.parametrize("n_jobs", [0, 1.5, True])
def test_a_number_of_processes_that_is_none(n_jobs, tmp_path):
    with pytest.raises(InputError, match="n_jobs must be a whole number other than 0"):
        counted(tmp_path, n_jobs=n_jobs)


def peak(path):
    tracemalloc.start()
    counted(path)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def test_memory_does_not_grow_with_an_array(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "_VALUES", 1 << 16)
    rng = np.random.default_rng(0)
    for name, n in (("few", 16), ("many", 240)):
        np.save(tmp_path / f"{name}.npy", rng.integers(0, 8, (n, 1, 128, 128), dtype=np.uint8))
    np.savez_compressed(tmp_path / "many.npz", np.load(tmp_path / "many.npy"))
    peak(tmp_path / "few.npy")  # what the first call loads is not its own
    few = peak(tmp_path / "few.npy")
    # 3.7 MB more lie in the larger file; an archive is read through some buffers
    assert peak(tmp_path / "many.npy") - few < 2e5
    assert peak(tmp_path / "many.npz") - few < 1e6


def test_memory_does_not_grow_with_pictures(tmp_path):
    for name, n in (("few", 4), ("many", 40)):
        put_all(tmp_path / name, RNG.integers(0, 2, (n, 1, 256, 256), dtype=np.uint8))
    peak(tmp_path / "few")
    few = peak(tmp_path / "few")
    # 2.4 MB more; as float32, as a data set holds them, 9.4
    assert peak(tmp_path / "many") - few < 3e5


def test_a_bar_runs_over_all_bytes(tmp_path, capsys):
    put_all(tmp_path, COLOURS)
    np.save(tmp_path / "x.npy", GREY)
    count_files(tmp_path)
    assert "100%" in capsys.readouterr().err
    counted(tmp_path)
    assert capsys.readouterr().err == ""


def test_parts_that_round_to_more_than_the_whole_do_not_overrun_the_bar(
    monkeypatch, tmp_path, capsys
):
    np.save(tmp_path / "x.npy", GREY)
    image = np.zeros((1, 1, 2, 2), dtype=np.uint8)
    # tqdm warns of more than all, and warnings are errors
    monkeypatch.setattr(counting, "read_levels", lambda _: iter([(image, 0.7), (image, 0.3001)]))
    assert count_files(tmp_path / "x.npy").total == 8
    assert "100%" in capsys.readouterr().err


DAMAGED = {
    "picture": ("1.png", lambda: b"\x89PNG\r\n\x1a\n", "cannot be read as an image"),
    "npy": ("x.npy", lambda: b"\x93NUMPY", "cannot be read as an array"),
    "cut npy": ("x.npy", lambda: saved(np.save, GREY)[:-9], "cannot be read as an array"),
    "pickle": ("x.npy", lambda: saved(np.save, GREY.astype(object)), "cannot be read as an array"),
    "npz": ("x.npz", lambda: b"PK\x03\x04", "cannot be read as an array"),
    "cut npz": ("x.npz", lambda: saved(np.savez, GREY)[:-30], "cannot be read as an array"),
    "flipped": ("x.npz", lambda: flipped(saved(np.savez, GREY)), "Bad CRC-32"),
    "pickle in npz": (
        "x.npz",
        lambda: saved(np.savez, GREY.astype(object)),
        "pickled objects, which are never read",
    ),
    "integers": ("x.npy", lambda: saved(np.save, GREY.astype(int)), "x.npy must be floats in"),
    "levels": ("x.npy", lambda: saved(np.save, GREY * 1.0), "divide 8-bit images by 255"),
    "twice": ("x.npy", lambda: saved(np.save, GREY / 255.0**2), "divided by 255 twice"),
    "nan": ("x.npy", lambda: saved(np.save, GREY * np.nan), "x.npy must be finite"),
    "two axes": ("x.npy", lambda: saved(np.save, GREY[0, 0]), "x.npy must have shape"),
    "a number": ("x.npy", lambda: saved(np.save, np.float32(1)), "at least one image"),
    "no image": ("x.npz", lambda: saved(np.savez, GREY[:0]), "at least one image"),
    "ambiguous": ("x.npz", lambda: saved(np.savez, GREY.reshape(-1, 1, 7, 3)), "ambiguous"),
}


def saved(save, array):
    from io import BytesIO

    file = BytesIO()
    save(file, array)
    return file.getvalue()


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize(("name", "made", "told"), DAMAGED.values(), ids=DAMAGED)
def test_a_bad_file_is_named_with_what_is_wrong(name, made, told, tmp_path):
    put_all(tmp_path, COLOURS)
    (tmp_path / name).write_bytes(made())
    with pytest.raises(FileFormatError) as raised:
        counted(tmp_path)
    assert "1 of 7 files cannot be counted: " in str(raised.value)
    assert f"{tmp_path / name} " in str(raised.value)
    assert told in str(raised.value)
    assert "mend or move" in str(raised.value)


def test_all_bad_files_are_found_in_one_pass(tmp_path):
    put_all(tmp_path, COLOURS)
    for i in range(9):
        (tmp_path / f"bad{i}.png").write_bytes(b"")
    with pytest.raises(FileFormatError, match=r"9 of 15 files .*bad0.*bad4\.png.*; \.\.\.; mend"):
        counted(tmp_path)


def test_nothing_to_count(tmp_path):
    with pytest.raises(DataNotFoundError, match="no such file or folder"):
        counted(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(InputError, match=r"holds no images; expected files \.png"):
        counted(tmp_path)


def test_pictures_of_other_kinds_are_told(tmp_path):
    put_all(tmp_path, GREY)
    put(tmp_path / "a" / "1.webp", COLOURS[0])
    with pytest.warns(InputWarning, match=r"skipped 1 of 6 pictures \(1 \.webp\), a.1\.webp first"):
        assert_same(counted(tmp_path), PixelCounts.of(GREY))


def test_a_linked_folder_is_entered_once(tmp_path):
    put_all(tmp_path / "there", GREY)
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "there", target_is_directory=True)
    (root / "again").symlink_to(root, target_is_directory=True)
    assert_same(counted(root), PixelCounts.of(GREY))
    (root / "gone.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileFormatError, match=r"gone\.png cannot be read"):
        counted(root)


def test_a_folder_that_may_not_be_read_is_not_passed_over(tmp_path, monkeypatch):
    put_all(tmp_path, GREY)
    put_all(tmp_path / "locked", GREY)
    names = os.scandir

    def refused(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return names(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(DataNotFoundError, match="locked cannot be read: Permission denied; change"):
        counted(tmp_path)


def die(*_):
    os._exit(9)


def test_a_process_that_dies_is_told(tmp_path, monkeypatch):
    put_all(tmp_path, GREY)
    monkeypatch.setattr(counting, "_counted", die)
    with pytest.raises(WorkerLostError, match="fewer n_jobs"):
        counted(tmp_path, n_jobs=2)
