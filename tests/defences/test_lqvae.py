import copy
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescent
from torch import nn

import art_disc as ad
from art_disc.core.errors import (
    DataNotFoundError,
    FileFormatError,
    InputError,
    InputWarning,
    NotFittedError,
)
from art_disc.defences import LatentIdentity, LQVAEFilter, SoftCode, Tent, lqvae_map
from art_disc.defences import images as images_module
from art_disc.estimators import RandomizedClassifier
from art_disc.evaluation.zoo.matrix import zoo_matrix
from art_disc.networks import LQVAENet, Stack, weights_hash
from art_disc.surrogates import Identity
from art_disc.training import LQVAE
from tests.lqvae_file import lqvae_file, lqvae_net

SHAPE = (1, 8, 8)
SURROGATES = ("softcode", "softcode:1", "latent", "tent")


@pytest.fixture
def net():
    return lqvae_net(SHAPE, noise=0.4)


@pytest.fixture
def x():
    return np.random.default_rng(0).random((5, *SHAPE)).astype(np.float32)


def gradient(defence, x, grad):
    """What autograd gives through the map that a classifier runs."""
    leaf = torch.tensor(x, requires_grad=True)
    defence.map(leaf).backward(torch.tensor(grad))
    return leaf.grad.numpy()


def in_64_bits(net, x, normal, code):
    """Purified images by other code, `code` in the place of H, in float64."""
    twin = copy.deepcopy(net).double()
    mean, log_variance = twin.encoder(2 * torch.as_tensor(x).double() - 1)
    z = mean if normal is None else mean + net.noise * (log_variance / 2).exp() * normal
    return (twin.decoder(code(z)) + 1) / 2


def test_the_value_is_decoder_1_of_the_hard_code(net, x):
    def code(z):
        return torch.where(abs(z) <= net.eta, 1.0, -1.0).double()

    expected = in_64_bits(net, x, None, code)
    for surrogate in (*SURROGATES, "identity"):
        made = LQVAEFilter(net, surrogate=surrogate)(x)[0]
        assert np.allclose(made, expected.detach().numpy(), atol=1e-5)
    assert 0 <= made.min() < made.max() <= 1
    assert len(np.unique(made[:, 0, 4, 4])) > 1


@pytest.mark.parametrize("inference", ["mean", "sampled"])
@pytest.mark.parametrize("c", [None, 0.5])
def test_the_gradient_is_the_finite_difference_of_the_soft_model(net, x, inference, c):
    defence = LQVAEFilter(net, inference=inference, surrogate=SoftCode(c)).frozen(3)
    rng = np.random.default_rng(1)
    grad = rng.normal(size=x.shape).astype(np.float32)
    found = gradient(defence, x, grad)
    own = net.soft_c if c is None else c
    normal = None
    if inference == "sampled":
        # one set of numbers for every image, found by what the filter makes of them
        normal = drawn_by(defence, x)

    def value(images):
        def soft(z):
            inside = net.eta**2 - z**2
            return inside / (own + abs(inside))

        made = in_64_bits(net, images, normal, soft)
        return (made.detach().numpy() * grad).sum(axis=(1, 2, 3))

    for place in ((0, 0, 0), (0, 3, 4), (0, 7, 2)):
        step = np.zeros(SHAPE)
        step[place] = 1e-6
        slope = (value(x.astype(np.float64) + step) - value(x.astype(np.float64) - step)) / 2e-6
        assert np.allclose(found[(slice(None), *place)], slope, rtol=1e-3, atol=1e-5)
    assert np.abs(found).max() > 0.01


def drawn_by(defence, x):
    """The numbers that a frozen filter adds to the latent variables."""
    kept = []
    network = defence.map.network
    with pytest.MonkeyPatch.context() as patch:
        moved = type(network).moved

        def watched(self, mean, log_variance, normal):
            kept.append(normal.clone())
            return moved(self, mean, log_variance, normal)

        patch.setattr(type(network), "moved", watched)
        defence(x)
    (normal,) = kept
    assert torch.equal(normal[0], normal[-1])
    return normal.double()


@pytest.mark.parametrize(("surrogate", "slope"), [("latent", lambda z: 1), ("tent", torch.sign)])
def test_h_alone_is_replaced_by_the_identity_or_a_tent(net, x, surrogate, slope):
    grad = np.random.default_rng(1).normal(size=x.shape).astype(np.float32)
    leaf = torch.tensor(x, requires_grad=True)
    z = net.encode(leaf)[0]
    codes = net.hard(z.detach()).requires_grad_()
    net.decode(codes).backward(torch.tensor(grad))
    factor = slope(z.detach()) * (-1 if surrogate == "tent" else 1)
    z.backward(codes.grad * factor)
    found = gradient(LQVAEFilter(net, surrogate=surrogate), x, grad)
    assert np.allclose(found, leaf.grad.numpy(), rtol=1e-4, atol=1e-6)
    assert (z > 0).any()
    assert (z < 0).any()


