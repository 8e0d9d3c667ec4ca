"""The remedies: what an attack is fed stands for the same model and comes back the same image."""

import numpy as np
import pytest
import torch
from art.attacks.evasion import DeepFool, GeoDA

import art_disc as ad
from art_disc.attacks import ATTACKS, AttackRequest
from art_disc.attacks.zoo.feeding import (
    Fed,
    FromColour,
    FromRowsAsFrames,
    around,
    guides,
    one_by_one,
    one_target,
    right_ones,
    runner_up,
)
from art_disc.attacks.zoo.queries import cosine_basis
from art_disc.core.errors import InputError
from art_disc.core.seeds import global_seeds


@pytest.fixture(scope="module", params=["module", "preprocessor"])
def defended(request, digits, digits_net):
    book = ad.DensityCodebook(n_codes=2, radius=0.6).fit(digits.x_train)
    defence = ad.PixelDiscretization(book)
    return ad.build_classifier(digits_net, data=digits, defences=[defence], placement=request.param)


@pytest.fixture(scope="module")
def sample(digits):
    return digits.x_test[:6].copy(), np.eye(10, dtype=np.float32)[digits.y_test[:6]]


def test_another_output_is_the_softmax_of_the_same_logits(defended, sample):
    x, onehot = sample
    twin = around(defended, probabilities=True)
    logits = defended.predict(x)
    expected = torch.softmax(torch.tensor(logits), dim=1).numpy()
    assert np.abs(twin.predict(x) - expected).max() < 1e-6
    # cross-entropy of the logits has the same gradient as its form for probabilities
    gap = np.abs(twin.loss_gradient(x, onehot) - defended.loss_gradient(x, onehot))
    assert np.abs(defended.loss_gradient(x, onehot)).max() > 1e-3
    assert gap.max() < 1e-4


@pytest.mark.parametrize("first", [True, False])
def test_other_inputs_reach_the_same_model(digits, digits_net, sample, first):
    x, _ = sample

    class Nhwc(torch.nn.Module):
        def forward(self, images):
            return digits_net(images.permute(0, 3, 1, 2))

    shape = {"input_shape": (1, 8, 8) if first else (8, 8, 1), "nb_classes": 10}
    net = digits_net if first else Nhwc()
    classifier = ad.build_classifier(net, channels_first=first, **shape)
    own = x if first else np.moveaxis(x, 1, -1)
    expected = classifier.predict(own)

    flat = around(classifier, before=torch.nn.Unflatten(1, own.shape[1:]), input_shape=(64,))
    assert np.array_equal(flat.predict(own.reshape(6, 64)), expected)

    frames = FromRowsAsFrames(channels_first=first)
    video = around(classifier, before=frames, input_shape=(8, 1, 8, 1), channels_first=False)
    rows = np.ascontiguousarray(np.moveaxis(x, 1, -1)[:, :, None])
    # convolutions of another memory layout round differently
    assert np.abs(video.predict(rows) - expected).max() < 1e-4

    for first_in in (True, False):
        lens = FromColour((1, 8, 8), (32, 32), first_in=first_in, first_out=first)
        canvas = lens.invert(own)
        assert canvas.shape == ((6, 3, 32, 32) if first_in else (6, 32, 32, 3))
        assert np.abs(lens.bring_back(canvas) - own).max() < 1e-6
        colour = around(classifier, before=lens, input_shape=canvas.shape[1:])
        assert np.abs(colour.predict(canvas) - expected).max() < 1e-4


def test_colour_images_of_three_channels_keep_them():
    rng = np.random.default_rng(0)
    x = rng.random((2, 3, 10, 8), dtype=np.float32)
    lens = FromColour((3, 10, 8), (32, 32), first_in=True, first_out=True)
    assert np.array_equal(lens.bring_back(lens.invert(x)), x)
    # a change outside the picture is none
    canvas = lens.invert(x)
    canvas[:, :, :11] = 1
    assert np.array_equal(lens.bring_back(canvas), x)


def test_numpy_preprocessors_are_refused(defended):
    from art.defences.preprocessor import JpegCompression

    bare = defended.base
    bare = type(bare)(
        model=bare.model,
        loss=bare._loss,
        input_shape=bare.input_shape,
        nb_classes=10,
        clip_values=(0, 1),
        preprocessing_defences=[JpegCompression(clip_values=(0, 1), channels_first=True)],
    )
    with pytest.raises(InputError, match="NumPy preprocessors"):
        around(bare)


def test_guides_are_the_next_image_of_another_class():
    onehot = np.eye(3, dtype=np.float32)[[0, 0, 1, 2, 2]]
    assert guides(onehot).tolist() == [2, 2, 3, 0, 0]
    with pytest.raises(InputError, match="all 2 images are of one"):
        guides(onehot[:2])


def test_the_runner_up_is_never_the_true_class(defended, sample):
    x, onehot = sample
    rows = runner_up(defended, x, onehot)
    scores = defended.predict(x)
    for score, row, own in zip(scores, rows, onehot, strict=True):
        wrong = [k for k in np.argsort(-score) if k != own.argmax()]
        assert row.argmax() == wrong[0]
        assert row.sum() == 1
    shared = one_target(defended, x, onehot)
    assert len(set(shared.argmax(axis=1))) == 1
    assert shared[0].argmax() == np.bincount(rows.argmax(axis=1)).argmax()


