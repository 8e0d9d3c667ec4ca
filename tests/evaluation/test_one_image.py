"""One image in panels: what is drawn is what the defence, the budget and the attack do."""

import numpy as np
import pytest
from PIL import Image

import art_disc as ad
from art_disc.core.errors import FileFormatError, InputError
from art_disc.data import OneImage, load_image
from art_disc.evaluation import Evaluation, image_panels
from art_disc.report.panels import MARK
from tests.core.record_examples import EVALUATION

EPS = 0.2


@pytest.fixture(scope="module")
def image():
    return load_image("digits:3")


@pytest.fixture(scope="module")
def attacked(image, defended):
    return image_panels(image, defended, eps=EPS)


def red(picture):
    return (picture == MARK).all(axis=-1)


def test_a_test_image_has_its_pixels_and_label(digits):
    found = load_image("digits:3")
    assert (found.pixels == digits.x_test[3:4]).all()
    assert (found.label, found.name) == (digits.y_test[3], "digits:3")


def test_files_hold_the_same_image(tmp_path, digits):
    levels = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    Image.fromarray(levels).save(tmp_path / "a.png")
    np.save(tmp_path / "a.npy", levels / np.float32(255))
    for name in ("a.png", "a.npy"):
        found = load_image(str(tmp_path / name), dataset="digits")
        assert (found.pixels[0, 0] * 255 == levels).all()
        assert (found.label, found.name, found.data.name) == (None, name, "digits")
    assert load_image(str(tmp_path / "a.png")).data is None


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("digits:100000", {}, "has test images 0 to .*, got 100000"),
        ("digits:3", {"dataset": "mnist"}, "leave dataset mnist out"),
        ("picture.gif", {}, r"DATASET:INDEX .* or a file .*got 'picture.gif'"),
        ("none.png", {}, "there is no file none.png"),
        ("wide.npy", {"dataset": "digits"}, r"shape of digits, \(1, 8, 8\), got \(1, 8, 9\)"),
    ],
)
def test_what_is_no_image_is_refused(text, options, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("wide.npy", np.eye(8, 9, dtype=np.float32))
    with pytest.raises(InputError, match=words):
        load_image(text, **options)


def test_a_file_that_holds_no_plain_numbers_is_told(tmp_path):
    (tmp_path / "a.npy").write_bytes(b"no array")
    with (tmp_path / "zip.npy").open("wb") as file:
        np.savez(file, np.eye(8, dtype=np.float32))
    np.save(tmp_path / "object.npy", np.array([{}]), allow_pickle=True)
    for name in ("a.npy", "zip.npy", "object.npy"):
        with pytest.raises(FileFormatError, match="cannot be read as an npy file"):
            load_image(str(tmp_path / name))


def test_without_a_network_image_codes_and_free_pixels(image, defended):
    (defence,) = defended.defences
    shown = image_panels(image, [defence], eps=EPS)
    (_, first), (_, codes), (words, marked) = shown.panels()
    assert (first == np.moveaxis(np.repeat(image.pixels[0], 3, axis=0), 0, -1)).all()
    assert (codes[..., 0] == defence(image.pixels)[0][0, 0]).all()
    # by hand, for two scalars: within eps of the border between them, or on it
    border = defence.codebook.codewords_.mean()
    free = np.abs(image.pixels[0, 0] - border) <= EPS
    assert 0 < free.sum() < 64
    assert (red(marked) == free).all()
    assert words == f"free at {EPS} (51/255):\n{free.sum()} of 64 pixels"


def test_an_attack_s_change_and_the_codes_that_moved_are_drawn(image, attacked, defended):
    assert [words.partition(":")[0].split("\n")[0] for words, _ in attacked.panels()] == [
        *("image", "behind the defence", "free at 0.2 (51/255)", "code_space"),
        *("change, up red, down blue,", "codes moved"),
    ]
    change = attacked.attacked - attacked.image
    assert 0 < np.abs(change).max() <= EPS + 1e-6
    pair = np.stack([attacked.image, attacked.attacked])
    before, after = defended.predict(pair).argmax(axis=1)
    assert (attacked.predicted, attacked.attacked_predicted) == (str(before), str(after))
    assert before == image.label != after, "the attack works on this image"
    codes = defended.defences[0](pair)[0][:, 0]
    moved = codes[0] != codes[1]
    pictures = [picture for _, picture in attacked.panels()]
    assert moved.any()
    assert (red(pictures[5]) == moved).all()
    assert not (moved & ~attacked.free).any(), "no other pixel can move"
    # white where nothing was changed, red where it is brighter, blue where it is darker
    for where, sign in ((change[0] == 0, 0), (change[0] > 0, 1), (change[0] < 0, -1)):
        reds, blues = pictures[4][where][:, 0], pictures[4][where][:, 2]
        assert (np.sign(np.round(reds - blues, 3)) == sign).all()


def test_the_png_shows_the_panels(attacked, tmp_path):
    path = attacked.save(tmp_path / "one.png")
    assert path.read_bytes() == attacked.save(tmp_path / "two.png").read_bytes()
    with Image.open(path) as opened:
        drawn = np.asarray(opened.convert("RGB")).astype(int)
    figure = attacked.figure()
    figure.savefig(tmp_path / "laid_out.png", dpi=150)
    for axes, (_, picture) in zip(figure.axes, attacked.panels(), strict=True):
        for row, column in ((0, 0), (3, 4), (7, 7)):
            x, y = axes.transData.transform((column, row)) * 150 / figure.dpi
            there = drawn[len(drawn) - 1 - int(y), int(x)]
            assert np.abs(there - 255 * picture[row, column]).max() <= 2


def test_without_a_codebook_pgd_attacks_and_nothing_is_said_of_free_pixels(
    image, digits, digits_net
):
    bare = ad.build_classifier(digits_net, data=digits)
    shown = image_panels(image, bare, eps=EPS)
    assert shown.attack == "pgd"
    assert (shown.seen, shown.free, shown.moved) == (None, None, None)
    assert len(shown.panels()) == 3


def test_codes_that_were_drawn_again_have_not_moved(image, digits, digits_net):
    noisy = ad.build_classifier(digits_net, data=digits, defences="noise:sigma=0.1")
    shown = image_panels(image, noisy, eps=EPS, attack="fgsm")
    assert shown.moved is None
    assert "codes moved" not in " ".join(words for words, _ in shown.panels())


def test_of_an_image_without_a_label_the_prediction_is_attacked(image, defended):
    unknown = OneImage("mine", image.pixels, None, image.data)
    shown = image_panels(unknown, defended, eps=EPS)
    assert shown.predicted != shown.attacked_predicted
    assert "label" not in shown.title


def test_what_cannot_be_attacked_is_refused(image, defended, digits, digits_net):
    with pytest.raises(InputError, match="'pgd' needs a classifier to attack"):
        image_panels(image, list(defended.defences), eps=EPS, attack="pgd")
    with pytest.raises(InputError, match="eps"):
        image_panels(image, list(defended.defences), eps=-1)
    bare = ad.build_classifier(digits_net, data=digits)
    with pytest.raises(InputError, match="code_space needs a codebook map"):
        image_panels(image, bare, eps=EPS, attack="code_space")


def test_an_attack_that_failed_is_told_with_its_reason(image, defended, monkeypatch):
    failed = Evaluation(EVALUATION)  # without pictures; its last attack failed, the reason is "no"
    monkeypatch.setattr("art_disc.evaluation.one_image.evaluate", lambda *_, **__: failed)
    with pytest.raises(InputError, match="code_space made nothing of digits:3: no; name another"):
        image_panels(image, defended, eps=EPS)
