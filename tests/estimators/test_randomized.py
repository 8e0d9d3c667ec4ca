"""Draws, votes and their gradient, against the same by hand and against closed forms."""

import copy
import pickle

import numpy as np
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescent
from art.estimators.classification import PyTorchClassifier
from scipy.special import expit, logsumexp
from torch.nn import functional

from art_disc import DefendedClassifier, build_classifier, defend
from art_disc.core.errors import InputError
from art_disc.data.toys import linear_problem
from art_disc.defences import ColorDepthReduction, GaussianNoise, InputBitDepth
from art_disc.estimators import RandomizedClassifier, Voting
from art_disc.estimators.memory import measure_bytes

SHAPE = {"input_shape": (1, 8, 8), "nb_classes": 10}


@pytest.fixture(scope="module")
def x(digits):
    return digits.x_test[:25].copy()


@pytest.fixture(scope="module")
def y(digits):
    return np.eye(10, dtype=np.float32)[digits.y_test[:25]]


def noisy(net, sigma=0.3, seed=0, extra=(), **options):
    return build_classifier(
        net, **SHAPE, defences=[GaussianNoise(sigma, seed=seed), *extra], **options
    )


def pictures(frozen, number):
    """The frozen draws of noise, as pictures."""
    black = torch.zeros(1, 1, 8, 8)
    return [frozen.model.maps[0].draw(black, index) for index in range(number)]


def by_hand(net, frozen, x, y, vote, number):
    """Loss gradient in a plain loop over the same draws."""
    leaf = torch.tensor(x, requires_grad=True)
    probs = [functional.softmax(net(leaf + n), dim=1) for n in pictures(frozen, number)]
    if vote == "mean":
        scores = torch.log(sum(probs) / number)
    else:
        # the value of the votes, the slope of the probabilities
        votes = sum(functional.one_hot(p.argmax(dim=1), 10) for p in probs) + 0.5
        scores = torch.log(votes / (number + 5)) + (sum(probs) - sum(probs).detach()) / votes
    loss = functional.cross_entropy(scores, torch.tensor(y))
    return torch.autograd.grad(loss, leaf)[0].numpy(), scores.detach().numpy()


@pytest.mark.parametrize("vote", ["mean", "hard"])
def test_gradient_and_prediction_are_those_of_a_plain_loop_over_the_same_draws(
    digits_net, x, y, vote
):
    frozen = noisy(digits_net, eot_samples=5, vote_samples=7, vote=vote).frozen(3)
    gradient, _ = by_hand(digits_net, frozen, x, y, vote, 5)
    got = frozen.loss_gradient(x, y)
    assert np.allclose(got, gradient, rtol=1e-4, atol=1e-4 * np.abs(gradient).max())
    assert np.abs(gradient).max() > 0
    _, scores = by_hand(digits_net, frozen, x, y, vote, 7)
    assert np.allclose(frozen.predict(x), scores, atol=1e-5)
    assert frozen.predict(x).shape == (len(x), 10)


def test_outputs_say_the_same(digits_net, x):
    log_probs, logits, probs = (
        noisy(digits_net, output=output).frozen(1).predict(x)
        for output in ("log_probs", "logits", "probs")
    )
    assert np.allclose(np.exp(log_probs), probs, atol=1e-6)
    assert np.allclose(probs.sum(axis=1), 1, atol=1e-5)
    assert np.allclose(logits.mean(axis=1), 0, atol=1e-5)
    assert np.allclose(logits - logsumexp(logits, axis=1, keepdims=True), log_probs, atol=1e-4)
    hard = noisy(digits_net, vote="hard", output="probs", vote_samples=9).frozen(1).predict(x)
    counts = hard * (9 + 5) - 0.5
    assert np.allclose(counts, np.rint(counts), atol=1e-4)
    assert np.allclose(counts.sum(axis=1), 9, atol=1e-4)
    assert counts.max() > 8


def linear(toy):
    layer = torch.nn.Linear(toy.w.size, 2)
    with torch.no_grad():
        w = torch.tensor(toy.w)
        layer.weight.copy_(torch.stack([-w, w]) / 2)
        layer.bias.copy_(torch.tensor([-toy.b, toy.b]) / 2)
    return torch.nn.Sequential(torch.nn.Flatten(), layer)


