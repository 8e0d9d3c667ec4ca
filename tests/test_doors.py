"""One rule at every door: what takes images, labels or budgets takes them alike."""

import numpy as np
import pytest
import torch
from torch import nn

import art_disc as ad
from art_disc.attacks.logit_space import LogitSpacePGA
from art_disc.attacks.random_search import RandomSearch
from art_disc.core.errors import InputError
from art_disc.evaluation.randomness import eot_convergence, score_draws
from art_disc.evaluation.transfer import transfer
from art_disc.metrics import (
    certificate_curve,
    certify,
    check_certifiable,
    gradient_agreement,
    kl_certify,
)
from art_disc.metrics import certified_accuracy_curve as curve

# a side that 8-bit levels and floats share, two channels that no other axis has
SHAPE = (2, 3, 4)
CLASSES = 3
LEVELS = np.random.default_rng(0).integers(0, 256, (4, *SHAPE)).astype(np.uint8)
IMAGES = LEVELS / np.float32(255)
LABELS = np.array([2, 0, 1, 2])
QUIET = {"verbose": False}


class Scores(nn.Module):
    """Logits from sums of an image's parts, in either range; of codes too."""

    def __init__(self, upper=1.0):
        super().__init__()
        self.upper = upper
        self.weight = nn.Parameter(torch.tensor([[3.0, -1, 0], [0, 2, -2], [-1, 1, 1]]))

    def forward(self, x):
        flat = x.flatten(1) / self.upper
        return torch.stack([p.mean(1) for p in flat.tensor_split(3, dim=1)], 1) @ self.weight.T


def build(*defences, upper=1.0, channels_first=True):
    shape = SHAPE if channels_first else (*SHAPE[1:], SHAPE[0])
    return ad.build_classifier(
        Scores(1.0 if any(isinstance(d, ad.Thermometer) for d in defences) else upper),
        input_shape=shape,
        nb_classes=CLASSES,
        clip_values=(0, upper),
        channels_first=channels_first,
        defences=defences,
        eot_samples=2,
        vote_samples=3,
    )


BOOK = ad.Codebook([[0.2, 0.1], [0.7, 0.9]])


def mapped(**options):
    return build(ad.PixelDiscretization(BOOK), **options)


def noisy(**options):
    return build(ad.RandDisc(sigma=0.2, centres=BOOK.codewords_), **options)


def coded(**options):
    return build(ad.Thermometer(4), **options)


def _sign_adam(classifier, x, y, eps=0.1):
    attack = ad.SignAdamBPDA(classifier, eps=eps, eps_step=eps / 4, max_iter=3, verbose=False)
    return attack.generate(x, y)


def _random_search(classifier, x, y, eps=0.1):
    return RandomSearch(classifier, eps=eps, max_iter=8, seed=1).generate(x, y)


def _logit_space(classifier, x, y, eps=0.1):
    np.random.seed(0)
    return LogitSpacePGA(classifier, eps=eps, max_iter=2).generate(x, y)


def _curve(classifier, x, y, eps=0.1):
    return curve(classifier, x, y, eps=eps, draws=20, **QUIET).points


def _pgd(classifier, eps):
    from art.attacks.evasion import FastGradientMethod

    return FastGradientMethod(classifier, eps=eps)


