"""Whole classifiers in folders: what is loaded is what was saved, and nothing else is loaded."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from art.defences.postprocessor import HighConfidence
from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
from torch import nn

from art_disc import build_classifier, load_classifier
from art_disc.codebooks import Codebook, DensityCodebook
from art_disc.core.errors import (
    ArtDiscError,
    DataNotFoundError,
    FileChangedError,
    FileFormatError,
    FileVersionError,
    InputError,
)
from art_disc.core.plain import digest_of
from art_disc.defences import (
    DEFENCES,
    ColorDepthReduction,
    GaussianNoise,
    InputBitDepth,
    PixelDiscretization,
    RandDisc,
    Thermometer,
)
from art_disc.estimators import DefendedClassifier, RandomizedClassifier, encoded_shape
from art_disc.estimators.saved import FILE
from art_disc.metrics import certify
from art_disc.networks import fcn2, with_int8
from tests.defences.conftest import make
from tests.lqvae_file import lqvae_file

SHAPE = {"input_shape": (1, 8, 8), "nb_classes": 10}
X = np.random.default_rng(5).random((5, 1, 8, 8)).astype(np.float32)
Y = np.arange(5)
NOISE = [GaussianNoise(0.2, seed=3)]


def small(shape=(1, 8, 8)):
    return fcn2(shape, 10, widths=(8,), binarization="real")


def small_classifier(**options):
    return build_classifier(small(), **{**SHAPE, "defences": [InputBitDepth(2)], **options})


def of_row(name, first, upper):
    """Return a classifier behind the defence of a row, and images that it takes."""
    shape = (3, 8, 8) if first else (1, 8, 8)
    x = np.random.default_rng(1).random((4, *shape)).astype(np.float32)
    defence = make(name, shape, **({"surrogate": "identity"} if name == "kmeans" else {}))
    if not defence.is_fitted:
        defence.learn(x)
    x, sides = (x, shape) if first else (np.moveaxis(x, 1, -1).copy(), (*shape[1:], shape[0]))
    network = small(encoded_shape([defence], sides, channels_first=first))
    classifier = build_classifier(
        network, input_shape=sides, nb_classes=10, defences=defence, clip_values=(0, upper),
        channels_first=first, preprocessing=(0.3 * upper, 0.7 * upper), eot_samples=2,
        vote_samples=3,
    )  # fmt: skip
    return classifier, x * np.float32(upper)


ELSEWHERE = """
import json, sys
import numpy as np
from art_disc import load_classifier
found = {}
for folder in json.loads(sys.argv[1]):
    loaded, x = load_classifier(folder), np.load(folder + "/x.npy")
    found[folder] = loaded.predict(x)
    if loaded.is_random:
        found[folder + " draws"] = loaded.predict_draws(x, 2)
