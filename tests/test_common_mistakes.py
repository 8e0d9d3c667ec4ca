"""Common mistakes of a new user: each ends in a message, none in a plausible number.

A message says what was expected, what it got, and the cure.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import art_disc as ad
from art_disc.attacks import CodeSpaceAttack
from art_disc.attacks.random_search import RandomSearch
from art_disc.cli import main
from art_disc.cli.options import as_typed
from art_disc.core.errors import ArtDiscError, InputError, InputWarning
from art_disc.data import from_arrays
from art_disc.evaluation.sweep import SweepPlan
from art_disc.hardness.separability import separability
from art_disc.metrics import rounded_classifier
from art_disc.networks import DigitsNet, load_weights
from art_disc.training.words import NetworkWords, make_network

N = 8


@dataclass(frozen=True)
class Workshop:
    """What a user has at hand."""

    data: Any
    net: Any
    path: Any

    @property
    def x(self):
        return self.data.x_test[:N]

    @property
    def y(self):
        return self.data.y_test[:N]

    @property
    def rgb(self):
        return np.repeat(self.x, 3, axis=1)

    def build(self, *defences, net=None, **options):
        chosen = {"data": self.data, "defences": defences or [ad.ColorDepthReduction(4)]}
        return ad.build_classifier(net or self.net, **chosen | options)

    def certify(self, x=None, y=None, *, eps=0.05, **options):
        x, y = self.x if x is None else x, self.y if y is None else y
        return ad.metrics.certify(self.build(**options), x, y, eps=eps, verbose=False)

    def evaluate(self, **options):
        chosen = {"data": self.data, "eps": 0.1, "attacks": "fgsm", "n_ex": N, "checks": None}
        return ad.evaluate(self.build(), **chosen | options, verbose=False)

    def plain(self, *defences, **options):
        from art.estimators.classification import PyTorchClassifier

        return PyTorchClassifier(
            self.net,
            loss=nn.CrossEntropyLoss(),
            input_shape=(1, 8, 8),
            nb_classes=10,
            device_type="cpu",
            preprocessing_defences=list(defences),
            **{"clip_values": (0, 1)} | options,
        )

    def file(self, name, write):
        write(self.path / name)
        return self.path / name


def wide(work):
    return work.build(clip_values=(0, 255))


def other_weights(work):
    other = nn.Linear(3, 3)
    return load_weights(work.net, work.file("w.pt", lambda p: torch.save(other.state_dict(), p)))


def mixed_folder(work):
    from PIL import Image

    for i, suffix in enumerate(("png", "png", "webp")):
        folder = work.path / "pictures" / "cat"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), i, dtype=np.uint8)).save(folder / f"{i}.{suffix}")
    return ad.load_dataset(work.path / "pictures")


def without_weights(work):
    (work.path / "mine.py").write_text("from art_disc.networks import DigitsNet as make\n")
    return make_network(NetworkWords(model="mine:make"), work.data)


def smoothed(work):
    """A classifier that draws, of ART's own."""
    from art.estimators.certification.randomized_smoothing import PyTorchRandomizedSmoothing

    options = {"input_shape": (1, 8, 8), "nb_classes": 10, "clip_values": (0, 1)}
    return PyTorchRandomizedSmoothing(
        work.net, loss=nn.CrossEntropyLoss(), device_type="cpu", scale=0.1, **options
    )


PLAN = {
    "name": "plan",
    "datasets": ["digits"],
    "defences": ["none"],
    "eps": [0.1],
    "attacks": ["fgsm"],
}

