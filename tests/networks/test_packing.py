"""Weight files of signs: what is in them, what they predict, and what is refused."""

import copy
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

import art_disc as ad
from art_disc.core.errors import FileFormatError, InputError
from art_disc.networks import (
    Binarization,
    BinarizedConv2d,
    BinarizedLinear,
    binarynet_cifar,
    fcn1,
    fcn2,
    load_weights,
    resnet20,
    save_weights,
    weights_hash,
)
from art_disc.networks.latent import binarised_layers, clamp_after_steps, clamp_latent_
from art_disc.training import train
from tests.networks.products import Products, signed

SHAPE = (3, 8, 8)
NETS = {
    "dense": (fcn2, {"widths": (20, 12)}),
    "cifar": (binarynet_cifar, {"widths": (6,) * 6, "hidden": (8, 8)}),
    "resnet": (resnet20, {"width": 4, "depth": 8}),
}
WORDS = ("bnn", "paper", "xnor", "xnor_k", "binary_weights")
FORMS = ("bits", "int8")


def make(name="dense", word="bnn", seed=0, **more):
    """A network whose statistics and scales are not those that it starts with."""
    factory, options = NETS[name]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = factory(SHAPE, 5, binarization=word, **{**options, **more})
        net(torch.rand(32, *SHAPE))
        for layer in binarised_layers(net):
            scales = 1 + torch.rand(len(layer.weight))
            layer.weight.data *= scales.view(-1, *layer.weight[0].ndim * [1])
            layer.weight.data[0, 0] = 0
    clamp_latent_(net)
    return net.eval()


def images(n=16):
    return torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(1))


def scores(net):
    with torch.no_grad():
        return net(images()).numpy()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("name", NETS)
def test_predictions_come_back_to_the_last_bit(name, word, form, tmp_path):
    net = make(name, word)
    file = save_weights(net, tmp_path / "w.npz", signs=form, header={"epochs": 3})
    again = make(name, word, seed=1)
    assert not np.array_equal(scores(again), scores(net))
    assert load_weights(again, file)["epochs"] == 3
    assert scores(again).tobytes() == scores(net).tobytes()
    with Products() as seen:
        scores(again)
    with Products() as expected:
        scores(net)
    assert signed(seen) == signed(expected)
    # of such a network the same file comes again
    other = save_weights(again, tmp_path / "again.npz", signs=form, header={"epochs": 3})
    assert other.read_bytes() == file.read_bytes()


