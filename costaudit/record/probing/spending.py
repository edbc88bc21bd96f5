"""What a token costs where money is limited: as given, else by the price book of token APIs."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from costaudit.facts.token_prices import prices_of_model
from costaudit.ground.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.facts.token_prices import TokenPrice
    from costaudit.record.probing.options import Limits


def priced(limits: Limits, *, model: str, base_url: str) -> Limits:
    """The limits with token prices where dollars are limited and none were given.

    Of several listed prices the dearest rules, so that the limit holds whichever is billed; where
    the server's address names one of the providers, theirs alone count.

    Raises:
        UsageError: dollars are limited, and nobody knows what a token of this model costs.
    """
    known = limits.usd_per_1m_input is not None and limits.usd_per_1m_output is not None
    if limits.spend_usd is None or known:
        return limits
    listed = prices_of_model(model)
    if not listed:
        raise UsageError(
            f"a spending limit needs to know what a token costs, and no price of {model!r} is"
            " listed",
            hint="give --token-price IN,OUT in USD per million tokens",
        )
    asked = _of_host(listed, base_url) or listed
    return replace(
        limits,
        usd_per_1m_input=max(price.input_usd_per_1m for price in asked),
        usd_per_1m_output=max(price.output_usd_per_1m for price in asked),
        token_price_source="; ".join(
            sorted({f"{price.provider}, {price.as_of}" for price in asked})
        ),
    )


def _of_host(listed: Sequence[TokenPrice], base_url: str) -> list[TokenPrice]:
    host = re.sub(r"[^a-z0-9]", "", (urlsplit(base_url).hostname or "").casefold())
    return [p for p in listed if re.sub(r"[^a-z0-9]|ai$", "", p.provider.casefold()) in host]
