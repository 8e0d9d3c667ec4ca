"""Whole classifiers to a folder, and made again of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from art_disc.core.checks import Float32Array
from art_disc.core.errors import FileFormatError, InputError
from art_disc.core.files import read_npz, write_npz
from art_disc.core.plain import from_plain, to_plain
from art_disc.defences.draws import own_generators
from art_disc.defences.preprocessor import is_ours
from art_disc.defences.stored import defence_of, defence_words
from art_disc.estimators.mean_loss import own_loss
from art_disc.estimators.saved import Folder, SavedClassifier, SavedNetwork
from art_disc.estimators.voting import Voting
from art_disc.networks import SignGradient, load_weights, save_weights
from art_disc.networks.again import hooked_layers, network_of, plain_arguments

# images and draws by which a loaded classifier is held against the saved one
_IMAGES, _DRAWS = 8, 2
# of the largest score: more than rounding on another processor, less than another network
_TOLERANCE = 0.01
# the class of a classifier, and that of its module
Kinds = tuple[Callable[..., Any], Callable[..., Any]]


def save_classifier(classifier: Any, folder: str | Path) -> Path:
    """Write a classifier; see `DefendedClassifier.save`."""
    _check_whole(classifier)
    target = Folder(folder)
    try:
        saved = _written(classifier, target)
        # what cannot be made again, a hook for example, shows here and not when it is loaded
        network = classifier.base_network
        arguments = saved.network.arguments
        if arguments is not None:
            made = network_of(saved.network.name, arguments)
            network = weighted(made, saved, target.path).to(classifier.device)
        kinds = type(classifier), type(classifier.model)
        twin = restored(saved, target.path, network, kinds)
        why = "something that no file holds has a hand in it"
        check_scores(twin, saved, target.path, why, exactly=classifier.device.type == "cpu")
        target.finish(saved)
    except BaseException:
        target.give_up()
        raise
    return target.path


def weighted(network: nn.Module, saved: SavedClassifier, folder: Path) -> nn.Module:
    """Return a network with the weights of a folder, frozen where they were, in eval mode.

    Raises:
        InputError: They are of another network.
    """
    load_weights(network, folder / saved.network.weights)
    for name, one in network.named_parameters():
        one.requires_grad_(name not in saved.network.frozen)
    return network.eval()


def restored(
    saved: SavedClassifier, folder: Path, network: nn.Module, kinds: Kinds, loss: Any = None
) -> Any:
    """Return the classifier of a folder around a network that has its weights already.

    Its streams go on where those of the saved one were.

    Raises:
        FileFormatError: A file holds something else.
    """
    inside, listed = ([defence_of(w, folder) for w in ws] for ws in (saved.inside, saved.listed))
    try:
        module = _module(saved, network, inside, kinds[1])
        _set_streams(module, folder / saved.state)
        return _classifier(saved, module, listed, kinds[0], loss)
    except (AttributeError, TypeError, ValueError) as error:
        if isinstance(error, FileFormatError):
            raise
        msg = f"{folder} holds a classifier whose parts do not fit each other: {error}"
        raise FileFormatError(msg) from error


def _module(
    saved: SavedClassifier, network: nn.Module, inside: list[Any], kind: Callable[..., Any]
) -> Any:
    voting = from_plain(saved.voting, (Voting,))
    return kind(
        network,
        inside,
        standardisation=from_plain(saved.standardisation),
        channels_first=saved.channels_first,
        upper=saved.clip_values[1],
        through=from_plain(saved.sign_gradient, (SignGradient,)),
        **({} if voting is None else {"voting": voting}),
    )


def _classifier(
    saved: SavedClassifier, module: Any, listed: list[Any], kind: Callable[..., Any], loss: Any
) -> Any:
    device = next((t.device for t in (*module.base.parameters(), *module.base.buffers())), None)
    cuda = device is not None and device.type == "cuda"
    # ART takes torch's current device, whatever the network is on
    with torch.cuda.device(device) if cuda else nullcontext():
        return kind(
            model=module,
            loss=nn.CrossEntropyLoss() if loss is None else loss,
            input_shape=saved.input_shape,
            nb_classes=saved.nb_classes,
            channels_first=saved.channels_first,
            clip_values=saved.clip_values,
            preprocessing_defences=listed or None,
            preprocessing=None,
            device_type="gpu" if cuda else "cpu",
        )


def check_scores(
    classifier: Any, saved: SavedClassifier, folder: Path, why: str, *, exactly: bool = False
) -> None:
    """Refuse a classifier that says something else of fixed images than the saved one did.

    Rounding differs from processor to processor, and may move a few images to other codes: unless
    `exactly`, it is another classifier if the scores of more than half of the rows are far from
    what they were.

    Raises:
        InputError: It does; the message ends with `why`.
        FileFormatError: The scores of the saved one are not there.
    """
    kept, found = read_npz(folder / saved.state, ("scores",)).get("scores"), _scores(classifier)
    if kept is None or kept.ndim != 2 or kept.dtype.kind != "f":
        msg = f"{folder / saved.state} holds no scores; save anew"
        raise FileFormatError(msg)
    if exactly:
        near = np.array_equal(found, kept, equal_nan=True)
    else:
        near = found.shape == kept.shape and _are_near(found, kept)
    if not near:
        msg = f"what is loaded from {folder} predicts otherwise than what was saved: {why}"
        raise InputError(msg)


def _are_near(found: Float32Array, kept: Float32Array) -> bool:
    """Whether at least half of the rows agree, each class at its own scale or the usual one."""
    # a class that is ruled out, at -1e9 say, must not set the scale of the others
    scales = np.abs(np.where(np.isfinite(kept), kept, 0)).max(axis=0)
    room = _TOLERANCE * np.maximum(scales, np.median(scales))
    alike = np.isclose(found, kept, rtol=0, atol=room, equal_nan=True)
    return bool(alike.all(axis=1).mean() >= 0.5)


def _check_hooks(classifier: Any, *, but: nn.Module | None) -> None:
    """Refuse hooks, but for those in a network that its user makes again.

    Raises:
        InputError: The message names the layer.
    """
    theirs = set() if but is None else set(but.modules())
    odd = [one for one in hooked_layers(classifier.model) if one not in theirs]
    if odd:
        msg = (
            f"{type(odd[0]).__name__} has a hook, or a forward that its class has not, which no "
            "file holds; remove it, and set it again after loading"
        )
        raise InputError(msg)


def _check_whole(classifier: Any) -> None:
    """Refuse what a folder cannot hold, but for defences.

    Raises:
        InputError: The message names it, and says what to do.
    """
    for part in (classifier, classifier.model):
        if not type(part).__module__.startswith("art_disc."):
            msg = (
                f"{type(part).__name__} is a class of your own, which no file can make again; save "
                "build_classifier(network, defences=[...]) of its network"
            )
            raise InputError(msg)
    steps = classifier.postprocessing_defences or []
    foreign = [one for one in classifier.preprocessing_operations if not is_ours(one)]
    if steps or foreign:
        names = ", ".join(type(one).__name__ for one in (*foreign, *steps))
        msg = (
            f"{names} is not of art_disc, so no file of it can be written; save a classifier "
            "without it, and after loading give it to loaded.set_params(preprocessing_defences="
            "[...]), or postprocessing_defences"
        )
        raise InputError(msg)


def _written(classifier: Any, target: Folder) -> SavedClassifier:
    module, network = classifier.model, classifier.base_network
    arguments = plain_arguments(network)
    _check_hooks(classifier, but=network if arguments is None else None)
    name = class_name(network) if arguments is None else type(network).__name__
    loss, standardisation = own_loss(classifier._loss), module.standardisation
    listed = classifier.preprocessing_defences or []
    generators = own_generators(module)
    state = {"scores": _scores(classifier)}
    if generators:
        state["streams"] = np.stack([one.get_state().numpy() for one in generators])
    return SavedClassifier(
        input_shape=tuple(int(side) for side in classifier.input_shape),  # type: ignore[arg-type]
        nb_classes=int(classifier.nb_classes),
        channels_first=bool(module.channels_first),
        clip_values=(0.0, float(module.upper)),
        standardisation=to_plain(standardisation),
        network=SavedNetwork(
            name,
            arguments,
            target.keep("network", partial(save_weights, network)),
            tuple(key for key, one in network.named_parameters() if not one.requires_grad),
        ),
        sign_gradient=to_plain(module.through, (SignGradient,)),
        voting=to_plain(getattr(module, "voting", None), (Voting,)),
        loss=loss_word(loss),
        listed=tuple(defence_words(one, target.keep) for one in listed),
        inside=tuple(defence_words(one, target.keep) for one in module.preprocessors),
        state=target.keep("state", partial(write_npz, arrays=state)),
        files=target.files,
    )


def class_name(part: Any) -> str:
    """Return the class of an object with its module."""
    return f"{type(part).__module__}.{type(part).__qualname__}"


def loss_word(loss: Any) -> str | None:
    """Return the class of a loss; None of the cross-entropy that is taken where none is given."""
    usual = nn.CrossEntropyLoss()
    names = ("ignore_index", "reduction", "label_smoothing")
    same = type(loss) is nn.CrossEntropyLoss and loss.weight is None
    same = same and all(getattr(loss, name) == getattr(usual, name) for name in names)
    return None if same else class_name(loss)


def _scores(classifier: Any) -> Float32Array:
    """Return what a classifier says of fixed images, (rows, classes); no stream is moved."""
    size = _IMAGES * int(np.prod(classifier.input_shape))
    # the same levels on every machine and with every version of NumPy
    levels = np.arange(size, dtype=np.uint64) * np.uint64(2654435761) % np.uint64(2**32)
    images = (levels >> np.uint64(24)).astype(np.uint8).reshape(_IMAGES, *classifier.input_shape)
    training = [one for one in classifier.model.modules() if one.training]
    classifier.model.eval()
    try:
        with _fixed_streams(classifier.device):
            if hasattr(classifier, "predict_draws"):
                draws = classifier.predict_draws(images, _DRAWS, seed=0)
                return np.asarray(draws.reshape(-1, draws.shape[-1]))
            return np.asarray(classifier.predict(images))
    finally:
        for one in training:
            one.training = True


@contextmanager
def _fixed_streams(device: torch.device) -> Iterator[None]:
    """Let what torch draws be the same each time, and global streams as they were."""
    on_cuda = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if on_cuda else []):
        torch.default_generator.manual_seed(0)
        with torch.cuda.device(device) if on_cuda else nullcontext():
            if on_cuda:
                torch.cuda.manual_seed(0)
            yield


def _set_streams(module: nn.Module, file: Path) -> None:
    """Set the streams of a module's defences to where they were when it was saved."""
    generators = own_generators(module)
    states = read_npz(file, ("streams",)).get("streams", ())
    if len(states) != len(generators):
        msg = f"{file} holds {len(states)} streams, expected {len(generators)}; save anew"
        raise FileFormatError(msg)
    for generator, state in zip(generators, states, strict=True):
        generator.set_state(torch.from_numpy(state))
