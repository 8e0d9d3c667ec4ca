import numpy as np
import pytest
import torch
from art.attacks.attack import EvasionAttack

from art_disc import build_classifier
from art_disc.attacks import MarginLoss, SignAdamBPDA
from art_disc.core.errors import InputError
from art_disc.data.toys import linear_problem
from art_disc.defences import ColorDepthReduction

EPS = 0.25


@pytest.fixture(scope="module")
def sample(digits):
    return digits.x_test[:24].copy(), digits.y_test[:24].copy()


@pytest.fixture(scope="module", params=["bare", "defended"])
def classifier(request, digits, digits_net):
    defences = [ColorDepthReduction(5)] if request.param == "defended" else []
    return build_classifier(digits_net, data=digits, defences=defences)


def attack_of(classifier, **options):
    return SignAdamBPDA(classifier, **{"eps": EPS, "verbose": False, **options})


def margins(logits, y):
    """Best wrong logit less the correct one, example by example."""
    rows = []
    for row, label in zip(logits.tolist(), y, strict=True):
        rows.append(max(v for i, v in enumerate(row) if i != label) - row[label])
    return np.array(rows)


def margin_gradient(module, x, y):
    leaf = torch.tensor(x, requires_grad=True)
    logits = module(leaf)
    rows = torch.arange(len(y))
    wrong = logits.clone()
    wrong[rows, y] = -1e9
    (wrong.max(dim=1).values - logits[rows, y]).sum().backward()
    return leaf.grad


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_the_margin_loss_is_wrong_less_right(reduction):
    rng = np.random.default_rng(0)
    logits, y = rng.normal(size=(7, 5)), rng.integers(0, 5, 7)
    each = margins(logits, y)
    expected = {"none": each, "sum": each.sum(), "mean": each.mean()}[reduction]
    for labels in (torch.tensor(y), torch.eye(5)[y]):
        got = MarginLoss(reduction)(torch.tensor(logits), labels)
        assert got.numpy() == pytest.approx(expected)


@pytest.mark.parametrize("step", [0.003, 0.1])
@pytest.mark.parametrize("targeted", [False, True])
def test_the_first_step_is_the_rate_times_the_sign(classifier, sample, step, targeted):
    x, y = sample
    x = np.clip(x, 0.2, 0.8)
    sign = np.sign(margin_gradient(classifier.model, x, torch.tensor(y)).numpy())
    got = attack_of(classifier, eps_step=step, max_iter=1, targeted=targeted).generate(x, y)
    expected = x + (-step if targeted else step) * sign
    assert np.abs(got - expected).max() < 1e-6
    assert (sign != 0).mean() > 0.5


def by_torch_adam(classifier, x, y, steps, rate, sense):
    """The same attack with torch's own Adam, which is fed with signs."""
    current = torch.tensor(x, requires_grad=True)
    optimizer = torch.optim.Adam([current], lr=rate, betas=(0.9, 0.999), eps=1e-8)
    start = torch.tensor(x)
    for _ in range(steps):
        grad = margin_gradient(classifier.model, current.detach().numpy(), torch.tensor(y))
        current.grad = -sense * grad.sign()
        optimizer.step()
        with torch.no_grad():
            current.clamp_(0, 1)
            current.copy_(torch.minimum(torch.maximum(current, start - EPS), start + EPS))
    return current.detach().numpy()


@pytest.mark.parametrize("targeted", [False, True])
def test_ten_steps_are_those_of_torchs_adam(classifier, sample, targeted):
    x, y = sample
    labels = (y + 1) % 10 if targeted else y
    options = {"eps_step": 0.02, "max_iter": 10, "targeted": targeted, "batch_size": 24}
    got = attack_of(classifier, **options).generate(x, labels)
    sense = -1 if targeted else 1
    expected = by_torch_adam(classifier, x, labels, 10, 0.02, sense)
    # a sign may flip where a gradient is rounding noise: such images part, few may
    same = np.abs(got - expected).reshape(len(x), -1).max(axis=1) < 1e-5
    assert same.mean() >= 0.9
    assert np.abs(got - x).max() > 0.1


def test_images_stay_in_the_ball_and_the_range(classifier, sample):
    x, y = sample
    before = x.copy(), y.copy()
    got = attack_of(classifier, eps_step=0.1, max_iter=12).generate(x, y)
    assert got.dtype == np.float32
    assert np.abs(got - x).max() <= EPS + 1e-6
    assert np.abs(got - x).max() > EPS - 1e-3
    assert got.min() >= 0
    assert got.max() <= 1
    assert np.array_equal(x, before[0])
    assert np.array_equal(y, before[1])


