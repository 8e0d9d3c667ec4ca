import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from art_disc.core.errors import (
    DataNotFoundError,
    FileFormatError,
    InputError,
    NotFittedError,
)
from art_disc.networks import LQVAENet, Stack, weights_hash
from art_disc.networks.lqvae_layers import local_averages
from art_disc.training import LQVAE, lqvae_fit
from art_disc.training.lqvae_settings import PRESETS, LQVAESettings
from art_disc.training.lqvae_step import StepLoss, divergence

TINY = Stack(down=((2, 2),), up=((2, 2),), hidden=6)


def tiny(**options):
    few = {"latent": 5, "stack": TINY, "batch_size": 8, "steps": 7}
    return LQVAE.preset("paper", **few | options)


@pytest.fixture(scope="module")
def x(digits):
    return digits.x_train[:40]


def test_digits_are_told_apart_by_their_bits(digits_lqvae, digits):
    learned = digits_lqvae
    errors = [report.error for report in learned.reports_]
    assert [report.step for report in learned.reports_] == [50, 200, 250]
    mean_image = np.square(digits.x_test - digits.x_train.mean(0)).mean()
    # no better than the mean image would be what a code of no bits gives
    assert errors[-1] < 0.75 * mean_image
    assert errors[-1] < errors[0]
    made = learned.purify(digits.x_test[:500])
    assert np.square(made - digits.x_test[:500]).mean() == pytest.approx(errors[-1], rel=1e-4)
    assert made.dtype == np.float32
    assert 0 <= made.min() < made.max() <= 1
    codes = learned.codes(digits.x_test)
    assert set(np.unique(codes)) == {-1.0, 1.0}
    assert len(np.unique(codes, axis=0)) > 100


def test_what_is_looked_at_is_no_part_of_what_is_learned(x, digits):
    class Bright:
        def predict(self, images):
            return np.stack([images.mean((1, 2, 3)) < 0.3, images.mean((1, 2, 3)) >= 0.3], 1)

    plain = tiny().fit(x, verbose=False)
    labels = np.zeros(30, dtype=int)
    seen = tiny().fit(
        x, x_test=digits.x_test[:30], y_test=labels, classifier=Bright(), verbose=False
    )
    assert weights_hash(seen.network) == weights_hash(plain.network)
    made = seen.purify(digits.x_test[:30])
    assert seen.reports_[-1].accuracy == np.mean(made.mean((1, 2, 3)) < 0.3)
    assert plain.reports_[-1].accuracy is None


def test_the_same_seed_gives_the_same_weights_and_another_does_not(x):
    state = torch.get_rng_state()
    hashes = [weights_hash(tiny(random_state=s).fit(x, verbose=False).network) for s in (0, 0, 1)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert torch.equal(torch.get_rng_state(), state)


CHANGES = [
    *({"eta": 0.2}, {"soft_c": 0.3}, {"noise": 0.1}, {"lipschitz": 3.0}, {"penalty": "summed"}),
    *({"penalty": "none"}, {"penalty": "bounded"}, {"penalty_weight": 5.0}, {"kl_weight": 0.0}),
    *({"optimizer": "rmsprop"}, {"learning_rate": 0.01}, {"decay": 0.01}, {"batch_size": 9}),
    *({"steps": 8}, {"shuffle": False}, {"copy_decoder": False}),
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_every_setting_takes_effect(x, change):
    plain, changed = (tiny(**own).fit(x, verbose=False).network for own in ({}, change))
    assert not all(
        torch.equal(a, b) for a, b in zip(plain.parameters(), changed.parameters(), strict=True)
    )


def test_without_a_shuffle_the_images_come_in_order(x):
    run = lqvae_fit._Fit(tiny(shuffle=False, batch_size=16), lqvae_fit.Images(x, x, x, None, None))
    assert [run._batch(s).tolist() for s in (0, 2, 3)] == [
        list(range(16)), list(range(32, 40)), list(range(16)),
    ]  # fmt: skip
    run = lqvae_fit._Fit(tiny(batch_size=16), lqvae_fit.Images(x, x, x, None, None))
    passes = [
        torch.cat([run._batch(s) for s in steps]).tolist() for steps in ((0, 1, 2), (3, 4, 5))
    ]
    assert sorted(passes[0]) == sorted(passes[1]) == list(range(40))
    assert passes[0] != passes[1]


def parts_of(net, x, normal):
    """Loss parts by other code, in 64 bits."""
    images = 2 * x - 1
    mean, log_variance = net.encoder(images)
    z = mean + net.noise * torch.exp(log_variance / 2) * normal
    inside = net.eta**2 - z**2
    soft = net.soft_decoder(inside / (net.soft_c + abs(inside)))
    hard = net.decoder(torch.where(abs(z) <= net.eta, 1.0, -1.0).to(z.dtype))
    one, two = (((made - images) ** 2).sum(dim=(1, 2, 3)) for made in (soft, hard))
    kl = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, torch.exp(log_variance / 2)),
        torch.distributions.Normal(torch.zeros_like(mean), 1.0),
    ).sum(dim=1)
    return mean, log_variance, one, two, kl


