import os
import pickle
import ssl
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from sklearn.datasets import load_digits

from art_disc.core.errors import DataNotFoundError, FileFormatError, InputError
from art_disc.data import DATASETS, load_dataset

ROOT = Path(__file__).parents[2]


def arrays(n=10, shape=(28, 28), fill=0):
    x = np.full((n, *shape), fill, np.uint8)
    x.reshape(n, -1)[:, 0] = np.arange(n)
    y = np.arange(n) % 10
    return {"x_train": x, "y_train": y, "x_test": x[:4], "y_test": y[:4]}


def save(path, **changes):
    content = {k: v for k, v in {**arrays(), **changes}.items() if v is not None}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **content)
    return path


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Three empty places: data_dir, the environment's folder, ART's folder; and no network."""
    from art import config, utils

    found = {name: tmp_path / name for name in ("given", "env", "art")}
    for folder in found.values():
        folder.mkdir()
    monkeypatch.setenv("ART_DISC_DATA", str(found["env"]))
    monkeypatch.setattr(config, "ART_DATA_PATH", str(found["art"]))

    def offline(raw=False):
        text = "no network here"
        raise URLError(text)

    monkeypatch.setattr(utils, "load_mnist", offline)
    return found


# digits


def test_digits_lie_on_the_8_bit_grid():
    data = load_dataset()
    images = np.concatenate([data.x_train, data.x_test])
    levels = np.unique(images)
    expected = [round(255 * k / 16) for k in range(17)]
    assert np.array_equal(255 * levels, np.array(expected, np.float32))
    assert np.array_equal(levels, np.array(expected, np.float32) / np.float32(255))
    assert images.dtype == np.float32


def test_digits_are_scikit_learns_each_once():
    data = load_dataset("digits")
    assert (data.name, data.source, data.nb_classes) == ("digits", "scikit-learn", 10)
    images, labels = load_digits(return_X_y=True)
    ours = np.concatenate([data.x_train, data.x_test]).reshape(-1, 64)
    rows = np.column_stack([np.round(ours * 16), np.concatenate([data.y_train, data.y_test])])
    theirs = np.column_stack([images, labels])
    assert sorted(map(tuple, rows)) == sorted(map(tuple, theirs))


def test_digits_split_is_stratified_and_the_same_in_every_release():
    data = load_dataset("digits")
    assert data.x_train.shape == (1297, 1, 8, 8)
    assert data.x_test.shape == (500, 1, 8, 8)
    labels = np.concatenate([data.y_train, data.y_test])
    quota = np.bincount(labels) * 500 / 1797
    assert (np.abs(np.bincount(data.y_test) - quota) < 1).all()
    assert np.array_equal(data.test_ids, np.arange(500))
    # a change of this value changes every result ever published on digits
    assert data.fingerprint == "b16d9ebf27cbedb1"


def test_digits_need_neither_art_nor_torch():
    code = (
        "import sys; from art_disc.data import load_dataset; load_dataset('digits'); "
        "sys.exit('art' in sys.modules or 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0


# names and places


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_the_places_are_searched_in_order(places, name):
    for value, folder in enumerate(("art", "env", "given"), start=1):
        save(places[folder] / f"{name}.npz", **arrays(fill=value))
        data = load_dataset(name, data_dir=places["given"])
        assert round(float(data.x_test[0, 0, 5, 5]) * 255) == value
        assert (data.name, data.source) == (name, f"{name}.npz")
    assert load_dataset(name).x_test[0, 0, 5, 5] == np.float32(2 / 255)


def test_class_names_of_a_named_set_are_complete(places):
    save(places["env"] / "fashion_mnist.npz")
    assert load_dataset("fashion_mnist").class_names[9] == "Ankle boot"
    save(places["env"] / "gtsrb.npz", **arrays(shape=(32, 32, 3)))
    assert load_dataset("gtsrb").nb_classes == 43


@pytest.mark.parametrize("name", [name for name in DATASETS if name != "digits"])
def test_a_missing_set_names_every_place_and_three_cures(places, name):
    with pytest.raises(DataNotFoundError) as caught:
        load_dataset(name, data_dir=places["given"])
    text = str(caught.value)
    for place in places.values():
        assert f"{place} (" in text
    for cure in (f"put {name}.npz", "--data-dir", "set ART_DISC_DATA", "into ART's data folder"):
        assert cure in text
    assert ("no network here" in text) == (name == "mnist")


def test_places_not_given_are_said_to_be_so(places, monkeypatch):
    monkeypatch.setenv("ART_DISC_DATA", "")
    with pytest.raises(DataNotFoundError, match=r"data_dir, not given; \$ART_DISC_DATA, not set"):
        load_dataset("gtsrb")


@pytest.mark.parametrize("error", [OSError("disc full"), ValueError("odd"), KeyError("x_train")])
def test_any_failure_of_arts_downloader_is_data_not_found(places, monkeypatch, error):
    from art import utils

    def fail(raw=False):
        raise error

    monkeypatch.setattr(utils, "load_mnist", fail)
    with pytest.raises(DataNotFoundError, match=type(error).__name__):
        load_dataset("mnist")


def test_art_downloads_mnist_at_last_and_certificate_checks_stay_on(places, monkeypatch):
    from art import utils

    def download(raw):
        assert raw
        ssl._create_default_https_context = ssl._create_unverified_context
        content = arrays()
        return (
            (content["x_train"], content["y_train"]),
            (content["x_test"], content["y_test"]),
            0.0,
            255.0,
        )

    monkeypatch.setattr(utils, "load_mnist", download)
    before = ssl._create_default_https_context
    data = load_dataset("mnist")
    assert (data.source, data.x_train.shape) == ("ART", (10, 1, 28, 28))
    assert ssl._create_default_https_context is before


def test_arts_own_downloader_offline_is_silent_and_leaves_nothing(places, monkeypatch, capfd):
    import urllib.request

    from art import utils

    def unreachable(url, path, *args, **kwargs):
        text = "unreachable"
        raise URLError(text)

    def load_mnist(raw):
        utils.get_file("mnist.npz", path=str(places["art"]), url="https://example.invalid/m")
        return np.load(places["art"] / "mnist.npz")

    monkeypatch.setattr(urllib.request, "urlretrieve", unreachable)
    monkeypatch.setattr(utils, "load_mnist", load_mnist)
    with pytest.raises(DataNotFoundError) as caught:
        load_dataset("mnist")
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    assert "Logging error" not in capfd.readouterr().err
    assert not any(places["art"].iterdir())


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match=r"digits, mnist, fashion_mnist, cifar10, gtsrb.*path"):
        load_dataset("imagenet")
    with pytest.raises(InputError, match="known: digits"):
        load_dataset("")
    with pytest.raises(InputError, match="name or a path, got int"):
        load_dataset(3)


@pytest.mark.parametrize("name", ["absent.npz", "absent/folder"])
def test_a_path_that_leads_nowhere_is_not_found(name, tmp_path):
    with pytest.raises(DataNotFoundError, match="no such file"):
        load_dataset(tmp_path / name)
    with pytest.raises(DataNotFoundError, match="no such file"):
        load_dataset(name)


# npz files


def test_an_npz_by_path(tmp_path):
    path = save(tmp_path / "mine.npz")
    data = load_dataset(str(path))
    assert (data.name, data.source) == ("mine", "mine.npz")
    assert str(tmp_path) not in data.source
    assert data.x_train.shape == (10, 1, 28, 28)
    assert np.array_equal(load_dataset(path).x_train, data.x_train)


def test_an_npz_with_a_test_part_alone(tmp_path):
    path = save(tmp_path / "t.npz", x_train=None, y_train=None, target=np.arange(4))
    data = load_dataset(path)
    assert data.x_train.shape == (0, 1, 28, 28)
    assert np.array_equal(data.y_test, np.arange(4))


@pytest.mark.parametrize("key", ["x_train", "y_train", "x_test", "y_test"])
def test_missing_keys_are_named(tmp_path, key):
    with pytest.raises(FileFormatError, match=f"lacks {key};"):
        load_dataset(save(tmp_path / "m.npz", **{key: None}))


def test_foreign_keys_are_named_as_missing(tmp_path):
    np.savez(tmp_path / "f.npz", images=np.zeros(3))
    with pytest.raises(FileFormatError, match="lacks x_test, y_test;"):
        load_dataset(tmp_path / "f.npz")


def test_what_is_wrong_with_the_arrays_comes_with_the_files_name(tmp_path):
    with pytest.raises(InputError, match=r"bad\.npz: y_test .* 4 images, got 3"):
        load_dataset(save(tmp_path / "bad.npz", y_test=np.zeros(3, int)))
    x = np.full((4, 28, 28), np.nan)
    with pytest.raises(InputError, match=r"nan\.npz: x_test must be finite"):
        load_dataset(save(tmp_path / "nan.npz", x_test=x))


class Bomb:
    """Leaves a file behind if anything ever unpickles it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def test_pickles_are_never_run(tmp_path):
    trap, raw, members = tmp_path / "trap", tmp_path / "raw.npz", tmp_path / "objects.npz"
    raw.write_bytes(pickle.dumps(Bomb(trap)))
    objects = np.empty(4, object)
    objects[:] = [Bomb(trap)] * 4
    save(members, y_test=objects)
    for path in (raw, members):
        with pytest.raises(FileFormatError):
            load_dataset(path)
    assert not trap.exists()


