"""Copies, pickles, refitting, and attacks that send float64."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from art import config
from art.attacks.evasion import BoundaryAttack, HopSkipJump

from art_disc import build_classifier
from art_disc.core.seeds import global_seeds
from art_disc.defences import ColorDepthReduction, InputBitDepth
from art_disc.networks import weights_hash


def listing():
    folder = Path(config.ART_DATA_PATH)
    return sorted(map(str, folder.rglob("*"))) if folder.exists() else None


def pickled(classifier):
    return pickle.loads(pickle.dumps(classifier))  # noqa: S301 - our own bytes


@pytest.fixture(params=["module", "preprocessor"])
def classifier(request, digits, digits_net):
    own = copy.deepcopy(digits_net)
    return build_classifier(
        own,
        data=digits,
        defences=[ColorDepthReduction(4, "soft:5"), InputBitDepth(3)],
        optimizer=torch.optim.Adam(own.parameters(), lr=2e-3),
        preprocessing=(0.3, 0.9),
        placement=request.param,
    )


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_copies_do_the_same_and_leave_no_file(classifier, digits, copied):
    x, y = digits.x_test[:10], np.eye(10, dtype=np.float32)[digits.y_test[:10]]
    before = listing()
    twin = copied(classifier)
    assert listing() == before
    assert type(twin) is type(classifier)
    assert twin.placement == classifier.placement
    assert np.array_equal(twin.predict(x), classifier.predict(x))
    assert np.array_equal(twin.loss_gradient(x, y), classifier.loss_gradient(x, y))
    assert np.array_equal(twin.base.predict(x), classifier.base.predict(x))


def test_a_deep_copy_has_weights_of_its_own(classifier, digits):
    x = digits.x_test[:5]
    expected = classifier.predict(x)
    for twin in (copy.deepcopy(classifier), pickled(classifier)):
        with torch.no_grad():
            for p in twin.base_network.parameters():
                p.zero_()
        assert not np.allclose(twin.predict(x), expected)
    assert np.array_equal(classifier.predict(x), expected)


@pytest.mark.filterwarnings("ignore:.*set_seed.*")
def test_a_clone_can_be_fitted_from_scratch(classifier, digits):
    x, y = digits.x_train[:600], digits.y_train[:600]
    test = digits.x_test[:200], digits.y_test[:200]
    before = weights_hash(classifier.base_network)

    def accuracy(one):
        return np.mean(one.predict(test[0]).argmax(axis=1) == test[1])

    clone = classifier.clone_for_refitting()
    assert [type(d) for d in clone.defences] == [type(d) for d in classifier.defences]
    assert weights_hash(clone.base_network) != before
    assert accuracy(clone) < 0.5
    with global_seeds(0):
        clone.fit(x, y, nb_epochs=6, batch_size=32)
    assert accuracy(clone) > 0.7
    # the first network was not touched
    assert weights_hash(classifier.base_network) == before


def test_the_networks_weight_file_stays_its_own(classifier, digits_net):
    names = {name.removeprefix("base.") for name in classifier.model.state_dict()}
    assert names == set(digits_net.state_dict())


@pytest.mark.parametrize(
    "make",
    [
        lambda c: HopSkipJump(c, max_iter=2, max_eval=60, init_eval=5, init_size=20, verbose=False),
        lambda c: BoundaryAttack(
            c, targeted=False, max_iter=8, num_trial=5, sample_size=5, init_size=20, verbose=False
        ),
    ],
    ids=["hop_skip_jump", "boundary"],
)
@pytest.mark.parametrize("defences", [[], [ColorDepthReduction(4)]], ids=["bare", "defended"])
def test_attacks_that_send_float64_run_and_mislead(digits, digits_net, make, defences):
    # under NumPy 2 both crash on an undefended float32 network of ART's own
    classifier = build_classifier(digits_net, data=digits, defences=defences)
    # noise, from which both attacks start, never looks like these
    x = np.stack([digits.x_test[digits.y_test == label][0] for label in (0, 1)])
    before = x.copy()
    with global_seeds(0):
        adversarial = make(classifier).generate(x)
    assert np.array_equal(x, before)
    predictions = [classifier.predict(v).argmax(axis=1) for v in (x, adversarial)]
    assert predictions[0].tolist() == [0, 1]
    assert (predictions[0] != predictions[1]).all()
