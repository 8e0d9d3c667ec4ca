"""Network architectures and weight files that hold no pickle."""

from art_disc.networks.architectures import DigitsNet, MadryMnistNet, ResNet32, default_network
from art_disc.networks.binarised import (
    BINARIZATIONS,
    Binarization,
    BinarizedConv2d,
    BinarizedLinear,
    OutputScale,
)
from art_disc.networks.binarised_networks import (
    BinarizedNet,
    Convolution,
    alexnet,
    binarynet_cifar,
    fcn1,
    fcn2,
    resnet20,
)
from art_disc.networks.certified import (
    CertifiedNet,
    ParametrisedRamp,
    ibp_initialised_,
    set_leaks_,
)
from art_disc.networks.connections import Connections, LocalConnections, RandomConnections
from art_disc.networks.from_brevitas import from_brevitas
from art_disc.networks.int8 import Int8Linear, with_int8
from art_disc.networks.latent import clamp_after_steps, clamp_latent_
from art_disc.networks.lqvae import LQVAENet, hard_code, soft_code
from art_disc.networks.lqvae_layers import (
    LatentEncoder,
    Stack,
    default_stack,
    latent_decoder,
)
from art_disc.networks.named import named_network
from art_disc.networks.norms import norm_bound
from art_disc.networks.sign import SignActivation, sign
from art_disc.networks.sign_gradient import SignGradient
from art_disc.networks.substitutes import classifier_a, classifier_b, classifier_c
from art_disc.networks.verifiable import verifiable_bnn
from art_disc.networks.weights import load_weights, save_weights, weights_hash, weights_header

__all__ = [
    "BINARIZATIONS",
    "Binarization",
    "BinarizedConv2d",
    "BinarizedLinear",
    "BinarizedNet",
    "CertifiedNet",
    "Connections",
    "Convolution",
    "DigitsNet",
    "Int8Linear",
    "LQVAENet",
    "LatentEncoder",
    "LocalConnections",
    "MadryMnistNet",
    "OutputScale",
    "ParametrisedRamp",
    "RandomConnections",
    "ResNet32",
    "SignActivation",
    "SignGradient",
    "Stack",
    "alexnet",
    "binarynet_cifar",
    "clamp_after_steps",
    "clamp_latent_",
    "classifier_a",
    "classifier_b",
    "classifier_c",
    "default_network",
    "default_stack",
    "fcn1",
    "fcn2",
    "from_brevitas",
    "hard_code",
    "ibp_initialised_",
    "latent_decoder",
    "load_weights",
    "named_network",
    "norm_bound",
    "resnet20",
    "save_weights",
    "set_leaks_",
    "sign",
    "soft_code",
    "verifiable_bnn",
    "weights_hash",
    "weights_header",
    "with_int8",
]
