"""What was observed, as (label, figure, note) rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from costaudit.report import figures

if TYPE_CHECKING:
    from collections.abc import Mapping

_HOW = {  # a sceptic makes the same figure from the same file
    "requests_sha256": "of one line per simulated request: prompt and output tokens, a space",
    "trace_sha256": "of one line per replayed request: arrival, prompt and output tokens",
    "demand_sha256": "of one line per window: its start, requests, prompt and output tokens",
}
_NAMED = 3  # unknown places named in full where one reason covers many


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of a table of facts."""

    label: str
    text: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseRow:
    """Prefill or decode, in words."""

    name: str
    tokens_per_s: str
    mfu: str
    mbu: str
    latency_name: str
    p50: str
    p95: str
    p99: str
    bound: str
    tier: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A small table of figures."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def phase_rows(phases: Mapping[str, Any]) -> list[PhaseRow]:
    """Prefill and decode beside each other."""
    return [
        _phase("Prefill", phases["prefill"], "TTFT", "ttft_s"),
        _phase("Decode", phases["decode"], "ITL", "itl_s"),
    ]


def _phase(name: str, phase: Mapping[str, Any], latency: str, key: str) -> PhaseRow:
    times = phase[key]
    return PhaseRow(
        name=name,
        tokens_per_s=figures.significant(phase["tokens_per_s"]),
        mfu=figures.percent(phase["mfu"]),
        mbu=figures.percent(phase["mbu"]),
        latency_name=latency,
        p50=figures.duration(times["p50"]),
        p95=figures.duration(times["p95"]),
        p99=figures.duration(times["p99"]),
        bound=phase["bound"] or figures.UNKNOWN,
        tier=phase.get("bandwidth_tier", ""),
    )


def kv_facts(kv: Mapping[str, Any]) -> list[Fact]:
    """The KV cache: size of a token, room, waste by layout, pressure."""
    formula = kv.get("bytes_per_token_formula")
    note = f"by formula {figures.binary_bytes(formula)}" if formula is not None else ""
    facts = [
        Fact(label="One token holds", text=figures.binary_bytes(kv["bytes_per_token"]), note=note),
        Fact(label="Room for", text=f"{figures.count(kv['capacity_tokens'])} tokens"),
        Fact(label="Sequences at once, at most", text=figures.count(kv["max_concurrency"])),
        Fact(label="Highest use of the room", text=figures.percent(kv["usage_peak_share"])),
        Fact(label="Reserved without a live token", text=figures.percent(kv["waste_share"])),
        Fact(label="Preemptions", text=figures.count(kv["preemptions"])),
        Fact(label="Prompt tokens from prefix cache", text=figures.percent(kv["prefix_hit_share"])),
    ]
    for layout, share in kv.get("waste_by_layout", {}).items():
        facts.append(Fact(label=f"Waste with a {layout} layout", text=figures.percent(share)))
    return facts


def workload_facts(workload: Mapping[str, Any]) -> list[Fact]:
    """What was run, and for what it stands."""
    source = workload.get("probe") or workload.get("trace") or figures.UNKNOWN
    facts = [
        Fact(label="Workload", text=source, note=workload.get("stands_for", "")),
        Fact(label="Prompt tokens", text=_lengths(workload["prompt_tokens"])),
        Fact(label="Output tokens", text=_lengths(workload["output_tokens"])),
        Fact(label="Shared prefix", text=figures.percent(workload["prefix_share"])),
    ]
    if "requests" in workload:
        facts.append(Fact(label="Requests", text=figures.count(workload["requests"])))
    if workload.get("scale", 1) != 1:
        scale = f"× {figures.significant(workload['scale'])}"
        facts.append(Fact(label="Lengths scaled", text=scale, note=workload.get("scale_why", "")))
    for name, limit in workload.get("slo", {}).items():
        text = figures.duration(limit) if name.endswith("_s") else figures.given(limit)
        facts.append(Fact(label=f"SLO {name.removesuffix('_s').upper()}", text=text))
    return facts


def device_facts(device: Mapping[str, Any]) -> list[Fact]:
    """The device and its peaks, measured beside the datasheet."""
    flops, bandwidth = device["peak_flops"], device["peak_bandwidth_bytes_per_s"]
    facts = [
        Fact(
            label="Device", text=f"{device['name'] or figures.UNKNOWN} × {device['count'] or '?'}"
        ),
        Fact(label="Memory", text=figures.binary_bytes(device["memory_bytes"])),
        _peak("Peak compute", flops, device.get("datasheet_flops"), "FLOP/s"),
        _peak("Peak bandwidth", bandwidth, device.get("datasheet_bandwidth_bytes_per_s"), "B/s"),
    ]
    if held := device.get("allocator"):
        facts.append(_allocator(held))
    if "throttled_share" in device:
        text = throttled(device["throttled_share"])
        facts.append(Fact(label="Clocks held down", text=text, note="of the recording, by reason"))
    return facts


