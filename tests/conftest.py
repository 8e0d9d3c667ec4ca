"""What several rooms of the tests share: hypothesis profiles, real data, one trained network."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]

settings.register_profile("dev", max_examples=25, deadline=None)
settings.register_profile("ci", max_examples=200, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


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


@pytest.fixture(scope="session")
def digits():
    """scikit-learn's digits; the arrays are shared, so they may not be written to."""
    from art_disc.data import load_dataset

    data = load_dataset("digits")
    for array in (data.x_train, data.y_train, data.x_test, data.y_test):
        array.setflags(write=False)
    return data


@pytest.fixture(scope="session")
def digits_net(digits, tmp_path_factory):
    """A network that knows the digits, trained once a session."""
    from art_disc.networks import DigitsNet
    from art_disc.training import trained

    cache = tmp_path_factory.mktemp("weights")
    model, _ = trained(DigitsNet, digits, epochs=8, cache=cache, verbose=False)
    return model
