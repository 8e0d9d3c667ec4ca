"""Plans: what is read, what is filled in, what is refused and by which key."""

import pytest

from art_disc.core.errors import DataNotFoundError, FileFormatError, InputError
from art_disc.evaluation.sweep import SweepPlan
from art_disc.evaluation.sweep.words import gradient_sources, parse_duration, parse_training
from art_disc.training import Adversary

TOML = """
name = "two"
datasets = "digits"
defences = ["none", "bitdepth:bits=2", "none"]
eps = [0.1, "8/255"]
attacks = ["fgsm", "pgd:max_iter=7"]
tier = "smoke"
time_limit = "1h30m"
"""

# one part has the identity of its own, the other a soft assignment
CHANGED = ["own", "soft", "identity"]
# pools, maps and comes back to a size that the data may have
POOLED = "maxpool:resize=false + bitdepth + bilinear:height=28,width=28"


def test_a_file_and_python_say_the_same(tmp_path):
    file = tmp_path / "plan.toml"
    file.write_text(TOML)
    plan = SweepPlan.from_toml(file)
    assert plan == SweepPlan(
        name="two",
        datasets=("digits",),
        defences=("none", "bitdepth:bits=2"),
        eps=(0.1, 8 / 255),
        attacks=("fgsm", "pgd:max_iter=7"),
        tier="smoke",
        time_limit="1h30m",
    )
    assert SweepPlan.from_dict(plan.to_dict()) == plan


def test_settings_come_from_the_tier_and_the_word(tiny):
    plan = tiny(attacks=["pgd:max_iter=7", "square"], tier="smoke")
    pgd, square = plan.planned_attacks
    assert pgd.settings["max_iter"] == 7
    assert square.settings == dict(square.spec.tiers["smoke"])
    assert pgd.changes["pgd.max_iter"] == 7


def test_a_suite_stands_for_its_members_in_its_own_tier(tiny):
    plan = tiny(attacks=["quick"], tier="strong")
    assert [a.label for a in plan.planned_attacks] == ["fgsm", "pgd", "sign_adam", "square"]
    assert all(a.settings == dict(a.spec.tiers["smoke"]) for a in plan.planned_attacks)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"datasets": []}, "datasets"),
        ({"defences": ["magic"]}, "'defences': .*unknown defence"),
        ({"defences": ["thermometer:n_levels=4"]}, "'defences': .* encodes images"),
        ({"defences": ["maxpool:resize=false"]}, "'defences': .* encodes images"),
        ({"defences": ["density:n_codes=two"]}, "'defences'"),
        ({"eps": [-0.1]}, "'eps'.*>= 0"),
        ({"eps": [8]}, "'eps'.*8/255"),
        ({"eps": ["a lot"]}, "'eps'.*number"),
        ({"eps": [True]}, "'eps'.*number"),
        ({"attacks": ["pgdd"]}, "'attacks'.*unknown attack"),
        ({"attacks": ["pgd:speed=3"]}, "'attacks'.*pgd.max_iter"),
        ({"attacks": ["pgd:max_iter"]}, "'attacks'.*key=value"),
        ({"attacks": ["quick:max_iter=3"]}, "'attacks'.*suite"),
        ({"attacks": ["quick", "pgd"]}, "'attacks'.*different settings"),
        ({"tier": "hard"}, "'tier'.*smoke"),
        ({"trainings": ["magic"]}, "'trainings'.*natural"),
        ({"trainings": ["natural:speed=3"]}, "'trainings'.*epochs"),
        ({"trainings": ["pgd"]}, "'trainings'.*eps"),
        ({"trainings": ["given:model=mine:make"]}, "'trainings'.*weights=FILE"),
        ({"surrogates": ["cubic"]}, "'surrogates'.*identity"),
        ({"seeds": [-1]}, "'seeds'"),
        ({"seeds": [0.5]}, "'seeds'"),
        ({"n_ex": 0}, "'n_ex'"),
        ({"stratified": "yes"}, "'stratified'"),
        ({"norm": "l0"}, "'norm'"),
        ({"batch_size": 0}, "'batch_size'"),
        ({"threads": 0}, "'threads'"),
        ({"time_limit": "soon"}, "'time_limit'"),
        ({"device": "abacus"}, "'device'"),
        ({"name": "a/b"}, "'name'"),
        ({"name": ".."}, "'name'"),
        ({"sedes": [1]}, "did you mean 'seeds'"),
        ({"whatever": 1}, "known: name, datasets"),
    ],
)
def test_an_error_names_the_key(tiny, changes, told):
    with pytest.raises(InputError, match=told):
        tiny(**changes)


def test_weights_that_are_not_there_are_told_before_anything_is_trained(tiny, tmp_path):
    with pytest.raises(InputError, match=r"'trainings'.*no such weight file"):
        tiny(trainings=["natural", f"given:model=mine:make,weights={tmp_path / 'w.npz'}"])


def test_a_missing_key_and_a_bad_file_are_told(tmp_path):
    with pytest.raises(InputError, match="'eps' is missing"):
        SweepPlan.from_dict({"name": "a", "datasets": "digits", "defences": "none"})
    with pytest.raises(DataNotFoundError, match="no such plan"):
        SweepPlan.from_toml(tmp_path / "nowhere.toml")
    file = tmp_path / "plan.toml"
    file.write_text("name = [")
    with pytest.raises(FileFormatError, match="not TOML"):
        SweepPlan.from_toml(file)
    file.write_text(TOML.replace('"smoke"', '"hard"'))
    with pytest.raises(InputError, match=r"plan\.toml: plan key 'tier'"):
        SweepPlan.from_toml(file)


@pytest.mark.parametrize(
    ("defence", "asked", "kept"),
    [
        ("none", ["base", "own", "identity", "soft:3"], ["own"]),
        ("bitdepth:bits=2", ["base", "own", "identity", "soft"], ["base", "own", "soft"]),
        # the defence's own surrogate by another name
        ("density:n_codes=2", ["own", "soft", "soft:10", "soft:20"], ["own", "soft:20"]),
        ("density:n_codes=2,surrogate=identity", ["identity", "own", "base"], ["own", "base"]),
        ("density:n_codes=2", ["soft:20", "soft:20.0"], ["soft:20"]),
        # of a chain, the parts that a word changes
        ("bitdepth:bits=2 + density:n_codes=2", ["own", "soft", "identity"], CHANGED),
        (POOLED, ["own", "identity"], ["own"]),
    ],
)
def test_what_is_the_same_gradient_is_one_source(defence, asked, kept):
    assert list(gradient_sources(defence, asked)) == kept


@pytest.mark.parametrize(
    ("text", "seconds"), [("2h", 7200), ("90s", 90), ("1h30m", 5400), ("0.5m", 30), (12, 12)]
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "2d", "h", "-3", "nan", "inf", "0", "1h30"])
def test_no_durations(text):
    with pytest.raises(InputError, match="time limit"):
        parse_duration(text)


def test_trainings_are_read():
    read = parse_training("pgd:eps=8/255,steps=7,epochs=2,seed=3")
    assert read.adversary == Adversary(8 / 255, "pgd", steps=7)
    assert (read.epochs, read.seed, read.learning_rate) == (2, 3, 1e-3)
    assert read.name == "pgd:eps=8/255,steps=7,epochs=2,seed=3"
    assert parse_training("natural").adversary is None