def test_on_a_linear_net_the_mean_gradient_is_the_analytic_expectation():
    # p = sigmoid(margin + sigma |w| Z), so its gradient is E[p (1 - p)] w
    toy = linear_problem(n=60, seed=0, shape=(1, 3, 3))
    sigma, draws = 0.3, 2000
    classifier = build_classifier(
        linear(toy),
        input_shape=toy.x.shape[1:],
        nb_classes=2,
        defences=[GaussianNoise(sigma)],
        output="probs",
        eot_samples=draws,
    )
    got = classifier.class_gradient(toy.x, label=1)[:, 0].reshape(len(toy.x), -1)
    slope = got @ toy.w / (toy.w @ toy.w)
    assert np.allclose(got, slope[:, None] * toy.w, atol=1e-5)
    points, weights = np.polynomial.hermite_e.hermegauss(80)
    margin = toy.x.reshape(len(toy.x), -1).astype(np.float64) @ toy.w + toy.b
    p = expit(margin[:, None] + sigma * np.linalg.norm(toy.w) * points)
    mean, square = (((p * (1 - p)) ** k) @ weights / weights.sum() for k in (1, 2))
    errors = (slope - mean) / np.sqrt((square - mean**2) / draws)
    assert np.mean(np.abs(errors) < 3) > 0.95
    assert np.abs(errors).max() < 4.5
    # the draws of different images are independent: no common shift
    assert abs(errors.mean()) < 3 / np.sqrt(len(errors))
    assert 0.6 < errors.std() < 1.4


def test_on_a_linear_net_pgd_reaches_the_closed_form_radius():
    # symmetric noise moves no decision of a linear net, and the sign of every gradient is w's
    toy = linear_problem(n=60, seed=1, shape=(1, 3, 3))
    classifier = build_classifier(
        linear(toy),
        input_shape=toy.x.shape[1:],
        nb_classes=2,
        defences=[GaussianNoise(0.05)],
        eot_samples=2,
        vote_samples=400,
    )
    eps = 0.08
    attack = ProjectedGradientDescent(
        classifier, eps=eps, eps_step=eps / 4, max_iter=6, verbose=False
    )
    labels = classifier.predict(attack.generate(toy.x, toy.y)).argmax(axis=1)
    clear = np.abs(toy.radius - eps) > 0.02
    fooled = labels != toy.y
    assert np.array_equal(fooled[clear], (toy.radius < eps)[clear])
    assert fooled.any()
    assert not fooled.all()


def test_the_same_seed_gives_the_same_and_fresh_draws_differ(digits_net, x, y):
    one, same, other = (noisy(digits_net, seed=seed) for seed in (1, 1, 2))
    first = one.predict(x), one.predict(x), one.loss_gradient(x, y)
    assert np.array_equal(same.predict(x), first[0])
    assert np.array_equal(same.predict(x), first[1])
    assert np.array_equal(same.loss_gradient(x, y), first[2])
    assert not np.allclose(first[0], first[1], atol=1e-3)
    assert not np.allclose(other.predict(x), first[0], atol=1e-3)
    assert np.array_equal(one.with_seed(2).predict(x), other.predict(x)) is False
    assert np.array_equal(one.with_seed(2).predict(x), noisy(digits_net, seed=2).predict(x))


def bare(classifier, x):
    """A gradient of the module alone, as attacks take it that rebuild a classifier."""
    leaf = torch.tensor(x, requires_grad=True)
    classifier.model(leaf).sum().backward()
    return leaf.grad


