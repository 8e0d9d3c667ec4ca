"""What a search rests on: bounds of boxes, the code images in doubt, and that no box is lost."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from art_disc.bounds import Choices, Sums, boxes_of, met, reduced
from art_disc.certificates.complete import branch, tabled
from art_disc.certificates.complete.branch import Search
from art_disc.certificates.complete.frame import CrownFrame, Region
from art_disc.certificates.complete.node import Looked, Node
from art_disc.certificates.complete.roots import by_crown_ibp, by_ibp, root_bounds
from art_disc.certificates.complete.scene import Scene
from art_disc.certificates.complete.tabled import TabledFrame
from art_disc.certificates.enumeration import Enumeration
from art_disc.certificates.problem import Problem
from art_disc.certificates.run import Task
from art_disc.certificates.spend import Spend
from art_disc.codebooks import Codebook
from art_disc.codebox import CodeBox
from art_disc.defences import PixelDiscretization
from art_disc.estimators import build_classifier
from studies.random_cases import make_case


def scene_of(classifier, x, y=None, *, eps, domain="real"):
    """The images of a classifier as a search sees them."""
    task = Task.of(classifier, x, y, eps=[eps], method="complete", domain=domain, verbose=False)
    (threat,) = task.threats.values()
    return Scene(Problem.of(task.target, threat, task.images, task.labels, task.scores))


def regions(kind, seed, n=4, bits=(4, 7)):
    """Images of a random network, with few code images each."""
    case = make_case(kind, seed, n=n, bits=bits, exact=bool(seed % 2))
    scene = scene_of(case.classifier, case.x, eps=case.eps)
    return [(Region(scene, index), index) for index in scene.problem.to_decide]


def of_tables(region):
    return TabledFrame(region, 500.0, lambda: None)


def of_free_units(region):
    small = reduced(region.scene.graph, boxes_of(region.scene.graph, region.low, region.high))
    return CrownFrame(region, small, 500.0)


def of_all(region):
    return CrownFrame(region, None, 500.0)


FRAMES = (of_tables, of_free_units, of_all)


def listed(box):
    """All code images of a box of one row."""
    units = (box.codes[0, u, : box.counts[0, u]].tolist() for u in range(box.counts.shape[1]))
    return np.array(list(itertools.product(*units)), dtype=np.int64).reshape(
        -1, box.counts.shape[1]
    )


def margins(region, index, codes):
    """The label's margins by what the classifier predicts of code images, shape (m, rivals)."""
    problem = region.scene.problem
    scores = problem.target.scores(Enumeration(problem, index).code_images(codes), 64)
    label = problem.labels[index]
    return scores[:, [label]] - np.delete(scores, label, axis=1)


def looked_at(frame, node, tolerance, depth):
    """Go down the cuts that a frame asks for."""
    (found,) = frame.look([node], tolerance)
    yield node, found
    if not depth or found.unit is None or found.least > tolerance:
        return
    for half in node.box.split(np.array([found.unit])):
        if half.log2[0] > 0:
            inner = Node(found.least, half, found.known)
            yield from looked_at(frame, inner, tolerance, depth - 1)


@pytest.mark.parametrize("frame_of", FRAMES)
@pytest.mark.parametrize("kind", ["relu", "max_pool", "mixed"])
def test_what_a_frame_says_holds_on_every_code_image(monkeypatch, frame_of, kind):
    nodes, doubtful = 0, 0
    # by tables, code images in doubt are looked for in larger boxes too
    sizes = (2, 16) if frame_of is of_tables else (2,)
    for seed, most in itertools.product(range(4), sizes):
        monkeypatch.setattr(tabled, "_LOG2", most)
        for region, index in regions(kind, seed):
            frame, every = frame_of(region), listed(region.root)
            true = margins(region, index, every)
            slack = 1e-4 * max(1.0, np.abs(true).max())
            for codes in (every, every[:3]):
                found = frame.margins_at(codes).numpy()
                assert np.allclose(found, true[: len(codes)], atol=slack)
            tolerance = float(np.median(true.min(axis=1)))
            for node, found in looked_at(frame, Node(-np.inf, frame.root), tolerance, 3):
                inside = [np.isin(every[:, u], node.box.codes[0, u]) for u in range(every.shape[1])]
                own = np.all(inside, axis=0)
                assert found.least <= true[own].min() + slack
                told = set(map(tuple, found.codes.tolist()))
                assert told <= set(map(tuple, every[own].tolist()))
                if found.unit is None and not found.least > tolerance:
                    wrong = own & (true.min(axis=1) < tolerance - slack)
                    assert set(map(tuple, every[wrong].tolist())) <= told
                    doubtful += len(told)
                nodes += 1
    assert nodes > 60
    assert (doubtful > 100) == (frame_of is of_tables)


