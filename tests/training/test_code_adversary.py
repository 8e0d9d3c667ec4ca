"""Training against flips of codes: what the adversary may do, and what a network gains by it."""

import numpy as np
import pytest
import torch
from torch import nn

import art_disc as ad
from art_disc.attacks import CodeSpaceAttack
from art_disc.core.errors import InputError
from art_disc.estimators import DefendedModule
from art_disc.networks import DigitsNet, fcn2, weights_hash
from art_disc.training import Adversary, CodeAdversary, SixSettings, train, trained
from art_disc.training.adversary import perturbed
from art_disc.training.code_adversary import _view

EPS = 0.3
FAST = {"epochs": 1, "verbose": False}


def thresholded(*words):
    return ad.PixelDiscretization(ad.Codebook(list(words or (0.0, 1.0))), "identity")


@pytest.fixture(scope="module")
def small(digits):
    return digits.subset(n_train=128, n_test=40, stratified=True)


@pytest.fixture
def images(small):
    return torch.tensor(small.x_train), torch.tensor(small.y_train)


def behind(network, *defences):
    return DefendedModule(network, defences or [thresholded()])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def digits_net(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return DigitsNet()


def signs_net():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return fcn2((1, 8, 8), 10, widths=(64, 64))


@pytest.mark.parametrize("random_start", [True, False])
@pytest.mark.parametrize("words", [(0.0, 1.0), (0.0, 0.62, 0.78), (0.0, 0.3, 0.6, 1.0)])
def test_it_stays_among_the_codes_that_the_budget_reaches(images, words, random_start):
    """Each pixel becomes a codeword that is nearest to some value within the budget, by trying."""
    x, _ = images
    module = behind(digits_net(), thresholded(*words)).eval()
    # an image that is wrong already is left as it is
    y = module(x).argmax(dim=1)
    adversary = CodeAdversary(0.1, steps=3, random_start=random_start)
    moved = perturbed(module, x, y, adversary, seeded())
    tried = (x[..., None] + 0.1 * torch.linspace(-1, 1, 201)).clamp(0, 1)
    levels = torch.tensor(words)
    nearest = levels[(tried[..., None] - levels).abs().argmin(dim=-1)]
    reached = (nearest == moved[..., None]).any(dim=-1)
    # a border between cells may lie just between two of the values that were tried
    assert (~reached).float().mean() < 0.002
    codes = levels[(x[..., None] - levels).abs().argmin(dim=-1)]
    assert (moved != codes).float().mean() > 0.005


@pytest.mark.parametrize("steps", [1, 4])
def test_on_a_linear_network_one_step_flips_the_better_half(steps):
    """Of eight free pixels the four that lower the margin most; with more steps no less."""
    weight = torch.tensor([3.0, -2, 1, -0.5, 4, 2, -1, 0.25, 9, -9])
    net = nn.Sequential(nn.Flatten(), nn.Linear(10, 2, bias=False))
    net[1].weight.data = torch.stack([-weight, weight]) / 2
    # the last two are black for any change; the first class by far
    x = torch.tensor([0.4, 0.6, 0.4, 0.6, 0.4, 0.4, 0.6, 0.4, 0, 0]).view(1, 1, 1, 10)
    net[1].bias = nn.Parameter(torch.tensor([20.0, 0]))
    adversary = CodeAdversary(0.2, steps=steps, random_start=False)
    moved = perturbed(behind(net), x, torch.tensor([0]), adversary, seeded())
    found = (moved - (x > 0.5).float())[0, 0, 0]
    half = torch.tensor([1.0, -1, 0, 0, 1, 1, 0, 0, 0, 0])
    assert torch.equal(found * half.abs(), half)
    assert (found * weight >= 0).all()
    assert torch.equal(found[8:], torch.zeros(2))
    if steps == 1:
        assert torch.equal(found, half)
    else:
        assert (found != 0).sum() > 4


def test_it_goes_on_where_the_class_is_wrong_already():
    """To the worst corner of a linear network, which three steps find from any start."""
    weight = torch.tensor([3.0, -2, 1, -0.5, 4, 2, -1, 0.25])
    net = nn.Sequential(nn.Flatten(), nn.Linear(8, 2))
    net[1].weight.data = torch.stack([-weight, weight]) / 2
    net[1].bias.data = torch.tensor([-20.0, 0])
    x = torch.tensor([0.4, 0.6, 0.4, 0.6, 0.4, 0.4, 0.6, 0.4]).view(1, 1, 1, 8)
    adversary = CodeAdversary(0.2, steps=3, random_start=False)
    moved = perturbed(behind(net), x, torch.tensor([0]), adversary, seeded())
    assert torch.equal(moved[0, 0, 0], (weight > 0).float())


def test_it_lowers_accuracy_far_more_than_drawn_codes_do(digits):
    net = signs_net()
    options = {"epochs": 4, "learning_rate": 1e-2, "verbose": False}
    train(net, digits, defences=[thresholded()], **options)
    module, x, y = behind(net).eval(), torch.tensor(digits.x_test), torch.tensor(digits.y_test)

    def accuracy(given):
        return float((module(given).argmax(dim=1) == y).float().mean())

    drawn = (x + EPS * (2 * torch.rand(x.shape, generator=seeded()) - 1)).clamp(0, 1)
    moved = [perturbed(module, x, y, CodeAdversary(EPS, steps=n), seeded()) for n in (1, 5)]
    clean, noisy, one, five = (accuracy(given) for given in (x, drawn, *moved))
    assert clean > 0.85
    assert one < noisy - 0.15
    assert five < one - 0.05
    again = perturbed(module, x, y, CodeAdversary(EPS, steps=5), seeded())
    assert torch.equal(again, moved[1])
    other = perturbed(module, x, y, CodeAdversary(EPS, steps=5), seeded(1))
    assert not torch.equal(other, moved[1])


def one_sure_pixel(n=400):
    """One pixel that no budget below .4 turns and that tells nine of ten labels; 24 that all tell.

    These 24 lie so near the border between codes that .1 turns each.
    """
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=n)
    x = np.where(rng.random((n, 25)) < 0.95, y[:, None], 1 - y[:, None]) * 0.1 + 0.45
    x[:, 0] = np.where(rng.random(n) < 0.9, y, 1 - y) * 0.8 + 0.1
    return x.astype(np.float32).reshape(n, 1, 5, 5), y


