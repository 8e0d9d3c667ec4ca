"""Inception v3: published sizes and names, and every kind of module written out a second time."""

import numpy as np
import pytest
import torch
from torch.nn import functional

import art_disc as ad
from art_disc.core.errors import InputError
from art_disc.networks import InceptionV3, load_weights, weights_hash


@pytest.fixture(scope="module")
def net():
    """A network of the published size, with statistics of its own as after a training."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = InceptionV3(nb_classes=11, auxiliary=True)
        for name, tensor in made.state_dict().items():
            if name.endswith(("running_mean", "bn.bias")):
                tensor.normal_(std=0.1)
            elif name.endswith(("running_var", "bn.weight")):
                tensor.uniform_(0.5, 1.5)
    return made.eval()


def images(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def count(net):
    return sum(p.numel() for p in net.parameters())


def test_the_number_of_weights_is_the_published_one():
    assert count(InceptionV3(auxiliary=True)) == 27_161_264
    # less 768x128, 128x768x5x5, their normalisation, and 768x1000 + 1000
    auxiliary = 98_304 + 2 * 128 + 2_457_600 + 2 * 768 + 769_000
    assert count(InceptionV3()) == 27_161_264 - auxiliary == 23_834_568


# output of each layer for a 299x299 image, Table 1 of the source
SHAPES = {
    "Conv2d_1a_3x3": (32, 149, 149),
    "Conv2d_2a_3x3": (32, 147, 147),
    "Conv2d_2b_3x3": (64, 147, 147),
    "maxpool1": (64, 73, 73),
    "Conv2d_3b_1x1": (80, 73, 73),
    "Conv2d_4a_3x3": (192, 71, 71),
    "maxpool2": (192, 35, 35),
    "Mixed_5b": (256, 35, 35),
    "Mixed_5c": (288, 35, 35),
    "Mixed_5d": (288, 35, 35),
    **{f"Mixed_6{letter}": (768, 17, 17) for letter in "abcde"},
    "Mixed_7a": (1280, 8, 8),
    "Mixed_7b": (2048, 8, 8),
    "Mixed_7c": (2048, 8, 8),
}


def test_the_maps_have_the_published_sizes_and_the_logits_depend_on_each_image_alone(net):
    seen = {}
    handles = [
        getattr(net, name).register_forward_hook(
            lambda _, __, out, name=name: seen.__setitem__(name, tuple(out.shape[1:]))
        )
        for name in net.order
    ]
    x = images(2, 3, 299, 299)
    with torch.no_grad():
        logits = net(x)
        alone = net(x[1:])
        again, extra = net.with_auxiliary(x)
    for handle in handles:
        handle.remove()
    assert seen == SHAPES
    assert list(SHAPES) == net.order
    assert logits.shape == extra.shape == (2, 11)
    assert logits.std(dim=0).min() > 0
    assert torch.allclose(alone, logits[1:], atol=1e-4)
    assert torch.equal(again, logits)
    assert not torch.allclose(extra, logits, atol=0.1)


KERNELS = {
    "Conv2d_1a_3x3": (32, 3, 3, 3),
    "Mixed_5b.branch5x5_2": (64, 48, 5, 5),
    "Mixed_5c.branch_pool": (64, 256, 1, 1),
    "Mixed_6a.branch3x3dbl_3": (96, 96, 3, 3),
    "Mixed_6b.branch7x7dbl_2": (128, 128, 7, 1),
    "Mixed_6d.branch7x7_2": (160, 160, 1, 7),
    "Mixed_6e.branch7x7dbl_5": (192, 192, 1, 7),
    "Mixed_7a.branch7x7x3_4": (192, 192, 3, 3),
    "Mixed_7b.branch3x3_2a": (384, 384, 1, 3),
    "Mixed_7c.branch3x3dbl_3b": (384, 384, 3, 1),
    "AuxLogits.conv1": (768, 128, 5, 5),
}


def test_names_and_shapes_are_those_of_the_published_weights(net):
    state = net.state_dict()
    # 94 convolutions and 2 in the auxiliary classifier, six tensors each; two linear layers
    assert len(state) == 6 * 96 + 2 * 2 == 580
    for name, shape in KERNELS.items():
        assert state[f"{name}.conv.weight"].shape == shape
        assert state[f"{name}.bn.running_var"].shape == shape[:1]
        assert f"{name}.conv.bias" not in state
    assert state["fc.weight"].shape == (11, 2048)
    assert state["AuxLogits.fc.weight"].shape == (11, 768)
    assert all(m.eps == 0.001 for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d))


class Written:
    """A module's convolutions by name, from the weights alone."""

    def __init__(self, net, module):
        self.state, self.module = net.state_dict(), module

    def __call__(self, x, name, padding=0, stride=1):
        get = {
            k: self.state[f"{self.module}{name}.{k}"]
            for k in ("conv.weight", "bn.running_mean", "bn.running_var", "bn.weight", "bn.bias")
        }
        x = functional.conv2d(x, get["conv.weight"], None, stride, padding)
        x = (x - get["bn.running_mean"].view(-1, 1, 1)) / (
            get["bn.running_var"].view(-1, 1, 1) + 0.001
        ).sqrt()
        return (x * get["bn.weight"].view(-1, 1, 1) + get["bn.bias"].view(-1, 1, 1)).clamp_min(0)


