"""The mean of each draw's loss, against single draws by hand and against closed forms."""

import copy
import pickle

import numpy as np
import pytest
import torch
from art.attacks.evasion import (
    AutoProjectedGradientDescent,
    FastGradientMethod,
    ProjectedGradientDescent,
)
from art.estimators.classification import PyTorchClassifier
from scipy.special import expit, log_softmax
from torch.nn import functional

from art_disc import build_classifier, defend, load_classifier
from art_disc.core.errors import InputError
from art_disc.core.seeds import global_seeds
from art_disc.defences import GaussianNoise, InputBitDepth
from art_disc.estimators import RandomizedClassifier
from art_disc.estimators.mean_loss import MeanLoss

SHAPE = {"input_shape": (1, 8, 8), "nb_classes": 10}
DRAWS = 5


@pytest.fixture(scope="module")
def x(digits):
    return digits.x_test[:12].copy()


@pytest.fixture(scope="module")
def y(digits):
    return np.eye(10, dtype=np.float32)[digits.y_test[:12]]


def noisy(net, **options):
    options = {"eot_samples": DRAWS, "vote_samples": DRAWS, "gradient": "mean_loss"} | options
    return build_classifier(net, **SHAPE, defences=[GaussianNoise(0.3)], **options)


def noises(frozen):
    black = torch.zeros(1, 1, 8, 8)
    return [frozen.model.maps[0].draw(black, index).numpy() for index in range(DRAWS)]


def near(a, b):
    return np.allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(b).max())


@pytest.mark.parametrize("output", ["log_probs", "logits"])
@pytest.mark.parametrize("vote", ["mean", "hard"])
def test_gradient_and_loss_are_the_mean_of_those_of_single_draws(digits_net, x, y, vote, output):
    frozen = noisy(digits_net, vote=vote, output=output).frozen(2)
    single = [frozen.base.loss_gradient(x + noise, y) for noise in noises(frozen)]
    assert near(frozen.loss_gradient(x, y), np.mean(single, axis=0))
    losses = [frozen.base.compute_loss(x + noise, y) for noise in noises(frozen)]
    assert near(frozen.compute_loss(x, y), np.mean(losses, axis=0))
    assert near(frozen.compute_loss(x, y, reduction="mean"), np.mean(losses))
    other = frozen.with_voting(gradient="mean_probability")
    assert not near(other.loss_gradient(x, y), np.mean(single, axis=0))
    # predictions are as they were
    assert np.array_equal(frozen.predict(x), other.predict(x))


@pytest.mark.parametrize("memory", [1, 100_000, 1 << 30])
@pytest.mark.parametrize(
    "how",
    # the vote plays no part in the mean loss
    [("mean_loss", "mean"), ("mean_probability", "mean"), ("mean_probability", "hard")],
)
@pytest.mark.parametrize(
    "loss",
    [
        torch.nn.CrossEntropyLoss(),
        torch.nn.CrossEntropyLoss(reduction="sum"),
        torch.nn.CrossEntropyLoss(label_smoothing=0.2),
        torch.nn.CrossEntropyLoss(weight=torch.linspace(0.5, 2, 10)),
        torch.nn.NLLLoss(),
        torch.nn.MultiMarginLoss(),
    ],
    ids=["ce", "sum", "smooth", "weighted", "nll", "margin"],
)
def test_any_loss_is_differentiated_within_any_memory(digits_net, x, y, loss, how, memory):
    gradient, vote = how
    made = noisy(digits_net, loss=loss, gradient=gradient, vote=vote)
    frozen = made.with_voting(memory_bytes=memory).frozen(2)
    leaf = torch.tensor(x, requires_grad=True)
    labels = torch.tensor(y.argmax(axis=1))
    rows = [
        functional.log_softmax(digits_net(leaf + n), 1) for n in map(torch.tensor, noises(frozen))
    ]
    if gradient == "mean_loss":
        value = sum(loss(row, labels) for row in rows) / DRAWS
    elif vote == "mean":
        value = loss(torch.stack(rows).logsumexp(0) - np.log(DRAWS), labels)
    else:
        # (votes + 1/2) / (draws + classes / 2), each vote with the slope of its probability
        p = torch.stack(rows).exp()
        votes = functional.one_hot(p.argmax(dim=2), 10) + p - p.detach()
        value = loss(torch.log((votes.sum(dim=0) + 0.5) / (DRAWS + 5)), labels)
    (expected,) = torch.autograd.grad(value, leaf)
    got = frozen.loss_gradient(x, y)
    assert np.abs(got).max() > 0
    assert near(got, expected.numpy())
    # a module that knows no loss says the same, and a tensor gets one
    assert near(frozen.loss_gradient(torch.tensor(x), torch.tensor(y)).numpy(), got)


