"""How the cluster centres of a randomised discretisation are found: sampled, iterated or fixed."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from art_disc.core.checks import Float32Array
from art_disc.defences.draws import Draws


@dataclass(frozen=True, slots=True)
class Picked:
    """The centres of a batch as a function of its pixels.

    Attributes:
        added: Noise that is added to pixels, or the centres themselves; shape (n, c, k).
        positions: Which pixels, shape (n, k), or None where the centres depend on none.
    """

    added: Tensor
    positions: Tensor | None = None

    def of(self, pixels: Tensor) -> Tensor:
        """Return the centres (n, c, k), differentiable in the picked ones of pixels (n, c, p)."""
        if self.positions is None:
            return self.added
        return _at(pixels, self.positions) + self.added


# finds k centres for every image of a batch of pixels (n, c, p) on the [0, 1] scale, without grad
CentreRule = Callable[[Tensor, Draws], Picked]


def _at(pixels: Tensor, positions: Tensor) -> Tensor:
    """Return the pixels (n, c, m) at positions (n, m)."""
    return pixels.gather(2, positions.unsqueeze(1).expand(-1, pixels.shape[1], -1))


@dataclass(frozen=True, slots=True)
class NoisySample:
    """s pixels of every image, drawn with replacement, each with a noise of its own.

    A pixel that is drawn twice gives two vectors, as in the paper; the reference adds one noise to
    each pixel before it draws, so there they are equal.

    Attributes:
        n_samples: s.
        tau: Standard deviation of the noise, on the [0, 1] scale.
        shared_positions: The same pixels for every image of the batch, as in the reference.

    Source: Zhang, Liang 2019, section 3 (the vectors b).
    """

    n_samples: int
    tau: float
    shared_positions: bool = False

    def draw(self, pixels: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Return positions (n, s) and noise (n, c, s) of pixels (n, c, p)."""
        n, channels, number = pixels.shape
        rows = 1 if self.shared_positions else n
        positions = draws.integers(number, (rows, self.n_samples), pixels.device)
        noise = draws.normal((n, channels, self.n_samples), pixels.device)
        return positions.expand(n, -1), self.tau * noise


@dataclass(frozen=True, slots=True)
class AdaptiveCentres:
    """Centres picked one by one from the sample, far ones more likely.

    The first is any of the s vectors with equal probability; each later one is vector b with
    probability proportional to exp(gamma * min_l |c_l - b|_2^2) over the centres c_l before it. A
    vector that was picked is not excluded, so two centres may be equal, as in the paper's formula
    and in the reference.

    Attributes:
        n_clusters: k.
        sample: The vectors b.
        gamma: In 1 / squared range of [0, 1].

    Source: Zhang, Liang 2019, section 5 (cluster selection). For the first centre the printed
    formula is a minimum over nothing; the reference starts with equal distances.
    """

    n_clusters: int
    sample: NoisySample
    gamma: float

    def __call__(self, pixels: Tensor, draws: Draws) -> Picked:
        """Return pixels and their noise; see `CentreRule`."""
        positions, noise = self.sample.draw(pixels, draws)
        vectors = _at(pixels, positions) + noise
        away = vectors.new_zeros((len(vectors), vectors.shape[2]))
        picks: list[Tensor] = []
        for _ in range(self.n_clusters):
            pick = draws.categorical(self.gamma * away).unsqueeze(1)
            from_pick = (vectors - _at(vectors, pick)).square().sum(dim=1)
            away = torch.minimum(away, from_pick) if picks else from_pick
            picks.append(pick)
        chosen = torch.cat(picks, dim=1)
        return Picked(_at(noise, chosen), positions.gather(1, chosen))


@dataclass(frozen=True, slots=True)
class IteratedCentres:
    """scikit-learn's k-means, k-means++ start and iterations, on the sample of every image.

    The images are clustered one by one, and no gradient leads through their centres.

    Attributes:
        n_clusters: k.
        sample: The vectors that are clustered.

    Source: Zhang, Liang 2019, section 5, footnote 1.
    """

    n_clusters: int
    sample: NoisySample

    def __call__(self, pixels: Tensor, draws: Draws) -> Picked:
        """Return the centres of k-means; see `CentreRule`."""
        positions, noise = self.sample.draw(pixels, draws)
        seeds = draws.integers(2**31 - 1, (len(pixels),), torch.device("cpu"))
        vectors = (_at(pixels, positions) + noise).movedim(1, 2).cpu()
        found = [
            self._cluster(vectors[i], int(seed)).to(pixels) for i, seed in enumerate(seeds.tolist())
        ]
        if not found:
            return Picked(pixels.new_zeros((0, pixels.shape[1], self.n_clusters)))
        return Picked(torch.stack(found).movedim(1, 2))

    def _cluster(self, vectors: Tensor, seed: int) -> Tensor:
        """Return centres (k, c) of vectors (s, c)."""
        from sklearn.cluster import KMeans

        if not vectors.isfinite().all():
            # scikit-learn refuses what attacks may try; NaN spreads, as with the sampler
            return vectors.new_full((self.n_clusters, vectors.shape[1]), torch.nan)
        means = KMeans(self.n_clusters, init="k-means++", n_init=1, random_state=seed)
        with warnings.catch_warnings():
            # without noise a flat image has fewer distinct vectors than centres
            warnings.simplefilter("ignore")
            centres: Float32Array = means.fit(vectors.numpy()).cluster_centers_
        return torch.as_tensor(centres)


@dataclass(frozen=True, slots=True)
class FixedCentres:
    """The same centres for every image, whatever it shows.

    Attributes:
        codewords: Shape (k, c), on the [0, 1] scale.
    """

    codewords: Float32Array

    def __call__(self, pixels: Tensor, draws: Draws) -> Picked:  # noqa: ARG002 - protocol
        """Return the codewords; see `CentreRule`."""
        centres = torch.tensor(self.codewords.T, device=pixels.device)
        return Picked(centres.expand(len(pixels), -1, -1))
