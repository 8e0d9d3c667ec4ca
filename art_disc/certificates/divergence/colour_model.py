"""The divergence model of noisy colours that become the nearest of fixed codewords."""

from dataclasses import dataclass

from art_disc.certificates.divergence.colour_cells import N_BOXES, colour_codes, colour_divergence
from art_disc.certificates.divergence.models import GaussianModel
from art_disc.core.checks import Float64Array, check_count, check_positive
from art_disc.core.errors import CertificateError


@dataclass(frozen=True, slots=True)
class ColourCodesModel:
    """x + sigma N, each pixel replaced by the l2-nearest of fixed codewords that form no grid.

    Attributes:
        codewords: On the [0, 1] scale, k tuples of one number a channel.
        sigma: Standard deviation on that scale, > 0.
        n_boxes: How finely space is cut; see `colour_divergence`.

    Raises:
        InputError: An attribute does not fit.
        CertificateError: More than three channels, unless the codewords lie on a line.
    """

    codewords: tuple[tuple[float, ...], ...]
    sigma: float
    n_boxes: int = N_BOXES

    def __post_init__(self) -> None:
        colour_codes(self.codewords)
        check_positive(self.sigma, "sigma")
        check_count(self.n_boxes, "n_boxes")

    @property
    def assumes(self) -> str:
        """What the bounds hold for."""
        return (
            f"independent exact Gaussian noise of deviation {self.sigma:g}, then the l2-nearest of "
            "fixed colours (bounded by a finer observation in closed form); adversarial images "
            "stay in the input range"
        )

    def divergence(
        self, x: Float64Array, eps: float, order: float, *, reverse: bool = False
    ) -> Float64Array:
        """Upper bounds of the maxima over the box, summed; see `colour_divergence`.

        Raises:
            CertificateError: Images of another number of channels.
        """
        channels = len(self.codewords[0])
        if x.shape[1] != channels:
            msg = f"codewords have {channels} channel(s), the images {x.shape[1]}"
            raise CertificateError(msg)
        options = {"sigma": self.sigma, "eps": eps, "order": order}
        return colour_divergence(
            x, self.codewords, **options, reverse=reverse, n_boxes=self.n_boxes
        )

    def shift(self, x: Float64Array, eps: float) -> Float64Array:
        """Eps sqrt(d) / sigma of the noise before the codewords; see `DivergenceModel`."""
        return GaussianModel(self.sigma).shift(x, eps)
