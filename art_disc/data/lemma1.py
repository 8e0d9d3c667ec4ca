"""Lemma 1 and Proposition 1 of the idealised model: the formulas, and when they hold.

Source: Chen, Wu, Liang, Jha 2018, section 4.2; Chen et al. 2019, section IV-C.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from art_disc.core.checks import check_choice, check_count, number_of
from art_disc.core.errors import InputError, TheoryError
from art_disc.core.showing import Shown

FORMS = ("printed", "tight")
TOLERANCES = ("printed", "proven")


@dataclass(frozen=True, slots=True)
class Lemma1(Shown):
    """What is promised of the codewords learned from so many pixels; its conditions are met.

    With probability at least 1 - delta, density estimation with `radius` finds one codeword within
    `nu` of each true one (Lemma 1), and then no change of a pixel below `tolerance()` alters its
    codeword (Proposition 1). Distances are l_inf on the [0, 1] scale.

    Attributes:
        n_pixels: N, the pixels learned from, drawn independently.
        delta: Probability with which the promise may fail.
        form: `printed` or `tight`, see `IdealizedImages.nu`.
        separation: Gamma, the distance of the two nearest true codewords.
        gamma: Error of the pixel frequencies, a probability.
        nu: Distance of the learned codewords from the true ones, below Gamma / 16.
    """

    n_pixels: int
    delta: float
    form: str
    separation: float
    gamma: float
    nu: float

    @property
    def radius(self) -> float:
        """The radius r = 2 nu for `DensityCodebook`."""
        return 2 * self.nu

    def tolerance(self, form: str = "proven") -> float:
        """How much each channel of a pixel may change before its codeword can.

        For a pixel of code i, changed by eps, ||z - c_i|| <= eps + Gamma/8 + nu, and for another
        code ||z - c_j|| >= 7 Gamma/8 - nu - eps. The first is smaller for every
        eps < 3 Gamma/8 - nu, which at Gamma = 16 nu is the printed 5 nu and above it is more.

        Args:
            form: `printed`: 5 nu, itself allowed; `proven`: 3 Gamma/8 - nu, itself not allowed.

        Raises:
            InputError: Another form.
        """
        check_choice(form, "form", TOLERANCES)
        return 5 * self.nu if form == "printed" else 3 * self.separation / 8 - self.nu


class Lemma1Conditions:
    """The quantities of Lemma 1 for a model of separated codewords with bounded noise.

    Attributes:
        levels: K, levels of a channel.
        noise: sigma on the [0, 1] scale.
        normaliser: alpha, the probability of a pixel without noise.
        prior: Probability of each codeword, shape (k,).
        separation: Gamma, the smallest l_inf distance of two codewords, [0, 1] scale.
    """

    levels: int
    noise: float
    normaliser: float
    prior: NDArray[np.float64]
    separation: float

    def gamma(self, n_pixels: int, delta: float) -> float:
        """Error of the frequencies, gamma = sqrt(4/N ln(K/delta)), as printed.

        By Hoeffding's inequality one frequency errs by gamma or more, to the side that harms, with
        probability at most exp(-2 N gamma^2) = (delta/K)^8. There are K^c values, not the K that
        the formula names; the factor 4 leaves room for them up to c = 7: K^7 (delta/K)^8 < delta.

        Args:
            n_pixels: N, pixels drawn independently. Where those of an image depend on one another
                this is the number of images: Hoeffding's inequality then holds for image means.
            delta: Probability of failure in (0, 1).

        Raises:
            InputError: An argument does not fit.
        """
        check_count(n_pixels, "n_pixels")
        return math.sqrt(4 / n_pixels * self._logarithm(delta))

    def nu(self, n_pixels: int, delta: float, *, form: str = "printed") -> float:
        """Distance within which the learned codewords are of the true ones, on the [0, 1] scale.

        The true codeword c_i* has probability >= alpha p, with p the smallest prior, 1/k in the
        paper. A value c at least nu away from all of them lies in the noise of one codeword only,
        as Gamma/8 < Gamma/2, so its probability is <= alpha q exp(-nu^2/sigma^2), with q the
        largest prior. Where both frequencies err by less than gamma, c_i* is the more frequent if
        alpha p - gamma >= alpha q exp(-nu^2/sigma^2) + gamma, that is

            nu >= sigma sqrt(ln(q / (p - 2 gamma/alpha))).

        This is `tight`; for p = q = 1/k it is sigma sqrt(ln(1 / (1 - 2 k gamma/alpha))) and tends
        to 0 with gamma. `printed` drops q from the second bound, that is, puts q = 1, and stays
        above sigma sqrt(ln k) however many pixels there are. Both turn the inequality above into
        an equality; the proof's ">" is then owed to Hoeffding's bound, which covers errors of
        exactly gamma, so that smaller ones are strictly smaller.

        Args:
            n_pixels: See `gamma`.
            delta: Probability of failure in (0, 1).
            form: `printed` (eq. (1)) or `tight`.

        Raises:
            InputError: An argument does not fit.
            TheoryError: Too few pixels: gamma >= alpha/(2k).
        """
        top = self._top(form)
        gamma, least = self.gamma(n_pixels, delta), float(self.prior.min())
        left = least - 2 * gamma / self.normaliser
        if left <= 0:
            msg = (
                f"nu is defined only where gamma < alpha/(2k) = {self._most_gamma():.4g}, "
                f"got gamma = {gamma:.4g} from {n_pixels} pixels; "
                f"{self._pixels_for(least, delta)} pixels are enough"
            )
            raise TheoryError(msg)
        return self.noise * math.sqrt(math.log(top / left))

    def lemma1(self, n_pixels: int, delta: float = 0.01, *, form: str = "printed") -> Lemma1:
        """Return what Lemma 1 and Proposition 1 promise, if their conditions hold.

        Args:
            n_pixels: See `gamma`.
            delta: Probability of failure in (0, 1).
            form: Of `nu`: `printed` or `tight`.

        Raises:
            InputError: An argument does not fit.
            TheoryError: gamma >= alpha/(2k), or Gamma <= 16 nu; the message says how many pixels
                are enough, or that none are.
        """
        needed = self.pixels_needed(delta, form=form)
        gamma = self.gamma(n_pixels, delta)
        if n_pixels < needed:
            msg = (
                f"Lemma 1 needs Gamma = {self.separation:.4g} > 16 nu, and nu exists only where "
                f"gamma = {gamma:.4g} < alpha/(2k) = {self._most_gamma():.4g}; {n_pixels} pixels "
                f"are too few, {needed} are enough; less noise needs fewer"
            )
            raise TheoryError(msg)
        nu = self.nu(n_pixels, delta, form=form)
        return Lemma1(n_pixels, delta, form, self.separation, gamma, nu)

    def pixels_needed(self, delta: float = 0.01, *, form: str = "printed") -> int:
        """Smallest N for which the conditions of Lemma 1 hold.

        Raises:
            InputError: An argument does not fit.
            TheoryError: No N is enough: Gamma <= 16 sigma sqrt(ln(1/p)), or for `tight` ln(q/p).
        """
        top, least = self._top(form), float(self.prior.min())
        least_nu = self.noise * math.sqrt(math.log(top / least))
        room = least - top * math.exp(-((self.separation / (16 * self.noise)) ** 2))
        if room <= 0:
            msg = (
                f"no number of pixels makes Gamma = {self.separation:.4g} exceed 16 nu: {form} nu "
                f"stays above {least_nu:.4g}; take noise below "
                f"{self.noise * self.separation / (16 * least_nu):.4g}, got {self.noise:.4g}"
            )
            raise TheoryError(msg + ('; or form="tight"' if form == "printed" else ""))
        return self._pixels_for(room, delta)

    def _most_gamma(self) -> float:
        return self.normaliser * float(self.prior.min()) / 2

    def _pixels_for(self, room: float, delta: float) -> int:
        """Smallest N with 2 gamma / alpha < `room`."""
        return math.floor(16 * self._logarithm(delta) / (self.normaliser * room) ** 2) + 1

    def _logarithm(self, delta: float) -> float:
        if not 0 < number_of(delta) < 1:
            msg = f"delta is a probability in (0, 1), got {delta}"
            raise InputError(msg)
        return math.log(self.levels / delta)

    def _top(self, form: str) -> float:
        check_choice(form, "form", FORMS)
        return 1.0 if form == "printed" else float(self.prior.max())
