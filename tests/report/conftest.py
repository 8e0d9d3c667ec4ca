"""Synthetic records: outcomes with known counts, no network and no attack behind them."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from art_disc.core.records import AttackOutcome, CertificateRecord, Environment, EvaluationRecord
from art_disc.report import Pictures

N = 40
SMALL, LARGE = 8 / 255, 0.3

ENVIRONMENT = Environment(
    created="2025-01-02T03:04:05+00:00",
    art_disc="0.1.0",
    python="3.12.0",
    platform="linux x86_64",
    packages={"numpy": "2.0.0", "torch": "2.4.0"},
)


def outcome(attack="pgd", broken=(), *, eps=LARGE, n=N, wrong=(0,), **changes):
    """An outcome that breaks exactly `broken`; `wrong` examples were wrong before."""
    lost = {*broken, *wrong}
    values = {
        "attack": attack,
        "scored_on": "defended",
        "knowledge": "bpda",
        "surrogate": "soft_assignment",
        "norm": "inf",
        "eps": eps,
        "targeted": False,
        "settings": {"max_iter": 40, "eps_step": 0.01},
        "seed": 7,
        "correct": tuple(i not in lost for i in range(n)),
        "perturbation": (eps,) * n,
        "gradients": 1600,
        "queries": 40,
        "seconds": 1.25,
    }
    return AttackOutcome(**{**values, **changes})


def unfinished(attack, status, reason, **changes):
    return outcome(attack, status=status, reason=reason, correct=(), perturbation=(), **changes)


OUTCOMES = (
    outcome("fgsm", range(1, 5), eps=SMALL),
    outcome("pgd", range(1, 9), eps=SMALL),
    outcome("transfer_pgd", range(1, 3), eps=SMALL, knowledge="base", surrogate=None),
    outcome(
        "pgd", range(30), eps=SMALL, scored_on="base", knowledge="base", surrogate=None, wrong=()
    ),
    outcome("fgsm", range(1, 12)),
    outcome("pgd", range(1, 20)),
    outcome("square", (2, 3, 25, 26), knowledge="none", surrogate=None, queries=123456),
    outcome("transfer_pgd", range(1, 7), knowledge="base", surrogate=None),
    outcome("pgd", range(40), scored_on="base", knowledge="base", surrogate=None, wrong=()),
)


def grey_histogram():
    bins = np.arange(256)
    peaks = 9000 * np.exp(-bins / 9) + 4000 * np.exp((bins - 255) / 12) + 20
    return (tuple(int(v) for v in peaks),)


def make_record(**changes):
    values = {
        "dataset": {"name": "mnist", "source": "npz", "n_test": 10000, "sha256": "ab" * 32},
        "example_ids": tuple(range(100, 100 + N)),
        "labels": tuple(i % 10 for i in range(N)),
        "network": {"name": "cnn_small", "parameters": 123456, "weights": "f00d", "training": None},
        "defences": ("PixelDiscretization(density, n_codes=3), surrogate soft_assignment",),
        "codebook": {"name": "density", "metric": "l_inf", "codewords": [[0.0], [0.4], [1.0]]},
        "histogram": grey_histogram(),
        "norm": "inf",
        "eps": (SMALL, LARGE),
        "clip_values": (0.0, 1.0),
        "seed": 7,
        "base_correct": (True,) * N,
        "defended_correct": (False, *(True,) * (N - 1)),
        "outcomes": OUTCOMES,
        "environment": ENVIRONMENT,
        "settings": {"batch_size": 128},
    }
    return EvaluationRecord(**{**values, **changes})


def make_certificate(**changes):
    verdicts = ("certified",) * 30 + ("falsified",) * 4 + ("undecided",) * 6
    values = {
        "method": "enumeration",
        "eps": 0.1,
        "assumes": "l-inf within [0, 1]; ties and float rounding are covered",
        "settings": {"max_images": 4096},
        "verdicts": verdicts,
        "reasons": ("",) * 34 + ("too many images",) * 4 + ("out of time",) * 2,
        "free_pixels": tuple(range(N)),
        "log2_images": tuple(float(i) for i in range(N)),
        "evaluated": tuple(2 ** min(i, 12) for i in range(N)),
        "seconds": 12.5,
        "environment": ENVIRONMENT,
    }
    return CertificateRecord(**{**values, **changes})


def make_pictures(n=6, channels=1, size=12, **changes):
    rng = np.random.default_rng(0)
    clean = rng.random((n, channels, size, size), dtype=np.float32)
    values = {
        "clean": clean,
        "discretised": np.round(clean),
        "adversarial": np.clip(clean + rng.uniform(-0.3, 0.3, clean.shape), 0, 1),
        "labels": np.arange(n),
        "clean_predictions": np.arange(n),
        "adversarial_predictions": (np.arange(n) + np.arange(n) % 2) % 10,
        "example_ids": np.arange(n) + 100,
        "attack": "pgd",
        "eps": LARGE,
    }
    return Pictures(**{**values, **changes})


@pytest.fixture
def make():
    """The makers above, for records other than the standard ones."""
    return SimpleNamespace(
        record=make_record,
        outcome=outcome,
        unfinished=unfinished,
        certificate=make_certificate,
        pictures=make_pictures,
        n=N,
        small=SMALL,
        large=LARGE,
        outcomes=OUTCOMES,
    )


@pytest.fixture
def record():
    return make_record()


@pytest.fixture
def certificate():
    return make_certificate()


@pytest.fixture
def pictures():
    return make_pictures()


@pytest.fixture
def interrupted():
    return dataclasses.replace(make_record(), outcomes=OUTCOMES[:3], complete=False)