def two_way(gradient, **options):
    """p = sigmoid(4 x + z) at one pixel, and the two values of z that are drawn."""
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(1, 2))
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([[-2.0], [2.0]]))
        net[1].bias.zero_()
    classifier = build_classifier(
        net,
        input_shape=(1, 1, 1),
        nb_classes=2,
        defences=[GaussianNoise(0.5)],
        eot_samples=2,
        vote_samples=2,
        gradient=gradient,
        **options,
    ).frozen(4)
    drawn = [classifier.model.maps[0].draw(torch.zeros(1, 1, 1, 1), i).item() for i in range(2)]
    return classifier, 4 * np.array(drawn)


@pytest.mark.parametrize("label", [0, 1])
def test_the_two_differ_by_what_they_are_on_one_pixel(label):
    x = np.full((1, 1, 1, 1), 0.1, np.float32)
    y = np.eye(2, dtype=np.float32)[[label]]
    sign = 2 * label - 1
    found = {}
    for gradient in ("mean_loss", "mean_probability"):
        classifier, z = two_way(gradient)
        found[gradient] = classifier.loss_gradient(x, y).item()
        targeted = FastGradientMethod(classifier, eps=0.05, targeted=True).generate(x, y)
        away = FastGradientMethod(classifier, eps=0.05).generate(x, y)
        assert np.sign(targeted - x).item() == sign
        assert np.sign(away - x).item() == -sign
    p = expit(sign * (0.4 + z))
    assert np.isclose(found["mean_loss"], -4 * sign * np.mean(1 - p), rtol=1e-4)
    assert np.isclose(
        found["mean_probability"], -4 * sign * np.sum(p * (1 - p)) / np.sum(p), rtol=1e-4
    )
    assert abs(found["mean_loss"] - found["mean_probability"]) > 0.01


def test_second_derivatives_are_the_mean_of_those_of_single_draws():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 16), torch.nn.Tanh(),
                              torch.nn.Linear(16, 10))  # fmt: skip
    frozen = noisy(net).frozen(1)
    x, labels, way = torch.rand(3, 1, 8, 8), torch.tensor([1, 2, 3]), torch.rand(3, 1, 8, 8)
    single = functional.cross_entropy
    pairs = [
        (lambda a: frozen._loss(frozen.model(a), labels), 1),
        (lambda a: sum(single(net(a + torch.tensor(n)), labels) for n in noises(frozen)), DRAWS),
    ]
    products = []
    for function, number in pairs:
        product = torch.autograd.functional.hvp(function, x, way)[1] / number
        products.append(product.numpy())
    assert near(*products)
    assert np.abs(products[0]).max() > 1e-4