@pytest.fixture
def batch():
    net = LQVAENet((1, 6, 6), latent=4, stack=TINY, noise=0.5).double()
    return net, torch.rand(3, 1, 6, 6).double(), torch.randn(3, 4).double()


def test_the_kl_divergence_is_torchs(batch):
    mean, log_variance, *_, kl = parts_of(*batch)
    assert torch.allclose(divergence(mean, log_variance), kl)


@pytest.mark.parametrize("penalty", ["summed", "jacobian", "none"])
def test_the_loss_is_that_of_algorithm_1(batch, penalty):
    net, x, normal = batch
    loss = StepLoss(
        LQVAESettings(penalty=penalty, penalty_weight=7.0, kl_weight=3.0, lipschitz=0.2)
    )
    direction = loss.direction(3, 4, torch.Generator().manual_seed(0))
    *_, one, two, kl = parts_of(net, x, normal)
    expected = one + two + 3 * kl
    if penalty == "none":
        assert direction is None
    else:
        direction = direction.double()
        rows = torch.autograd.functional.jacobian(lambda i: net.encoder(i)[0], 2 * x - 1)
        own = torch.stack([rows[i, :, i].flatten(1) for i in range(3)])
        along = torch.einsum("nk,nkp->np", direction, own).norm(dim=1)
        expected = expected + 7 * (along - 0.2) ** 2
        lengths = direction.norm(dim=1)
        # the sum of four means, or one direction of length 1
        assert torch.allclose(lengths, torch.full_like(lengths, 2 if penalty == "summed" else 1))
    assert torch.allclose(loss(net, x, x, normal, direction), expected.mean())


def test_every_network_learns_from_the_errors_that_reach_it(batch):
    net, x, normal = batch
    loss = StepLoss(LQVAESettings(penalty="summed", penalty_weight=2.0, kl_weight=0.5))
    direction = torch.ones(3, 4).double()
    loss(net, x, x, normal, direction).backward()
    found = {name: p.grad.clone() for name, p in net.named_parameters()}
    net.zero_grad()
    _, _, one, two, _ = parts_of(net, x, normal)
    (one.mean() + two.mean()).backward()
    for name, p in net.named_parameters():
        if name.startswith(("decoder", "soft_decoder")):
            assert torch.allclose(found[name], p.grad), name
    # decoder 1's error alone reaches no encoder
    net.zero_grad()
    parts_of(net, x, normal)[3].mean().backward()
    assert all(p.grad is None or not p.grad.any() for p in net.encoder.parameters())
    assert all(found[f"encoder.{name}"].any() for name, _ in net.encoder.named_parameters())


def test_the_penalty_brings_the_gradient_to_its_length(x):
    lengths = []
    for weight in (0.0, 300.0):
        vae = tiny(penalty="summed", penalty_weight=weight, lipschitz=2.0, steps=120)
        net = vae.fit(x, verbose=False).network
        images = (2 * torch.tensor(x) - 1).requires_grad_()
        (slope,) = torch.autograd.grad(net.encoder(images)[0].sum(), images)
        lengths.append(float(slope.flatten(1).norm(dim=1).mean()))
    assert abs(lengths[1] - 2) < 0.3 < abs(lengths[0] - 2)


