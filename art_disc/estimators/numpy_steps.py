"""ART's NumPy preprocessors inside a torch graph, differentiated as ART's attacks do."""

from typing import Any

import torch
from torch import Tensor


class NumpySteps(torch.autograd.Function):
    """What a classifier's preprocessors make of images; backward, their `estimate_gradient`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, classifier: Any) -> Tensor:
        """Return preprocessed images (n, ...) of images, float32."""
        ctx.classifier, ctx.images = classifier, x.detach().cpu().numpy()
        made, _ = classifier._apply_preprocessing(ctx.images, y=None, fit=False)
        return torch.as_tensor(made, dtype=torch.float32, device=x.device)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, None]:
        """Return the gradient at the images, as ART's `loss_gradient` takes it."""
        back = ctx.classifier._apply_preprocessing_gradient(ctx.images, grads[0].cpu().numpy())
        return torch.as_tensor(back, dtype=torch.float32, device=grads[0].device), None
