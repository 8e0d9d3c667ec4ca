import numpy as np
import pytest
from PIL import Image

from art_disc.core.errors import FileFormatError, InputError, InputWarning
from art_disc.data import load_dataset


def put(path, value=0, *, mode="L", size=(7, 6), **options):
    """Write one image of a single colour; `size` is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path, **options)


def levels(x):
    """8-bit value of each image's first pixel, channel by channel."""
    return np.round(255 * x[:, :, 0, 0]).astype(int).tolist()


def test_train_and_test_folders(tmp_path):
    for part, base in (("train", 0), ("test", 100)):
        put(tmp_path / part / "dog" / "b.png", base + 2)
        put(tmp_path / part / "dog" / "a.PNG", base + 1)
        put(tmp_path / part / "cat" / "z.bmp", base + 3)
    (tmp_path / "train" / "cat" / "notes.txt").write_text("no image")
    (tmp_path / "train" / ".hidden").mkdir()
    data = load_dataset(tmp_path)
    assert data.class_names == ("cat", "dog")
    assert levels(data.x_train) == [[3], [1], [2]]
    assert levels(data.x_test) == [[103], [101], [102]]
    assert data.y_train.tolist() == data.y_test.tolist() == [0, 1, 1]
    assert data.input_shape == (1, 6, 7)
    assert data.source == data.name == tmp_path.name


def test_class_folders_are_split_by_class(tmp_path):
    for label, name in enumerate("abc"):
        for i in range(10 * (label + 1)):
            put(tmp_path / name / f"{i:02}.png", 80 * label + i)
    data, again = load_dataset(str(tmp_path)), load_dataset(tmp_path)
    assert np.bincount(data.y_test).tolist() == [2, 4, 6]
    assert np.bincount(data.y_train).tolist() == [8, 16, 24]
    values = levels(data.x_train) + levels(data.x_test)
    assert sorted(values) == sorted([80 * k + i] for k in range(3) for i in range(10 * (k + 1)))
    assert (np.array(levels(data.x_test)).ravel() // 80 == data.y_test).all()
    assert data.fingerprint == again.fingerprint


@pytest.mark.parametrize(
    ("mode", "value", "suffix", "expected"),
    [
        ("L", 77, "png", [77]),
        ("1", 1, "png", [255]),
        ("LA", (77, 9), "png", [77]),
        ("RGB", (10, 20, 30), "png", [10, 20, 30]),
        ("RGB", (10, 20, 30), "bmp", [10, 20, 30]),
        ("RGB", (10, 20, 30), "ppm", [10, 20, 30]),
        ("RGBA", (10, 20, 30, 0), "png", [10, 20, 30]),
        ("L", 77, "jpg", [77]),
    ],
)
def test_modes(tmp_path, mode, value, suffix, expected):
    put(tmp_path / "test" / "a" / f"1.{suffix}", value, mode=mode)
    data = load_dataset(tmp_path)
    assert levels(data.x_test) == [expected]
    assert data.x_train.shape == (0, len(expected), 6, 7)


def test_palettes_with_transparency_become_rgb_without_a_warning(tmp_path):
    (tmp_path / "a").mkdir()
    image = Image.new("RGB", (7, 6), (10, 20, 30)).convert("P", palette=Image.Palette.ADAPTIVE)
    image.save(tmp_path / "a" / "1.png", transparency=b"\x80")
    assert levels(load_dataset(tmp_path).x_test) == [[10, 20, 30]]


def test_grey_images_among_colours_fill_all_three_channels(tmp_path):
    put(tmp_path / "test" / "a" / "1.png", 77)
    put(tmp_path / "test" / "a" / "2.png", (1, 2, 3), mode="RGB")
    assert levels(load_dataset(tmp_path).x_test) == [[77, 77, 77], [1, 2, 3]]


def test_rows_and_columns_are_not_exchanged(tmp_path):
    picture = np.arange(42, dtype=np.uint8).reshape(6, 7)
    (tmp_path / "a").mkdir()
    Image.fromarray(picture).save(tmp_path / "a" / "1.png")
    assert np.array_equal(255 * load_dataset(tmp_path).x_test[0, 0], picture.astype(np.float32))


def test_different_sizes_name_the_first_two_files(tmp_path):
    for name, size in (("1", (7, 6)), ("2", (7, 6)), ("3", (8, 6)), ("4", (9, 9))):
        put(tmp_path / "test" / "a" / f"{name}.png", size=size)
    with pytest.raises(InputError, match=r"7x6 in test.a.1\.png and 8x6 in test.a.3\.png"):
        load_dataset(tmp_path)


def test_unreadable_images_are_named(tmp_path):
    path = tmp_path / "a" / "1.png"
    put(path, size=(64, 64))
    whole = path.read_bytes()
    for content in (b"", b"no image", whole[:40], whole[:-30], whole[:20] + b"\0" * 30):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"1\.png cannot be read"):
            load_dataset(tmp_path)


def test_sixteen_bits_are_refused_and_not_clipped(tmp_path):
    (tmp_path / "a").mkdir()
    Image.fromarray(np.full((6, 7), 40000, np.uint16)).save(tmp_path / "a" / "1.png")
    with pytest.raises(FileFormatError, match="no 8-bit image"):
        load_dataset(tmp_path)


def test_folders_without_images_say_what_is_missing(tmp_path):
    with pytest.raises(InputError, match="no test image"):
        load_dataset(tmp_path)
    put(tmp_path / "a" / "1.png")
    (tmp_path / "b").mkdir()
    with pytest.raises(InputError, match="'b' holds no image"):
        load_dataset(tmp_path)


def test_train_without_test_is_refused(tmp_path):
    put(tmp_path / "train" / "a" / "1.png")
    with pytest.raises(InputError, match="no test/"):
        load_dataset(tmp_path)


def test_a_class_may_be_called_train(tmp_path):
    for name in ("plane", "train"):
        for i in range(5):
            put(tmp_path / name / f"{i}.png", i)
    assert load_dataset(tmp_path).class_names == ("plane", "train")


def test_pictures_that_are_not_read_are_counted_and_named(tmp_path):
    for i in range(3):
        put(tmp_path / "cat" / f"{i}.png", i)
        put(tmp_path / "dog" / f"{i}.png", i)
    put(tmp_path / "cat" / "4.webp", 4)
    put(tmp_path / "dog" / "5.WEBP", 5)
    put(tmp_path / "dog" / "6.tiff", 6)
    (tmp_path / "dog" / "notes.txt").write_text("no picture")
    (tmp_path / "dog" / ".7.webp").write_bytes(b"hidden")
    told = (
        rf"{tmp_path.name}: skipped 3 of 9 pictures \(1 .tiff, 2 .webp\), cat.4.webp first; read "
        "are .png.*convert"
    )
    with pytest.warns(InputWarning, match=told):
        data = load_dataset(tmp_path)
    assert len(data.x_train) + len(data.x_test) == 6


@pytest.mark.parametrize("place", ["loose.png", "cat/deeper/1.png", "val/cat/1.png"])
def test_so_are_pictures_in_places_that_nobody_looks_at(tmp_path, place):
    for part in ("train", "test"):
        put(tmp_path / part / "cat" / "0.png")
    put(tmp_path / ("train" if place.startswith("cat") else ".") / place)
    with pytest.warns(InputWarning, match="skipped 1 of 3 pictures"):
        load_dataset(tmp_path)
