"""Binarised networks as ART classifiers: signs in prediction, chosen gradients, clamped latents."""

import copy
import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescent
from art.defences.trainer import AdversarialTrainerFBFPyTorch

import art_disc as ad
from art_disc.core.errors import CertificateError, InputError
from art_disc.estimators import DefendedModule
from art_disc.evaluation.sources import gradient_sources, wanted_surrogates
from art_disc.metrics import certify
from art_disc.networks import DigitsNet, SignGradient
from art_disc.networks.latent import binarised_layers
from tests.networks.products import Products, signed

WORDS = ("ste_identity", "ste_hard_tanh", "ste_clipped", "ste_polynomial")
CODES = {"two codes": [ad.ColorDepthReduction(n_codes=2)], "bare": []}


@pytest.fixture(scope="module")
def network(digits_signs):
    return digits_signs


@pytest.fixture(scope="module")
def loud(loud_signs):
    return loud_signs


@pytest.fixture(scope="module")
def x(digits):
    return digits.x_test[:60].copy()


@pytest.fixture(scope="module")
def y(digits):
    return digits.y_test[:60]


@pytest.mark.parametrize("name", CODES)
def test_prediction_multiplies_signs_with_signs(network, digits, x, y, name):
    classifier = ad.build_classifier(network, data=digits, defences=CODES[name])
    with Products() as seen:
        scores = classifier.predict(x)
    assert signed(seen) == [(False, True), (True, True), (True, False)]
    assert (scores.argmax(axis=1) == y).mean() > 0.5
    # of latent weights the scores would be others
    real = copy.deepcopy(network)
    for layer in binarised_layers(real):
        layer.binarization = replace(layer.binarization, weights="real")
    latent = ad.build_classifier(real, data=digits, defences=CODES[name]).predict(x)
    assert not np.allclose(scores, latent, atol=0.1)


@pytest.mark.parametrize("name", CODES)
def test_an_estimator_changes_gradients_alone_and_is_that_of_such_layers(
    network, loud, digits, x, y, name
):
    classifier = ad.build_classifier(network, data=digits, defences=CODES[name])
    large = ad.build_classifier(loud, data=digits, defences=CODES[name])
    scores, found = classifier.predict(x), set()
    for word in WORDS:
        other = classifier.with_surrogate(word)
        assert np.array_equal(other.predict(x), scores)
        gradient = other.loss_gradient(x, y)
        same = copy.deepcopy(network)
        for layer in binarised_layers(same):
            how = layer.binarization
            layer.binarization = replace(how, estimator=word.removeprefix("ste_"))
        expected = ad.build_classifier(same, data=digits, defences=CODES[name])
        assert np.array_equal(gradient, expected.loss_gradient(x, y))
        assert np.abs(gradient).max() > 0
        # small values are clipped nowhere
        found.add(large.with_surrogate(word).class_gradient(x[:5], label=1).tobytes())
    assert len(found) == len(WORDS)
    # the network itself goes on as its layers say
    own = ad.build_classifier(network, data=digits, defences=CODES[name])
    assert np.array_equal(classifier.loss_gradient(x, y), own.loss_gradient(x, y))


def test_a_temperature_finds_the_gradient_of_saturated_logits(digits, loud, x, y):
    classifier = ad.build_classifier(loud, data=digits)
    scores = classifier.predict(x)
    right = scores.argmax(axis=1) == y
    hidden = np.abs(classifier.loss_gradient(x, y)[right]).max(axis=(1, 2, 3))
    assert (hidden == 0).mean() > 0.8
    cooled = classifier.with_surrogate("ste_hard_tanh:1024")
    seen = np.abs(cooled.loss_gradient(x, y)[right]).max(axis=(1, 2, 3))
    assert (seen > 0).all()
    # a power of two: no logit is rounded, no decision changes
    assert np.array_equal(cooled.predict(x) * np.float32(1024), scores)


