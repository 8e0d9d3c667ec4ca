"""The attack on codes: what enumeration finds it finds, and images come back within the budget."""

import itertools

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier

from art_disc import (
    CodeSpaceAttack,
    ColorDepthReduction,
    GaussianNoise,
    InputBitDepth,
    PixelDiscretization,
    RandDisc,
    Thermometer,
    build_classifier,
    defend,
)
from art_disc.attacks.code_view import CodeView
from art_disc.codebooks import Codebook
from art_disc.codebox import CodeBox, Threat, checked_units
from art_disc.core.errors import InputError
from art_disc.core.seeds import global_seeds

SHAPES = {1: (1, 3, 4), 3: (3, 2, 3)}
CLASSES = 4


def net(channels, seed):
    """A random network, whose classes a few codes can change."""
    torch.manual_seed(seed)
    size = int(np.prod(SHAPES[channels]))
    layers = [torch.nn.Flatten(), torch.nn.Linear(size, 12), torch.nn.Tanh()]
    made = torch.nn.Sequential(*layers, torch.nn.Linear(12, CLASSES))
    with torch.no_grad():
        for weights in made.parameters():
            weights.copy_(2 * torch.randn_like(weights) / np.sqrt(weights.shape[-1]))
    return made


def book_of(kind, k, rng):
    """2 to 5 codewords of a grey, a colour, or a per-channel codebook."""
    if kind == "colour":
        return Codebook(rng.random((k, 3)).astype(np.float32))
    return Codebook(np.linspace(0, 1, k), per_channel=kind == "per channel")


def case(kind, k, seed, n=12):
    """A classifier and images of whose pixels a few are free at eps .1."""
    rng = np.random.default_rng(seed)
    channels = 1 if kind == "grey" else 3
    book = book_of(kind, k, rng)
    with torch.random.fork_rng(devices=[]):
        model = net(channels, seed)
    shape = {"input_shape": SHAPES[channels], "nb_classes": CLASSES}
    classifier = build_classifier(model, defences=[PixelDiscretization(book)], **shape)
    x = (rng.integers(0, 256, (n, *SHAPES[channels])) / 255).astype(np.float32)
    return classifier, book, x, rng


def code_images(classifier, book, image, eps):
    """All code images that a budget reaches, by counting through the box."""
    box = CodeBox.within(checked_units(image[None], book), book, Threat(eps))
    codes = [row[listed].tolist() for row, listed in zip(box.codes[0], box.listed[0], strict=True)]
    every = np.array(list(itertools.product(*codes)))
    values = book.codewords_[every]
    c, h, w = image.shape
    if book.per_channel:
        return values.reshape(-1, c, h, w)
    return np.moveaxis(values.reshape(-1, h, w, c), -1, 1)


def labels_in_reach(classifier, book, x, eps):
    """For each image, which classes some code image in reach has."""
    found = np.zeros((len(x), CLASSES), dtype=bool)
    for row, image in zip(found, x, strict=True):
        images = np.ascontiguousarray(code_images(classifier, book, image, eps))
        row[np.unique(classifier.predict(images).argmax(axis=1))] = True
    return found


KINDS = [("grey", k) for k in (2, 3, 4, 5)] + [("colour", 3), ("colour", 5), ("per channel", 2)]


def small_cases(seeds=range(4)):
    for (kind, k), seed in itertools.product(KINDS, seeds):
        classifier, book, x, rng = case(kind, k, seed)
        eps = 0.1
        box = CodeBox.within(checked_units(x, book), book, Threat(eps))
        few = box.log2 <= 9
        if few.any():
            yield classifier, book, x[few], eps, rng


def test_with_its_defaults_it_finds_what_enumeration_finds():
    falsifiable = found = 0
    for classifier, book, x, eps, _ in small_cases():
        y = classifier.predict(x).argmax(axis=1)
        inside = labels_in_reach(classifier, book, x, eps)
        inside[np.arange(len(x)), y] = False
        made = CodeSpaceAttack(classifier, eps=eps, seed=0, verbose=False).generate(x, y)
        wrong = classifier.predict(made).argmax(axis=1) != y
        assert not (wrong & ~inside.any(axis=1)).any()
        falsifiable += inside.any(axis=1).sum()
        found += wrong.sum()
    assert falsifiable >= 60
    assert found >= 0.95 * falsifiable


