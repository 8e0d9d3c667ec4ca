"""Scores that depend on the batch, or on chance, certify nothing; float noise has its margin."""

import numpy as np
import pytest
import torch
from torch import nn

import art_disc as ad
from art_disc.cli.main import main
from art_disc.core.errors import CertificateError
from art_disc.core.records import load_record
from art_disc.estimators.steadiness import COARSE, SAME, steadiness
from art_disc.metrics import (
    certified_accuracy,
    certified_accuracy_curve,
    certify,
    check_certifiable,
    kl_certify,
)
from art_disc.report import render_run

X = np.random.default_rng(0).random((12, 1, 4, 4)).astype(np.float32)
Y = np.zeros(12, int)
QUIET = {"verbose": False}


class Own(nn.Module):
    """Scores of one image, to which something else is added."""

    def __init__(self, classes=3):
        super().__init__()
        torch.manual_seed(1)
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(16, classes))

    def other(self, z):
        return 0 * z

    def forward(self, x):
        z = self.net(x)
        return z + self.other(z)


class Size(Own):
    def other(self, z):
        return torch.eye(3)[len(z) % 3] + 0 * z


class Place(Own):
    def other(self, z):
        return torch.eye(3)[torch.arange(len(z)) % 3]


class LastPlace(Own):
    def other(self, z):
        return 5.0 * (torch.arange(len(z)) == len(z) - 1)[:, None] * torch.eye(3)[0]


class BatchMean(nn.Module):
    """The sum of an image, less its mean over the batch."""

    def forward(self, x):
        z = x.flatten(1).mean(1)
        z = z - z.mean()
        return torch.stack([z, -z], 1)