def _allocator(held: Mapping[str, float]) -> Fact:
    """What tensors held at most, and what torch's allocator took from the driver for them."""
    text = figures.binary_bytes(held.get("allocated_peak_bytes"))
    note = f"{figures.binary_bytes(held.get('reserved_peak_bytes'))} taken from the driver"
    if "fragmented_peak_share" in held:
        share = figures.percent(held["fragmented_peak_share"])
        note += f"; {share} of it in pieces between tensors"
    return Fact(label="Tensors held at most", text=text, note=note)


def throttled(shares: Mapping[str, float]) -> str:
    """Shares of time by reason in words; reasons may overlap, so no sum is told."""
    parts = [f"{reason} {figures.percent(share)}" for reason, share in shares.items() if share]
    return ", ".join(parts) or "never"


def _peak(
    label: str, peak: Mapping[str, Any], datasheet: Mapping[str, Any] | None, unit: str
) -> Fact:
    note = str(peak["origin"]) + (f": {peak['why']}" if peak.get("why") else "")
    if datasheet and datasheet["value"] is not None:
        note += f"; datasheet {figures.rate(datasheet['value'], unit)}"
    return Fact(label=label, text=figures.rate(peak["value"], unit), note=note)


def target_facts(target: Mapping[str, Any]) -> list[Fact]:
    """What is audited, with the origin of every setting."""
    version = target["engine_version"] or ""
    facts = [
        Fact(label="Model", text=target["model"]),
        Fact(label="Engine", text=f"{target['engine']} {version}".strip(), note=target["kind"]),
    ]
    if target.get("dtype"):
        facts.append(Fact(label="Data type", text=target["dtype"]))
    for name, knob in target["knobs"].items():
        note = knob["origin"] + (f": {knob['why']}" if knob.get("why") else "")
        facts.append(Fact(label=name, text=figures.given(knob["value"]), note=note))
    return facts


def steptime_facts(steptime: Mapping[str, Any]) -> list[Fact]:
    """How far the step-time model may be trusted."""
    held_out, fitted = steptime.get("held_out_points"), steptime.get("fitted_points")
    note = f"{held_out} probes held out, {fitted} fitted" if held_out is not None else ""
    return [
        Fact(
            label="Median error on unseen probes",
            text=figures.percent(steptime["error_p50_share"]),
            note=note,
        ),
        Fact(label="90th percentile", text=figures.percent(steptime["error_p90_share"])),
        *(
            Fact(label=f"Term {name}", text=figures.significant(value))
            for name, value in steptime["terms"].items()
        ),
    ]


def instrument_facts(instruments: list[Mapping[str, Any]]) -> list[Fact]:
    """Each meter and what became of it."""
    return [
        Fact(
            label=i["meter"],
            text=i["state"],
            note="; ".join(part for part in (i["tier"], i["why"]) if part),
        )
        for i in instruments
    ]


def unknown_facts(document: Mapping[str, Any]) -> list[Fact]:
    """Reasons with all that they leave unknown; steps and slices say it in their own rows."""
    by_reason: dict[str, list[str]] = {}
    for entry in document["unknown"]:
        if not entry["what"].startswith(("playbook.", "bill.slices.", "order.")):
            by_reason.setdefault(entry["why"], []).append(entry["what"])
    return [Fact(label=_some(what), text=why) for why, what in by_reason.items()]


def origin_facts(document: Mapping[str, Any]) -> list[Fact]:
    """What was run, when and on what."""
    return [
        Fact(label=name.replace("_", " "), text=figures.given(value), note=_HOW.get(name, ""))
        for name, value in document.get("provenance", {}).items()
        if not isinstance(value, (list, dict)) and value is not None
    ]


def provenance_facts(document: Mapping[str, Any]) -> list[Fact]:
    """Where this report comes from, with the instruments and the prices."""
    facts = origin_facts(document)
    for path, tier in document.get("provenance", {}).get("tiers", {}).items():
        facts.append(Fact(label=f"tier of {path}", text=tier))
    for price in document["pricing"]["prices"]:
        usd = price.get("usd_per_device_h")
        text = f"{figures.usd(usd)} per device-hour" if usd is not None else price["source"]
        age = "stale" if price["stale"] else ""
        parts = (price["source"], price["as_of"] and f"as of {price['as_of']}", age)
        facts.append(Fact(label="price", text=text, note="; ".join(p for p in parts if p)))
    return facts


def _lengths(lengths: Mapping[str, Any]) -> str:
    mean, p50, p95 = (figures.count(lengths[key]) for key in ("mean", "p50", "p95"))
    return f"{mean} on average, median {p50}, p95 {p95}"


def _some(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