def mean(x):
    """The 3x3 mean with the border's zeros."""
    return functional.pad(x, (1, 1, 1, 1)).unfold(2, 3, 1).unfold(3, 3, 1).mean(dim=(4, 5))


def square(f, x):
    three = f(f(f(x, "branch3x3dbl_1"), "branch3x3dbl_2", 1), "branch3x3dbl_3", 1)
    five = f(f(x, "branch5x5_1"), "branch5x5_2", 2)
    return [f(x, "branch1x1"), five, three, f(mean(x), "branch_pool")]


def first_halving(f, x):
    three = f(f(f(x, "branch3x3dbl_1"), "branch3x3dbl_2", 1), "branch3x3dbl_3", 0, 2)
    return [f(x, "branch3x3", 0, 2), three, functional.max_pool2d(x, 3, 2)]


def long(f, x):
    one = f(f(f(x, "branch7x7_1"), "branch7x7_2", (0, 3)), "branch7x7_3", (3, 0))
    two = f(f(f(x, "branch7x7dbl_1"), "branch7x7dbl_2", (3, 0)), "branch7x7dbl_3", (0, 3))
    two = f(f(two, "branch7x7dbl_4", (3, 0)), "branch7x7dbl_5", (0, 3))
    return [f(x, "branch1x1"), one, two, f(mean(x), "branch_pool")]


def second_halving(f, x):
    seven = f(f(f(x, "branch7x7x3_1"), "branch7x7x3_2", (0, 3)), "branch7x7x3_3", (3, 0))
    three = f(f(x, "branch3x3_1"), "branch3x3_2", 0, 2)
    return [three, f(seven, "branch7x7x3_4", 0, 2), functional.max_pool2d(x, 3, 2)]


def forked(f, x):
    one = f(x, "branch3x3_1")
    two = f(f(x, "branch3x3dbl_1"), "branch3x3dbl_2", 1)
    return [
        f(x, "branch1x1"),
        f(one, "branch3x3_2a", (0, 1)),
        f(one, "branch3x3_2b", (1, 0)),
        f(two, "branch3x3dbl_3a", (0, 1)),
        f(two, "branch3x3dbl_3b", (1, 0)),
        f(mean(x), "branch_pool"),
    ]


def test_the_layers_before_the_modules_are_those_of_the_table(net):
    f, x = Written(net, ""), images(2, 3, 79, 76)
    with torch.no_grad():
        maps = f(f(f(2 * x - 1, "Conv2d_1a_3x3", 0, 2), "Conv2d_2a_3x3"), "Conv2d_2b_3x3", 1)
        maps = f(f(functional.max_pool2d(maps, 3, 2), "Conv2d_3b_1x1"), "Conv2d_4a_3x3")
        expected = functional.max_pool2d(maps, 3, 2)
        value = x * 2 - 1
        for name in net.order[: net.order.index("Mixed_5b")]:
            value = getattr(net, name)(value)
    assert torch.allclose(value, expected, atol=1e-3, rtol=1e-4)


def test_the_auxiliary_classifier_sees_the_last_17x17_maps(net):
    x, f, seen = images(2, 3, 299, 299), Written(net, "AuxLogits."), []
    handle = net.Mixed_6e.register_forward_hook(lambda _, __, out: seen.append(out))
    with torch.no_grad():
        _, extra = net.with_auxiliary(x)
        maps = functional.avg_pool2d(seen[0], 5, 3)
        assert maps.shape == (2, 768, 5, 5)
        maps = f(f(maps, "conv0"), "conv1").flatten(1)
        assert torch.allclose(extra, net.AuxLogits.fc(maps), atol=1e-3, rtol=1e-4)
    handle.remove()


