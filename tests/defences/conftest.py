"""One made defence for each row of the table, layout and input range."""

import numpy as np
import pytest
from art.attacks.evasion import ProjectedGradientDescent
from art.defences.preprocessor import ThermometerEncoding

from art_disc.defences import (
    DEFENCES,
    ClusterPreprocessor,
    CodebookPreprocessor,
    GaussianNoise,
)
from tests.lqvae_file import lqvae_file

# a row that is added gets the options that it needs here
OPTIONS = {
    "density": {"n_codes": 20, "radius": 0.02},
    "kmedoids": {"n_codes": 20},
    "kmeans": {"n_codes": 20},
    "margin": {"n_codes": 20, "least_share": 0.01, "per_channel": True},
    "colordepth": {"n_codes": 20},
    "bitdepth": {"bits": 4},
    "thermometer": {"n_levels": 20},
    "noise": {"sigma": 0.2, "seed": 4},
    "randdisc": {"n_clusters": 20, "sigma": 0.1, "seed": 4},
    "randmix": {"n_clusters": 5, "alpha": 20.0, "seed": 4},
    "maxpool": {"filter_size": 2, "stride": 3},
    "bilinear": {"height": 9, "width": 4},
    "jpeg": {"quality": 60, "subsampling": "4:2:2"},
    "tv": {"weight": 0.1, "steps": 5},
    "resizepad": {"lowest": 4, "highest": 8, "size": 9, "seed": 4},
}


def make(name, shape, **options):
    """Return the defence of a row, for images of a shape (c, h, w)."""
    needed = {"file": lqvae_file(shape)} if name == "lqvae" else {}
    return DEFENCES[name].make(**needed, **OPTIONS.get(name, {}), **options)


BOOKS = [name for name, row in DEFENCES.items() if issubclass(row.kind, CodebookPreprocessor)]


class Case:
    """A fitted defence and images that fit it; one that draws is frozen."""

    def __init__(self, name, channels, first, upper):
        rng = np.random.default_rng(channels)
        self.first, self.upper = first, upper
        images = rng.random((6, channels, 5, 7)).astype(np.float32) * np.float32(upper)
        self.x = np.ascontiguousarray(images if first else np.moveaxis(images, 1, -1))
        defence = make(name, (channels, 5, 7))
        defence = defence.with_layout(channels_first=first, clip_values=(0, upper))
        self.defence = defence.frozen(5) if defence.is_random else defence
        if not self.defence.is_fitted:
            self.defence.fit(self.x)

    def hard(self, x):
        """Return what the defence must give, by other code: NumPy's, ART's or one added picture."""
        scale = np.float32(self.upper)
        unit = x.astype(np.float32) / (scale if x.dtype != np.uint8 else np.float32(255))
        if self.defence.codebook is not None:
            return self.defence.codebook.quantize(unit, channels_first=self.first) * scale
        if hasattr(self.defence, "n_levels"):
            levels = self.defence.n_levels
            return ThermometerEncoding((0, 1), levels, channels_first=self.first)(unit.copy())[0]
        if not isinstance(self.defence, GaussianNoise):
            return self.elsewhere(x.astype(np.float32) if x.dtype != np.uint8 else unit * scale)
        added = self.defence(np.zeros_like(self.x[:1]))[0]
        return (x.astype(np.float32) if x.dtype != np.uint8 else unit * scale) + added

    def elsewhere(self, x):
        """Return what it makes of channels first, on [0, 1] where it draws, without grad."""
        first = np.ascontiguousarray(x if self.first else np.moveaxis(x, -1, 1))
        upper = self.upper if isinstance(self.defence, ClusterPreprocessor) else 1.0
        twin = self.defence.with_layout(channels_first=True, clip_values=(0, self.upper / upper))
        made = twin(first / np.float32(upper))[0] * np.float32(upper)
        return made if self.first else np.moveaxis(made, 1, -1)

    def grad(self):
        """Return a gradient with respect to what the defence gives."""
        made = self.defence(self.x)[0]
        return np.random.default_rng(9).normal(size=made.shape).astype(np.float32)


LAYOUTS = (
    (1, True, 1.0),
    (3, True, 1.0),
    (1, False, 255.0),
    (3, False, 1.0),
    (3, True, 255.0),
)
CASES = [(name, *layout) for name in BOOKS for layout in LAYOUTS]
EVERY = [(name, *layout) for name in DEFENCES for layout in LAYOUTS]


@pytest.fixture(params=CASES, ids=lambda case: "-".join(map(str, case)))
def case(request):
    """A codebook's defence."""
    return Case(*request.param)


@pytest.fixture(params=EVERY, ids=lambda case: "-".join(map(str, case)))
def every(request):
    """Any defence of the table."""
    return Case(*request.param)


@pytest.fixture(params=BOOKS)
def grey(request):
    return Case(request.param, 1, first=True, upper=1.0)


@pytest.fixture
def accuracy_after_pgd(digits):
    """Accuracies of a classifier of the digits, clean and after PGD."""

    def measure(classifier, n=40):
        x, y = digits.x_test[:n].copy(), np.eye(10, dtype=np.float32)[digits.y_test[:n]]
        attack = ProjectedGradientDescent(
            classifier, eps=0.3, eps_step=0.06, max_iter=10, batch_size=64, verbose=False
        )
        images = x, attack.generate(x, y)
        return [float(np.mean(classifier.predict(i).argmax(1) == y.argmax(1))) for i in images]

    return measure
