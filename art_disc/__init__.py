"""Discretisation defences for the Adversarial Robustness Toolbox.

The public names are loaded on first use, so that `art_disc.report` works without torch.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "load_dataset": "art_disc.data",
    "Dataset": "art_disc.data",
    "IdealizedImages": "art_disc.data",
    "Codebook": "art_disc.codebooks",
    "PixelCounts": "art_disc.codebooks",
    "DensityCodebook": "art_disc.codebooks",
    "KMedoidsCodebook": "art_disc.codebooks",
    "KMeansCodebook": "art_disc.codebooks",
    "MarginCodebook": "art_disc.codebooks",
    "UniformCodebook": "art_disc.codebooks",
    "BitDepthCodebook": "art_disc.codebooks",
    "SoftAssignment": "art_disc.surrogates",
    "Identity": "art_disc.surrogates",
    "PixelDiscretization": "art_disc.defences",
    "ColorDepthReduction": "art_disc.defences",
    "InputBitDepth": "art_disc.defences",
    "Thermometer": "art_disc.defences",
    "GaussianNoise": "art_disc.defences",
    "RandDisc": "art_disc.defences",
    "RandMix": "art_disc.defences",
    "MaxPoolDownsample": "art_disc.defences",
    "BilinearResize": "art_disc.defences",
    "JpegCompression": "art_disc.defences",
    "TotalVariation": "art_disc.defences",
    "ResizePad": "art_disc.defences",
    "LQVAEFilter": "art_disc.defences",
    "LQVAE": "art_disc.training",
    "build_classifier": "art_disc.estimators",
    "defend": "art_disc.estimators",
    "load_classifier": "art_disc.estimators",
    "DefendedClassifier": "art_disc.estimators",
    "RandomizedClassifier": "art_disc.estimators",
    "SignAdamBPDA": "art_disc.attacks",
    "CodeSpaceAttack": "art_disc.attacks",
    "LatentCodeAttack": "art_disc.attacks",
    "LogitSpacePGA": "art_disc.attacks",
    "evaluate": "art_disc.evaluation",
    "eot_convergence": "art_disc.evaluation",
    "persistent_curve": "art_disc.evaluation",
    "score_draws": "art_disc.evaluation",
    "score_images": "art_disc.evaluation",
    "transfer": "art_disc.evaluation",
    "transfer_sources": "art_disc.evaluation",
}
_MODULES = ("metrics", "networks", "training")

__all__ = [*_PUBLIC, *_MODULES, "__version__"]  # noqa: PLE0604 - all of them are strings

if TYPE_CHECKING:
    from art_disc import metrics as metrics
    from art_disc import networks as networks
    from art_disc import training as training
    from art_disc.attacks import CodeSpaceAttack as CodeSpaceAttack
    from art_disc.attacks import LatentCodeAttack as LatentCodeAttack
    from art_disc.attacks import LogitSpacePGA as LogitSpacePGA
    from art_disc.attacks import SignAdamBPDA as SignAdamBPDA
    from art_disc.codebooks import BitDepthCodebook as BitDepthCodebook
    from art_disc.codebooks import Codebook as Codebook
    from art_disc.codebooks import DensityCodebook as DensityCodebook
    from art_disc.codebooks import KMeansCodebook as KMeansCodebook
    from art_disc.codebooks import KMedoidsCodebook as KMedoidsCodebook
    from art_disc.codebooks import MarginCodebook as MarginCodebook
    from art_disc.codebooks import PixelCounts as PixelCounts
    from art_disc.codebooks import UniformCodebook as UniformCodebook
    from art_disc.data import Dataset as Dataset
    from art_disc.data import IdealizedImages as IdealizedImages
    from art_disc.data import load_dataset as load_dataset
    from art_disc.defences import BilinearResize as BilinearResize
    from art_disc.defences import ColorDepthReduction as ColorDepthReduction
    from art_disc.defences import GaussianNoise as GaussianNoise
    from art_disc.defences import InputBitDepth as InputBitDepth
    from art_disc.defences import JpegCompression as JpegCompression
    from art_disc.defences import LQVAEFilter as LQVAEFilter
    from art_disc.defences import MaxPoolDownsample as MaxPoolDownsample
    from art_disc.defences import PixelDiscretization as PixelDiscretization
    from art_disc.defences import RandDisc as RandDisc
    from art_disc.defences import RandMix as RandMix
    from art_disc.defences import ResizePad as ResizePad
    from art_disc.defences import Thermometer as Thermometer
    from art_disc.defences import TotalVariation as TotalVariation
    from art_disc.estimators import DefendedClassifier as DefendedClassifier
    from art_disc.estimators import RandomizedClassifier as RandomizedClassifier
    from art_disc.estimators import build_classifier as build_classifier
    from art_disc.estimators import defend as defend
    from art_disc.estimators import load_classifier as load_classifier
    from art_disc.evaluation import eot_convergence as eot_convergence
    from art_disc.evaluation import evaluate as evaluate
    from art_disc.evaluation import persistent_curve as persistent_curve
    from art_disc.evaluation import score_draws as score_draws
    from art_disc.evaluation import score_images as score_images
    from art_disc.evaluation import transfer as transfer
    from art_disc.evaluation import transfer_sources as transfer_sources
    from art_disc.surrogates import Identity as Identity
    from art_disc.surrogates import SoftAssignment as SoftAssignment
    from art_disc.training import LQVAE as LQVAE


@contextmanager
def _not_collecting() -> Iterator[None]:
    """Put off garbage collection: what modules make lasts, and a look at all of torch is long."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _loaded(name: str) -> Any:
    if name in sys.modules:
        return import_module(name)
    with _not_collecting():
        return import_module(name)


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(_loaded(_PUBLIC[name]), name)
    if name in _MODULES:
        return _loaded(f"art_disc.{name}")
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted(__all__)
