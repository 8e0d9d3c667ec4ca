"""What experiment trackers are told of a record: MLflow, Weights & Biases.

A tracker is called with a record: by `evaluate(..., callback=tracker)` after every attack and once
at the end, or by hand with a record of any kind.
"""

import re
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from art_disc.core.extras import need
from art_disc.core.files import write_json
from art_disc.core.records import EvaluationRecord, Record, Share
from art_disc.core.showing import Shown
from art_disc.report.reading import (
    clean_share,
    dataset_name,
    ledger,
    models_there,
    network_name,
)
from art_disc.report.run import RECORD, SUMMARY, write_report
from art_disc.report.views import summarise, view_of


def parameters(record: Record) -> dict[str, Any]:
    """Return what a run was asked for, in single values."""
    told = {"kind": record.kind}
    if isinstance(record, EvaluationRecord):
        told |= {
            "dataset": dataset_name(record),
            "network": network_name(record),
            "weights": str(record.network.get("weights", "")),
            "defences": "; then ".join(record.defences) or "none",
            "norm": record.norm,
            "eps": ", ".join(f"{eps:.6g}" for eps in record.eps),
            "examples": str(len(record.labels)),
            "seed": str(record.seed),
        }
    settings = getattr(record, "settings", {})
    return told | {f"settings.{name}": value for name, value in settings.items()}


