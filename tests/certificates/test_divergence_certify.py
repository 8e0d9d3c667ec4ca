"""Certificates by divergence on real classifiers whose vote probabilities are known."""

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import ndtr
from torch import nn

from art_disc import build_classifier, load_dataset
from art_disc.certificates.divergence.decide import ORDERS, decide
from art_disc.certificates.divergence.models import AdaptiveModel
from art_disc.certificates.divergence.task import Poll, Task
from art_disc.certificates.divergence.votes import (
    VoteLimits,
    count_votes,
    share_limits,
    vote_limits,
)
from art_disc.codebooks import Codebook
from art_disc.core.errors import CertificateError, InputError
from art_disc.core.records.certificate import corrected_limit
from art_disc.defences import GaussianNoise, PixelDiscretization, RandMix
from art_disc.defences.pooling import BilinearResize, MaxPoolDownsample
from art_disc.defences.randdisc import RandDisc
from art_disc.metrics import (
    CertifiedCurve,
    ColourCodesModel,
    DivergenceRecord,
    FixedCodesModel,
    GaussianModel,
    centre_term,
    certified_accuracy_curve,
    codeword_divergence,
    divergence_model,
    kl_certify,
    pinsker_needed,
    proposition1_kl,
    reference_rule,
    vacuous_from,
    votes_for_gap,
    votes_needed,
)

QUIET = {"verbose": False}
W = np.array([1.0, -0.7, 0.5, 0.9])


class Sum(nn.Module):
    """Class 1 where the weighted sum of four pixels exceeds `at`, in units of the range."""

    def __init__(self, at, upper=1.0):
        super().__init__()
        self.at, self.upper = at, upper

    def forward(self, x):
        excess = (x.flatten(1) / self.upper) @ torch.tensor(W, dtype=torch.float32) - self.at
        return torch.stack([-excess, excess], dim=1)


def classifier_of(defences, at=0.8, *, shape=(1, 2, 2), upper=1.0, **options):
    return build_classifier(
        Sum(at, upper),
        input_shape=shape,
        nb_classes=2,
        defences=defences,
        clip_values=(0.0, upper),
        **options,
    )


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(5).random((60, 1, 2, 2)).astype(np.float32)


def gaussian_truth(x, at, sigma, eps):
    """Least probability of the better class under noise, over the box that is not cut."""
    margin = x.reshape(len(x), -1).astype(np.float64) @ W - at
    return ndtr((np.abs(margin) - eps * np.abs(W).sum()) / (sigma * np.linalg.norm(W)))


def test_gaussian_verdicts_against_the_closed_form(x):
    before = x.copy()
    classifier = classifier_of([GaussianNoise(0.3)])
    labels = (x.reshape(len(x), -1) @ W > 0.8).astype(int)
    options = {"eps": 0.04, "draws": 4000, "confidence": 0.99, "seed": 1, **QUIET}
    records = {b: kl_certify(classifier, x, labels, bound=b, **options) for b in BOUNDS}
    worst = gaussian_truth(x, 0.8, 0.3, 0.04)
    for record in records.values():
        certified = np.array(record.verdicts) == "certified"
        assert (worst[certified] > 0.5).all()
        assert np.mean(np.array(record.lowest) > worst) <= 0.03
        assert record.count("falsified") == 0
    counts = [records[b].count("certified") for b in ("pinsker", "tight", "smoothing")]
    # of the same noise smoothing knows all that a divergence knows, and Pinsker less
    assert 0 < counts[0] < counts[1] < counts[2] < 60
    assert np.array_equal(x, before)


BOUNDS = ("tight", "pinsker", "smoothing")


def codes_truth(x, at, sigma, eps):
    """Least probability of the better class over the vertices, by enumeration of 16 images."""
    signs = np.array(list(np.ndindex(3, 3, 3, 3))) - 1
    bits = np.array(list(np.ndindex(2, 2, 2, 2)))
    votes = bits @ W > at
    values = np.clip(x.reshape(len(x), 1, 4).astype(np.float64) + eps * signs, 0, 1)
    ones = ndtr((values - 0.5) / sigma)[:, :, None]
    share = (np.where(bits, ones, 1 - ones).prod(axis=-1) * votes).sum(axis=-1)
    clean = share[:, 40]
    return clean, np.where(clean > 0.5, share.min(axis=1), 1 - share.max(axis=1))