def test_training_against_it_raises_the_accuracy_under_the_attack():
    """The full attack, which training never sees, with polishing and other starts."""
    data = ad.data.as_dataset((one_sure_pixel(), one_sure_pixel()))
    found = []
    for adversary in (None, CodeAdversary(0.1, steps=2, ramp=0.3)):
        net = nn.Sequential(nn.Flatten(), nn.Linear(25, 2))
        result = train(
            net, data, epochs=20, learning_rate=0.05, verbose=False,
            adversary=adversary, defences=[thresholded()],
        )  # fmt: skip
        classifier = ad.build_classifier(net, data=data, defences=[thresholded()])
        attack = CodeSpaceAttack(classifier, eps=0.1, seed=0, verbose=False)
        moved = attack.generate(data.x_test, data.y_test)
        found.append((classifier.predict(moved).argmax(axis=1) == data.y_test).mean())
    natural, robust = found
    assert natural < 0.2
    assert robust > 0.85
    # the first look is by code flips too, not by pixels through a surrogate
    assert abs(result.robust_accuracy - robust) < 0.02


def test_the_first_look_is_by_code_flips_and_not_through_the_surrogate():
    """A surrogate without a gradient leaves PGD its random start."""
    data = ad.data.as_dataset((one_sure_pixel(), one_sure_pixel()))
    blind = ad.PixelDiscretization(ad.Codebook([0.0, 1.0]), lambda x: 0 * x)
    looks = []
    for adversary in (Adversary(0.1), CodeAdversary(0.1)):
        net = nn.Sequential(nn.Flatten(), nn.Linear(25, 2))
        net[1].weight.data[0], net[1].weight.data[1] = -1, 1
        net[1].bias.data = torch.tensor([12.5, -12.5])
        options = {"learning_rate": 1e-6, "adversary": adversary, "defences": [blind], **FAST}
        result = train(net, data, **options)
        assert result.accuracy > 0.95
        looks.append(result.robust_accuracy)
    assert looks[0] > 0.5
    assert looks[1] < 0.1


def test_an_image_without_a_choice_stays_its_code_image(images):
    x, y = images
    moved = perturbed(behind(digits_net()), x.round(), y, CodeAdversary(0.4), seeded())
    assert torch.equal(moved, x.round())


