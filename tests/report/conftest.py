"""Synthetic records: outcomes with known counts, no network and no attack behind them."""

import dataclasses
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

from art_disc.core.records import (
    AttackOutcome,
    CertificateRecord,
    CheckResult,
    Environment,
    EvaluationRecord,
)
from art_disc.core.records.sweep import SweepCell, SweepRecord
from art_disc.report import Pictures, write_report

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
        "dataset": {"name": "mnist", "source": "npz", "n_test": 10000, "fingerprint": "ab" * 8},
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


def check(number=3, status="pass", **changes):
    values = {
        "id": f"C{number}",
        "title": f"title of check {number}",
        "tier": "quick",
        "status": status,
        "summary": f"measured 0.{number} against 1",
        "cure": f"do what cures {number}",
        "numbers": {"zero_gradients": float(number)},
        "seconds": 0.5,
    }
    return CheckResult(**{**values, **changes})


def rich(**changes):
    """A record with everything in it: checks, reference, parts, 8-bit scores, steps, draws."""
    steps = tuple(range(38, 20, -1))
    loss = tuple(0.1 * i for i in range(18))
    outcomes = (
        *OUTCOMES[:5],
        outcome(
            "pgd",
            range(1, 20),
            grid_correct=tuple(i not in {0, *range(1, 18)} for i in range(N)),
            by_step=steps,
            loss_by_step=loss,
        ),
        outcome(
            "pgd",
            range(1, 9),
            surrogate="identity",
            knowledge="bpda+eot",
            by_step=steps[:-2],
            draws=20,
            draw_correct=(0,) * 10 + (5,) * 10 + (15,) * 10 + (20,) * 10,
        ),
        *OUTCOMES[6:],
        outcome("pgd", range(25), scored_on="reference", knowledge="base", surrogate=None),
        outcome("pgd", range(1, 21), asked_by="C9", settings={"max_iter": 80}, by_step=steps),
        outcome(
            "hop_skip_jump",
            (1, 4),
            n=10,
            knowledge="none",
            surrogate=None,
            positions=tuple(range(20, 30)),
            asked_by="C10",
        ),
    )
    values = {
        "outcomes": outcomes,
        "reference": {"name": "digits_net", "training": "pgd, eps 0.1"},
        "reference_correct": (True,) * 35 + (False,) * 5,
        "checks_tier": "standard",
        "checks": (
            check(1, summary="norm, eps and seeds are recorded"),
            check(3, "fail", example_ids=tuple(range(100, 125))),
            check(5, "not run", summary="one surrogate was given", tier="standard"),
            check(10, tier="standard"),
        ),
    }
    return make_record(**{**values, **changes})


def cell(defence="two codes", attack="pgd", eps=LARGE, broken=(1, 2), **changes):
    """A cell of a sweep whose attack breaks exactly `broken`."""
    row = outcome(attack.partition(":")[0], broken, eps=eps)
    values = {
        "dataset": "digits",
        "training": "natural",
        "defence": defence,
        "eps": eps,
        "attack": attack,
        "surrogate": "own",
        "seed": 0,
        "status": "done",
        "record": make_record(eps=(eps,), outcomes=(row,), defences=(defence,)),
        "gradients": 1600,
        "queries": 40,
        "seconds": 1.25,
    }
    return SweepCell(**{**values, **changes})


def sweep(**changes):
    cells = (
        cell(broken=range(1, 9), eps=SMALL),
        cell(broken=range(1, 11)),
        cell(broken=range(5, 21), surrogate="identity"),
        cell(attack="fgsm", broken=range(1, 4)),
        cell("none", broken=range(1, 40)),
        cell("none", attack="fgsm", broken=range(1, 31)),
        cell("8 bins", status="failed", reason="MemoryError: 12 GiB", record=None),
        cell("8 bins", attack="jsma", status="skipped", reason="l0 only", record=None, seconds=0.0),
    )
    values = {
        "name": "small",
        "plan": {"defences": ["two codes", "none", "8 bins"], "eps": [SMALL, LARGE], "n_ex": N},
        "cells": cells,
        "planned": 8,
        "environment": ENVIRONMENT,
    }
    return SweepRecord(**{**values, **changes})


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


@pytest.fixture(scope="session")
def make():
    """The makers above, for records other than the standard ones."""
    return SimpleNamespace(
        record=make_record,
        outcome=outcome,
        unfinished=unfinished,
        certificate=make_certificate,
        pictures=make_pictures,
        check=check,
        rich=rich,
        cell=cell,
        sweep=sweep,
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
def everything():
    return rich()


@pytest.fixture
def swept():
    return sweep()


@pytest.fixture
def pictures():
    return make_pictures()


@pytest.fixture
def interrupted():
    return dataclasses.replace(make_record(), outcomes=OUTCOMES[:3], complete=False)


VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Text, headings, notices and table rows of a page; complains about tags that do not close."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.open = [], [], []
        self.rows, self.row, self.cell = [], None, None
        self.words = []
        self.feed(text)
        self.close()
        assert self.open == [], "every tag is closed"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.row = []
        if tag in ("td", "th"):
            self.cell = []

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag in ("td", "th"):
            self.row.append(" ".join(" ".join(self.cell).split()))
            self.cell = None
        if tag == "tr":
            self.rows.append(tuple(self.row))

    def handle_data(self, data):
        if {"style", "script"} & set(self.open):
            return
        self.words.append(data)
        if self.cell is not None:
            self.cell.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def row_of(self, start):
        return next(row for row in self.rows if row and row[0].startswith(start))

    def of(self, tag):
        return [attributes for name, attributes in self.attributes if name == tag]


@pytest.fixture
def unpainted(monkeypatch):
    """No figure is painted: painting takes most of a page's time, and its words tell the same."""

    monkeypatch.setattr("art_disc.report.drawing.draw", lambda paint, height=0.0: b"")


@pytest.fixture
def show(tmp_path, unpainted):
    """Write a record's report, with blank figures, and return its page, parsed."""

    def page(record, **pictures):
        return Page(write_report(record, tmp_path, **pictures).read_text(encoding="utf-8"))

    return page


@pytest.fixture
def parse():
    """Parse a page."""
    return Page
