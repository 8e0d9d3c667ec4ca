"""Random numbers begin anew with a trial, and go on afterwards as if it had not been."""

import random

import numpy as np
import torch

import art_disc as ad
from art_disc.defences.draws import own_generators
from art_disc.trials.streams import global_streams, own_streams


def test_global_streams_begin_anew_and_go_on_afterwards():
    def drawn():
        return torch.rand(1).item(), np.random.rand(), random.random()  # noqa: S311 - the stream itself

    torch.manual_seed(0)
    drawn()
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    seen = []
    for seed in (5, 5, 6):
        with global_streams(seed, torch.device("cpu")):
            seen.append(drawn())
    assert seen[0] == seen[1]
    assert all(a != b for a, b in zip(seen[1], seen[2], strict=True))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])
    assert random.getstate() == states[2]


def test_each_defence_draws_from_a_stream_of_its_own():
    noises = [ad.GaussianNoise(0.1), ad.GaussianNoise(0.1)]
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
    model = ad.build_classifier(network, input_shape=(1, 2, 2), nb_classes=2, defences=noises).model
    before = [generator.get_state() for generator in own_generators(model)]
    with own_streams(model, 5):
        one, two = (torch.rand(4, generator=generator) for generator in own_generators(model))
    assert not torch.equal(one, two)
    after = [generator.get_state() for generator in own_generators(model)]
    assert all(map(torch.equal, before, after))
