"""What a user gives in place of what a door asks for, and what it is taken as."""

import numpy as np
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescent
from art.estimators.classification import PyTorchClassifier
from torch import nn

import art_disc as ad
from art_disc.core.errors import InputError
from art_disc.data import as_dataset
from art_disc.evaluation import score_images, transfer
from art_disc.evaluation.zoo.matrix import zoo_matrix
from art_disc.hardness.generalisation import generalisation_gap
from art_disc.hardness.survey import survey
from art_disc.training import train

N = 12
QUIET = {"verbose": False}
FEW = {"eps": 0.1, "attacks": "fgsm", "checks": None, **QUIET}


def plain(net, *defences, upper=1, shape=(1, 8, 8), first=True):
    return PyTorchClassifier(
        net,
        loss=nn.CrossEntropyLoss(),
        input_shape=shape,
        nb_classes=10,
        clip_values=(0, upper),
        channels_first=first,
        preprocessing_defences=list(defences),
        device_type="cpu",
    )


@pytest.fixture
def few(digits):
    return digits.subset(100, N)


def seen(result):
    """What became of the examples, whatever they were given as."""
    record = result.record
    rows = [(o.attack, o.knowledge, o.correct, o.perturbation) for o in record.outcomes]
    return record.defended_correct, record.base_correct, rows


