import dataclasses
import pickle

import numpy as np
import pytest

from art_disc.core.errors import DataNotFoundError, FileFormatError, InputError
from art_disc.core.files import write_npz
from art_disc.report.pictures import Pictures, make_strip, signed_colours


def as_arrays(pictures):
    return {f.name: getattr(pictures, f.name) for f in dataclasses.fields(pictures)}


@pytest.mark.parametrize("channels", [1, 3])
def test_a_file_gives_back_what_was_saved(tmp_path, make, channels):
    pictures = make.pictures(channels=channels)
    back = Pictures.load(pictures.save(tmp_path / "pictures.npz"))
    for name, value in as_arrays(pictures).items():
        np.testing.assert_array_equal(getattr(back, name), value)
        assert np.asarray(getattr(back, name)).dtype == np.asarray(value).dtype
    assert (back.attack, back.eps, len(back)) == ("pgd", make.large, 6)


def test_images_become_float32_in_the_unit_range_and_the_callers_stay(make):
    adversarial = np.full((6, 1, 12, 12), 1 + 1e-5)
    before = adversarial.copy()
    pictures = make.pictures(adversarial=adversarial)
    assert pictures.adversarial.dtype == np.float32
    assert pictures.adversarial.max() == 1
    np.testing.assert_array_equal(adversarial, before)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clean": np.zeros((6, 12, 12))}, r"clean must be images of shape \(n, c, h, w\)"),
        ({"clean": np.zeros((0, 1, 12, 12))}, "with n >= 1"),
        ({"adversarial": np.full((6, 1, 12, 12), 255.0)}, r"\[255, 255\]; divide"),
        ({"adversarial": np.full((6, 1, 12, 12), np.nan)}, "must lie in"),
        ({"clean": np.zeros((6, 1, 12, 12), np.uint8)}, "divide 8-bit images by 255"),
        ({"discretised": np.zeros((5, 1, 12, 12))}, "discretised must have the shape of clean"),
        ({"labels": np.arange(5)}, "labels must be 6 whole numbers"),
        ({"labels": np.arange(6) / 2}, "got float64"),
    ],
)
def test_what_does_not_fit_is_refused(make, changes, message):
    with pytest.raises(InputError, match=message):
        make.pictures(**changes)


def test_damaged_files_are_refused(tmp_path, make, pictures):
    with pytest.raises(DataNotFoundError):
        Pictures.load(tmp_path / "none.npz")
    path = tmp_path / "pictures.npz"
    path.write_bytes(pickle.dumps([1, 2, 3]))
    with pytest.raises(FileFormatError, match="npz"):
        Pictures.load(path)
    arrays = {name: np.asarray(value) for name, value in as_arrays(pictures).items()}
    write_npz(path, {name: value for name, value in arrays.items() if name != "labels"})
    with pytest.raises(FileFormatError, match="must hold the arrays"):
        Pictures.load(path)
    for wrong in ({"labels": np.arange(2)}, {"attack": np.array(["a", "b"])}):
        write_npz(path, {**arrays, **wrong})
        with pytest.raises(FileFormatError, match="damaged pictures"):
            Pictures.load(path)


def test_the_difference_is_symmetric_about_no_change():
    change = np.array([-0.2, 0.0, 0.2]).reshape(1, 1, 1, 3)
    low, none, high = signed_colours(change, 0.2)[0].reshape(3, 3).T
    np.testing.assert_array_equal(none, [1, 1, 1])
    assert low.argmax() == 2, "darker is blue"
    assert high.argmax() == 0, "brighter is red"
    grey = signed_colours(np.repeat(change, 3, axis=1), 0.2)[0, 0, 0]
    np.testing.assert_allclose(grey, [0, 0.5, 1])


def test_the_strip_states_its_scale_and_what_became_of_each_example(make):
    clean = np.full((3, 1, 4, 4), 0.5)
    adversarial = clean + np.array([0.1, -0.2, 0.0]).reshape(3, 1, 1, 1)
    numbers = {"labels": [1, 2, 3], "clean_predictions": [1, 2, 4]}
    numbers |= {"adversarial_predictions": [1, 5, 3], "example_ids": [7, 8, 9]}
    strip = make_strip(
        make.pictures(
            clean=clean, discretised=clean, adversarial=adversarial, **map_arrays(numbers)
        )
    )
    assert "-0.2 (51/255)" in strip.caption
    assert [column.outcome for column in strip.columns] == ["held", "broken", "already wrong"]
    assert [len(images) for _, images in strip.rows] == [3, 3, 3, 3]
    same = make.pictures(adversarial=make.pictures().clean)
    assert "changed nothing" in make_strip(same).caption


def map_arrays(lists):
    return {name: np.array(values) for name, values in lists.items()}
