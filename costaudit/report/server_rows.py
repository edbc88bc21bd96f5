"""How a server was attached to, in words: its replay, its ladder, and whether both sides agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.report import figures
from costaudit.report.fact_rows import Fact, Grid

if TYPE_CHECKING:
    from collections.abc import Mapping

_AGREED = {
    "requests": "Requests counted by both sides",
    "prompt_tokens": "Prompt tokens counted by both sides",
    "output_tokens": "Output tokens counted by both sides",
}


def server_facts(document: Mapping[str, Any]) -> list[Fact]:
    """What is to be known of the attachment; nothing where the target is no server."""
    server = document.get("server")
    if server is None:
        return []
    facts = [Fact(label="Server", text=server.get("base_url", ""), note=server.get("dialect", ""))]
    facts += [Fact(label="Note", text=note) for note in server.get("notes", ())]
    facts += _replay(server["replay"])
    facts += _open_loop(server.get("open_loop"))
    facts += _agreement(server.get("agreement", {}))
    if "stopped" in server:
        facts.append(Fact(label="Stopped early", text=server["stopped"]))
    return facts


def ladder_grid(document: Mapping[str, Any]) -> Grid | None:
    """Throughput and latency by concurrency; a percentile without enough samples is left open."""
    rungs = document.get("server", {}).get("ladder")
    if not rungs:
        return None
    return Grid(
        columns=("streams", "tokens/s", "TTFT p50", "TTFT p90", "ITL p50", "ITL p99", "failed"),
        rows=tuple(
            (
                figures.count(rung["concurrency"]),
                figures.significant(rung["tokens_per_s"]),
                figures.duration(rung["ttft_s"].get("p50")),
                figures.duration(rung["ttft_s"].get("p90")),
                figures.duration(rung["itl_s"].get("p50")),
                figures.duration(rung["itl_s"].get("p99")),
                figures.count(rung["failed"]),
            )
            for rung in rungs
        ),
    )


def _replay(replay: Mapping[str, Any]) -> list[Fact]:
    facts = []
    if "sent" in replay:
        streams = f"{replay['sent']} requests over {replay.get('concurrency', '?')} streams"
        ended = {"failed": replay.get("failed"), "were cut off at its end": replay.get("cut")}
        note = ", ".join(f"{count} {how}" for how, count in ended.items() if count)
        facts.append(Fact(label="Replay", text=streams, note=note))
    if "steady" in replay:
        steady = replay["steady"]
        span = figures.duration(steady["to_s"] - steady["from_s"])
        half = figures.percent(steady["half_share"])
        facts.append(Fact(label="Steady window", text=span, note=f"rate known to ± {half}"))
    client = replay.get("client", {})
    if client.get("lag_p99_s") is not None:
        lag = figures.duration(client["lag_p99_s"])
        cpu = figures.percent(client["cpu_s"] / client["wall_s"]) if client.get("wall_s") else "?"
        note = f"by the kernel's stamps; it used {cpu} of a core"
        facts.append(Fact(label="The client read late by, p99", text=lag, note=note))
    if client.get("bottleneck"):
        facts.append(Fact(label="The client was the bottleneck", text=client.get("why", "")))
    return facts


def _open_loop(opened: Mapping[str, Any] | None) -> list[Fact]:
    """Latencies from intended starts; nothing where no open loop was asked for."""
    if opened is None:
        return []
    about = opened["about"]
    offered, served = (figures.significant(opened[n]) for n in ("offered_per_s", "served_per_s"))
    scale = about.get("time_scale", 1)
    how = about.get("trace", about["arrivals"]) + (f", time × {scale:g}" if scale != 1 else "")
    facts = [
        Fact(
            label="Open loop",
            text=f"{figures.count(opened['due'])} requests due, {offered} a second ({how})",
            note=f"{served} a second served, {opened['failed']} failed,"
            f" {opened['unfinished']} not ended in time",
        )
    ]
    for name, label in (("ttft_s", "TTFT"), ("itl_s", "ITL"), ("e2e_s", "E2E")):
        told = ", ".join(f"{p} {figures.duration(s)}" for p, s in opened[name].items())
        text = told or "too few samples"
        facts.append(Fact(label=f"{label} in the open loop", text=text))
    if opened.get("slo_met_share") is not None:
        text = figures.percent(opened["slo_met_share"])
        facts.append(Fact(label="Within the SLO in the open loop", text=text))
    if opened.get("client_why"):
        facts.append(Fact(label="The client in the open loop", text=opened["client_why"]))
    return facts


def _agreement(both: Mapping[str, Any]) -> list[Fact]:
    facts = []
    for name, label in _AGREED.items():
        if name in both:
            ours, theirs = both[name]["client"], both[name]["server"]
            same = figures.count(ours)
            text = same if ours == theirs else f"{same} here, {figures.count(theirs)} there"
            facts.append(Fact(label=label, text=text))
    if "ttft_mean_s" in both:
        ours, theirs = both["ttft_mean_s"]["client"], both["ttft_mean_s"]["server"]
        text = f"{figures.duration(ours)} here, {figures.duration(theirs)} there"
        why = both.get("why") or "they agree"
        facts.append(Fact(label="Mean TTFT of the probes", text=text, note=why))
    return facts
