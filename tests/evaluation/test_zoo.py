"""The attack zoo: real attacks on two networks, and planted ones for what each status means."""

import contextlib
import dataclasses
import json
import time

import numpy as np
import pytest
from art.attacks.attack import EvasionAttack
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from art.estimators.object_detection.object_detector import ObjectDetectorMixin

import art_disc as ad
from art_disc.attacks import ATTACKS
from art_disc.attacks.spec import AttackSpec, in_tiers
from art_disc.cli import main
from art_disc.core.errors import FileFormatError, InputError
from art_disc.core.records.zoo import ZooCell, ZooRecord
from art_disc.defences import GaussianNoise
from art_disc.evaluation.zoo.matrix import attack_list, left_out_list, zoo_matrix
from art_disc.report import as_markdown, as_text

# more than a second for a cell here; `make zoo` runs them
SLOW = {
    "brendel_bethge", "cw_l0", "cw_l2", "cw_linf", "elastic_net", "feature_adversaries_numpy",
    "graphite_blackbox", "graphite_whitebox", "patch_numpy", "sign_opt", "zoo",
}  # fmt: skip


@pytest.fixture(scope="module")
def models(digits, digits_net, defended):
    return {"none": ad.build_classifier(digits_net, data=digits), "density": defended}


def run(models, digits, attacks, **options):
    return zoo_matrix(models, digits, attacks=attacks, **({"n_ex": 4, "verbose": False} | options))


@pytest.fixture(scope="module")
def record(models, digits):
    return run(models, digits, [name for name in ATTACKS if name not in SLOW], n_ex=4)


# at .2 these break one image in four or none; at .6 every one of them breaks many
WEAK = (
    "acg_ce", "reacg_ce", "universal", "universal_targeted", "threshold", "random_search",
    "pixel_de", "feature_adversaries",
)  # fmt: skip
# what they break at this size is luck (CMA-ES seeds itself by the clock): they change images
SMALL = {"pixel_cma", "patch", "patch_torch", "laser_beam"}


@pytest.fixture(scope="module")
def wide(models, digits):
    return run({"none": models["none"]}, digits, WEAK, n_ex=12, eps=0.6)


def able(record):
    """The cells of all attacks that can run here: of each it is held that it did."""
    cells = [c for c in record.cells if not ATTACKS[c.attack].missing and not c.expected]
    # what works on code images does so on one of these models
    barred = [c for c in cells if ATTACKS[c.attack].behind and c.defence != "density"]
    assert {(c.attack, c.status) for c in barred} <= {("code_space", "refused")}
    cells = [c for c in cells if c not in barred]
    assert [c for c in cells if not c.finished] == []
    for cell in record.cells:
        assert not cell.expected or ATTACKS[cell.attack].breaks_inside_art
    assert len({c.attack for c in cells}) >= min(30, len(record.attacks)) - len(SMALL)
    return cells


def test_no_attack_fails_for_a_reason_on_our_side(record):
    assert record.flaws() == ()
    assert able(record)


def test_every_attack_that_runs_lowers_the_undefended_network(record, wide):
    for cell in able(record):
        assert cell.l2_max > 0, cell
        if cell.defence == "none" and cell.attack not in {*WEAK, *SMALL}:
            assert cell.attacked < cell.clean, cell
    for cell in able(wide):
        assert cell.attacked <= cell.clean - 2, cell
        assert cell.clean >= 10


def test_gradient_attacks_get_gradients_through_the_defence(record):
    for cell in able(record):
        if cell.gradient_attack:
            assert cell.gradients > 0
            # those of code images are taken behind the defence
            behind = ATTACKS[cell.attack].behind
            assert cell.seen_gradients == 0 if behind else cell.seen_gradients > cell.zero_gradients
        else:
            assert cell.gradients == cell.seen_gradients == 0
            assert cell.queries > 0
        assert cell.bypassed == 0


def test_bounded_attacks_keep_their_budget(record):
    for cell in able(record):
        assert (cell.eps is not None) == ATTACKS[cell.attack].bounded
        if cell.eps is not None:
            size = cell.linf_max if cell.norm == "inf" else cell.l2_max
            assert 0 < size <= cell.eps + 1e-5, cell


def test_what_a_row_says_of_its_cost_holds(record):
    for cell in able(record):
        spec = ATTACKS[cell.attack]
        gradients, queries = spec.cost(spec.tiers["smoke"])
        assert cell.gradients <= cell.total * (gradients + 3), cell
        assert cell.queries <= cell.total * (queries + 3), cell


