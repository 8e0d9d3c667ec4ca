"""Examples made elsewhere: what must carry over does, and nothing else."""

import numpy as np
import pytest
import torch
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescent

import art_disc as ad
from art_disc.core.errors import InputError
from art_disc.core.records.supplied import TransferRecord
from art_disc.data.toys import linear_problem
from art_disc.evaluation import transfer, transfer_sources
from art_disc.evaluation.checks import Checks
from art_disc.evaluation.sources import relaxed_twin

EPS = 0.1


@pytest.fixture(scope="module")
def toy():
    return linear_problem(n=40, seed=2, shape=(1, 4, 4))


def linear(toy, w, *defences, **options):
    layer = torch.nn.Linear(toy.w.size, 2)
    with torch.no_grad():
        w = torch.tensor(w)
        layer.weight.copy_(torch.stack([-w, w]) / 2)
        layer.bias.copy_(torch.tensor([-toy.b, toy.b]) / 2)
    net = torch.nn.Sequential(torch.nn.Flatten(), layer)
    return ad.build_classifier(
        net, input_shape=toy.x.shape[1:], nb_classes=2, defences=defences, **options
    )


def fgsm(classifier, eps):
    return FastGradientMethod(classifier, eps=eps)


def test_the_same_gradient_transfers_wholly_and_the_opposite_one_not_at_all(toy):
    target = linear(toy, toy.w)
    sources = {"same": linear(toy, 3 * toy.w), "opposite": linear(toy, -toy.w)}
    found = transfer(sources, target, toy.x, toy.y, fgsm, eps=EPS, verbose=False)
    clear = np.abs(toy.radius - EPS) > 1e-3
    broken = ~np.array(found.correct("same"))
    assert np.array_equal(broken[clear], (toy.radius < EPS)[clear])
    assert found.share("opposite").value == found.clean.value == 1
    assert found.worst == found.share("same")
    row = found.row("same")
    assert (row.attack, row.gradients) == ("FastGradientMethod", 40)
    assert max(row.distances) == pytest.approx(EPS)
    assert found.draws == 0


def test_a_change_beyond_the_budget_breaks_nothing(toy):
    target = linear(toy, toy.w)
    far = transfer(
        {"own": target}, target, toy.x, toy.y, lambda c, eps: fgsm(c, 2 * eps), eps=EPS,
        verbose=False,
    )  # fmt: skip
    assert not all(far.row("own").right)
    assert far.share("own").value == 1


def test_an_attack_that_fails_is_a_row_of_its_own(toy):
    target = linear(toy, toy.w)

    def moody(classifier, eps):
        if classifier is target:
            return fgsm(classifier, eps)
        message = "not on this one"
        raise RuntimeError(message)

    sources = {"other": linear(toy, toy.w), "own": target}
    found = transfer(sources, target, toy.x, toy.y, moody, eps=EPS, verbose=False)
    assert [row.status for row in found.rows] == ["failed", "done"]
    assert found.rows[0].reason == "RuntimeError: not on this one"
    assert found.worst == found.share("own")
    with pytest.raises(InputError, match="finished: own"):
        found.share("other")


def test_a_random_target_is_scored_on_fresh_draws_whatever_ran_before(toy, tmp_path):
    target = linear(toy, toy.w, ad.GaussianNoise(0.05), eot_samples=4, vote_samples=10)
    sources = transfer_sources(target)
    assert list(sources) == ["own", "base", "frozen"]
    options = {"eps": EPS, "draws": 15, "verbose": False}
    stream = target.model.maps[0].stream.generator
    state = stream.get_state()
    found = transfer(sources, target, toy.x, toy.y, fgsm, **options)
    assert torch.equal(stream.get_state(), state)
    target.predict(toy.x)
    alone = transfer({"base": sources["base"]}, target, toy.x, toy.y, fgsm, **options)
    assert alone.row("base").draw_right == found.row("base").draw_right
    assert max(found.row("base").draw_right) == found.draws == 15
    assert found.voting["vote_samples"] == found.row("own").voting["vote_samples"] == 10
    assert found.row("own").voting["gradient"] == "mean_probability"
    assert found.row("base").voting == {}
    # on a linear net all three know the direction, so all three break what is well within
    clear = toy.radius < 0.08
    for name in sources:
        assert not np.array(found.correct(name))[clear].any()
        assert np.array(found.correct(name))[toy.radius > 0.13].all()
    assert TransferRecord.load(found.save(tmp_path / "transfer.json")) == found


