"""What the pressure ramp found of a server's KV cache: each rung, and the knee between two of them.

Peaks and deltas only: a gauge of use swings between 0.1 and 1.0 within seconds while a server
preempts, so its mean says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from costaudit.measure.kv_blocks import lives, pool_of, waste_share
from costaudit.measure.scrapes import METER, Scrapes, Window
from costaudit.measure.server import ServerSpan, server_span
from costaudit.recording.answers import event_s, event_tokens, token_flow
from costaudit.recording.target_facts import target_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from costaudit.measure.kv_blocks import Pool
    from costaudit.recording.recording import Recording
    from costaudit.recording.rows import Answer, Gauge, RequestRow

PRESSURE, ENDED, REPLAY = "pressure", "ended", "replay"
COUNTED = (  # by vLLM 0.16 to 0.19; by SGLang, of the requests that it retracted
    "tokens.prompt_recomputed_total",
    "tokens.preempted_input_total",
    "tokens.preempted_output_total",
)
PREFIX_CACHING = ("prefix_caching", "enable_prefix_caching")


@dataclass(frozen=True, slots=True, kw_only=True)
class PressureRung:
    """One rung; None where the server does not tell.

    Attributes:
        streams: requests kept in flight; `at_once` of them generated at the same time, at most.
        prompt_tokens: of equal requests; None: the audited workload's own.
        full: blocks ran out, `by` "preemption" or "waiting".
        whole: it ran long enough for as many answers as streams, at least.
        recomputed_tokens: (low, high) that preempted requests computed again.
        recomputed_how: whose count or estimate that is.
        waste_share: of the blocks in use, what holds no token (internal fragmentation).
    """

    streams: int
    at_once: int
    prompt_tokens: int | None
    requests: int
    full: bool
    by: str
    whole: bool
    tokens_per_s: float
    usage_peak_share: float | None
    running_peak: float | None
    waiting_peak: float | None
    waiting_by_reason: Mapping[str, float]
    preemptions: float | None
    recomputed_tokens: tuple[float, float] | None
    recomputed_how: str
    waste_share: float | None
    prefix_hit_share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """The ramp. `ended` says why the last rung was the last.

    Attributes:
        audited_streams: of the replay, whose requests the ramp raised.
        spared_streams: the most streams of the audited workload over which no block ran out.
        full_streams: the fewest over which blocks did; None: none did.
    """

    ended: str
    audited_streams: float
    rungs: tuple[PressureRung, ...] = ()
    spared_streams: int | None = None
    full_streams: int | None = None

    @property
    def knee(self) -> PressureRung | None:
        """The gentlest rung over which blocks ran out; None: none did."""
        full = [rung for rung in self.rungs if rung.full]
        return min(full, key=lambda r: (r.prompt_tokens or 0, r.streams), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What every rung is read from."""

    recording: Recording
    gauges: Sequence[Gauge]
    rows: Sequence[RequestRow]
    pool: Pool | None
    scrapes: Scrapes
    abouts: Mapping[str, Any] = field(default_factory=dict)


def pressure(recording: Recording, *, audited_streams: float) -> Pressure | None:
    """What the ramp found; None where none was asked for, or it was not reached."""
    facts = recording.facts()
    told = facts.get(PRESSURE, {})
    if ENDED not in told:
        return None
    seen = _seen(recording)
    rungs = tuple(
        _rung(seen, name, fact.value)
        for name, fact in told.items()
        if isinstance(fact.value, dict) and name in seen.abouts
    )
    own = [rung for rung in rungs if rung.prompt_tokens is None]
    full = min((rung.streams for rung in own if rung.full), default=None)
    spared = [r.streams for r in own if not r.full and r.whole and (not full or r.streams < full)]
    return Pressure(
        ended=str(told[ENDED].value),
        audited_streams=audited_streams,
        rungs=tuple(sorted(rungs, key=lambda r: (r.prompt_tokens or 0, r.streams))),
        spared_streams=max(spared, default=None),
        full_streams=full,
    )


