import numpy as np
import pytest
import torch

from art_disc import build_classifier
from art_disc.attacks import ATTACKS, SUITES, AttackRequest, attack_table, parse_settings
from art_disc.core.errors import InputError
from art_disc.core.seeds import global_seeds
from art_disc.defences import ColorDepthReduction

# fewer passes than the tiers', so that the tests stay quick
SHORT = {
    "apgd_ce": {"max_iter": 10},
    "apgd_dlr": {"max_iter": 10},
    "square": {"max_iter": 150},
    "pgd": {"max_iter": 10, "num_random_init": 1},
    "sign_adam": {"max_iter": 15},
}
BUDGET = {"inf": 0.25, "2": 1.5}
SUITE = {name: ATTACKS[name] for name in SUITES["standard"][0]}
ROWS = [(name, norm) for name, spec in SUITE.items() for norm in spec.norms]


@pytest.fixture(scope="module")
def classifier(digits, digits_net):
    return build_classifier(digits_net, data=digits, defences=[ColorDepthReduction(5)])


@pytest.fixture(scope="module")
def sample(digits, classifier):
    right = classifier.predict(digits.x_test[:60]).argmax(axis=1) == digits.y_test[:60]
    return digits.x_test[:60][right][:40], digits.y_test[:60][right][:40]


@pytest.fixture(params=ROWS, ids="-".join)
def attackable(request, digits, digits_net, classifier, sample):
    """A row and norm, with a classifier, images and budget that ART's attack can do with."""
    name, norm = request.param
    if (name, norm) != ("square", "2"):
        return name, norm, classifier, sample, BUDGET[norm]
    # ART's L2 start divides 0 by 0 on images of less than ten pixels a side
    net = torch.nn.Sequential(torch.nn.AvgPool2d(2), digits_net)
    defences = [ColorDepthReduction(5)]
    shape = {"input_shape": (1, 16, 16), "nb_classes": 10}
    big = np.kron(sample[0], np.ones((1, 1, 2, 2), dtype=np.float32))
    return name, norm, build_classifier(net, defences=defences, **shape), (big, sample[1]), 5.0


def made(classifier, name, norm, *, eps=None, targeted=False):
    spec = ATTACKS[name]
    request = AttackRequest(classifier, BUDGET[norm] if eps is None else eps, norm, targeted, 64)
    return spec.make(request, {**spec.settings, **SHORT.get(name, {})})


def attacked(classifier, sample, name, norm, **options):
    x, y = sample
    before = x.copy()
    with global_seeds(0):
        adversarial = made(classifier, name, norm, **options).generate(x, y)
    assert np.array_equal(x, before)
    return adversarial


def test_every_row_breaks_images_within_its_budget(attackable):
    name, norm, classifier, (x, y), budget = attackable
    adversarial = attacked(classifier, (x, y), name, norm, eps=budget)
    order = np.inf if norm == "inf" else 2
    change = np.linalg.norm((adversarial - x).reshape(len(x), -1), order, axis=1)
    assert change.max() <= budget + 1e-5
    assert adversarial.min() >= 0
    assert adversarial.max() <= 1
    # all of them were right before
    assert np.mean(classifier.predict(adversarial).argmax(axis=1) == y) < 0.75


def test_a_tiny_budget_breaks_next_to_nothing(attackable):
    name, norm, classifier, (x, y), _ = attackable
    adversarial = attacked(classifier, (x, y), name, norm, eps=1e-4)
    assert np.mean(classifier.predict(adversarial).argmax(axis=1) == y) > 0.9


@pytest.mark.parametrize("name", [n for n, spec in SUITE.items() if spec.targetable])
def test_rows_that_can_aim_hit_the_target(classifier, sample, name):
    x, target = sample[0], (sample[1] + 1) % 10
    before = np.mean(classifier.predict(x).argmax(axis=1) == target)
    aimed = attacked(classifier, (x, target), name, "inf", targeted=True, eps=0.4)
    after = np.mean(classifier.predict(aimed).argmax(axis=1) == target)
    assert after > before + 0.15


@pytest.mark.parametrize("name", SUITE)
def test_what_a_row_says_of_itself_holds(classifier, sample, name, monkeypatch):
    spec = ATTACKS[name]
    asked = []
    original = type(classifier.model).forward

    def forward(self, x):
        asked.append((len(x), x.requires_grad))
        return original(self, x)

    monkeypatch.setattr(type(classifier.model), "forward", forward)
    x, y = sample
    attacked(classifier, (x[:8], y[:8]), name, "inf")
    gradients = sum(n for n, grad in asked if grad)
    queries = sum(n for n, grad in asked if not grad)
    assert (gradients > 0) == spec.gradients
    bound = spec.cost({**spec.settings, **SHORT.get(name, {})})
    # an estimate from above, give or take the passes before the first step
    assert gradients <= 8 * (bound[0] + 3)
    assert queries <= 8 * (bound[1] + 3)