def test_a_record_is_read_back_as_it_was(record, tmp_path):
    path = record.save(tmp_path / "zoo.json")
    assert ZooRecord.load(path) == record
    body = json.loads(path.read_text())
    body["cells"][0].pop("attack")
    with pytest.raises(FileFormatError, match="damaged zoo record"):
        ZooRecord.from_dict(body)


def test_the_same_seed_repeats_what_can_be_repeated(models, digits, record):
    names = ["pgd", "square", "composite", "jsma"]
    again = run(models, digits, names, n_ex=4)
    for cell in again.cells:
        before = record.cell(cell.attack, cell.defence)
        assert dataclasses.replace(before, seconds=0) == dataclasses.replace(cell, seconds=0)
    other = run(models, digits, ["pgd"], n_ex=4, seed=1)
    assert other.cell("pgd", "none").l2_mean != record.cell("pgd", "none").l2_mean


def test_the_matrix_shows_every_cell(record):
    text = as_text(record)
    for name in record.attacks:
        assert sum(line.split()[0] == name for line in text.splitlines() if line) >= 1
    cell = record.cell("pgd", "none")
    row = next(line for line in text.splitlines() if line.startswith("pgd "))
    assert f"{cell.clean}>{cell.attacked}*" in row
    assert "inside ART under NumPy 2" in text or not ATTACKS["laser_beam"].breaks_inside_art
    assert "\n| attack | none | density |\n| --- |" in as_markdown(record)


# planted attacks


class Planted(EvasionAttack):
    _estimator_requirements = (BaseEstimator,)

    def __init__(self, estimator, act):
        super().__init__(estimator=estimator)
        self.act = act

    def generate(self, x, y=None, **_):
        return self.act(self.estimator, x, y)


def plant(monkeypatch, act, **fields):
    options = {
        "name": "planted",
        "label": "Planted",
        "art": "",
        "make": lambda request, _: Planted(request.classifier, act),
        "tiers": in_tiers({"max_iter": 1}),
        "norms": ("inf",),
        "gradients": False,
        "targetable": False,
        "cost": lambda _: (0, 1),
    }
    monkeypatch.setitem(ATTACKS, "planted", AttackSpec(**(options | fields)))


def idle(estimator, x, y):
    return x


def one(models, digits, **options):
    record = run(models, digits, ["planted"], **options)
    return record, record.cell("planted", list(models)[-1])


def test_an_idle_attack_ran_and_lowered_nothing(models, digits, monkeypatch):
    plant(monkeypatch, idle)
    record, cell = one(models, digits)
    assert (cell.status, cell.attacked, cell.l2_max) == ("ran", cell.clean, 0)
    assert record.flaws() == ()


@pytest.mark.parametrize("bounded", [True, False])
def test_beyond_the_budget_nothing_counts_for_a_bounded_attack(
    models, digits, monkeypatch, bounded
):
    plant(monkeypatch, lambda *given: 1 - given[1], bounded=bounded)
    _, cell = one(models, digits)
    assert cell.linf_max == 1
    assert cell.status == ("ran" if bounded else "lowered")
    assert (cell.attacked < cell.clean) == (not bounded)


def test_a_failure_tells_words_and_place_and_is_a_flaw(models, digits, monkeypatch):
    def act(estimator, x, y):
        return estimator.class_gradient(x, label="three")

    plant(monkeypatch, act)
    record, cell = one(models, digits)
    assert cell.status == "failed"
    assert not cell.expected
    assert "@ art/estimators/classification/pytorch.py:" in cell.reason
    assert len(record.flaws()) == 2
    assert "planted on none failed: " in record.flaws()[0]

    plant(monkeypatch, act, breaks_inside_art="known")
    record, cell = one(models, digits)
    assert cell.expected
    assert cell.reason.startswith("inside ART under NumPy 2: ")
    assert record.flaws() == ()


def test_a_failure_of_ours_is_never_expected(models, digits, monkeypatch):
    def act(estimator, x, y):
        msg = "ours"
        raise RuntimeError(msg)

    plant(monkeypatch, act, breaks_inside_art="known")
    record, cell = one(models, digits)
    assert (cell.reason, cell.expected) == ("RuntimeError: ours", False)
    assert record.flaws()


