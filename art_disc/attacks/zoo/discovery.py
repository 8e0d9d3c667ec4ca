"""Finding ART's evasion attacks by program, and why some are not in the table."""

import importlib
import inspect
import pkgutil
from typing import Any

import art.attacks.evasion
from art.attacks.attack import EvasionAttack

_TENSORFLOW = "accepts the classifier, then imports TensorFlow"
_BASE = "a base class: run as "
_DETECTOR = "ART asks for an object detector"
_SPEECH = "ART asks for a speech recogniser"

# class of ART's -> why it is no attack on a torch classifier of images
LEFT_OUT: dict[str, str] = {
    "AdversarialPatchTensorFlowV2": _TENSORFLOW,
    "AdversarialTexturePyTorch": "ART asks for an object tracker",
    "CarliniWagnerASR": _SPEECH,
    "DPatch": _DETECTOR,
    "DecisionTreeAttack": "ART asks for a scikit-learn decision tree",
    "FeatureAdversariesTensorFlowV2": _TENSORFLOW,
    "HighConfidenceLowUncertainty": "ART asks for a Gaussian process classifier of GPy",
    "ImperceptibleASR": _SPEECH,
    "ImperceptibleASRPyTorch": _SPEECH,
    "LaserAttack": f"{_BASE}LaserBeamAttack",
    "MalwareGDTensorFlow": f"{_TENSORFLOW}; attacks byte embeddings of programs",
    "OverloadPyTorch": "asks for nothing, then calls the model of a YOLO detector",
    "PixelThreshold": f"{_BASE}PixelAttack and ThresholdAttack",
    "ProjectedGradientDescentCommon": f"{_BASE}ProjectedGradientDescent in three versions",
    "ProjectedGradientDescentTensorFlowV2": _TENSORFLOW,
    "RobustDPatch": _DETECTOR,
    "SNAL": "asks for nothing, then reads the boxes of an object detector",
}


def discover() -> dict[str, type[EvasionAttack]]:
    """Return every concrete class of attack under `art.attacks.evasion`, by name.

    A module that imports a package which is not installed is passed over: its attacks are in
    neither this list nor ART's own.
    """
    found: dict[str, type[EvasionAttack]] = {}
    home = art.attacks.evasion.__name__
    for module in pkgutil.walk_packages(art.attacks.evasion.__path__, f"{home}."):
        try:
            members = vars(importlib.import_module(module.name))
        except ImportError:
            continue
        found |= {name: member for name, member in members.items() if _is_attack(member, home)}
    return dict(sorted(found.items()))


def _is_attack(member: Any, home: str) -> bool:
    return (
        inspect.isclass(member)
        and issubclass(member, EvasionAttack)
        and not inspect.isabstract(member)
        and member.__module__.startswith(home)
    )
