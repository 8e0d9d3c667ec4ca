"""Reports, made from records alone: this room imports neither torch nor ART nor scikit-learn."""

from art_disc.report.pictures import Pictures
from art_disc.report.run import read_run, render_run, write_report

__all__ = ["Pictures", "read_run", "render_run", "write_report"]
