"""Tables of binarised networks run again, on digits."""

import pytest

from art_disc.core.errors import InputError
from art_disc.networks import fcn2
from art_disc.networks.latent import binarised_layers
from art_disc.reproduction.binarised_recipes import BINARISED, BinarisedRecipe
from art_disc.training import Adversary

SMALL = BinarisedRecipe(
    lambda *shape, **options: fcn2(*shape, widths=(32, 32), **options),
    "64-32x2-10",
    "FCN2",
    BINARISED["fcn2"].trainings,
)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ART_DISC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_recipe_trains_a_pair_of_one_width_behind_a_defence(cache, digits):
    pair = {
        word: SMALL.trained(
            digits, word, defences="bitdepth:bits=2", train_steps=100, verbose=False
        )
        for word in ("bnn", "real")
    }
    shapes = [
        [p.shape for p in each.classifier.base_network.parameters()] for each in pair.values()
    ]
    assert shapes[0] == shapes[1]
    assert len(binarised_layers(pair["bnn"].classifier.base_network)) == 3
    assert not binarised_layers(pair["real"].classifier.base_network)
    for each in pair.values():
        right = each.classifier.predict(digits.x_test).argmax(axis=1) == digits.y_test
        # what was trained behind the defence predicts behind it
        assert right.mean() == pytest.approx(each.result.accuracy)
        assert right.mean() > 0.6
        assert each.result.weights in each.training
        assert [d.bits for d in each.classifier.defences] == [2]
    assert "adam 0.01" in pair["bnn"].training
    assert len(list(cache.glob("*.npz"))) == 2


def test_steps_shorten_a_recipe_first_by_epochs_then_by_images(cache, digits):
    def told(steps, adversary=None):
        made = SMALL.trained(digits, "bnn", adversary=adversary, train_steps=steps, verbose=False)
        return made.training

    # 1297 images are 13 batches of 100
    assert "1 epochs" in told(1)
    assert "2 epochs" in told(26)
    assert "PGD-2" in told(1, Adversary(0.1, steps=2))
    for wrong in ({"precision": "xnor"}, {"train_steps": 0}):
        with pytest.raises(InputError):
            SMALL.trained(digits, verbose=False, **wrong)


def test_the_recipes_are_of_the_published_shapes():
    assert set(BINARISED) == {"fcn1", "fcn2"}
    for name, width in (("fcn1", 6144), ("fcn2", 600)):
        layers = binarised_layers(BINARISED[name].network((1, 28, 28), 10, binarization="bnn"))
        sizes = [(layer.in_features, layer.out_features) for layer in layers]
        assert sizes == [(784, width), *[(width, width)] * 3, (width, 10)]
