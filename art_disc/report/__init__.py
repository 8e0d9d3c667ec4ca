"""Reports, made from records alone: this room imports neither torch nor ART nor scikit-learn."""

from art_disc.report.comparison import Comparison, compare
from art_disc.report.comparison_page import write_comparison
from art_disc.report.pictures import Pictures
from art_disc.report.run import read_run, render_run, write_report
from art_disc.report.table_figure import eps_figures

__all__ = [
    "Comparison",
    "Pictures",
    "compare",
    "eps_figures",
    "read_run",
    "render_run",
    "write_comparison",
    "write_report",
]
