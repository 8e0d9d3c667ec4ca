import sys
import types
from typing import ClassVar

import numpy as np
import pytest
import torch

import art_disc as ad
from art_disc.attacks import ATTACKS, AttackRequest
from art_disc.attacks.original_autoattack import OriginalAutoAttack
from art_disc.core.errors import InputError, MissingExtraError


class Part:
    n_iter = 100
    n_queries = 5000
    n_target_classes = 9


class Stub:
    """As much of the package as is called: one signed gradient step on the model it was given."""

    made: ClassVar[list] = []

    def __init__(self, model, **options):
        self.model, self.options = model, options
        self.apgd, self.apgd_targeted, self.fab, self.square = (Part() for _ in range(4))
        Stub.made.append(self)

    def run_standard_evaluation(self, x, y, bs):
        self.asked = (x.clone(), y.clone(), bs)
        leaf = x.clone().requires_grad_()
        torch.nn.functional.cross_entropy(self.model(leaf), y).backward()
        return (x + self.options["eps"] * leaf.grad.sign()).clamp(0, 1)


@pytest.fixture
def package(monkeypatch):
    Stub.made = []
    monkeypatch.setitem(sys.modules, "autoattack", types.SimpleNamespace(AutoAttack=Stub))
    return Stub


@pytest.fixture(scope="module")
def defended(digits, digits_net):
    book = ad.DensityCodebook(n_codes=2, radius=0.6).fit(digits.x_train)
    return ad.build_classifier(digits_net, data=digits, defences=[ad.PixelDiscretization(book)])


def test_it_attacks_the_defended_model(package, defended, digits):
    x, y = digits.x_test[:20], digits.y_test[:20]
    before = x.copy()
    options = {"eps": 0.2, "n_iter": 7, "n_queries": 50, "batch_size": 5}
    np.random.seed(0)
    found = OriginalAutoAttack(defended, **options).generate(x, y)
    assert np.array_equal(x, before)
    # one step of FGSM through the surrogate, by hand
    sign = np.sign(defended.loss_gradient(x, np.eye(10, dtype=np.float32)[y]))
    expected = np.clip(x + np.float32(0.2) * sign, 0, 1)
    assert np.abs(found - expected).max() < 1e-6
    assert np.abs(found - x).max() > 0.19
    (made,) = package.made
    assert made.options["norm"] == "Linf"
    assert made.options["version"] == "standard"
    assert made.options["verbose"] is False
    assert torch.equal(made.asked[1], torch.tensor(y))
    assert made.asked[2] == 5
    assert (made.apgd.n_iter, made.fab.n_iter, made.square.n_queries) == (7, 7, 50)


def test_the_seed_comes_from_numpys_stream(package, defended, digits):
    seeds = []
    for seed in (3, 3, 4):
        np.random.seed(seed)
        OriginalAutoAttack(defended, eps=0.1).generate(digits.x_test[:2], digits.y_test[:2])
        seeds.append(package.made[-1].options["seed"])
    assert seeds[0] == seeds[1] != seeds[2]


def test_a_range_of_255_is_the_packages_unit_range(package, digits, digits_net):
    net = torch.nn.Sequential(Scaled(), digits_net)
    options = {"input_shape": (1, 8, 8), "nb_classes": 10, "clip_values": (0, 255)}
    wide = ad.build_classifier(net, **options)
    unit = ad.build_classifier(digits_net, data=digits)
    x, y = digits.x_test[:6], digits.y_test[:6]
    np.random.seed(0)
    found = OriginalAutoAttack(wide, eps=51).generate(x * np.float32(255), y)
    assert package.made[0].options["eps"] == pytest.approx(0.2)
    assert package.made[0].asked[0].max() <= 1
    narrow = OriginalAutoAttack(unit, eps=0.2).generate(x, y)
    assert np.abs(found / 255 - narrow).max() < 1e-5


class Scaled(torch.nn.Module):
    def forward(self, x):
        return x / 255


def test_few_classes_lower_the_number_of_targets(package, digits_net):
    net = torch.nn.Sequential(digits_net, torch.nn.Linear(10, 4))
    small = ad.build_classifier(net, input_shape=(1, 8, 8), nb_classes=4)
    np.random.seed(0)
    OriginalAutoAttack(small, eps=0.1).generate(np.zeros((2, 1, 8, 8), np.float32), [0, 1])
    assert package.made[0].fab.n_target_classes == 3
    assert package.made[0].apgd_targeted.n_target_classes == 3


def test_without_labels_the_predictions_are_kept(package, defended, digits):
    np.random.seed(0)
    OriginalAutoAttack(defended, eps=0.1).generate(digits.x_test[:4])
    predicted = defended.predict(digits.x_test[:4]).argmax(axis=1)
    assert np.array_equal(package.made[0].asked[1].numpy(), predicted)


def test_a_missing_package_is_told(defended, digits, monkeypatch):
    monkeypatch.setitem(sys.modules, "autoattack", None)
    with pytest.raises(MissingExtraError, match="autoattack is not installed; get it from"):
        OriginalAutoAttack(defended, eps=0.1).generate(digits.x_test[:2], digits.y_test[:2])


@pytest.mark.parametrize(
    ("options", "text"),
    [({"version": "best"}, "version must be one of"), ({"norm": 1}, "norm must be infinity or 2")],
)
def test_what_does_not_fit_is_refused(defended, options, text):
    with pytest.raises(InputError, match=text):
        OriginalAutoAttack(defended, eps=0.1, **options)


def test_preprocessors_that_it_would_bypass_are_refused(digits, digits_net):
    outside = ad.build_classifier(
        digits_net,
        data=digits,
        defences=[ad.ColorDepthReduction(4)],
        placement="preprocessor",
    )
    with pytest.raises(InputError, match="would bypass ART's preprocessors"):
        OriginalAutoAttack(outside, eps=0.1)


def test_the_rows_name_the_implementation(package, defended):
    assert "ART's own" in ATTACKS["autoattack"].label
    assert "authors' package" in ATTACKS["autoattack_original"].label
    spec = ATTACKS["autoattack_original"]
    request = AttackRequest(defended, 0.1, "2", targeted=False, batch_size=9)
    made = spec.make(request, spec.tiers["strong"])
    assert (made.version, made.norm, made.batch_size, made.n_queries) == ("plus", 2, 9, 5000)
    assert spec.make(request, spec.settings).version == "standard"