def test_the_identity_leaves_the_filter_out(net, x):
    grad = np.random.default_rng(1).normal(size=x.shape).astype(np.float32)
    assert np.array_equal(gradient(LQVAEFilter(net, surrogate="identity"), x, grad), grad)


@pytest.mark.parametrize("inference", ["mean", "sampled"])
def test_parts_change_nothing(net, x, inference, monkeypatch):
    grad = np.ones_like(x)
    twice = []
    for memory in (1 << 28, 1):
        monkeypatch.setattr("art_disc.defences.images.MEMORY_BYTES", memory)
        defence = LQVAEFilter(net, inference=inference, seed=2)
        twice.append((defence(x)[0], gradient(defence, x, grad)))
    for one, other in zip(*twice, strict=True):
        assert np.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize(
    ("inference", "surrogate", "passes"),
    [
        ("mean", "softcode", 2), ("mean", "latent", 1), ("mean", "tent", 1),
        # the graphs of all draws together would fit no budget
        ("sampled", "tent", 2),
    ],
)  # fmt: skip
def test_where_the_stand_in_has_the_exact_value_one_pass_serves_both(
    net, x, inference, surrogate, passes, monkeypatch
):
    grad = np.random.default_rng(1).normal(size=x.shape).astype(np.float32)

    def of(rows):
        monkeypatch.setattr(images_module, "MEMORY_BYTES", rows)
        defence = LQVAEFilter(net, inference=inference, surrogate=surrogate).frozen(3)
        count = []
        handle = defence.network.encoder.register_forward_hook(lambda _, i, __: count.append(i))
        leaf = torch.tensor(x, requires_grad=True)
        made = defence.map(leaf)
        made.backward(torch.tensor(grad))
        handle.remove()
        assert torch.equal(made, torch.tensor(defence(x)[0]))
        assert made.requires_grad
        return len(count), leaf.grad

    found, expected = of(1 << 28), of(1)
    assert found[0] == passes
    # image by image, there and back
    assert expected[0] == 2 * len(x)
    assert torch.allclose(found[1], expected[1], rtol=1e-4, atol=1e-6)
    assert found[1].abs().max() > 1e-3


