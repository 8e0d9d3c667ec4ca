"""What products of a network are really made of, however it comes to them."""

from torch import nn
from torch.overrides import TorchFunctionMode

_PRODUCTS = (nn.functional.linear, nn.functional.conv2d)


class Products(TorchFunctionMode):
    """Keeps the inputs and weights of all products inside the block, in `found`."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in _PRODUCTS:
            self.found.append((args[0].detach().clone(), args[1].detach().clone()))
        return func(*args, **(kwargs or {}))


def values(tensor):
    """All values of a tensor, as a set."""
    return set(tensor.unique().tolist())


def signed(products):
    """For every product whether inputs and weights are -1 and 1 alone."""
    return [(values(x) <= {-1, 1}, values(weight) <= {-1, 1}) for x, weight in products.found]
