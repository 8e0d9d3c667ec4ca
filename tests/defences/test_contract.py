import copy
import pickle

import numpy as np
import pytest
import torch

from art_disc.codebooks import Codebook, DensityCodebook, KMeansCodebook, PixelCounts
from art_disc.core.errors import InputError, NotFittedError, SealedError
from art_disc.defences import (
    GaussianNoise,
    PixelDiscretization,
)
from art_disc.defences import images as maps
from art_disc.surrogates import SoftAssignment


def cube(x):
    return x**3


def cubes(x):
    """The same for every one of twenty bits."""
    return (x**3).repeat_interleave(20, dim=1)


def custom(defence):
    return cubes if hasattr(defence, "n_levels") else cube


def gradient(defence, x, grad):
    """What autograd gives through forward."""
    leaf = torch.tensor(x, requires_grad=True)
    defence.forward(leaf)[0].backward(torch.tensor(grad))
    return leaf.grad.numpy()


def some_gradient(x):
    return np.random.default_rng(9).normal(size=x.shape).astype(np.float32)


def test_the_value_is_exact_with_and_without_a_gradient(every):
    expected = every.hard(every.x)
    leaf = torch.tensor(every.x, requires_grad=True)
    with_grad, _ = every.defence.forward(leaf)
    assert with_grad.requires_grad
    assert np.array_equal(with_grad.detach().numpy(), expected)
    assert np.array_equal(every.defence(every.x)[0], expected)
    with torch.no_grad():
        assert np.array_equal(every.defence.forward(leaf)[0].numpy(), expected)
    assert not np.array_equal(expected, every.x)


def test_every_pixel_is_a_codeword(case):
    book = case.defence.codebook
    leaf = torch.tensor(case.x, requires_grad=True)
    out = case.defence.forward(leaf)[0].detach().numpy()
    out = out if not case.first else np.moveaxis(out, 1, -1)
    rows = out.reshape(-1, book.n_channels_)
    codes = book.codewords_ * np.float32(case.upper)
    assert set(map(tuple, rows.tolist())) <= set(map(tuple, codes.tolist()))
    assert book.n_codes_ >= 16


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8])
def test_any_float_or_byte_gives_float32(every, dtype):
    x = (every.x * (255 / every.upper if dtype == np.uint8 else 1)).astype(dtype)
    before = x.copy()
    out, _ = every.defence(x)
    assert out.dtype == np.float32
    assert np.array_equal(out, every.hard(x))
    assert np.array_equal(x, before)
    if dtype != np.uint8:
        leaf = torch.tensor(x, requires_grad=True)
        every.defence.forward(leaf)[0].sum().backward()
        assert leaf.grad.dtype == leaf.dtype


@pytest.mark.parametrize("surrogate", ["identity", "soft:7", cube])
def test_both_of_arts_gradients_are_those_of_the_surrogate(case, surrogate):
    defence = case.defence.with_surrogate(surrogate)
    grad, before = some_gradient(case.x), case.x.copy()
    by_autograd = gradient(defence, case.x, grad)
    assert np.allclose(defence.estimate_gradient(case.x, grad), by_autograd, rtol=1e-5, atol=1e-6)
    leaf = torch.tensor(case.x, requires_grad=True)
    defence.estimate_forward(leaf).backward(torch.tensor(grad))
    assert np.allclose(leaf.grad.numpy(), by_autograd, rtol=1e-5, atol=1e-6)
    assert np.abs(by_autograd).max() > 0.1
    assert np.array_equal(case.x, before)
    if surrogate == "identity":
        assert np.allclose(by_autograd, grad, rtol=1e-6)
    if surrogate is cube:
        slope = 3 * (case.x / case.upper) ** 2
        assert np.allclose(by_autograd, slope * grad, rtol=1e-4, atol=1e-6)


def test_without_a_surrogate_too_both_of_arts_gradients_agree(every):
    defence, grad = every.defence, every.grad()
    by_autograd = gradient(defence, every.x, grad)
    assert np.allclose(defence.estimate_gradient(every.x, grad), by_autograd, atol=1e-6)
    # codes are 0 and 1, whatever the range of the images
    scale = every.upper if hasattr(defence, "n_levels") else 1
    assert np.abs(by_autograd).max() > 0.1 / scale
    if isinstance(defence, GaussianNoise):
        assert np.array_equal(by_autograd, grad)
    if defence.meant("soft") is None:
        assert defence.with_surrogate("soft") is defence


