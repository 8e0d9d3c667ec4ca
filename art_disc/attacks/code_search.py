"""The search of `CodeSpaceAttack`: flips of codes, along gradients and by trying."""

import numpy as np
import torch
from torch import Tensor

from art_disc.attacks.code_view import CodeView
from art_disc.codebox import CodeBox
from art_disc.core.checks import BoolArray, Float32Array, Float64Array, IntArray

# of the sum of earlier gradients, at every step
_DECAY = 0.75
# of the largest score, at least 1: so clear a success stays one in a batch of another size
_CLEAR = 1e-5
# of flips that are tried
MOST_ROUNDS = 10
# of a chain's temperature, from its first flip to its last
_COOLED = 0.02


def clear_lead(scores: Tensor, labels: Tensor, *, targeted: bool) -> Float64Array:
    """By how much the best wrong class leads over the label, or a target over the rest, (n,).

    Relative to the largest score, at least 1, less what rounding may turn: > 0 is a success.
    """
    own = torch.nn.functional.one_hot(labels, scores.shape[1]).bool()
    ahead = scores.masked_fill(own, -torch.inf).amax(dim=1) - scores[own]
    lead = (-ahead if targeted else ahead) / scores.abs().amax(dim=1).clamp(min=1)
    return lead.double().numpy() - _CLEAR


def _typical(change: Float64Array) -> float:
    """Return the mean size of the changes that are some; 0 where none is."""
    sizes = np.abs(change[change != 0])
    return float(sizes.mean()) if len(sizes) else 0.0


