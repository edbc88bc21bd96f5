"""The figures of a window: batch, KV, queue, prefix, phases, tokens per second, dollars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.diagnosis import Facts
from costaudit.measure.window import RUNNING, WAITING

if TYPE_CHECKING:
    from costaudit.diagnosis.diagnosis import Price
    from costaudit.measure.window import Levels, Window
    from costaudit.target.target import Value

_GPU = "gpu."
_REASON = "requests.waiting_by_reason."
_PHASES = ("queue", "prefill", "decode")
_NOT_TOLD = "the server does not export it"
_TOO_FEW = f"a level read fewer than {signs.FEW_SAMPLES} times is a moment, no mean"
_MILLION = 1_000_000
_HOUR_S = 3600.0


def facts_of(w: Window, price: Price | None) -> Facts:
    """All figures; what is missing has its reason in `why`."""
    batch, room, share = _batch(w)
    running, kv = _enough(w.levels(RUNNING)), _enough(signs.kv(w))
    lost = signs.preemptions(w)
    hit_share, hit_why = prefix_hit_share(w)
    prompt, made, done = signs.prompted(w), signs.generated(w), signs.finished(w)
    usd, usd_generated = _dollars(w, price, prompt, made)
    return Facts(
        batch_mean=batch,
        batch_slots=float(room.value) if isinstance(room.value, (int, float)) else None,
        batch_slots_origin=room.origin.value,
        batch_share=share,
        busy_share=None if running is None else running.above_zero_share,
        kv_usage=kv,
        preemptions=lost,
        preemptions_per_request=_over(lost, done),
        waiting=_enough(w.levels(WAITING)),
        waiting_mean=signs.queued_mean(w),
        waiting_by_reason=waiting_by_reason(w),
        queue_reason=_queue_reason(w),
        prefix_hit_share=hit_share,
        phase_shares=phase_shares(w),
        prompt_tokens_per_s=_over(prompt, w.seconds),
        generated_tokens_per_s=_over(made, w.seconds),
        requests_per_s=_over(done, w.seconds),
        ttft_s=w.mean("latency.ttft"),
        itl_s=w.mean("latency.itl") or w.mean("latency.tpot"),
        e2e_s=w.mean("latency.e2e"),
        usd_per_1m_tokens=usd,
        usd_per_1m_generated=usd_generated,
        gpu={n: g.mean for n, g in w.gauges.items() if n.startswith(_GPU)},
        gpus=_gpus(w),
        why=_missing(w, {"prefix_hit_share": hit_why} if hit_why else {}),
    )


def _gpus(w: Window) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for name, by_uuid in w.ranks.items():
        for uuid, levels in by_uuid.items() if name.startswith(_GPU) else ():
            found.setdefault(uuid, {})[name] = levels.mean
    return found


def _missing(w: Window, known: dict[str, str]) -> dict[str, str]:
    """Why figures are missing, by their names."""
    told = {
        "batch_mean": signs.batch_mean(w),
        "batch_slots": signs.slots(w).value,
        "kv_usage": _enough(signs.kv(w)),
        "preemptions": signs.preemptions(w),
        "waiting": signs.queued_mean(w),
        "prompt_tokens_per_s": signs.prompted(w),
        "generated_tokens_per_s": signs.generated(w),
        "ttft_s": w.mean("latency.ttft"),
    }
    why = {name: _NOT_TOLD for name, value in told.items() if value is None}
    if signs.kv(w) is not None and "kv_usage" in why:
        why["kv_usage"] = _TOO_FEW
    return why | known | dict(w.why)


def _enough(levels: Levels | None) -> Levels | None:
    """The levels, where they are more than a few moments."""
    return levels if levels is not None and levels.samples >= signs.FEW_SAMPLES else None


def prefix_hit_share(w: Window) -> tuple[float | None, str]:
    """Hits over queries of the prefix cache, and why there is no such share."""
    queries, hits = w.grown("prefix.queries_total"), w.grown("prefix.hits_total")
    misses = w.grown("prefix.misses_total")
    if queries is None and hits is not None and misses is not None:
        queries = hits + misses
    if queries is not None and hits is not None:
        if queries > 0:
            return hits / queries, ""
        off = w.knob("enable_prefix_caching") is False
        return None, "prefix caching is off" if off else "nothing was asked of the prefix cache"
    cached, prompt = w.grown("tokens.prompt_cached_total"), signs.prompted(w)
    share = _over(cached, prompt)
    return share, "" if share is not None else "the server does not count prefix-cache hits"


def phase_shares(w: Window) -> dict[str, float]:
    """Shares of the finished requests' time in queue, prefill and decode; empty: not told."""
    spent = {name: w.histograms.get(f"latency.{name}") for name in _PHASES}
    totals = {name: found.total for name, found in spent.items() if found is not None}
    whole = sum(totals.values())
    if len(totals) < len(_PHASES) or whole <= 0:
        return {}
    return {name: total / whole for name, total in totals.items()}


def waiting_by_reason(w: Window) -> dict[str, float]:
    """Mean number of waiting requests by the reason that the server gives, where above 0."""
    return {
        name.removeprefix(_REASON): levels.mean
        for name, levels in w.gauges.items()
        if name.startswith(_REASON) and levels.mean > 0
    }


def _batch(w: Window) -> tuple[float | None, Value, float | None]:
    mean, room = signs.batch_mean(w), signs.slots(w)
    known = isinstance(room.value, (int, float)) and room.value > 0
    return mean, room, _over(mean, float(room.value)) if known and room.value else None


def _queue_reason(w: Window) -> str:
    waiting = signs.queued_mean(w)
    if not waiting:
        return ""
    told = waiting_by_reason(w)
    return max(told, key=lambda name: told[name]) if told else "not told"


def _dollars(
    w: Window, price: Price | None, prompt: float | None, made: float | None
) -> tuple[float | None, float | None]:
    if price is None or w.seconds <= 0:
        return None, None
    usd = price.usd_per_device_h * price.devices * w.seconds / _HOUR_S * _MILLION
    both = None if prompt is None or made is None else prompt + made
    return _over(usd, both), _over(usd, made)


def _over(top: float | None, bottom: float | None) -> float | None:
    return top / bottom if top is not None and bottom else None
