"""What public objects show of themselves: a few lines, whatever they hold."""

import importlib
import inspect
import pkgutil
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np
import pytest
import torch
from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
from torch import nn

import art_disc
from art_disc.attacks import ATTACKS, MarginLoss, SignAdamBPDA
from art_disc.certificates.certificate import Certificate
from art_disc.codebooks import (
    BitDepthCodebook,
    Codebook,
    DensityCodebook,
    KMeansCodebook,
    PixelCounts,
)
from art_disc.codebox import Threat
from art_disc.core.records import CertificateRecord
from art_disc.core.showing import COLUMNS, LINES, Shown, in_words
from art_disc.data import IdealizedImages
from art_disc.defences import DEFENCES, PixelDiscretization, RandDisc, StraightThrough
from art_disc.estimators import Voting, build_classifier
from art_disc.evaluation import Checks, Evaluation, Thresholds
from art_disc.report import Table
from art_disc.surrogates import CODEWORDS, Custom, Identity, SoftAssignment
from art_disc.training import Adversarial, Adversary, CrossEntropy
from art_disc.trials import Score
from tests.core.record_examples import EVALUATION, HERE, RECORDS
from tests.lqvae_file import lqvae_file


class Deep(nn.Module):
    """A network of many layers."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(*(nn.ReLU() for _ in range(200)))
        self.last = nn.Linear(3 * 64, 3)

    def forward(self, x):
        return self.last(self.layers(x.flatten(1)))


class Dim(PreprocessorPyTorch):
    """Somebody else's preprocessor."""

    def forward(self, x, y=None):
        return x / 2, y


@dataclass(frozen=True, slots=True)
class Anything(Shown):
    """Whatever may be held."""

    a: object
    b: object = 1


def public_classes():
    """Every class that a public package exports and that somebody makes an object of."""
    found = set()
    for module in pkgutil.walk_packages(art_disc.__path__, "art_disc."):
        if module.ispkg:
            room = importlib.import_module(module.name)
            there = (getattr(room, name) for name in getattr(room, "__all__", ()))
            found |= {one for one in there if inspect.isclass(one)}
    # layers are torch's to show, by which the cache of trainings tells networks apart too
    not_ours = (BaseException, nn.Module)
    return {c for c in found if not (issubclass(c, not_ours) or getattr(c, "_is_protocol", 0))}


def built(**options):
    return build_classifier(Deep().eval(), input_shape=(3, 8, 8), nb_classes=3, **options)