def test_the_budget_grows_along_the_ramp():
    adversary = CodeAdversary(0.2, steps=2, ramp=0.5)
    assert adversary.at(0.25) == CodeAdversary(0.1, steps=2, ramp=0.5)
    assert adversary.at(0.5) is adversary
    assert 0 < adversary.at(0.0).eps < 1e-3


def test_what_is_behind_the_map_is_all_that_follows_it(images):
    """Later defences too: scores of code images are the module's own."""
    x, _ = images
    module = behind(digits_net(), thresholded(), ad.InputBitDepth(bits=1)).eval()
    view = _view(module, x)
    codes = (x > 0.5).long().flatten(1).numpy()
    assert torch.equal(view.scores(codes), module(x).detach())
    bare = behind(module.base).eval()
    assert not torch.equal(module(x), bare(x))


def test_it_touches_nothing_of_the_network_or_of_global_streams(images):
    x, y = images
    net = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Dropout(0.5), nn.Linear(64, 10))
    module, before, given = behind(net).train(), weights_hash(net), x.clone()
    torch.manual_seed(1)
    np.random.seed(1)
    expected = torch.rand(4), np.random.random(4)
    torch.manual_seed(1)
    np.random.seed(1)
    moved = perturbed(module, x, y, CodeAdversary(EPS), seeded())
    assert torch.equal(torch.rand(4), expected[0])
    assert np.array_equal(np.random.random(4), expected[1])
    assert weights_hash(net) == before
    assert net.training
    assert net[2].training
    assert all(p.grad is None for p in net.parameters())
    assert not moved.requires_grad
    assert torch.equal(x, given)


def test_the_cache_tells_code_adversaries_apart(small, tmp_path):
    adversaries = (
        Adversary(EPS, steps=2),
        *(CodeAdversary(EPS, steps=2, **o) for o in ({}, {"random_start": False}, {"ramp": 0.5})),
        CodeAdversary(0.2, steps=2),
        CodeAdversary(EPS, steps=3),
    )
    options = {"cache": tmp_path, "defences": [thresholded()], **FAST}
    runs = [trained(DigitsNet, small, adversary=a, **options)[1] for a in adversaries]
    assert len({run.weights for run in runs}) == len(runs)
    again = trained(DigitsNet, small, adversary=adversaries[1], **options)[1]
    assert again.cached
    assert again.weights == runs[1].weights


def test_six_settings_take_it(small, tmp_path):
    six = SixSettings(
        DigitsNet, small, [thresholded()], CodeAdversary(EPS, steps=1), cache=tmp_path,
        verbose=False,
    )  # fmt: skip
    assert "disc_adv_re" in six.names


def test_it_says_what_it_is():
    words = CodeAdversary(EPS, steps=2, ramp=0.3, random_start=False).describe()
    assert words == "adversarial (codes, 2 steps, eps 0.3, no random start, ramp 0.3)"
    assert repr(CodeAdversary(EPS)) == "CodeAdversary(eps=0.3, steps=3, random_start=True, ramp=0)"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"eps": 0}, "eps must be > 0"),
        ({"eps": 8}, r"8/255"),
        ({"eps": 0.1, "steps": 0}, "steps must be a whole number >= 1"),
        ({"eps": 0.1, "ramp": 1}, r"ramp must be a share of the training in \[0, 1\)"),
    ],
)
def test_what_does_not_fit_is_refused(options, text):
    with pytest.raises(InputError, match=text):
        CodeAdversary(**options)


@pytest.mark.parametrize(
    ("defences", "text"),
    [
        ([], "needs a codebook map such as PixelDiscretization as first defence, got no defence"),
        ([ad.MaxPoolDownsample(2, 2), thresholded()], "got MaxPoolDownsample"),
        ([thresholded(), ad.GaussianNoise(0.1)], "draws"),
    ],
)
def test_without_codes_to_flip_it_is_refused(small, defences, text):
    with pytest.raises(InputError, match=text):
        train(digits_net(), small, adversary=CodeAdversary(EPS), defences=defences, **FAST)


def test_a_class_is_no_adversary(small):
    with pytest.raises(InputError, match="or None, got the class CodeAdversary"):
        train(digits_net(), small, adversary=CodeAdversary, **FAST)