def test_every_kind_of_damage_is_a_format_error(tmp_path):
    whole = save(tmp_path / "whole.npz").read_bytes()
    path = tmp_path / "damaged.npz"
    for content in (b"", b"text", whole[: len(whole) // 2], whole[:-30]):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"damaged\.npz"):
            load_dataset(path)


def test_flipped_bytes_are_noticed(tmp_path):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (10, 28, 28), dtype=np.uint8)
    whole = save(tmp_path / "w.npz", x_train=noise).read_bytes()
    path, reference = tmp_path / "d.npz", load_dataset(tmp_path / "w.npz").fingerprint
    noticed = 0
    # not in the directory at the end: there np.load itself leaves the file open
    for position in range(0, whole.index(b"PK\x01\x02"), 97):
        content = bytearray(whole)
        content[position] ^= 0xFF
        path.write_bytes(content)
        try:
            assert load_dataset(path).fingerprint == reference  # a byte that means nothing
        except FileFormatError:
            noticed += 1
    assert noticed > 50


def test_a_zip_member_that_is_no_array_is_refused(tmp_path):
    path = save(tmp_path / "z.npz", y_test=None)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("y_test", "0123")
    with pytest.raises(FileFormatError, match="y_test"):
        load_dataset(path)


# CIFAR-10's binary batches


@pytest.fixture
def cifar(places):
    """Two records a batch; a record's label and first red, green and blue byte are known."""
    folder = places["env"] / "cifar-10-batches-bin"
    folder.mkdir()
    for b, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        records = np.zeros((2, 3073), np.uint8)
        records[:, 0] = (b, 9)
        records[:, 1], records[:, 1 + 1024], records[:, 1 + 2048 + 33] = 100 + b, 50, 25
        records.tofile(folder / f"{name}.bin")
    return folder


def test_cifar_batches_are_read_planar(cifar):
    data = load_dataset("cifar10")
    assert data.x_train.shape == (10, 3, 32, 32)
    assert data.y_train.tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]
    assert data.y_test.tolist() == [5, 9]
    levels = np.round(255 * data.x_train[:, [0, 1, 2], [0, 0, 1], [0, 0, 1]])
    assert levels.tolist() == [[100 + b, 50, 25] for b in range(5) for _ in range(2)]
    assert (data.class_names[3], data.source) == ("cat", "cifar-10-batches-bin")