def test_a_bounded_encoder_has_the_stated_bound_after_training(x):
    vae = tiny(penalty="bounded", lipschitz=0.7, steps=60, learning_rate=0.02)
    net = vae.fit(x, verbose=False).network
    assert 0.5 < net.lipschitz_bound() <= 1.4 * (1 + 1e-9)
    # plain layers, whose weights are the rescaled ones
    assert {type(m).__name__ for m in net.encoder.body} == {
        "Conv2d", "LeakyReLU", "Flatten", "Linear",
    }  # fmt: skip
    assert (
        tiny(penalty="none", steps=60, learning_rate=0.02)
        .fit(x, verbose=False)
        .network.lipschitz_bound()
        > 1.4
    )


def test_a_linear_encoder_has_its_bound_in_l_inf_after_training(x):
    options = {"penalty": "bounded", "lipschitz": 0.7, "linear_encoder": True}
    new = lqvae_fit._new_network(tiny(**options), x).encoder.mean
    averages = local_averages(torch.tensor(x.std(axis=0)), 5)
    assert torch.allclose(new.weight, 0.7 * averages, rtol=1e-5)
    longest = new.parametrizations.weight.original.amax(dim=1)
    assert torch.allclose(longest, torch.ones(5))
    vae = tiny(**options, steps=60, learning_rate=0.02)
    net = vae.fit(x, verbose=False).network
    sums = net.encoder.mean.weight.detach().abs().sum(dim=1)
    assert (sums <= 0.7).all()
    assert (sums > 0.699).all()
    assert 1.399 < net.lipschitz_bound(np.inf) <= 1.4 * (1 + 1e-9)
    assert type(net.encoder.mean) is torch.nn.Linear
    # it has learned, and from averages at whose middle grey a bit turns
    assert (new.weight >= 0).all()
    assert torch.allclose(new.bias, torch.full((5,), net.eta))
    assert not torch.allclose(net.encoder.mean.weight, new.weight, atol=0.01)


def test_decoder_2_begins_as_a_copy_or_by_itself(x):
    for copied in (True, False):
        net = lqvae_fit._new_network(tiny(copy_decoder=copied), x)
        assert torch.equal(net.decoder[0].weight, net.soft_decoder[0].weight) == copied


@pytest.fixture
def _every_round(monkeypatch):
    """Reports every two steps, and a file after each."""
    monkeypatch.setattr(lqvae_fit, "_ROUND", 2)
    monkeypatch.setattr(lqvae_fit, "_FIRST", 1)
    monkeypatch.setattr(lqvae_fit, "_SECONDS_BETWEEN_CHECKPOINTS", -1.0)


@pytest.mark.usefixtures("_every_round")
@pytest.mark.parametrize(
    "options", [{}, PRESETS["code"], {"penalty": "bounded"}, PRESETS["certified"] | {"steps": 7}]
)
def test_an_interrupted_fit_goes_on_to_the_same_end(x, tmp_path, monkeypatch, options):
    options = {**options, "decay": 0.1}
    whole = tiny(**options).fit(x, verbose=False)
    step = lqvae_fit._Fit._step
    done = []

    def stopped(self, number):
        done.append(number)
        if number == 5 and done.count(5) == 1:
            raise KeyboardInterrupt
        step(self, number)

    monkeypatch.setattr(lqvae_fit._Fit, "_step", stopped)
    vae, part = tiny(**options), tmp_path / "part.npz"
    with pytest.raises(KeyboardInterrupt):
        vae.fit(x, checkpoint=part, verbose=False)
    with pytest.raises(NotFittedError):
        _ = vae.network
    assert part.exists()
    vae.fit(x, checkpoint=part, verbose=False)
    assert done == [0, 1, 2, 3, 4, 5, 4, 5, 6]
    assert weights_hash(vae.network) == weights_hash(whole.network)
    assert vae.reports_ == whole.reports_
    assert not part.exists()