def test_fixed_codewords_against_enumeration(x):
    classifier = classifier_of([RandDisc(sigma=0.25, centres=[0.0, 1.0])])
    clean, worst = codes_truth(x, 0.8, 0.25, 0.12)
    labels = (clean > 0.5).astype(int)
    options = {"eps": 0.12, "draws": 3000, "confidence": 0.99, "seed": 2, **QUIET}
    tight = kl_certify(classifier, x, labels, **options)
    shares = np.array(tight.votes) / 3000
    errors = (shares - np.maximum(clean, 1 - clean)) / np.sqrt(clean * (1 - clean) / 3000 + 1e-9)
    assert np.abs(errors).max() < 4.5
    certified = np.array(tight.verdicts) == "certified"
    assert (worst[certified] > 0.5).all()
    assert np.mean(np.array(tight.lowest) > worst) <= 0.03
    pinsker = kl_certify(classifier, x, labels, bound="pinsker", **options)
    assert 0 < pinsker.count("certified") < certified.sum() < 60
    assert (np.array(pinsker.lowest) <= np.array(tight.lowest) + 1e-6).all()
    # the step after the noise is what divergences see and smoothing does not
    assert max(filter(None, tight.divergence)) < GaussianModel(0.25).divergence(x[:1], 0.12, 1.0)[0]


def test_wrong_labels_are_never_certified_and_none_takes_the_votes_own(x):
    classifier = classifier_of([RandDisc(sigma=0.25, centres=[0.0, 1.0])])
    clean, _ = codes_truth(x, 0.8, 0.25, 0.05)
    wrong = (clean < 0.5).astype(int)
    options = {"eps": 0.01, "draws": 500, "seed": 2, **QUIET}
    record = kl_certify(classifier, x, wrong, **options)
    assert record.count("certified") == 0
    assert set(record.reasons) == {"the votes do not put the label ahead of every other class"}
    own = kl_certify(classifier, x, **options)
    right = kl_certify(classifier, x, 1 - wrong, **options)
    assert abs(own.count("certified") - right.count("certified")) <= 2
    assert own.settings["labels"] != right.settings["labels"]


def test_the_curve_is_the_same_as_single_certificates_and_falls(x, tmp_path):
    classifier = classifier_of([RandDisc(sigma=0.25, centres=[0.0, 1.0])])
    labels = (codes_truth(x, 0.8, 0.25, 0.05)[0] > 0.5).astype(int)
    options = {"draws": 600, "confidence": 0.99, "seed": 4, **QUIET}
    eps = (0.01, 0.05, 0.1)
    curve = certified_accuracy_curve(classifier, x, labels, eps=eps, **options)
    for bound in BOUNDS:
        line = [point.certified for point in curve.line(bound)]
        assert line == sorted(line, reverse=True)
        single = kl_certify(classifier, x, labels, eps=0.05, bound=bound, **options)
        assert line[1] == single.count("certified")
        assert single.lower_limit(0.99) == curve.line(bound)[1].limit
    assert curve.line("tight")[0].certified <= curve.clean <= 60
    assert curve.vacuous == ()
    assert CertifiedCurve.load(curve.save(tmp_path / "curve.json")) == curve
    assert DivergenceRecord.load(single.save(tmp_path / "record.json")) == single
    again = certified_accuracy_curve(classifier, x, labels, eps=eps, **options)
    assert again.points == curve.points


