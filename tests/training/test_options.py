"""Defences, augmentation, precision, warm-up and checkpoints of the training loop."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

import art_disc as ad
from art_disc.core.errors import FileFormatError, InputError
from art_disc.networks import DigitsNet, weights_hash
from art_disc.training import Adversary, SixSettings, cache, loop, train, trained, words
from art_disc.training.recipe import Mixed, Recipe, augmented

FAST = {"epochs": 3, "batch_size": 32, "verbose": False}


@pytest.fixture(scope="module")
def small(digits):
    return digits.subset(n_train=200, n_test=60, stratified=True)


def fresh(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return DigitsNet()


class Watch(nn.Module):
    """A network that keeps what it was trained on."""

    def __init__(self, net):
        super().__init__()
        self.net = net
        self.seen = []

    def forward(self, x):
        if self.training:
            self.seen.append(x.detach().clone())
        return self.net(x)


def test_behind_a_defence_it_learns_from_codewords_alone(small):
    watch = Watch(fresh())
    defence = ad.PixelDiscretization(ad.DensityCodebook(3, radius=0.2))
    result = train(watch, small, defences=[defence], adversary=Adversary(0.1, steps=2), **FAST)
    levels = torch.tensor(defence.codebook.codewords_.ravel())
    seen = torch.cat(watch.seen)
    assert len(seen) == 3 * 200
    assert torch.isin(seen, levels).all()
    # the adversary moved pixels over borders, so not every image is a clean image's code
    clean = ad.build_classifier(fresh(), data=small, defences=[defence]).model.maps[0]
    codes = clean(torch.tensor(small.x_train)).flatten(1)
    same = (seen.flatten(1)[:, None] == codes[None]).all(dim=2).any(dim=1)
    assert same.float().mean() < 0.9
    # accuracy is that of the network behind the defence
    classifier = ad.build_classifier(watch.net, data=small, defences=[defence])
    right = (classifier.predict(small.x_test).argmax(axis=1) == small.y_test).mean()
    assert result.accuracy == pytest.approx(right)


def test_retraining_behind_a_coarse_defence_pays(digits, digits_net):
    defence = ad.ColorDepthReduction(2)

    def accuracy(network):
        classifier = ad.build_classifier(network, data=digits, defences=[defence])
        return (classifier.predict(digits.x_test).argmax(axis=1) == digits.y_test).mean()

    network = copy.deepcopy(digits_net)
    result = train(network, digits, epochs=8, defences=[defence], verbose=False)
    assert accuracy(network) > accuracy(digits_net) + 0.02
    assert result.accuracy == pytest.approx(accuracy(network))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_retraining_is_on_defended_images_and_on_none_else(small, tmp_path, monkeypatch, precision):
    """Through `train`, and by the word `retrain`; the clean images are of many grey levels."""
    monkeypatch.setenv("ART_DISC_CACHE", str(tmp_path))
    defence = ad.ColorDepthReduction(2)
    watch = Watch(fresh())
    train(watch, small, defences=[defence], precision=precision, **FAST)
    seen = [torch.cat(watch.seen)]
    if precision == "float32":
        monkeypatch.setattr(words, "named_network", lambda _: lambda *_: Watch(fresh()))
        given = words.NetworkWords(epochs=1, retrain=2, verbose=False)
        classifier, _ = words.make_classifier(given, small, [defence])
        # the first epoch taught the network itself, on images as they are
        each = torch.cat(classifier.base_network.seen)
        assert len(torch.cat([each[:200]]).unique()) > 2
        seen.append(each[200:])
    for images, epochs in zip(seen, (3, 2), strict=False):
        assert len(images) == epochs * 200
        assert images.unique().tolist() == [0.0, 1.0]


class StopError(Exception):
    pass


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimizer": "sgd", "learning_rate": 0.05, "weight_decay": 1e-3, "warm_up": 0.4},
        {"adversary": Adversary(0.1, steps=2, ramp=0.5), "augment": "crop_flip"},
        {"defences": [ad.GaussianNoise(0.1, seed=3)]},
        {"averaging": 0.6, "milestones": (0.5,), "l1": 1e-4, "gradient_clip": 1.0},
        {"optimizer": "fused_adam", "layout": torch.channels_last},
    ],
    ids=["plain", "sgd", "adversary", "noise", "averaged", "fused"],
)
@pytest.mark.parametrize("at", [1, 2])
def test_interrupted_and_resumed_gives_the_weights_of_an_uninterrupted_run(
    small, tmp_path, monkeypatch, options, at
):
    monkeypatch.setattr(loop, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    file = tmp_path / "half.npz"
    options = dict(options)
    layout = options.pop("layout", torch.contiguous_format)

    def begun():
        return fresh().to(memory_format=layout)

    whole = train(begun(), small, **FAST, **options)

    def stop(epoch, _):
        # the epoch that is under way is lost, those before it are not
        if epoch == at + 1:
            raise StopError

    with pytest.raises(StopError):
        train(begun(), small, checkpoint=file, on_epoch=stop, **FAST, **options)
    assert file.is_file()
    epochs = []
    again = train(
        begun(), small, checkpoint=file, on_epoch=lambda e, _: epochs.append(e), **FAST, **options
    )
    assert epochs == list(range(at + 1, 4))
    assert again == whole
    assert not file.exists()


def test_a_training_that_cannot_be_saved_is_not_lost(small, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(cache, "save_weights", full)
        with pytest.raises(OSError, match="No space"):
            trained(fresh, small, cache=tmp_path, **FAST)
    assert list(tmp_path.glob("*.part.npz"))
    epochs = []
    trained(fresh, small, cache=tmp_path, on_epoch=lambda e, _: epochs.append(e), **FAST)
    assert len(epochs) <= 1
    assert not list(tmp_path.glob("*.part.npz"))


def test_a_training_of_seconds_leaves_no_file_and_the_cache_goes_on_where_it_was(
    small, tmp_path, monkeypatch
):
    def files():
        return {p.name.count(".part.npz") for p in tmp_path.iterdir()}

    def stop(epoch, _):
        if epoch == 2:
            raise StopError

    with pytest.raises(StopError):
        trained(DigitsNet, small, cache=tmp_path, on_epoch=stop, **FAST)
    assert files() == set()
    monkeypatch.setattr(loop, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    with pytest.raises(StopError):
        trained(DigitsNet, small, cache=tmp_path, on_epoch=stop, **FAST)
    assert files() == {1}
    epochs = []
    _, result = trained(
        DigitsNet, small, cache=tmp_path, on_epoch=lambda e, _: epochs.append(e), **FAST
    )
    assert epochs == [2, 3]
    assert files() == {0}
    _, cached = trained(DigitsNet, small, cache=tmp_path, **FAST)
    assert cached.cached
    assert (cached.losses, cached.accuracies) == (result.losses, result.accuracies)
    assert len(result.losses) == 3


def test_a_checkpoint_of_another_training_or_a_damaged_one_is_refused(small, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    file = tmp_path / "half.npz"

    def stop(epoch, _):
        if epoch == 2:
            raise StopError

    with pytest.raises(StopError):
        train(fresh(), small, checkpoint=file, on_epoch=stop, **FAST)
    kept = file.read_bytes()
    for options in ({"seed": 5}, {"learning_rate": 1e-2}, {"adversary": Adversary(0.1)}):
        with pytest.raises(InputError, match=f"another {next(iter(options))}"):
            train(fresh(), small, checkpoint=file, **FAST, **options)
    with pytest.raises(InputError, match="another initial"):
        train(fresh(1), small, checkpoint=file, **FAST)
    assert file.read_bytes() == kept
    file.write_bytes(kept[:-2000])
    with pytest.raises(FileFormatError):
        train(fresh(), small, checkpoint=file, **FAST)
    np.savez(file, x=np.zeros(3))
    with pytest.raises(FileFormatError, match="no checkpoint"):
        train(fresh(), small, checkpoint=file, **FAST)


def test_a_damaged_checkpoint_of_the_cache_costs_a_training_and_not_the_run(
    small, tmp_path, monkeypatch
):
    monkeypatch.setattr(loop, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)

    def stop(epoch, _):
        if epoch == 2:
            raise StopError

    whole, _ = trained(DigitsNet, small, cache=tmp_path / "other", **FAST)
    with pytest.raises(StopError):
        trained(DigitsNet, small, cache=tmp_path, on_epoch=stop, **FAST)
    (part,) = tmp_path.glob("*.part.npz")
    part.write_bytes(part.read_bytes()[:-3000])
    again, _ = trained(DigitsNet, small, cache=tmp_path, **FAST)
    assert weights_hash(again) == weights_hash(whole)


class Dropped(nn.Module):
    def __init__(self, p=0.5):
        super().__init__()
        self.drop = nn.Dropout(p)
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.drop(x.flatten(1)))


def test_dropout_is_seeded_and_leaves_the_global_stream_alone(small, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)

    def new():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return Dropped()

    torch.manual_seed(1)
    first = train(new(), small, **FAST).weights
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert train(new(), small, **FAST).weights == first
    assert torch.equal(torch.get_rng_state(), state)
    assert train(new(), small, seed=1, **FAST).weights != first

    def stop(epoch, _):
        if epoch == 2:
            raise StopError

    file = tmp_path / "half.npz"
    with pytest.raises(StopError):
        train(new(), small, checkpoint=file, on_epoch=stop, **FAST)
    assert train(new(), small, checkpoint=file, **FAST).weights == first


def test_the_cache_tells_trainings_apart_by_all_that_decides_them(small, tmp_path):
    def cached(factory=DigitsNet, **options):
        with torch.random.fork_rng():
            return trained(factory, small, cache=tmp_path, **FAST | options)[1].cached

    book = ad.DensityCodebook(2, radius=0.5).fit(small.x_train)

    def defence(surrogate="soft", **options):
        return {"defences": [ad.PixelDiscretization(book, surrogate, **options)]}

    adversary = {"adversary": Adversary(0.1, steps=1)}
    assert not cached()
    # what is said and what is so by default are the same
    assert cached(learning_rate=1e-3, epochs=np.int64(3))
    for options in (
        {"epochs": 1},
        {"precision": "bfloat16"},
        {"augment": "crop"},
        {"weight_decay": 1e-3},
        defence(),
        defence() | adversary,
        defence("identity") | adversary,
        {"defences": [ad.Thermometer(2)], "factory": lambda: DigitsNet((2, 8, 8))},
        {"factory": lambda: Dropped(0.1)},
        {"factory": lambda: Dropped(0.9)},
    ):
        assert not cached(**options), options
        assert cached(**options), options
    # the range that a defence was made for decides nothing: images here are in [0, 1]
    assert cached(**defence(clip_values=(0, 255)))
    # a surrogate of the user's own cannot be told from another
    for _ in range(2):
        assert not cached(**defence(lambda x: x.clone()) | adversary)
    with pytest.raises(InputError, match="unknown setting of a training: 'epoch'"):
        cached(epoch=1)


def test_noises_behind_each_other_are_independent_and_ranges_do_not_matter(small):
    watch = Watch(fresh())
    noises = [ad.GaussianNoise(0.1), ad.GaussianNoise(0.1, clip_values=(0, 255))]
    still = dataclasses.replace(small, x_train=np.full_like(small.x_train, 0.5))
    train(watch, still, defences=noises, **FAST)
    assert torch.cat(watch.seen).std() == pytest.approx(0.1 * 2**0.5, rel=0.02)


def test_crops_move_by_two_pixels_at_most_and_flips_mirror():
    x = torch.arange(1.0, 1 + 5 * 2 * 6 * 7).view(5, 2, 6, 7)
    before = x.clone()
    wide = nn.functional.pad(x, (2,) * 4)
    moves, mirrored = set(), set()
    generator = torch.Generator().manual_seed(0)
    for _ in range(60):
        for image, out in zip(wide, augmented(x, "crop_flip", generator), strict=True):
            found = [
                (dy, dx, flip)
                for dy in range(5)
                for dx in range(5)
                for flip in (False, True)
                if torch.equal(
                    out,
                    image[:, dy : dy + 6, dx : dx + 7].flip(2)
                    if flip
                    else image[:, dy : dy + 6, dx : dx + 7],
                )
            ]
            assert len(found) == 1
            moves.add(found[0][:2])
            mirrored.add(found[0][2])
    assert len(moves) == 25
    assert mirrored == {False, True}
    assert torch.equal(x, before)
    assert augmented(x, None, generator) is x
    cropped = augmented(x, "crop", torch.Generator().manual_seed(1))
    assert all(
        any(
            torch.equal(out, image[:, dy : dy + 6, dx : dx + 7])
            for dy in range(5)
            for dx in range(5)
        )
        for image, out in zip(wide, cropped, strict=True)
    )


def test_bfloat16_gives_float32_logits_and_trains_as_well(digits):
    network = fresh()
    x = torch.tensor(digits.x_test[:50])
    with torch.no_grad():
        exact, rough = network(x), Mixed(network)(x)
    assert rough.dtype == torch.float32
    assert not torch.equal(exact, rough)
    assert torch.allclose(exact, rough, atol=0.02)
    result = train(network, digits, epochs=8, precision="bfloat16", verbose=False)
    assert result.accuracy > 0.93
    assert all(p.dtype == torch.float32 for p in network.parameters())


@pytest.mark.parametrize(
    ("able", "precision"),
    [({"avx512_f": True, "avx512_bf16": False}, "float32"), ({"amx_bf16": True}, "bfloat16")],
)
def test_the_fastest_precision_is_one_that_the_processor_multiplies(monkeypatch, able, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    recipe = Recipe(precision="fastest")
    assert recipe.precision == precision
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert Recipe(precision="fastest").precision == "float32"
    # so that two processors have two entries in the cache
    assert recipe.facts() == Recipe(precision=precision).facts()


def test_the_learning_rate_rises_and_falls():
    recipe = Recipe(epochs=1, learning_rate=2.0, warm_up=0.25, optimizer="sgd")
    optimizer = recipe.make_optimizer(nn.Linear(2, 2))
    schedule = recipe.make_schedule(optimizer, 100)
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[0] == pytest.approx(2 / 25)
    assert rates[24] == rates[25] == max(rates) == 2.0
    assert rates[62] == pytest.approx(1 + np.cos(np.pi * 37 / 75))
    assert rates[99] < 0.01


def test_a_rate_of_numpy_trains_as_the_same_one_of_python(small):
    options = {"epochs": 1, "batch_size": 4, "verbose": False}
    rate = np.float32(0.003)
    one = train(fresh(), small, **options, learning_rate=rate)
    assert one == train(fresh(), small, **options, learning_rate=float(rate))


def test_the_adversary_grows_along_its_ramp():
    adversary = Adversary(0.2, steps=4, ramp=0.5)
    assert adversary.at(0.25).eps == pytest.approx(0.1)
    assert adversary.at(0.25).step_length == pytest.approx(adversary.step_length / 2)
    assert adversary.at(0.5) == adversary.at(1.0) == adversary
    assert 0 < adversary.at(0.0).eps < 1e-3
    assert adversary.facts()["ramp"] == 0.5
    assert "ramp" not in Adversary(0.2).facts()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"optimizer": "lion"}, "optimizer"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"warm_up": 1.0}, "warm_up"),
        ({"augment": "spin"}, "augment"),
        ({"precision": "int3"}, "precision"),
        ({"defences": [nn.Identity()]}, "defences"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_step(small, options, text):
    network = fresh()
    before = weights_hash(network)
    with pytest.raises(InputError, match=text):
        train(network, small, **FAST, **options)
    assert weights_hash(network) == before


def test_the_six_settings_are_what_their_names_say(small, tmp_path):
    six = SixSettings(
        DigitsNet,
        small,
        [ad.ColorDepthReduction(2)],
        adversary=Adversary(0.1, steps=2),
        natural={"epochs": 2},
        adversarial={"epochs": 3},
        natural_again={"epochs": 1, "learning_rate": 1e-2},
        adversarial_again={"epochs": 1},
        cache=tmp_path,
        verbose=False,
    )
    found = {name: six[name] for name in six.names}
    assert list(found) == list(ad.training.SETTINGS)
    weights = {name: weights_hash(s.classifier.base_network) for name, s in found.items()}
    assert weights["nat_pre"] == weights["disc_nat_pre"]
    assert weights["adv_pre"] == weights["disc_adv_pre"]
    assert len(set(weights.values())) == 4
    for name, setting in found.items():
        assert bool(setting.classifier.defences) == name.startswith("disc")
        assert setting.result.weights == weights[name]
        assert ("adversarial" in setting.training) == ("adv" in name)
        assert ("retrained" in setting.training) == name.endswith("_re")
    # a retraining starts from its base: one epoch changes little of what three taught
    base, again = (found[n].classifier.base_network for n in ("adv_pre", "disc_adv_re"))
    before, after, other = (net.head[3].weight for net in (base, again, fresh(9)))
    assert (before - after).norm() < 0.5 * (before - other).norm()
    assert len(list(tmp_path.iterdir())) == 4


def test_settings_without_an_adversary_and_unknown_words(small, tmp_path):
    six = SixSettings(DigitsNet, small, [], natural={"epochs": 1}, cache=tmp_path, verbose=False)
    with pytest.raises(InputError, match="needs an adversary"):
        six["adv_pre"]
    with pytest.raises(InputError, match="one of nat_pre"):
        six["natural"]
    with pytest.raises(InputError, match="unknown setting"):
        SixSettings(DigitsNet, small, [], natural={"epoch": 1})
    assert not list(tmp_path.iterdir())