def test_an_npz_in_an_earlier_place_comes_before_the_batches(cifar, places):
    save(places["given"] / "cifar10.npz", **arrays(shape=(32, 32, 3)))
    assert load_dataset("cifar10", data_dir=places["given"]).source == "cifar10.npz"


def test_arts_pickled_cifar_is_never_touched(places, monkeypatch):
    from art import utils

    folder = places["art"] / "cifar-10-batches-py"
    folder.mkdir()
    for i in range(1, 6):
        (folder / f"data_batch_{i}").write_bytes(pickle.dumps(Bomb(places["art"] / "trap")))
    monkeypatch.setattr(utils, "load_cifar10", lambda **_: pytest.fail("ART's loader was called"))
    with pytest.raises(DataNotFoundError, match="cifar-10-batches-bin"):
        load_dataset("cifar10")
    assert not (places["art"] / "trap").exists()


def test_damaged_batches_are_refused(cifar):
    batch = cifar / "data_batch_2.bin"
    whole = batch.read_bytes()
    for content, text in (
        (whole[:-1], "whole records of 3073"),
        (b"", "whole records"),
        (b"\x0a" + whole[1:], "label 10"),
    ):
        batch.write_bytes(content)
        with pytest.raises(FileFormatError, match=text):
            load_dataset("cifar10")
    batch.unlink()
    with pytest.raises(FileFormatError, match=r"lacks data_batch_2\.bin"):
        load_dataset("cifar10")


# real files


def real(name):
    folders = [os.environ.get("ART_DISC_DATA"), ROOT.parent / "shared" / "data"]
    for folder in folders:
        if folder and (Path(folder) / name).is_file():
            return Path(folder)
    pytest.skip(f"{name} is neither in $ART_DISC_DATA nor in ../shared/data")


def test_real_mnist():
    data = load_dataset("mnist", data_dir=real("mnist.npz"))
    assert data.x_train.shape == (60000, 1, 28, 28)
    assert data.x_test.shape == (10000, 1, 28, 28)
    assert np.bincount(data.y_test).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip
    assert (data.x_test.min(), data.x_test.max()) == (0, 1)


def test_real_photographs_without_a_training_part():
    data = load_dataset(real("nips2017_sample.npz") / "nips2017_sample.npz")
    assert data.x_test.shape == (20, 3, 299, 299)
    assert data.x_train.shape == (0, 3, 299, 299)
