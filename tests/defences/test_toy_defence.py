"""A defence of a user's own: its class and one line in the table, and everything else knows it.

Nothing here but the class below and its line tells the package of it: not its surrogate, its words,
what it learns, which values are possible, or that its images are some.
"""

import copy
import pickle
from dataclasses import dataclass

import joblib
import numpy as np
import pytest
import torch

import art_disc as ad
from art_disc.certificates.divergence.finding import divergence_model
from art_disc.certificates.divergence.models import GaussianModel, PooledModel
from art_disc.core.errors import InputError
from art_disc.core.records import load_record
from art_disc.defences import DEFENCES, PixelNoise, SurrogatePreprocessor, parse_defence
from art_disc.defences.draws import RandomMap, RandomPreprocessor
from art_disc.defences.images import StepMap
from art_disc.defences.meaning import check_known
from art_disc.defences.table import DefenceRow
from art_disc.estimators import RandomizedClassifier
from art_disc.evaluation.checks import Checks
from art_disc.evaluation.sweep import Execution, SweepPlan, run_sweep
from art_disc.evaluation.sweep.words import gradient_sources as planned_sources
from art_disc.evaluation.zoo.matrix import zoo_matrix
from art_disc.report import write_report
from art_disc.surrogates import Identity, Vocabulary
from art_disc.training import trained
from art_disc.training.facts import training_facts
from art_disc.training.objectives import CrossEntropy
from art_disc.training.settings import recipe_of

SHORT = {"pgd.max_iter": 8, "pgd.num_random_init": 1}


@dataclass(frozen=True, slots=True)
class Sigmoids:
    """One logistic curve a border: a stand-in of a kind that the package does not have."""

    steepness: float = 20.0

    @property
    def name(self):
        return f"sigmoids(steepness={self.steepness:g})"

    def value(self, images, borders):
        rises = [torch.sigmoid(self.steepness * (images - border)) for border in borders]
        return torch.stack(rises).sum(0) / len(borders)


class QuantileMap(StepMap):
    def __init__(self, borders, surrogate, **options):
        super().__init__(8 * len(borders), **options)
        self.borders = borders
        self.surrogate = surrogate

    def exact(self, images):
        counts = torch.stack([images >= border for border in self.borders]).sum(0)
        return (counts / len(self.borders)).masked_fill(images.isnan(), torch.nan)

    def stand_in(self, images):
        if isinstance(self.surrogate, Identity):
            return images.clone()
        return self.surrogate.value(images, self.borders)


class Quantiles(SurrogatePreprocessor):
    """Replace each value by how many of the training values' quantiles are below it."""

    params = ("n_levels", *SurrogatePreprocessor.params)
    vocabulary = Vocabulary(
        "sigmoids[:STEEPNESS] or identity", {"sigmoids": Sigmoids, "identity": Identity}
    )

    def __init__(self, n_levels=3, surrogate="sigmoids", **options):
        self.n_levels = n_levels
        self.borders_ = None
        super().__init__(surrogate, **options)

    @property
    def is_fitted(self):
        return self.borders_ is not None

    def learn(self, x):
        shares = np.linspace(0, 1, self.n_levels + 1)[1:-1]
        self.borders_ = np.quantile(x[(x > 0) & (x < 1)], shares).tolist()
        self._check_params()

    def _make_map(self):
        if self.borders_ is None:
            return None
        options = {"channels_first": self.channels_first, "upper": self.clip_values[1]}
        return QuantileMap(self.borders_, self.surrogate, **options)

    def spread(self):
        return Sigmoids(), Sigmoids(5.0)

    def impossible(self, made):
        levels = np.linspace(0, self.clip_values[1], self.n_levels, dtype=np.float32)
        away = np.abs(made[..., None] - levels).min(axis=-1)
        return (away > 1e-6).reshape(len(made), -1).any(axis=1)

    def identity(self):
        return self.borders_

    def facts(self):
        return [*super().facts(), self.borders_]