def test_accuracy_falls_and_targets_are_hit(classifier, sample):
    x, y = sample
    clean = np.mean(classifier.predict(x).argmax(axis=1) == y)
    got = attack_of(classifier, eps_step=0.03, max_iter=20).generate(x, y)
    assert np.mean(classifier.predict(got).argmax(axis=1) == y) < clean - 0.5
    target = (y + 1) % 10
    got = attack_of(classifier, eps_step=0.03, max_iter=20, targeted=True).generate(x, target)
    hits = np.mean(classifier.predict(got).argmax(axis=1) == target)
    assert hits > np.mean(classifier.predict(x).argmax(axis=1) == target) + 0.3


def test_without_labels_the_predictions_are_attacked(classifier, sample):
    x, _ = sample
    predicted = classifier.predict(x).argmax(axis=1)
    attack = attack_of(classifier, eps_step=0.03, max_iter=3)
    expected = attack.generate(x, predicted)
    assert np.array_equal(attack.generate(x), expected)
    assert np.array_equal(attack.generate(x, np.eye(10)[predicted]), expected)


def test_batches_change_nothing(classifier, sample):
    x, y = sample
    results = [
        attack_of(classifier, eps_step=0.03, max_iter=2, batch_size=size).generate(x, y)
        for size in (24, 7)
    ]
    assert (np.abs(results[0] - results[1]) < 1e-5).mean() > 0.99


@pytest.mark.parametrize("eps", [0.04, 0.1])
def test_a_linear_problem_is_broken_within_the_radius_and_not_beyond(eps):
    toy = linear_problem(n=100, seed=4)
    linear = torch.nn.Linear(toy.w.size, 2)
    with torch.no_grad():
        linear.weight.copy_(torch.stack([torch.zeros(toy.w.size), torch.tensor(toy.w)]))
        linear.bias.copy_(torch.tensor([0, toy.b]))
    net = torch.nn.Sequential(torch.nn.Flatten(), linear)
    classifier = build_classifier(net, data=toy.as_dataset())
    options = {"eps": eps, "eps_step": eps / 5, "max_iter": 8}
    got = attack_of(classifier, **options).generate(toy.x, toy.y)
    fooled = toy.predict(got) != toy.y
    clear = np.abs(toy.radius - eps) > 1e-4
    assert np.array_equal(fooled[clear], (toy.radius < eps)[clear])
    assert fooled.any()
    assert not fooled.all()
    back = attack_of(classifier, **options, targeted=True).generate(toy.x, 1 - toy.y)
    assert np.array_equal((toy.predict(back) != toy.y)[clear], fooled[clear])


def test_it_is_an_attack_of_arts_with_parameters(classifier, sample):
    x, y = sample
    attack = attack_of(classifier, eps_step=0.03, max_iter=1)
    assert isinstance(attack, EvasionAttack)
    attack.set_params(eps=0.01, max_iter=5, targeted=True)
    assert (attack.eps, attack.max_iter, attack.targeted) == (0.01, 5, True)
    fresh = attack_of(classifier, eps=0.01, eps_step=0.03, max_iter=5, targeted=True)
    assert np.array_equal(attack.generate(x, y), fresh.generate(x, y))
    with pytest.raises(InputError, match="max_iter"):
        attack.set_params(max_iter=0)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"eps": 8}, "for 8 grey levels write 8/255"),
        ({"eps": -0.1}, "eps must be"),
        ({"eps_step": 0}, "eps_step must be positive"),
        ({"eps_step": float("nan")}, "eps_step must be positive"),
        ({"max_iter": 0}, "max_iter must be"),
        ({"batch_size": 0}, "batch_size must be"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(classifier, options, text):
    with pytest.raises(InputError, match=text):
        attack_of(classifier, **options)


def test_labels_that_do_not_fit_are_refused(classifier, sample):
    x, y = sample
    with pytest.raises(InputError, match="a targeted attack needs y"):
        attack_of(classifier, targeted=True).generate(x)
    with pytest.raises(InputError, match="24 images, got 3"):
        attack_of(classifier).generate(x, y[:3])
    with pytest.raises(InputError, match=r"0\.\.9"):
        attack_of(classifier).generate(x, y + 10)