@pytest.mark.parametrize(
    ("module", "channels", "written"),
    [
        ("Mixed_5b", 192, square),
        ("Mixed_5d", 288, square),
        ("Mixed_6a", 288, first_halving),
        ("Mixed_6b", 768, long),
        ("Mixed_6e", 768, long),
        ("Mixed_7a", 768, second_halving),
        ("Mixed_7b", 1280, forked),
        ("Mixed_7c", 2048, forked),
    ],
)
def test_each_module_computes_what_the_source_draws(net, module, channels, written):
    x = images(2, channels, 9, 7, seed=channels)
    with torch.no_grad():
        expected = torch.cat(written(Written(net, f"{module}."), x), dim=1)
        value = getattr(net, module)(x)
    assert value.std() > 0.01
    assert torch.allclose(value, expected, atol=1e-3, rtol=1e-4)


def test_each_scaling_gives_what_its_weights_expect(net):
    """Published weights see 2x - 1; normalised by ImageNet's statistics they would see else."""
    x = images(1, 3, 75, 75)
    state = {k: v for k, v in net.state_dict().items() if not k.startswith("AuxLogits")}
    seen = {}
    for scaling in ("tensorflow", "imagenet"):
        other = InceptionV3((3, 75, 75), 11, scaling).eval()
        other.load_state_dict(state)
        other.Conv2d_1a_3x3.register_forward_pre_hook(
            lambda _, inputs, scaling=scaling: seen.__setitem__(scaling, inputs[0])
        )
        with torch.no_grad():
            other(x)
    assert torch.allclose(seen["tensorflow"], 2 * x - 1, atol=1e-6)
    # the transform that torchvision's weights undo: (v * deviation + mean - 0.5) / 0.5
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    centre = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    undone = (seen["imagenet"] * deviation + centre - 0.5) / 0.5
    assert torch.allclose(undone, seen["tensorflow"], atol=1e-5)


def test_a_published_file_goes_in_and_what_it_does_not_fit_is_named(net, tmp_path):
    file = tmp_path / "inception_v3.pth"
    torch.save(net.state_dict(), file)
    with pytest.raises(InputError, match=r"another architecture than InceptionV3: .*AuxLogits"):
        load_weights(InceptionV3(nb_classes=11), file)
    other = InceptionV3(nb_classes=11, auxiliary=True)
    assert weights_hash(other) != weights_hash(net)
    load_weights(other, file)
    assert weights_hash(other) == weights_hash(net)


def test_it_stands_behind_a_defence_and_gradients_reach_the_image():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = InceptionV3((3, 75, 75), 5)
    x = images(2, 3, 75, 75).numpy()
    defence = ad.ColorDepthReduction(n_codes=4)
    classifier = ad.build_classifier(
        made, input_shape=(3, 75, 75), nb_classes=5, defences=[defence]
    )
    coarse = defence(x)[0]
    assert not np.allclose(classifier.predict(x), classifier.base.predict(x), atol=1e-3)
    assert np.allclose(classifier.predict(x), classifier.base.predict(coarse), atol=1e-5)
    slope = classifier.loss_gradient(x, np.eye(5, dtype=np.float32)[:2])
    assert np.abs(slope).max(axis=(1, 2, 3)).min() > 0


def test_in_training_mode_it_still_returns_one_tensor_and_all_weights_learn(net):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = InceptionV3(nb_classes=3, auxiliary=True).train()
        x = images(2, 3, 299, 299)
        assert made(x).shape == (2, 3)
        main, extra = made.with_auxiliary(x)
        loss = functional.cross_entropy(main, torch.tensor([0, 1]))
        (loss + 0.4 * functional.cross_entropy(extra, torch.tensor([0, 1]))).backward()
    assert all(p.grad is not None and p.grad.any() for p in made.parameters())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"input_shape": (3, 74, 75)}, "at least 75x75"),
        ({"input_shape": (1, 299, 299)}, "RGB"),
        ({"input_shape": (3, 299, 298), "auxiliary": True}, "auxiliary classifier .* 299x299"),
        ({"scaling": "torch"}, "scaling must be one of tensorflow, imagenet, got 'torch'"),
    ],
)
def test_what_does_not_fit_is_refused(options, text):
    with pytest.raises(InputError, match=text):
        InceptionV3(**options)


def test_without_the_auxiliary_classifier_its_logits_are_refused():
    made = InceptionV3((3, 75, 75), 2)
    with pytest.raises(InputError, match="auxiliary=True"):
        made.with_auxiliary(torch.zeros(1, 3, 75, 75))
