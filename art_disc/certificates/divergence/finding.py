"""Which model of divergence a classifier's defences have."""

from collections.abc import Callable
from typing import Any

import numpy as np

from art_disc.certificates.divergence.models import (
    AdaptiveModel,
    ColourCodesModel,
    DivergenceModel,
    FixedCodesModel,
    GaussianModel,
    PooledModel,
    axis_levels,
)
from art_disc.certificates.known import check_known
from art_disc.certificates.target import applied_defences
from art_disc.core.checks import Float64Array
from art_disc.core.errors import CertificateError
from art_disc.defences import MapPreprocessor, traits


def divergence_model(classifier: Any) -> DivergenceModel:
    """Return the model of a classifier's random defence.

    Args:
        classifier: From `build_classifier`, its first defence `GaussianNoise`, `RandDisc` or
            `RandMix`; `MaxPoolDownsample` and `BilinearResize` may come before it, and anything
            after.

    Raises:
        CertificateError: Something unknown (see `check_known`), nothing draws, something else comes
            before it, it is frozen or without noise, or nothing is proven for its cells (more than
            three channels).
    """
    check_known(classifier)
    resizing = []
    for step in applied_defences(classifier):
        if traits(step).pools:
            resizing.append(_pool_of(step))
            continue
        found = _model_of(step)
        for pool in reversed(resizing):
            found = PooledModel(pool, found)
        return found
    raise CertificateError(_needs(f"{type(classifier).__name__} in which nothing draws"))


def _needs(found: str) -> str:
    return (
        "a certificate by divergence needs GaussianNoise, RandDisc or RandMix as the first defence "
        f"(max-pooling may come before it), got {found}; build the classifier with "
        "build_classifier(model, defences=[...]), or give model= with a bound of your own"
    )


def _pool_of(defence: MapPreprocessor) -> Callable[[Float64Array], Float64Array]:
    import torch

    step = defence.with_layout(channels_first=True, clip_values=(0.0, 1.0)).map

    def pool(x: Float64Array) -> Float64Array:
        with torch.no_grad():
            return np.asarray(step(torch.as_tensor(x)).numpy(), dtype=np.float64)

    return pool


def _model_of(defence: Any) -> DivergenceModel:
    """Return the model of a defence that draws."""
    known = traits(defence)
    noise = known.noise()
    if noise is None:
        raise CertificateError(_needs(f"{type(defence).__name__} first"))
    if not known.is_random:
        msg = (
            f"{type(defence).__name__} is frozen: it draws the same numbers in each call, so "
            "nothing is random; certify the classifier that it was frozen from"
        )
        raise CertificateError(msg)
    if noise.sigma == 0 or (noise.n_samples and noise.tau == 0):
        msg = f"{known.describe()} adds no noise to some pixels, so no divergence is finite"
        raise CertificateError(msg)
    if noise.n_samples:
        return AdaptiveModel(noise.n_samples, noise.tau, noise.sigma)
    if noise.codewords is None:
        return GaussianModel(noise.sigma)
    levels = axis_levels(noise.codewords)
    if levels is None:
        codes = tuple(map(tuple, noise.codewords.astype(np.float64).tolist()))
        return ColourCodesModel(codes, noise.sigma)
    return FixedCodesModel(levels, noise.sigma)
