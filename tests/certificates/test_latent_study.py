"""The study of an LQ-VAE's certificates: what it keeps, and for which networks."""

import json
from types import SimpleNamespace

import pytest
import torch

from studies import lqvae_certificate
from studies.lqvae_certificate import kept


def test_what_was_found_is_kept_and_a_failure_is_not(tmp_path):
    asked = []

    def make():
        asked.append(1)
        if len(asked) == 1:
            raise RuntimeError
        return {}

    file = tmp_path / "attacks.json"
    with pytest.raises(RuntimeError):
        kept(file, make)
    assert not file.exists()
    found, seconds = kept(file, make)
    assert kept(file, make) == (found, seconds) == ({}, seconds)
    assert len(asked) == 2
    assert json.loads(file.read_text())["found"] == {}


@pytest.mark.parametrize("changed", ["classifier", "filter", "images", None])
def test_other_networks_or_images_have_a_place_of_their_own(tmp_path, changed):
    options = SimpleNamespace(dataset="mnist", model="A", seconds=10.0, train_steps=None)
    parts = {"classifier": torch.nn.Linear(2, 2), "filter": torch.nn.Linear(2, 2), "images": "0f"}

    def place():
        judged = SimpleNamespace(classifier=SimpleNamespace(base_network=parts["classifier"]))
        bench = SimpleNamespace(
            data=SimpleNamespace(fingerprint=parts["images"]),
            vae=SimpleNamespace(network=parts["filter"]),
        )
        return lqvae_certificate.place_of(tmp_path, bench, judged, options)

    before = place()
    if changed:
        parts[changed] = "1f" if changed == "images" else torch.nn.Linear(2, 2)
    assert (place() == before) == (changed is None)