# name -> the classifier, and what makes something comparable of (classifier, x, y, eps)
DOORS = {
    "certify": (mapped, lambda c, x, y, eps=0.1: certify(c, x, y, eps=eps, **QUIET).verdicts),
    "certificate_curve": (
        mapped,
        lambda c, x, y, eps=0.1: (
            certificate_curve(c, x, y, eps=eps, **QUIET).certificates[0].verdicts
        ),
    ),
    "kl_certify": (
        noisy,
        lambda c, x, y, eps=0.1: kl_certify(c, x, y, eps=eps, draws=20, **QUIET).votes,
    ),
    "certified_accuracy_curve": (noisy, _curve),
    "SignAdamBPDA": (mapped, _sign_adam),
    "RandomSearch": (mapped, _random_search),
    "LogitSpacePGA": (coded, _logit_space),
    "score_draws": (noisy, lambda c, x, y, eps=0: score_draws(c, x, y, n=3).right),
    "eot_convergence": (
        noisy,
        lambda c, x, y, eps=0.1: (
            eot_convergence(c, x, y, eps=eps, draws=(1, 2), gradients=4, **QUIET)
            .points[-1]
            .draw_correct
        ),
    ),
    "gradient_agreement": (
        noisy,
        lambda c, x, y, eps=0: gradient_agreement(c, x, y, draws=(1, 2), **QUIET).cosines,
    ),
    "transfer": (
        mapped,
        lambda c, x, y, eps=0.1: (
            transfer({"own": c}, c, x, y, _pgd, eps=eps, **QUIET).rows[0].distances
        ),
    ),
    "predict": (mapped, lambda c, x, y, eps=0: c.predict(x)),
    "predict_draws": (noisy, lambda c, x, y, eps=0: c.predict_draws(x, 2, seed=0)),
    "loss_gradient": (mapped, lambda c, x, y, eps=0: c.loss_gradient(x, y)),
    "loss_gradient of draws": (noisy, lambda c, x, y, eps=0: c.with_seed(0).loss_gradient(x, y)),
    "class_gradient": (mapped, lambda c, x, y, eps=0: c.class_gradient(x, 1)),
    "compute_loss": (mapped, lambda c, x, y, eps=0: c.compute_loss(x, y)),
}
WITH_LABELS = [name for name in DOORS if name not in ("predict", "predict_draws", "class_gradient")]
STRICT = [name for name in WITH_LABELS if "loss" not in name]
WITH_BUDGET = [n for n in STRICT if n not in ("score_draws", "gradient_agreement")]


def equal(a, b):
    return np.array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize("upper", [1.0, 255.0])
@pytest.mark.parametrize("name", DOORS)
def test_bytes_are_levels_of_the_range(name, upper):
    make, door = DOORS[name]
    floats = IMAGES if upper == 1 else LEVELS.astype(np.float32)
    before = LEVELS.copy()
    found = door(make(upper=upper), LEVELS, LABELS, eps=0.1 * upper)
    assert equal(found, door(make(upper=upper), floats, LABELS, eps=0.1 * upper))
    assert equal(LEVELS, before)


@pytest.mark.parametrize("name", WITH_LABELS)
def test_labels_are_numbers_or_one_hot(name):
    make, door = DOORS[name]
    found = door(make(), IMAGES, LABELS)
    assert equal(found, door(make(), IMAGES, np.eye(CLASSES, dtype=np.float32)[LABELS]))
    assert equal(found, door(make(), IMAGES, LABELS.tolist()))


BAD_LABELS = {
    "zeros": (np.zeros((4, CLASSES)), "a single 1 in a row"),
    "two ones": (np.array([[1, 1, 0]] * 4), "a single 1 in a row"),
    "probabilities": (np.full((4, CLASSES), 1 / CLASSES), "a single 1 in a row"),
    "NaN rows": (np.full((4, CLASSES), np.nan), "NaN"),
    "a wider row": (np.eye(CLASSES + 1)[LABELS], "rows of 4"),
    "pairs of numbers": (np.array([[0, 1]] * 4), "rows of 2"),
    "out of range": (np.array([0, 1, 2, 3]), r"0\.\.2, got 0\.\.3"),
    "counted from 1": (np.array([1, 2, 3, 1]), "classes count from 0"),
    "negative": (np.array([0, 1, 2, -1]), r"got -1\.\."),
    "halves": (np.array([0, 0.5, 1, 2]), "no integers"),
    "three labels": (LABELS[:3], "each of the 4 images, got 3"),
    "words": (np.array(["a", "b", "c", "a"]), "class indices"),
}