def test_a_gradient_attack_that_a_defence_refuses_is_a_flaw(models, digits, monkeypatch):
    def act(estimator, x, y):
        if estimator.defences:
            msg = "no gradients here"
            raise InputError(msg)
        return 1 - x

    plant(monkeypatch, act, gradients=True, bounded=False)
    record, cell = one(models, digits)
    assert cell.status == "refused"
    assert any("was refused" in flaw for flaw in record.flaws())


def test_no_time_is_no_limit(models, digits):
    for limit in (-1, float("nan")):
        with pytest.raises(InputError, match="time_limit"):
            run(models, digits, ["fgsm"], time_limit=limit)


def test_broken_output_is_a_failure(models, digits, monkeypatch):
    plant(monkeypatch, lambda *given: given[1] * np.float32(np.nan))
    record, cell = one(models, digits)
    assert "AttackOutputError" in cell.reason
    assert record.flaws()


def test_a_cell_is_stopped_when_its_time_is_up(models, digits, monkeypatch):
    def act(estimator, x, y):
        start = time.perf_counter()
        while time.perf_counter() - start < 20:
            # an attack may swallow what it can
            with contextlib.suppress(Exception):
                time.sleep(0.01)
        return x

    plant(monkeypatch, act)
    start = time.perf_counter()
    record, cell = one(models, digits, time_limit=0.2)
    assert time.perf_counter() - start < 5
    assert (cell.status, cell.reason) == ("failed", "stopped after 0.2 s")
    assert cell.seconds >= 0.2
    assert len(record.flaws()) == 2


def test_refusals_and_missing_packages_are_no_failures(models, digits, monkeypatch):
    class Detector(EvasionAttack):
        _estimator_requirements = (BaseEstimator, LossGradientsMixin, ObjectDetectorMixin)

        def generate(self, x, y=None, **_):
            return x

    plant(monkeypatch, None, make=lambda request, _: Detector(estimator=request.classifier))
    record, cell = one(models, digits)
    assert cell.status == "refused"
    assert "ObjectDetectorMixin" in cell.reason
    assert record.flaws() == ()

    plant(monkeypatch, idle, packages=("no_such_package",))
    record, cell = one(models, digits)
    assert (cell.status, record.flaws()) == ("skipped", ())
    assert "no_such_package" in cell.reason

    def imports(estimator, x, y):
        import no_such_package  # noqa: F401

    plant(monkeypatch, imports)
    assert one(models, digits)[1].status == "skipped"

    plant(monkeypatch, idle, least_classes=11)
    assert one(models, digits)[1].reason == "needs at least 11 classes"


def fgsm(estimator, x, y):
    return np.clip(x + 0.2 * np.sign(estimator.loss_gradient(x, y)), 0, 1)


def test_a_defence_without_gradients_is_a_flaw(models, digits, monkeypatch):
    def flat(x):  # a surrogate that does not depend on the image
        return x * 0

    shut = {"none": models["none"], "shut": models["density"].with_surrogate(flat)}
    plant(monkeypatch, fgsm, gradients=True)
    record, cell = one(shut, digits)
    assert record.cell("planted", "none").zero_share == 0
    assert cell.zero_share == 1
    assert cell.seen_gradients == 4
    assert record.flaws() == ("planted on shut got zero gradients alone, of 4",)
    # an attack that needs none may go without
    plant(monkeypatch, fgsm, gradients=False)
    assert one(shut, digits)[0].flaws() == ()


def test_gradients_of_a_class_at_a_time_and_of_one_leaf_are_counted_once(
    models, digits, monkeypatch
):
    import torch

    def classwise(estimator, x, y):
        estimator.class_gradient(x)
        leaf = torch.tensor(x, requires_grad=True)
        for _ in range(3):
            estimator.model(leaf).sum().backward()
        return x

    plant(monkeypatch, classwise, gradients=True)
    for placed in (models, {"outside": outside(models)}):
        _, cell = one(placed, digits)
        # ten classes of four images, then three passes; a leaf outside is no input of the defence
        assert cell.seen_gradients == (40 if "outside" in placed else 52)


def outside(models):
    inside = models["density"]
    return inside.base.with_defences(inside.defences, placement="preprocessor")


def test_rows_that_pass_a_defence_by_are_a_flaw(models, digits, monkeypatch):
    def around_it(estimator, x, y):
        import torch

        estimator.predict(x)
        estimator.base_network(torch.tensor(x))
        return x

    plant(monkeypatch, around_it)
    record, cell = one(models, digits)
    assert cell.bypassed == 4
    assert record.cell("planted", "none").bypassed == 0
    assert record.flaws() == ("planted on density: 4 rows passed the defences by",)
    # ART's own list of defences is passed by where an attack takes the model

    def by_the_model(estimator, x, y):
        import torch

        estimator.model(torch.tensor(x))
        return x

    plant(monkeypatch, by_the_model)
    assert one({"outside": outside(models)}, digits)[1].bypassed == 4
    assert one(models, digits)[1].bypassed == 0