class LastAxis(nn.Module):
    """A network of images with their channel last, in levels."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x.permute(0, 3, 1, 2) / 255)


@pytest.mark.parametrize("defences", [(), (ad.ColorDepthReduction(4),)], ids=["none", "in a list"])
def test_a_plain_classifier_of_art_is_evaluated_as_it_is(digits_net, few, defences):
    given = plain(digits_net, *defences)
    found = ad.evaluate(given, few, **FEW)
    ours = ad.build_classifier(
        digits_net, data=few, defences=defences, placement="preprocessor" if defences else "module"
    )
    assert seen(found) == seen(ad.evaluate(ours, few, **FEW))
    right = given.predict(few.x_test).argmax(axis=1) == few.y_test
    assert found.record.defended_correct == tuple(right.tolist())
    assert found.record.worst(0.1).count < right.sum()
    attack = ProjectedGradientDescent(given, eps=0.1, eps_step=0.02, max_iter=5, verbose=False)
    own = ad.evaluate(given, few, **FEW | {"attacks": [attack]}).record
    assert own.outcomes[0].knowledge == ("bpda" if not defences else own.outcomes[0].knowledge)
    assert own.worst(0.1).count < right.sum()


def test_other_doors_take_a_plain_classifier_too(digits_net, few):
    given, ours = plain(digits_net), ad.build_classifier(digits_net, data=few)
    x, y = few.x_test, few.y_test
    for door in (
        lambda c: score_images(c, x, x, y, eps=0.1).sets[0].right,
        lambda c: score_images({"defended": c}, {"a": x}, x, y, eps=0.1).sets[0].right,
        lambda c: transfer({"own": c}, c, x, y, "fgsm", eps=0.1, **QUIET).rows[0].distances,
        lambda c: [r.attack for r in zoo_matrix({"a": c}, few, attacks="fgsm", **QUIET).cells],
        lambda c: seen(ad.evaluate(ours, few, reference=c, **FEW)),
    ):
        assert door(given) == door(ours)


@pytest.mark.parametrize("upper", [1, 255])
@pytest.mark.parametrize("first", [True, False])
def test_arrays_are_read_in_the_layout_and_range_of_the_classifier(digits_net, few, first, upper):
    net = digits_net if upper == 1 and first else LastAxis(digits_net)
    if upper == 1 and not first:
        net = nn.Sequential(net, nn.Identity())
        net[0].forward = lambda x: digits_net(x.permute(0, 3, 1, 2))
    if upper == 255 and first:
        net = nn.Sequential(digits_net)
        net.forward = lambda x: digits_net(x / 255)
    shape = (1, 8, 8) if first else (8, 8, 1)
    classifier = plain(net, upper=upper, shape=shape, first=first)

    def given(x):
        # whole levels, as files hold them
        levels = np.rint(255 * x).astype(np.float32)
        return np.moveaxis(
            levels if upper == 255 else levels / np.float32(255), 1, 1 if first else -1
        )

    options = FEW | {"eps": 0.1 * upper if upper == 1 else 25}
    levels = np.rint(255 * few.x_test).astype(np.uint8)
    data = ad.data.from_arrays(None, None, levels, few.y_test)
    wanted = seen(ad.evaluate(classifier, data, **options))
    assert seen(ad.evaluate(classifier, (given(few.x_test), few.y_test), **options)) == wanted
    rows = np.eye(10)[few.y_test]
    as_levels = np.moveaxis(levels, 1, 1 if first else -1)
    assert seen(ad.evaluate(classifier, (as_levels, rows), **options)) == wanted


def test_a_training_part_comes_first_as_from_the_loaders_of_art(digits_net, few):
    train_part, test_part = (few.x_train, few.y_train), (few.x_test, few.y_test)
    whole, alone = as_dataset((train_part, test_part)), as_dataset(test_part)
    assert np.array_equal(whole.x_train, few.x_train)
    assert np.array_equal(whole.x_test, few.x_test)
    assert (len(alone.x_train), len(alone.x_test)) == (0, N)
    classifier = ad.build_classifier(digits_net, data=(train_part, test_part), defences="kmeans")
    assert classifier.defences[0].is_fitted
    record = ad.evaluate(classifier, (train_part, test_part), **FEW).record
    assert record.dataset["n_train"] == 100
    assert sum(map(sum, record.histogram)) == few.x_train.size
    gap = generalisation_gap(classifier, (train_part, test_part), eps=0.1, n_ex=10, steps=1)
    assert gap == generalisation_gap(classifier, few, eps=0.1, n_ex=10, steps=1)
    book = ad.Codebook([0.2, 0.8])
    assert survey(test_part, book, eps=0.1).budgets == survey(alone, book, eps=[0.1]).budgets


def test_training_takes_arrays_and_words(digits, few):
    made = []
    defence = ad.PixelDiscretization(ad.DensityCodebook(2, 0.6))
    arrays = (few.x_train, few.y_train), (few.x_test, few.y_test)
    for data, defences in ((few, [defence]), (arrays, "density:n_codes=2,radius=0.6")):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        made.append(train(net, data, epochs=1, defences=defences, **QUIET).weights)
    assert made[0] == made[1]


@pytest.mark.parametrize(
    "given",
    [
        lambda book: book,
        lambda book: [book],
        lambda book: (ad.PixelDiscretization(book),),
        lambda book: "density:n_codes=2,radius=0.6",
        lambda book: ["density:n_codes=2,radius=0.6"],
    ],
    ids=["codebook", "codebooks", "defence", "words", "list of words"],
)
def test_codebooks_and_words_are_defences(digits_net, digits, given):
    book = ad.DensityCodebook(2, 0.6).fit(digits.x_train)
    wanted = ad.build_classifier(digits_net, data=digits, defences=[ad.PixelDiscretization(book)])
    defences = given(book)
    made = [ad.build_classifier(digits_net, data=digits, defences=defences)]
    if "density" not in str(defences):
        made.append(ad.defend(plain(digits_net), defences))
    for classifier in made:
        assert np.array_equal(classifier.predict(digits.x_test), wanted.predict(digits.x_test))


def test_words_in_a_row_are_applied_from_left_to_right(digits_net):
    words = "bitdepth:bits=3 + colordepth:n_codes=4"
    found = ad.defend(plain(digits_net), [words, ad.Codebook([0.1, 0.9])]).defences
    names = ["InputBitDepth", "ColorDepthReduction", "PixelDiscretization"]
    assert [type(defence).__name__ for defence in found] == names
    assert ad.defend(plain(digits_net), "none").defences == ()


def test_arrays_that_are_scored_belong_to_the_clean_ones_in_order(digits_net, few):
    classifier = ad.build_classifier(digits_net, data=few)
    steps = np.linspace(0, 0.1, N, dtype=np.float32)[:, None, None, None]
    moved = np.clip(few.x_test + steps, 0, 1)
    sizes = np.abs(moved - few.x_test).max(axis=(1, 2, 3)).tolist()
    for ids in (np.arange(N), 100 + np.arange(N)[::-1]):
        record = score_images(classifier, moved, few.x_test, few.y_test, eps=0.2, ids=ids)
        wanted = dict(zip(ids.tolist(), sizes, strict=True))
        found = record.sets[0]
        assert found.distances == pytest.approx([wanted[i] for i in found.example_ids])
    with pytest.raises(InputError, match="one image for each of the 12 clean ones, got 3"):
        score_images(classifier, moved[:3], few.x_test, few.y_test, eps=0.2)
