"""What several rooms of the tests share: hypothesis profiles, real data, one trained network."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# networks and images here are too small for threads to pay, and CI's cores are shared
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).parents[1]

# CI repeats the same cases: a new one is for people to find, not for a release to stumble over
REPEAT = os.environ.get("CI") == "true"
settings.register_profile("dev", max_examples=25, deadline=None, derandomize=REPEAT)
settings.register_profile("ci", max_examples=200, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """Give pytest-randomly one seed where cases are to repeat, unless the caller named one."""
    if REPEAT and getattr(config.option, "randomly_seed", None) == "default":
        config.option.randomly_seed = 20261122


@pytest.fixture(autouse=True)
def _weights_drawn_alike():
    """Give every test the same random weights, whatever ran before it."""
    import torch

    torch.manual_seed(0)


@pytest.fixture(scope="session")
def shared_data():
    """Find a real data file by name; the test skips, naming the file, where there is none."""

    def find(name):
        named = os.environ.get("ART_DISC_DATA")
        places = [Path(named)] if named else []
        places.append(ROOT.parent / "shared" / "data")
        for place in places:
            if (place / name).is_file():
                return place / name
        return pytest.skip(f"{name} is in none of: {', '.join(map(str, places))}")

    return find


@pytest.fixture
def trained_once(monkeypatch, tmp_path_factory):
    """Keep what commands and pages train for the session: equal trainings are run once."""
    monkeypatch.setenv("ART_DISC_CACHE", str(tmp_path_factory.getbasetemp() / "weights"))


@pytest.fixture
def few_queries(monkeypatch):
    """Checks ask fewer queries and draws; how many users get stands in a test of its own."""
    from art_disc.evaluation.checks import breadth

    monkeypatch.setattr(breadth, "SQUARE_QUERIES", 500)
    monkeypatch.setattr(breadth, "RANDOM_DRAWS", 1000)


@pytest.fixture(scope="session")
def digits():
    """scikit-learn's digits; the arrays are shared, so no test may write to them."""
    from art_disc.data import load_dataset

    return load_dataset("digits")


@pytest.fixture(scope="session")
def digits_training(digits, tmp_path_factory):
    """A network that knows the digits, trained once a session, and what its training reported."""
    from art_disc.networks import DigitsNet
    from art_disc.training import trained

    cache = tmp_path_factory.mktemp("weights")
    options = {"epochs": 6, "learning_rate": 5e-3, "cache": cache, "verbose": False}
    return trained(DigitsNet, digits, **options)


@pytest.fixture(scope="session")
def digits_net(digits_training):
    """The network alone; shared, so no test may change its weights."""
    return digits_training[0]


@pytest.fixture(scope="session")
def digits_signs(digits, tmp_path_factory):
    """A binarised network that knows the digits; shared, so no test may change its weights."""
    from functools import partial

    from art_disc.networks import fcn2
    from art_disc.training import trained

    options = {"cache": tmp_path_factory.mktemp("weights"), "verbose": False}
    make = partial(fcn2, (1, 8, 8), widths=(128, 128))
    return trained(make, digits, epochs=8, learning_rate=1e-2, **options)[0]


@pytest.fixture(scope="session")
def loud_signs(digits_signs):
    """The same decisions, with logits a thousand times as large, of which no gradient is left."""
    from copy import deepcopy

    import torch

    made = deepcopy(digits_signs)
    with torch.no_grad():
        made.layers[-1].weight *= 1000
        made.layers[-1].bias *= 1000
    return made


@pytest.fixture(scope="session")
def digits_lqvae(digits):
    """A small LQ-VAE of the digits, trained once a session; shared, so no test may fit it."""
    from art_disc.networks import Stack
    from art_disc.training import LQVAE

    vae = LQVAE.preset(
        "paper",
        latent=24,
        stack=Stack(down=((8, 1), (16, 2)), up=((8, 2),), hidden=32),
        steps=250,
        learning_rate=5e-3,
        kl_weight=0.1,
        noise=0.3,
        penalty="none",
    )
    return vae.fit(digits.x_train, x_test=digits.x_test, verbose=False)


@pytest.fixture(scope="session")
def mnist_test_images(shared_data):
    """All of MNIST's test images, uint8 (10000, 1, 28, 28)."""
    import numpy as np

    with np.load(shared_data("mnist.npz")) as archive:
        return archive["x_test"][:, None]