def test_a_target_is_hit_where_it_can_be():
    reachable = found = 0
    for classifier, book, x, eps, rng in small_cases(range(3)):
        inside = labels_in_reach(classifier, book, x, eps)
        target = rng.integers(0, CLASSES, len(x))
        attack = CodeSpaceAttack(classifier, eps=eps, targeted=True, seed=0, verbose=False)
        hit = classifier.predict(attack.generate(x, target)).argmax(axis=1) == target
        can = inside[np.arange(len(x)), target]
        assert not (hit & ~can).any()
        reachable += can.sum()
        found += hit.sum()
    assert reachable >= 60
    assert found >= 0.95 * reachable


@pytest.mark.parametrize("domain", ["real", "8bit"])
@pytest.mark.parametrize("upper", [1.0, 255.0])
@pytest.mark.parametrize("channels_first", [True, False])
@pytest.mark.parametrize("defence", [ColorDepthReduction(4), InputBitDepth(2)])
def test_images_stay_in_the_budget_and_the_range_and_have_the_codes(
    domain, upper, channels_first, defence
):
    rng = np.random.default_rng(3)
    shape = (2, 5, 3) if channels_first else (5, 3, 2)
    flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(30, 3))
    with torch.no_grad():
        flat[1].weight.copy_(torch.from_numpy(rng.standard_normal((3, 30)) / upper))
    classifier = build_classifier(
        flat,
        defences=[defence],
        input_shape=shape,
        nb_classes=3,
        clip_values=(0, upper),
        channels_first=channels_first,
    )
    levels = rng.integers(0, 256, (20, *shape))
    x = (levels * (upper / 255)).astype(np.float32)
    if domain == "real":
        x = (rng.random((20, *shape)) * upper).astype(np.float32)
    before = x.copy()
    y = classifier.predict(x).argmax(axis=1)
    eps = 0.15 * upper
    attack = CodeSpaceAttack(classifier, eps=eps, domain=domain, seed=1, verbose=False)
    found = attack.generate(x, y)
    assert np.array_equal(x, before)
    assert found.dtype == np.float32
    assert np.abs(found.astype(np.float64) - x).max() <= eps + 2.0**-23 * upper
    assert found.min() >= 0
    assert found.max() <= upper
    if domain == "8bit":
        assert np.allclose(found * (255 / upper), np.rint(found * (255 / upper)), atol=1e-4)
    # a linear model: the best code of each channel by itself
    assert (classifier.predict(found).argmax(axis=1) != y).mean() > 0.5
    codes = classifier.defences[0](x)[0] != classifier.defences[0](found)[0]
    assert ((found != x) <= codes).all()
    assert codes.any()


def test_only_free_pixels_change():
    classifier, _, x, rng = case("per channel", 3, 5)
    y = classifier.predict(x).argmax(axis=1)
    attack = CodeSpaceAttack(classifier, eps=0.3, seed=0, verbose=False)
    free = rng.random(x.shape) < 0.5
    whole, part = attack.generate(x, y), attack.generate(x, y, mask=free)
    assert not (part != x)[~free].any()
    assert (whole != x)[~free].any()
    assert (part != x).any()
    assert np.array_equal(attack.generate(x, y, mask=np.zeros(x.shape)), x)


def barely_broken(rng, free, share=0.98):
    """Two classes behind two codewords: the second wins with all but 2 % of what flips give."""
    x = rng.uniform(0.4, 0.6, (1, 1, *free.shape)).astype(np.float32)
    codes = torch.from_numpy(x.ravel() > 0.5).double()
    # every flip helps, so that the first steps, of a part of them, are not enough
    weights = torch.from_numpy(np.abs(rng.standard_normal(free.size))) * (1 - 2 * codes)
    given = weights.abs() @ torch.from_numpy(free.ravel()).double()
    needed = weights @ codes + share * given
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(free.size, 2))
    with torch.no_grad():
        model[1].weight.copy_(torch.stack([torch.zeros_like(weights), weights]))
        model[1].bias.copy_(torch.stack([torch.zeros_like(needed), -needed]))
    defence = PixelDiscretization(Codebook([0.0, 1.0]))
    return build_classifier(model, defences=[defence], input_shape=x.shape[1:], nb_classes=2), x


