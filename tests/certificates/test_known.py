"""A certificate is of what is known: everything else that predicts is refused by its name."""

import copy

import numpy as np
import pytest
import torch
from art.defences.postprocessor import GaussianNoise as NoisyScores
from art.defences.postprocessor import HighConfidence
from art.estimators.certification.randomized_smoothing import PyTorchRandomizedSmoothing
from art.estimators.classification import PyTorchClassifier
from torch import nn
from torch.nn.utils import prune

import art_disc as ad
from art_disc.certificates import known
from art_disc.certificates.divergence.models import GaussianModel
from art_disc.core.errors import CertificateError
from art_disc.defences.discretization import CodebookMap
from art_disc.defences.preprocessor import MapPreprocessor
from art_disc.defences.straight_through import StraightThrough
from art_disc.estimators import DefendedModule
from art_disc.metrics import (
    certified_accuracy,
    certified_accuracy_curve,
    certify,
    check_certifiable,
    divergence_model,
    kl_certify,
)
from studies.broken_defences import Noise

BOOK = ad.Codebook([0.2, 0.8])
X = np.random.default_rng(0).random((6, 1, 2, 2)).astype(np.float32)
Y = np.zeros(6, int)
QUIET = {"verbose": False}


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()


def built(*defences, network=None):
    return ad.build_classifier(
        network or net(), input_shape=(1, 2, 2), nb_classes=3, defences=defences
    )


def plain(*defences, kind=PyTorchClassifier, **options):
    return kind(
        net(), loss=nn.CrossEntropyLoss(), input_shape=(1, 2, 2), nb_classes=3,
        clip_values=(0.0, 1.0), device_type="cpu", preprocessing_defences=list(defences), **options,
    )  # fmt: skip


def fixed():
    return built(ad.PixelDiscretization(BOOK))


def noisy():
    return built(ad.GaussianNoise(0.2))


ENUMERATING = (
    lambda c: certify(c, X, eps=0.05, **QUIET),
    lambda c: certified_accuracy(c, X, Y, eps=0.05, **QUIET),
    lambda c: check_certifiable(c, X),
)
VOTING = (
    lambda c: kl_certify(c, X, eps=0.01, draws=20, **QUIET),
    lambda c: certified_accuracy_curve(c, X, Y, eps=0.01, draws=20, **QUIET),
    divergence_model,
)


def refused(classifier, doors, words):
    for door in doors:
        with pytest.raises(CertificateError, match=words):
            door(classifier)


def test_what_is_known_is_certified():
    for classifier in (fixed(), plain(ad.PixelDiscretization(BOOK))):
        for door in ENUMERATING:
            door(classifier)
    for door in VOTING:
        door(noisy())


@pytest.mark.filterwarnings("ignore:(?s).*Gaussian noise will be added:UserWarning")
def test_noise_before_the_map_is_not_certified():
    """ART's smoothing draws in `predict`, and says nowhere that it is random."""
    smooth = plain(
        ad.PixelDiscretization(BOOK), kind=PyTorchRandomizedSmoothing, scale=0.3, sample_size=20
    )
    assert not getattr(smooth, "is_random", False)
    refused(smooth, ENUMERATING, "PyTorchRandomizedSmoothing may do more")


class Derived(ad.DefendedClassifier):
    """A class of one's own, which may do anything in `predict`."""


def test_an_unknown_class_is_refused_however_near(monkeypatch):
    inner = fixed()
    derived = Derived(model=inner.model, **{**inner._options(), "preprocessing_defences": None})
    refused(derived, ENUMERATING, "Derived may do more than its module")
    monkeypatch.setattr(known, "ESTIMATORS", {*known.ESTIMATORS, Derived})
    assert certify(derived, X, eps=0.05, **QUIET).verdicts


class Drawing:
    """Draws of its own, and the defences that it likes to name."""

    clip_values = (0.0, 1.0)
    input_shape = (1, 2, 2)
    channels_first = True

    def __init__(self, inner, defences):
        self.inner, self.defences = inner, defences

    def predict_draws(self, x, n, seed=None):
        return self.inner.predict_draws(x, n, seed=seed)


def test_defences_that_an_unknown_class_names_are_not_believed():
    """It claims five times the noise that it draws."""
    drawing = Drawing(noisy(), (ad.GaussianNoise(1.0),))
    refused(drawing, VOTING, "Drawing may do more than its module")
    told = kl_certify(drawing, X, eps=0.01, draws=20, model=GaussianModel(0.2), **QUIET)
    assert "not measured" in told.assumes


