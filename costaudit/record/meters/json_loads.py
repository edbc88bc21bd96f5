"""Servers' loads that come as JSON: llama.cpp's slots, SGLang's loads."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from costaudit.facts.quantities import Quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MAX_ENTRIES = 4096


def slots(body: Any) -> dict[str, Quantity]:
    """llama.cpp's `/slots`: busy ones, and the share of their contexts that is in use."""
    entries = _entries(body)
    if not entries:
        return {}
    size = sum(_number(one.get("n_ctx")) or 0.0 for one in entries)
    used = sum(min(_held(one), _number(one.get("n_ctx")) or math.inf) for one in entries)
    running = sum(one.get("is_processing") is True for one in entries)
    found = {
        "requests.running": Quantity(value=float(running), unit="requests"),
        "kv.tokens_used": Quantity(value=used, unit="tokens"),
        "kv.tokens_total": Quantity(value=size, unit="tokens"),
    }
    if size > 0:
        found["kv.usage_fraction"] = Quantity(value=used / size, unit="share")
    return found


def loads(body: Any) -> dict[str, Quantity]:
    """SGLang's `/v1/loads`: one entry per data-parallel rank."""
    entries = _entries(body.get("loads") if isinstance(body, dict) else body)
    found = {}
    for name, keys, unit in (
        ("requests.running", ("num_running_reqs",), "requests"),
        ("requests.waiting", ("num_waiting_reqs", "num_queue_reqs"), "requests"),
        ("kv.tokens_used", ("num_used_tokens", "num_tokens"), "tokens"),
        ("kv.usage_fraction", ("token_usage",), "share"),
    ):
        told = [_first(one, keys) for one in entries]
        values = [value for value in told if value is not None]
        if values:
            value = max(values) if unit == "share" else sum(values)
            found[name] = Quantity(value=value, unit=unit)
    return found


READERS: Mapping[str, Callable[[Any], dict[str, Quantity]]] = {"slots": slots, "loads": loads}


def _held(slot: Mapping[str, Any]) -> float:
    """Tokens in a busy slot's context: its prompt and what was generated."""
    if slot.get("is_processing") is not True:
        return 0.0
    after = slot.get("next_token")
    states = after if isinstance(after, list) else [after]
    decoded = sum(_number(s.get("n_decoded")) or 0.0 for s in states if isinstance(s, dict))
    return (_number(slot.get("n_prompt_tokens")) or 0.0) + decoded


def _entries(body: Any) -> list[dict[str, Any]]:
    found = body if isinstance(body, list) else []
    return [one for one in found[:_MAX_ENTRIES] if isinstance(one, dict)]


def _first(entry: Mapping[str, Any], keys: tuple[str, ...]) -> float | None:
    return next((n for key in keys if (n := _number(entry.get(key))) is not None), None)


def _number(value: Any) -> float | None:
    """A number that a count can be; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) and 0 <= value < 1e18 else None  # noqa: PLR2004