np.savez(sys.argv[2], **found)
"""


@pytest.mark.filterwarnings("ignore:.*codewords.*:art_disc.core.errors.CodebookWarning")
def test_every_defence_in_every_layout_and_range_predicts_alike_in_another_process(tmp_path):
    expected = {}
    for name in DEFENCES:
        for first in (True, False):
            for upper in (1.0, 255.0):
                classifier, x = of_row(name, first, upper)
                # its stream is somewhere in between
                classifier.predict(x)
                folder = str(classifier.save(tmp_path / f"{name}-{first}-{upper:g}"))
                np.save(f"{folder}/x.npy", x)
                expected[folder] = classifier.predict(x)
                if classifier.is_random:
                    expected[f"{folder} draws"] = classifier.predict_draws(x, 2)
    folders = json.dumps([name for name in expected if not name.endswith(" draws")])
    file = str(tmp_path / "found.npz")
    subprocess.run([sys.executable, "-c", ELSEWHERE, folders, file], check=True)
    with np.load(file) as found:
        assert set(found) == set(expected)
        assert [name for name in expected if not np.array_equal(found[name], expected[name])] == []


def book():
    return DensityCodebook(3, 0.1, metric="l1").fit(X)


def odd_depth():
    """A ColorDepthReduction whose codebook no `n_codes` makes."""
    defence = ColorDepthReduction(3)
    defence.set_params(codebook=Codebook([0.1, 0.4, 0.45], per_channel=True))
    return defence


def signs(**options):
    return build_classifier(fcn2((1, 8, 8), 10, widths=(8, 8)), **SHAPE, **options)


CASES = {
    "bare": lambda: small_classifier(defences=[]),
    "standardised": lambda: small_classifier(preprocessing=([0.3], [0.7])),
    "list": lambda: small_classifier(placement="preprocessor"),
    "chain": lambda: small_classifier(
        defences=[odd_depth(), PixelDiscretization(book(), "soft:5")]
    ),
    "surrogate": lambda: small_classifier().with_surrogate("smooth:3"),
    "jpeg": lambda: small_classifier(defences="jpeg:quality=30,surrogate=dct-identity"),
    "codes": lambda: build_classifier(
        small((20, 8, 8)), **SHAPE, defences=[Thermometer(20, surrogate="ramp")]
    ),
    "loud": lambda: signs().with_surrogate("ste_polynomial:16"),
    "noise": lambda: small_classifier(
        defences=[*NOISE, *NOISE], eot_samples=3, vote_samples=5, vote="hard", output="probs"
    ),
    "mean loss": lambda: small_classifier(defences=NOISE, gradient="mean_loss"),
    "frozen": lambda: small_classifier(defences=NOISE).frozen(9),
    "centres": lambda: small_classifier(
        defences=[RandDisc(centres=Codebook([0.2, 0.7], metric="l2"), surrogate="mix:7", seed=4)]
    ),
    "purified": lambda: small_classifier(
        defences=f"lqvae:inference=sampled,file={lqvae_file((1, 8, 8))}"
    ),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]()


def test_what_is_loaded_is_what_was_saved(case, tmp_path):
    # streams are somewhere in between
    case.predict(X)
    loaded = load_classifier(case.save(tmp_path / "saved"))
    assert repr(loaded) == repr(case)
    assert type(loaded) is type(case)
    assert loaded.placement == case.placement
    for one, other in zip(loaded.defences, case.defences, strict=True):
        assert one.describe() == other.describe()
        plain = [name for name in one.params if name not in ("codebook", "vae", "centres")]
        assert [getattr(one, n) for n in plain] == [getattr(other, n) for n in plain]
    for _ in range(2):
        assert np.array_equal(loaded.predict(X), case.predict(X))
        assert np.array_equal(loaded.loss_gradient(X, Y), case.loss_gradient(X, Y))
    if isinstance(case, RandomizedClassifier):
        assert loaded.voting == case.voting
        assert loaded.seeds == case.seeds
        assert np.array_equal(loaded.predict_draws(X, 3), case.predict_draws(X, 3))
    if case.has_base:
        assert np.array_equal(loaded.base.predict(X), case.base.predict(X))


def test_what_is_loaded_is_certified_as_what_was_saved(tmp_path):
    classifier = small_classifier(defences=[book()])
    loaded = load_classifier(classifier.save(tmp_path / "saved"))
    found, kept = (certify(one, X, Y, eps=0.002, verbose=False) for one in (loaded, classifier))
    assert found.record.verdicts == kept.record.verdicts
    assert found.record.settings == kept.record.settings


def test_saving_moves_no_stream_and_no_mode(tmp_path):
    classifier, twin = (small_classifier(defences=NOISE) for _ in range(2))
    twin.base_network.load_state_dict(classifier.base_network.state_dict())
    classifier.base_network.layers.train()
    before = torch.random.get_rng_state()
    classifier.save(tmp_path / "saved")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert classifier.base_network.layers.training
    assert not classifier.base_network.training
    assert np.array_equal(classifier.predict(X), twin.predict(X))


def test_a_codebook_keeps_the_name_of_its_file(tmp_path):
    codes = Codebook.load(book().save(tmp_path / "mine.npz"))
    loaded = load_classifier(small_classifier(defences=[codes]).save(tmp_path / "saved"))
    (defence,) = loaded.defences
    assert "file='mine.npz'" in defence.describe()
    assert type(defence.codebook) is DensityCodebook
    assert defence.codebook.origin_ == codes.origin_
    assert np.array_equal(defence.codebook.densities_, codes.densities_)


class Own(nn.Sequential):
    """A user's network."""

    def __init__(self, units=6, act=nn.Tanh):
        super().__init__(nn.Flatten(), nn.Linear(64, units), act(), nn.Linear(units, 10))