class CodeSearch:
    """The best code image found so far for each of n images.

    Attributes:
        codes: Of the best code image, shape (n, units).
        leads: Its `clear_lead`, shape (n,).

    Args:
        view: What scores code images.
        box: The codes in reach, a row an image.
        codes: Those of the clean images.
        labels: True classes, or targets, shape (n,).
        rng: For starts.
        targeted: Whether they are targets.
        goes_on: Whether images that are broken are searched for a larger lead.
    """

    def __init__(  # noqa: PLR0913 - what is searched, where, and how
        self,
        view: CodeView,
        box: CodeBox,
        codes: IntArray,
        labels: IntArray,
        rng: np.random.Generator,
        *,
        targeted: bool,
        goes_on: bool = False,
    ) -> None:
        self.view, self.rng, self.targeted, self.goes_on = view, rng, targeted, goes_on
        self.codes, self.labels = codes.copy(), torch.from_numpy(labels)
        scores = view.scores(codes)
        self.leads = clear_lead(scores, self.labels, targeted=targeted)
        # other classes, those that are likeliest for the clean image first
        rivals = scores.clone()
        rivals[torch.arange(len(labels)), self.labels] = -torch.inf
        self._rivals = rivals.argsort(dim=1, descending=True)[:, :-1].numpy()
        # free units of each image first; behind them others, without a choice
        self.free = box.free.sum(axis=1)
        order = np.argsort(~box.free, axis=1, kind="stable")
        self._units = order[:, : max(1, int(self.free.max(initial=1)))]
        self._choices = np.take_along_axis(box.codes, self._units[..., None], axis=1)
        self._listed = np.take_along_axis(box.listed, self._units[..., None], axis=1)
        self._counts = np.take_along_axis(box.counts, self._units, axis=1)

    @property
    def open(self) -> BoolArray:
        """Images that are to be searched: not broken, as a rule, and with a choice; shape (n,)."""
        return np.asarray(((self.leads <= 0) | self.goes_on) & (self.free > 0))

    def climb(self, max_iter: int, starts: int = 0) -> None:
        """Flip codes along gradients: many at once at first, in the end a single one.

        From the best code images so far, or, of each open image, from some that are drawn around
        it: with 0, the best wrong class is raised, with more by turns that and a likely one.
        """
        of = np.repeat(np.flatnonzero(self.open), max(1, starts))
        codes, goals = self.codes[of], np.full(len(of), -1)
        if starts:
            number = np.arange(len(of)) % starts
            rank = np.minimum(number // 2, self._rivals.shape[1] - 1)
            goals = np.where(number % 2 & (not self.targeted), self._rivals[of, rank], -1)
            codes = self._drawn(of)
        memory = np.zeros((*codes.shape, self.view.codebook.n_channels_), dtype=np.float32)
        for step in range(max_iter):
            if not len(of):
                return
            scores, slopes = self._slopes(of, codes, goals)
            self._note(of, codes, scores)
            size = np.abs(slopes).mean(axis=(1, 2), keepdims=True)
            memory = _DECAY * memory + slopes / np.maximum(size, np.finfo(np.float32).tiny)
            count = np.rint(self.free[of] / 2 * (2 / self.free[of]) ** (step / max_iter))
            codes = self._flipped(of, codes, memory, np.maximum(count, 1))
            going = self.open[of]
            of, codes, goals, memory = of[going], codes[going], goals[going], memory[going]
        if len(of):
            self._note(of, codes, self.view.scores(codes))

    def polish(self, neighbours: int) -> None:
        """Try single flips of the best code images, and good ones together, while that helps."""
        going = self.open
        for _ in range(MOST_ROUNDS):
            of = np.flatnonzero(going)
            if not len(of):
                return
            before = self.leads[of]
            self._round(of, neighbours)
            going[of] = self.open[of] & (self.leads[of] > before)

    def anneal(self, flips: int, chains: int) -> None:
        """Try flips of open images one by one, drawn at random, through no gradient.

        Each of some chains begins at the best code images; flips that help are made, and others the
        less likely the more they harm and the later they come: the temperature falls by the same
        factor each time, from what a first flip changes (Kirkpatrick et al. 1983).
        """
        of = np.repeat(np.flatnonzero(self.open), chains)
        codes, leads, heat = self.codes[of], self.leads[of], 0.0
        for step in range(flips):
            if not len(of):
                return
            tried = self._one_flipped(of, codes)
            found = self._note(of, tried, self.view.scores(tried))
            change = found - leads
            heat = heat or _typical(change)
            cold = max(heat, np.finfo(np.float64).tiny) * _COOLED ** (step / flips)
            kept = self.rng.random(len(of)) < np.exp(np.minimum(change, 0) / cold)
            codes[kept], leads[kept] = tried[kept], found[kept]
            going = self.open[of]
            of, codes, leads = of[going], codes[going], leads[going]

    def _one_flipped(self, of: IntArray, codes: IntArray) -> IntArray:
        """Return the codes with another one of a free unit that is drawn."""
        rows, draw = np.arange(len(of)), self.rng.random((2, len(of)))
        place = (draw[0] * self.free[of]).astype(np.int64)
        unit, choices = self._units[of, place], self._choices[of, place]
        count = self._counts[of, place]
        here = (choices == codes[rows, unit, None]).argmax(axis=1)
        ahead = 1 + (draw[1] * (count - 1)).astype(np.int64)
        made = codes.copy()
        made[rows, unit] = choices[rows, (here + ahead) % count]
        return made

    def _round(self, of: IntArray, neighbours: int) -> None:
        """Try for some images the flips that their gradients rank highest."""
        codes, before = self.codes[of], self.leads[of]
        _, slopes = self._slopes(of, codes, np.full(len(of), -1))
        gains = self._gains(of, codes, slopes).reshape(len(of), -1)
        ranked = np.argsort(-gains, axis=1, kind="stable")[:, :neighbours]
        real = np.isfinite(np.take_along_axis(gains, ranked, axis=1))
        place, choice = np.divmod(ranked, self._choices.shape[2])
        rows = of[:, None]
        unit, code = self._units[rows, place], self._choices[rows, place, choice]
        code = np.where(real, code, np.take_along_axis(codes, unit, axis=1))
        tried = np.repeat(codes[:, None], ranked.shape[1], axis=1)
        np.put_along_axis(tried, unit[..., None], code[..., None], axis=2)
        leads = self._tried(of, tried)
        # those that help, the best last, so that of two of a unit it is the one that counts
        helps = leads > before[:, None]
        for size in 2 ** np.arange(1, int(np.log2(max(2, helps.sum(axis=1).max()))) + 1):
            best = np.argsort(-leads, axis=1, kind="stable")[:, :size][:, ::-1]
            joined = codes.copy()
            for column in best.T:
                at = np.arange(len(of)), column
                kept = np.flatnonzero(helps[at])
                joined[kept, unit[at][kept]] = code[at][kept]
            self._tried(of, joined[:, None])

    def _tried(self, of: IntArray, codes: IntArray) -> Float64Array:
        """Score code images (r, m, units) of images (r,), note the best; their leads, (r, m)."""
        owners, flat = np.repeat(of, codes.shape[1]), codes.reshape(-1, codes.shape[2])
        return self._note(owners, flat, self.view.scores(flat)).reshape(codes.shape[:2])

    def _note(self, of: IntArray, codes: IntArray, scores: Tensor) -> Float64Array:
        """Keep what is better than the best so far of each image; return all leads."""
        leads = clear_lead(scores, self.labels[of], targeted=self.targeted)
        # of several of an image NumPy keeps the last that is assigned
        rising = np.argsort(leads, kind="stable")
        better = rising[leads[rising] > self.leads[of[rising]]]
        self.codes[of[better]], self.leads[of[better]] = codes[better], leads[better]
        return leads

    def _drawn(self, of: IntArray) -> IntArray:
        """Return the best code images, a share of their free units, from 0 to 1, drawn anew."""
        units, codes = self._units[of], self.codes[of]
        share = self.rng.random((len(of), 1))
        picked = (self.rng.random(units.shape) * self._counts[of]).astype(np.int64)
        new = np.take_along_axis(self._choices[of], picked[..., None], axis=2)[..., 0]
        old = np.take_along_axis(codes, units, axis=1)
        chosen = np.where(self.rng.random(units.shape) < share, new, old)
        np.put_along_axis(codes, units, chosen, axis=1)
        return codes

    def _slopes(
        self, of: IntArray, codes: IntArray, goals: IntArray
    ) -> tuple[Tensor, Float32Array]:
        """Return scores, and gradients (r, units, d) of what is to rise."""
        labels, aims = self.labels[of], torch.from_numpy(goals)

        def rise(scores: Tensor, rows: slice) -> Tensor:
            label, aim = (t[rows].to(scores.device)[:, None] for t in (labels, aims))
            mine = scores.gather(1, label)
            best = scores.scatter(1, label, -torch.inf).amax(dim=1, keepdim=True)
            if self.targeted:
                return mine - best
            return torch.where(aim < 0, best, scores.gather(1, aim.clamp(min=0))) - mine

        return self.view.slopes(codes, rise)

    def _gains(self, of: IntArray, codes: IntArray, slopes: Float32Array) -> Float32Array:
        """Return the gain that a gradient foretells for each flip, (r, free, m); -inf of none."""
        units, choices = self._units[of], self._choices[of]
        slope = np.take_along_axis(slopes, units[..., None], axis=1)
        here = np.take_along_axis(codes, units, axis=1)[..., None]
        words = self.view.codebook.codewords_
        worth: Float32Array = np.einsum("rfmd,rfd->rfm", words[choices], slope)
        gains: Float32Array = worth - (words[here] * slope[:, :, None]).sum(axis=-1)
        gains[~self._listed[of] | (choices == here)] = -np.inf
        return gains

    def _flipped(
        self, of: IntArray, codes: IntArray, slopes: Float32Array, count: Float64Array
    ) -> IntArray:
        """Return the codes with the so many flips (r,) done that promise most."""
        units, gains = self._units[of], self._gains(of, codes, slopes)
        best = gains.argmax(axis=2)[..., None]
        gain = np.take_along_axis(gains, best, axis=2)[..., 0]
        rank = np.argsort(np.argsort(-gain, axis=1, kind="stable"), axis=1, kind="stable")
        new = np.take_along_axis(self._choices[of], best, axis=2)[..., 0]
        old, made = np.take_along_axis(codes, units, axis=1), codes.copy()
        flips = (rank < count[:, None]) & (gain > 0)
        np.put_along_axis(made, units, np.where(flips, new, old), axis=1)
        return made
