"""What twenty draws under the gradient cost, and what they keep, against loops over draws.

MNIST, Madry's network with random weights (times do not depend on them), RandDisc as published, one
loss gradient of 32 images. In one process, alternating: 20 draws at once, at the default memory and
at that of one draw; 20 calls of one draw each, of our class and of ART's own around the same
module; 20 gradients of the bare network; ART's own expectation over transformation around the same
map. CPU seconds, medians of five. Then what autograd holds and what lives at the most, beside the
memory that is stated.

    python -m studies.eot_cost --data-dir DIR --threads 1
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from art.estimators.classification import PyTorchClassifier
from art.preprocessing.expectation_over_transformation.pytorch import EoTPyTorch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

import art_disc as ad
from art_disc.estimators.memory import measure_bytes
from art_disc.networks import MadryMnistNet
from studies import common

IMAGES, DRAWS, REPEATS = 32, 20, 5
SHAPE = {"input_shape": (1, 28, 28), "nb_classes": 10}


class ArtsLoop(EoTPyTorch):
    """ART's loop over images and draws, around one of our maps."""

    def __init__(self, step: Any) -> None:
        super().__init__(nb_samples=DRAWS, clip_values=(0.0, 1.0))
        self.step = step

    def _transform(self, x: Any, y: Any, **_: Any) -> tuple[Any, Any]:
        return self.step(x), y


def arts(model: Any, **options: Any) -> PyTorchClassifier:
    loss = torch.nn.CrossEntropyLoss()
    plain = {"clip_values": (0.0, 1.0), "preprocessing": None, "device_type": "cpu"}
    return PyTorchClassifier(model=model, loss=loss, **SHAPE, **plain, **options)


class Alive(TorchDispatchMode):
    """The bytes of the tensors that were made inside and live, at the most."""

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[int, tuple[StorageWeakRef, int]] = {}
        self.most = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = {t.untyped_storage().data_ptr() for t in _tensors(args)}
        made = func(*args, **(kwargs or {}))
        for tensor in _tensors(made):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in before:
                self.held[storage.data_ptr()] = (StorageWeakRef(storage), storage.nbytes())
                self.most += storage.nbytes()
        # what is gone is looked for only where there could be a new peak
        if self.most > self.peak:
            self.held = {key: kept for key, kept in self.held.items() if not kept[0].expired()}
            self.most = sum(size for _, size in self.held.values())
            self.peak = max(self.peak, self.most)
        return made


def _tensors(values: Any) -> list[torch.Tensor]:
    return [value for value in tree_flatten(values)[0] if isinstance(value, torch.Tensor)]


class Kept:
    """The bytes that autograd holds, at the most; tensors given beforehand are not counted."""

    def __init__(self, network: torch.nn.Module) -> None:
        self.own = {p.untyped_storage().data_ptr() for p in network.parameters()}
        self.now: dict[int, tuple[int, int]] = {}
        self.peak = 0

    def pack(self, tensor: torch.Tensor) -> "Holder":
        return Holder(self, tensor)

    def change(self, storage: Any, by: int) -> None:
        key = storage.data_ptr()
        if key in self.own:
            return
        number = self.now.pop(key, (0, 0))[0] + by
        if number:
            self.now[key] = (number, storage.nbytes())
        self.peak = max(self.peak, sum(size for _, size in self.now.values()))


class Holder:
    """One saved tensor, counted for as long as autograd holds it."""

    def __init__(self, kept: Kept, tensor: torch.Tensor) -> None:
        self.kept, self.tensor = kept, tensor
        kept.change(tensor.untyped_storage(), 1)

    def __del__(self) -> None:
        self.kept.change(self.tensor.untyped_storage(), -1)


def held(call: Callable[[], Any], network: torch.nn.Module) -> tuple[int, int]:
    """Return the most bytes that autograd held in the call, and that lived in it."""
    kept, alive = Kept(network), Alive()
    with torch.autograd.graph.saved_tensors_hooks(kept.pack, lambda holder: holder.tensor):
        call()
    with alive:
        call()
    return kept.peak, alive.peak


def times(tasks: dict[str, tuple[int, Callable[[], Any]]]) -> dict[str, list[float]]:
    """Return CPU seconds of each task, its call repeated as often as it says, alternating."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _, call in tasks.values():
        call()
    for _ in range(REPEATS):
        for name, (often, call) in tasks.items():
            start = time.process_time()
            for _ in range(often):
                call()
            seconds[name].append(round(time.process_time() - start, 4))
    return seconds


def main() -> None:
    options = common.parser(__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(options.threads)
    data = ad.load_dataset("mnist", data_dir=options.data_dir)
    x, y = data.x_test[:IMAGES], np.eye(10, dtype=np.float32)[data.y_test[:IMAGES]]
    torch.manual_seed(0)
    network = MadryMnistNet().eval()
    defence = ad.RandDisc.preset("mnist")
    row = measure_bytes(network, network, torch.zeros(1, 1, 28, 28))
    # what holds one draw of all images: activations, and six images for map, gradient and sum
    one = IMAGES * (row + 6 * 784 * 4)
    many = ad.build_classifier(network, **SHAPE, defences=[defence], eot_samples=DRAWS)
    equal = many.with_voting(memory_bytes=one)
    single = equal.with_samples(eot=1)
    looped = arts(network, preprocessing_defences=[ArtsLoop(defence.map)])
    around = arts(single.model)
    tasks = {
        "draws": (1, lambda: many.loss_gradient(x, y)),
        "draws_at_the_memory_of_one": (1, lambda: equal.loss_gradient(x, y)),
        "loop": (DRAWS, lambda: single.loss_gradient(x, y)),
        "loop_of_arts_class": (DRAWS, lambda: around.loss_gradient(x, y)),
        "bare": (DRAWS, lambda: many.base.loss_gradient(x, y)),
        "arts_eot": (1, lambda: looped.loss_gradient(x, y)),
    }
    seconds = times(tasks)
    print(seconds, flush=True)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    memory = []
    for stated in (one // 4, one // 2, one, 4 * one, 1 << 30):
        asked = many.with_voting(memory_bytes=stated)
        kept, alive = held(lambda c=asked: c.loss_gradient(x, y), network)
        memory.append({"stated": stated, "kept": kept, "alive": alive})
    for name in ("loop_of_arts_class", "arts_eot"):
        kept, alive = held(tasks[name][1], network)
        memory.append({"of": name, "kept": kept, "alive": alive})
    body = {
        "images": IMAGES,
        "draws": DRAWS,
        "weights": "random",
        "defence": defence.describe(),
        "bytes_of_a_row": row,
        "cpu_seconds": seconds,
        "medians": medians,
        "over_bare": {name: round(v / medians["bare"], 3) for name, v in medians.items()},
        "over_loop": {name: round(v / medians["loop"], 3) for name, v in medians.items()},
        "memory": memory,
    }
    print(body)
    common.write("eot_cost", body, options.threads)


if __name__ == "__main__":
    main()