class Statistics(Own):
    """Normalised by its batch in eval mode too."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3, track_running_stats=False)

    def forward(self, x):
        z = self.net(x)
        return self.norm(z) if len(z) > 1 else z


class LoneFailure(Statistics):
    def forward(self, x):
        return self.norm(self.net(x))


class Attention(Own):
    def other(self, z):
        return torch.softmax(z @ z.T, dim=1) @ z


class Whitening(Own):
    def other(self, z):
        centred = z - z.mean(0)
        scatter = centred.T @ centred / len(z) + torch.eye(3)
        return centred @ torch.linalg.inv(scatter)


class Seldom(Own):
    """Looks at its batch for one image in twelve."""

    mark = torch.full((3,), torch.nan)

    def other(self, z):
        mine = ((z - self.mark).abs() < 1e-3).all(1, keepdim=True)
        return torch.where(mine, z.mean(0), 0)


class Dropout(Own):
    def forward(self, x):
        return self.net[1](nn.functional.dropout(x.flatten(1), 0.1))


class Coin(Own):
    """One toss a prediction, heads once in five."""

    def other(self, z):
        return z * (torch.rand(()) < 0.2)


class NotFinite(Own):
    def other(self, z):
        return torch.log(z - z)


DEPENDENT = [Size, Place, LastPlace, Statistics, Attention, Whitening, BatchMean]


def built(network, *defences, classes=3):
    defences = defences or (ad.ColorDepthReduction(2),)
    return ad.build_classifier(
        network, input_shape=(1, 4, 4), nb_classes=classes, defences=defences
    )


def made(kind, *defences):
    return built(kind(), *defences, classes=2 if kind is BatchMean else 3)


@pytest.mark.parametrize("n", [1, 12])
@pytest.mark.parametrize("kind", DEPENDENT)
def test_a_network_that_looks_at_its_batch_is_certified_nowhere(kind, n):
    fixed, noisy = made(kind), made(kind, ad.GaussianNoise(0.2))
    for door in (
        lambda: certify(fixed, X[:n], eps=0.05, **QUIET),
        lambda: certify(fixed, X[:n], eps=0.05, batch_size=1, **QUIET),
        lambda: certified_accuracy(fixed, X[:n], Y[:n], eps=0.05, **QUIET),
        lambda: check_certifiable(fixed, X[:n]),
        lambda: kl_certify(noisy, X[:n], eps=0.01, draws=20, **QUIET),
        lambda: certified_accuracy_curve(noisy, X[:n], Y[:n], eps=0.01, draws=20, **QUIET),
    ):
        with pytest.raises(CertificateError, match="scores that are an image's own"):
            door()


def test_the_certificate_of_scores_less_their_batch_mean_contradicts_itself_and_is_refused():
    """One image, certified as class 0 in one batch, was certified as class 1 in another."""
    classifier = made(BatchMean)
    image = np.array([0.3, 0.7] * 8, np.float32).reshape(1, 1, 4, 4)
    dark, light = np.zeros_like(image), np.ones_like(image)
    classes = [
        int(classifier.predict(np.concatenate([image, beside]))[0].argmax())
        for beside in (dark, light)
    ]
    assert classes == [0, 1]
    with pytest.raises(CertificateError, match="its batch"):
        certify(classifier, image, eps=0.05, **QUIET)


def test_what_cannot_classify_an_image_alone_is_refused():
    with pytest.raises(CertificateError, match=r"not every batch .* Expected more than 1 value"):
        certify(made(LoneFailure), X, eps=0.05, **QUIET)


def test_one_image_that_looks_at_its_batch_is_enough():
    network = Seldom()
    classifier = built(network)
    mapped = (X > 0.5).astype(np.float32)
    with torch.no_grad():
        network.mark = network.net(torch.tensor(mapped[:1]))[0]
    with pytest.raises(CertificateError, match="beside an image"):
        certify(classifier, X, eps=0.05, **QUIET)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", [Dropout, Coin])
@pytest.mark.parametrize("n", [1, 3])
def test_what_draws_is_found(kind, seed, n):
    classifier = made(kind)
    torch.manual_seed(seed)
    with pytest.raises(CertificateError, match="is random"):
        certify(classifier, X[:n], eps=0.05, **QUIET)


def test_scores_that_are_no_numbers_certify_nothing():
    network = Own()
    classifier = built(network)
    network.other = NotFinite().other
    with pytest.raises(CertificateError, match="NaN or infinite"):
        certify(classifier, X, eps=0.05, **QUIET)


class Cancelling(nn.Module):
    """Activations of about `gain` that cancel: sums in another order end in other classes."""

    def __init__(self, gain):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.gain = gain
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(16, 10), nn.ReLU(), nn.Linear(10, 3))
        for weight in self.net.parameters():
            weight.data = torch.randn(weight.shape, generator=generator)
        self.wide = torch.randn(256, 3, generator=generator)

    def forward(self, x):
        z = self.net(x) @ self.wide.T
        both = torch.cat([self.gain * z, z - self.gain * z], dim=1)
        return both @ torch.cat([self.wide, self.wide]) / 256


def jittered(scores, amount, seed):
    """Scores off by up to `amount` of the largest, other ones for each size and place."""
    size = np.maximum(1, np.abs(scores).max(axis=1, keepdims=True))
    off = np.random.default_rng([len(scores), seed]).uniform(-1, 1, scores.shape)
    return scores + amount * size * off


def test_float_noise_is_measured_and_has_its_margin():
    """Where float sums cancel, what is certified is so by more than sums differ."""
    x = np.random.default_rng(3).random((200, 1, 4, 4)).astype(np.float32)
    margins = []
    for gain in (1.0, 1e4):
        classifier = built(Cancelling(gain))
        record = certify(classifier, x, eps=0.002, **QUIET).record
        margins.append(record.margin)
        assert record.margin == max(SAME, 10 * record.noise)
        certified = np.array(record.verdicts) == "certified"
        scores = np.stack([classifier.predict(x, batch_size=size) for size in (1, 2, 7, 128)])
        assert (scores[:, certified].argmax(2) == scores[0, certified].argmax(1)).all()
        assert certified.sum() > 20
        wins = np.diff(np.sort(scores[-1].astype(float), axis=1)[:, -2:])[:, 0]
        clear = wins > record.margin * np.maximum(1, np.abs(scores[-1]).max(1))
        assert not (certified & ~clear).any()
        told = set(record.reasons) - {""}
        assert told <= {"margin within float error", "reachable only by a tie or rounding"}
    assert margins[0] == SAME
    assert margins[1] > 100 * SAME


class Jitter(ad.DefendedClassifier):
    """Float noise of a known size, by the size of the batch and the place in it."""

    amount = 1e-4

    def predict(self, x, batch_size=128, **options):
        parts = [x[i : i + batch_size] for i in range(0, len(x), batch_size)]
        return np.concatenate(
            [jittered(super(Jitter, self).predict(part), self.amount, 0) for part in parts]
        ).astype(np.float32)


@pytest.mark.parametrize(("lead", "verdict"), [(0.5, "undecided"), (30, "certified")])
def test_a_lead_within_the_margin_is_undecided(monkeypatch, lead, verdict):
    """Noise of 1e-4 leaves 1e-3 to 2e-3 undecided, at clean images that look wrong too."""
    from art_disc.certificates import known

    monkeypatch.setattr(known, "ESTIMATORS", {*known.ESTIMATORS, Jitter})

    class Constant(nn.Module):
        def forward(self, x):
            return torch.tensor([1.0, 1.0 - lead * 1e-4, 0.0]) + 0 * x.flatten(1)[:, :1]

    inner = built(Constant())
    options = {**inner._options(), "preprocessing_defences": None}
    classifier = Jitter(model=inner.model, **options)
    labels = [0] * 12
    result = certify(classifier, X, labels, eps=0.001, **QUIET)
    assert set(result.verdicts) == {verdict}
    assert 1e-4 <= result.record.noise <= 2e-4
    if verdict == "undecided":
        assert set(result.record.reasons) == {"margin within float error"}
        other = certify(classifier, X, [1] * 12, eps=0.001, **QUIET)
        assert set(other.verdicts) == {"undecided"}, "no clean image is clearly wrong"


def test_noise_that_hides_every_class_is_refused():
    x = np.concatenate([X, X])

    def score(given, size):
        parts = np.split(given, range(size, len(given), size))
        return np.concatenate([jittered(np.ones((len(p), 3)), 2 * COARSE, 0) for p in parts])

    found = steadiness(score, x, upper=1.0, rows=64)
    assert found.chance == found.company == 0
    assert "size of its batch" in found.doubt


HONEST = ["conv", "norm", "random", "codes"]


@pytest.mark.parametrize("kind", HONEST)
def test_honest_networks_are_steady(kind):
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()]
    if kind == "norm":
        layers.insert(1, nn.BatchNorm2d(16))
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 3)).eval()
    defence = {
        "random": ad.GaussianNoise(0.1),
        "codes": ad.RandDisc(sigma=0.2, centres=[0.1, 0.9]),
    }.get(kind, ad.ColorDepthReduction(4))
    classifier = built(network, defence)
    x = np.random.default_rng(1).random((70, 1, 4, 4)).astype(np.float32)
    if kind in ("random", "codes"):
        record = kl_certify(classifier, x, eps=0.001, draws=20, **QUIET)
        noise = record.settings["score_noise"]
        assert "measured on one frozen draw" in record.assumes
    else:
        noise = certify(classifier, x, eps=0.001, **QUIET).record.noise
    assert 0 <= noise < SAME / 10


def test_the_record_tells_noise_and_margin_and_older_ones_need_not(tmp_path):
    found = certify(made(Own), X, eps=0.01, **QUIET)
    assert 0 <= found.record.noise < SAME
    assert found.record.margin == SAME
    folder = found.save(tmp_path)
    assert load_record(folder / "record.json") == found.record
    assert "score margin" in render_run(folder).read_text(encoding="utf-8")
    body = found.record.to_dict()
    del body["noise"], body["margin"]
    old = type(found.record).from_dict(body)
    assert (old.noise, old.margin) == (None, None)


@pytest.mark.filterwarnings("ignore:batchnet.Net came without weights")
def test_the_command_refuses_it_too(tmp_path, capsys, monkeypatch):
    module = tmp_path / "batchnet.py"
    module.write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, *_):\n"
        "        super().__init__(); self.last = nn.Linear(64, 10)\n"
        "    def forward(self, x):\n"
        "        z = self.last(x.flatten(1)); return z - z.mean(0)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    words = "certify --dataset digits --model batchnet:Net --defence colordepth:n_codes=2"
    assert main([*words.split(), "--eps", "0.05", "--n-ex", "3", "--quiet"]) != 0
    assert "an image's own" in capsys.readouterr().err