def large_codebook():
    colours = np.random.default_rng(0).permutation(256**2)[:1000]
    return Codebook(np.stack([colours // 256, colours % 256, colours % 7], 1) / 255)


def certificate():
    n = 2000
    verdicts = ("certified",) * (n - 1) + ("undecided",)
    record = CertificateRecord(
        method="enumeration", eps=0.1, assumes="much " * 200, settings={"max_free": 3},
        verdicts=verdicts, reasons=("",) * (n - 1) + ("why",), free_pixels=(1,) * n,
        log2_images=(0.5,) * n, evaluated=(1,) * n, seconds=1.0, environment=HERE,
    )  # fmt: skip
    return Certificate(record, {i: np.zeros((3, 8, 8), np.float32) for i in range(50)})


def of_data(digits):
    images = np.zeros((500, 3, 8, 8), np.float32)
    return [
        digits,
        IdealizedImages([0.0, 1.0], noise=0.1, shape=(4, 4)),
        PixelCounts.of(images),
        large_codebook(),
        BitDepthCodebook(3),
        KMeansCodebook(300, random_state=np.random.RandomState(0)),
        DensityCodebook(2, 0.3).fit(np.eye(4, dtype=np.float32)[None, None]),
    ]


def of_defences():
    needed = {
        "randdisc": {"n_clusters": 2},
        "randmix": {"n_clusters": 2},
        "lqvae": {"file": lqvae_file((1, 8, 8))},
    }
    made = [row.make(**needed.get(name, {})) for name, row in DEFENCES.items()]
    own = [large_codebook_defence(), StraightThrough(Dim()), SoftAssignment(3.0), Identity()]
    return [*made, *own, *DEFENCES.values(), Custom(torch.sin), CODEWORDS]


def of_classifiers():
    plain = built(defences=[large_codebook_defence()])
    others = [
        built(defences=[RandDisc(2)]),
        built(preprocessing=([0.5] * 3, [0.2] * 3)),
        built(defences=[RandDisc(2)] * 30),
    ]
    attacks = [SignAdamBPDA(plain), MarginLoss(), *ATTACKS.values()]
    return [plain, *others, *attacks, Voting(), Adversarial(Adversary(0.3)), CrossEntropy()]


def of_results():
    return [
        *RECORDS,
        certificate(),
        certificate().record,
        Evaluation(EVALUATION),
        Threat(0.1),
        Checks(),
        Thresholds(),
        Score(np.ones(500, dtype=bool)),
        Table.of("Label", "Caption", ("a", "#b"), [("x", str(i)) for i in range(500)]),
    ]


def of_anything():
    images = np.zeros((500, 3, 8, 8), np.float32)
    held = [
        images, images * np.nan, np.zeros((0, 3)), torch.ones(3, 3), object(), [object()] * 500,
        "long " * 500, {"a" * 300: images}, {i: i for i in range(500)}, [1.5] * 500,
        [float("nan")] * 9, partial(sorted, key=len), list("abcdefgh"), Anything(Anything(images)),
        [["x" * 50] * 3] * 3, {1, 2}, 3 + 4j, b"x" * 999,
    ]  # fmt: skip
    return [Anything(one, other) for one in held for other in held[:9]]


def large_codebook_defence():
    return PixelDiscretization(large_codebook())


def test_public_objects_show_a_few_lines(digits):
    made = [of_data(digits), of_defences(), of_classifiers(), of_results(), of_anything()]
    for one in chain(*made):
        words = repr(one)
        lines = words.splitlines()
        assert len(lines) <= LINES, words
        assert max(map(len, lines)) <= COLUMNS, words
        assert words.startswith(f"{type(one).__name__}("), words
        assert words.endswith(")")
        assert " at 0x" not in words, words


def test_every_public_class_shows_itself_so():
    assert len(public_classes()) > 90
    others = {c.__qualname__ for c in public_classes() if c.__repr__ is not Shown.__repr__}
    assert not others


def test_what_a_person_wants_to_see_is_there():
    assert repr(Codebook([0.2, 0.8], metric="l2")) == "Codebook(codewords=[0.2, 0.8], metric='l2')"
    assert repr(BitDepthCodebook(3)) == "BitDepthCodebook(bits=3)"
    assert "codewords=float64 (1000, 3) in [0, 1]" in repr(large_codebook())
    assert "verdicts=[1999 x 'certified', 1 x 'undecided']" in repr(certificate())
    assert str(certificate().record) == repr(certificate().record)
    shown = repr(built(defences=[PixelDiscretization(Codebook([0.2, 0.8], per_channel=True))]))
    assert "network=Deep" in shown
    assert "codebook=Codebook(codewords=[[0.2], [0.8]], ...)" in shown
    assert "clip_values=(0, 1)" in shown
    assert "eot_samples=8" in repr(built(defences=[RandDisc(2)]))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.zeros((2, 3)), "float64 (2, 3) in [0, 0]"),
        (np.float32([[0.2], [0.8]]), "[[0.2], [0.8]]"),
        (np.zeros((0, 3)), "float64 (0, 3)"),
        (torch.arange(9) + 1, "int64 (9,) in [1, 9]"),
        ((1, 2.5, None), "(1, 2.5, None)"),
        (range(100), "100 numbers in [0, 99]"),
        (["a"] * 9, "[9 x 'a']"),
        ([sorted] * 9, "[9 x builtin_function_or_method]"),
        (list("abcdefgh"), "8 of 8 kinds"),
        ({"a": 1}, "{a: 1}"),
        (dict.fromkeys("abcdefgh", 0), "8 by name: a, b, c, d, e, f, ..."),
        (np.float32(0.1), "0.1"),
        (np.bool_(1), "True"),
    ],
)
def test_values_in_words(value, words):
    assert in_words(value) == words