@pytest.mark.parametrize("memory", [1, 150_000, 1_500_000])
def test_parts_change_nothing(digits_net, x, y, memory):
    extra = [ColorDepthReduction(4, "soft:5")]
    whole = noisy(digits_net, extra=extra)
    parts = noisy(digits_net, extra=extra).with_voting(memory_bytes=memory)
    seen = []
    # a part that is computed again ends early, so the end of a pass is no sign of it
    handle = digits_net.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    try:
        for ask in (
            lambda c: c.predict(x),
            lambda c: c.loss_gradient(x, y),
            lambda c: c.class_gradient(x[:4]),
            lambda c: c.predict_draws(x, 6),
        ):
            a, b = ask(whole), ask(parts)
            assert np.allclose(a, b, rtol=1e-4, atol=1e-5)
            assert np.abs(a).max() > 0
        row = measure_bytes(digits_net, digits_net, torch.zeros(1, 1, 8, 8))
        for ask, often in ((lambda: parts.loss_gradient(x, y), 1), (lambda: bare(parts, x), 2)):
            seen.clear()
            ask()
            assert max(seen) <= max(1, memory // row)
            # where no loss is known they are computed twice, forward and on the way back
            assert sum(seen) == often * 8 * len(x)
    finally:
        handle.remove()


def kept_bytes(run):
    """What autograd holds after `run`, by a count of its own."""
    storages = {}

    def note(tensor):
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
        output = run()
    del output
    return sum(storages.values())


def test_the_graph_stays_within_the_memory_that_is_stated(digits_net, x):
    images = torch.tensor(x, requires_grad=True)
    whole = noisy(digits_net, eot_samples=20)
    held = kept_bytes(lambda: whole.model(images))
    row = measure_bytes(digits_net, digits_net, torch.zeros(1, 1, 8, 8))
    assert 0.7 < held / (row * 20 * len(x)) <= 1
    small = whole.with_voting(memory_bytes=1_000_000)
    inputs = 20 * images.nelement() * 4
    assert kept_bytes(lambda: small.model(images)) < 2.5 * inputs < held / 5


def pickled(classifier):
    return pickle.loads(pickle.dumps(classifier))  # noqa: S301 - our own bytes


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
def test_a_copy_goes_on_where_the_original_is_and_alone(digits_net, x, copied):
    classifier = noisy(digits_net, eot_samples=3, vote="hard", output="probs")
    classifier.predict(x)
    twin = copied(classifier)
    assert type(twin) is RandomizedClassifier
    assert twin.voting == classifier.voting
    calls = [classifier.predict(x) for _ in range(2)]
    assert np.array_equal(twin.predict(x), calls[0])
    assert np.array_equal(twin.predict(x), calls[1])
    assert np.array_equal(twin.base.predict(x), classifier.base.predict(x))


def test_a_shallow_copy_shares_the_module(digits_net):
    classifier = noisy(digits_net)
    assert copy.copy(classifier).model is classifier.model


def test_arts_bare_classifier_around_the_model_makes_the_same_draws(digits_net, x, y):
    classifier, other = noisy(digits_net), noisy(digits_net)
    bare = PyTorchClassifier(
        model=other.model,
        loss=torch.nn.CrossEntropyLoss(),
        **SHAPE,
        clip_values=(0, 1),
        device_type="cpu",
    )
    assert np.array_equal(bare.predict(x), classifier.predict(x))
    assert np.allclose(bare.loss_gradient(x, y), classifier.loss_gradient(x, y), atol=1e-6)


def test_what_is_made_from_it_keeps_its_settings_and_begins_anew(digits_net, x):
    options = {"eot_samples": 3, "vote_samples": 5, "vote": "hard", "output": "logits"}
    classifier = noisy(digits_net, extra=[InputBitDepth(3)], **options)
    first = classifier.predict(x)
    for other in (
        classifier.with_surrogate("soft:5"),
        classifier.with_samples(eot=4),
        classifier.with_defences(classifier.defences),
        defend(classifier, []),
    ):
        assert type(other) is RandomizedClassifier
        assert (other.vote_samples, other.voting.vote, other.voting.output) == (5, "hard", "logits")
        assert other.base_network is digits_net
        assert np.array_equal(other.predict(x), first)
    assert classifier.with_samples(eot=4).eot_samples == 4
    assert classifier.with_samples(vote=6).vote_samples == 6
    soft = classifier.with_surrogate("soft:5")
    assert soft.defences[1].surrogate.name == "soft(alpha=5)"


def test_the_base_is_a_plain_classifier(digits_net, x):
    base = noisy(digits_net).base
    assert type(base) is DefendedClassifier
    assert not base.is_random
    with torch.no_grad():
        expected = digits_net(torch.tensor(x)).numpy()
    assert np.allclose(base.predict(x), expected, atol=1e-5)
    assert type(noisy(digits_net).with_defences([InputBitDepth(2)])) is DefendedClassifier
    again = base.with_defences([GaussianNoise(0.3)])
    assert np.array_equal(again.predict(x), noisy(digits_net).predict(x))


@pytest.mark.parametrize("vote", ["mean", "hard"])
def test_the_frozen_twin_is_one_function_of_the_image(digits_net, x, y, vote):
    classifier = noisy(digits_net, vote=vote)
    assert classifier.is_random
    frozen = classifier.frozen(4)
    assert not frozen.is_random
    assert type(frozen) is RandomizedClassifier
    expected, gradient = frozen.predict(x), frozen.loss_gradient(x, y)
    assert np.array_equal(frozen.predict(x), expected)
    alone = np.concatenate([frozen.predict(row[None]) for row in x])
    assert np.allclose(alone, expected, atol=1e-5)
    assert np.array_equal(frozen.loss_gradient(x, y), gradient)
    assert np.allclose(noisy(digits_net, seed=9, vote=vote).frozen(4).predict(x), expected)
    assert not np.allclose(classifier.frozen(5).predict(x), expected, atol=1e-3)
    draws = frozen.predict_draws(x, 16)
    assert np.array_equal(draws, frozen.predict_draws(x, 16, seed=8))
    if vote == "mean":
        assert np.allclose(logsumexp(draws, axis=0) - np.log(16), expected, atol=1e-5)


def test_two_noises_in_a_row_draw_for_themselves(digits_net, x):
    pair = build_classifier(digits_net, **SHAPE, defences=[GaussianNoise(0.3), GaussianNoise(0.3)])
    for classifier in (pair, pair.frozen(1)):
        z = torch.zeros(1, 1, 8, 8)
        a, b = (m.draw(z, 0).flatten() for m in classifier.model.maps)
        assert abs(torch.corrcoef(torch.stack([a, b]))[0, 1]) < 0.5


def test_single_draws_are_fresh_repeatable_and_leave_no_trace(digits_net, x):
    classifier, untouched = noisy(digits_net), noisy(digits_net)
    draws = classifier.predict_draws(x, 6, seed=1)
    assert draws.shape == (6, len(x), 10)
    assert draws.dtype == np.float32
    assert np.allclose(np.exp(draws).sum(axis=2), 1, atol=1e-5)
    assert np.array_equal(classifier.predict_draws(x, 6, seed=1), draws)
    assert np.array_equal(classifier.predict_draws(x, 3, seed=1), draws[:3])
    assert not np.allclose(classifier.predict_draws(x, 6, seed=2), draws, atol=1e-3)
    assert np.array_equal(classifier.predict_draws(x, 6), classifier.predict_draws(x, 6))
    assert not np.allclose(draws[0], draws[1], atol=1e-3)
    assert np.array_equal(classifier.predict(x), untouched.predict(x))
    # one draw each time, not a mean of many: as far apart as single ones by hand
    by_hand = [digits_net(torch.tensor(GaussianNoise(0.3, seed=s)(x)[0])) for s in range(6)]
    spread = torch.log_softmax(torch.stack(by_hand), dim=2).std(dim=0).mean()
    assert 0.8 < draws.std(axis=0, ddof=1).mean() / float(spread.detach()) < 1.25
    with pytest.raises(InputError, match="n must be a whole number >= 1"):
        classifier.predict_draws(x, 0)


def test_train_or_eval_mode_changes_no_draw(digits_net, x):
    made = [noisy(digits_net).model for _ in range(2)]
    try:
        made[0].train()
        with torch.no_grad():
            outputs = [module(torch.tensor(x)) for module in made]
    finally:
        made[0].eval()
    assert torch.equal(*outputs)


def test_the_number_of_draws_follows_the_gradient(digits_net, x, y):
    classifier = noisy(digits_net, eot_samples=3, vote_samples=11)
    seen = []
    handle = digits_net.register_forward_hook(lambda _, args, __: seen.append(len(args[0])))
    try:
        classifier.predict(x)
        assert sum(seen) == 11 * len(x)
        seen.clear()
        classifier.loss_gradient(x, y)
        assert sum(seen) == 3 * len(x)
    finally:
        handle.remove()


def test_global_streams_are_left_alone(digits_net, x, y):
    classifier = noisy(digits_net).with_voting(memory_bytes=200_000)
    torch.manual_seed(0)
    np.random.seed(0)
    expected = torch.rand(3), np.random.rand(3)
    torch.manual_seed(0)
    np.random.seed(0)
    classifier.loss_gradient(x, y)
    classifier.predict_draws(x, 3)
    with torch.no_grad():
        classifier.model(torch.tensor(x))
    assert torch.equal(torch.rand(3), expected[0])
    assert np.array_equal(np.random.rand(3), expected[1])


class Batched(torch.nn.Module):
    """A network that one row in train mode would break, and whose statistics must not move."""

    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(64)
        self.drop = torch.nn.Dropout(0.5)
        self.head = torch.nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.drop(self.norm(x.flatten(1))))


