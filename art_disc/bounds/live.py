"""A network in training as a graph of its own numbers, so that bounds of it teach its weights."""

from dataclasses import replace
from operator import attrgetter

import torch
from torch import Tensor, nn

from art_disc.bounds.graph import Graph, Step, cast_step
from art_disc.bounds.layers import LAYERS, normalisation, refuse
from art_disc.bounds.trace import Followed, Layered, follow


def live(network: nn.Module, x: Tensor, followed: Followed | None = None) -> tuple[Graph, Tensor]:
    """Return a network as a graph that holds its weights, and its logits of images.

    Boxes and bounds of the graph can be differentiated with respect to the weights. Batch
    normalisation in train mode works with the statistics of these images, for them and for whatever
    the graph is used on, and updates its running ones by them (Shi et al. 2021).

    Args:
        network: Of layers that have bounds, as for `trace`, in either mode.
        x: Images (n, ...) as the network takes them, in the precision of its weights.
        followed: What `follow` read of the network, where that is known: numbers of its layers are
            taken anew, its forward is as it was then. Where tensors of its own have changed since,
            it is read again.

    Returns:
        The graph, in the precision of the images, and logits (n, classes).

    Raises:
        CertificateError: As for `trace`; dropout in train mode; or a parameter that no layer holds.
    """
    if followed is None or _changed(followed, nn.Sequential(network)):
        followed = follow(network, tuple(x.shape[1:]), training=True)
    if followed.learned:
        refuse(f"the parameter {followed.learned[0]} in training", "put it into a layer")
    root = nn.Sequential(network)
    steps, values = list(followed.graph.to(x.dtype).steps), [x]
    layers = {layer.first: layer for layer in followed.layers if layer.count}
    for layer in followed.layers:
        if not layer.count:
            # none of its own, but not in every mode
            _steps(root, layer, x)
    for made, _, taken in followed.graph:
        if made in layers:
            own = _steps(root, layers[made], values[taken[0]])
            if len(own) != layers[made].count:
                refuse("a layer that was exchanged after it was read", "make a new network of it")
            steps[made - 1 : made - 1 + len(own)] = [cast_step(step, x.dtype) for step in own]
        values.append(steps[made - 1](*[values[i] for i in taken]))
    return replace(followed.graph, steps=tuple(steps)), values[-1]


def _changed(followed: Followed, root: nn.Sequential) -> bool:
    """Whether tensors that forward itself takes from the network are others than they were."""
    return any(
        not torch.equal(attrgetter(name)(root).to(was), was) for name, was in followed.constants
    )


def _steps(root: nn.Module, layer: Layered, value: Tensor) -> list[Step]:
    """Return the steps of a layer as it is now, whose input for clean images is `value`."""
    module = root.get_submodule(layer.path)
    if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)) and module.training:
        if module.track_running_stats:
            with torch.no_grad():
                module(value)
        axes = [axis for axis in range(value.ndim) if axis != 1]
        variance, mean = torch.var_mean(value, dim=axes, correction=0)
        return [normalisation(module, mean, variance, layer.shape)]
    return LAYERS[type(module)](module, layer.shape)