@pytest.mark.parametrize("share", [1.0, 0.5])
@pytest.mark.parametrize("targeted", [False, True])
def test_gradients_alone_flip_what_a_linear_network_asks_for(targeted, share):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        free = rng.random((10, 10)) < share
        classifier, x = barely_broken(rng, free)
        assert classifier.predict(x).argmax() == 0
        attack = CodeSpaceAttack(
            classifier, eps=0.2, num_random_init=0, neighbours=0, targeted=targeted, verbose=False
        )
        made = attack.generate(x, np.array([int(targeted)]), mask=free)
        assert classifier.predict(made).argmax() == 1


def test_flips_that_are_tried_break_what_a_step_along_gradients_does_not():
    broken = {0: 0, 32: 0}
    for classifier, _, x, eps, _ in small_cases(range(2)):
        y = classifier.predict(x).argmax(axis=1)
        for neighbours in broken:
            attack = CodeSpaceAttack(
                classifier, eps=eps, max_iter=1, num_random_init=0, neighbours=neighbours,
                verbose=False,
            )  # fmt: skip
            broken[neighbours] += (classifier.predict(attack.generate(x, y)).argmax(1) != y).sum()
    assert broken[32] >= broken[0] + 4


class Misled(torch.nn.Module):
    """Class 1 where two pixels are bright; whose gradient, and each single flip, say no."""

    def forward(self, x):
        bright = x.flatten(1)[:, :2].mean(dim=1)
        gain = torch.where(bright > 0.9, 1.0, -bright)
        return torch.stack([torch.zeros_like(gain), gain - 0.1], dim=1)


@pytest.mark.parametrize("levels", [2, 3])
def test_random_flips_find_what_gradients_and_single_flips_lead_away_from(levels):
    book = ColorDepthReduction(levels)
    classifier = build_classifier(Misled(), defences=[book], input_shape=(1, 2, 4), nb_classes=2)
    x = np.full((6, 1, 2, 4), 0.45, np.float32)
    y = classifier.predict(x).argmax(axis=1)
    options = {"eps": 0.55, "num_random_init": 0, "seed": 0, "verbose": False}
    made = {
        flips: CodeSpaceAttack(classifier, annealing=flips, **options).generate(x, y)
        for flips in (0, 500)
    }
    assert (classifier.predict(made[0]).argmax(axis=1) == y).all()
    assert (classifier.predict(made[500]).argmax(axis=1) != y).all()
    assert np.abs(made[500] - x).max() <= 0.55 + 2**-23


def test_a_code_beyond_the_next_level_is_not_reached_on_the_8_bit_grid():
    classifier, _ = barely_broken(np.random.default_rng(1), np.ones((3, 3), bool), share=0.01)
    x = np.full((1, 1, 3, 3), 120 / 255, np.float32)
    label = classifier.predict(x).argmax(axis=1)
    options = {"eps": 7.6 / 255, "seed": 0, "verbose": False}
    real = CodeSpaceAttack(classifier, **options).generate(x, label)
    assert (real != x).any()
    levels = CodeSpaceAttack(classifier, domain="8bit", **options).generate(x, label)
    assert np.array_equal(levels, x)


def test_what_is_wrong_already_stays_as_it_is():
    classifier, _, x, _ = case("grey", 3, 2)
    wrong = (classifier.predict(x).argmax(axis=1) + 1) % CLASSES
    attack = CodeSpaceAttack(classifier, eps=0.3, verbose=False)
    assert np.array_equal(attack.generate(x, wrong), x)


def test_the_same_seed_finds_the_same_and_the_global_stream_seeds_it_too():
    classifier, _, x, _ = case("colour", 5, 7)
    y = classifier.predict(x).argmax(axis=1)
    options = {"eps": 0.3, "max_iter": 1, "neighbours": 0, "verbose": False}
    found = [CodeSpaceAttack(classifier, seed=seed, **options).generate(x, y) for seed in (1, 1, 2)]
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])
    again = []
    for _ in range(2):
        with global_seeds(4):
            again.append(CodeSpaceAttack(classifier, **options).generate(x, y))
    assert np.array_equal(*again)


def test_the_size_of_the_batch_does_not_matter_without_draws():
    classifier, _, x, _ = case("colour", 5, 7)
    y = classifier.predict(x).argmax(axis=1)
    options = {"eps": 0.1, "num_random_init": 0, "verbose": False}
    found = [CodeSpaceAttack(classifier, batch_size=n, **options).generate(x, y) for n in (5, 128)]
    assert np.array_equal(*found)