def test_layout_and_range_do_not_matter(x):
    clean, _ = codes_truth(x, 0.8, 0.25, 0.05)
    labels = (clean > 0.5).astype(int)
    options = {"draws": 300, "seed": 3, **QUIET}
    defence = RandDisc(sigma=0.25, centres=[0.0, 1.0])
    first = kl_certify(classifier_of([defence]), x, labels, eps=0.05, **options)
    wide = classifier_of([defence], shape=(2, 2, 1), upper=255.0, channels_first=False)
    moved = np.moveaxis(255 * x, 1, -1)
    second = kl_certify(wide, moved, labels, eps=0.05 * 255, **options)
    pairs = zip(first.divergence, second.divergence, strict=True)
    both = np.array([pair for pair in pairs if None not in pair])
    assert len(both) > len(x) / 2
    assert both[:, 0] == pytest.approx(both[:, 1], rel=1e-4)
    # a pixel may lie next to a threshold in float32
    assert np.abs(np.array(first.votes) - np.array(second.votes)).max() <= 2


def test_adaptive_centres_are_vacuous_from_0_015(x):
    assert vacuous_from(n_samples=100, tau=0.15) == pytest.approx(0.015)
    assert vacuous_from(n_samples=100, tau=32, channels=3) == pytest.approx(1.8475, rel=1e-4)
    defence = RandDisc.preset("mnist")
    classifier = classifier_of([defence])
    labels = np.zeros(len(x), dtype=int)
    options = {"draws": 20, "confidence": 0.9, "bound": "pinsker", **QUIET}
    images = x * 0  # all votes for class 0: as sure as can be
    for eps, word in ((0.0149, False), (0.015, True), (0.1, True)):
        record = kl_certify(classifier, images, labels, eps=eps, **options)
        assert record.count("certified") == 0
        assert all(("vacuous from eps = 0.015" in why) == word for why in record.reasons)
    curve = certified_accuracy_curve(
        classifier, images, labels, eps=[0.001, 0.1], draws=200, **QUIET
    )
    assert any("pinsker: vacuous from eps = 0.015 " in line for line in curve.vacuous)
    assert curve.line("pinsker")[0].certified > 0 == curve.line("pinsker")[1].certified


def test_nothing_is_certified_where_the_record_says_vacuous(x):
    """The other bounds end later, so they say nothing of the kind."""
    classifier = classifier_of([RandDisc.preset("mnist")])
    labels = np.zeros(len(x), dtype=int)
    curve = certified_accuracy_curve(
        classifier, x * 0, labels, eps=[0.015, 0.02, 0.03], draws=3000, **QUIET
    )
    assert [line.partition(":")[0] for line in curve.vacuous] == ["pinsker"]
    assert all(point.certified == 0 for point in curve.line("pinsker"))
    assert curve.line("tight")[1].certified > 0


def test_proposition_1_is_the_divergence_of_two_noisy_copies():
    settings = {"n_samples": 100, "tau": 0.15, "channels": 3}
    assert centre_term(0.02, **settings) == pytest.approx(100 * 3 * 0.02**2 / (2 * 0.15**2))
    kl = proposition1_kl(0.02, pixels=64, sigma=0.1, **settings)
    assert kl == pytest.approx(3 * 0.02**2 / 2 * (100 / 0.15**2 + 64 / 0.1**2))
    shift = AdaptiveModel(100, tau=0.15, sigma=0.1).shift(np.zeros((2, 3, 8, 8)), 0.02)
    assert shift**2 / 2 == pytest.approx(kl)
    model = divergence_model(classifier_of([RandDisc(2, tau=0.3, sigma=0.2, n_samples=10)]))
    found = model.divergence(np.zeros((2, 1, 2, 2)), 0.02, 3.0)
    assert found == pytest.approx(3 * 0.02**2 / 2 * (10 / 0.3**2 + 4 / 0.2**2))