@pytest.mark.parametrize("make", [fixed, noisy])
@pytest.mark.parametrize("where", ["model", "map", "network", "layer", "wrapper"])
@pytest.mark.parametrize("when", ["register_forward_hook", "register_forward_pre_hook"])
def test_hooks_are_refused(make, where, when):
    classifier = make()
    module = {
        "model": classifier.model,
        "map": classifier.model.maps[0],
        "network": classifier.base_network,
        "layer": classifier.base_network[1],
        "wrapper": classifier._model,
    }[where]

    def idle(*_):
        return None

    handle = getattr(module, when)(idle)
    doors = ENUMERATING if make is fixed else VOTING
    refused(classifier, doors, r"a hook of \w+, .*idle, may do anything")
    handle.remove()
    doors[0](classifier)


def test_a_model_that_is_given_does_not_vouch_for_hooks():
    classifier = noisy()
    classifier.base_network.register_forward_hook(lambda *_: None)
    with pytest.raises(CertificateError, match="a hook of"):
        kl_certify(classifier, X, eps=0.01, draws=20, model=GaussianModel(0.2), **QUIET)


def test_a_hook_of_every_module_is_refused():
    handle = torch.nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        refused(fixed(), ENUMERATING[:1], "global hook")
    finally:
        handle.remove()


def test_weights_that_torch_makes_anew_are_no_hook():
    network = net()
    nn.utils.parametrizations.weight_norm(network[1])
    nn.utils.parametrizations.spectral_norm(network[3])
    prune.l1_unstructured(network[1], "bias", amount=2)
    certify(built(ad.PixelDiscretization(BOOK), network=network.eval()), X, eps=0.05, **QUIET)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("predict", lambda c: c),
        ("_apply_preprocessing", lambda c: c),
        ("forward", lambda c: c.model),
        ("_call_impl", lambda c: c.model),
        ("forward", lambda c: c._model),
        ("forward", lambda c: c.base_network[1]),
        ("forward", lambda c: c.defences[0]),
        ("enter", lambda c: c.defences[0].map),
    ],
)
def test_a_method_that_was_exchanged_is_refused(name, part):
    for classifier, doors in ((fixed(), ENUMERATING), (noisy(), VOTING)):
        owner = part(classifier)
        # as one who does not keep to the seals would
        vars(owner)[name] = getattr(owner, name)
        refused(classifier, doors, f"{name} of this .* was exchanged")


def test_an_unknown_preprocessor_behind_the_map_is_refused():
    drawing = Noise()
    refused(plain(ad.PixelDiscretization(BOOK), drawing), ENUMERATING, "Noise may draw")
    refused(
        plain(ad.PixelDiscretization(BOOK), StraightThrough(drawing)), ENUMERATING, "Noise may draw"
    )
    drawing._apply_predict = False
    certify(plain(ad.PixelDiscretization(BOOK), drawing), X, eps=0.05, **QUIET)


class Standard(MapPreprocessor):
    """A step that has `mean` and `std` of nothing, and does something else."""

    mean, std = 0.0, 1.0

    def _make_map(self):
        class Dim(nn.Module):
            def forward(self, x):
                return 0.9 * x

        return Dim()


def test_a_step_is_the_identity_by_what_it_is():
    classifier = plain(Standard(), ad.PixelDiscretization(BOOK))
    refused(classifier, ENUMERATING, "Standard first")
    assert known.is_identity(plain().preprocessing)
    assert not known.is_identity(plain(preprocessing=(0.1, 1.0)).preprocessing)
    assert not known.is_identity(plain(preprocessing=(0.0, 0.5)).preprocessing)
    assert not known.is_identity(Standard())


@pytest.mark.parametrize("after", [NoisyScores(scale=0.1), HighConfidence(cutoff=0.9)])
def test_what_changes_the_scores_is_refused(after):
    options = {"postprocessing_defences": after}
    classifier = plain(ad.PixelDiscretization(BOOK), **options)
    refused(classifier, ENUMERATING, f"postprocessor {type(after).__name__}")
    refused(ad.defend(classifier, []), ENUMERATING, f"postprocessor {type(after).__name__}")


@pytest.mark.parametrize("straight", [False, True])
def test_a_defence_in_arts_list_is_not_sealed_so_it_is_looked_at(straight):
    for name, part in (("forward", lambda d: d), ("exact", lambda d: d.map)):
        behind = ad.PixelDiscretization(BOOK)
        vars(part(behind))[name] = getattr(part(behind), name)
        last = StraightThrough(behind) if straight else behind
        refused(plain(ad.PixelDiscretization(BOOK), last), ENUMERATING, f"{name} of this .* was")


def test_a_codebook_is_looked_at_too():
    classifier = fixed()
    book = classifier.defences[0].codebook
    vars(book)["assign"] = book.assign
    refused(classifier, ENUMERATING, "assign of this Codebook was exchanged")


