import json

import numpy as np
import pytest
import torch
from torch import nn

from art_disc.core.errors import DataNotFoundError, FileFormatError, InputError
from art_disc.networks import (
    DigitsNet,
    LQVAENet,
    Stack,
    default_stack,
    hard_code,
    save_weights,
    soft_code,
    weights_hash,
)
from art_disc.networks.lqvae_layers import local_averages

SMALL = Stack(down=((3, 1), (4, 2), (5, 2)), up=((5, 2), (4, 1), (3, 2)), hidden=11)


def net(shape=(1, 8, 8), seed=0, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LQVAENet(shape, **{"latent": 6, "stack": SMALL} | options).eval()


def shapes(layers):
    return [tuple(p.shape) for p in layers.parameters() if p.ndim > 1]


def test_the_layers_of_table_8():
    made = LQVAENet()
    assert shapes(made.encoder) == [
        *((64, 1, 3, 3), (64, 64, 3, 3), (128, 64, 3, 3), (128, 128, 3, 3)),
        *((1024, 6272), (64, 1024), (64, 1024)),
    ]
    for decoder in (made.decoder, made.soft_decoder):
        # torch writes the channels of a transposed convolution the other way round
        assert shapes(decoder) == [
            *((1024, 64), (6272, 1024)),
            *((128, 128, 3, 3), (128, 128, 3, 3), (128, 64, 3, 3), (64, 1, 3, 3)),
        ]


@pytest.mark.parametrize(("side", "room"), [(64, 4096), (32, 1024)])
def test_the_layers_of_table_9(side, room):
    made = LQVAENet((3, side, side))
    convolutions = [(64, 3), (64, 64), (128, 64), (128, 128), (256, 128)]
    assert shapes(made.encoder) == [
        *((wide, narrow, 3, 3) for wide, narrow in convolutions),
        *((1024, room), (64, 1024), (64, 1024)),
    ]
    back = [(256, 128), (128, 128), (128, 64), (64, 64), (64, 3)]
    assert shapes(made.decoder) == [
        (1024, 64),
        (room, 1024),
        *((narrow, wide, 3, 3) for narrow, wide in back),
    ]


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 64, 64), (3, 32, 32), (1, 5, 7), (2, 9, 1)])
def test_images_come_back_in_their_shape_and_in_0_1(shape):
    made = LQVAENet(shape, latent=6, stack=SMALL if min(shape) < 28 and shape[1] < 28 else None)
    x = torch.rand(2, *shape)
    with torch.no_grad():
        out = made(x)
    assert out.shape == x.shape
    assert 0 <= out.min() < out.max() <= 1


def test_the_layers_are_chosen_by_colour():
    assert default_stack((1, 28, 28)) == Stack.table8()
    assert default_stack((3, 32, 32)) == Stack.table9()


def test_h_is_plus_one_between_its_thresholds_and_at_them():
    z = torch.tensor([-9.0, -0.5, -0.25, 0.0, 0.5, np.nextafter(np.float32(0.5), 1), torch.inf])
    assert hard_code(z, 0.5).tolist() == [-1, 1, 1, 1, 1, -1, -1]
    nan = hard_code(torch.tensor([torch.nan, 0.0]), 0.5)
    assert nan[0].isnan()
    assert nan[1] == 1


def test_the_soft_code_is_the_papers_and_becomes_h():
    z = torch.linspace(-2, 2, 81, dtype=torch.float64)
    inside = 0.67449**2 - z**2
    assert torch.allclose(soft_code(z, 0.67449, 0.3), inside / (0.3 + inside.abs()))
    assert torch.allclose(soft_code(z, 0.67449, 1e-9), hard_code(z, 0.67449), atol=1e-6)
    # of the published code's numbers no code is ever +1
    assert soft_code(torch.zeros(1), 0.1, 0.002).item() == pytest.approx(0.8333, abs=1e-4)


def test_inference_is_encoder_h_and_decoder_1():
    made = net(noise=0.5, eta=0.05)
    x, normal = torch.rand(3, 1, 8, 8), torch.randn(3, 6)
    mean, log_variance = made.encoder(2 * x - 1)
    codes = torch.where((mean <= 0.05) & (mean >= -0.05), 1.0, -1.0)
    assert 0 < (codes == 1).sum() < codes.numel()
    assert torch.equal(made(x), (made.decoder(codes) + 1) / 2)
    z = mean + 0.5 * torch.exp(log_variance / 2) * normal
    assert torch.allclose(made.drawn(x, normal), z)
    assert torch.equal(made(x, normal), made.decode(hard_code(z, 0.05)))
    with torch.no_grad():
        made.soft_decoder[0].weight.zero_()
    assert torch.equal(made(x), made.decode(codes))