def test_an_attack_needs_the_temperature(digits, loud, x, y):
    classifier = ad.build_classifier(loud, data=digits)
    left = {}
    for name, one in (
        ("own", classifier),
        ("cooled", classifier.with_surrogate("ste_identity:1024")),
    ):
        attack = ProjectedGradientDescent(
            one, eps=0.15, eps_step=0.03, max_iter=10, num_random_init=0, verbose=False
        )
        moved = attack.generate(x, np.eye(10, dtype=np.float32)[y])
        left[name] = (classifier.predict(moved).argmax(axis=1) == y).mean()
    noise = x + 0.15 * np.sign(np.random.default_rng(0).normal(size=x.shape)).astype(np.float32)
    beside = (classifier.predict(noise.clip(0, 1)).argmax(axis=1) == y).mean()
    assert left["cooled"] < beside - 0.3
    assert left["cooled"] < left["own"] - 0.3


def test_what_was_chosen_stays_in_other_classifiers(network, digits, x, y):
    bare = ad.build_classifier(network, data=digits).with_surrogate("ste_polynomial:4")
    chosen = SignGradient("polynomial", 4)
    coded = bare.with_defences([ad.ColorDepthReduction(n_codes=4, surrogate="soft:5")])
    others = [coded, coded.with_surrogate("identity"), coded.base, pickle.loads(pickle.dumps(bare))]  # noqa: S301 - our own
    others += [ad.defend(bare, [ad.ColorDepthReduction(n_codes=2)])]
    drawing = bare.with_defences([ad.GaussianNoise(sigma=0.1)])
    others += [drawing, drawing.frozen(0), drawing.with_samples(eot=2), drawing.base]
    assert all(one.model.through == chosen for one in others)
    assert "ste_polynomial(temperature=4)" in repr(bare)
    # the defence's own word means the defence
    assert coded.with_surrogate("identity").defences[0].surrogate.name == "identity"
    assert not np.array_equal(
        coded.with_surrogate("identity").loss_gradient(x, y), coded.loss_gradient(x, y)
    )


def test_draws_are_averaged_over_the_chosen_gradient(network, digits, x, y):
    noisy = ad.build_classifier(
        network, data=digits, defences=[ad.GaussianNoise(sigma=0.05)], eot_samples=2, vote_samples=2
    ).frozen(0)
    words = "ste_identity", "ste_hard_tanh", "ste_polynomial"
    gradients = [noisy.with_surrogate(word).loss_gradient(x, y) for word in words]
    assert len({gradient.tobytes() for gradient in gradients}) == len(words)
    assert type(noisy.with_surrogate("ste_identity")) is type(noisy)
    # draws of softened logits would have another mean
    cooled = noisy.with_surrogate("ste_identity:64")
    assert np.array_equal(cooled.predict(x), noisy.predict(x))
    assert np.array_equal(cooled.predict_draws(x, 2), noisy.predict_draws(x, 2))
    assert cooled.loss_gradient(x, y).tobytes() not in {g.tobytes() for g in gradients}


@pytest.mark.parametrize("name", CODES)
def test_an_evaluation_attacks_through_every_gradient_that_is_asked_for(network, digits, name):
    classifier = ad.build_classifier(network, data=digits, defences=CODES[name])
    asked = wanted_surrogates(classifier, ("soft", "ste_clipped:4", SignGradient("identity")), ())
    sources = gradient_sources(classifier, asked)
    last = {source.name: source.classifier.model.through for source in sources[-2:]}
    assert last == {
        "ste_clipped:4": SignGradient("clipped", 4),
        "ste_identity(temperature=1)": SignGradient("identity"),
    }
    before = "soft(alpha=10)+" if classifier.defences else ""
    assert [s.surrogate for s in sources[-2:]] == [before + s.name for s in last.values()]
    assert all("defended" in source.models for source in sources[-2:])
    plain = ad.build_classifier(DigitsNet(), data=digits, defences=CODES[name])
    with pytest.raises(InputError, match="the network has none"):
        gradient_sources(plain, asked)


def test_the_python_of_the_page_runs(capsys):
    page = (Path(__file__).parents[2] / "docs" / "binarised.md").read_text(encoding="utf-8")
    names: dict[str, object] = {}
    printed = []
    for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(compile(code, "binarised.md", "exec"), names)  # noqa: S102 - our own text
        printed.append([float(word) for word in capsys.readouterr().out.split()[-2:]])
    (clean, attacked), (accuracy, robust) = printed
    assert attacked < clean - 0.2
    assert robust < accuracy
    assert accuracy > 0.8


