"""Reports, made from records alone: this room imports neither torch nor ART nor scikit-learn."""

from art_disc.report.comparison import Comparison, compare
from art_disc.report.comparison_page import write_comparison
from art_disc.report.document import Document, Paragraph, Section
from art_disc.report.drawing import check_extra
from art_disc.report.kinds.protocols import eps_figures
from art_disc.report.panels import ImagePanels
from art_disc.report.pictures import Pictures
from art_disc.report.run import read_evaluation, read_run, render_run, write_report
from art_disc.report.shortfalls import shortfalls
from art_disc.report.table import Table
from art_disc.report.tracking import MLflowCallback, Tracker, WandbCallback
from art_disc.report.views import View, as_markdown, as_text, register_view, summarise

__all__ = [
    "Comparison",
    "Document",
    "ImagePanels",
    "MLflowCallback",
    "Paragraph",
    "Pictures",
    "Section",
    "Table",
    "Tracker",
    "View",
    "WandbCallback",
    "as_markdown",
    "as_text",
    "check_extra",
    "compare",
    "eps_figures",
    "read_evaluation",
    "read_run",
    "register_view",
    "render_run",
    "shortfalls",
    "summarise",
    "write_comparison",
    "write_report",
]
