"""A surrogate goes to the defences that take it, and is refused where none does."""

import numpy as np
import pytest
from torch import nn

import art_disc as ad
from art_disc.core.errors import InputError
from art_disc.defences import Mixture, ResizePad, Unrolled
from art_disc.defences.jpeg_model import DctModel
from art_disc.defences.meaning import check_known
from art_disc.surrogates import Identity, Ramp, SoftAssignment

SHAPE = {"input_shape": (1, 8, 8), "nb_classes": 10}


def around(net, *defences):
    return ad.build_classifier(net, **SHAPE, defences=list(defences))


def jpeg():
    return ad.JpegCompression(50)


def variation():
    return ad.TotalVariation(0.2, 3)


def randdisc():
    return ad.RandDisc(2, sigma=0.1)


def levels():
    return ad.ColorDepthReduction(4)


def thermometer():
    return ad.Thermometer(4)


WORDS = [
    (jpeg, "dct", DctModel()),
    (jpeg, "dct:10", DctModel(10.0)),
    (jpeg, "dct-identity", DctModel(None)),
    (variation, "unrolled", Unrolled()),
    (randdisc, "mix", Mixture()),
    (randdisc, "mix:20", Mixture(20.0)),
    (levels, "soft:3", ad.SoftAssignment(3.0)),
]
MAKERS = (jpeg, variation, randdisc, levels)


@pytest.mark.parametrize(("make", "word", "expected"), WORDS, ids=[w for _, w, _ in WORDS])
def test_a_word_goes_to_the_one_defence_that_takes_it(digits_net, make, word, expected):
    chain = [other() for other in MAKERS]
    place = MAKERS.index(make)
    classifier = around(digits_net, *chain).with_surrogate("identity")
    made = classifier.with_surrogate(word).defences
    assert made[place].surrogate == expected
    assert all(d.surrogate == Identity() for i, d in enumerate(made) if i != place)
    # it alone takes it alone
    assert around(digits_net, make()).with_surrogate(word).defences[0].surrogate == expected
    for other in MAKERS:
        if other is not make:
            with pytest.raises(InputError, match=f"no defence takes the surrogate '{word}'"):
                around(digits_net, other()).with_surrogate(word)


def test_a_word_changes_the_gradient_and_not_the_value(digits, digits_net):
    x, y = digits.x_test[:6], np.eye(10, dtype=np.float32)[digits.y_test[:6]]
    classifier = around(digits_net, levels(), jpeg())
    twin = classifier.with_surrogate("dct:3")
    assert np.array_equal(twin.predict(x), classifier.predict(x))
    direct = around(digits_net, levels(), ad.JpegCompression(50, surrogate="dct:3"))
    assert np.array_equal(twin.loss_gradient(x, y), direct.loss_gradient(x, y))
    assert not np.allclose(twin.loss_gradient(x, y), classifier.loss_gradient(x, y))


@pytest.mark.parametrize("surrogate", ["soft", "smooth:0.1", ad.SoftAssignment(), "dct:0", 3])
def test_what_no_defence_takes_is_refused_with_what_they_take(digits_net, surrogate):
    with pytest.raises(InputError) as error:
        around(digits_net, jpeg(), randdisc(), ad.GaussianNoise(0.1)).with_surrogate(surrogate)
    assert str(error.value) == (
        f"no defence takes the surrogate {surrogate!r}: JpegCompression takes dct[:ALPHA], "
        "dct-identity or identity; RandDisc takes mix[:ALPHA] or identity; GaussianNoise takes none"
    )


def test_there_may_be_nothing_that_takes_any(digits_net):
    with pytest.raises(InputError, match="'identity': there is no defence"):
        around(digits_net).with_surrogate("identity")
    with pytest.raises(InputError, match="'soft': ResizePad takes none"):
        around(digits_net, ResizePad(6, 8, 8)).with_surrogate("soft")
    with pytest.raises(InputError, match="'ramp': ColorDepthReduction takes identity, soft"):
        around(digits_net, levels()).with_surrogate("ramp")


@pytest.mark.parametrize(
    ("make", "surrogate"),
    [(levels, "ramp"), (levels, Ramp()), (thermometer, Mixture()), (jpeg, "ramps"), (jpeg, "mix")],
)
def test_a_defence_by_itself_refuses_what_it_does_not_take(make, surrogate):
    with pytest.raises(InputError, match=r"surrogate must be .* or .*, got"):
        make().with_surrogate(surrogate)


def test_in_a_chain_the_defences_to_which_a_word_says_nothing_stay():
    net = nn.Sequential(nn.Flatten(), nn.Linear(4 * 64, 10))
    first, second = around(net, levels(), thermometer()).with_surrogate("ramp").defences
    assert (first.surrogate, second.surrogate) == (SoftAssignment(), Ramp())


@pytest.mark.parametrize("word", [*(w for _, w, _ in WORDS), "ramp:0.1", "identity", "smooth"])
def test_every_word_of_a_defence_is_known(word):
    check_known(word)


@pytest.mark.parametrize("word", ["dct:x", "mix:-1", "softer", "", "own"])
def test_no_other_is(word):
    with pytest.raises(InputError, match=r"known are identity, soft.*ramp.*mix.*dct.*unrolled"):
        check_known(word)