@pytest.mark.parametrize(
    ("shape", "stack"), [((1, 28, 28), Stack.table8()), ((3, 32, 32), Stack.table9())]
)
def test_what_autograd_keeps_of_an_image_is_counted(shape, stack):
    network, kept = LQVAENet.blank(input_shape=shape, stack=stack), []
    image = torch.rand(1, *shape, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        network.decode(network.soft(network.encode(image)[0]))
    weights = {p.data_ptr() for p in network.parameters()}
    own = sum({t.data_ptr(): t.numel() for t in kept if t.data_ptr() not in weights}.values())
    assert own <= lqvae_map.copies(network) * image.numel() <= 1.5 * own


def test_sampled_inference_draws_and_mean_inference_does_not(net, x):
    sampled, mean = LQVAEFilter(net, inference="sampled"), LQVAEFilter(net)
    assert sampled.is_random
    assert not mean.is_random
    assert not np.array_equal(sampled(x)[0], sampled(x)[0])
    assert np.array_equal(mean(x)[0], mean(x)[0])
    assert not mean.with_seed(3).frozen(1).is_random
    assert "seed" not in mean.describe()
    assert mean.describe() == f"LQVAEFilter(vae={weights_hash(net)!r}, inference='mean', eta=0.3)"
    # without noise a draw is the mean
    still = LQVAEFilter(lqvae_net(SHAPE, noise=0.0), inference="sampled")
    assert np.array_equal(still(x)[0], mean(x)[0])


def test_what_tells_two_filters_apart_are_weights_and_thresholds(net):
    same = LQVAEFilter(copy.deepcopy(net))
    assert same.identity() == LQVAEFilter(net).with_surrogate("tent").identity()
    others = [lqvae_net(SHAPE, seed=1), lqvae_net(SHAPE, eta=0.4)]
    assert len({same.identity(), *(LQVAEFilter(other).identity() for other in others)}) == 3


def test_what_becomes_of_the_lqvae_means_nothing_to_the_filter(net, x):
    defence = LQVAEFilter(net)
    before = defence(x)[0]
    with torch.no_grad():
        net.encoder.mean.weight.zero_()
    assert np.array_equal(defence(x)[0], before)
    assert np.array_equal(defence.with_surrogate("tent")(x)[0], before)
    assert np.array_equal(pickle.loads(pickle.dumps(defence))(x)[0], before)  # noqa: S301 - our own
    defence.set_params(vae=net)
    assert not np.array_equal(defence(x)[0], before)


def test_fitted_objects_files_and_networks_are_one(digits_lqvae, digits, tmp_path):
    x = digits.x_test[:20]
    path = digits_lqvae.save(tmp_path / "vae.npz")
    expected = digits_lqvae.purify(x)
    for given in (digits_lqvae, path, str(path), digits_lqvae.network):
        assert np.array_equal(LQVAEFilter(given)(x)[0], expected)
    line = ad.defences.parse_defence(f"lqvae:file={path},surrogate=softcode:2,inference=sampled")
    assert line.surrogate == SoftCode(2.0)
    assert line.is_random


def test_its_own_fit_refuses_and_names_the_one_that_learns(net, x):
    with pytest.raises(InputError, match=r"LQVAEFilter learns nothing; fit the LQVAE"):
        LQVAEFilter(net).fit(x)


def test_what_is_no_fitted_lqvae_is_refused(net, tmp_path):
    with pytest.raises(NotFittedError, match=r"call fit\(x_train\) first"):
        LQVAEFilter(LQVAE())
    for odd, told in ((None, "NoneType"), (LQVAE, "LQVAE"), (nn.Identity(), "Identity")):
        with pytest.raises(InputError, match=f"got {told}$"):
            LQVAEFilter(odd)
    with pytest.raises(DataNotFoundError):
        LQVAEFilter(tmp_path / "absent.npz")
    (tmp_path / "odd.npz").write_bytes(b"PK")
    with pytest.raises(FileFormatError, match=r"odd\.npz"):
        LQVAEFilter(str(tmp_path / "odd.npz"))
    with pytest.raises(InputError, match="inference must be one of mean, sampled, got 'mode'"):
        LQVAEFilter(net, inference="mode")
    with pytest.raises(InputError, match=r"surrogate must be softcode.*or identity, got 'soft:3'"):
        LQVAEFilter(net, surrogate="soft:3")
    with pytest.raises(InputError, match="c must be a number > 0"):
        SoftCode(0)


def test_images_of_another_shape_are_refused(net, x, digits_net):
    with pytest.raises(InputError, match=r"this LQVAE takes images \(1, 8, 8\), got \(1, 7, 8\)"):
        LQVAEFilter(net)(x[:, :, 1:])
    defences = [LQVAEFilter(lqvae_net((1, 9, 9)))]
    with pytest.raises(InputError, match=r"this LQVAE takes images \(1, 9, 9\), got \(1, 8, 8\)"):
        ad.build_classifier(digits_net, input_shape=SHAPE, nb_classes=10, defences=defences)


def test_other_surrogates_to_attack_through_are_blunter(net):
    assert LQVAEFilter(net).spread() == (SoftCode(0.1), SoftCode(1.0), Tent())
    assert LQVAEFilter(net, surrogate="softcode:2").spread()[0] == SoftCode(2.0)
    assert LQVAEFilter(net).with_surrogate("latent").surrogate == LatentIdentity()
    assert LQVAEFilter(net).with_surrogate(Identity()).surrogate == Identity()


def around(digits, net, vae, **options):
    return ad.build_classifier(net, data=digits, defences=[LQVAEFilter(vae, **options)])


def after_pgd(attacked, digits, n=60):
    """Accuracy of the exact filter and classifier after PGD, clean first."""
    x, y = digits.x_test[:n].copy(), np.eye(10, dtype=np.float32)[digits.y_test[:n]]
    attack = ProjectedGradientDescent(
        attacked, eps=0.3, eps_step=0.06, max_iter=10, batch_size=64, verbose=False
    )
    predicted = [attacked.predict(i).argmax(axis=1) for i in (x, attack.generate(x, y))]
    return [float((found == digits.y_test[:n]).mean()) for found in predicted]


@pytest.mark.parametrize("surrogate", ["softcode", "tent", "identity"])
def test_an_attack_end_to_end_sees_through_h(digits, digits_net, digits_lqvae, surrogate):
    clean, left = after_pgd(around(digits, digits_net, digits_lqvae, surrogate=surrogate), digits)
    assert clean > 0.6
    # random signs of that size leave most
    assert left < 0.5 * clean


def test_the_identity_on_latent_variables_is_a_gradient_if_a_blunt_one(
    digits, digits_net, digits_lqvae
):
    # H is even, so half of its slopes are of the wrong sign: how blunt is the training's luck
    classifier, n = around(digits, digits_net, digits_lqvae, surrogate="latent"), 200
    _, left = after_pgd(classifier, digits, n)
    signs = np.random.default_rng(0).choice([-0.3, 0.3], digits.x_test[:n].shape)
    moved = np.clip(digits.x_test[:n] + signs, 0, 1).astype(np.float32)
    found = classifier.predict(moved).argmax(axis=1)
    assert left < (found == digits.y_test[:n]).mean() - 0.05


@pytest.mark.parametrize("inference", ["mean", "sampled"])
@pytest.mark.parametrize("surrogate", ["softcode", "latent", "tent", "identity"])
def test_far_away_images_have_a_finite_gradient(
    digits, digits_net, digits_lqvae, surrogate, inference
):
    # ART's NewtonFool, for one, goes there before it clips
    options = {"surrogate": surrogate, "inference": inference}
    classifier = around(digits, digits_net, digits_lqvae, **options)
    draw = np.random.default_rng(0).standard_normal((8, *SHAPE)).astype(np.float32)
    y = np.eye(10, dtype=np.float32)[:8]
    for scale in (1e2, 1e5, 1e10, 1e20, 1e30):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)
            scores = classifier.predict(draw * np.float32(scale))
            slopes = classifier.loss_gradient(draw * np.float32(scale), y)
        assert np.isfinite(scores).all(), scale
        assert np.isfinite(slopes).all(), scale