def test_measuring_the_memory_leaves_the_network_as_it_was():
    net = Batched().train()
    net.drop.eval()
    mean = net.norm.running_mean.clone()
    measure_bytes(net, net, torch.ones(1, 1, 8, 8))
    assert torch.equal(net.norm.running_mean, mean)
    assert (net.training, net.norm.training, net.drop.training) == (True, True, False)


def test_dropout_falls_alike_when_parts_are_computed_again():
    net = Batched()
    classifier = noisy(net).with_voting(memory_bytes=20_000)
    net.train()
    masks = []
    net.drop.register_forward_hook(lambda _, __, out: masks.append((out == 0).numpy().tobytes()))
    leaf = torch.rand(40, 1, 8, 8, requires_grad=True)
    with torch.random.fork_rng():
        scores = classifier.model(leaf)
        first = len(masks)
        scores.sum().backward()
    assert first > 5
    assert len(set(masks[:first])) == first
    assert sorted(masks[first:]) == sorted(masks[:first])


def test_nan_fails_as_loudly_as_on_the_bare_network(digits_net, x):
    spoilt = x.copy()
    spoilt[3, 0, 0, 0] = np.nan
    for vote in ("mean", "hard"):
        scores = noisy(digits_net, vote=vote).predict(spoilt)
        assert np.isnan(scores[3]).all()
        assert np.isfinite(np.delete(scores, 3, axis=0)).all()