def linear(rows, bias, label=0):
    """Four pixels that reach 0 and 1, and what three classes make of them."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    net[1].weight.data, net[1].bias.data = torch.tensor(rows), torch.tensor(bias)
    classifier = build_classifier(
        net,
        input_shape=(1, 1, 4),
        nb_classes=3,
        defences=[PixelDiscretization(Codebook([0.0, 1.0]))],
    )
    scene = scene_of(classifier, np.full((1, 1, 1, 4), 0.45, np.float32), [label], eps=0.1)
    gaps, leads = np.array(rows[label]) - rows, bias[label] - np.array(bias)
    least = leads + np.minimum(gaps, 0).sum(axis=1)
    return scene, float(np.delete(least, label).min())


ROWS = [[1.0, -2.0, 0.0, 3.0], [0.0, 1.0, 2.0, -1.0], [2.0, 0.0, -1.0, 1.0]]
BIAS = [8.0, 0.0, 4.0]


@pytest.mark.parametrize("label", [0, 1, 2])
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_bounds_of_an_image_are_of_its_worst_rival(order, label):
    bias = [BIAS[i] for i in order]
    # so that the label leads when clean
    bias[label] += 16.0
    scene, least = linear([ROWS[i] for i in order], bias, label)
    for by in (by_ibp, by_crown_ibp):
        assert root_bounds(scene, [0], by) == {0: least}
    for frame_of in FRAMES:
        frame = frame_of(Region(scene, 0))
        (found,) = frame.look([Node(-np.inf, frame.root)], least - 1.0)
        assert found.least == least


@pytest.mark.parametrize("frame_of", FRAMES)
def test_a_margin_that_is_the_tolerance_itself_proves_nothing(frame_of):
    scene, least = linear(ROWS, BIAS)
    region = Region(scene, 0)
    frame, every = frame_of(region), listed(region.root)
    worst = every[frame.margins_at(every).amin(dim=1).argmin()].tolist()
    (proved,) = frame.look([Node(-np.inf, frame.root)], float(np.nextafter(least, -np.inf)))
    assert not len(proved.codes)
    (found,) = frame.look([Node(-np.inf, frame.root)], least)
    assert found.least == least
    assert worst in found.codes.tolist()


class Blind:
    """A frame that proves nothing of any box, and looks for no code image in it."""

    def __init__(self, region, least, margin, at_once):
        self.root, self.at_once = region.root, at_once
        self.least, self.margin = least, margin
        self.seen = []

    def look(self, nodes, tolerance):
        none = self.root.codes[0, :, :0].T
        return [Looked(self.least, none, int(node.box.counts[0].argmax())) for node in nodes]

    def margins_at(self, codes):
        self.seen += codes.tolist()
        return torch.full((len(codes), 2), self.margin, dtype=torch.float64)


def blind(monkeypatch, scene, index, at_once, **said):
    """Search an image without any bound; return the frame and what came of it."""
    frames = []

    def frame_of(region, megabytes, pause):
        frames.append(Blind(region, at_once=at_once, **said))
        return frames[-1]

    monkeypatch.setattr(branch, "frame_of", frame_of)
    return Search(scene, index, Spend(nodes=10**6, seconds=1e6)).run(), frames[0]


@pytest.mark.parametrize("leaf", [0, 1, 3])
@pytest.mark.parametrize("at_once", [1, 3])
def test_every_code_image_is_looked_at_where_nothing_is_proved(monkeypatch, leaf, at_once):
    monkeypatch.setattr(branch, "LEAF", leaf)
    words = set()
    for seed in range(6):
        for region, index in regions("linear", seed, n=2, bits=(5, 7)):
            said = {"least": region.scene.tolerances[index], "margin": 1e9}
            found, frame = blind(monkeypatch, region.scene, index, at_once, **said)
            assert (found.verdict, found.evaluated) == ("certified", len(frame.seen))
            assert sorted(frame.seen) == sorted(listed(region.root).tolist())
            words.add(int(region.root.counts.max()))
    assert {2, 3} <= words


def test_a_code_image_whose_margin_is_small_is_given_to_the_classifier(monkeypatch):
    (region, index), *_ = regions("linear", 0, n=2)
    judged = []
    monkeypatch.setattr(
        branch.Enumeration, "judge", lambda self, codes, gaps: judged.extend(codes.tolist())
    )
    # what float64 says of it is not taken for what float32 does
    most = branch._CLEAR * region.scene.tolerances[index]
    assert most >= 10 * region.scene.tolerances[index]
    for margin, wanted in ((np.nextafter(most, np.inf), 0), (most, 1)):
        judged.clear()
        _, frame = blind(monkeypatch, region.scene, index, 1, least=-1.0, margin=float(margin))
        assert len(judged) == wanted * len(frame.seen)


def test_time_is_looked_at_within_a_box(monkeypatch):
    """Each look at the clock is a second; the first box takes more than a few of them."""
    monkeypatch.setattr(branch, "LEAF", 0)
    (region, index), *_ = regions("mixed", 0, n=2)
    ticks = itertools.count()
    monkeypatch.setattr(branch.time, "perf_counter", lambda: float(next(ticks)))
    search = Search(region.scene, index, Spend(seconds=3.5), -7.0)
    found = search.run()
    assert search.nodes == 0
    assert found.verdict == "undecided"
    assert found.reason.startswith("3.5 seconds spent; margin at least -7,")


def test_a_box_that_time_ran_out_in_is_still_open(monkeypatch):
    """Its bound is told, and not that of the boxes beside it."""
    (region, index), *_ = regions("linear", 0, n=2)
    said = {"least": -1.0, "margin": 1e9, "at_once": 1}

    class Late(Blind):
        def look(self, nodes, tolerance):
            self.least += 0.25
            if self.least > 0:
                raise branch.OutOfTimeError
            return super().look(nodes, tolerance)

    monkeypatch.setattr(branch, "LEAF", 0)
    monkeypatch.setattr(branch, "frame_of", lambda region, *_: Late(region, **said))
    search = Search(region.scene, index, Spend(nodes=10**6, seconds=7.0))
    found = search.run()
    assert found.reason.startswith("7 seconds spent; margin at least -0.75,")
    # two halves of each of the four boxes that were looked at, less three of these
    assert (search.nodes, len(search.open)) == (4, 5)


def test_what_two_boxes_share_is_in_both():
    ends = torch.tensor([[0.0, 1.0, 0.0, 2.0]]), torch.tensor([[3.0, 4.0, 5.0, 2.0]])
    other = torch.tensor([[1.0, 0.0, 1.0, 3.0]]), torch.tensor([[2.0, 5.0, 7.0, 3.0]])
    for low, high in (met(ends, other), met(other, ends)):
        assert low.tolist() == [[1.0, 1.0, 1.0, 3.0]]
        # what rounding has parted is one point
        assert high.tolist() == [[2.0, 4.0, 5.0, 3.0]]


def test_choices_that_are_left_are_numbered_among_those_there_were():
    book = np.arange(6, dtype=np.float32)[:, None]
    outer = CodeBox.of_mask(np.array([[[1, 0, 1, 1, 0, 1], [0, 1, 1, 0, 0, 0]]], bool), book)
    inner = CodeBox.of_mask(np.array([[[0, 0, 1, 0, 0, 1], [0, 1, 1, 0, 0, 0]]], bool), book)
    kept = tabled._kept(outer, inner)
    assert {unit: places.tolist() for unit, places in kept.items()} == {0: [1, 3]}
    assert not tabled._kept(outer, outer)


def test_the_lowest_code_image_is_that_of_each_table():
    book = np.arange(3, dtype=np.float32)[:, None]
    box = CodeBox.of_mask(np.array([[[1, 0, 1], [1, 1, 1], [0, 1, 1]]], bool), book)
    choices = Choices((torch.tensor([0]),) * 3, tuple(torch.zeros(n, 1) for n in (2, 3, 2)))
    for first, second, third in itertools.product(range(2), range(3), range(2)):
        sums = Sums.of(choices, torch.zeros(1))
        both = torch.ones(6, 1)
        both[3 * first + second] = 0.0
        sums.add((0, 1), both)
        sums.add((2,), torch.tensor([[float(third == 1)], [float(third == 0)]]))
        assert tabled._lowest(box, sums).tolist() == [[(0, 2)[first], second, (1, 2)[third]]]