def metrics(record: Record) -> dict[str, float]:
    """Return the numbers of a record by name.

    Of an evaluation `clean_acc`, `robust_acc/eps_0.1` for each budget (the per-example worst so
    far) and `certified_acc/eps_0.1`, each also with `_low` and `_high`, its 95 % limits, and the
    first two also with `_base`, of the undefended network; what was not measured is not there. Of
    another record the numbers of its summary.
    """
    if isinstance(record, EvaluationRecord):
        return dict(_measured(record))
    told = summarise(record)
    return {
        name: float(value)
        for name, value in told.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _measured(record: EvaluationRecord) -> Iterator[tuple[str, float]]:
    for model in models_there(record):
        end = "" if model == "defended" else f"_{model}"
        yield from _share(f"clean_acc{end}", clean_share(record, model))
        for eps in record.eps:
            yield from _share(f"robust_acc{end}", record.worst(eps, model=model), eps)
    for certificate in record.certificates:
        proved = Share(certificate.count("certified"), len(certificate.verdicts))
        yield from _share("certified_acc", proved, certificate.eps)
    yield "checks_failed", sum(check.status == "fail" for check in record.checks)
    yield "attacks_failed", len(record.failed)
    yield from ((name, float(value)) for name, value in ledger(record.outcomes).items())


def _share(name: str, share: Share | None, eps: float | None = None) -> Iterator[tuple[str, float]]:
    # a name must not go on below another one: MLflow's file store makes folders of them
    at = "" if eps is None else f"/eps_{eps:.6g}"
    if share is not None and share.total:
        yield f"{name}{at}", share.value
        yield f"{name}_low{at}", share.interval[0]
        yield f"{name}_high{at}", share.interval[1]


class Tracker(Shown):
    """Tells a run of a tracker what a record holds; a class for another tracker has four methods.

    After an evaluation's every attack the metrics, with the number of finished attacks as step; at
    the end also the files of the report.

    Args:
        page: Write `report.html` too (extra `report`); the record and its summary are always there.
    """

    def __init__(self, *, page: bool = True) -> None:
        self.page = page
        self._begun = False

    def __call__(self, record: Record) -> None:
        """Tell what the record holds; what the tracker raises is not caught."""
        if not self._begun:
            self.begin(parameters(record))
            self._begun = True
        self.measure(metrics(record), len(getattr(record, "outcomes", ())))
        if getattr(record, "complete", True):
            with TemporaryDirectory() as folder:
                self._write(record, Path(folder))
                self.files(Path(folder))
            self.end(str(getattr(record, "verdict", "")))
            self._begun = False

    def _write(self, record: Record, folder: Path) -> None:
        if self.page and not view_of(record).no_page:
            write_report(record, folder)
        else:
            record.save(folder / RECORD)
            write_json(folder / SUMMARY, summarise(record))

    @abstractmethod
    def begin(self, told: dict[str, Any]) -> None:
        """Begin a run, or take the one that there is, and tell what it was asked for."""

    @abstractmethod
    def measure(self, found: dict[str, float], step: int) -> None:
        """Tell numbers at a step."""

    @abstractmethod
    def files(self, folder: Path) -> None:
        """Keep the files of a folder, which is gone afterwards."""

    @abstractmethod
    def end(self, verdict: str) -> None:
        """End the run if it was begun here; `verdict` is that of an evaluation's checks."""


class MLflowCallback(Tracker):
    """Tells MLflow (extra `mlflow`), the run that is active or a new one.

    A new run ends with the record. A run that was active stays so. An evaluation that was stopped
    leaves its run as it is: with `run_id=` the next one goes on with it.

    Args:
        run_id: Of the run to write to; None: the active one, else a new one.
        experiment: Name of the experiment of a new run; None: MLflow's own choice.
        tracking_uri: Where the runs are; None: MLflow's own choice.
        page: As for `Tracker`.
    """

    def __init__(
        self,
        run_id: str | None = None,
        *,
        experiment: str | None = None,
        tracking_uri: str | None = None,
        page: bool = True,
    ) -> None:
        super().__init__(page=page)
        self.run_id, self.experiment, self.tracking_uri = run_id, experiment, tracking_uri
        self._client: Any = None
        self._own = False

    def begin(self, told: dict[str, Any]) -> None:
        """Find or make the run."""
        mlflow = need("mlflow", "mlflow", "MLflowCallback")
        self._client = mlflow.MlflowClient(tracking_uri=self.tracking_uri)
        active = mlflow.active_run()
        if self.run_id is None and active is not None:
            self.run_id = active.info.run_id
        elif self.run_id is None:
            self.run_id = self._client.create_run(self._experiment()).info.run_id
            self._own = True
        for name, value in told.items():
            self._client.log_param(self.run_id, _key(name), value)

    def _experiment(self) -> str:
        if self.experiment is None:
            return "0"
        found = self._client.get_experiment_by_name(self.experiment)
        if found is not None:
            return str(found.experiment_id)
        return str(self._client.create_experiment(self.experiment))

    def measure(self, found: dict[str, float], step: int) -> None:
        """Log the metrics."""
        for name, value in found.items():
            self._client.log_metric(self.run_id, _key(name), value, step=step)

    def files(self, folder: Path) -> None:
        """Log the files as artifacts."""
        self._client.log_artifacts(self.run_id, str(folder))

    def end(self, verdict: str) -> None:
        """Tag the run with the verdict, and end it if it was begun here."""
        if verdict:
            self._client.set_tag(self.run_id, "verdict", verdict)
        if self._own:
            self._client.set_terminated(self.run_id)
            self.run_id, self._own = None, False


def _key(name: str) -> str:
    """Return a name of the letters that MLflow allows."""
    return re.sub(r"[^\w\-. /]", "_", name)


class WandbCallback(Tracker):
    """Tells Weights & Biases (extra `wandb`), the run that is given or active, or a new one.

    A new run ends with the record; one that was given or active stays open.

    Args:
        run: Of `wandb.init`; None: the active one, else a new one.
        page: As for `Tracker`.
        **options: Of `wandb.init`, for a new run: `project="..."`, `mode="offline"`, ...
    """

    def __init__(self, run: Any = None, *, page: bool = True, **options: Any) -> None:
        super().__init__(page=page)
        self.run, self.options = run, options
        self._own = False

    def begin(self, told: dict[str, Any]) -> None:
        """Find or make the run."""
        wandb = need("wandb", "wandb", "WandbCallback")
        if self.run is None:
            self._own = wandb.run is None
            self.run = wandb.init(**self.options) if self._own else wandb.run
        self.run.config.update(told, allow_val_change=True)

    def measure(self, found: dict[str, float], step: int) -> None:
        """Log the metrics beside their step: the run's own step goes on for what else it logs."""
        self.run.log({**found, "attacks": step})

    def files(self, folder: Path) -> None:
        """Log the files as an artifact."""
        wandb = need("wandb", "wandb", "WandbCallback")
        artifact = wandb.Artifact(f"art_disc-{self.run.id}", type="record")
        artifact.add_dir(str(folder))
        self.run.log_artifact(artifact)

    def end(self, verdict: str) -> None:
        """Add the verdict to the run's summary, and end it if it was begun here."""
        if verdict:
            self.run.summary["verdict"] = verdict
        if self._own:
            self.run.finish()
            self.run, self._own = None, False
