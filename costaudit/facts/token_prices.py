"""What APIs ask per million tokens, with the source and the date of every price.

The table is `data/token_prices.csv` (models.dev, cross-checked with genai-prices). Where the two
lists disagree the row says so. Models are matched by name, folded to letters and digits; a price
is never taken from a model that is merely similar.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from costaudit.facts.table import number, rows, stale

if TYPE_CHECKING:
    import datetime as dt

DISAGREES = "two lists disagree"
# Suffixes under which providers sell the same weights; "turbo" names a quantized serving of them.
_SAME_MODEL = ("instruct", "turbo", "fast", "versatile", "instant", "chat", "hf")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPrice:
    """One provider's price of one model, USD per million tokens.

    `cached_usd_per_1m` None: no discount for cached input is listed; likewise batch.
    """

    provider: str
    model: str
    input_usd_per_1m: float
    output_usd_per_1m: float
    cached_usd_per_1m: float | None
    batch_input_usd_per_1m: float | None
    batch_output_usd_per_1m: float | None
    source: str
    as_of: str
    disagrees: bool
    note: str = ""

    def stale(self, today: dt.date) -> bool:
        """Older than STALE_AFTER_DAYS, or undated."""
        return stale(self.as_of, today)

    def flags(self, today: dt.date) -> tuple[str, ...]:
        """What a reader should know before trusting this row."""
        said = ["stale"] if self.stale(today) else []
        return (*said, DISAGREES) if self.disagrees else tuple(said)


@cache
def token_prices() -> tuple[TokenPrice, ...]:
    """All rows."""
    return tuple(_price(row) for row in rows("token_prices.csv"))


def prices_of_model(model: str) -> tuple[TokenPrice, ...]:
    """Every provider's price of this very model, the cheapest output first; () where none lists it.

    `model` is a hub id, a served name or `provider/model` as listed.
    """
    listed = [p for p in token_prices() if f"{p.provider}/{p.model}" == model]
    found = listed or [p for p in token_prices() if same_model(p.model, model)]
    return tuple(sorted(found, key=lambda p: (p.output_usd_per_1m, p.input_usd_per_1m)))


def same_model(one: str, other: str) -> bool:
    """Do two names mean the same weights? Owner, punctuation and serving suffixes aside."""
    return bool(_folded(one)) and _folded(one) == _folded(other)


def _folded(model: str) -> str:
    """The name without its owner, its punctuation and its serving suffixes."""
    name = model.rsplit("/", maxsplit=1)[-1].casefold()
    name = re.sub(r"^meta-llama-", "llama-", re.sub(r"[_\s:]+", "-", name))
    words = [word for word in name.split("-") if word and word not in _SAME_MODEL]
    return "-".join(words)


def _price(row: dict[str, str]) -> TokenPrice:
    differs = row["cross_check"] == "DIFFERS"
    other = (row["genai_prices_input_2026-08-21"], row["genai_prices_output_2026-08-21"])
    return TokenPrice(
        provider=row["provider"],
        model=row["model"],
        input_usd_per_1m=float(row["usd_per_1m_input"]),
        output_usd_per_1m=float(row["usd_per_1m_output"]),
        cached_usd_per_1m=number(row["usd_per_1m_cached_input"]),
        batch_input_usd_per_1m=number(row["batch_usd_per_1m_input"]),
        batch_output_usd_per_1m=number(row["batch_usd_per_1m_output"]),
        source=row["source"],
        as_of=row["as_of"],
        disagrees=differs,
        note=f"genai-prices of 2026-08-21 has {other[0]} in, {other[1]} out" if differs else "",
    )
