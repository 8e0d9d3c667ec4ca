"""Divergences of several orders and directions at once, within what may be spent on an image."""

from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from art_disc.certificates.divergence.colour_images import Asked
from art_disc.certificates.divergence.models import ColourCodesModel, DivergenceModel, PooledModel
from art_disc.certificates.spend import Spend, as_spend
from art_disc.core.checks import Float64Array
from art_disc.core.errors import InputError
from art_disc.core.records.fields import Setting

Own = type[PooledModel] | type[ColourCodesModel]


def _bounds_as(model: DivergenceModel, kind: Own) -> bool:
    """Whether a model bounds as this kind does, and not, in a subclass, in its own way."""
    return getattr(type(model), "divergence", None) is kind.divergence


def innermost(model: DivergenceModel) -> DivergenceModel:
    """Return the model behind all resizing."""
    while isinstance(model, PooledModel) and _bounds_as(model, PooledModel):
        model = model.inner
    return model


def check_model_spend(spend: Spend | None, model: DivergenceModel) -> None:
    """Refuse a spend that would bound nothing; None is no limit.

    Raises:
        InputError: It is no `Spend`, or the model's bounds take no time to speak of.
    """
    if spend is None:
        return
    as_spend(spend)
    inner = innermost(model)
    if not _bounds_as(inner, ColourCodesModel):
        msg = (
            "spend is what divergences of fixed colours that form no grid (ColourCodesModel) may "
            f"take, and {type(inner).__name__} searches nothing; leave it out"
        )
        raise InputError(msg)


def spend_settings(spend: Spend | None, stopped: int) -> dict[str, Setting]:
    """Return what may be spent, and how many bounds of images it stopped, for the record."""
    if spend is None:
        return {}
    return {"spend_nodes": spend.nodes, "spend_seconds": spend.seconds, "stopped": stopped}


def divergences(
    model: DivergenceModel,
    images: Float64Array,
    budget: float,
    asked: Sequence[Asked],
    *,
    spend: Spend | None = None,
    verbose: bool = False,
) -> tuple[Float64Array, Sequence[str]]:
    """Return bounds (asked, n) in nats, and for each image what was spent before its end.

    Arguments are those of `ColourImages.divergences`, and of `DivergenceModel`.

    Raises:
        CertificateError: The model refuses the images.
    """
    while isinstance(model, PooledModel) and _bounds_as(model, PooledModel):
        images, model = model.pool(images), model.inner
    if isinstance(model, ColourCodesModel) and _bounds_as(model, ColourCodesModel):
        return model.divergences(images, budget, asked, spend, verbose=verbose)
    found = []
    with tqdm(total=len(asked), desc="divergences", leave=False, disable=not verbose) as bar:
        for order, reverse in asked:
            found.append(model.divergence(images, budget, order, reverse=reverse))
            bar.update()
    return np.stack(found), [""] * len(images)