@pytest.mark.parametrize("seed", range(3))
def test_no_two_images_are_further_apart_in_the_latent_space_than_the_bound_says(seed):
    made = net(seed=seed)
    x = torch.rand(200, 1, 8, 8)
    other = (x + 0.05 * torch.randn_like(x)).clamp(0, 1)
    with torch.no_grad():
        moved = made.encode(x)[0] - made.encode(other)[0]
    length = (x - other).flatten(1).norm(dim=1)
    assert (moved.norm(dim=1) <= made.lipschitz_bound() * length).all()
    each = made.lipschitz_bounds()
    assert (moved.abs() <= each * length[:, None]).all()
    assert (each <= made.lipschitz_bound()).all()
    assert each.norm() >= made.lipschitz_bound()


@pytest.mark.parametrize("linear", [True, False])
def test_no_mean_moves_by_more_than_the_l_inf_bound_says(linear):
    made = net(linear_encoder=linear)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(200, 1, 8, 8, generator=generator)
    signs = torch.randn(x.shape, generator=generator).sign()
    with torch.no_grad():
        moved = made.encode(x)[0] - made.encode(x + 0.05 * signs)[0]
        bound = made.lipschitz_bound(np.inf)
        assert (moved.abs() <= 0.05 * bound).all()
        norms = [
            layer.weight.flatten(1).abs().sum(dim=1).max().item()
            for layer in (*made.encoder.body, made.encoder.mean)
            if hasattr(layer, "weight")
        ]
        assert bound == pytest.approx(2 * np.prod(norms), rel=1e-5)
        if linear:
            row = made.encoder.mean.weight[made.encoder.mean.weight.abs().sum(dim=1).argmax()]
            worst = made.encode(x)[0] - made.encode(x + 0.05 * row.sign().view(1, 8, 8))[0]
            assert worst.abs().max() == pytest.approx(0.05 * bound, rel=1e-4)


def test_a_linear_encoder_is_one_and_comes_back_from_a_file(tmp_path):
    made = net(linear_encoder=True)
    assert shapes(made.encoder) == [(6, 64)]
    x, other = torch.rand(2, 5, 1, 8, 8)
    with torch.no_grad():
        means = [made.encode(images)[0] for images in (x, other, (x + other) / 2)]
        assert torch.allclose(means[2], (means[0] + means[1]) / 2, atol=1e-6)
        assert (made.encode(x)[1] == 0).all()
        # a standard deviation of 1
        moved = made.drawn(x, torch.full((5, 6), 0.3)) - means[0]
        assert torch.allclose(moved, torch.full((5, 6), 0.3 * made.noise), atol=1e-6)
    back = LQVAENet.load(made.save(tmp_path / "linear.npz"))
    assert back.linear_encoder
    assert weights_hash(back) == weights_hash(made)


def test_a_file_from_before_linear_encoders_is_one_of_convolutions(tmp_path):
    made = net()
    old = made.settings()
    del old["linear_encoder"]
    back = LQVAENet.load(save_weights(made, tmp_path / "old.npz", header={"lqvae": old}))
    assert not back.linear_encoder
    assert weights_hash(back) == weights_hash(made)


@pytest.mark.parametrize(
    ("shape", "count"), [((1, 28, 28), 64), ((3, 32, 32), 64), ((1, 8, 6), 7), ((3, 5, 7), 2)]
)
def test_local_averages_are_averages_of_parts_of_the_image(shape, count):
    rows = local_averages(torch.ones(shape), count)
    assert rows.shape == (count, np.prod(shape))
    assert (rows >= 0).all()
    assert torch.allclose(rows.sum(dim=1), torch.ones(count))
    assert torch.linalg.matrix_rank(rows) == count
    # a part, of one channel
    channels = (rows.view(count, shape[0], -1) > 0).any(dim=2).sum(dim=1)
    assert (channels == 1).all()
    if count >= 7:
        assert (rows > 0).sum(dim=1).max() <= 0.5 * np.prod(shape[1:])
        # and no pixel is left out of all of them
        assert (rows.sum(dim=0) > 0).all()


def test_local_averages_lie_where_images_vary():
    spread = torch.zeros(1, 16, 16)
    spread[:, 4:12, 2:10] = 1
    rows = local_averages(spread, 16).view(16, 16, 16)
    inside = rows[:, 4:12, 2:10].sum(dim=(1, 2))
    assert inside.min() > 0.6
    even = local_averages(torch.ones(1, 16, 16), 16).view(16, 16, 16)
    assert even[:, 4:12, 2:10].sum() < 0.6 * inside.sum()