def test_an_art_classifier_with_the_map_in_its_list_is_attacked_too():
    classifier, book, x, _ = case("grey", 4, 1)
    y = classifier.predict(x).argmax(axis=1)
    plain = PyTorchClassifier(
        classifier.base_network,
        torch.nn.CrossEntropyLoss(),
        SHAPES[1],
        CLASSES,
        clip_values=(0, 1),
        preprocessing_defences=[PixelDiscretization(book)],
    )
    options = {"eps": 0.2, "seed": 0, "verbose": False}
    found = CodeSpaceAttack(plain, **options).generate(x, y)
    assert np.array_equal(found, CodeSpaceAttack(classifier, **options).generate(x, y))
    assert (plain.predict(found).argmax(axis=1) != y).any()


def test_a_second_defence_stays_behind_the_first():
    classifier, _, x, _ = case("grey", 4, 1)
    chained = defend(classifier, [InputBitDepth(1)])
    y = chained.predict(x).argmax(axis=1)
    found = CodeSpaceAttack(chained, eps=0.2, seed=0, verbose=False).generate(x, y)
    assert (chained.predict(found).argmax(axis=1) != y).any()


def test_what_it_is_not_for_is_refused_with_the_reason():
    shape = {"input_shape": SHAPES[1], "nb_classes": CLASSES}
    for defences, reason in (
        ([], "codebook map such as PixelDiscretization as first defence, got no defence"),
        ([RandDisc(n_clusters=2)], "as first defence, got RandDisc"),
        ([ColorDepthReduction(2), GaussianNoise(0.1)], r"draws; attack \.frozen\(seed\)"),
        ([Thermometer(4)], "got Thermometer"),
    ):
        taken = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(CLASSES))
        classifier = build_classifier(taken, defences=defences, **shape)
        with pytest.raises(InputError, match=reason):
            CodeSpaceAttack(classifier)
        if classifier.is_random and "frozen" in reason:
            CodeSpaceAttack(classifier.frozen(0))
    with pytest.raises(InputError, match=r"build_classifier\(model, data=data\) makes one"):
        CodeView.of(taken, 10)
    classifier, _, x, _ = case("grey", 4, 1)
    for options, reason in (
        ({"num_random_init": -1}, "num_random_init"),
        ({"domain": "7bit"}, "domain must be one of real, 8bit"),
        ({"eps": 2.0}, "eps"),
    ):
        with pytest.raises(InputError, match=reason):
            CodeSpaceAttack(classifier, **options)
    with pytest.raises(InputError, match="a targeted attack needs y"):
        CodeSpaceAttack(classifier, targeted=True).generate(x)


def test_a_classifier_that_changes_pixels_before_its_map_is_refused():
    classifier, _, x, _ = case("grey", 4, 1)

    class Inverted(type(classifier)):
        def predict(self, x, *args, **options):
            return super().predict(1 - np.asarray(x), *args, **options)

    classifier.__class__ = Inverted
    with pytest.raises(InputError, match="another class than their code images"):
        CodeSpaceAttack(classifier, eps=0.1, verbose=False).generate(x)


@pytest.mark.parametrize(
    ("words", "eps", "level", "farther"),
    [
        ([0.0, 1.0], 0.1, 153, 154),
        ([0.0, 1.0], 0.3, 204, 205),
        ([0.0, 253 / 255], 0.1, 101, 100),
        ([0.0, 253 / 255], 0.1, 152, 153),
        ([0.0, 253 / 255], 0.3, 50, 49),
        ([0.0, 253 / 255], 0.3, 203, 204),
    ],
)
def test_a_tie_at_the_edge_of_the_budget_is_found(words, eps, level, farther):
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(1, 2))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[0.0], [10.0]]))
        model[1].bias.copy_(torch.tensor([0.0, -5.0]))
    book = Codebook(words)
    classifier = build_classifier(
        model, defences=[PixelDiscretization(book)], input_shape=(1, 1, 1), nb_classes=2
    )
    x = (np.array([level, farther], np.float32) / np.float32(255)).reshape(2, 1, 1, 1)
    box = CodeBox.within(checked_units(x, book), book, Threat(eps))
    assert box.counts.ravel().tolist() == [2, 1]
    y = classifier.predict(x).argmax(axis=1)
    made = CodeSpaceAttack(classifier, eps=eps, seed=0, verbose=False).generate(x, y)
    assert np.abs(made.astype(np.float64) - x).max() <= eps + 2.0**-23
    assert (classifier.predict(made).argmax(axis=1) != y).tolist() == [True, False]