def test_predictions_come_back_in_another_process(tmp_path):
    expected = {}
    for word in WORDS:
        net = make("cifar", word)
        save_weights(net, tmp_path / f"{word}.npz", signs="bits")
        expected[word] = scores(net)
    code = (
        "import sys, numpy as np; from tests.networks.test_packing import *; "
        "folder = sys.argv[1]; made = {w: make('cifar', w, seed=1) for w in WORDS}; "
        "[load_weights(net, f'{folder}/{w}.npz') for w, net in made.items()]; "
        "np.savez(f'{folder}/out.npz', **{w: scores(net) for w, net in made.items()})"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    with np.load(tmp_path / "out.npz") as found:
        assert all(found[w].tobytes() == expected[w].tobytes() for w in WORDS)


@pytest.mark.parametrize(
    ("factory", "options", "least"), [(fcn1, {"widths": (1536,) * 4}, 28), (fcn2, {}, 24)]
)
def test_a_file_of_bits_is_more_than_twenty_times_smaller(factory, options, least, tmp_path):
    """FCN1 at a quarter of its width, at which real statistics weigh more."""
    net = factory(**options)
    torch.save(net.state_dict(), tmp_path / "float.pt")
    bits, int8 = (save_weights(net, tmp_path / f"{f}.npz", signs=f) for f in FORMS)
    size = (tmp_path / "float.pt").stat().st_size
    assert size / bits.stat().st_size > least
    assert bits.stat().st_size < int8.stat().st_size < size / 3.9


def test_a_file_of_bits_is_what_numpy_reads(tmp_path):
    net = make(word="xnor")
    layer, name = net.layers[4], "layers.4"
    latent = layer.weight.detach().numpy()
    with np.load(save_weights(net, tmp_path / "w.npz", signs="bits"), allow_pickle=False) as file:
        bits = np.unpackbits(file[f"{name}.weight"], count=latent.size).reshape(latent.shape)
        assert np.array_equal(np.where(bits, 1, -1), np.where(latent >= 0, 1, -1))
        assert np.allclose(file[f"{name}.fixed_alpha"], np.abs(latent).mean(axis=1), rtol=1e-6)
        header = json.loads(str(file["art_disc_header"]))
    assert header["signs"][name] == {
        "form": "bits", "shape": [12, 20], "weights": "scaled", "activations": "binary", "zero": 1,
    }  # fmt: skip
    with np.load(save_weights(net, tmp_path / "i.npz", signs="int8"), allow_pickle=False) as file:
        weight = file[f"{name}.weight"]
        assert weight.dtype == np.int8
        assert np.array_equal(weight, np.where(latent >= 0, 1, -1))
        # what is not binarised is as it was
        assert np.array_equal(file["layers.1.weight"], net.layers[1].weight.detach().numpy())


@pytest.mark.parametrize("form", FORMS)
def test_zeros_of_the_published_code_stay_zeros(form, tmp_path):
    net = make("cifar", "paper")
    layer = binarised_layers(net)[1]
    layer.weight.data[:, ::2] = 0
    again = make("cifar", "paper", seed=1)
    load_weights(again, save_weights(net, tmp_path / "w.npz", signs=form))
    assert torch.equal(binarised_layers(again)[1].signs, layer.signs)
    assert set(layer.signs.unique().tolist()) == {-1, 0, 1}
    assert scores(again).tobytes() == scores(net).tobytes()


@pytest.fixture
def fixed(tmp_path):
    """A network that was read from a file of bits."""
    net = make(word="xnor", seed=1)
    load_weights(net, save_weights(make(word="xnor"), tmp_path / "w.npz", signs="bits"))
    return net


def test_without_latent_weights_nothing_is_trained(fixed, digits, tmp_path):
    before = weights_hash(fixed)
    with pytest.raises(InputError, match="signs of its weights alone"):
        fixed.train()(images())
    net = fcn2((1, 8, 8), 10, widths=(12, 12))
    load_weights(net, save_weights(net, tmp_path / "d.npz", signs="bits"))
    with pytest.raises(InputError, match="load a file of latent weights"):
        train(net, digits, epochs=1, verbose=False)
    classifier = ad.build_classifier(
        net, data=digits, optimizer=torch.optim.SGD(net.parameters(), lr=0.1)
    )
    with pytest.raises(InputError, match="load a file of latent weights"):
        classifier.fit(digits.x_train[:20], digits.y_train[:20], batch_size=10, nb_epochs=1)
    # nor by a loop that never asks for training mode, nor by who centres latent weights
    optimizer = torch.optim.SGD(fixed.eval().parameters(), lr=10.0)
    clamp_after_steps(optimizer, fixed)
    fixed(images()).square().sum().backward()
    signs = [layer.weight.clone() for layer in binarised_layers(fixed)]
    optimizer.step()
    clamp_latent_(fixed)
    assert all(map(torch.equal, signs, (layer.weight for layer in binarised_layers(fixed))))
    assert weights_hash(fixed) != before


def test_without_latent_weights_it_is_attacked_as_before(fixed):
    gradients = []
    for net in (fixed, make(word="xnor")):
        x = images().requires_grad_()
        nn.functional.cross_entropy(net(x), torch.arange(16) % 5).backward()
        gradients.append(x.grad)
    assert gradients[0].abs().max() > 0
    assert torch.equal(*gradients)


def test_copies_know_that_latent_weights_are_lost(fixed):
    copies = copy.deepcopy(fixed), make(word="xnor", seed=2)
    copies[1].load_state_dict(fixed.state_dict())
    for one in copies:
        assert scores(one).tobytes() == scores(fixed).tobytes()
        assert weights_hash(one) == weights_hash(fixed)
        assert "signs alone" in repr(one)
        with pytest.raises(InputError):
            one.train()(images())


@pytest.mark.parametrize("suffix", ["npz", "pt"])
def test_a_file_of_the_whole_state_keeps_what_is_lost(fixed, suffix, tmp_path):
    file = tmp_path / f"s.{suffix}"
    if suffix == "npz":
        save_weights(fixed, file)
    else:
        torch.save(fixed.state_dict(), file)
    again = make(word="xnor", seed=2)
    load_weights(again, file)
    assert weights_hash(again) == weights_hash(fixed)
    assert all(layer.is_fixed for layer in binarised_layers(again))


def test_latent_weights_come_back(fixed, tmp_path):
    net = make(word="xnor", seed=3)
    load_weights(fixed, save_weights(net, tmp_path / "latent.npz"))
    assert weights_hash(fixed) == weights_hash(net)
    assert not any(layer.is_fixed for layer in binarised_layers(fixed))
    assert all(layer.weight.requires_grad for layer in binarised_layers(fixed))
    fixed.train()(images())
    layer = BinarizedLinear(3, 2)
    layer.load_state_dict({**layer.state_dict(), "fixed_alpha": torch.ones(2)})
    assert layer.is_fixed
    layer.reset_parameters()
    assert not layer.is_fixed


def test_a_frozen_latent_weight_stays_frozen():
    layer = BinarizedLinear(3, 2)
    layer.weight.requires_grad_(False)
    layer.load_state_dict(BinarizedLinear(3, 2).state_dict())
    assert not layer.weight.requires_grad


@pytest.mark.parametrize(
    ("net", "signs", "text"),
    [
        (make, "float", "signs must be one of bits, int8"),
        (lambda: make(word="real"), "bits", "BinarizedNet has none"),
        (lambda: nn.Linear(2, 2), "int8", "Linear has none"),
    ],
)
def test_other_words_and_networks_are_refused(net, signs, text, tmp_path):
    with pytest.raises(InputError, match=text):
        save_weights(net(), tmp_path / "w.npz", signs=signs)


@pytest.mark.parametrize(
    "other",
    [
        {"word": "xnor"},
        {"word": "paper"},
        {"word": "real"},
        {"word": "binary_weights"},
        {"widths": (20, 13)},
        {"first": "real"},
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_another_architecture_is_refused_and_stays(other, form, tmp_path):
    file = save_weights(make(), tmp_path / "w.npz", signs=form)
    net = make(**other)
    before = weights_hash(net)
    with pytest.raises(InputError, match="another architecture"):
        load_weights(net, file)
    assert weights_hash(net) == before


def test_another_estimator_is_of_gradients_alone(tmp_path):
    file = save_weights(make(), tmp_path / "w.npz", signs="bits")
    net = make(word=Binarization(estimator="identity"), seed=1)
    load_weights(net, file)
    assert np.array_equal(scores(net), scores(make()))


# what is done to the arrays of a file and to its header, and whether its digest is made anew
def cut_bits(arrays, header):
    arrays["layers.1.weight"] = arrays["layers.1.weight"][:-1]


def more_bits(arrays, header):
    arrays["layers.1.weight"] = np.append(arrays["layers.1.weight"], np.uint8(0))


def as_floats(arrays, header):
    arrays["layers.1.weight"] = arrays["layers.1.weight"].astype(np.float32)


def as_text(arrays, header):
    arrays["layers.1.weight"] = np.array(["a"])


def no_weights(arrays, header):
    del arrays["layers.1.weight"]


def no_scales(arrays, header):
    del arrays["layers.1.fixed_alpha"]


def a_list(arrays, header):
    header["signs"] = ["layers.1"]


def no_facts(arrays, header):
    header["signs"]["layers.1"] = 3


def another_form(arrays, header):
    header["signs"]["layers.1"]["form"] = "nibbles"


def another_format(arrays, header):
    header["format"] = "art_disc codebook"


def newer(arrays, header):
    header["version"] = 3


@pytest.mark.parametrize(
    "change",
    [cut_bits, more_bits, as_floats, as_text, no_weights, no_scales, a_list, no_facts, another_form,
     another_format, newer],
)  # fmt: skip
@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_was_changed_is_refused(change, form, tmp_path):
    file, arrays, header = opened(save_weights(make(), tmp_path / "w.npz", signs=form))
    change(arrays, header)
    del header["sha256"]
    refused(closed(file, arrays, header))


def opened(file):
    with np.load(file) as content:
        arrays = dict(content)
    return file, arrays, json.loads(str(arrays.pop("art_disc_header")))


def closed(file, arrays, header):
    np.savez(file, **arrays, art_disc_header=np.array(json.dumps(header)))
    return file


def refused(file, error=FileFormatError, text=r"w\.npz"):
    net = make(seed=1)
    before = weights_hash(net)
    with pytest.raises(error, match=text):
        load_weights(net, file)
    assert weights_hash(net) == before


def test_bits_beyond_the_last_weight_are_seen(tmp_path):
    net = make(widths=(3, 3))
    file, arrays, header = opened(save_weights(net, tmp_path / "w.npz", signs="bits"))
    arrays["layers.3.weight"][-1] |= 1
    del header["sha256"]
    with pytest.raises(FileFormatError, match=r"layers\.3"):
        load_weights(make(widths=(3, 3)), closed(file, arrays, header))


def test_other_integers_than_signs_are_seen(tmp_path):
    file, arrays, header = opened(save_weights(make(), tmp_path / "w.npz", signs="int8"))
    del header["sha256"]
    arrays["layers.1.weight"][0, 0] = 2
    refused(closed(file, arrays, header))
    arrays["layers.1.weight"][0, 0] = 0
    refused(closed(file, arrays, header), InputError, "weights of 0")


def test_zeros_that_a_layer_does_not_have_are_seen(tmp_path):
    file, arrays, header = opened(save_weights(make(), tmp_path / "w.npz", signs="bits"))
    del header["sha256"]
    arrays["layers.1.nonzero"] = np.full_like(arrays["layers.1.weight"], 254)
    refused(closed(file, arrays, header), InputError, "weights of 0")


@pytest.mark.parametrize("signs", [None, *FORMS])
def test_one_bit_that_changed_is_seen(signs, tmp_path):
    file, arrays, header = opened(save_weights(make(), tmp_path / "w.npz", signs=signs))
    load_weights(make(), closed(file, arrays, header))
    for name in ("layers.1.weight", "layers.2.running_mean"):
        changed = {key: array.copy() for key, array in arrays.items()}
        changed[name].view(np.uint8).ravel()[3] ^= 1
        refused(closed(file, changed, header), text="digest")


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.99])
@pytest.mark.parametrize("signs", [None, *FORMS])
def test_a_truncated_file_is_refused(signs, part, tmp_path):
    file = save_weights(make(), tmp_path / "w.npz", signs=signs)
    content = file.read_bytes()
    file.write_bytes(content[: int(part * len(content))])
    refused(file)


def test_a_damaged_byte_is_refused(tmp_path):
    file = save_weights(make(), tmp_path / "w.npz", signs="bits")
    with zipfile.ZipFile(file) as archive:
        member = archive.getinfo("layers.1.weight.npy")
    content = bytearray(file.read_bytes())
    content[member.header_offset + member.compress_size // 2] ^= 255
    file.write_bytes(content)
    refused(file)


def test_a_convolution_by_itself_is_packed(tmp_path):
    """One filter of a shape that fills no byte, with groups and a bias."""
    options = {"groups": 2, "padding": 1, "binarization": "xnor"}
    net, again = (nn.Sequential(BinarizedConv2d(2, 2, 3, **options)).eval() for _ in range(2))
    load_weights(again, save_weights(net, tmp_path / "w.npz", signs="bits"))
    x = torch.randn(3, 2, 5, 5)
    assert torch.equal(again(x), net(x))


def test_no_optimiser_moves_signs_alone(fixed):
    optimizer = torch.optim.SGD(fixed.eval().requires_grad_(True).parameters(), lr=1.0)
    signs = [layer.weight.clone() for layer in binarised_layers(fixed)]
    fixed(images()).square().sum().backward()
    optimizer.step()
    assert all(map(torch.equal, signs, (layer.weight for layer in binarised_layers(fixed))))


@pytest.mark.parametrize("signs", [None, *FORMS])
def test_a_header_of_another_file_does_not_make_one_that_cannot_be_read(signs, tmp_path):
    net = make()
    first = save_weights(net, tmp_path / "a.npz", header={"epochs": 3}, signs="bits")
    told = load_weights(make(), first)
    second = save_weights(make(seed=1), tmp_path / "b.npz", header=told, signs=signs)
    assert load_weights(make(), second)["epochs"] == 3


def test_weights_that_are_nan_have_no_signs(tmp_path):
    net = make(word="paper")
    with torch.no_grad():
        binarised_layers(net)[0].weight.view(-1)[0] = torch.nan
    with pytest.raises(InputError, match="NaN"):
        save_weights(net, tmp_path / "a.npz", signs="bits")