@pytest.fixture
def _line(monkeypatch):
    monkeypatch.setitem(DEFENCES, "toy", DefenceRow(Quantiles, {"n_levels": int}))


pytestmark = pytest.mark.usefixtures("_line")


def around(net, data, text="toy:n_levels=3", **options):
    return ad.build_classifier(net, data=data, defences=[parse_defence(text)], **options)


@pytest.fixture
def classifier(digits, digits_net):
    return around(digits_net, digits)


def test_its_words_are_those_of_the_command_line_and_of_a_plan():
    assert parse_defence("toy:n_levels=5,surrogate=sigmoids:7").surrogate == Sigmoids(7.0)
    for line in ("toy:surrogate=soft", "toy:surrogate=sigmoids:x", "toy:levels=5"):
        with pytest.raises(InputError, match=r"sigmoids|toy takes n_levels, surrogate"):
            parse_defence(line)
    words = ["own", "base", "identity", "sigmoids:7", "sigmoids", "soft:5"]
    assert planned_sources("toy", words) == ("own", "base", "identity", "sigmoids:7")
    # to the others it says nothing
    assert planned_sources("bitdepth:bits=2", ["own", "sigmoids:7"]) == ("own",)
    with pytest.raises(InputError, match=r"known are .*sigmoids\[:STEEPNESS\] or identity \(Quant"):
        check_known("sigmoid")


def test_the_zoo_attacks_it(classifier, digits, digits_net, tmp_path):
    models = {"none": ad.build_classifier(digits_net, data=digits), "toy": classifier}
    record = zoo_matrix(models, digits, attacks=["fgsm", "pgd"], n_ex=8, verbose=False)
    assert record.flaws() == ()
    assert {cell.status for cell in record.cells if cell.defence == "toy"} == {"lowered"}
    record.save(tmp_path / "zoo.json")
    assert load_record(tmp_path / "zoo.json") == record


@pytest.mark.usefixtures("few_queries")
def test_an_evaluation_with_the_standard_checks_knows_its_surrogates(classifier, digits, tmp_path):
    result = ad.evaluate(
        classifier,
        digits,
        eps=[0.2],
        attacks=["pgd"],
        surrogates=["sigmoids:50", "identity"],
        n_ex=8,
        checks=Checks("standard", n_decision=1),
        settings=SHORT,
        out=tmp_path,
        verbose=False,
    )
    record = result.record
    through = {row.surrogate for row in record.select(scored_on="defended") if row.surrogate}
    steps = [20, 5, 50]
    assert through == {"identity", *(f"sigmoids(steepness={steep})" for steep in steps)}
    checks = {check.id: check for check in record.checks}
    assert {name: checks[name].status for name in ("C1", "C2", "C3", "C5")} == dict.fromkeys(
        ("C1", "C2", "C3", "C5"), "pass"
    )
    assert all(name in checks["C5"].numbers for name in through)
    assert record.defences == ("Quantiles(n_levels=3)",)
    # the attack works: it sees through the steps
    assert record.worst(0.2).value < record.clean().value
    assert load_record(tmp_path / "record.json") == record
    page = write_report(record, tmp_path / "page").read_text()
    assert "sigmoids(steepness=5)" in page
    assert "Quantiles(n_levels=3)" in page


def test_values_that_it_never_gives_are_found_out(digits, digits_net, classifier):
    class Between(Quantiles):
        def _make_map(self):
            made = super()._make_map()
            if made is not None:
                made.exact = made.stand_in
            return made

    planted = ad.build_classifier(digits_net, data=digits, defences=[Between()])
    options = {"eps": 0.2, "attacks": ["fgsm"], "n_ex": 8, "verbose": False}
    for model, status in ((classifier, "pass"), (planted, "fail")):
        checks = Checks("quick", only=("C2",))
        (found,) = (
            check
            for check in ad.evaluate(model, digits, checks=checks, **options).record.checks
            if check.id == "C2"
        )
        assert found.status == status


