"""Every rung of a server audit as a load tool would tell it, and whether both sides agree on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from costaudit.measure.cross_check import CrossCheck, cross_check
from costaudit.measure.latency import Latencies, Spread
from costaudit.measure.server import Own, ServerSpan, server_span
from costaudit.recording.answers import event_tokens, token_flow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from costaudit.recording.recording import Recording
    from costaudit.recording.rows import Answer

METER = "server"  # of the server's own metrics
ONE_BY_ONE = ("alone", "warm")  # tasks whose requests do


@dataclass(frozen=True, slots=True, kw_only=True)
class RungSeen:
    """One rung of the concurrency ladder; rates over its whole span, ramp and drain included."""

    concurrency: int
    requests: int
    failed: int
    wall_s: float
    tokens_per_s: float
    ttft_s: Spread
    itl_s: Spread
    e2e_s: Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What the client counted beside what the server counted, over all step probes.

    Times are means, of requests that were sent one by one where the server tells of those; `check`
    is the verdict on them, `foreign` what others had meanwhile (requests and tokens, by the
    server's counters less ours). Requests are those that came to their end; the server may count
    any of the `cut` others too, and may have generated up to `unseen_output_tokens` more for them
    than reached us.
    """

    requests: tuple[float, float | None]
    cut: int
    unseen_output_tokens: float
    prompt_tokens: tuple[float, float | None]
    output_tokens: tuple[float, float | None]
    ttft_s: tuple[float | None, float | None]
    check: CrossCheck
    foreign: Mapping[str, float]


def ladder(recording: Recording) -> tuple[RungSeen, ...]:
    """The rungs at other concurrencies than the replay's, by concurrency."""
    facts = recording.facts().get("rung", {})
    seen = []
    for task in recording.tasks():
        about = facts.get(task.id)
        if task.spec.get("purpose") != "ladder" or about is None:
            continue
        if isinstance(about.value, dict):
            seen.append(_seen(recording.answers(task.id), about.value))
    return tuple(sorted(seen, key=lambda rung: rung.concurrency))


def agreement(recording: Recording) -> Agreement | None:
    """Both sides' counts over the step probes; None where the server's metrics were not read."""
    facts = recording.facts().get("rung", {})
    ids = [t.id for t in recording.tasks() if t.spec.get("purpose") == "step" and t.id in facts]
    gauges = recording.gauges(METER)
    if not ids or not gauges:
        return None
    spans = [facts[i].value for i in ids]
    from_s = min(span["t_s"] for span in spans if isinstance(span, dict))
    to_s = max(span["t_s"] + span["wall_s"] for span in spans if isinstance(span, dict))
    answers = [a for i in ids for a in recording.answers(i)]
    own = _own(answers)
    told = server_span(gauges, from_s=from_s, to_s=to_s, own=own)
    check = _clearest(
        cross_check(told, answers, front_end_s=_front_end_s(recording), own=own), _alone(recording)
    )
    cut = sum(not a.ok for a in answers)
    return Agreement(
        requests=(own.requests - cut, told.requests),
        cut=cut,
        unseen_output_tokens=own.unseen_output_tokens,
        prompt_tokens=(own.prompt_tokens, told.prompt_tokens),
        output_tokens=(own.output_tokens, told.generated_tokens),
        ttft_s=(check.client_ttft_s, check.server_ttft_s),
        check=check,
        foreign=told.foreign,
    )


def _alone(recording: Recording) -> CrossCheck | None:
    """Both sides over requests that come one by one; of older recordings the warm-up.

    Of a burst, most of the difference is the queue in front of the server's own clock.
    """
    facts = recording.facts().get("rung", {})
    task = next((name for name in ONE_BY_ONE if recording.answers(name)), ONE_BY_ONE[-1])
    about = facts.get(task)
    if about is None or not isinstance(about.value, dict):
        return None
    from_s, gauges = float(about.value["t_s"]), recording.gauges(METER)
    told = server_span(gauges, from_s=from_s, to_s=from_s + float(about.value["wall_s"]))
    return cross_check(told, recording.answers(task), front_end_s=_front_end_s(recording))


def _front_end_s(recording: Recording) -> float | None:
    told = recording.facts().get("server", {}).get("front_end_s")
    value = None if told is None else told.value
    return float(value) if isinstance(value, (int, float)) else None


def _clearest(every: CrossCheck, alone: CrossCheck | None) -> CrossCheck:
    """The one by one where tokens agree everywhere and it can tell, else that of all."""
    if alone is None or alone.agrees is None or every.agrees is None or every.token_difference:
        return every
    return alone


def replay_span(recording: Recording) -> ServerSpan | None:
    """What the server's metrics say of the replay; None where they were not read."""
    about = recording.facts().get("rung", {}).get("replay")
    gauges = recording.gauges(METER)
    if about is None or not isinstance(about.value, dict) or not gauges:
        return None
    from_s, answers = float(about.value["t_s"]), recording.answers("replay")
    to_s = from_s + float(about.value["wall_s"])
    return server_span(gauges, from_s=from_s, to_s=to_s, own=_own(answers))


def _own(answers: Sequence[Answer]) -> Own:
    """Ours by the server's usage; of a request that was cut or failed, what came of it.

    How much more the server generated for such a one nobody tells: at most what was asked for.
    """
    seen = [sum(event_tokens(a)) if a.output_tokens is None else a.output_tokens for a in answers]
    unseen = (max(0, a.asked_tokens - n) for a, n in zip(answers, seen, strict=True) if not a.ok)
    return Own(
        requests=len(answers),
        prompt_tokens=sum(a.prompt_tokens or 0 for a in answers),
        output_tokens=sum(seen),
        unseen_output_tokens=sum(unseen),
    )


def _seen(answers: Sequence[Answer], about: Mapping[str, Any]) -> RungSeen:
    latencies = Latencies(open_loop=False)
    for answer in answers:
        latencies.add(answer)
    wall_s = float(about["wall_s"])
    return RungSeen(
        concurrency=int(about["concurrency"]),
        requests=len(answers),
        failed=sum(not a.ok for a in answers),
        wall_s=wall_s,
        tokens_per_s=_tokens(answers) / wall_s if wall_s > 0 else 0.0,
        ttft_s=latencies.ttft.spread(),
        itl_s=latencies.itl.spread(),
        e2e_s=latencies.e2e.spread(),
    )


def _tokens(answers: Iterable[Answer]) -> float:
    return sum(sum(token_flow(answer)[1]) for answer in answers)
