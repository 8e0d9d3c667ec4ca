"""How many bits of an LQ-VAE's codes a perturbation flips, and where the latent variables lie."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from art_disc.core.checks import Float32Array, IntArray, check_choice, check_images
from art_disc.core.errors import InputError
from art_disc.core.showing import Shown
from art_disc.defences import LQVAEFilter
from art_disc.estimators.applied import applied

METHODS = ("tsne", "pca")


@dataclass(frozen=True, slots=True, eq=False)
class BitFlips(Shown):
    """Bits that differ between the codes of two images, by mean inference.

    Attributes:
        flips: (n,) for each pair.
        latent: Bits of a code.
    """

    flips: IntArray
    latent: int

    def share(self, most: float) -> float:
        """Return the share of pairs of whose bits at most the share `most` differ.

        Source: Kyatham et al. 2020, figure 3 (over 90 % of CW's images flip less than 6 %).
        """
        # 0.3 of 10 bits are 3, whatever rounding makes of the product
        return float((self.flips <= most * self.latent + 1e-9).mean())

    def curve(self) -> tuple[float, ...]:
        """Return the share of pairs with at most k flips, k = 0..latent."""
        counts = np.bincount(self.flips, minlength=self.latent + 1)
        return tuple((counts.cumsum() / len(self.flips)).tolist())


@dataclass(frozen=True, slots=True, eq=False)
class LatentPoints(Shown):
    """Means of latent variables in a plane.

    Attributes:
        clean: (n, 2), of the clean images.
        adversarial: (n, 2), of the adversarial ones, in the same plane.
        method: How they came into it.
    """

    clean: NDArray[np.float64]
    adversarial: NDArray[np.float64]
    method: str

    def draw(self, axes: Any) -> None:
        """Draw both on Axes of matplotlib, a line from each clean image to its adversarial one."""
        for (x, y), (u, v) in zip(self.clean, self.adversarial, strict=True):
            axes.plot((x, u), (y, v), color="0.8", linewidth=0.5, zorder=1)
        axes.scatter(*self.clean.T, s=9, marker="o", label="clean", zorder=2)
        axes.scatter(*self.adversarial.T, s=9, marker="x", label="adversarial", zorder=2)
        axes.set(xlabel=f"{self.method} 1", ylabel=f"{self.method} 2")
        axes.legend()


def bit_flips(model: Any, x: Any, x_adv: Any) -> BitFlips:
    """Count the bits of their codes in which images and their adversarial images differ.

    Args:
        model: An `LQVAEFilter`, a classifier whose first defence is one, or what one is made of.
        x: Images (n, ...) in its layout and range, or uint8.
        x_adv: Their adversarial images, in the same order.

    Raises:
        InputError: No such model, or images that do not fit.
    """
    purifier, clean, moved = _checked(model, x, x_adv)
    codes = [purifier.codes(images) for images in (clean, moved)]
    flips = (codes[0] != codes[1]).sum(axis=1, dtype=np.int64)
    return BitFlips(flips, purifier.network.latent)


def latent_points(
    model: Any, x: Any, x_adv: Any, *, method: str = "tsne", random_state: int = 0
) -> LatentPoints:
    """Bring the means of images and adversarial images into one plane.

    That two clouds overlap there, as in the paper's figure, says nothing of single images: count
    their `bit_flips`.

    Args:
        model: As for `bit_flips`.
        x: Images (n, ...), n >= 2.
        x_adv: Their adversarial images.
        method: `tsne`, the figure's, or `pca`.
        random_state: Of t-SNE.

    Raises:
        InputError: As for `bit_flips`, or an unknown method.

    Source: Kyatham et al. 2020, figure 2.
    """
    check_choice(method, "method", METHODS)
    purifier, clean, moved = _checked(model, x, x_adv)
    if len(clean) < 2:
        msg = f"a plane needs at least 2 images, got {len(clean)}"
        raise InputError(msg)
    both = np.concatenate([purifier.latents(images) for images in (clean, moved)])
    if method == "pca":
        plane = PCA(2).fit_transform(both.astype(np.float64))
    else:
        nearest = min(30.0, (len(both) - 1) / 3)
        plane = TSNE(2, perplexity=nearest, random_state=random_state).fit_transform(both)
    points = plane.astype(np.float64)
    return LatentPoints(points[: len(clean)], points[len(clean) :], method)


def _checked(model: Any, x: Any, x_adv: Any) -> tuple[LQVAEFilter, Float32Array, Float32Array]:
    """Return the filter of a model, and both batches as images of it."""
    chain = applied(model.defences) if hasattr(model, "defences") else [model]
    given = chain[0] if chain else None
    purifier = given if isinstance(given, LQVAEFilter) else LQVAEFilter(given)
    upper = purifier.clip_values[1]
    clean = check_images(x, upper=upper)
    moved = check_images(x_adv, name="x_adv", upper=upper, shape=clean.shape[1:])
    if len(clean) != len(moved):
        msg = f"x_adv must be one an image of x, {len(clean)}, got {len(moved)}"
        raise InputError(msg)
    return purifier, clean, moved
