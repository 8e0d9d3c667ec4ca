"""C3 and C4 see gradients as attacks get them, and no luck: NumPy preprocessors, white noise."""

import numpy as np
import pytest
import torch
from art.defences.preprocessor import FeatureSqueezing, SpatialSmoothing
from art.estimators.classification import PyTorchClassifier
from scipy.stats import norm

import art_disc as ad
from art_disc.evaluation import Checks, Thresholds
from art_disc.evaluation.checks import setup
from art_disc.metrics.input_gradients import input_gradients
from studies.broken_defences import Foreign, NoiseBackwards

N = 40


class Blind(FeatureSqueezing):
    """ART's own squeezing, whose gradient is zero."""

    def estimate_gradient(self, x, grad):
        return np.zeros_like(grad)


class Backwards(FeatureSqueezing):
    """ART's own squeezing, whose gradient points downhill."""

    def estimate_gradient(self, x, grad):
        return -grad


def squeezing(kind=FeatureSqueezing):
    return kind(clip_values=(0, 1), bit_depth=3)


def defended(digits_net, preprocessor):
    """A user's own ART classifier with a NumPy preprocessor, as `defend` takes it."""
    plain = PyTorchClassifier(
        model=digits_net,
        loss=torch.nn.CrossEntropyLoss(),
        input_shape=(1, 8, 8),
        nb_classes=10,
        clip_values=(0, 1),
        preprocessing_defences=[preprocessor],
    )
    return ad.defend(plain, [])


def checked(classifier, digits, *names, n=N):
    checks = Checks("quick", n_ex=n, only=names)
    options = {"eps": 0.2, "attacks": ["fgsm"], "n_ex": n, "surrogates": (), "verbose": False}
    record = ad.evaluate(classifier, digits, checks=checks, **options).record
    return {c.id: c for c in record.checks if c.id in names}


@pytest.mark.parametrize(
    "preprocessor", [squeezing(), SpatialSmoothing(window_size=3, channels_first=True)]
)
def test_numpy_preprocessors_are_no_false_alarm(digits, digits_net, preprocessor):
    classifier = defended(digits_net, preprocessor)
    x, y = digits.x_test[:N], digits.y_test[:N]
    # what ART's attacks get, of a mean over the batch
    got = N * classifier.loss_gradient(x, y)
    assert np.allclose(input_gradients(classifier, x, y, "cross_entropy"), got, atol=1e-5)
    leaf = torch.tensor(x, requires_grad=True)
    assert np.allclose(classifier.graph_logits(leaf).detach(), classifier.predict(x), atol=1e-5)
    found = checked(classifier, digits, "C2", "C3", "C4")
    assert {c.id: c.status for c in found.values()} == dict.fromkeys(("C2", "C3", "C4"), "pass")


def test_broken_numpy_preprocessors_turn_red(digits, digits_net):
    blind = checked(defended(digits_net, squeezing(Blind)), digits, "C3", "C4")
    assert (blind["C3"].status, blind["C4"].status) == ("fail", "fail")
    downhill = checked(defended(digits_net, squeezing(Backwards)), digits, "C3", "C4")
    assert (downhill["C3"].status, downhill["C4"].status) == ("pass", "fail")


class InPart(Foreign):
    """The images as they are, but for the brighter ones."""

    def __init__(self, limit, change):
        super().__init__()
        self.limit, self.change = limit, change

    def apply(self, x):
        bright = x.flatten(1).mean(dim=1) > self.limit
        made = x.clone()
        made[bright] = self.change(x[bright])
        return made


def no_number(x):
    """The same value, with a gradient of NaN."""
    return x + 0 * (x - x).sqrt()


def noise(x):
    return x + 0.2 * torch.randn_like(x)


def changed_in_part(digits, digits_net, change, count):
    """A classifier that treats its `count` brightest images otherwise, and which these are."""
    brightness = digits.x_test[:N].mean(axis=(1, 2, 3))
    limit = float(np.sort(brightness)[-count - 1 : N - count + 1].mean())
    defence = InPart(limit, change)
    classifier = ad.build_classifier(
        digits_net, data=digits, defences=[defence], placement="preprocessor"
    )
    return classifier, brightness > limit


@pytest.mark.parametrize(
    ("change", "count"), [(torch.Tensor.detach, 1), (torch.Tensor.detach, N // 2), (no_number, 3)]
)
def test_a_part_of_the_images_without_a_gradient_is_no_pass(digits, digits_net, change, count):
    classifier, bright = changed_in_part(digits, digits_net, change, count)
    right = classifier.predict(digits.x_test[:N]).argmax(axis=1) == digits.y_test[:N]
    dead = np.flatnonzero(right & bright)
    c3 = checked(classifier, digits, "C3")["C3"]
    assert c3.status == "fail"
    assert c3.example_ids == tuple(digits.test_ids[dead].tolist())
    assert c3.numbers == {"dead": len(dead)}
    assert f"{len(dead)} of {right.sum()} under cross-entropy and" in c3.summary


def test_randomness_in_a_part_of_the_images_is_seen(digits, digits_net):
    classifier, bright = changed_in_part(digits, digits_net, noise, N // 2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        c14 = checked(classifier, digits, "C14")["C14"]
    assert c14.status == "fail"
    assert c14.example_ids == tuple(digits.test_ids[:N][bright].tolist())


@pytest.mark.parametrize("n", [20, N])
def test_a_gradient_of_noise_has_no_luck(digits, digits_net, n):
    for seed in range(6):
        classifier = ad.build_classifier(
            digits_net,
            data=digits,
            defences=[NoiseBackwards(seed)],
            placement="preprocessor",
        )
        c4 = checked(classifier, digits, "C4", n=n)["C4"]
        assert c4.status == "fail", c4.summary


def test_noise_is_taken_for_a_gradient_as_rarely_as_the_threshold_says():
    """Ranks of noise have the mean and the variance that the test reckons with, ties and all."""
    rng = np.random.default_rng(0)
    for few in (False, True):
        changes = rng.normal(size=(4000, 10, 12))
        changes = np.round(changes) if few else changes
        ahead = np.array([setup._ahead(one[0], one[1:]) for one in changes])
        assert abs(ahead.mean()) < 4 / np.sqrt(4000)
        assert ahead.std() == pytest.approx(1, abs=0.05)
        share = float((ahead > norm.isf(0.01)).mean())
        assert share == pytest.approx(0.01, abs=4 * np.sqrt(0.01 / 4000))
    assert Thresholds().surrogate_luck == 0.001
    # all ten images alike: nothing is known
    assert setup._ahead(np.zeros(10), np.zeros((9, 10))) == 0