@pytest.mark.usefixtures("_every_round")
def test_a_checkpoint_of_another_fit_and_a_damaged_one_are_refused(x, tmp_path, monkeypatch):
    step = lqvae_fit._Fit._step

    def stopped(self, number):
        if number == 3:
            raise KeyboardInterrupt
        step(self, number)

    part = tmp_path / "part.npz"
    monkeypatch.setattr(lqvae_fit._Fit, "_step", stopped)
    with pytest.raises(KeyboardInterrupt):
        tiny().fit(x, checkpoint=part, verbose=False)
    with pytest.raises(InputError, match="of a training with another eta"):
        tiny(eta=0.5).fit(x, checkpoint=part, verbose=False)
    with pytest.raises(InputError, match="of a training with another images"):
        tiny().fit(x[:30], checkpoint=part, verbose=False)
    part.write_bytes(part.read_bytes()[:-40])
    with pytest.raises(FileFormatError, match=r"part\.npz"):
        tiny().fit(x, checkpoint=part, verbose=False)


@pytest.mark.parametrize(
    "options", [{"eta": 0.4}, {"penalty": "bounded"}, PRESETS["certified"] | {"steps": 7}]
)
def test_settings_weights_and_reports_come_back_from_a_file(x, tmp_path, options):
    vae = tiny(**options).fit(x, verbose=False)
    back = LQVAE.load(vae.save(tmp_path / "vae.npz"))
    assert repr(back) == repr(vae)
    assert back.get_params() == vae.get_params()
    assert back.reports_ == vae.reports_
    assert np.array_equal(back.purify(x), vae.purify(x))
    # a bounded encoder's too, whose layers were others while it was trained
    assert weights_hash(back.network) == weights_hash(vae.network)
    assert b"pickle" not in (tmp_path / "vae.npz").read_bytes()


def test_files_that_hold_no_fit_are_refused(x, tmp_path):
    net = tiny().fit(x, verbose=False).network
    with pytest.raises(FileFormatError, match=r"holds no settings of a fit.*LQVAENet\.load"):
        LQVAE.load(net.save(tmp_path / "net.npz"))
    odd = net.save(tmp_path / "odd.npz", header={"training": {"stack": None, "eta": -1}})
    with pytest.raises(FileFormatError, match=r"odd\.npz holds no settings"):
        LQVAE.load(odd)
    with pytest.raises(DataNotFoundError):
        LQVAE.load(tmp_path / "absent.npz")


def test_adversaries_are_encoded_and_the_clean_images_made(x):
    rng = np.random.default_rng(0)
    moved = np.clip(x + rng.normal(0, 0.3, x.shape), 0, 1).astype(np.float32)
    seen = []

    class Watched(StepLoss):
        def __call__(self, net, inputs, target, *others):
            seen.append((inputs.numpy().copy(), target.numpy().copy()))
            return super().__call__(net, inputs, target, *others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lqvae_fit, "StepLoss", Watched)
        tiny(steps=10).fit(x, adversaries=moved, verbose=False)
    pairs = {(i.tobytes(), t.tobytes()) for one, two in seen for i, t in zip(one, two, strict=True)}
    own = {(i.tobytes(), i.tobytes()) for i in x}
    assert pairs == own | {(m.tobytes(), i.tobytes()) for m, i in zip(moved, x, strict=True)}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (lambda x: (x * np.nan, {}), "x must be finite, got"),
        (lambda x: (x * 255, {}), "divide 8-bit images by 255"),
        (lambda x: (x[0], {}), "4 axes"),
        (lambda x: (x, {"adversaries": x[:3]}), "one an image, 40, got 3"),
        (lambda x: (x, {"adversaries": x * np.nan}), "adversaries must be finite"),
        (lambda x: (x, {"x_test": x[:, :, 1:]}), "in x_test"),
        (lambda x: (x, {"classifier": object()}), "needs both x_test and y_test"),
        (lambda x: (x, {"classifier": object(), "x_test": x, "y_test": [1]}), "y_test"),
    ],
)
def test_what_is_no_training_data_is_refused(x, given, told):
    images, options = given(x)
    vae = tiny()
    with pytest.raises(InputError, match=told):
        vae.fit(images, verbose=False, **options)
    assert vae.network_ is None


def test_a_loss_that_overflows_ends_the_fit(x):
    with pytest.raises(InputError, match="no finite number; lower learning_rate"):
        tiny(learning_rate=1e30, steps=40).fit(x, verbose=False)


