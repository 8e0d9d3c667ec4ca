"""Where rounding, resumed work and other processes could make a certificate of something else."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import art_disc as ad
from art_disc.bounds import RoundedNetwork, magnitudes, trace
from art_disc.bounds.affine import Scale
from art_disc.certificates import enumeration, target
from art_disc.certificates.complete.scene import Scene
from art_disc.certificates.methods import assumptions
from art_disc.certificates.problem import Problem
from art_disc.certificates.run import Task
from art_disc.codebooks.search import Search
from art_disc.core.errors import CertificateError, InputError
from art_disc.metrics import certify

BOOK = ad.Codebook([0.0, 1.0])
QUIET = {"verbose": False}


def behind_two_codes(network, shape=(1, 1, 1), nb_classes=2, book=BOOK):
    return ad.build_classifier(
        network.eval(), input_shape=shape, nb_classes=nb_classes,
        defences=[ad.PixelDiscretization(book)],
    )  # fmt: skip


def linear(weight, bias):
    layer = nn.Linear(len(weight[0]), len(weight), bias=bias is not None)
    layer.weight.data = torch.tensor(weight)
    if bias is not None:
        layer.bias.data = torch.tensor(bias)
    return layer


class Folded(nn.Module):
    """A constant of its own is 0 in float32 and 2^-12 in float64, and decides."""

    def __init__(self):
        super().__init__()
        for name, value in (("a", 1 + 2.0**-12), ("b", 4097.0), ("c", 4098.0)):
            self.register_buffer(name, torch.tensor(value))
        self.first = linear([[-(1 + 2.0**-13)], [0.0]], [0.5, 0.0])
        self.last = linear([[1.0], [0.0]], None)

    def forward(self, x):
        flat = x.flatten(1)
        return self.first(flat) + self.last(torch.relu(flat + (self.a * self.b - self.c) - 0.5))


@pytest.mark.parametrize("method", ["bounds", "complete", "enumeration"])
def test_constants_are_folded_in_the_precision_that_predicts(method):
    classifier = behind_two_codes(Folded())
    # the first images say nothing of the last
    x = np.zeros((33, 1, 1, 1), np.float32)
    x[-1] = 0.4
    verdicts = certify(classifier, x, [0] * 33, eps=0.2, method=method, **QUIET).record.verdicts
    assert classifier.predict(np.full((1, 1, 1, 1), 0.55, np.float32)).argmax() == 1
    assert verdicts[0] == "certified"
    assert verdicts[-1] == {"bounds": "undecided"}.get(method, "falsified")


def test_what_cancels_in_a_normalisation_is_charged():
    norm = nn.BatchNorm2d(1)
    norm.running_mean.fill_(6144.0)
    norm.bias.data.fill_(6144.0)
    low = torch.zeros(1, 1, 2, 2, dtype=torch.float64)
    graph = trace(nn.Sequential(norm, nn.Flatten()).eval(), (1, 2, 2), torch.float64)
    assert float(magnitudes(graph, low, low + 1).error) > 2 * 6144 * 2.0**-22


def test_a_steep_slope_carries_errors_on():
    def error(slope):
        net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.LeakyReLU(slope)).eval()
        graph = trace(net, (1, 2, 2), torch.float64)
        low = torch.zeros(1, 1, 2, 2, dtype=torch.float64)
        return float(magnitudes(graph, low, low + 1).error)

    torch.manual_seed(0)
    assert error(1e3) > 500 * error(0.1)


def test_each_image_has_the_gap_of_its_own_scores(monkeypatch):
    network = nn.Sequential(
        nn.Flatten(), linear([[0.5, 0.1, 0.1, 0.1], [0.1, 0.2, 0.1, 0.1]], None)
    )
    classifier = behind_two_codes(network, (1, 2, 2), book=ad.Codebook([0.2, 0.8]))
    x = np.full((40, 1, 2, 2), 0.2, np.float32)
    x[35:] = 0.8
    right, shift = target.Target.scores, 4e-6

    def shifted(self, images, batch_size):
        scores = right(self, images, batch_size)
        # of code images of the last ones alone; less than what makes another function of it
        scores[images.reshape(len(images), -1).min(axis=1) > 0.5, 0] += shift
        return scores

    task = Task.of(classifier, x, None, eps=[0.01], method="complete", **QUIET)
    monkeypatch.setattr(target.Target, "scores", shifted)
    scene = Scene(
        Problem.of(task.target, task.threats[0.01], task.images, task.labels, task.scores)
    )
    few, many = (max(scene.tolerances[i] for i in part) for part in (range(35), range(35, 40)))
    assert many > 15 * shift > 2 * few


class Gain(nn.Module):
    """A number that no state dict holds: where it is 0 the image is not looked at."""

    def __init__(self):
        super().__init__()
        self.gain, self.last = 0.0, linear([[0.0], [1.0]], [0.3, 0.0])

    def forward(self, x):
        return self.last(x.flatten(1) * self.gain)


def test_a_folder_knows_a_function_again_by_images_of_codewords(tmp_path):
    network, x = Gain(), np.full((1, 1, 1, 1), 0.4, np.float32)
    options = {"eps": 0.2, "method": "enumeration", "out": tmp_path, **QUIET}
    first = certify(behind_two_codes(network), x, [0], **options)
    assert first.record.verdicts == ("certified",)
    assert certify(behind_two_codes(network), x, [0], **options).record.verdicts == ("certified",)
    network.gain = 1.0
    classifier = behind_two_codes(network)
    # the image itself is scored as before
    assert np.allclose(classifier.predict(x), [[0.3, 0.0]])
    assert classifier.predict(np.full((1, 1, 1, 1), 0.55, np.float32)).argmax() == 1
    with pytest.raises(InputError, match="other scores"):
        certify(classifier, x, [0], **options)


def test_another_process_that_scores_otherwise_is_told():
    network, x = Gain(), np.full((1, 1, 1, 1), 0.4, np.float32)
    classifier = behind_two_codes(network)
    task = Task.of(classifier, x, np.zeros(1, int), eps=[0.2], method="enumeration", **QUIET)
    problem = Problem.of(task.target, task.threats[0.2], task.images, task.labels, task.scores)
    assert enumeration._enumerated(problem, 8)[0].verdict == "certified"
    network.gain = 1.0
    with pytest.raises(CertificateError, match="otherwise in another process"):
        enumeration._enumerated(problem, 8)


class Elsewhere(ad.Codebook):
    """Assigns by another metric than it says."""

    @property
    def search(self):
        return Search(self.codewords_, "l1", self.ties)


def test_a_codebook_that_searches_in_a_way_of_its_own_is_refused():
    words = [[0.8, 0.5, 0.5], [0.7, 0.7, 0.7]]
    x = np.full((1, 3, 1, 1), 0.58, np.float32)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3, 2))
    for kind in (ad.Codebook, Elsewhere):
        classifier = behind_two_codes(network, (3, 1, 1), book=kind(words))
        if kind is ad.Codebook:
            certify(classifier, x, [0], eps=0.015, method="enumeration", **QUIET)
        else:
            with pytest.raises(CertificateError, match="Elsewhere reads its codewords"):
                certify(classifier, x, [0], eps=0.015, method="enumeration", **QUIET)


def test_other_arithmetic_than_float32_is_refused():
    classifier = behind_two_codes(nn.Sequential(nn.Flatten(), nn.Linear(1, 2)))
    x, options = np.zeros((1, 1, 1, 1), np.float32), {"eps": 0.1, **QUIET}
    certify(classifier, x, **options)
    with (
        torch.autocast("cpu", torch.bfloat16),
        pytest.raises(CertificateError, match="float32 arithmetic, and autocast is on"),
    ):
        certify(classifier, x, **options)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with pytest.raises(
            CertificateError, match="and the precision of matrix products is medium"
        ):
            certify(classifier, x, **options)
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize(("device", "told"), [("cpu", False), ("cuda", True)])
def test_what_is_certified_on_a_gpu_is_said_to_predict_without_tf32(device, told):
    classifier = SimpleNamespace(device=torch.device(device))
    problem = SimpleNamespace(
        target=SimpleNamespace(classifier=classifier, is_exact=False), assumes="float tolerance"
    )
    assert ("cudnn.allow_tf32 = False" in assumptions(problem, "enumeration")) is told


def test_an_offset_that_is_folded_away_needs_no_bits_of_its_own():
    torch.manual_seed(0)
    parts = [nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten()]
    network = nn.Sequential(*parts, nn.Linear(12, 2)).eval()
    parts[1].running_mean.normal_()
    parts[1].bias.data.normal_()
    graph = trace(network, (1, 2, 2), torch.float64)
    assert [one.terms_of_offset is None for one in graph.steps if isinstance(one, Scale)] == [False]
    found = RoundedNetwork(graph, torch.zeros(1, 2, 2), torch.ones(1, 2, 2))
    scales = [one for one in found.graph.steps if isinstance(one, Scale)]
    assert [one.terms_of_offset for one in scales] == [None] * len(scales)
    assert scales


def test_one_image_that_overflows_leaves_the_others_decided():
    class Overflows(nn.Module):
        def __init__(self):
            super().__init__()
            self.apart = linear([[1.0, -1.0]], None)
            self.first, self.last = linear([[3e38]], None), linear([[0.0], [-1.0]], [2.0, -1.0])

        def forward(self, x):
            return self.last(self.first(4 * torch.relu(self.apart(x.flatten(1)))))

    classifier = behind_two_codes(Overflows(), (1, 1, 2))
    x = np.zeros((40, 1, 1, 2), np.float32)
    x[-1, ..., 0] = 0.4
    verdicts = certify(classifier, x, [0] * 40, eps=0.2, method="complete", **QUIET).record.verdicts
    assert set(verdicts[:-1]) == {"certified"}
    assert verdicts[-1] != "certified"