@pytest.mark.parametrize(("shape", "count"), [((1, 2, 2), 9), ((2, 1, 1), 5), ((1, 1, 3), 1)])
@pytest.mark.parametrize("varies", [0.0, 1.0])
def test_there_may_be_more_averages_than_pixels_or_images_that_are_alike(shape, count, varies):
    rows = local_averages(torch.full(shape, varies), count)
    assert torch.allclose(rows.sum(dim=1), torch.ones(count))


def test_the_bound_is_reached_by_an_encoder_that_is_one_row():
    made = net((1, 1, 3), latent=1, stack=Stack(((1, 1),), ((1, 1),), hidden=1))
    with torch.no_grad():
        for layer in (made.encoder.body[0], made.encoder.body[3], made.encoder.mean):
            layer.weight.zero_()
            layer.bias.fill_(50.0)
        made.encoder.body[0].weight[0, 0, 1, 1] = 2.0
        made.encoder.body[3].weight[0] = torch.tensor([0.6, 0.0, 0.8])
        made.encoder.mean.weight.fill_(3.0)
        x, step = torch.full((1, 1, 1, 3), 0.5), torch.tensor([0.06, 0.0, 0.08])
        moved = made.encode(x + step)[0] - made.encode(x)[0]
    # a convolution's is up to 1 % more
    assert made.lipschitz_bound() == pytest.approx(float(moved) / 0.1, rel=0.01)
    assert made.lipschitz_bounds().tolist() == pytest.approx([made.lipschitz_bound()])
    made.encoder.mean = nn.Sequential(made.encoder.mean)
    assert made.lipschitz_bound() == made.lipschitz_bounds().item() == np.inf


def test_a_file_brings_settings_and_weights_back(tmp_path):
    made = net((1, 5, 7), eta=0.3, soft_c=0.2, noise=0.1)
    path = made.save(tmp_path / "vae.npz", header={"note": 3})
    state = torch.get_rng_state()
    back = LQVAENet.load(path)
    assert torch.equal(torch.get_rng_state(), state)
    assert weights_hash(back) == weights_hash(made)
    assert back.settings() == made.settings()
    assert repr(back) == repr(made)
    assert not back.training
    with np.load(path) as archive:
        header = json.loads(str(archive["art_disc_header"]))
    assert header["note"] == 3


def test_damaged_and_foreign_files_are_refused(tmp_path):
    path = net().save(tmp_path / "vae.npz")
    bytes_ = path.read_bytes()
    path.write_bytes(bytes_[: len(bytes_) // 2])
    with pytest.raises(FileFormatError, match=r"vae\.npz"):
        LQVAENet.load(path)
    with pytest.raises(FileFormatError, match=r"holds no LQVAE.*save one with LQVAE\.save"):
        LQVAENet.load(save_weights(DigitsNet(), tmp_path / "other.npz"))
    with pytest.raises(DataNotFoundError):
        LQVAENet.load(tmp_path / "absent.npz")
    for key, value in (("eta", -1), ("eta", "half"), ("stack", {}), ("colour", 3), ("latent", 9)):
        settings = net().settings() | {key: value}
        odd = save_weights(net(), tmp_path / "odd.npz", header={"lqvae": settings})
        with pytest.raises(FileFormatError, match=r"odd\.npz holds no LQVAE"):
            LQVAENet.load(odd)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"eta": 0}, "eta must be a number > 0"),
        ({"soft_c": float("nan")}, "soft_c must be a number > 0"),
        ({"noise": -1}, "noise must be a number >= 0"),
        ({"latent": 0}, "latent must be a whole number >= 1"),
        ({"shape": (28, 28)}, "input_shape must be"),
        ({"shape": (1, 0, 4)}, "input_shape must be a whole number >= 1, got 0"),
    ],
)
def test_what_fits_nothing_is_refused(options, told):
    with pytest.raises(InputError, match=told):
        net(**options)


@pytest.mark.parametrize(
    ("down", "up", "told"),
    [
        ((), ((3, 1),), "down must be pairs"),
        (((3, 3),), ((3, 1),), "stride of 1 or 2"),
        (((0, 1),), ((3, 1),), "channels >= 1"),
        (((3, 2),), ((3, 1),), "as many strides of 2, got 1 and 0"),
    ],
)
def test_layers_that_do_not_fit_are_refused(down, up, told):
    with pytest.raises(InputError, match=told):
        Stack(down, up)


def test_images_of_another_shape_are_refused():
    with pytest.raises(InputError, match=r"this LQVAE takes images \(1, 8, 8\), got \(1, 9, 8\)"):
        net()(torch.rand(2, 1, 9, 8))
    with pytest.raises(InputError, match="layout is the wrong way round"):
        net()(torch.rand(2, 8, 8, 1))


def test_its_layers_and_numbers_are_told_by_repr():
    assert repr(net(eta=0.3)) != repr(net(eta=0.4))
    assert isinstance(net(), nn.Module)
