"""Options that several commands share, and the values they take."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated

import typer

from costaudit.ground.errors import UsageError

_UNITS = {"": 1, "b": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_UNITS |= {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_BYTES = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?", re.IGNORECASE)


def positive_usd(value: float | None) -> float | None:
    """A price in dollars: finite and above zero, since unknown is never zero.

    Raises:
        UsageError: it is not.
    """
    if value is not None and not (math.isfinite(value) and value > 0):
        raise UsageError(
            f"{value:g} is no price in dollars", hint="leave the price out if it is not known"
        )
    return value


def bytes_of(text: str | None) -> int | None:
    """Bytes written as 4GiB, 500MB or plainly.

    Raises:
        UsageError: neither of these.
    """
    if text is None:
        return None
    found = _BYTES.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{text!r} is no amount of memory", hint="write 4GiB, 500MB or bytes")
    return int(float(found[1]) * _UNITS[(found[2] or "").lower()])


Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Price = Annotated[
    float | None,
    typer.Option("--price", help="USD per device-hour.", callback=positive_usd),
]
ReservedPrice = Annotated[
    float | None,
    typer.Option("--reserved-price", help="USD per reserved device-hour.", callback=positive_usd),
]
PriceBook = Annotated[
    Path | None, typer.Option("--prices", help="Your own price book, a TOML file.")
]
