"""A layer of which the signs are known and the latent weights are not."""

from typing import Any

import torch
from torch import Tensor

from art_disc.core.errors import InputError

ALPHA = "fixed_alpha"


class FixedSigns:
    """What a layer of signs is without its latent weights: it predicts, and cannot be trained.

    `weight` holds the signs then, and the buffer `fixed_alpha` the scales that latent weights had,
    one an output filter, 1 where there are none. A state dict with this buffer fixes the layer that
    loads it, one without it gives latent weights back.
    """

    weight: Tensor
    training: bool
    fixed_alpha: Tensor | None

    @property
    def is_fixed(self) -> bool:
        """Whether the latent weights are lost."""
        return getattr(self, ALPHA, None) is not None

    def _fix(self, fixed: bool) -> None:
        if fixed == self.is_fixed:
            return
        self.fixed_alpha = self.weight.new_ones(len(self.weight)) if fixed else None
        self.weight.requires_grad_(not fixed)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **options: Any
    ) -> None:
        if f"{prefix}weight" in state_dict:
            self._fix(prefix + ALPHA in state_dict)
        super()._load_from_state_dict(state_dict, prefix, *args, **options)  # type: ignore[misc] # torch's
        if self.is_fixed:
            # whatever was given: the weights of such a layer are used as they are
            with torch.no_grad():
                self.weight.copy_(self._signs_of_latent())

    def _signs_of_latent(self) -> Tensor:
        raise NotImplementedError

    def _check_mode(self) -> None:
        """Refuse to run in training mode without latent weights.

        Raises:
            InputError: See above.
        """
        if self.training and self.is_fixed:
            msg = (
                f"this {type(self).__name__} has the signs of its weights alone (from a file of "
                "save_weights(..., signs=...), with_int8 or from_brevitas), so that it cannot "
                "be trained; call eval() to predict, or load a file of latent weights"
            )
            raise InputError(msg)