class Around(nn.Module):
    def __init__(self, model):
        super().__init__()
        self._model = model

    def forward(self, x):
        return [self._model(x)]


def test_what_is_around_the_module_is_arts():
    classifier = fixed()
    certify(copy.deepcopy(classifier), X, eps=0.05, **QUIET)
    classifier._model = Around(classifier.model)
    refused(classifier, ENUMERATING, "Around around the module is not ART's")
    classifier = plain(ad.PixelDiscretization(BOOK))
    classifier._model_wrapper = Around
    classifier._model = Around(classifier.model)
    refused(classifier, ENUMERATING, "Around around the module is not ART's")


@pytest.mark.parametrize("layer", [False, True])
def test_compiled_modules_are_refused(layer):
    classifier = fixed()
    module = classifier.base_network[1] if layer else classifier.model
    module._compiled_call_impl = module.forward
    refused(classifier, ENUMERATING, "is compiled")


def test_a_compiled_network_is_refused():
    network = torch.compile(net(), backend="eager")
    refused(built(ad.PixelDiscretization(BOOK), network=network), ENUMERATING, "is compiled")


@pytest.mark.filterwarnings("ignore:`torch.jit.trace:DeprecationWarning")
def test_traced_networks_are_certified():
    for network in (
        torch.jit.trace(net(), torch.zeros(2, 1, 2, 2)),
        torch.fx.symbolic_trace(net()),
    ):
        classifier = built(ad.PixelDiscretization(BOOK), network=network)
        assert certify(classifier, X, eps=0.05, **QUIET).verdicts


class Module(DefendedModule):
    """May do anything."""


def test_a_module_of_an_unknown_class_is_refused(monkeypatch):
    inner = fixed()
    classifier = ad.DefendedClassifier(
        model=Module(net(), inner.model.preprocessors), loss=nn.CrossEntropyLoss(),
        input_shape=(1, 2, 2), nb_classes=3, clip_values=(0.0, 1.0), device_type="cpu",
    )  # fmt: skip
    refused(classifier, ENUMERATING, "Module may do more than a DefendedModule")
    monkeypatch.setattr(known, "MODULES", {*known.MODULES, Module})
    assert certify(classifier, X, eps=0.05, **QUIET).verdicts
    with pytest.raises(CertificateError, match="bounds need a torch network right behind"):
        certify(classifier, X, eps=0.05, method="bounds", **QUIET)


class Other(CodebookMap):
    """May do anything."""


class First(ad.PixelDiscretization):
    def _make_map(self):
        return Other(self.codebook, self.surrogate, **self._layout())


def test_a_first_map_of_an_unknown_class_is_refused(monkeypatch):
    for classifier in (built(First(BOOK)), plain(First(BOOK))):
        refused(classifier, ENUMERATING, "First, first, may do more than move pixels")
    # behind the first it is part of the network
    behind = built(ad.PixelDiscretization(BOOK), First(BOOK))
    assert certify(behind, X, eps=0.05, **QUIET).verdicts
    monkeypatch.setattr(known, "CODEBOOK_MAPS", {*known.CODEBOOK_MAPS, First})
    refused(built(First(BOOK)), ENUMERATING, "Other, first, may do more than move pixels")
    monkeypatch.setattr(known, "CODEBOOK_MAPS", {*known.CODEBOOK_MAPS, Other})
    assert certify(built(First(BOOK)), X, eps=0.05, **QUIET).verdicts


def test_a_map_is_that_of_its_defence():
    classifier = plain(ad.PixelDiscretization(BOOK))
    other = ad.PixelDiscretization(ad.Codebook([0.2, 0.5, 0.8]))
    vars(classifier.preprocessing_operations[0])["_map"] = other.map
    refused(classifier, ENUMERATING, "map of this PixelDiscretization is not that of its attr")


class Assigning(ad.Codebook):
    def assign(self, pixels):
        return 1 - super().assign(pixels)


def test_a_codebook_that_assigns_otherwise_than_the_map_is_refused():
    classifier = built(ad.PixelDiscretization(Assigning([0.2, 0.8])))
    refused(classifier, ENUMERATING, "Assigning reads its codewords")


def test_defences_that_are_only_claimed_do_not_count():
    """Beside ART's own class an attribute is nobody's word, and so it is in a module."""
    claimed = (ad.PixelDiscretization(BOOK),)
    classifier = plain()
    classifier.defences = claimed
    refused(classifier, ENUMERATING, "with no defence first")
    classifier = plain()
    classifier.model.preprocessors = claimed
    refused(classifier, ENUMERATING, "with no defence first")
