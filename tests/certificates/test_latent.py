import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

import art_disc as ad
from art_disc.certificates import latent_bits, latent_boxes
from art_disc.certificates.latent import certify_codes
from art_disc.certificates.latent_bits import reachable_bits
from art_disc.core.budget import BUDGET_TOLERANCE
from art_disc.core.errors import CertificateError, InputError
from art_disc.defences import LQVAEFilter
from art_disc.networks import LatentEncoder, LQVAENet, Stack
from tests.lqvae_file import lqvae_net

SHAPE, BITS, ETA = (1, 2, 3), 6, 0.4
STACK = Stack(down=((1, 1),), up=((1, 1),), hidden=BITS)


@pytest.fixture
def toy():
    """Bit i is +1 where pixel i lies in [0.3, 0.7]: every set of bits in reach is a product."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = LQVAENet(SHAPE, latent=BITS, eta=ETA, stack=STACK).eval()
        for layer in (net.decoder[0], net.decoder[2]):
            layer.weight.data = torch.randn(BITS, BITS)
        for layer in (net.decoder[5], net.decoder[7]):
            layer.weight.data.zero_()
            layer.weight.data[0, 0, 1, 1] = 1
    body, mean = net.encoder.body, net.encoder.mean
    with torch.no_grad():
        body[0].weight.zero_()
        body[0].weight[0, 0, 1, 1] = 1
        # above 0 the activations are the identity
        body[0].bias.fill_(2)
        for layer in (body[3], mean):
            layer.weight.copy_(torch.eye(BITS))
            layer.bias.zero_()
        mean.bias.fill_(-2)
    return net


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        self.linear = nn.Linear(BITS, 3, bias=False)
        self.linear.weight.data = 8 * torch.randn(3, BITS, generator=generator)

    def forward(self, x):
        return self.linear((x - 0.5).flatten(1))


def around(*defences, shape=SHAPE):
    return ad.build_classifier(
        Head().eval(), input_shape=shape, nb_classes=3, defences=list(defences)
    )


def by_force(classifier, image, eps):
    """All predictions within a budget: every pixel at every place of a fine grid, bit by bit."""
    sides = []
    for value in image.reshape(-1).astype(np.float64):
        places = np.linspace(max(0, value - eps), min(1, value + eps), 4001)
        inside = np.abs(2 * places - 1) <= ETA
        sides.append(
            [places[inside == side][0] for side in (True, False) if (inside == side).any()]
        )
    images = np.array(list(itertools.product(*sides)), dtype=np.float32).reshape(-1, *SHAPE)
    found = classifier.predict(images).argmax(axis=1)
    return [len(side) for side in sides], set(found.tolist())


def is_broken(classifier, image, label, witness, eps):
    """Whether a witness lies within the budget and its purified image is misclassified."""
    inside = np.abs(witness.astype(np.float64) - image).max() <= eps + BUDGET_TOLERANCE
    legal = inside and witness.min() >= 0 and witness.max() <= 1
    return legal and classifier.predict(witness[None]).argmax() != label


def of_linear_means(toy):
    """The same function of images, of an encoder that is one layer."""
    net = LQVAENet(SHAPE, latent=BITS, eta=ETA, stack=STACK, linear_encoder=True).eval()
    net.decoder.load_state_dict(toy.decoder.state_dict())
    with torch.no_grad():
        net.encoder.mean.weight.copy_(torch.eye(BITS))
        net.encoder.mean.bias.zero_()
    return net


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("method", ["complete", "enumeration"])
def test_on_six_bits_it_is_brute_force(toy, method, linear):
    classifier = around(LQVAEFilter(of_linear_means(toy) if linear else toy))
    x = np.random.default_rng(0).random((60, *SHAPE)).astype(np.float32)
    y = classifier.predict(x).argmax(axis=1)
    seen = []
    for eps in (0.02, 0.1, 0.25):
        found = certify_codes(classifier, x, y, eps=eps, method=method, verbose=False)
        for i, image in enumerate(x):
            sides, classes = by_force(classifier, image, eps)
            assert found.free[i] == sides.count(2)
            assert (found.verdicts[i] == "certified") == (classes == {y[i]})
            assert (found.verdicts[i] == "falsified") == (i in found.witnesses)
            if i in found.witnesses:
                assert is_broken(classifier, image, y[i], found.witnesses[i], eps)
        seen += zip(found.verdicts, found.free.tolist(), strict=True)
    # every code is met by some image here
    kinds = [verdict for verdict, _ in seen]
    assert kinds.count("falsified") > 10 * kinds.count("undecided")
    assert kinds.count("certified") > 10
    assert max(free for _, free in seen) >= 5


def test_what_a_linear_encoder_leaves_free_is_what_its_rows_say():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = LQVAENet((1, 5, 4), latent=40, eta=ETA, stack=STACK, linear_encoder=True).eval()
        x = torch.rand(30, 1, 5, 4)
    rows = 2 * net.encoder.mean.weight.detach().double()
    means = net.encode(x)[0].detach().double()
    free = []
    for eps in (0.02, 0.05):
        # pixels end at 0 and 1
        up, down = (1 - x).clamp(max=eps), x.clamp(max=eps)
        positive, negative = rows.clamp(min=0), (-rows).clamp(min=0)
        up, down = (part.flatten(1).double() for part in (up, down))
        most = means + up @ positive.T + down @ negative.T
        least = means - down @ positive.T - up @ negative.T
        bits = reachable_bits(net, x, eps)
        inside, outside = (least > -ETA) & (most < ETA), (least > ETA) | (most < -ETA)
        assert torch.equal(bits, inside.long() - outside.long())
        free.append((bits == 0).double().mean().item())
    assert 0.05 < free[0] < free[1] < 0.95


@pytest.mark.parametrize("threshold", [0.3, 0.7])
def test_a_bit_is_free_from_the_budget_on_that_reaches_a_threshold(toy, threshold):
    x = torch.full((1, *SHAPE), 0.5)
    for away in (0.05, -0.05):
        x[0, 0, 0, 0] = threshold + away
        free = [reachable_bits(toy, x, eps)[0, 0].item() for eps in (0.0495, 0.0505)]
        assert free[1] == 0
        # 1 % too small a budget, and it is what the image's own bit is
        assert free[0] == (1 if abs(x[0, 0, 0, 0] - 0.5) < 0.2 else -1)
        assert (reachable_bits(toy, x, 0.0505)[0, 1:] == 1).all()


def test_what_an_attack_may_exceed_the_budget_by_is_within_reach(toy, monkeypatch):
    """Also where no rounding error is charged that would cover it."""
    x = torch.full((1, *SHAPE), 0.5)
    x[0, 0, 0, 0] = 0.65
    exact = latent_bits.magnitudes
    monkeypatch.setattr(
        latent_bits, "magnitudes", lambda *given: replace(exact(*given), error=torch.zeros(1))
    )
    monkeypatch.setattr(latent_bits, "_ROUNDED", 0.0)
    share = 0.9 * BUDGET_TOLERANCE
    assert reachable_bits(toy, x.double(), 0.05 - share)[0, 0] == 0
    assert reachable_bits(toy, x.double(), 0.05 - 2e-6)[0, 0] == 1


def test_at_a_threshold_a_bit_may_be_both(toy):
    x = torch.full((1, *SHAPE), 0.5)
    x[0, 0, 0, 0] = 0.7
    assert reachable_bits(toy, x, 0.0)[0].tolist() == [0, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("seed", range(3))
def test_no_image_within_the_budget_has_a_bit_that_is_excluded(seed):
    net = lqvae_net((1, 6, 6), seed=seed)
    rng = np.random.default_rng(seed)
    x = torch.tensor(rng.random((4, 1, 6, 6)).astype(np.float32))
    eps = 0.01
    bits = reachable_bits(net, x, eps)
    assert (bits != 0).any()
    for i, image in enumerate(x):
        # corners go furthest
        signs = rng.choice([-1, 0, 1], size=(3000, 1, 6, 6)).astype(np.float32)
        moved = (image + eps * torch.tensor(signs)).clamp(0, 1)
        with torch.no_grad():
            codes = net.hard(net.encode(moved)[0])
        fixed = bits[i] != 0
        assert (codes[:, fixed] == bits[i, fixed]).all()


def test_the_lipschitz_bound_alone_is_enough(toy, monkeypatch):
    x = torch.full((1, *SHAPE), 0.5)
    monkeypatch.setattr(
        "art_disc.bounds.linear.Bounds.lower",
        lambda self, rows, value=-1: torch.full(rows.shape[:2], -torch.inf, dtype=rows.dtype),
    )
    # |2 delta|_2 = 2 eps sqrt(6) against a way of 0.4 to a threshold
    limit = 0.4 / (2 * 6**0.5)
    assert (reachable_bits(toy, x, 0.99 * limit) == 1).all()
    assert (reachable_bits(toy, x, 1.01 * limit) == 0).all()


def test_each_mean_has_the_bound_of_its_own_row(toy, monkeypatch):
    monkeypatch.setattr(
        "art_disc.bounds.linear.Bounds.lower",
        lambda self, rows, value=-1: torch.full(rows.shape[:2], -torch.inf, dtype=rows.dtype),
    )
    gains = torch.tensor([3.0, 1.0, 6.0, 2.0, 5.0, 4.0])
    with torch.no_grad():
        toy.encoder.mean.weight.copy_(torch.diag(gains))
        toy.encoder.mean.bias.copy_(-2 * gains)
    # those of gains up to 3 stay on their side of a threshold 0.4 away
    eps = 0.4 / (2 * 6**0.5) / 3.5
    bits = reachable_bits(toy, torch.full((1, *SHAPE), 0.5), eps)
    assert (bits[0] == 1).tolist() == (gains < 3.5).tolist()
    assert (bits[0] == 0).tolist() == (gains > 3.5).tolist()


def test_a_wrong_prediction_falsifies_and_too_many_bits_are_undecided(toy):
    classifier = around(LQVAEFilter(toy))
    x = np.random.default_rng(1).random((20, *SHAPE)).astype(np.float32)
    y = (classifier.predict(x).argmax(axis=1) + 1) % 3
    found = certify_codes(classifier, x, y, eps=0.1, verbose=False)
    assert set(found.verdicts) == {"falsified"}
    assert set(found.reasons) == {"misclassified without perturbation"}
    assert all(np.array_equal(found.witnesses[i], image) for i, image in enumerate(x))
    options = {"method": "enumeration", "verbose": False}
    found = certify_codes(classifier, x[:8], eps=0.25, max_free=1, **options)
    left = (found.free > 1) & (np.array(found.verdicts) != "falsified")
    assert left.any()
    for i in np.flatnonzero(left):
        assert (found.verdicts[i], found.reasons[i]) == ("undecided", "more than 2^1 code images")
        assert found.evaluated[i] == 0


def test_another_range_and_layout_change_nothing(toy):
    x = np.random.default_rng(0).random((12, *SHAPE)).astype(np.float32)
    options = {"method": "enumeration", "verbose": False}
    expected = certify_codes(around(LQVAEFilter(toy)), x, eps=0.1, **options)

    class Scaled(Head):
        def forward(self, images):
            return super().forward(images.movedim(-1, 1) / 255)

    last = ad.build_classifier(
        Scaled().eval(), input_shape=(2, 3, 1), nb_classes=3, clip_values=(0, 255),
        channels_first=False, defences=[LQVAEFilter(toy)],
    )  # fmt: skip
    x = np.moveaxis(x, 1, -1) * np.float32(255)
    found = certify_codes(last, x, eps=25.5, **options)
    assert found.verdicts == expected.verdicts
    assert {"certified", "falsified"} <= set(found.verdicts)
    assert max(witness.max() for witness in found.witnesses.values()) > 1
    with pytest.raises(CertificateError, match="no bounds for movedim"):
        certify_codes(last, x, eps=25.5)
    assert np.array_equal(found.free, expected.free)


def test_other_classifiers_are_refused(toy):
    x = np.zeros((1, *SHAPE), np.float32)
    told = "whose one defence is an LQVAEFilter with inference='mean', got a"
    for chain, names in (
        ([], "none"),
        ([ad.ColorDepthReduction(2)], "ColorDepthReduction"),
        ([LQVAEFilter(toy), ad.ColorDepthReduction(2)], "LQVAEFilter, ColorDepthReduction"),
        ([LQVAEFilter(toy, inference="sampled").frozen(1)], "LQVAEFilter"),
    ):
        with pytest.raises(CertificateError, match=rf"{told} \w+ with {names}$"):
            certify_codes(around(*chain), x, eps=0.1)
    hooked = around(LQVAEFilter(toy))
    hooked.defences[0].map.network.encoder.register_forward_hook(lambda *_: None)
    with pytest.raises(CertificateError, match="a hook of LatentEncoder"):
        certify_codes(hooked, x, eps=0.1)
    exchanged = around(LQVAEFilter(toy))
    exchanged.defences[0].map.network.hard = lambda z: z
    with pytest.raises(CertificateError, match="hard of this LQVAENet was exchanged"):
        certify_codes(exchanged, x, eps=0.1)
    arts = PyTorchClassifier(
        Head(), nn.CrossEntropyLoss(), SHAPE, 3, clip_values=(0, 1),
        preprocessing_defences=[LQVAEFilter(toy)],
    )  # fmt: skip
    with pytest.raises(CertificateError, match="got a PyTorchClassifier with LQVAEFilter"):
        certify_codes(arts, x, eps=0.1)
    with pytest.raises(InputError, match="eps"):
        certify_codes(around(LQVAEFilter(toy)), x, eps=25)
    with pytest.raises(InputError, match="method must be one of complete, enumeration"):
        certify_codes(around(LQVAEFilter(toy)), x, eps=0.1, method="bounds")


class Company(nn.Module):
    """Looks at how many others there are, at one image alone."""

    def __init__(self, net):
        super().__init__()
        self.net, self.at = net, None

    def forward(self, x):
        made = self.net(x)
        if self.at is None:
            return made
        mine = (x - self.at).flatten(1).abs().amax(dim=1) < 1e-6
        return torch.where(mine[:, None], made + 2 * len(x) * torch.eye(3)[0], made)


def test_every_code_that_is_classified_must_be_steady(toy):
    """What differs from batch to batch at one code of many refuses the whole."""
    head = Company(Head()).eval()
    classifier = ad.build_classifier(
        head, input_shape=SHAPE, nb_classes=3, defences=[LQVAEFilter(toy)]
    )
    x = np.full((1, *SHAPE), 0.31, np.float32)
    (row,) = reachable_bits(toy, torch.tensor(x), 0.02).numpy()
    assert (row == 0).sum() > 1
    codes = latent_boxes._choices(row)
    options = {"method": "enumeration", "verbose": False}
    certify_codes(classifier, x, eps=0.02, **options)
    # of all that are measured, the first, the last and some between
    for code in (*codes[::11], codes[-1]):
        with torch.no_grad():
            head.at = toy.decode(torch.tensor(2 * code[None] - 1))
        with pytest.raises(CertificateError, match="needs scores that are an image's own"):
            certify_codes(classifier, x, eps=0.02, **options)


class Tilted(LatentEncoder):
    """Runs the same layers, and moves what they make."""

    def forward(self, x):
        means, log_variances = super().forward(x)
        return 3 * means + 0.5, log_variances


def test_the_encoder_that_runs_is_the_one_that_is_bounded(toy):
    own = toy.encoder
    toy.encoder = Tilted(SHAPE, BITS, STACK)
    toy.encoder.load_state_dict(own.state_dict())
    x = torch.rand(40, *SHAPE, generator=torch.Generator().manual_seed(0))
    bits = reachable_bits(toy, x, 1e-3)
    with torch.no_grad():
        codes = toy.hard(toy.encode(x)[0])
    assert (bits != 0).any()
    assert (bits[bits != 0] == codes[bits != 0]).all()
    assert np.isinf(toy.lipschitz_bound())


@pytest.mark.parametrize(
    "layer", [nn.LeakyReLU(30.0), nn.BatchNorm2d(1), nn.Sequential(nn.LeakyReLU(30.0))], ids=str
)
def test_the_bound_in_l2_knows_every_layer_of_the_encoder(toy, layer):
    before = toy.lipschitz_bound()
    toy.encoder.body[1] = layer.eval()
    after = toy.lipschitz_bound()
    expected = pytest.approx(30 * before) if isinstance(layer, nn.LeakyReLU) else np.inf
    assert after == expected
