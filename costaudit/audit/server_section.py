"""The document's section on a server: how it was attached to, and what its own counters say."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from costaudit.measure.neighbours import replay_neighbours
from costaudit.measure.open_loop import open_loop
from costaudit.measure.rungs import agreement, ladder, replay_span
from costaudit.measure.served_doubts import cut_off, foreign_note, neighbours_note

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.measure.latency import Percentile, Spread
    from costaudit.measure.rungs import Agreement, RungSeen
    from costaudit.measure.server import ServerSpan
    from costaudit.recording.recording import Recording
    from costaudit.recording.rows import Fact

_TOLD = ("base_url", "dialect", "notes", "evidence", "canary", "limits", "front_end_s", "stopped")
_COUNTERS = (
    *("requests", "prompt_tokens", "generated_tokens", "computed_prompt_tokens", "preemptions"),
    *("kv_usage_peak_share", "kv_usage_mean_share", "running_peak", "running_mean"),
    *("waiting_peak", "prefix_hit_share", "decode_batch", "tokens_per_decode_step"),
)


def server_section(recording: Recording) -> dict[str, Any]:
    """What there is to say; what a server does not tell is left out, not null."""
    facts = recording.facts()
    own = facts.get("server", {})
    section: dict[str, Any] = {name: own[name].value for name in _TOLD if name in own}
    told = (foreign_note(recording), neighbours_note(recording))
    section["notes"] = [*section.get("notes", []), *filter(None, told)]
    section["replay"] = _replay(facts, cut=cut_off(recording))
    section["ladder"] = [_rung(rung) for rung in ladder(recording)]
    if (opened := open_loop(recording)) is not None:
        section["open_loop"] = asdict(opened)
    if (span := replay_span(recording)) is not None:
        section["counters"] = _counters(span)
    if (there := replay_neighbours(recording)) is not None:
        section["cores"] = {**asdict(there), "taken_share": there.taken_share}
    if (both := agreement(recording)) is not None:
        section["agreement"] = _agreement(both)
    return _known(section)


def _replay(facts: Mapping[str, Mapping[str, Fact]], *, cut: int) -> dict[str, Any]:
    """`cut`: of its requests that were under way when it ended; they did not fail."""
    about = facts.get("rung", {}).get("replay")
    steady = facts.get("replay", {}).get("steady")
    told: dict[str, Any] = {}
    if about is not None and isinstance(about.value, dict):
        kept = ("concurrency", "sent", "failed", "wall_s", "stopped")
        told |= {name: about.value[name] for name in kept if name in about.value}
        told |= {"cut": cut, "failed": max(0, told.get("failed", 0) - cut)}
        told["client"] = about.value.get("health", {})
    if steady is not None and isinstance(steady.value, dict):
        told["steady"] = steady.value
    return _known(told)


def _rung(rung: RungSeen) -> dict[str, Any]:
    return {
        "concurrency": rung.concurrency,
        "requests": rung.requests,
        "failed": rung.failed,
        "wall_s": rung.wall_s,
        "tokens_per_s": rung.tokens_per_s,
        "ttft_s": _spread(rung.ttft_s),
        "itl_s": _spread(rung.itl_s),
        "e2e_s": _spread(rung.e2e_s),
    }


def _spread(spread: Spread) -> dict[str, float]:
    """Percentiles with enough samples behind them."""
    told: dict[str, Percentile | None] = {"p50": spread.p50, "p90": spread.p90, "p99": spread.p99}
    return {name: p.value_s for name, p in told.items() if p is not None and p.enough}


def _counters(span: ServerSpan) -> dict[str, Any]:
    told = {name: getattr(span, name) for name in _COUNTERS}
    return _known({**told, "restarted": span.restarted, "scrapes": span.scrapes})


def _agreement(both: Agreement) -> dict[str, Any]:
    pairs = {
        "requests": both.requests,
        "prompt_tokens": both.prompt_tokens,
        "output_tokens": both.output_tokens,
        "ttft_mean_s": both.ttft_s,
    }
    told: dict[str, Any] = {
        name: {"client": ours, "server": theirs}
        for name, (ours, theirs) in pairs.items()
        if ours is not None and theirs is not None
    }
    if both.cut:
        told |= {"cut": both.cut, "unseen_output_tokens_at_most": both.unseen_output_tokens}
    return {**told, "agrees": both.check.agrees, "why": both.check.why}


def _known(told: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is not known, at any depth."""
    return {
        name: _known(value) if isinstance(value, dict) else value
        for name, value in told.items()
        if value is not None
    }