# what is done -> what the message says: expected, got, cure
MISTAKES = {
    # range
    "levels as floats": (
        lambda w: w.certify(255 * w.x),
        (r"in \[0, 1\]", r"got \[0, 255\]", "divide 8-bit images by 255"),
    ),
    "levels as floats, predicted": (
        lambda w: w.build().predict(np.rint(255 * w.x)),
        (r"expected images in \[0, 1\]", r"got \[0, 255\]", "divide by 255, give uint8"),
    ),
    "a unit range where levels are taken": (
        lambda w: wide(w).predict(w.x),
        (r"expected images in \[0, 255\]", r"got \[0, 1\]", "multiply by 255"),
    ),
    "standardised images": (
        lambda w: w.certify((w.x - 0.5) / 0.25),
        (r"in \[0, 1\]", r"got \[-2, 2\]", r"preprocessing=\(mean, std\)"),
    ),
    "data divided twice": (
        lambda w: from_arrays(None, None, w.x / np.float32(255), w.y),
        (r"in \[0, 1\]", "at most 0.003922", "uint8, or floats divided once"),
    ),
    "a standardisation of levels": (
        lambda w: w.build(preprocessing=(33.3, 78.6)),
        (r"input range \[0, 1\]", "mean of 33.3", "divide both by 255"),
    ),
    "another range of a defence in ART's list": (
        lambda w: w.plain(ad.ColorDepthReduction(4), clip_values=(0, 255)).predict(255 * w.x),
        (r"expected images in \[0, 1\]", r"got \[0, 255\]", r"take clip_values=\(0, 255\)"),
    ),
    # layout
    "channels last": (
        lambda w: ad.build_classifier(
            nn.Sequential(nn.Flatten(), nn.Linear(192, 10)), input_shape=(3, 8, 8), nb_classes=10
        ).predict(np.moveaxis(w.rgb, 1, -1)),
        (r"takes images \(3, 8, 8\)", r"got \(8, 8, 3\)", r"np\.moveaxis\(x, -1, 1\)"),
    ),
    "one image": (
        lambda w: w.certify(w.x[0]),
        ("4 axes", r"got shape \(1, 8, 8\)", r"x\[None\]"),
    ),
    # labels
    "labels from 1": (
        lambda w: w.certify(y=np.arange(3, 11)),
        (r"in 0\.\.9", r"got 3\.\.10", "must lie in"),
    ),
    "all labels from 1": (
        lambda w: w.certify(y=[1, 10] * 4),
        (r"in 0\.\.9", r"got 1\.\.10", "classes count from 0"),
    ),
    "scores as labels": (
        lambda w: w.certify(y=w.build().predict(w.x)),
        ("class indices or one-hot rows of 10", "got \\[", r"argmax\(axis=1\)"),
    ),
    "too few labels": (
        lambda w: w.certify(y=w.y[:3]),
        ("one label for each of the 8", "got 3", "each"),
    ),
    "images and labels swapped": (
        lambda w: w.certify(w.y, w.x),
        ("batch of images with 4 axes", r"got shape \(8,\)", "add the missing axis"),
    ),
    "one-hot rows of other classes": (
        lambda w: w.certify(y=np.eye(7)[w.y % 7]),
        ("one-hot rows of 10 classes", "got rows of 7", "must be"),
    ),
    "names as labels": (
        lambda w: w.certify(y=np.array(["cat"] * N)),
        ("must be class indices", "got <U3", r"np\.unique\(y, return_inverse=True\)"),
    ),
    # dtype
    "objects": (
        lambda w: w.certify(w.x.astype(object)),
        (r"floats in \[0, 1\] or uint8", "got object", r"astype\(np\.float32\)"),
    ),
    "no images": (
        lambda w: w.evaluate(data=(w.x[:0], w.y[:0])),
        ("must hold at least one image", r"got shape \(0, 1, 8, 8\)", "x_test"),
    ),
    "whole numbers": (
        lambda w: w.certify((255 * w.x).astype(int)),
        (r"floats in \[0, 1\] or uint8", "got int64", r"astype\(np\.uint8\)"),
    ),
    # unit of a budget
    "levels as a budget": (
        lambda w: w.evaluate(eps=8),
        (r"input range \[0, 1\]", "got 8", "write 8/255"),
    ),
    "a fraction as a budget of levels": (
        lambda w: ad.evaluate(wide(w), w.data, eps=8 / 255, verbose=False),
        (r"input range \[0, 255\]", "got 0.03137", "write 8"),
    ),
    "a budget below 0": (
        lambda w: w.evaluate(eps=-0.1),
        ("must be a finite number >= 0", "got -0.1", "write 0.1 or 8/255"),
    ),
    "no number for a budget": (
        lambda w: w.certify(eps=float("nan")),
        ("must be a finite number >= 0", "got nan", "write 0.1 or 8/255"),
    ),
    "a tensor with a graph for a budget": (
        lambda w: w.certify(eps=torch.tensor(0.05, requires_grad=True)),
        ("must be a finite number >= 0", r"got tensor\(0\.0500", "write 0.1 or 8/255"),
    ),
    "several budgets where one is taken": (
        lambda w: w.certify(eps=[0.1, 0.2]),
        ("must be a finite number >= 0", r"got \[0.1, 0.2\]", "one budget at a time"),
    ),
    "no budget": (
        lambda w: w.evaluate(eps=[]),
        ("at least one budget", r"got \[\]", r"write 0.1 or \[0.1, 0.2\]"),
    ),
    "a budget in quotes": (
        lambda w: w.evaluate(eps="8/255"),
        ("must be a finite number", "got '8/255'", "without quotes"),
    ),
    "noise in levels": (
        lambda w: ad.RandDisc(2, sigma=25),
        (r"\[0, 1\] scale", "got 25", "write 25/255"),
    ),
    "codewords in levels": (
        lambda w: ad.Codebook([[0], [255]]),
        (r"in \[0, 1\]", r"got 0\.0\.\.255\.0", "divide levels by 255"),
    ),
    "another range of a classifier that is built": (
        lambda w: w.build().set_params(clip_values=(-1, 1)),
        (r"must be \(0, 1\)", "got .*-1", r"preprocessing=\(mean, std\)"),
    ),
    # the network
    "probabilities as logits": (
        lambda w: w.build(net=nn.Sequential(w.net, nn.Softmax(1))),
        ("must return logits", "got probabilities", "leave its softmax out"),
    ),
    "a network for other images": (
        lambda w: w.build(net=nn.Sequential(nn.Flatten(), nn.Linear(784, 10))),
        (r"images of shape \(1, 8, 8\)", "2x64 and 784x10", "give a network for such images"),
    ),
    "another number of classes": (
        lambda w: w.build(nb_classes=5),
        (r"logits of shape \(n, 5\)", r"got \(2, 10\)", "give nb_classes=10"),
    ),
    "untrained weights": (
        without_weights,
        ("expected a file", "got none", "--weights FILE"),
    ),
    "weights of another network": (
        other_weights,
        ("w.pt", "another architecture", "DigitsNet"),
    ),
    "a loss an image": (
        lambda w: w.build(loss=nn.CrossEntropyLoss(reduction="none")),
        ("must make one number", r"gives \(2,\)", "reduction='mean'"),
    ),
    # defences
    "a class for a defence": (
        lambda w: w.build(ad.ColorDepthReduction),
        (
            "preprocessors, codebooks or words",
            "got the class Color",
            r"ColorDepthReduction\(",
        ),
    ),
    "colours of a codebook for grey images": (
        lambda w: w.build(ad.Codebook([[0, 0, 0], [1, 1, 1]])),
        (r"expected pixels of 3 channel", "got 1", "fit the codebook on such images"),
    ),
    "another range of a defence in a list to defend": (
        lambda w: ad.defend(w.plain(ad.ColorDepthReduction(4), clip_values=(0, 255)), []),
        (r"images of \(0.0, 1.0\)", r"takes \(0, 255\)", "make it with the classifier's"),
    ),
    "a defence that has learned nothing": (
        lambda w: ad.defend(w.build(), ad.PixelDiscretization(ad.DensityCodebook(2, 0.6))),
        ("is not fitted", "PixelDiscretization", r"call fit\(x_train\)"),
    ),
    "draws in ART's list": (
        lambda w: w.plain(ad.RandDisc(2)).predict(w.x),
        ("RandDisc draws", "one draw answers for all", r"Use build_classifier\(model"),
    ),
    # files and names
    "no such file": (
        lambda w: ad.load_dataset(w.path / "mnist.npz"),
        ("no such file", "mnist.npz", "known by name are digits"),
    ),
    "a file of something else": (
        lambda w: ad.load_dataset(w.file("d.npz", lambda p: np.savez(p, images=w.x, labels=w.y))),
        ("expected x_train", "lacks x_test, y_test", "or x_test and y_test alone"),
    ),
    "pictures of another format": (
        mixed_folder,
        ("read are .png", r"skipped 1 of 3 pictures \(1 .webp\)", "convert"),
    ),
    "a typo in a data set's name": (
        lambda w: ad.load_dataset("cifar_10"),
        ("known: digits", "unknown data set 'cifar_10'", "did you mean 'cifar10'"),
    ),
    "a typo in a defence's name": (
        lambda w: w.build("densty:n_codes=2"),
        ("known: density", "unknown defence 'densty'", "did you mean 'density'"),
    ),
    "a typo in an option": (
        lambda w: w.build("bitdepth:bit=3 + colordepth:n_codes=4"),
        ("takes bits", "'bitdepth:bit=3'", "as key=value"),
    ),
    "a typo in a parameter of a defence": (
        lambda _: ad.GaussianNoise(0.1).set_params(sigmma=0.2),
        ("known: sigma", "unknown parameter of GaussianNoise 'sigmma'", "did you mean 'sigma'"),
    ),
    "a value of an option": (
        lambda w: w.build("bitdepth:bits=3 + colordepth:n_codes=four"),
        ("n_codes must be a number", "'colordepth:n_codes=four'", "3, 0.1 and 8/255 are"),
    ),
    "a value that an option does not take": (
        lambda w: w.build("noise:sigma=25"),
        (r"\[0, 1\] scale", "'noise:sigma=25'", "write 25/255"),
    ),
    "a typo in a key of a plan": (
        lambda _: SweepPlan.from_dict(PLAN | {"atacks": ["pgd"]}),
        ("known: name, datasets", "unknown plan key 'atacks'", "did you mean 'attacks'"),
    ),
    "a value in a plan": (
        lambda _: SweepPlan(**PLAN | {"defences": ["bitdepth:bits=x"]}),
        ("plan key 'defences'.*bits must be a number", "'bitdepth:bits=x'", "3, 0.1"),
    ),
    "a data set in a plan": (
        lambda w: SweepPlan(**PLAN | {"datasets": [w.data]}),
        ("a list of words", r"got \[Dataset\]", "give the path"),
    ),
    "more images than there are": (
        lambda w: w.evaluate(n_ex=5000),
        ("n_ex must be", "from 1 to 500", "got 5000"),
    ),
    "a word for a seed": (
        lambda w: w.evaluate(seed="7"),
        ("must be a whole number", "got '7'", "write seed=0"),
    ),
    "a word for an attack's seed": (
        lambda w: RandomSearch(w.build(), seed="x"),
        ("must be a whole number", "got 'x'", "write seed=0"),
    ),
    "no seed of an attack on codes": (
        lambda w: CodeSpaceAttack(w.build(), seed=1.5),
        ("must be a whole number", "got 1.5", "write seed=0"),
    ),
    "no number of bits": (
        lambda w: rounded_classifier(w.build(), bits=True),
        ("bits must be a whole number", "from 1 to 52", "got True"),
    ),
    "a typo in an attack's name": (
        lambda w: w.evaluate(attacks="pdg"),
        ("known: quick", "unknown attack 'pdg'", "did you mean 'pgd'"),
    ),
    "a typo in a surrogate": (
        lambda w: w.build().with_surrogate("idenity"),
        ("takes identity", "'idenity'", "soft"),
    ),
    "a typo in a setting": (
        lambda w: w.evaluate(attacks="pgd", settings={"pgd.max_itr": 5}),
        ("known: ", "unknown setting 'pgd.max_itr'", "did you mean 'pgd.max_iter'"),
    ),
    "a setting that an attack refuses": (
        lambda w: w.evaluate(attacks="pgd", settings={"pgd.eps_step": -0.1}),
        ("pgd refuses the setting", "pgd.eps_step=-0.1", "has to be positive"),
    ),
    # objects
    "images for a data set": (
        lambda w: w.evaluate(data=w.x),
        ("must be a Dataset", "got a ndarray", r"arrays \(x, y\)"),
    ),
    "a name for a data set": (
        lambda w: w.evaluate(data="digits"),
        ("must be a Dataset", "got a str", r"load_dataset\('digits'\)"),
    ),
    "a dict for what a search may spend": (
        lambda w: ad.metrics.certify(w.build(), w.x, w.y, eps=0.05, spend={"nodes": 5}),
        ("must be a Spend", r"got \{'nodes': 5\}", r"write Spend\(nodes="),
    ),
    "a data set for images": (
        lambda w: w.certify(w.data, w.y),
        ("must be images", "got a Dataset", "give its x_test"),
    ),
    "a defence for a codebook": (
        lambda w: separability(w.data, ad.ColorDepthReduction(2), eps=0.1),
        ("must be a fitted Codebook", "got ColorDepthReduction", r"\.codebook"),
    ),
    "no training images to learn from": (
        lambda w: w.build("density:n_codes=2,radius=0.6", data=(w.x, w.y)),
        ("no training images", "for PixelDiscretization", r"\(\(x_train, y_train\), \(x_test"),
    ),
    "a network of images for defend": (
        lambda w: ad.defend(w.net, "colordepth:n_codes=4"),
        ("expected an ART PyTorchClassifier", "got DigitsNet", r"build_classifier\(model"),
    ),
    "a classifier whose noise would be lost": (
        lambda w: ad.evaluate(smoothed(w), (w.x, w.y), eps=0.1, verbose=False),
        ("expected a plain ART", "got PyTorchRandomizedSmoothing", "give the plain classifier"),
    ),
    "a network for a classifier": (
        lambda w: ad.evaluate(w.net, w.data, eps=0.1, verbose=False),
        ("expected a classifier of build_classifier", "got DigitsNet", "build_classifier.* makes"),
    ),
}


