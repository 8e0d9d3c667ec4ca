"""A classifier that is none of ours, but keeps the contract, is evaluated and certified alike."""

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

import art_disc as ad
from art_disc.certificates import known
from art_disc.core.errors import CertificateError, InputError
from art_disc.estimators.contract import (
    RandomClassifier,
    WhiteBoxClassifier,
    check_classifier,
    check_draws,
    lacking,
)
from art_disc.evaluation.zoo.matrix import zoo_matrix

ASKED_BESIDES_ART = (
    "base_network",
    "standardisation",
    "defences",
    "placement",
    "is_random",
    "has_base",
    "standardised",
    "voting",
    "eot_samples",
    "vote_samples",
    "predict_draws",
)


class Whole(nn.Module):
    """Another module around the one that it asks: none of the package's own names on it."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)


class Own(PyTorchClassifier):
    """Somebody else's classifier: the contract's names, answered by one that it hides."""

    def __init__(self, hidden):
        super().__init__(
            model=Whole(hidden.model),
            loss=nn.CrossEntropyLoss(),
            input_shape=hidden.input_shape,
            nb_classes=hidden.nb_classes,
            clip_values=(0.0, 1.0),
            preprocessing=None,
            device_type="cpu",
        )
        self.model.eval()
        self.hidden = hidden

    def __getattr__(self, name):
        if name in ASKED_BESIDES_ART:
            return getattr(self.hidden, name)
        raise AttributeError(name)

    @property
    def base(self):
        return Own(self.hidden.base)

    def graph_logits(self, x):
        return self.model(x)

    def with_surrogate(self, surrogate):
        return Own(self.hidden.with_surrogate(surrogate))

    def with_each_defence(self, change):
        return Own(self.hidden.with_each_defence(change))

    def with_samples(self, **numbers):
        return Own(self.hidden.with_samples(**numbers))

    def with_seed(self, seed):
        return Own(self.hidden.with_seed(seed))

    def frozen(self, seed):
        return Own(self.hidden.frozen(seed))


def built(digits, digits_net, *defences):
    return ad.build_classifier(digits_net, data=digits, defences=defences, eot_samples=2)


BOOK = ad.Codebook([0.0, 1.0])


@pytest.mark.parametrize(
    "defences", [[ad.PixelDiscretization(BOOK)], [ad.GaussianNoise(0.1)]], ids=["fixed", "random"]
)
def test_anything_that_keeps_the_contract_is_evaluated(digits, digits_net, defences):
    few = digits.subset(100, 30, seed=0)
    hidden = built(digits, digits_net, *defences)
    own = Own(hidden)
    assert not isinstance(own, ad.DefendedClassifier)
    options = {"eps": 0.1, "attacks": ["fgsm"], "checks": "quick", "verbose": False}
    mine, theirs = (ad.evaluate(c, few, **options).record for c in (own, hidden))
    assert [check.status for check in mine.checks] == [check.status for check in theirs.checks]
    for a, b in zip(mine.outcomes, theirs.outcomes, strict=True):
        assert (a.attack, a.surrogate, a.knowledge, a.status) == (
            b.attack,
            b.surrogate,
            b.knowledge,
            b.status,
        )
        assert (a.correct, a.gradients, a.queries) == (b.correct, b.gradients, b.queries)


def test_what_keeps_the_contract_is_certified_once_its_class_is_known(
    monkeypatch, digits, digits_net
):
    hidden = built(digits, digits_net, ad.PixelDiscretization(BOOK))
    x = digits.x_test[:40]
    with pytest.raises(CertificateError, match="Own may do more than its module"):
        ad.metrics.certify(Own(hidden), x, eps=0.2, verbose=False)
    monkeypatch.setattr(known, "ESTIMATORS", {*known.ESTIMATORS, Own})
    mine, theirs = (ad.metrics.certify(c, x, eps=0.2, verbose=False) for c in (Own(hidden), hidden))
    assert mine.verdicts == theirs.verdicts
    assert mine.count("certified") > 0


def test_ours_keep_the_contract_and_bare_ones_are_told_what_they_lack(digits, digits_net):
    plain, random = built(digits, digits_net), built(digits, digits_net, ad.GaussianNoise(0.1))
    assert lacking(plain, WhiteBoxClassifier) == lacking(random, RandomClassifier) == ()
    assert check_classifier(plain) is plain
    assert check_draws(random) is random
    bare = PyTorchClassifier(
        digits_net,
        loss=nn.CrossEntropyLoss(),
        input_shape=digits.input_shape,
        nb_classes=10,
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )
    words = r"build_classifier, got PyTorchClassifier.*lacks base, base_network, defences"
    with pytest.raises(InputError, match=words):
        check_classifier(bare)
    # what is no classifier of ART's either; of a plain one evaluations make one of ours
    with pytest.raises(InputError, match="lacks base"):
        ad.evaluate(abs, digits, eps=0.1)
    with pytest.raises(InputError, match="lacks base"):
        zoo_matrix({"none": plain, "bare": abs}, digits)
    for classifier, what in ((plain, "no draws"), (random.frozen(0), "frozen draws")):
        with pytest.raises(InputError, match=what):
            check_draws(classifier)


def test_a_missing_name_is_found_and_no_property_is_asked(digits, digits_net):
    class Touchy(Own):
        @property
        def base(self):
            raise RuntimeError

    own = Touchy(built(digits, digits_net))
    assert lacking(own, WhiteBoxClassifier) == ()

    class Half(Own):
        def __getattr__(self, name):
            if name == "standardised":
                raise AttributeError(name)
            return super().__getattr__(name)

    with pytest.raises(InputError, match=r"lacks standardised$"):
        check_classifier(Half(built(digits, digits_net)))


def test_graph_logits_and_standardised_are_the_values_of_predict(digits, digits_net):
    classifier = ad.build_classifier(
        digits_net,
        data=digits,
        defences=[ad.PixelDiscretization(BOOK)],
        preprocessing=(0.3, 0.5),
    )
    x = torch.tensor(digits.x_test[:20])
    by_hand = classifier.base_network(classifier.standardised(classifier.defences[0].forward(x)[0]))
    predicted = classifier.predict(digits.x_test[:20])
    # of NumPy 1, where a number beside a float32 is a float64
    assert np.allclose(classifier.standardisation, (0.3, 0.5))
    leaf = x.clone().requires_grad_()
    scores = classifier.graph_logits(leaf)
    assert torch.autograd.grad(scores.sum(), leaf)[0].any()
    for values in (by_hand, scores):
        assert np.allclose(values.detach().numpy(), predicted, atol=1e-5)
