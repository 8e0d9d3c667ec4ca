"""Many evaluations from one plan, on all cores or on a cluster, that can be stopped anywhere."""

from art_disc.core.errors import WorkerLostError
from art_disc.evaluation.sweep.cells import PlannedCell, plan_cells
from art_disc.evaluation.sweep.executors import Execution
from art_disc.evaluation.sweep.plan import SweepPlan
from art_disc.evaluation.sweep.run import SweepInterrupted, run_sweep

__all__ = [
    "Execution",
    "PlannedCell",
    "SweepInterrupted",
    "SweepPlan",
    "WorkerLostError",
    "plan_cells",
    "run_sweep",
]
