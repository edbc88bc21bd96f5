"""One rung, and what an audit would send, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.report import figures

if TYPE_CHECKING:
    from collections.abc import Mapping

_LATENCIES = {
    "ttft_s": "TTFT",
    "itl_s": "ITL",
    "tpot_s": "TPOT",
    "e2e_s": "E2E",
}
_SHARES = ("p50", "p90", "p99")


def rung_text(document: Mapping[str, Any]) -> str:
    """The latencies of a rung with how far each is to be trusted; fits 80 columns."""
    load, sent, tokens = document["load"], document["requests"], document["tokens"]
    lines = [
        f"{document['model']} at {document['url']} ({document['dialect']})",
        *document["notes"],
        (
            f"{load['concurrency']} streams, {sent['sent']} requests, {sent['failed']} failed"
            f" in {figures.duration(document['wall_s'])}"
        ),
        (
            f"{figures.significant(sent['per_s'])} requests/s,"
            f" {figures.significant(tokens['output_per_s'])} output tokens/s"
        ),
        "",
        f"{'':6}" + "".join(f"{share:>22}" for share in _SHARES),
    ]
    for key, name in _LATENCIES.items():
        spread = document["latency"][key]
        cells = "".join(f"{_cell(spread[share]):>22}" for share in _SHARES)
        lines.append(f"{name:6}{cells}")
    lines += ["", *_client(document["client"])]
    if document["stopped"]:
        lines.append(f"! stopped early: {document['stopped']}")
    lines += [f"failed {e['count']} times: {e['error']}" for e in sent["errors"][:5]]
    if any(not _enough(document, share) for share in _SHARES):
        lines.append("* too few samples to bound this percentile at 99 % confidence")
    return "\n".join(lines)


def dry_run_text(planned: Mapping[str, Any]) -> str:
    """What an audit would send, in words."""
    server, limits = planned["server"], planned["limits"]
    spend, source = planned["step_spend_usd_at_most"], planned["token_price_source"]
    told = [
        f"{server['engine']} {server['engine_version'] or ''}".strip()
        + f" serves {server['model']} at {server['base_url']}",
        *server["notes"],
        f"step probes: at most {planned['step_requests_at_most']} requests,"
        f" {planned['step_prompt_tokens_at_most']:,} prompt and"
        f" {planned['step_output_tokens_at_most']:,} output tokens"
        + (f", {figures.usd(spend)}" if spend is not None else "")
        + (f" (token prices: {source})" if source else ""),
        (
            f"then the workload over {planned['replay_concurrency']} streams, the ladder"
            + "".join(f", {phase}" for phase in planned["then"])
            + ","
            f" about {planned['seconds']:g} s in all"
        ),
        "limits: " + ", ".join(f"{k} {v:g}" for k, v in limits.items() if v is not None),
        "nothing was generated",
    ]
    if planned["refused"]:
        told.append(f"! {planned['refused']} before the probes are done")
    return "\n".join(told)


def _cell(percentile: Mapping[str, Any] | None) -> str:
    if percentile is None:
        return figures.UNKNOWN
    mark = "" if percentile["enough"] else "*"
    bound = percentile["client_error_s"]
    within = "" if bound is None else f" ± {figures.duration(bound)}"
    return f"{figures.duration(percentile['value_s'])}{mark}{within}"


def _enough(document: Mapping[str, Any], share: str) -> bool:
    spreads = (document["latency"][key][share] for key in _LATENCIES)
    return all(spread is None or spread["enough"] for spread in spreads)


def _client(client: Mapping[str, Any]) -> list[str]:
    cpu = figures.duration(client["cpu_s"])
    rss = figures.binary_bytes(client["peak_rss_bytes"])
    stamps = f"{client['stamps']} stamps"
    lines = [f"client: {cpu} of CPU, {rss}, {client['connections']} connections, {stamps}"]
    if client["bottleneck"]:
        lines.append(f"! the client was the bottleneck: {client['why']}")
    return lines
