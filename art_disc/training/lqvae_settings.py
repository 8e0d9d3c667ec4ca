"""The hyperparameters of an LQ-VAE, and those of the paper's text and code."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from art_disc.core.checks import check_choice, check_count, check_positive
from art_disc.core.errors import InputError
from art_disc.core.showing import Shown
from art_disc.networks import Stack
from art_disc.networks.lqvae import QUARTILE
from art_disc.training.loop import check_torch_seed

OPTIMIZERS = ("adam", "rmsprop")
PENALTIES = ("jacobian", "summed", "bounded", "none")

_PAPER: dict[str, Any] = {
    "eta": QUARTILE,
    "soft_c": 0.1,
    "noise": 1.0,
    "penalty": "jacobian",
    "penalty_weight": 1.0,
    "kl_weight": 1.0,
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "decay": 1.0,
    "copy_decoder": True,
}
PRESETS: dict[str, dict[str, Any]] = {
    "paper": _PAPER,
    # the defaults, but for the order
    "code": {"shuffle": False},
    "certified": {
        **_PAPER,
        "penalty": "bounded",
        "lipschitz": 1.0,
        "linear_encoder": True,
        "noise": 0.2,
        "kl_weight": 0.0,
        "learning_rate": 3e-4,
        "steps": 3_000,
    },
}


@dataclass(eq=False)
class LQVAESettings(Shown):
    """How an LQ-VAE is made and trained.

    The defaults are those of the published code, but shuffled: images that are sorted by class are
    learnt too. The paper's text is `preset("paper")`, and by mean inference it tends to learn
    nothing: see `noise`.

    Args:
        latent: Bits of a code.
        eta: Threshold > 0 of the quantiser H; 0.67449 halves a standard normal variable.
        soft_c: c > 0 of the soft quantiser, which is H for c = 0.
        noise: What sigma N is multiplied by where latent variables are drawn, >= 0. With the
            paper's 1 the means stay between the thresholds, where mean inference gives every image
            the code of ones; the reports show it, and less noise cures it.
        lipschitz: K > 0, the length that the penalty asks of a gradient for images on [-1, 1], or
            the bound of a `bounded` encoder on [-1, 1] (2 K for images on [0, 1]), in l2 or, of a
            linear one, in l_inf.
        penalty: `jacobian`, (|J^T u|_2 - K)^2 in a random unit direction u of the latent space;
            `summed`, the same of the sum of the means; `none`; or `bounded`, no penalty but an
            encoder of a bound by construction: layers of convolutions are kept at l2 norms of at
            most 1, the rows of a linear encoder at absolute sums of K, its bound in l_inf.
        penalty_weight: Of the penalty, >= 0, beside the summed squared error of an image; the
            code's 10 times the penalty stand beside 10 times the mean squared error of 784 pixels.
        kl_weight: Of the KL divergence, >= 0, likewise.
        optimizer: `adam`, betas 0.9 and 0.99, or `rmsprop`.
        learning_rate: > 0.
        decay: What the learning rate is multiplied by every 10,000 steps, in (0, 1].
        batch_size: Images a step.
        steps: Steps of a fit.
        shuffle: Whether every pass over the images has an order of its own.
        copy_decoder: Whether decoder 2 begins as a copy of decoder 1.
        stack: Layers; None: the paper's for the images' shape.
        random_state: Seed of weights, order and draws.
        linear_encoder: Means are linear functions of the pixels, and variances 1; where they are
            `bounded`, they begin as averages of parts of the image.

    Raises:
        InputError: A value does not fit.

    Source: Kyatham, Mishra, Yadav, Mishra, Prathosh 2020, algorithm 1.
    """

    latent: int = 64
    eta: float = 0.1
    soft_c: float = 0.002
    noise: float = 0.05
    lipschitz: float = 0.1
    penalty: str = "summed"
    penalty_weight: float = 784.0
    kl_weight: float = 1.225
    optimizer: str = "rmsprop"
    learning_rate: float = 3e-4
    decay: float = 0.98
    batch_size: int = 64
    steps: int = 10_001
    shuffle: bool = True
    copy_decoder: bool = False
    stack: Stack | None = None
    random_state: int = 0
    linear_encoder: bool = False

    def __post_init__(self) -> None:
        self._check()

    def _check(self) -> None:
        for name in ("latent", "batch_size", "steps"):
            check_count(getattr(self, name), name)
        for name in ("eta", "soft_c", "lipschitz", "learning_rate", "decay"):
            check_positive(getattr(self, name), name)
        for name in ("noise", "penalty_weight", "kl_weight"):
            check_positive(getattr(self, name), name, zero=True)
        if self.decay > 1:
            msg = f"decay must be a number in (0, 1], got {self.decay!r}"
            raise InputError(msg)
        check_choice(self.penalty, "penalty", PENALTIES)
        check_choice(self.optimizer, "optimizer", OPTIMIZERS)
        check_torch_seed(self.random_state)

    @classmethod
    def preset(cls, name: str, **changes: Any) -> Self:
        """Return one with the settings of the paper's text, of its published code, or `certified`.

        Args:
            name: `paper`, `code` or `certified`.
            **changes: Arguments of the constructor.

        Raises:
            InputError: Unknown name, or a change that does not fit.
        """
        return cls(**PRESETS[check_choice(name, "preset", PRESETS)] | changes)

    def get_params(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.init}

    def facts(self) -> dict[str, Any]:
        """Return the settings in plain values; equal ones, of equal images, train alike."""
        stack = None if self.stack is None else asdict(self.stack)
        facts = self.get_params() | {"stack": stack}
        if not self.linear_encoder:
            # younger than fits that are kept, which are known by their facts
            del facts["linear_encoder"]
        return facts
