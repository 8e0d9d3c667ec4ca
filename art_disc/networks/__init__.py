"""Network architectures and weight files that hold no pickle."""

from art_disc.networks.architectures import DigitsNet, MadryMnistNet, ResNet32, default_network
from art_disc.networks.weights import load_weights, save_weights, weights_hash

__all__ = [
    "DigitsNet",
    "MadryMnistNet",
    "ResNet32",
    "default_network",
    "load_weights",
    "save_weights",
    "weights_hash",
]
