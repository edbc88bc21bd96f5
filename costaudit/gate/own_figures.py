"""Figures that a budget may hold and no audit does: by the month, and of the audit itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.recording.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from costaudit.gate.budget import Budget

PLACE = "gate"  # where they stand in the document that is judged
SECONDS_PER_H, TOKENS_PER_M, K_REQUESTS = 3600.0, 1e6, 1e3
NO_DEMAND = "the budget declares no demand: write [demand] with requests_per_month"
NO_PRICE = "no price of a device-hour is known; give one with --price"


def with_own_figures(document: Mapping[str, Any], budget: Budget, run: Path) -> dict[str, Any]:
    """The document with the figures that the budget's lines name, and why one is unknown.

    Raises:
        UsageError: the recording cannot be read.
    """
    wanted = {limit.metric for limit in budget.limits} & set(_FIGURES)
    own: dict[str, Any] = {}
    unknown = list(document["unknown"])
    for name in sorted(wanted):
        values, why = _FIGURES[name](document, budget, run)
        own |= values
        if why:
            unknown.append({"what": f"{PLACE}.{name}", "why": why})
    return {**document, PLACE: own, "unknown": unknown}


_Figure = tuple[dict[str, Any], str]  # by name, None where unknown; and why


def _usd_per_month(document: Mapping[str, Any], budget: Budget, _: Path) -> _Figure:
    """Requests a month, times tokens of a mean request, times USD per token."""
    bill, demand = document["bill"], budget.requests_per_month
    usd = bill["usd_per_1m_tokens"]
    if demand is None or usd is None:
        return {"usd_per_month": None}, NO_DEMAND if demand is None else NO_PRICE
    tokens = (bill["prompt_tokens"] + bill["output_tokens"]) / document["workload"]["requests"]
    factor = demand * tokens / TOKENS_PER_M
    bounds = bill.get("usd_per_1m_tokens_interval")
    scaled = bounds and {end: value * factor for end, value in bounds.items()}
    return {"usd_per_month": usd * factor, "usd_per_month_interval": scaled}, ""


def _preemptions(document: Mapping[str, Any], _: Budget, __: Path) -> _Figure:
    seen, requests = document["kv_cache"]["preemptions"], document["workload"]["requests"]
    if seen is None:
        return {"preemptions_per_1k_requests": None}, "preemptions were not recorded"
    return {"preemptions_per_1k_requests": seen * K_REQUESTS / requests}, ""


def _audit_gpu_s(document: Mapping[str, Any], _: Budget, run: Path) -> _Figure:
    """The devices are taken for the whole of the recording, used or not."""
    with Recording.read(run) as recording:
        clock_s = recording.meta().get("clock_s")
    if not isinstance(clock_s, (int, float)):
        return {"audit_gpu_s": None}, "the recording does not tell how long it took"
    return {"audit_gpu_s": clock_s * document["device"]["count"]}, ""


def _usd_of_audit(document: Mapping[str, Any], budget: Budget, run: Path) -> _Figure:
    spent, why = _audit_gpu_s(document, budget, run)
    rate = document["bill"]["usd_per_gpu_h"]
    if why or rate is None:
        return {"usd_of_audit": None}, why or NO_PRICE
    return {"usd_of_audit": spent["audit_gpu_s"] * rate / SECONDS_PER_H}, ""


_FIGURES: Mapping[str, Callable[[Mapping[str, Any], Budget, Path], _Figure]] = {
    "usd_per_month": _usd_per_month,
    "preemptions_per_1k_requests": _preemptions,
    "audit_gpu_s": _audit_gpu_s,
    "usd_of_audit": _usd_of_audit,
}
OWN_NAMES: Mapping[str, str] = {name: f"{PLACE}.{name}" for name in _FIGURES}