@pytest.mark.parametrize("seed", [0, 3])
def test_mean_inference_is_one_pass_for_a_prediction_and_one_for_a_gradient(
    digits, digits_net, digits_lqvae, seed
):
    passes = []
    net = copy.deepcopy(digits_net)
    net.register_forward_hook(lambda *_: passes.append(1))
    classifier = around(digits, net, digits_lqvae, seed=seed)
    assert not isinstance(classifier, RandomizedClassifier)
    x, y = digits.x_test[:8], digits.y_test[:8]
    passes.clear()
    scores = classifier.predict(x)
    classifier.loss_gradient(x, y)
    assert len(passes) == 2
    # scores are the network's own, not logarithms of means
    made = torch.tensor(digits_lqvae.purify(x))
    assert np.allclose(scores, digits_net(made).detach().numpy(), atol=1e-4)


def test_sampled_inference_is_attacked_and_voted_on(digits, digits_net, digits_lqvae):
    classifier = around(digits, digits_net, digits_lqvae, inference="sampled", seed=3)
    assert isinstance(classifier, RandomizedClassifier)
    clean, left = after_pgd(classifier, digits, 30)
    assert clean > 0.6
    assert left < 0.6 * clean


def test_training_a_classifier_behind_it_leaves_the_filter_alone(digits, digits_net, digits_lqvae):
    base = copy.deepcopy(digits_net)
    classifier = around(digits, base, digits_lqvae)
    before = weights_hash(classifier.defences[0].network), weights_hash(base)
    optimizer = torch.optim.SGD(classifier.model.parameters(), lr=0.1, weight_decay=0.5)
    nn.functional.cross_entropy(
        classifier.model(torch.tensor(digits.x_train[:20])), torch.tensor(digits.y_train[:20])
    ).backward()
    optimizer.step()
    assert weights_hash(classifier.defences[0].network) == before[0]
    assert weights_hash(base) != before[1]


def test_the_zoo_attacks_both_inferences(digits, digits_net, digits_lqvae):
    models = {
        "mean": around(digits, digits_net, digits_lqvae),
        "sampled": around(digits, digits_net, digits_lqvae, inference="sampled"),
    }
    record = zoo_matrix(models, digits, attacks=["fgsm", "pgd"], n_ex=8, verbose=False)
    assert record.flaws() == ()
    assert {(cell.defence, cell.status) for cell in record.cells} == {
        ("mean", "lowered"),
        ("sampled", "lowered"),
    }


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_python_of_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "purifiers.md").read_text(encoding="utf-8")
    code = page.split("```python\n")[1].split("```")[0]
    exec(compile(code, "purifiers.md", "exec"), {})  # noqa: S102 - our own text
    assert "LQVAEReport" in capsys.readouterr().out


def test_a_file_of_another_shape_fits_other_images():
    defence = LQVAEFilter(lqvae_file((3, 6, 7)), channels_first=False, clip_values=(0, 255))
    x = np.random.default_rng(0).integers(0, 256, (4, 6, 7, 3), dtype=np.uint8)
    made = defence(x)[0]
    assert made.shape == x.shape
    assert 1 < made.max() <= 255