@pytest.mark.parametrize("bad", BAD_LABELS)
@pytest.mark.parametrize("name", STRICT)
def test_other_labels_are_refused(name, bad):
    make, door = DOORS[name]
    y, text = BAD_LABELS[bad]
    with pytest.raises(InputError, match=text):
        door(make(), IMAGES, y)


@pytest.mark.parametrize("bad", sorted(set(BAD_LABELS) - {"zeros", "two ones", "probabilities"}))
@pytest.mark.parametrize("name", sorted(set(WITH_LABELS) - set(STRICT)))
def test_losses_refuse_labels_that_are_no_rows_of_weights(name, bad):
    make, door = DOORS[name]
    with pytest.raises(InputError, match="y must"):
        door(make(), IMAGES, BAD_LABELS[bad][0])


@pytest.mark.parametrize("channels_first", [True, False])
@pytest.mark.parametrize("name", [name for name in DOORS if name != "LogitSpacePGA"])
def test_a_layout_the_wrong_way_round_is_named(name, channels_first):
    make, door = DOORS[name]
    x = np.moveaxis(IMAGES, 1, -1) if channels_first else IMAGES
    cure = r"np\.moveaxis\(x, -1, 1\)" if channels_first else r"np\.moveaxis\(x, 1, -1\)"
    with pytest.raises(InputError, match=f"layout is the wrong way round.*{cure}"):
        door(make(channels_first=channels_first), x, LABELS)


@pytest.mark.parametrize(
    ("upper", "x", "text"),
    [
        (1.0, LEVELS.astype(np.float32), "divide 8-bit images by 255"),
        (1.0, (IMAGES - 0.5) / 0.25, r"preprocessing=\(mean, std\)"),
        (255.0, IMAGES, r"which is \[0, 1\]; multiply by 255"),
        (1.0, np.where(IMAGES > 0.9, np.nan, IMAGES), "NaN"),
        (1.0, LEVELS.astype(np.int64), "got int64"),
    ],
)
@pytest.mark.parametrize("name", STRICT)
def test_images_of_another_range_are_refused(name, upper, x, text):
    make, door = DOORS[name]
    with pytest.raises(InputError, match=text):
        door(make(upper=upper), x, LABELS, eps=0.1 * upper)


@pytest.mark.parametrize(
    ("upper", "eps", "text"),
    [
        (1.0, 8, r"got 8; for 8 grey levels write 8/255"),
        (255.0, 8 / 255, r"got 0.03137, less than one grey level; .* write 8;"),
        (1.0, -0.1, ">= 0"),
        (1.0, float("nan"), "finite"),
    ],
)
@pytest.mark.parametrize("name", WITH_BUDGET)
def test_budgets_of_another_unit_are_refused(name, upper, eps, text):
    make, door = DOORS[name]
    x = IMAGES if upper == 1 else LEVELS
    with pytest.raises(InputError, match=text):
        door(make(upper=upper), x, LABELS, eps=eps)


# the attacks are ART's in this: they draw from global streams, as their users expect
@pytest.mark.parametrize(
    "name", [n for n in STRICT if n not in ("SignAdamBPDA", "RandomSearch", "LogitSpacePGA")]
)
def test_the_global_stream_of_torch_is_left_as_it_was(name):
    make, door = DOORS[name]
    before = torch.get_rng_state()
    classifier = make()
    assert torch.equal(torch.get_rng_state(), before)
    door(classifier, IMAGES, LABELS)
    assert torch.equal(torch.get_rng_state(), before)


def test_so_do_defend_and_the_check_of_a_certificate():
    from art.estimators.classification import PyTorchClassifier

    net = Scores()
    options = {"loss": nn.CrossEntropyLoss(), "input_shape": SHAPE, "nb_classes": CLASSES}
    plain = PyTorchClassifier(net, clip_values=(0, 1), device_type="cpu", **options)
    before = torch.get_rng_state()
    classifier = ad.defend(plain, ad.PixelDiscretization(BOOK))
    check_certifiable(classifier, IMAGES)
    assert torch.equal(torch.get_rng_state(), before)
