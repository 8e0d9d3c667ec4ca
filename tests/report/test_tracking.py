"""What trackers are told of a record: the numbers are the record's own."""

import dataclasses
import json
import sys
from types import SimpleNamespace

import pytest

from art_disc.core.errors import MissingExtraError
from art_disc.core.records import Share, load_record
from art_disc.report import MLflowCallback, Tracker, WandbCallback
from art_disc.report.tracking import metrics, parameters
from tests.core.record_examples import RECORDS


class Told(Tracker):
    """Keeps what it is told."""

    def __init__(self, **options):
        super().__init__(**options)
        self.calls = []

    def begin(self, told):
        self.calls.append(("begin", told))

    def measure(self, found, step):
        self.calls.append(("measure", step, found))

    def files(self, folder):
        names = sorted(path.name for path in folder.iterdir())
        self.calls.append(("files", names, load_record(folder / "record.json")))

    def end(self, verdict):
        self.calls.append(("end", verdict))


def test_the_metrics_of_an_evaluation_are_the_record_s_counts(make):
    certificate = make.certificate(eps=make.small)
    record = make.rich(certificates=(certificate,))
    found = metrics(record)
    worst = record.worst(make.large)
    low, high = worst.interval
    assert found["robust_acc/eps_0.3"] == worst.value
    assert (found["robust_acc_low/eps_0.3"], found["robust_acc_high/eps_0.3"]) == (low, high)
    assert found["robust_acc_base/eps_0.3"] == record.worst(make.large, model="base").value
    assert found["clean_acc"] == record.clean().value
    assert found["clean_acc_reference"] == record.clean("reference").value
    assert found["certified_acc/eps_0.0313725"] == Share(30, 40).value
    assert found["checks_failed"] == 1
    assert found["gradients"] == sum(row.gradients for row in record.outcomes)
    assert all(type(value) in (int, float) for value in found.values())
    # MLflow's file store makes folders of names
    assert not any(other.startswith(f"{name}/") for name in found for other in found)


def test_what_was_not_measured_is_no_metric(make, interrupted):
    assert "robust_acc/eps_0.3" not in metrics(interrupted), "not the clean accuracy"
    assert "robust_acc/eps_0.0313725" in metrics(interrupted)
    assert not any("base" in name for name in metrics(make.record(base_correct=())))


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.kind)
def test_records_of_every_kind_are_told(record):
    tracker = Told(page=False)
    tracker(record)
    names = [call[0] for call in tracker.calls]
    assert names[:2] == ["begin", "measure"]
    assert tracker.calls[0][1]["kind"] == record.kind
    if getattr(record, "complete", True):
        assert names[2:] == ["files", "end"]
        assert tracker.calls[2][2] == record


def test_a_run_is_begun_once_and_ended_when_it_is_complete(make, unpainted):
    tracker, record = Told(), make.rich()
    for n in (1, 4):
        tracker(
            dataclasses.replace(record, outcomes=record.outcomes[:n], complete=False, checks=())
        )
    tracker(record)
    assert [call[0] for call in tracker.calls] == [
        *("begin", "measure", "measure", "measure", "files", "end")
    ]
    assert [call[1] for call in tracker.calls[1:4]] == [1, 4, len(record.outcomes)]
    _, names, kept = tracker.calls[-2]
    assert names == ["examples.csv", "record.json", "report.html", "summary.json"]
    assert kept == record
    assert tracker.calls[-1] == ("end", "flawed")
    tracker(record)
    assert tracker.calls[6][0] == "begin", "the next evaluation is another run"


def test_parameters_say_what_was_run(make):
    told = parameters(make.record(settings={"batch_size": 128}))
    assert told["dataset"] == "mnist"
    assert told["eps"] == "0.0313725, 0.3"
    assert "n_codes=3" in told["defences"]
    assert told["settings.batch_size"] == 128


@pytest.fixture
def mlflow_runs(tmp_path, monkeypatch):
    """MLflow's file store in a folder of its own, and a client of it."""
    mlflow = pytest.importorskip(
        "mlflow", reason="mlflow is not installed: pip install 'art-disc[mlflow]'"
    )
    # in maintenance since MLflow 3, and still what a test needs: no server, no database
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    place = (tmp_path / "mlruns").as_uri()
    return SimpleNamespace(uri=place, client=mlflow.MlflowClient(tracking_uri=place))