ATTACKS = {
    "fgsm": lambda c: FastGradientMethod(c, eps=0.1),
    "pgd": lambda c: ProjectedGradientDescent(c, eps=0.1, eps_step=0.05, max_iter=3, verbose=False),
    "apgd": lambda c: AutoProjectedGradientDescent(
        c, eps=0.1, eps_step=0.1, max_iter=4, nb_random_init=1, loss_type=None, verbose=False
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_climb_the_mean_loss(digits_net, x, y, name, monkeypatch):
    frozen = noisy(digits_net).frozen(2)
    seen = []
    forward = MeanLoss.forward

    def watched(self, scores, labels):
        seen.append(scores.shape)
        return forward(self, scores, labels)

    monkeypatch.setattr(MeanLoss, "forward", watched)
    with global_seeds(0):
        adversarial = ATTACKS[name](frozen).generate(x, y)
    assert seen

    def loss(images):
        rows = [frozen.base.predict(images + n) for n in noises(frozen)]
        return -np.mean([(log_softmax(r, axis=1) * y).sum(axis=1).mean() for r in rows])

    assert loss(adversarial) > loss(x) + 0.3


def test_a_classifier_that_is_rebuilt_around_the_model_has_the_mean_probabilitys(digits_net, x, y):
    frozen = noisy(digits_net).frozen(2)
    bare = PyTorchClassifier(
        model=frozen.model,
        loss=torch.nn.CrossEntropyLoss(),
        **SHAPE,
        clip_values=(0, 1),
        device_type="cpu",
    )
    row = frozen.with_voting(gradient="mean_probability")
    assert near(bare.loss_gradient(x, y), row.loss_gradient(x, y))
    # with the classifier's own loss it has the mean loss
    bare = PyTorchClassifier(
        model=frozen.model, loss=frozen._loss, **SHAPE, clip_values=(0, 1), device_type="cpu"
    )
    assert near(bare.loss_gradient(x, y), frozen.loss_gradient(x, y))


def test_a_row_without_draws_is_taken_as_it_is():
    scores, labels = torch.randn(4, 10), torch.tensor([1, 2, 3, 4])
    loss = MeanLoss(torch.nn.CrossEntropyLoss())
    assert torch.equal(loss(scores, labels), functional.cross_entropy(scores, labels))
    one_hot = functional.one_hot(labels, 10).float()
    nll = MeanLoss(torch.nn.NLLLoss())
    assert torch.equal(nll(scores, one_hot), functional.nll_loss(scores, labels))


def pickled(classifier):
    return pickle.loads(pickle.dumps(classifier))  # noqa: S301 - our own bytes


CHANGES = {
    "deepcopy": copy.deepcopy,
    "pickle": pickled,
    "defend": lambda c: defend(c, [InputBitDepth(8, "identity")]),
    "with_voting": lambda c: c.with_voting(eot_samples=4),
    "with_surrogate": lambda c: defend(c, [InputBitDepth(8)]).with_surrogate("soft"),
    "with_seed": lambda c: c.with_seed(3),
    "with_defences": lambda c: c.with_defences(c.defences),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_made_from_it_keeps_the_gradient(digits_net, x, y, change):
    made = CHANGES[change](noisy(digits_net))
    assert type(made) is RandomizedClassifier
    assert made.voting.gradient == "mean_loss"
    assert type(made._loss) is MeanLoss
    assert type(made._loss.loss) is torch.nn.CrossEntropyLoss
    frozen = made.frozen(2)
    other = frozen.with_voting(gradient="mean_probability")
    assert type(other._loss) is torch.nn.CrossEntropyLoss
    assert not near(frozen.loss_gradient(x, y), other.loss_gradient(x, y))
    # what does not draw has the loss itself
    assert type(made.base._loss) is torch.nn.CrossEntropyLoss


@pytest.mark.filterwarnings("ignore:.*set_seed.*")
def test_a_clone_has_it_and_can_be_fitted(digits, digits_net):
    own = copy.deepcopy(digits_net)
    optimizer = torch.optim.Adam(own.parameters(), lr=3e-3)
    clone = noisy(own, optimizer=optimizer).clone_for_refitting()
    assert type(clone._loss) is MeanLoss
    with torch.random.fork_rng():
        torch.manual_seed(0)
        clone.fit(digits.x_train[:300], digits.y_train[:300], nb_epochs=3, batch_size=32)
    labels = clone.predict(digits.x_test[:100]).argmax(axis=1)
    assert np.mean(labels == digits.y_test[:100]) > 0.5


def test_it_is_saved_with_its_gradient(digits_net, x, y, tmp_path):
    classifier = noisy(digits_net)
    loaded = load_classifier(classifier.save("whole", path=str(tmp_path)))
    assert type(loaded._loss) is MeanLoss
    assert np.array_equal(loaded.loss_gradient(x, y), classifier.loss_gradient(x, y))


def test_another_word_is_refused(digits_net):
    with pytest.raises(InputError, match="gradient must be one of mean_probability, mean_loss"):
        noisy(digits_net, gradient="mean")