def test_colours_and_resizings_before_adaptive_centres():
    net = nn.Sequential(nn.Flatten(), nn.LazyLinear(2))
    own = {"n_samples": 10, "tau": 0.3, "sigma": 0.2}
    options = {"input_shape": (3, 6, 6), "nb_classes": 2}
    with torch.no_grad():
        net(torch.zeros(1, 3, 6, 6))
    x = np.zeros((2, 3, 6, 6))
    model = divergence_model(build_classifier(net, defences=[RandDisc(2, **own)], **options))
    expected = proposition1_kl(0.02, pixels=36, channels=3, **own)
    assert model.divergence(x, 0.02, 1.0) == pytest.approx(expected)
    # pooled to 3 x 3, then resized to 6 x 4: that is what is drawn from
    chain = [MaxPoolDownsample(2, 2, resize=False), BilinearResize(6, 4), RandDisc(2, **own)]
    small = nn.Sequential(nn.Flatten(), nn.Linear(72, 2))
    model = divergence_model(build_classifier(small, defences=chain, **options))
    expected = proposition1_kl(0.02, pixels=24, channels=3, **own)
    assert model.divergence(x, 0.02, 1.0) == pytest.approx(expected)


def test_pooling_first_counts_the_small_image_only():
    x = np.random.default_rng(0).random((3, 1, 9, 9)).astype(np.float32)
    defence = RandDisc(sigma=0.25, centres=[0.0, 1.0])
    chain = [MaxPoolDownsample(2, 7, resize=False), defence, BilinearResize(9, 9)]
    net = nn.Sequential(nn.Flatten(), nn.Linear(81, 2))
    options = {"input_shape": (1, 9, 9), "nb_classes": 2}
    model = divergence_model(build_classifier(net, defences=chain, **options))
    pooled = np.stack(
        [x[:, 0, i : i + 2, j : j + 2].max(axis=(1, 2)) for i in (0, 7) for j in (0, 7)], axis=1
    )
    expected = codeword_divergence(pooled, [0.0, 1.0], sigma=0.25, eps=0.1, order=2.0)
    assert model.divergence(x.astype(np.float64), 0.1, 2.0) == pytest.approx(expected)
    assert model.shift(x.astype(np.float64), 0.1) == pytest.approx(0.1 * 2 / 0.25)
    with pytest.raises(CertificateError, match="PixelDiscretization first"):
        divergence_model(
            build_classifier(
                net, defences=[PixelDiscretization(Codebook([0.0, 1.0])), defence], **options
            )
        )


def test_colours_on_grids_are_exact_and_others_bounded():
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))

    def model(defence):
        return divergence_model(
            build_classifier(net, input_shape=(3, 2, 2), nb_classes=2, defences=[defence])
        )

    x = np.random.default_rng(1).random((2, 3, 2, 2))
    grid = model(RandDisc.preset("imagenet-fixed"))
    each = [
        codeword_divergence(x[:, i], [64 / 255, 192 / 255], sigma=32 / 255, eps=0.05)
        for i in range(3)
    ]
    assert grid.divergence(x, 0.05, 1.0) == pytest.approx(sum(each), rel=1e-5)
    loose = RandDisc(sigma=0.1, centres=[[0, 0, 0], [1, 1, 1]])
    assert isinstance(model(loose), ColourCodesModel)
    # a mean of codewords tells more than the nearest one: the noise alone counts
    mixed = model(RandMix(sigma=0.1, centres=[[0, 0, 0], [1, 1, 1]]))
    assert mixed == GaussianModel(0.1)


def test_refusals(x):
    labels = np.zeros(len(x), dtype=int)
    options = {"eps": 0.1, "draws": 5, **QUIET}
    for defences, word in (
        ([], "nothing draws"),
        ([PixelDiscretization(Codebook([0.0, 1.0]))], "PixelDiscretization first"),
        ([RandDisc(sigma=0.0, centres=[0.0, 1.0])], "no noise"),
        ([RandDisc(2, tau=0.0, sigma=0.2, n_samples=3)], "no noise"),
    ):
        with pytest.raises(CertificateError, match=word):
            kl_certify(classifier_of(defences), x, labels, **options)
    random = classifier_of([GaussianNoise(0.2)])
    with pytest.raises(CertificateError, match="frozen"):
        kl_certify(random.frozen(1), x, labels, **options)
    with pytest.raises(CertificateError, match="predict_draws"):
        kl_certify(random.base, x, labels, model=GaussianModel(0.2), **options)
    with pytest.raises(InputError, match="bound"):
        kl_certify(random, x, labels, bound="loose", **options)
    with pytest.raises(InputError, match="order"):
        kl_certify(random, x, labels, orders=[0.5], **options)
    with pytest.raises(InputError, match="confidence"):
        kl_certify(random, x, labels, confidence=1.0, **options)
    random.base_network.at = np.nan
    with pytest.raises(CertificateError, match="NaN"):
        kl_certify(random, x, labels, **options)