def test_attacks_of_the_table_run_by_name(toy):
    target = linear(toy, toy.w)
    found = transfer({"own": target}, target, toy.x[:8], toy.y[:8], "fgsm", eps=EPS, verbose=False)
    assert found.row("own").attack == "fgsm"
    assert found.row("own").settings == {"num_random_init": 0}
    with pytest.raises(InputError, match="it needs at least 3 classes"):
        transfer({"own": target}, target, toy.x, toy.y, "apgd_dlr", eps=EPS)


def test_sources_must_take_the_target_s_images(toy):
    target = linear(toy, toy.w)
    other = linear_problem(n=4, shape=(1, 2, 2))
    with pytest.raises(InputError, match="source 'small' must take images"):
        transfer({"small": linear(other, other.w)}, target, toy.x, toy.y, eps=EPS)
    with pytest.raises(InputError, match="at least one classifier"):
        transfer({}, target, toy.x, toy.y, eps=EPS)


def test_the_twin_of_a_randdisc_mixes_with_the_alpha_of_its_gradient(digits, digits_net):
    options = {"n_samples": 20, "sigma": 0.1, "tau": 0.05, "gamma": 30.0, "seed": 4}
    defence = ad.RandDisc(2, surrogate="mix:77", **options)
    classifier = ad.build_classifier(digits_net, data=digits, defences=[defence], eot_samples=3)
    name, twin = relaxed_twin(classifier)
    assert name == "RandMix"
    mixed = ad.build_classifier(
        digits_net, data=digits, defences=[ad.RandMix(77.0, 2, **options)], eot_samples=3
    )
    x, y = digits.x_test[:6], np.eye(10, dtype=np.float32)[digits.y_test[:6]]
    assert np.allclose(twin.with_seed(1).predict(x), mixed.with_seed(1).predict(x), atol=1e-6)
    assert twin.eot_samples == 3
    # the value differs from that of the nearest centre, the gradient's direction is of one kind
    assert not np.allclose(twin.with_seed(1).predict(x), classifier.with_seed(1).predict(x))
    assert np.abs(twin.loss_gradient(x, y)).max() > 0
    assert "randmix" in transfer_sources(classifier)
    assert relaxed_twin(mixed) is None
    # so frozen twins stay frozen, and fixed centres fixed
    fixed = ad.RandDisc(centres=(0.1, 0.9), sigma=0.1)
    frozen = ad.build_classifier(digits_net, data=digits, defences=[fixed]).frozen(3)
    _, still = relaxed_twin(frozen)
    assert not still.is_random
    assert still.defences[0].codewords.ravel() == pytest.approx([0.1, 0.9])


def test_the_evaluation_transfers_from_the_randmix_twin(digits, digits_net):
    defence = ad.RandDisc(2, n_samples=20, sigma=0.1)
    classifier = ad.build_classifier(
        digits_net, data=digits, defences=[defence], eot_samples=1, vote_samples=2
    )
    record = ad.evaluate(
        classifier, digits, eps=0.2, attacks=["pgd"], n_ex=8, verbose=False,
        checks=Checks("standard", only=("C12",), n_ex=8), settings={"pgd.max_iter": 2},
    ).record  # fmt: skip
    (row,) = record.select(surrogate="transfer: RandMix twin")
    assert (row.asked_by, row.scored_on, row.knowledge) == ("C12", "defended", "bpda+eot")
    plain = ad.build_classifier(
        digits_net, data=digits, defences=[ad.GaussianNoise(0.1)], eot_samples=1, vote_samples=2
    )
    assert relaxed_twin(plain) is None


def test_pgd_objects_may_come_from_a_factory(toy):
    target = linear(toy, toy.w)
    found = transfer(
        {"own": target}, target, toy.x, toy.y, eps=EPS, verbose=False,
        attack=lambda c, eps: ProjectedGradientDescent(
            c, eps=eps, eps_step=eps / 4, max_iter=8, verbose=False
        ),
    )  # fmt: skip
    clear = np.abs(toy.radius - EPS) > 1e-3
    assert np.array_equal(np.array(found.correct("own"))[clear], (toy.radius > EPS)[clear])
    assert found.row("own").gradients == 8 * 40