@pytest.mark.parametrize("call", ["purify", "codes", "save"])
def test_before_a_fit_there_is_nothing_to_use(x, tmp_path, call):
    given = tmp_path / "vae.npz" if call == "save" else x
    with pytest.raises(NotFittedError, match=r"call fit\(x_train\) first"):
        getattr(tiny(), call)(given)
    with pytest.raises(InputError, match=r"this LQVAE takes images \(1, 8, 8\)"):
        tiny().fit(x, verbose=False).purify(x[:, :, 1:])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"penalty": "spectral"}, "penalty must be one of jacobian, summed, bounded, none"),
        ({"optimizer": "sgd"}, "optimizer must be one of adam, rmsprop"),
        ({"decay": 1.5}, r"decay must be a number in \(0, 1\]"),
        ({"lipschitz": 0}, "lipschitz must be a number > 0"),
        ({"kl_weight": -1}, "kl_weight must be a number >= 0"),
        ({"steps": 0}, "steps must be a whole number >= 1"),
        ({"random_state": 0.5}, "seed must be a whole number"),
    ],
)
def test_settings_that_do_not_fit_are_refused(options, told):
    with pytest.raises(InputError, match=told):
        tiny(**options)
    # set later, they are refused by the fit
    vae = tiny()
    for name, value in options.items():
        setattr(vae, name, value)
    with pytest.raises(InputError, match=told):
        vae.fit(np.zeros((2, 1, 8, 8), np.float32))


def test_the_presets_are_those_of_text_and_code():
    paper, code = LQVAE.preset("paper"), LQVAE.preset("code", steps=3)
    assert (paper.eta, paper.soft_c, paper.noise, paper.penalty, paper.optimizer) == (
        0.67449, 0.1, 1.0, "jacobian", "adam",
    )  # fmt: skip
    assert (paper.penalty_weight, paper.kl_weight, paper.learning_rate, paper.decay) == (
        1.0, 1.0, 1e-3, 1.0,
    )  # fmt: skip
    assert (code.eta, code.soft_c, code.noise, code.penalty, code.steps) == (
        0.1, 0.002, 0.05, "summed", 3,
    )  # fmt: skip
    assert (code.penalty_weight, code.kl_weight, code.learning_rate, code.decay) == (
        784.0, 1.225, 3e-4, 0.98,
    )  # fmt: skip
    certified = LQVAE.preset("certified").get_params()
    changed = {
        "penalty": "bounded", "lipschitz": 1.0, "noise": 0.2, "kl_weight": 0.0,
        "linear_encoder": True, "learning_rate": 3e-4, "steps": 3000,
    }  # fmt: skip
    assert certified == paper.get_params() | changed
    assert (paper.shuffle, paper.copy_decoder, code.copy_decoder) == (True, True, False)
    with pytest.raises(InputError, match="preset must be one of paper, code, certified"):
        LQVAE.preset("mnist")


def test_what_a_user_types_without_thinking_learns_and_does_not_need_an_order(digits):
    assert LQVAE().get_params() == LQVAE.preset("code", shuffle=True).get_params()
    small = Stack(down=((6, 1), (8, 2)), up=((6, 2),), hidden=24)
    order = np.argsort(digits.y_train, kind="stable")
    plain = LQVAE(16, stack=small, steps=150, learning_rate=3e-3)
    plain.fit(digits.x_train[order], x_test=digits.x_test, verbose=False)
    # by the paper's text all images have one code, and their mean is no worse
    mean_image = np.square(digits.x_test - digits.x_train.mean(0)).mean()
    assert plain.reports_[-1].error < 0.75 * mean_image
    assert len(np.unique(plain.codes(digits.x_test), axis=0)) > 100


def test_what_decides_a_fit_is_plain_and_tells_settings_apart():
    facts = tiny().facts()
    # fits that were kept before there was such a setting are known by these facts
    assert "linear_encoder" not in facts
    assert replace(tiny(), linear_encoder=True).facts()["linear_encoder"]
    assert json.loads(json.dumps(facts))["stack"]["hidden"] == 6
    assert replace(tiny(), eta=0.2).facts() != facts