@pytest.fixture
def own(tmp_path):
    """The folder of a classifier around a user's network, and that classifier."""
    classifier = build_classifier(Own(), **SHAPE, defences=[InputBitDepth(2)])
    return classifier.save(tmp_path / "own"), classifier


def test_a_network_of_the_users_own_is_made_by_the_user(own):
    folder, classifier = own
    drawn = torch.random.get_rng_state()
    given = Own()
    torch.random.set_rng_state(drawn)
    for network in (Own, given):
        loaded = load_classifier(folder, network)
        assert torch.equal(torch.random.get_rng_state(), drawn)
        assert np.array_equal(loaded.predict(X), classifier.predict(X))
        # ART's predict draws from it
        torch.random.set_rng_state(drawn)
    assert loaded.base_network is given


@pytest.mark.parametrize(
    ("network", "text"),
    [
        (None, r"test_saving\.Own, of your own; give what makes one, .*network="),
        (lambda: Own(7), r"another architecture than Own.*give a network that is made as theirs"),
        (lambda: nn.Linear(64, 10), "another architecture than Linear"),
        (lambda: Own(act=nn.ReLU), "predicts otherwise.*made as the saved .*Own was"),
        (lambda: Own(act=lambda: nn.Hardtanh(-0.1, 0.1)), "predicts otherwise"),
        (lambda: "a network", "must make a torch module, .*Own, got str"),
    ],
)
def test_another_network_is_refused(own, network, text):
    with pytest.raises(InputError, match=text):
        load_classifier(own[0], network)


def test_int8_is_a_network_of_the_users_own(tmp_path):
    network = fcn2((1, 8, 8), 10, widths=(8, 8)).eval()
    classifier = build_classifier(with_int8(network), **SHAPE)
    folder = classifier.save(tmp_path / "saved")
    loaded = load_classifier(folder, lambda: with_int8(fcn2((1, 8, 8), 10, widths=(8, 8))))
    assert np.array_equal(loaded.predict(X), classifier.predict(X))


def test_another_loss_is_given_again(tmp_path):
    folder = small_classifier(loss=nn.CrossEntropyLoss(label_smoothing=0.2)).save(tmp_path / "one")
    with pytest.raises(InputError, match=r"loss torch.*CrossEntropyLoss, got none; give loss="):
        load_classifier(folder)
    with pytest.raises(InputError, match=r"got torch.*MultiMarginLoss"):
        load_classifier(folder, loss=nn.MultiMarginLoss())
    with pytest.raises(InputError, match=r"got plain cross-entropy; give loss="):
        load_classifier(folder, loss=nn.CrossEntropyLoss())
    loss = nn.CrossEntropyLoss(label_smoothing=0.2)
    assert load_classifier(folder, loss=loss)._loss is loss


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (nn.MultiMarginLoss(), "MultiMarginLoss"),
        (nn.CrossEntropyLoss(weight=torch.ones(10)), "CrossEntropyLoss"),
        ("cross-entropy", r"builtins\.str"),
    ],
)
def test_another_loss_than_the_usual_one_is_refused(folder, loss, text):
    with pytest.raises(InputError, match=f"loss plain cross-entropy, got .*{text}; leave it out"):
        load_classifier(folder, loss=loss)
    load_classifier(folder, loss=nn.CrossEntropyLoss())


def test_an_optimiser_is_given_again(tmp_path):
    loaded = load_classifier(small_classifier().save(tmp_path / "saved"))
    loaded.set_params(optimizer=torch.optim.SGD(loaded.base_network.parameters(), lr=0.1))
    before = loaded.predict(X)
    loaded.fit(X, Y, nb_epochs=1)
    assert not np.array_equal(loaded.predict(X), before)


