"""What a network of this package knows of itself: the arguments that it was made with."""

import inspect
from typing import Any, Self

from torch import nn


class Remembered(nn.Module):
    """A network that knows the arguments of its constructor."""

    _made_with: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **options: Any) -> Self:
        """Keep the arguments before the constructor takes them."""
        made = super().__new__(cls)
        # past torch's own way to set attributes, which needs its constructor first
        made.__dict__["_made_with"] = args, options
        return made

    def arguments(self) -> dict[str, Any]:
        """Return what it was made with, by name, defaults among that."""
        args, options = self._made_with
        given = inspect.signature(type(self).__init__).bind(self, *args, **options)
        given.apply_defaults()
        _, *named = given.arguments.items()
        return dict(named)
