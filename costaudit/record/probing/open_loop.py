"""The workload, or a trace, at intended start times: an open loop does not wait for the server.

A request that finds no stream free waits, and its latency counts from when it was meant to start,
so that a server that stalls is not flattered by the requests that it kept from being sent. When
each was due is written down (fact "due_s"), those that were never sent too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.record.probing import timing
from costaudit.record.probing.arrivals import TRACE, starts_s
from costaudit.record.probing.rungs import run_rung, shot
from costaudit.record.probing.traced import traced
from costaudit.record.probing.workload_shots import cycled, drawn_requests
from costaudit.recording.rows import Fact, Task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from costaudit.record.client.load import RungEnd, Shot
    from costaudit.record.probing.probing import Probing
    from costaudit.traffic.traffic import Traffic

OPEN = "open loop"
MOST_REQUESTS = 20_000
DRAIN_SHARE = 0.25  # of its time: nothing more is sent, what runs may end


def plan_open(probing: Probing) -> list[Task]:
    """The one task of this phase, where a rate or a trace was given."""
    if probing.options.requests_per_s is None and probing.options.trace is None:
        return []
    est_s = timing.OPEN_SHARE * probing.options.time_budget_s
    return [Task(id=OPEN, kind=OPEN, spec={"purpose": OPEN, "est_s": est_s})]


def open_rung(probing: Probing, task: Task) -> None:
    """Send what is due until the time for it is over; what is under way may still end."""
    options = probing.options
    whole_s = timing.OPEN_SHARE * options.time_budget_s
    window_s = whole_s * (1 - DRAIN_SHARE)
    timed, about = _timed(probing)
    due: list[tuple[float, Shot]] = []
    for start_s, one in timed:
        if start_s >= window_s or len(due) >= MOST_REQUESTS:
            break
        due.append((start_s, one))

    def facts(_: RungEnd) -> tuple[Fact, ...]:
        starts = [round(start_s, 6) for start_s, _ in due]
        return (
            Fact(subject=OPEN, name="about", value={**about, "window_s": window_s}),
            Fact(subject=OPEN, name="due_s", value=starts, unit="s"),
        )

    if not due:
        why = f"no request was due within {window_s:.0f} s"
        probing.recording.add(Fact(subject=OPEN, name="about", value=None, why=why), done=task.id)
        return
    run_rung(
        probing,
        task.id,
        (one for _, one in due),
        requests=len(due),
        concurrency=options.limits.concurrency,
        longest_s=whole_s,
        facts=facts,
    )
    probing.settle()


def _timed(probing: Probing) -> tuple[Iterator[tuple[float, Shot]], dict[str, object]]:
    """Requests with their intended starts, and what they are."""
    options = probing.options
    if options.trace is not None:
        return _traced(probing, options.trace)
    rate = options.requests_per_s or 0.0
    starts = starts_s(options.arrivals, requests_per_s=rate, seed=options.seed)
    shots = cycled(probing, drawn_requests(probing), starts=starts)
    about = {"arrivals": options.arrivals, "requests_per_s": rate}
    return ((one.start_s or 0.0, one) for one in shots), about


def _traced(probing: Probing, trace: str) -> tuple[Iterator[tuple[float, Shot]], dict[str, object]]:
    from costaudit.traffic.sample import read_traffic  # loads DuckDB

    traffic, options = read_traffic(trace), probing.options
    scale = _fitting(probing, traffic)
    about = {
        "arrivals": TRACE,
        "trace": trace,
        "trace_sha256": traffic.sha256,
        "time_scale": options.time_scale,
        "length_scale": scale,
        "requests": len(traffic.requests),
    }
    return _shots(probing, traffic, scale), about


def _fitting(probing: Probing, traffic: Traffic) -> float:
    """The scale of lengths at which the longest request fits; at most 1, or what was asked for."""
    longest = max(r.prompt_tokens + r.output_tokens for r in traffic.requests)
    room = min(probing.context_tokens, probing.kv_tokens or probing.context_tokens) - 2
    fits = min(1.0, room / max(1, longest))
    return min(fits, probing.options.scale) if probing.options.scale else fits


def _shots(probing: Probing, traffic: Traffic, scale: float) -> Iterator[tuple[float, Shot]]:
    requests = traced(
        traffic, probing.prompts, time_scale=probing.options.time_scale, length_scale=scale
    )
    for number, one in enumerate(requests):
        yield (
            one.start_s,
            shot(
                probing,
                number,
                one.prompt,
                one.prompt_tokens,
                one.output_tokens,
                start_s=one.start_s,
            ),
        )