def test_the_composite_attack_sees_defences_in_arts_list_too(models, digits):
    if ATTACKS["composite"].missing:
        pytest.skip(f"needs {ATTACKS['composite'].missing}")
    record = run({"outside": outside(models)}, digits, ["composite", "lowprofool"])
    assert record.flaws() == ()
    for cell in record.cells:
        assert cell.bypassed == 0
        assert cell.seen_gradients > cell.zero_gradients


def test_draws_inside_the_module_are_no_bypass(digits, digits_net, models):
    noisy = ad.build_classifier(digits_net, data=digits, defences=[GaussianNoise(0.05)])
    names = ["fgsm", "apgd_ce", "deepfool", "hop_skip_jump", "simba", "flickering"]
    record = run({"none": models["none"], "noisy": noisy}, digits, names)
    assert record.flaws() == ()
    cell = record.cell("fgsm", "noisy")
    # one gradient an image at the input, whatever the number of draws behind it
    assert cell.seen_gradients == 4
    assert cell.gradients == 4 * noisy.eot_samples


def test_a_pass_that_is_repeated_on_the_way_back_is_no_bypass(models, digits, monkeypatch):
    import torch
    from torch.utils.checkpoint import checkpoint

    def saving(estimator, x, y):
        leaf = torch.tensor(x, requires_grad=True)
        checkpoint(estimator.model, leaf, use_reentrant=False).sum().backward()
        return x

    plant(monkeypatch, saving)
    assert one(models, digits)[1].bypassed == 0
    assert one({"outside": outside(models)}, digits)[1].bypassed == 4


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"tier": "huge"}, "tier must be one of"),
        ({"attacks": ["nothing"]}, "unknown attack 'nothing'"),
        ({"eps": 8}, "8/255"),
        ({"n_ex": 1}, "n_ex must be a whole number from 2 to"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(models, digits, options, text):
    with pytest.raises(InputError, match=text):
        run(models, digits, **({"attacks": ["fgsm"]} | options))
    with pytest.raises(InputError, match="at least one classifier"):
        run({}, digits, ["fgsm"])


def test_a_cell_has_a_status_and_a_record_its_cells(record):
    with pytest.raises(InputError, match="status must be one of lowered"):
        ZooCell("pgd", "", "none", "well")
    with pytest.raises(InputError, match="no cell of 'pgd' on 'nowhere'"):
        record.cell("pgd", "nowhere")
    counts = record.counts("none")
    assert sum(counts.values()) == len(record.attacks)
    assert counts["lowered"] == sum(
        c.status == "lowered" for c in record.cells if c.defence == "none"
    )


def test_lists_name_every_attack_and_every_class_left_out():
    text = attack_list().text()
    assert all(f"\n{name} " in text for name in ATTACKS)
    assert "SNAL" in left_out_list().text()
    assert attack_list().markdown().count("\n") == len(ATTACKS) + 1


def test_the_command_prints_writes_and_judges(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ART_DISC_CACHE", str(tmp_path / "cache"))
    words = ["zoo", "--n-ex", "3", "--epochs", "1", "--quiet", "--attacks", "fgsm,square"]
    chosen = ["--defence", "none", "--defence", "bitdepth:bits=2", "--out", str(tmp_path)]
    assert main([*words, *chosen]) == 0
    printed = capsys.readouterr().out
    assert "attack" in printed.splitlines()[0]
    record = ZooRecord.load(tmp_path / "zoo.json")
    assert list(record.defences) == ["none", "bitdepth:bits=2"]
    assert record.eps == 0.2
    assert record.defences["none"] == ()

    def act(estimator, x, y):
        raise RuntimeError

    plant(monkeypatch, act)
    assert main(["zoo", "--epochs", "1", "--quiet", "--attacks", "planted"]) == 1
    assert "FLAW: planted on none failed" in capsys.readouterr().out
    assert main(["zoo", "--list"]) == 0
    assert "brendel_bethge" in capsys.readouterr().out
    assert main([*words, "--defence", "none", "--defence", "none"]) == 2
    assert main([*words, "--retrain", "1"]) == 2