class Recorder:
    """Stands for an attack: notes what it is fed and adds 0.1."""

    def __init__(self, estimator, targeted=False):
        self.estimator, self.targeted, self.seen = estimator, targeted, []

    def generate(self, x, y=None):
        self.seen.append((x.shape[0], None if y is None else y.argmax(axis=1).tolist()))
        return x + np.float32(0.1)


def test_single_images_are_fed_singly_and_wrong_ones_left(defended, sample):
    x, onehot = sample
    recorder = Recorder(defended)
    assert np.array_equal(one_by_one(recorder, x, onehot), x + np.float32(0.1))
    assert [n for n, _ in recorder.seen] == [1] * 6
    predicted = defended.predict(x).argmax(axis=1)
    labels = np.eye(10, dtype=np.float32)[
        np.where(np.arange(6) < 2, (predicted + 1) % 10, predicted)
    ]
    found = right_ones(Recorder(defended), x, labels)
    assert np.array_equal(found[:2], x[:2])
    assert np.array_equal(found[2:], x[2:] + np.float32(0.1))


def test_a_fed_attack_needs_labels(defended, sample):
    request = AttackRequest(defended, 0.1, "inf", targeted=False, batch_size=6)
    made = ATTACKS["spatial"].make(request, ATTACKS["spatial"].tiers["smoke"])
    assert isinstance(made, Fed)
    with pytest.raises(InputError, match="SpatialTransformation needs y"):
        made.generate(sample[0])


def test_our_cosine_basis_is_geodas(monkeypatch):
    # the function that NumPy 2 took away, for ART's own code
    monkeypatch.setattr(np, "mat", np.asarray, raising=False)
    for sub_dim, size in ((4, 8), (10, 8), (8, 8)):
        theirs = np.asarray(GeoDA._generate_2d_dct_basis(sub_dim, size))
        assert np.abs(cosine_basis(sub_dim, size) - theirs).max() < 1e-6


def test_geoda_leaves_nothing_in_the_working_folder(defended, sample, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, onehot = sample
    spec = ATTACKS["geoda"]
    with global_seeds(0):
        made = spec.make(
            AttackRequest(defended, 0.2, "2", targeted=False, batch_size=6), spec.tiers["smoke"]
        )
        made.generate(x[:1], onehot[:1])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["feature_adversaries", "feature_adversaries_numpy"])
def test_no_hook_stays_in_the_shared_network(defended, sample, name):
    x, onehot = sample
    spec = ATTACKS[name]
    settings = {**spec.tiers["smoke"], "max_iter": 1}
    before = [len(layer._forward_hooks) for layer in defended.model.modules()]
    with global_seeds(0):
        made = spec.make(
            AttackRequest(defended, 0.2, "inf", targeted=False, batch_size=6), settings
        )
        made.generate(x[:2], onehot[[0, 1]])
    assert [len(layer._forward_hooks) for layer in defended.model.modules()] == before
    assert not hasattr(defended, "_features")


@pytest.mark.parametrize("overshoot", [0.02, 0.0])
def test_deepfool_of_few_steps_goes_no_further_than_arts_and_leaves_no_image(
    digits, digits_net, monkeypatch, overshoot
):
    classifier = ad.build_classifier(digits_net, data=digits)
    x, y = digits.x_test[:40].copy(), np.eye(10, dtype=np.float32)[digits.y_test[:40]]
    asked = []
    original = type(classifier).class_gradient

    def class_gradient(self, images, *args, **kwargs):
        asked.append(len(images))
        return original(self, images, *args, **kwargs)

    monkeypatch.setattr(type(classifier), "class_gradient", class_gradient)
    settings = {"max_iter": 50, "epsilon": overshoot}
    request = AttackRequest(classifier, 1.0, "2", targeted=False, batch_size=40)
    ours = ATTACKS["deepfool"].make(request, settings)
    made, paid = ours.generate(x, y), sum(asked)
    assert ours.attack.max_iter == 50
    asked.clear()
    theirs = DeepFool(classifier, **settings, nb_grads=10, batch_size=40, verbose=False).generate(x)

    before = classifier.predict(x).argmax(axis=1)
    crossed, of_theirs = (
        classifier.predict(images).argmax(axis=1) != before for images in (made, theirs)
    )
    if overshoot:
        assert crossed.all()
        assert of_theirs.all()
    far, as_far = (
        np.linalg.norm((images - x).reshape(40, -1), axis=1) for images in (made, theirs)
    )
    assert (far <= as_far * (1 + 1e-5)).all()
    if overshoot:
        # most cross in the first steps; without an overshoot ART leaves them on the boundary
        assert paid < sum(asked) / 3
    else:
        # where the first steps leave an image, it has all of them: on the boundary, as ART's
        assert (~crossed).sum() > 0
        assert np.allclose(made[~crossed], theirs[~crossed], atol=1e-4)


def test_deepfool_gives_images_before_a_defence_that_draws_all_steps(digits, digits_net):
    defences = [ad.GaussianNoise(0.1)]
    classifier = ad.build_classifier(digits_net, data=digits, defences=defences)
    request = AttackRequest(classifier, 1.0, "2", targeted=False, batch_size=8)
    ours = ATTACKS["deepfool"].make(request, {"max_iter": 20, "epsilon": 0.02})
    steps = []
    ours.attack.generate = lambda x: steps.append(ours.attack.max_iter) or x
    ours.generate(digits.x_test[:4], np.eye(10, dtype=np.float32)[digits.y_test[:4]])
    assert steps == [20]