def test_a_sweep_runs_it(tmp_path, monkeypatch, digits):
    monkeypatch.setenv("ART_DISC_CACHE", str(tmp_path / "weights"))
    plan = {
        "name": "toy",
        "datasets": ["digits"],
        "n_ex": 6,
        "trainings": ["natural:epochs=2"],
        "defences": ["toy:n_levels=3"],
        "eps": [0.2],
        "attacks": ["fgsm"],
        "surrogates": ["own", "identity", "sigmoids:5"],
    }
    here = Execution(jobs=1)
    record = run_sweep(SweepPlan.from_dict(plan), tmp_path / "out", execution=here, verbose=False)
    assert {(cell.surrogate, cell.status) for cell in record.cells} == {
        ("own", "done"),
        ("identity", "done"),
        ("sigmoids:5", "done"),
    }


def test_a_network_is_trained_behind_it(digits, digits_net, classifier, tmp_path):
    (defence,) = classifier.defences
    options = {"epochs": 1, "cache": tmp_path, "verbose": False}
    net, result = trained(lambda: copy.deepcopy(digits_net), digits, defences=[defence], **options)
    assert result.accuracy > 0.8
    assert net is not digits_net
    facts = [
        training_facts(digits_net, digits, recipe_of(epochs=1), 0, CrossEntropy(), [one])
        for one in (defence, defence.with_surrogate("sigmoids:3"))
    ]
    assert facts[0]["defences"] == [
        ["Quantiles(n_levels=3)", "sigmoids(steepness=20)", defence.borders_]
    ]
    assert facts[0] != facts[1]


@pytest.mark.parametrize("how", ["deepcopy", "pickle", "joblib"])
def test_a_defended_classifier_is_saved_and_loaded(classifier, digits, tmp_path, how):
    if how == "joblib":
        joblib.dump(classifier, tmp_path / "classifier")
        twin = joblib.load(tmp_path / "classifier")
    elif how == "pickle":
        twin = pickle.loads(pickle.dumps(classifier))  # noqa: S301 - our own bytes
    else:
        twin = copy.deepcopy(classifier)
    x, y = digits.x_test[:10], np.eye(10, dtype=np.float32)[digits.y_test[:10]]
    assert np.array_equal(twin.predict(x), classifier.predict(x))
    assert np.array_equal(twin.loss_gradient(x, y), classifier.loss_gradient(x, y))
    other = twin.with_surrogate("sigmoids:5")
    assert np.array_equal(other.predict(x), classifier.predict(x))
    assert not np.allclose(other.loss_gradient(x, y), classifier.loss_gradient(x, y))


class Shaking(RandomMap):
    def transform(self, images, draws):
        return images + 0.1 * draws.normal(tuple(images.shape), images.device)


class Shaken(RandomPreprocessor):
    """Noise of a user's own, which says what it is."""

    def _random_map(self, **options):
        return Shaking(**options)

    def noise(self):
        return PixelNoise(0.1)


def test_one_that_draws_is_voted_on_and_certified_by_what_it_says(digits, digits_net):
    random = ad.build_classifier(digits_net, data=digits, defences=[Shaken(seed=3)])
    assert isinstance(random, RandomizedClassifier)
    assert random.seeds == (3,)
    x = digits.x_test[:5]
    assert np.array_equal(random.predict_draws(x, 2, seed=1), random.predict_draws(x, 2, seed=1))
    assert not np.array_equal(random.predict(x), random.predict(x))
    frozen = random.frozen(1)
    assert np.array_equal(frozen.predict(x), frozen.predict(x))
    assert divergence_model(random) == GaussianModel(0.1)
    pooled = [ad.MaxPoolDownsample(1, 1), Shaken()]
    chain = ad.build_classifier(digits_net, data=digits, defences=pooled)
    assert isinstance(divergence_model(chain), PooledModel)
