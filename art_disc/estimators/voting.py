"""How the draws of a randomised defence become one row of scores an image."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from art_disc.core.checks import check_choice, check_count
from art_disc.core.showing import Shown
from art_disc.estimators.mean_loss import carrying
from art_disc.surrogates import straight_through

VOTES = ("mean", "hard")
OUTPUTS = ("log_probs", "logits", "probs")
GRADIENTS = ("mean_probability", "mean_loss")
MEMORY_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Voting(Shown):
    """How many draws are made, and what is made of them.

    Attributes:
        eot_samples: Draws an image where gradients are enabled.
        vote_samples: Draws an image where they are not, as in ART's `predict`.
        vote: `mean`: the mean of the draws' probabilities. `hard`: each draw votes for one class,
            half a vote is added to every class (so no class has probability 0), and the votes are
            differentiated as if they were the probabilities.
        output: `log_probs`, their logarithm; `logits`, the same less its mean over the classes
            (equal softmax, sum zero); or `probs`, whose loss has no gradient where the network is
            sure.
        memory_bytes: What may be kept for the backward pass at once: drawn images and, of one row
            at least, the network's activations. `loss_gradient` of cross-entropy finishes so many
            rows at a time; elsewhere draws beyond it are computed once more on the way back, and
            the images of all draws are kept.
        gradient: What losses are made of, in `loss_gradient`, `compute_loss` and `fit`.
            `mean_probability`: the loss of the row that is returned. `mean_loss`: the mean over
            draws of each draw's loss, as `MeanLoss` and ART's own expectation over transformation
            have it; the vote plays no part in it. Attacks with a loss of their own (AutoPGD and
            its kin with a `loss_type`, AutoAttack, `SignAdamBPDA`), and those that differentiate
            class scores, get the row in both cases, so the mean probability's loss.

    Raises:
        InputError: A number below 1, or an unknown word.
    """

    eot_samples: int = 8
    vote_samples: int = 16
    vote: str = "mean"
    output: str = "log_probs"
    memory_bytes: int = MEMORY_BYTES
    gradient: str = "mean_probability"

    def __post_init__(self) -> None:
        for name in ("eot_samples", "vote_samples", "memory_bytes"):
            check_count(getattr(self, name), name)
        words = (("vote", VOTES), ("output", OUTPUTS), ("gradient", GRADIENTS))
        for name, known in words:
            check_choice(getattr(self, name), name, known)

    def count(self, draws: Tensor) -> Tensor:
        """Return a row an image, as `output` says, of the log-probabilities (draws, n, classes)."""
        return self._given(self.log_probs(draws))

    def log_probs(self, draws: Tensor) -> Tensor:
        """Return normalised log-probabilities (n, classes) of draws, whatever `output` says."""
        number, _, classes = draws.shape
        if self.vote == "mean":
            return draws.logsumexp(dim=0) - torch.log(draws.new_tensor(float(number)))
        votes = straight_through(draws, _one_hot, torch.exp, number).sum(dim=0)
        return torch.log((votes + 0.5) / (number + classes / 2))

    def answer(self, draws: Tensor) -> Tensor:
        """Return what `count` does; with `mean_loss` it carries the draws for a `MeanLoss`."""
        row = self.count(draws)
        return carrying(row, self._given(draws)) if self.gradient == "mean_loss" else row

    def _given(self, log_probs: Tensor) -> Tensor:
        """Return log-probabilities (..., classes) as `output` says."""
        if self.output == "probs":
            return log_probs.exp()
        if self.output == "logits":
            return log_probs - log_probs.mean(dim=-1, keepdim=True)
        return log_probs


def _one_hot(draws: Tensor) -> Tensor:
    """Return 1 for the likeliest class; a draw with NaN stays NaN, it must not become a vote."""
    votes = functional.one_hot(draws.argmax(dim=-1), draws.shape[-1]).to(draws.dtype)
    return votes.masked_fill(draws.isnan(), torch.nan)