@pytest.mark.parametrize("upper", [False, True])
def test_limits_fail_as_rarely_as_promised(upper):
    counts = np.arange(201)
    for failure in (0.05, 0.001):
        limits = share_limits(counts, 200, failure, upper=upper)
        for p in (0.001, 0.1, 0.5, 0.93, 0.9999):
            wrong = limits < p if upper else limits > p
            rate = stats.binom.pmf(counts[wrong], 200, p).sum()
            assert rate <= failure
    assert share_limits(np.array([0, 200]), 200, 0.05, upper=upper)[int(upper)] == int(upper)


def test_limits_of_all_classes_hold_together():
    rng = np.random.default_rng(0)
    law = np.array([0.5, 0.3, 0.15, 0.05])
    counts = rng.multinomial(100, law, size=20_000)
    limits = vote_limits(counts, np.zeros(20_000, dtype=int), 0.9)
    wrong = (limits.top > 0.5) | (limits.other < 0.3)
    assert 0.01 < wrong.mean() < 0.1
    # half of what may fail is the label's, the other half is shared by the other three
    for row, found in zip(counts[:50], np.transpose([limits.top, limits.other])[:50], strict=True):
        most = row[1:].max()
        upper = stats.beta.isf(0.05 / 3, most + 1, 100 - most)
        lower = stats.beta.ppf(0.05, row[0], 101 - row[0])
        assert found == pytest.approx((lower, min(upper, 1 - lower)), rel=1e-8)
    # where one other has all the rest, the label's limit says more of it than its own votes
    rest = vote_limits(np.array([[90, 10, 0]]), np.array([0]), 0.9)
    assert rest.other == 1 - rest.top < stats.beta.isf(0.05 / 2, 11, 90)
    two = vote_limits(np.array([[95, 5]]), np.array([0]), 0.99)
    assert two.top == pytest.approx(stats.beta.ppf(0.01, 95, 6), rel=1e-6)
    assert two.other == 1 - two.top


class Coins:
    """Three classes by chance alone, and which seeds were asked for."""

    nb_classes = 3

    def __init__(self):
        self.seeds = []

    def predict_draws(self, x, n, seed):
        self.seeds.append(seed)
        return np.random.default_rng(seed).normal(size=(n, len(x), 3))


def test_a_chosen_label_is_held_against_votes_that_did_not_choose_it(x):
    coins = Coins()
    images = x.astype(np.float64)
    task = Task(coins, GaussianModel(0.1), x, images, 1.0)
    votes = Poll(100, 0.9, 3, 1000, verbose=False).ballot(task, None)
    assert len(coins.seeds) == len(set(coins.seeds)) == 2
    # on the votes that chose it, the label would always have a third of them and more
    share = votes.counts[np.arange(len(x)), votes.labels] / 100
    assert share.mean() == pytest.approx(1 / 3, abs=0.03)
    assert not votes.given


def test_budgets_are_certified_with_what_an_evaluation_forgives(x):
    task = Task(None, GaussianModel(0.1), x, x.astype(np.float64), 255.0)
    # 1e-6 of the input range, as when an adversarial example is scored
    assert task.budget(8) >= 8 / 255 + 0.999e-6


@pytest.mark.parametrize(
    ("scores", "told"),
    [
        (np.ones((5, 60, 1)), "classes >= 2"),
        (np.ones((5, 59, 2)), r"expected scores of shape \(5, 60"),
        (np.ones((60, 2)), "expected scores"),
        (np.where(np.arange(600).reshape(5, 60, 2) == 599, np.nan, 1), "NaN"),
    ],
)
def test_scores_that_are_no_votes_are_refused(x, scores, told):
    class Odd:
        def predict_draws(self, x, n, seed):
            return scores

    with pytest.raises(CertificateError, match=told):
        count_votes(Odd(), x, draws=5, seed=0, verbose=False)