@pytest.fixture
def work(digits, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = DigitsNet()
    return Workshop(digits, net, tmp_path)


def test_there_are_fifteen_and_more():
    assert len(MISTAKES) >= 15


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_ends_in_what_was_expected_what_came_and_the_cure(name, work):
    make, texts = MISTAKES[name]
    # warnings are errors here: a number with a warning beside it would not end in one
    with pytest.raises((ArtDiscError, InputWarning)) as raised:
        make(work)
    for text in texts:
        assert raised.match(text)


# words of a command -> what it says: expected, got, cure
TYPED = {
    "evaluate --dataset cifar_10": ("known: digits", "'cifar_10'", "did you mean 'cifar10'"),
    "evaluate --dataset no/such.npz": ("known by name", "no/such.npz", "no such file"),
    "evaluate --defence densty:n_codes=2": ("known: density", "'densty'", "did you mean"),
    "evaluate --defence bitdepth:bits=x": ("a number", "bits must be .* got 'x'", "3, 0.1"),
    "evaluate --attacks pdg": ("known: quick", "'pdg'", "did you mean 'pgd'"),
    "evaluate --set pgd.max_itr=5": ("known: pgd", "'pgd.max_itr'", "did you mean 'pgd.max_iter'"),
    "evaluate --set pgd=5": ("known: pgd.max_iter", "'pgd'", "pgd.eps_step"),
    "evaluate --eps 8": (r"range \[0, 1\]", "got 8", "write 8/255"),
    "evaluate --eps x": ("must be a number", "got 'x'", "8/255 are"),
    "evaluate --n-ex 5000": ("--n-ex must be", "from 1 to 500", "got 5000"),
    "evaluate --defense none": ("usage", "--defense", "did you mean '--defence'"),
    "evaluate --train-eps 0.1": ("needs --training", "--train-eps", "pgd or single_step"),
    "evaluate --model nets": ("MODULE:FACTORY", "got 'nets'", "must be"),
    "evaluate --model no_such:net": ("no_such:net", "No module named", "in the working folder"),
    "evaluate --weights no.npz": ("no such weight file", "no.npz", "weight file"),
    "certify --max-free 99": ("--max-free must lie", r"in 0\.\.40", "got 99"),
    "sweep no.toml": ("no such plan file", "no.toml", "plan file"),
}


@pytest.mark.parametrize("words", TYPED)
def test_a_command_says_what_was_expected_what_came_and_the_cure(words, capsys, monkeypatch, work):
    monkeypatch.setenv("ART_DISC_CACHE", str(work.path))
    monkeypatch.chdir(work.path)
    rest = ["--epochs", "1", "--quiet"] if not words.startswith("sweep") else []
    assert main([*words.split(), *rest]) == 2
    said = capsys.readouterr().err
    for text in TYPED[words]:
        assert re.search(text, said), said
    assert "Traceback" not in said


def test_an_unknown_option_is_held_against_those_of_its_command_alone(capsys):
    assert main(["certify", "--attack", "pgd"]) == 2
    said = capsys.readouterr().err
    assert "--max-free" in said
    assert "--attacks" not in said


@pytest.mark.parametrize(
    ("options", "words", "typed"),
    [
        ([], "no such file: /a/b. Give: one", "no such file: /a/b. Give: one"),
        (["--n-ex"], "n_ex is not an_index; see run/n_ex", "--n-ex is not an_index; see run/n_ex"),
    ],
)
def test_options_alone_are_named_as_they_are_typed(options, words, typed):
    with pytest.raises(InputError) as caught, as_typed(options):
        raise InputError(words)
    assert str(caught.value) == typed
