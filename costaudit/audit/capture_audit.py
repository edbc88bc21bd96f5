"""The Audit document of an imported capture: where device time went, and all that it cannot say.

A capture holds kernels and ranges, no requests, no model and no peaks. So the bill is in
device-seconds of the captured window, no step-time model is fitted, and no step is judged.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from costaudit.audit.ahead import went_on
from costaudit.audit.course_section import course_section
from costaudit.audit.document import SCHEMA
from costaudit.audit.prices import known_prices
from costaudit.audit.pricing_section import pricing_section
from costaudit.audit.provenance import instruments_section
from costaudit.audit.reasons import reasons
from costaudit.audit.sections import device_section
from costaudit.audit.unknowns import explain
from costaudit.bill.slices import SliceId
from costaudit.ground.errors import InconclusiveError
from costaudit.measure.groups import device_metrics
from costaudit.measure.reading import Reading, is_number
from costaudit.recording.rows import Phase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.audit.situation import AuditOptions
    from costaudit.recording.recording import Recording

KIND = "capture"
NO_MODEL = "a capture tells when the device was busy, not which requests and model kept it so"
_NO_PHASE = "no range of the capture names prefill or decode; name them with --prefill and --decode"
_NO_TOKENS = "a capture's ranges are steps, not the tokens of one request"
_GAPS = "no operation on the device between the first and the last of a range of a phase"
_REST = "busy time, whose ideal needs the model, and idle time outside the phases"
_LATENCY = {Phase.PREFILL: "ttft_s", Phase.DECODE: "itl_s"}
_PARTS = ("window_s", "busy_s", "attributed_s", "no_call_s", "no_range_s", "gaps_s")
_KV = ("bytes_per_token", "capacity_tokens", "usage_peak_share", "waste_share", "preemptions",
       "prefix_hit_share", "max_concurrency")  # fmt: skip


def capture_audit(recording: Recording, options: AuditOptions) -> dict[str, Any]:
    """The document of an open recording of kind "capture".

    Raises:
        InconclusiveError: the import ended before the capture was attributed.
    """
    reading = Reading(facts=recording.facts())
    seconds = {name: reading.number(KIND, name, f"capture.{name}") for name in _PARTS}
    if not all(is_number(value) for value in seconds.values()):
        raise InconclusiveError(
            f"{recording.path} holds no attributed capture", hint="import the capture again"
        )
    document = _sections(reading, seconds, options) | {
        "course": course_section(recording, went_on(recording)),
        "instruments": instruments_section(recording),
        "provenance": _provenance(recording),
        "notes": _notes(reading, seconds),
    }
    unknown = reading.unknown | _unknown(document["phases"])
    document["unknown"] = explain(document, reasons(document, unknown))
    return document


def _sections(
    reading: Reading, seconds: Mapping[str, Any], options: AuditOptions
) -> dict[str, Any]:
    device = device_metrics(reading)
    prices = known_prices(
        device,
        given_usd=options.usd_per_device_h,
        reserved_usd=options.reserved_usd_per_device_h,
        own=options.own,
        today=options.today or dt.datetime.now(dt.UTC).date(),
    )
    refused = {"error_p50_share": None, "error_p90_share": None, "refused": True, "why": NO_MODEL}
    return {
        "schema": SCHEMA,
        "target": _target(reading),
        "device": device_section(device),
        "workload": _workload(),
        "phases": {str(phase): _phase(reading, phase) for phase in Phase},
        "kv_cache": dict.fromkeys(_KV),
        "steptime": {"terms": {}, **refused},
        "bill": _bill(reading, seconds, prices[0].usd_per_device_h if prices else None),
        "playbook": [],
        "order": {"best": [], "alternatives": [], "conventional": [], "why": NO_MODEL},
        "pricing": pricing_section(prices, NO_MODEL),
        "capture": _capture(reading, seconds),
        "unknown": [],
    }


def _workload() -> dict[str, Any]:
    return {
        "probe": KIND,
        "stands_for": "the program that was captured, as long as the capture lasted",
        "prompt_tokens": dict.fromkeys(("mean", "p50", "p95")),
        "output_tokens": dict.fromkeys(("mean", "p50", "p95")),
        "prefix_share": None,
    }


def _capture(reading: Reading, seconds: Mapping[str, Any]) -> dict[str, Any]:
    by_range = reading.fact(KIND, "ranges")
    return {
        **seconds,
        "graph_replays": reading.whole(KIND, "graph_replays", "capture.graph_replays"),
        "ranges": by_range.value if by_range is not None else [],
    }


def _target(reading: Reading) -> dict[str, Any]:
    return {
        "kind": KIND,
        "engine": reading.text("target", "engine"),
        "engine_version": reading.text("target", "engine_version"),
        "model": reading.text("target", "model"),
        "knobs": {},
    }


def _phase(reading: Reading, phase: Phase) -> dict[str, Any]:
    told = reading.table(KIND, f"phase/{phase}")
    seen, tokens = bool(told.get("ranges")), told.get("tokens")
    device_s = told.get("device_s") if seen else None
    return {
        "tokens_per_s": tokens / device_s if tokens and device_s else None,
        "mfu": None,
        "mbu": None,
        _LATENCY[phase]: {"p50": None, "p95": None, "p99": None, "samples": 0},
        "bound": None,
        "device_s": device_s,
        "bandwidth_tier": "",
        "mbu_tier": "",
        "roofline": [],
    }


def _bill(
    reading: Reading, seconds: Mapping[str, Any], usd_per_device_h: float | None
) -> dict[str, Any]:
    """Device-seconds of the window: gaps inside the phases are known, the rest has no ideal."""
    window = seconds["window_s"]
    seen = any(reading.table(KIND, f"phase/{phase}").get("ranges") for phase in Phase)
    gaps = seconds["gaps_s"] if seen else None
    slices = [_slice(part, None, window, NO_MODEL) for part in SliceId]
    gaps_at = list(SliceId).index(SliceId.STEP_OVERHEAD)
    slices[gaps_at] = _slice(SliceId.STEP_OVERHEAD, gaps, window, _GAPS if seen else _NO_PHASE)
    slices[-1] = _slice(SliceId.UNEXPLAINED, window - (gaps or 0.0), window, _REST)
    return {
        "usd_per_gpu_h": usd_per_device_h,
        "usd_per_1m_tokens": None,
        "usd_per_1m_input": None,
        "usd_per_1m_output": None,
        "gpu_s": window,
        "slices": slices,
        "unexplained_share": slices[-1]["share"],
        "why": NO_MODEL,
    }


def _slice(part: SliceId, gpu_s: float | None, window: float, words: str) -> dict[str, Any]:
    """A slice; `words` are its source, or why it cannot be told."""
    told = {"source": words}
    untold = {"source": "", "why": words, "inside": str(SliceId.UNEXPLAINED)}
    return {
        "id": str(part),
        "gpu_s": gpu_s,
        "share": None if gpu_s is None else gpu_s / window,
        "usd_per_1m": None,
        **(untold if gpu_s is None else told),
    }


def _unknown(phases: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    found = {"workload": NO_MODEL, "kv_cache": NO_MODEL, "steptime": NO_MODEL}
    for phase, latency in _LATENCY.items():
        section, path = phases[phase], f"phases.{phase}"
        found[path] = NO_MODEL if section["device_s"] is not None else _NO_PHASE
        found[f"{path}.{latency}"] = _NO_TOKENS
        if section["device_s"] is not None:
            found[f"{path}.tokens_per_s"] = "the ranges carry no number of tokens as payload"
    return found


def _provenance(recording: Recording) -> dict[str, Any]:
    meta = recording.meta()
    return {
        "costaudit_version": str(meta.get("costaudit", "")),
        "created_utc": str(meta.get("created", "")),
        "recording": recording.path.name,
        "command": f"costaudit import {meta.get('source', '')}",
    }


def _notes(reading: Reading, seconds: Mapping[str, Any]) -> list[str]:
    fact = reading.fact(KIND, "notes")
    own = [str(note) for note in fact.value] if fact and isinstance(fact.value, list) else []
    if seconds["no_call_s"]:
        own.append(
            "Operations whose launch lies outside the capture (it was trimmed, or the CUDA calls "
            "were not traced) belong to no range."
        )
    return own