def test_class_gradients_are_taken_class_by_class(every):
    grads = np.stack([every.grad(), 2 * every.grad()], axis=1)
    whole = every.defence.estimate_gradient(every.x, grads)
    assert whole.shape == (len(every.x), 2, *every.x.shape[1:])
    for k in range(2):
        alone = every.defence.estimate_gradient(every.x, grads[:, k])
        assert np.allclose(whole[:, k], alone)


@pytest.mark.parametrize("beyond", [-3.0, -0.01, 1.01, 4.0, np.inf])
def test_the_map_is_total(grey, beyond):
    x = np.full_like(grey.x, beyond)
    out, _ = grey.defence(x)
    edge = (
        grey.defence.codebook.codewords_.min()
        if beyond < 0
        else (grey.defence.codebook.codewords_.max())
    )
    if np.isfinite(beyond):
        assert (out == edge).all()
    assert np.isfinite(out).all()


def test_labels_pass_through(every):
    y = np.arange(len(every.x))
    assert np.array_equal(every.defence(every.x, y)[1], y)
    assert every.defence(every.x)[1] is None
    token = object()
    assert every.defence.forward(torch.tensor(every.x), token)[1] is token


def test_chunks_change_nothing(case, monkeypatch):
    grad = some_gradient(case.x)
    whole = case.defence(case.x)[0], gradient(case.defence, case.x, grad)
    monkeypatch.setattr(maps, "MEMORY_BYTES", 1)
    assert maps.images_at_once(torch.tensor(case.x), case.defence.map.copies) == 1
    assert np.array_equal(case.defence(case.x)[0], whole[0])
    assert np.allclose(gradient(case.defence, case.x, grad), whole[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("call", ["forward", "estimate_forward"])
def test_what_is_no_image_is_refused(every, call):
    x = torch.tensor(every.x)
    for bad, text in (
        (x[0], "4 axes"),
        (x.long(), r"got torch.int64; convert with .float\(\)"),
    ):
        with pytest.raises(InputError, match=text):
            getattr(every.defence, call)(bad)


def test_nan_stays_nan_and_spoils_its_own_pixel_alone(case):
    # ART's Square in l2 tries such candidates; they must not turn into codewords
    x = torch.tensor(case.x)
    nan = x.clone()
    nan[0, 0, 0, 0] = torch.nan
    clean, spoilt = (case.defence.forward(images)[0] for images in (x, nan))
    lost = spoilt.isnan()
    assert lost[0, 0, 0, 0]
    assert torch.equal(spoilt[~lost], clean[~lost])
    channels = 1 if case.defence.codebook.per_channel else case.defence.codebook.n_channels_
    assert lost.sum() == channels


def test_other_channels_are_refused_unless_each_is_mapped_alone(case):
    if case.defence.codebook.per_channel:
        return
    axis = 1 if case.first else 3
    two = torch.tensor(case.x).narrow(axis, 0, 1).repeat_interleave(2, dim=axis)
    with pytest.raises(InputError, match=r"channel\(s\), got 2"):
        case.defence.forward(two)


def pickled(defence):
    return pickle.loads(pickle.dumps(defence))  # noqa: S301 - our own bytes


def test_a_map_has_replicas_as_data_parallel_makes_them(every):
    sealed = every.defence.map
    parts = {name: part._replicate_for_data_parallel() for name, part in sealed.named_modules()}
    # as torch.nn.parallel.replicate puts them together
    for name, part in parts.items():
        for key in part._modules:
            setattr(part, key, parts[f"{name}.{key}".lstrip(".")])
        own = sealed.get_submodule(name)
        for key, tensor in [*own._buffers.items(), *own._parameters.items()]:
            setattr(part, key, tensor.detach().clone())
    x = torch.tensor(every.x)
    assert torch.equal(parts[""](x), sealed(x))
    assert sealed.is_sealed
    with pytest.raises(SealedError):
        sealed.upper = 2.0


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_copies_do_the_same(every, copied):
    defence = every.defence.with_surrogate(custom(every.defence))
    twin = copied(defence)
    grad = every.grad()
    assert np.array_equal(twin(every.x)[0], defence(every.x)[0])
    assert np.array_equal(gradient(twin, every.x, grad), gradient(defence, every.x, grad))


def test_parameters_that_are_set_take_effect(grey):
    grad = some_gradient(grey.x)
    soft = gradient(grey.defence.with_surrogate("soft:3"), grey.x, grad)
    identity = gradient(grey.defence.with_surrogate("identity"), grey.x, grad)
    assert not np.allclose(soft, identity)
    grey.defence.set_params(surrogate="soft:3")
    assert grey.defence.surrogate == SoftAssignment(3.0)
    assert np.array_equal(gradient(grey.defence, grey.x, grad), soft)
    grey.defence.set_params(surrogate="identity")
    assert np.array_equal(gradient(grey.defence, grey.x, grad), identity)
    grey.defence.set_params(codebook=Codebook([0.25, 0.5]))
    assert set(np.unique(grey.defence(grey.x)[0])) == {0.25, 0.5}


def test_another_surrogate_or_layout_leaves_the_first_alone(grey):
    before = grey.defence.surrogate, grey.defence.clip_values
    other = grey.defence.with_surrogate(cube).with_layout(
        channels_first=False, clip_values=(0, 255)
    )
    assert (grey.defence.surrogate, grey.defence.clip_values) == before
    assert other.surrogate.name == "cube"
    last = np.moveaxis(grey.x, 1, -1) * 255
    expected = np.moveaxis(grey.defence(grey.x)[0], 1, -1) * np.float32(255)
    assert np.allclose(other(last)[0], expected, atol=1e-4)


def test_fit_learns_the_codebook_from_images_in_the_defences_own_layout():
    images = np.random.default_rng(0).integers(0, 256, (4, 6, 6, 3), dtype=np.uint8)
    expected = DensityCodebook(3, 0.2).fit(PixelCounts.of(images, channels_first=False))
    for x in (images, images.astype(np.float32)):
        defence = PixelDiscretization(
            DensityCodebook(3, 0.2), channels_first=False, clip_values=(0, 255)
        )
        assert not defence.is_fitted
        with pytest.raises(NotFittedError, match=r"call fit\(x_train\) first"):
            defence(images)
        assert defence.fit(x) is defence
        assert defence.is_fitted
        assert np.array_equal(defence.codebook.codewords_, expected.codewords_)
        assert set(map(tuple, defence(x)[0].reshape(-1, 3))) <= set(
            map(tuple, expected.codewords_ * np.float32(255))
        )


@pytest.mark.parametrize("clip", [(0, 2), (-1, 1), (0,), None, (1, 0), ("a", "b"), 3])
def test_other_ranges_are_refused(clip):
    with pytest.raises(InputError, match=r"clip_values must be \(0, 1\) or \(0, 255\)"):
        PixelDiscretization(Codebook([0, 1]), clip_values=clip)


def test_what_is_no_codebook_or_surrogate_is_refused():
    with pytest.raises(InputError, match="surrogate must be"):
        PixelDiscretization(Codebook([0, 1]), "hard")
    with pytest.raises(InputError, match="codebook must be a Codebook"):
        PixelDiscretization(Codebook([0, 1])).set_params(codebook=[0, 1])
    with pytest.raises(InputError, match="codebook must be a Codebook, got list"):
        PixelDiscretization([0, 1])


def test_a_line_describes_the_defence(grey):
    line = grey.defence.describe()
    book = grey.defence.codebook
    assert line.startswith(f"{type(grey.defence).__name__}({type(book).__name__}(")
    for name, value in book.get_params().items():
        assert (f"{name}={value!r}" in line) == (value is not None)


def test_a_seed_that_is_a_generator_is_in_no_line():
    x = np.random.default_rng(0).random((2, 1, 4, 4), dtype=np.float32)
    book = KMeansCodebook(2, random_state=np.random.default_rng(0)).fit(x)
    for line in (PixelDiscretization(book).describe(), PixelDiscretization(book).facts()[0]):
        assert "random_state" not in line
        assert " at 0x" not in line


def test_the_line_names_number_content_and_file_of_the_codewords(grey, tmp_path):
    book = grey.defence.codebook
    line = grey.defence.describe()
    assert line.endswith(f", k={book.n_codes_}, codewords='{book.fingerprint}')")
    loaded = PixelDiscretization(Codebook.load(book.save(tmp_path / "words.npz")))
    assert (
        loaded.describe().partition("(")[2] == line.partition("(")[2][:-1] + ", file='words.npz')"
    )
    # a training behind it is the same one, whatever the file is called
    assert loaded.facts()[0].partition("(")[2] == grey.defence.facts()[0].partition("(")[2]
    assert "codewords=" not in loaded.facts()[0]
    assert "k=" not in PixelDiscretization(DensityCodebook(2)).describe()


def test_a_later_fit_of_the_codebook_leaves_a_built_map_alone():
    x = np.random.default_rng(0).random((20, 1, 4, 4), dtype=np.float32)
    book = DensityCodebook(n_codes=2, radius=0.4).fit(x)
    defence = PixelDiscretization(book)
    before = defence(x)[0]
    book.set_params(n_codes=3, radius=0.2).fit(1 - x)
    assert np.array_equal(defence(x)[0], before)