@pytest.fixture
def folder(tmp_path):
    """The folder of a classifier that draws, around a codebook."""
    return small_classifier(defences=[book(), *NOISE]).save(tmp_path / "saved")


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_holds_json_and_plain_arrays(folder):
    kinds = [name.partition("-")[0] for name in files(folder)]
    assert kinds == [FILE, "codebook", "network", "state"]
    for path in folder.glob("*.npz"):
        with np.load(path, allow_pickle=False) as arrays:
            assert all(arrays[name].dtype != object for name in arrays)
    told = json.loads((folder / FILE).read_text())
    assert set(told["files"]) == {path.name for path in folder.glob("*.npz")}
    assert told["inside"][0]["describe"].startswith("PixelDiscretization(DensityCodebook(")


@pytest.mark.parametrize("word", ["codebook", "network", "state"])
def test_a_byte_that_was_changed_is_noticed(folder, word):
    (path,) = folder.glob(f"{word}-*.npz")
    content = path.read_bytes()
    for place in np.linspace(0, len(content) - 1, 12).astype(int):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(FileChangedError, match=rf"{path.name} was changed.*earlier copy"):
            load_classifier(folder)


def test_a_byte_of_the_json_that_was_changed_is_noticed(folder):
    path = folder / FILE
    content = path.read_bytes()
    before = json.loads(content)
    for place in np.linspace(0, len(content) - 1, 100).astype(int):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        try:
            load_classifier(folder)
        except ArtDiscError:
            continue
        # a space outside of words says nothing
        assert json.loads(path.read_bytes()) == before
    path.write_bytes(content.replace(b'"vote": "mean"', b'"vote": "hard"'))
    with pytest.raises(FileChangedError, match=rf"{FILE} was changed.*save anew"):
        load_classifier(folder)


@pytest.mark.parametrize("word", ["codebook", "network", "state"])
def test_a_missing_file_is_named(folder, word):
    (path,) = folder.glob(f"{word}-*.npz")
    path.unlink()
    with pytest.raises(DataNotFoundError, match=rf"lacks {path.name}.*copy the whole folder"):
        load_classifier(folder)


def test_a_missing_folder_or_json_is_named(folder, tmp_path):
    with pytest.raises(DataNotFoundError, match=r"no such folder: .*nowhere; classifier\.save"):
        load_classifier(tmp_path / "nowhere")
    (folder / FILE).unlink()
    with pytest.raises(DataNotFoundError, match=rf"lacks {FILE}: no classifier was saved there"):
        load_classifier(folder)


def rewrite(folder, **changes):
    """Change what the JSON says, as somebody would who knows its digest."""
    told = json.loads((folder / FILE).read_text())
    del told["sha256"]
    told |= changes
    (folder / FILE).write_text(json.dumps({**told, "sha256": digest_of(told)}))


def test_a_newer_version_is_named(folder):
    rewrite(folder, version=2, art_disc="9.0")
    with pytest.raises(FileVersionError, match=r"version 2, saved by art_disc 9\.0; this release"):
        load_classifier(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "art_disc weights"},
        {"version": "1"},
        {"nb_classes": "ten"},
        {"inside": [{"class": "Gone", "parameters": {}}]},
        {"inside": [{"class": "GaussianNoise", "parameters": {"sigma": 7}}]},
        {"inside": []},
        {"inside": [{"class": "GaussianNoise", "parameters": [1]}]},
        {"network": {"name": "GoneNet", "arguments": {}, "weights": "x.npz"}},
        {"network": {"name": "GoneNet", "weights": "x.npz"}},
        {"voting": {"kind": "SoftAssignment", "alpha": 3.0}},
        {"voting": {"eot_samples": 3}},
        {"sign_gradient": 1},
        {"standardisation": ["a", 1]},
        {"surplus": 1},
    ],
    ids=str,
)
def test_a_json_of_something_else_is_refused(folder, changes):
    rewrite(folder, **changes)
    with pytest.raises(FileFormatError):
        load_classifier(folder)


def test_what_is_no_json_is_refused(folder):
    (folder / FILE).write_text("{")
    with pytest.raises(FileFormatError, match="is not JSON"):
        load_classifier(folder)


def test_a_saved_classifier_is_replaced_and_nothing_else_is(folder, tmp_path):
    (folder / "notes.txt").write_text("mine")
    before = set(files(folder))
    other = small_classifier()
    other.save(folder)
    assert np.array_equal(load_classifier(folder).predict(X), other.predict(X))
    assert before & set(files(folder)) == {FILE, "notes.txt"}
    (folder / FILE).unlink()
    with pytest.raises(InputError, match=r"holds notes\.txt; give another path"):
        other.save(folder)
    with pytest.raises(InputError, match="is a file; give another path"):
        other.save(folder / "notes.txt")
    (tmp_path / "empty").mkdir()
    other.save(tmp_path / "empty")