def test_votes_are_counted_alike_in_any_parts(x):
    class Fixed:
        """A classifier whose draws are numbers of the seed alone."""

        seeds = ()

        def predict_draws(self, x, n, seed):
            Fixed.seeds += (seed,)
            rng = np.random.default_rng(seed)
            return rng.normal(size=(n, len(x), 3)) + np.array([0, 0, 1])

    counts = count_votes(Fixed(), x, draws=700, seed=1, batch_size=40, verbose=False)
    assert counts.shape == (60, 3)
    assert (counts.sum(axis=1) == 700).all()
    # no part has the draws of another
    assert len(Fixed.seeds) == len(set(Fixed.seeds)) == 2 + 1
    assert counts[:, 2].mean() == pytest.approx(700 * 0.6337, rel=0.03)
    again = count_votes(Fixed(), x, draws=700, seed=2, batch_size=40, verbose=False)
    assert not np.array_equal(again, counts)


@pytest.mark.parametrize("gap", [0.05, 0.3, 0.9])
def test_that_many_votes_suffice(gap):
    # exactly: two classes, the label ahead by the gap; a tie is no majority
    for beta in (0.1, 1e-4):
        m = votes_for_gap(gap, beta, 2)
        assert stats.binom.cdf(m // 2, m, (1 + gap) / 2) <= beta
        assert votes_needed(gap + 0.1, 0.1**2 / 2, beta, 2) in (m, m + 1)
        assert votes_for_gap(gap, beta, 10) == pytest.approx(
            2 * np.log(9 / beta) / gap**2, abs=1.001
        )
    with pytest.raises(CertificateError, match="no number of votes"):
        votes_needed(0.5, 0.125, 0.01, 2)


def test_the_limit_of_the_share_makes_up_for_wrong_verdicts():
    assert corrected_limit(90, 100, 0.999, 0.99) == pytest.approx(
        stats.beta.ppf(0.01, 90, 11) - 0.001
    )
    assert corrected_limit(0, 100, 0.999, 0.99) == 0


def test_mnist_under_the_published_threshold(shared_data):
    # what the authors' code computes: one threshold at .55, sigma .15, no centre term
    path = shared_data("mnist.npz")
    x = load_dataset("mnist", data_dir=path.parent).x_test.astype(np.float64)
    kl = codeword_divergence(x, [0.1, 1.0], sigma=0.15, eps=0.05)
    # shares that a margin of 1 could certify by the coded rule and by Pinsker
    assert reference_rule(1.0, kl).mean() == pytest.approx(0.106, abs=0.002)
    assert (kl < pinsker_needed(1.0, 0.0)).mean() == pytest.approx(0.001, abs=0.001)
    # with 1,000 votes that all agree, both directions prove far more than Pinsker does
    model, images = FixedCodesModel(((0.1, 1.0),), 0.15), x[:100]
    top = share_limits(np.full(100, 1000), 1000, 1e-3)
    shares = [
        decide(model, images, 0.05, VoteLimits(top, 1 - top), bound, ORDERS).certified.mean()
        for bound in BOUNDS
    ]
    assert shares[0] > 0.6
    assert max(shares[1:]) < 0.05


def test_a_class_that_is_all_but_excluded_is_not_excluded():
    """1 - 1e-17 is 1 in float64, and what has probability 1 no divergence of finite size moves."""
    limits = VoteLimits(np.array([0.3]), np.array([1e-17]))
    # both ways KL is 3 nats: (0.3, 0.7, 1e-17) lies within 3 of a law in which the last class leads
    found = decide(GaussianModel(1.0), np.zeros((1, 1, 1, 1)), 6**0.5, limits, "tight", (1.0,))
    p, q = np.array([0.3, 0.7, 1e-17]), np.array([0.06, 0.87, 0.07])
    assert (q * np.log(q / p)).sum() < 3
    assert (p * np.log(p / q)).sum() < 3
    assert not found.certified[0]
    assert found.gap[0] == 0