def test_fit_clamps_latent_weights(network, digits, x, y):
    net = copy.deepcopy(network)
    optimizer = torch.optim.Adam(net.parameters(), lr=1.0)
    classifier = ad.build_classifier(net, data=digits, optimizer=optimizer)
    # every classifier around the network would add a hook otherwise
    classifier.with_defences([ad.ColorDepthReduction(n_codes=2)]).with_surrogate("ste_identity")
    assert len(optimizer._optimizer_step_post_hooks) == 1
    before = net.layers[1].weight.clone()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        classifier.fit(x, y, batch_size=30, nb_epochs=2)
        refitted = classifier.clone_for_refitting()
        refitted.fit(x, y, batch_size=30, nb_epochs=1)
    for one in (net, refitted.model.base):
        layers = binarised_layers(one)[:-1]
        assert [float(layer.weight.detach().abs().max()) for layer in layers] == [1, 1]
    assert not torch.equal(net.layers[1].weight, before)


def test_fit_clamps_with_an_optimiser_that_is_set_later(network, digits, x, y):
    net = copy.deepcopy(network)
    net.layers[1].weight.data *= 100
    classifier = ad.build_classifier(net, data=digits)
    classifier.set_params(optimizer=torch.optim.SGD(net.parameters(), lr=0.1))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        classifier.fit(x[:30], y[:30], batch_size=30, nb_epochs=1)
    assert net.layers[1].weight.abs().max() == 1


def test_a_trainer_that_steps_by_itself_clamps_too(network, digits, x, y):
    net = copy.deepcopy(network)
    net.layers[1].weight.data *= 100
    classifier = ad.build_classifier(
        net, data=digits, optimizer=torch.optim.SGD(net.parameters(), lr=0.1)
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        rows = np.eye(10, dtype=np.float32)[y]
        AdversarialTrainerFBFPyTorch(classifier, eps=0.1).fit(x, rows, nb_epochs=1, batch_size=20)
    assert max(float(one.weight.detach().abs().max()) for one in binarised_layers(net)[:-1]) == 1


@pytest.mark.parametrize("word", ["polynomial", "ste_tanh", "ste_identity:3", "ste_identity:0", 3])
def test_other_words_are_refused_with_those_that_are_taken(network, digits, word):
    classifier = ad.build_classifier(network, data=digits)
    with pytest.raises(InputError, match="ste_identity, ste_hard_tanh, ste_clipped"):
        classifier.with_surrogate(word)


def test_a_real_network_has_no_such_words(digits):
    classifier = ad.build_classifier(DigitsNet(), data=digits)
    with pytest.raises(InputError, match="the network has none"):
        classifier.with_surrogate("ste_identity")
    with pytest.raises(InputError, match="there is no defence"):
        classifier.with_surrogate("identity")


@pytest.mark.parametrize("temperature", [3, 0.3, 0, -2, float("nan"), 2.0**21, True, "4"])
def test_a_temperature_is_a_power_of_two(temperature):
    with pytest.raises(InputError, match="temperature must be"):
        SignGradient(temperature=temperature)


def test_temperatures_that_are_powers():
    assert [SignGradient(temperature=t).temperature for t in (0.5, 1, 2**20)] == [0.5, 1, 2**20]


class Louder(SignGradient):
    def logits(self, network, x):
        return -super().logits(network, x)


def test_a_module_takes_nothing_else_in_its_place(network):
    with pytest.raises(InputError, match="must be a SignGradient, got Louder"):
        DefendedModule(network, through=Louder())


def test_certificates_are_of_the_same_decisions(network, digits, x, y):
    classifier = ad.build_classifier(network, data=digits, defences=CODES["two codes"])
    cooled = classifier.with_surrogate("ste_identity:16")
    plain, other = (certify(one, x[:8], y[:8], eps=0.02) for one in (classifier, cooled))
    assert {"certified", "falsified"} & set(plain.verdicts)
    pairs = set(zip(plain.verdicts, other.verdicts, strict=True))
    # smaller scores are closer to float noise, never on the other side
    assert not pairs & {("certified", "falsified"), ("falsified", "certified")}
    with pytest.raises(CertificateError):
        certify(classifier, x[:8], y[:8], eps=0.02, method="bounds")