def test_mlflow_has_metrics_parameters_and_files(mlflow_runs, make, unpainted):
    record, client = make.rich(), mlflow_runs.client
    tracker = MLflowCallback(experiment="discs", tracking_uri=mlflow_runs.uri)
    tracker(dataclasses.replace(record, outcomes=record.outcomes[:2], complete=False, checks=()))
    at = client.get_experiment_by_name("discs").experiment_id
    (run,) = client.search_runs([at])
    assert run.info.status == "RUNNING"
    tracker(record)
    (run,) = client.search_runs([at])
    assert run.info.status == "FINISHED"
    assert run.data.tags["verdict"] == "flawed"
    assert run.data.metrics == pytest.approx(metrics(record))
    assert run.data.params == {k: str(v) for k, v in parameters(record).items()}
    steps = client.get_metric_history(run.info.run_id, "robust_acc/eps_0.0313725")
    assert [one.step for one in steps] == [2, len(record.outcomes)]
    files = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert files == {"examples.csv", "record.json", "report.html", "summary.json"}


def test_mlflow_goes_on_with_a_run_and_leaves_it_open(mlflow_runs, make):
    client = mlflow_runs.client
    run_id = client.create_run("0").info.run_id
    MLflowCallback(run_id, tracking_uri=mlflow_runs.uri, page=False)(make.rich())
    (run,) = client.search_runs(["0"])
    assert (run.info.run_id, run.info.status) == (run_id, "RUNNING")
    assert run.data.tags["verdict"] == "flawed"


class FakeRun:
    """As a run of wandb, which needs a process of its own."""

    id = "abc"

    def __init__(self):
        self.config, self.summary, self.logged, self.files, self.done = Config(), {}, [], {}, False

    def log(self, found):
        self.logged.append(found)

    def log_artifact(self, artifact):
        self.files |= artifact.files

    def finish(self):
        self.done = True


class Config(dict):
    def update(self, told, *, allow_val_change):
        super().update(told)


class Artifact:
    def __init__(self, name, type):  # noqa: A002 - wandb's own word
        self.name, self.type, self.files = name, type, {}

    def add_dir(self, folder):
        from pathlib import Path

        self.files |= {path.name: path.read_text() for path in Path(folder).iterdir()}


@pytest.fixture
def wandb(monkeypatch):
    """A module in the place of wandb, with the names of it that we use."""
    made = []

    def init(**options):
        made.append((options, FakeRun()))
        return made[-1][1]

    module = SimpleNamespace(init=init, run=None, Artifact=Artifact, made=made)
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


def test_wandb_has_metrics_config_and_files(wandb, make, unpainted):
    record = make.rich()
    tracker = WandbCallback(project="discs", mode="offline")
    tracker(dataclasses.replace(record, outcomes=record.outcomes[:2], complete=False, checks=()))
    ((options, run),) = wandb.made
    assert options == {"project": "discs", "mode": "offline"}
    assert not run.done
    tracker(record)
    assert run.done
    assert run.logged[-1] == {**metrics(record), "attacks": len(record.outcomes)}
    assert [found["attacks"] for found in run.logged] == [2, len(record.outcomes)]
    assert run.config == parameters(record)
    assert run.summary == {"verdict": "flawed"}
    assert sorted(run.files) == ["examples.csv", "record.json", "report.html", "summary.json"]
    assert json.loads(run.files["record.json"])["kind"] == "evaluation"


def test_wandb_leaves_the_user_s_run_open(wandb, make):
    wandb.run = FakeRun()
    WandbCallback(page=False)(make.rich())
    assert wandb.made == []
    assert len(wandb.run.logged) == 1
    assert not wandb.run.done


@pytest.mark.parametrize(
    ("make_one", "extra"), [(MLflowCallback, "mlflow"), (WandbCallback, "wandb")]
)
def test_without_the_package_the_extra_is_named(make_one, extra, monkeypatch, record):
    monkeypatch.setitem(sys.modules, extra, None)
    with pytest.raises(MissingExtraError, match=rf"art-disc\[{extra}\]"):
        make_one()(record)
