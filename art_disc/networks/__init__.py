"""Network architectures and weight files that hold no pickle."""

from art_disc.networks.architectures import DigitsNet, MadryMnistNet, default_network
from art_disc.networks.inception import InceptionV3
from art_disc.networks.residual import ResNet32
from art_disc.networks.weights import load_weights, save_weights, weights_hash
from art_disc.networks.wide import WideResNet

__all__ = [
    "DigitsNet",
    "InceptionV3",
    "MadryMnistNet",
    "ResNet32",
    "WideResNet",
    "default_network",
    "load_weights",
    "save_weights",
    "weights_hash",
]