@pytest.mark.parametrize("there", [False, True])
def test_a_stop_leaves_what_was_there(there, tmp_path, monkeypatch):
    folder = tmp_path / "saved"
    if there:
        small_classifier(defences=NOISE).save(folder)
    before = files(folder) if there else None

    def stop(*_, **__):
        raise KeyboardInterrupt

    for name in ("write_json", "make_folder"):
        with monkeypatch.context() as patch:
            patch.setattr(f"art_disc.estimators.saved.{name}", stop)
            with pytest.raises(KeyboardInterrupt):
                small_classifier().save(folder)
        assert (files(folder) if there else None) == before
        assert folder.exists() == there


def test_what_a_killed_save_left_is_cleared_away(tmp_path):
    folder = small_classifier().save(tmp_path / "saved")
    (name,) = (path.name for path in folder.glob("network-*"))
    (folder / FILE).unlink()
    shutil.copy(folder / name, folder / re.sub("-.{4}", "-abcd", name))
    (folder / ".network.part").write_bytes(b"half")
    small_classifier().save(folder)
    assert len(files(folder)) == 4


class Renamed(InputBitDepth):
    """May do anything."""


class Words(Codebook):
    """May do anything."""


class Derived(DefendedClassifier):
    """May do anything."""


def derived():
    classifier = small_classifier()
    return Derived(model=classifier.model, **classifier._options())


class Halved(PreprocessorPyTorch):
    """Somebody else's preprocessor."""

    def forward(self, x, y=None):
        return x / 2, y


def listed():
    classifier = small_classifier()
    return classifier.with_defences(classifier.defences, keep=[Halved(device_type="cpu")])


def postprocessed():
    classifier = small_classifier()
    classifier.set_params(postprocessing_defences=[HighConfidence()])
    return classifier


def hooked():
    classifier = small_classifier()
    classifier.base_network.register_forward_hook(lambda module, given, made: -made)
    return classifier


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: small_classifier(defences=[Renamed(2)]), "Renamed is of a class of your own"),
        (lambda: small_classifier(defences=[Words([0.1, 0.9])]), "Words is .* give PixelDiscr"),
        (derived, "Derived is a class of your own"),
        (
            listed,
            r"Halved is not of art_disc.*after loading give it to loaded\.set",
        ),
        (postprocessed, "HighConfidence is not of art_disc"),
        (lambda: small_classifier().with_surrogate(torch.sin), r"with_surrogate\('identity'\)"),
        (hooked, r"BinarizedNet has a hook, .* which no file holds; remove it"),
    ],
)
def test_what_no_file_can_hold_is_refused_and_leaves_no_folder(make, text, tmp_path):
    with pytest.raises(InputError, match=text):
        make().save(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_what_was_left_out_is_given_back(tmp_path):
    whole = listed()
    bare = whole.with_defences(whole.model.preprocessors)
    loaded = load_classifier(bare.save(tmp_path / "saved"))
    loaded.set_params(preprocessing_defences=list(whole.preprocessing_operations))
    assert np.array_equal(loaded.predict(X), whole.predict(X))
    assert not np.array_equal(loaded.predict(X), bare.predict(X))
    loaded.set_params(postprocessing_defences=[HighConfidence(cutoff=9.0)])
    assert not loaded.predict(X).any()


def test_the_python_of_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "saving.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    exec(compile(code, "saving.md", "exec"), {})  # noqa: S102 - our own text
    same, told = capsys.readouterr().out.splitlines()
    assert same == "True"
    assert told.startswith("DensityCodebook(n_codes=4, radius=0.2,")


def test_arts_own_words_lead_there(tmp_path):
    classifier = small_classifier()
    folder = classifier.save(filename="epoch_3", path=str(tmp_path))
    assert folder == tmp_path / "epoch_3"
    assert np.array_equal(load_classifier(folder).predict(X), classifier.predict(X))