def test_refusals_name_the_reason():
    assert "norms inf only" in ATTACKS["sign_adam"].refuses("2", 10, targeted=False)
    assert "cannot aim" in ATTACKS["square"].refuses("inf", 10, targeted=True)
    assert "needs at least 3 classes" in ATTACKS["apgd_dlr"].refuses("inf", 2, targeted=False)
    assert not ATTACKS["apgd_dlr"].refuses("inf", 3, targeted=False)
    assert not ATTACKS["pgd"].refuses("2", 2, targeted=True)


def test_the_step_of_zero_spreads_two_and_a_half_budgets(classifier):
    for name in ("pgd", "sign_adam"):
        spec = ATTACKS[name]
        request = AttackRequest(classifier, 0.2, "inf", targeted=False, batch_size=8)
        settings = {**spec.settings, "max_iter": 10}
        assert spec.make(request, settings).eps_step == pytest.approx(0.05)
        assert spec.make(request, {**settings, "eps_step": 0.01}).eps_step == 0.01


def test_tiers_and_lists_become_rows():
    assert [spec.name for spec, _ in attack_table("standard")] == list(SUITE)
    quick = {spec.name: settings for spec, settings in attack_table("quick")}
    assert set(quick) == {"fgsm", "pgd", "sign_adam", "square"}
    assert quick["pgd"] == {"max_iter": 20, "num_random_init": 1, "eps_step": 0.0}
    for choice in ("square,pgd", ["square", "pgd"]):
        rows = attack_table(choice)
        assert [spec.name for spec, _ in rows] == ["square", "pgd"]
        assert rows[1][1] == ATTACKS["pgd"].settings
    assert attack_table("pgd", tier="strong")[0][1]["num_random_init"] == 5
    strong = {spec.name: settings for spec, settings in attack_table("strong")}
    assert set(SUITE) < set(strong)
    assert strong["square"]["max_iter"] == 5000
    with pytest.raises(InputError, match="tier must be one of smoke, standard, strong, got 'slow'"):
        attack_table("pgd", tier="slow")


def test_changes_reach_their_row_alone_and_not_the_table():
    before = dict(ATTACKS["pgd"].settings)
    changes = {"pgd.max_iter": "7", "pgd.eps_step": "8/255"}
    rows = {spec.name: settings for spec, settings in attack_table("quick", changes)}
    assert rows["pgd"] == {"max_iter": 7, "num_random_init": 1, "eps_step": 8 / 255}
    assert rows["square"]["max_iter"] == 100
    assert ATTACKS["pgd"].settings == before


def test_settings_are_read_as_what_they_are():
    got = parse_settings({"pgd.eps_step": "8/255", "square.p_init": 0.5, "pgd.max_iter": "12"})
    assert got == {"pgd": {"eps_step": 8 / 255, "max_iter": 12}, "square": {"p_init": 0.5}}
    assert type(got["pgd"]["max_iter"]) is int


@pytest.mark.parametrize("choice", ["slow", "pgd,nothing", ["pgd", ""], ""])
def test_unknown_attacks_are_named(choice):
    with pytest.raises(
        InputError,
        match=r"unknown attack '.*known: quick, standard, strong, thermometer, binarised, fgsm",
    ):
        attack_table(choice)


def test_the_word_of_a_sweep_is_told_where_its_settings_go():
    told = r"settings=\{'pgd\.max_iter': 5\}, or --set pgd\.max_iter=5"
    with pytest.raises(InputError, match=told):
        attack_table(["square", "pgd:max_iter=5"])


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("pgd.steps", 3, "unknown setting 'pgd.steps'; .*known: pgd.max_iter"),
        ("nothing.max_iter", 3, "unknown setting"),
        ("max_iter", 3, "unknown setting"),
        ("pgd.max_iter", "many", "pgd.max_iter must be a number, got 'many'"),
        ("pgd.eps_step", "1/0", "must be a number"),
    ],
)
def test_settings_that_do_not_fit_are_refused(key, value, text):
    with pytest.raises(InputError, match=text):
        attack_table("quick", {key: value})


@pytest.mark.parametrize("value", ["7.5", float("inf"), float("nan"), None])
def test_odd_numbers_are_refused(value):
    with pytest.raises(InputError, match=r"pgd\.max_iter"):
        parse_settings({"pgd.max_iter": value})
