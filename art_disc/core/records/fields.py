"""Types of the fields of records: numbers within limits, and what a setting may be."""

import sys
from typing import Annotated

from msgspec import Meta

# the limits by which msgspec tells NaN and infinity from a number
LARGEST = sys.float_info.max

Finite = Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]
NonNegative = Annotated[float, Meta(ge=0, le=LARGEST)]
Unit = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]
Setting = str | int | Finite | bool | None
