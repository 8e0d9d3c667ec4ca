"""An attack on what a discretised classifier sees: the codes that a budget lets an image have."""

from dataclasses import dataclass

import numpy as np
import torch
from art.estimators.classification import PyTorchClassifier
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from art_disc.attacks.base import OwnAttack, own_stream
from art_disc.attacks.code_search import CodeSearch
from art_disc.attacks.code_view import CodeView
from art_disc.codebox import CodeBox, Reach, Threat
from art_disc.core.checks import BoolArray, Float32Array, check_choice, check_count
from art_disc.core.errors import InputError

# of the scores: where the likeliest class leads by more, two ways of computing them must agree
_CERTAIN = 1e-2


@dataclass(eq=False, repr=False)
class CodeSpaceAttack(OwnAttack):
    """Search among the code images within a budget, and change the image to the one found.

    A classifier behind a codebook map sees nothing of an image but its codes, and those that an
    l_inf budget reaches are a product set: a few codewords a pixel (`art_disc.codebox`). The attack
    flips codes of free pixels where the gradient of the margin between classes, taken behind the
    map, so through no surrogate, promises most: half of them at once, then fewer, then single ones
    (with momentum). Then single flips, and good ones together, are tried by their scores. Images
    that stand are attacked again from code images drawn around the best one; every other of these
    raises one likely class. With `annealing` those that stand still are searched by random flips,
    which needs no gradient, so that of networks whose gradient misleads (of signs, say) it finds
    more. What comes back is the best code image found as an image: each pixel
    that has another code goes to the nearest value that has it, the others stay as they are.

    Args:
        estimator: A classifier whose first defence maps pixels to a codebook, such as
            `PixelDiscretization`, and in which nothing draws; of ART's list or in the module, or an
            ART `PyTorchClassifier` with such a preprocessor.
        eps: l_inf budget in the input range, kept up to one float32 rounding (2^-23 of the range).
        max_iter: Gradient steps from each start.
        num_random_init: Starts that are drawn, beside the clean image.
        neighbours: Single flips tried at once, those of the largest gradients; 0: none.
        annealing: Random flips of each of `num_random_init` chains (one, where it is 0); 0: none.
        domain: `real`; `8bit`: changed values are levels v / 255 of the input range.
        targeted: Move towards `y` instead of away from it.
        batch_size: Images whose codes are kept at once, and code images that the network sees.
        seed: Of the attack's own stream; None: from NumPy's global stream, as ART's attacks.
        verbose: Show a progress bar.

    Raises:
        InputError: A parameter does not fit; or the classifier has no codebook map first, draws, or
            scores images otherwise than their codes.
        CertificateError: `8bit`, and a pixel has no level within the budget.
    """

    eps: float = 0.3
    max_iter: int = 20
    num_random_init: int = 4
    neighbours: int = 32
    annealing: int = 0
    domain: str = "real"
    targeted: bool = False
    batch_size: int = 128
    seed: int | None = None
    verbose: bool = True

    _estimator_requirements = (BaseEstimator, LossGradientsMixin, PyTorchClassifier)

    def _check_params(self) -> None:
        super()._check_params()
        for name in ("num_random_init", "neighbours", "annealing"):
            check_count(getattr(self, name), name, least=0)
        check_choice(self.domain, "domain", ("real", "8bit"))
        CodeView.of(self.estimator, self.batch_size)

    def _run(self, x: Float32Array, labels: NDArray[np.int64], free: BoolArray) -> Float32Array:
        rng = own_stream(self.seed)
        view = CodeView.of(self.estimator, self.batch_size)
        batches = [slice(i, i + self.batch_size) for i in range(0, len(x), self.batch_size)]
        parts = [
            self._attack(view, x[part], labels[part], free[part], rng)
            for part in tqdm(batches, desc="CodeSpaceAttack", disable=not self.verbose)
        ]
        return np.concatenate(parts)

    def _attack(
        self,
        view: CodeView,
        x: Float32Array,
        labels: NDArray[np.int64],
        free: BoolArray,
        rng: np.random.Generator,
    ) -> Float32Array:
        units = view.units(x)
        threat = Threat(self.eps / view.upper, domain=self.domain)
        box, reach = _reached(view, units, view.units(free.astype(np.float32)) > 0, threat)
        codes = reach.codes_of(units.reshape(-1, units.shape[-1])).reshape(units.shape[:2])
        self._agree(x, view.scores(codes))
        search = CodeSearch(view, box, codes, labels, rng, targeted=self.targeted)
        for number in (0, self.num_random_init) if self.num_random_init else (0,):
            search.climb(self.max_iter, number)
            if self.neighbours:
                search.polish(self.neighbours)
        search.anneal(self.annealing, max(1, self.num_random_init))
        points, _ = reach.nearest(search.codes.reshape(-1))
        made = view.images(points.reshape(units.shape))
        self._agree(made, view.scores(search.codes))
        return made

    def _agree(self, x: Float32Array, scores: Tensor) -> None:
        """Refuse a classifier that gives images other classes than their code images."""
        likeliest = scores.topk(2, dim=1)
        lead = likeliest.values[:, 0] - likeliest.values[:, 1]
        certain = lead > _CERTAIN * scores.abs().amax(dim=1).clamp(min=1)
        predicted = torch.from_numpy(self.estimator.predict(x).argmax(axis=1))
        other = certain & (predicted != likeliest.indices[:, 0])
        if other.any():
            msg = (
                f"the classifier gives {int(other.sum())} images another class than their code "
                "images: it is random, or changes pixels before its codebook map; attack it with "
                "pgd or square"
            )
            raise InputError(msg)


def _reached(
    view: CodeView, units: Float32Array, free: BoolArray, threat: Threat
) -> tuple[CodeBox, Reach]:
    """Return the codes for which there are changed pixels, and how to find these."""
    unit = units if view.upper == 1 else units / np.float32(view.upper)
    box = CodeBox.within(unit, view.codebook, threat)
    flat = units.reshape(-1, units.shape[-1])
    codes = box.codes.reshape(len(flat), -1)
    where = free.reshape(flat.shape)
    reach = Reach.of(flat, codes, view.codebook, threat, upper=view.upper, free=where)
    mask = np.zeros((len(flat), view.codebook.n_codes_), dtype=bool)
    for place, listed in enumerate(box.listed.reshape(codes.shape).T):
        rows = np.flatnonzero(listed)
        rows = rows[reach.take(rows).ends(codes[rows, place])[1]]
        mask[rows, codes[rows, place]] = True
    shape = *units.shape[:2], view.codebook.n_codes_
    return CodeBox.of_mask(mask.reshape(shape), box.codewords), reach
