"""The figures of a diagnosis in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.report import figures
from costaudit.report.fact_rows import Fact

if TYPE_CHECKING:
    from costaudit.diagnosis.diagnosis import Diagnosis, Facts
    from costaudit.measure.window import Levels

_BUSY = "gpu.kernel_running_share"
_HARDLY = 0.05  # requests
_NO_DATA = "no data"  # never a zero


def fact_rows(found: Diagnosis) -> list[Fact]:
    """Batch, KV, queue, prefix, phases, tokens per second and dollars."""
    facts, why = found.facts, found.facts.why
    return [
        _row("Batch", _batch(facts), why.get("batch_mean", "")),
        _row("KV cache in use", _levels(facts.kv_usage), why.get("kv_usage", "")),
        _row("Preemptions", _count(facts.preemptions), why.get("preemptions", "")),
        _row("Waiting", _waiting(facts), why.get("waiting", "")),
        _row("Prefix cache hits", _share(facts.prefix_hit_share), why.get("prefix_hit_share", "")),
        _row("Requests' time", _phases(facts), "the server does not time its phases"),
        _row(
            "Tokens per second",
            _tokens(facts),
            why.get("generated_tokens_per_s", why.get("prompt_tokens_per_s", "")),
        ),
        _row("Mean latency", _latency(facts), "no request ended, or none is timed"),
        _row("GPU", _gpu(facts), "no GPU beside it that can be read"),
        _row("Cost", _dollars(found), "give the price of a device-hour by --price"),
    ]


def _row(label: str, text: str, why: str) -> Fact:
    return Fact(label=label, text=text or _NO_DATA, note="" if text else why)


def _batch(facts: Facts) -> str:
    if facts.batch_mean is None:
        return ""
    text = f"{figures.significant(facts.batch_mean)} requests"
    if facts.batch_slots is not None:
        text += f" of at most {figures.count(facts.batch_slots)} ({facts.batch_slots_origin})"
    if facts.busy_share is not None:
        text += f", busy in {figures.percent(facts.busy_share)} of the readings"
    return text


def _levels(levels: Levels | None) -> str:
    if levels is None:
        return ""
    return f"{figures.percent(levels.mean)} on average, at most {figures.percent(levels.high)}"


def _waiting(facts: Facts) -> str:
    if facts.waiting_mean is None:
        return ""
    if 0 < facts.waiting_mean < _HARDLY:
        return "hardly any"
    text = f"{figures.significant(facts.waiting_mean)} requests on average"
    return f"{text}; reason: {facts.queue_reason}" if facts.queue_reason else text


def _phases(facts: Facts) -> str:
    return ", ".join(
        f"{name} {figures.percent(share)}" for name, share in facts.phase_shares.items()
    )


def _tokens(facts: Facts) -> str:
    told = (
        ("prompt", facts.prompt_tokens_per_s),
        ("generated", facts.generated_tokens_per_s),
    )
    return ", ".join(f"{figures.significant(v)} {name}" for name, v in told if v is not None)


def _latency(facts: Facts) -> str:
    told = (("TTFT", facts.ttft_s), ("between tokens", facts.itl_s), ("whole", facts.e2e_s))
    return ", ".join(f"{name} {figures.duration(v)}" for name, v in told if v is not None)


def _gpu(facts: Facts) -> str:
    """What NVML or the server says of the devices; of several, how far apart they are."""
    busy = facts.gpu.get(_BUSY, facts.gpu.get("gpu.utilization"))
    used, whole = facts.gpu.get("gpu.memory_used"), facts.gpu.get("gpu.memory_total")
    each = [gpu[_BUSY] for gpu in facts.gpus.values() if _BUSY in gpu]
    told = [f"{len(facts.gpus)} devices"] if facts.gpus else []
    if busy is not None:
        told.append(f"a kernel was running {figures.percent(busy)} of the time")
    if len(each) > 1:
        told.append(f"{figures.percent(min(each))} to {figures.percent(max(each))} by device")
    if used is not None and whole is not None:
        told.append(f"{figures.binary_bytes(used)} of {figures.binary_bytes(whole)} in use")
    return ", ".join(told)


def _dollars(found: Diagnosis) -> str:
    facts = found.facts
    if found.price is None:
        return ""
    told = (
        ("1M tokens", facts.usd_per_1m_tokens),
        ("1M generated", facts.usd_per_1m_generated),
    )
    text = ", ".join(f"{figures.usd(v)} per {name}" for name, v in told if v is not None)
    return text or "no token was counted in the window"


def _count(value: float | None) -> str:
    return "" if value is None else figures.count(value)


def _share(value: float | None) -> str:
    return "" if value is None else figures.percent(value)