def replay_waste_share(recording: Recording) -> float | None:
    """Of the blocks in use during the replay, what held no token; None: nobody can tell."""
    seen = _seen(recording)
    about = seen.abouts.get(REPLAY)
    if seen.pool is None or not isinstance(about, dict):
        return None
    from_s, to_s = float(about["t_s"]), float(about["t_s"]) + float(about["wall_s"])
    there = lives(recording.answers(REPLAY), from_s, seen.rows)
    return waste_share(seen.scrapes, there, seen.pool, from_s=from_s, to_s=to_s)


def _seen(recording: Recording) -> _Seen:
    facts = recording.facts()
    target = target_of(facts)
    knob = next((target.knobs[name].value for name in PREFIX_CACHING if name in target.knobs), None)
    gauges = recording.gauges(METER)
    return _Seen(
        recording=recording,
        gauges=gauges,
        rows=recording.requests(),
        pool=pool_of(facts, target.engine, shares_prefixes=knob is True),
        scrapes=Scrapes(gauges),
        abouts={name: fact.value for name, fact in facts.get("rung", {}).items()},
    )


def _rung(seen: _Seen, name: str, told: Mapping[str, Any]) -> PressureRung:
    about, answers = seen.abouts[name], seen.recording.answers(name)
    from_s, wall_s = float(about["t_s"]), float(about["wall_s"])
    span = server_span(seen.gauges, from_s=from_s, to_s=from_s + wall_s)
    own = told["prompt_tokens"] is None
    waste = None
    if seen.pool is not None:
        there = lives(answers, from_s, seen.rows if own else ())
        waste = waste_share(seen.scrapes, there, seen.pool, from_s=from_s, to_s=from_s + wall_s)
    again, how = _recomputed(seen, span, answers)
    return PressureRung(
        streams=int(told["streams"]),
        at_once=int(told["at_once"]),
        prompt_tokens=told["prompt_tokens"],
        requests=len(answers),
        full=bool(told["full"]) or bool(span.preemptions),
        by=_by(told, span),
        whole=bool(told["whole"]),
        tokens_per_s=_tokens(answers) / wall_s if wall_s > 0 else 0.0,
        usage_peak_share=span.kv_usage_peak_share,
        running_peak=span.running_peak,
        waiting_peak=span.waiting_peak,
        waiting_by_reason=span.waiting_by_reason,
        preemptions=span.preemptions,
        recomputed_tokens=again,
        recomputed_how=how,
        waste_share=waste,
        prefix_hit_share=span.prefix_hit_share,
    )


def _by(told: Mapping[str, Any], span: ServerSpan) -> str:
    if told["preempted"] or span.preemptions:
        return "preemption"
    return "waiting" if told["waited"] else ""


def _recomputed(
    seen: _Seen, span: ServerSpan, answers: Sequence[Answer]
) -> tuple[tuple[float, float] | None, str]:
    """Tokens that preempted requests computed again.

    Few servers count them. A preempted stream stands still: the longest pauses, one for each
    preemption, tell how much each had to compute again, at most all it held. At least one token
    of each, where a prefix cache may have kept the rest.
    """
    window = Window(seen.scrapes, span.from_s, span.to_s)
    counted = [grown for name in COUNTED if (grown := window.delta(name)) is not None]
    if counted:
        return (sum(counted), sum(counted)), "counted by the server"
    if span.preemptions is None:
        return None, ""
    pauses = sorted((pause for answer in answers for pause in _pauses(answer)), reverse=True)
    held = [tokens for _, tokens in pauses[: round(span.preemptions)]]
    high = float(sum(held))
    kept = seen.pool is None or seen.pool.shares_prefixes
    low = float(len(held)) if kept else high
    return (low, high), "what the streams that stood still longest held, one for each preemption"


def _pauses(answer: Answer) -> Iterable[tuple[float, int]]:
    """Each pause of a stream, and the tokens that the request held then."""
    came_s, tokens = event_s(answer), event_tokens(answer)
    held = answer.prompt_tokens or 0
    for place in range(1, len(came_s)):
        held += tokens[place - 1]
        yield came_s[place] - came_s[place - 1], held


def _tokens(answers: Iterable[Answer]) -> float:
    return sum(sum(token_flow(answer)[1]) for answer in answers)