def test_layers_hold_one_row_an_image_at_the_end(digits_net, x):
    activations = noisy(digits_net, output="probs").get_activations(x, layer=-1)
    assert activations.shape == (len(x), 10)


@pytest.mark.parametrize("fault", ["eot_samples", "vote_samples", "vote", "output"])
def test_settings_that_do_not_fit_are_refused(digits_net, fault):
    value = {"vote": "most", "output": "odds"}.get(fault, 0)
    with pytest.raises(InputError, match=fault):
        noisy(digits_net, **{fault: value})
    with pytest.raises(InputError, match=fault):
        Voting(**{fault: value})


def test_what_cannot_be_voted_on_is_refused(digits_net):
    with pytest.raises(InputError, match="GaussianNoise draws, and in ART's list"):
        noisy(digits_net, placement="preprocessor")
    own = PyTorchClassifier(
        model=digits_net,
        loss=torch.nn.CrossEntropyLoss(),
        **SHAPE,
        clip_values=(0, 1),
        preprocessing_defences=[GaussianNoise(0.1)],
        device_type="cpu",
    )
    with pytest.raises(InputError, match="use placement='module'"):
        defend(own, [InputBitDepth(2)])
    sure = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10), torch.nn.Softmax(1))
    with pytest.raises(InputError, match="got probabilities"):
        noisy(sure)


@pytest.mark.filterwarnings("ignore:.*set_seed.*")
def test_a_clone_can_be_fitted_through_the_noise(digits, digits_net):
    own = copy.deepcopy(digits_net)
    classifier = noisy(
        own,
        sigma=0.2,
        eot_samples=2,
        vote_samples=4,
        optimizer=torch.optim.Adam(own.parameters(), lr=3e-3),
    )
    clone = classifier.clone_for_refitting()
    assert type(clone) is RandomizedClassifier
    assert clone.voting == classifier.voting

    def accuracy():
        labels = clone.predict(digits.x_test[:200]).argmax(axis=1)
        return np.mean(labels == digits.y_test[:200])

    assert accuracy() < 0.5
    with torch.random.fork_rng():
        torch.manual_seed(0)
        clone.fit(digits.x_train[:600], digits.y_train[:600], nb_epochs=5, batch_size=32)
    assert accuracy() > 0.7


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_on_a_gpu_the_draws_are_the_same(digits_net, x, y):
    made = [noisy(copy.deepcopy(digits_net).to(device)) for device in ("cpu", "cuda")]
    assert made[1].device.type == "cuda"
    for ask in (lambda c: c.predict(x), lambda c: c.loss_gradient(x, y)):
        a, b = map(ask, made)
        assert np.allclose(a, b, atol=1e-3)
    assert np.allclose(*(c.predict_draws(x, 4) for c in made), atol=1e-3)
