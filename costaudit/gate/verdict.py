"""Judges an Audit document by a budget: passed, broken, or inconclusive because."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from costaudit.audit.document import leaves, lookup, why_unknown
from costaudit.gate.own_figures import OWN_NAMES
from costaudit.ground.errors import UsageError, did_you_mean
from costaudit.ground.stats import Interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.gate.budget import Limit

SHORT_NAMES: Mapping[str, str] = {
    "usd_per_1m_tokens": "bill.usd_per_1m_tokens",
    "usd_per_1m_input": "bill.usd_per_1m_input",
    "usd_per_1m_output": "bill.usd_per_1m_output",
    "gpu_s_per_1m_tokens": "bill.gpu_s_per_1m_tokens",
    "unexplained_share": "bill.unexplained_share",
    **{f"ttft_{p}_s": f"phases.prefill.ttft_s.{p}" for p in ("p50", "p95", "p99")},
    **{f"itl_{p}_s": f"phases.decode.itl_s.{p}" for p in ("p50", "p95", "p99")},
    **{
        f"{phase}_{name}": f"phases.{phase}.{name}"
        for phase in ("prefill", "decode")
        for name in ("tokens_per_s", "mfu", "mbu")
    },
    **{
        f"kv_{name}": f"kv_cache.{name}"
        for name in ("waste_share", "usage_peak_share", "bytes_per_token", "capacity_tokens")
    },
    "preemptions": "kv_cache.preemptions",
    "prefix_hit_share": "kv_cache.prefix_hit_share",
    "max_concurrency": "kv_cache.max_concurrency",
    "steptime_error_p50_share": "steptime.error_p50_share",
    "steptime_error_p90_share": "steptime.error_p90_share",
}


class Result(StrEnum):
    """Three answers, never two."""

    PASSED = "passed"
    BROKEN = "broken"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of one line; `interval` is what the audit knows of the metric."""

    limit: Limit
    path: str
    value: float | None
    interval: Interval | None
    result: Result
    why: str


def judge(document: Mapping[str, Any], budget: Sequence[Limit]) -> tuple[Verdict, ...]:
    """One verdict per line of the budget.

    Raises:
        UsageError: a metric is not in the document.
    """
    return tuple(_verdict(document, limit) for limit in budget)


def _verdict(document: Mapping[str, Any], limit: Limit) -> Verdict:
    path, value = _find(document, limit.metric)
    interval = _interval(document, path, value)
    result, why = _decide(limit, interval)
    if value is None:
        why = why_unknown(document, path) or "it was not measured"
    elif stale := _stale_price(document, path):
        result, why = Result.INCONCLUSIVE, stale
    return Verdict(limit=limit, path=path, value=value, interval=interval, result=result, why=why)


def _decide(limit: Limit, interval: Interval | None) -> tuple[Result, str]:
    """Broken only where the whole interval is beyond the limit, passed only where none of it is."""
    if interval is None:
        return Result.INCONCLUSIVE, ""
    if interval.low > limit.high or interval.high < limit.low:
        return Result.BROKEN, ""
    if limit.low <= interval.low and interval.high <= limit.high:
        return Result.PASSED, ""
    return Result.INCONCLUSIVE, "the limit lies inside the interval of what was measured"


def _find(document: Mapping[str, Any], metric: str) -> tuple[str, float | None]:
    """The place of a metric and its value.

    Raises:
        UsageError: no such metric, or it is no number.
    """
    names = {**SHORT_NAMES, **OWN_NAMES}
    known = {*names, *(p for p, v in leaves(document) if _is_number(v))}
    try:
        path, value = lookup(document, names.get(metric, metric))
    except KeyError:
        hint = did_you_mean(metric, known if "." in metric else names)
        if hint.startswith("known:"):  # all paths would fill a screen
            hint = did_you_mean(metric, names)
        raise UsageError(f"the audit has no metric {metric!r}", hint=hint) from None
    if not _is_number(value):
        hint = did_you_mean(metric, names)
        raise UsageError(f"the metric {metric!r} is no number in the audit", hint=hint)
    return path, value


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _interval(document: Mapping[str, Any], path: str, value: float | None) -> Interval | None:
    """What is known of a value: its own interval where the document has one, else the point."""
    if value is None:
        return None
    try:
        _, bounds = lookup(document, f"{path}_interval")
    except KeyError:
        bounds = None
    if bounds is None:
        return Interval(low=value, high=value)
    return Interval(low=bounds["low"], high=bounds["high"])


def _stale_price(document: Mapping[str, Any], path: str) -> str:
    """Why a figure in dollars decides nothing today; "" where it does."""
    if not any(part.startswith("usd_") for part in path.split(".")):
        return ""
    for price in document["pricing"]["prices"]:
        if price["stale"]:
            date = price["as_of"] or "undated"
            return f"the price of {price['source']} is stale ({date}); give today's with --price"
    return ""
